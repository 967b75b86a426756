"""The OpenAPI 3.1 description, generated from the models and the table of deliveries."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from handler import __version__
from handler.errors import ErrorCode
from handler.model.schema import request_schema, result_schema

_ELSEWHERE: Mapping[int, tuple[ErrorCode, ...]] = {
    405: (ErrorCode.INVALID_REQUEST,),
    413: (ErrorCode.INVALID_REQUEST,),
    415: (ErrorCode.INVALID_REQUEST,),
    503: (ErrorCode.SECRET_UNAVAILABLE,),
}
_ABOUT: Mapping[int, str] = {
    200: "All is ok: nothing is left to do. For CloudEvents: it is settled, refusals included.",
    202: "Sent and accepted, but not yet seen done.",
    207: "Several results that don't agree.",
    400: "The request is not valid; for a CloudEvent, its envelope or data.",
    401: "Who calls is not known.",
    403: "Who calls may not.",
    405: "Another method is needed, see Allow.",
    409: "Refused by a safety rule. With Retry-After, it passes by itself.",
    413: "The body is larger than DETACH_MAX_BODY_BYTES.",
    415: "The body is of another media type.",
    422: "Only for CloudEvents: failed for good, don't deliver it again.",
    500: "The deployment is wrong, or the function has a bug.",
    502: "The cloud refused.",
    503: "The cloud, or the secret's store, is not available now. For CloudEvents: deliver it again.",
    504: "Time was up.",
}
_CLOUDEVENT = frozenset({200, 400, 401, 403, 405, 413, 422, 503})
"""The statuses that a CloudEvent is answered with; see handler.triggers.reply."""
_WITH_HINT = frozenset({202, 207, 409, 503, 504})
_HINT = {
    "Retry-After": {"description": "Seconds, where asking again can help.", "schema": {"type": "integer"}}
}
_ID = {
    "X-Request-Id": {
        "description": "The id under which all of it is in the log.",
        "schema": {"type": "string"},
    }
}
_CHALLENGE = {"WWW-Authenticate": {"description": "`Bearer`.", "schema": {"type": "string"}}}
_ALLOW = {"Allow": {"description": "The methods that are taken.", "schema": {"type": "string"}}}
_REPLY = {
    f"ce-{name}": {
        "description": "Of the reply to a CloudEvent; not there otherwise.",
        "schema": {"type": "string"},
    }
    for name in ("id", "source", "specversion", "type", "time", "subject", "traceparent")
}
_VOLUME = "6f2c1f0a-3d0e-4c55-9d6f-0f5ad3f3a1c1"
_SERVER = "0b7c0f1e-52a4-4d0e-8a51-6c1d2f3e4a5b"
_EXAMPLES: Mapping[str, Mapping[str, Any]] = {
    "one": {"volume_id": _VOLUME, "dry_run": True},
    "batch": {"targets": [{"volume_id": _VOLUME, "server_id": _SERVER}], "dry_run": True},
    "server": {"server_id": _SERVER, "dry_run": True},
    "sweep": {"sweep": {"dry_run": True, "limit": 5, "min_age_seconds": 3600}},
}
_EVENT = {"specversion": "1.0", "id": "1", "source": "/example", "type": "com.example.stuck"}
_NAME = {"type": "string", "minLength": 1}
_CLOUDEVENT_SCHEMA = {
    "type": "object",
    "description": "A CloudEvent in JSON. Its data may also stand in data_base64, or as text.",
    "required": ["specversion", "id", "source", "type", "data"],
    "properties": {
        "specversion": {"const": "1.0"},
        "id": _NAME,
        "source": _NAME,
        "type": _NAME,
        "data": {"$ref": "#/components/schemas/Request"},
    },
    "propertyNames": {"pattern": "^[a-z0-9]+$"},
    "additionalProperties": {
        "type": ["string", "boolean", "integer", "null"],
        "minimum": -(2**31),
        "maximum": 2**31 - 1,
    },
}
_REFERENCES = "#/components/schemas/{model}"


@cache
def document() -> dict[str, Any]:
    """The whole description, ready for JSON."""
    request, result = request_schema(_REFERENCES), result_schema(_REFERENCES)
    schemas = {
        **request.pop("$defs"),
        **result.pop("$defs"),
        "Request": request,
        "Result": result,
        "CloudEvent": _CLOUDEVENT_SCHEMA,
    }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "EVS detach",
            "version": __version__,
            "summary": "Clears the record of a stuck volume attachment, once its server is proven gone.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "paths": {
            "/": {"post": _event(), "options": _handshake()},
            "/invoke": {"post": _invoke()},
            "/init": {"post": _plain("FunctionGraph starts a container.", {200: "Always, and empty."})},
            "/healthz": _probe("Whether the process lives.", {200: "It does."}),
            "/readyz": _probe(
                "Whether the settings are good. Asks no cloud.",
                {200: "They are.", 503: "They are not; the answer names them."},
            ),
            "/openapi.json": _probe("This description.", {200: "It."}),
        },
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "key": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "With DETACH_INVOKE_AUTH=bearer: a key of DETACH_INVOKE_SECRET.",
                }
            },
        },
    }


def _event() -> dict[str, Any]:
    codes: dict[int, list[ErrorCode]] = {status: list(found) for status, found in _ELSEWHERE.items()}
    for code in ErrorCode:
        codes.setdefault(code.http, []).append(code)
    request = {
        "schema": {"$ref": "#/components/schemas/Request"},
        "examples": {name: {"value": form} for name, form in _EXAMPLES.items()},
    }
    events = [{**_EVENT, "data": form} for form in _EXAMPLES.values()]
    return {
        "operationId": "detach",
        "summary": "An event: clear what it names. The same on any path that is not named here.",
        "description": (
            "Plain JSON or a CloudEvent: binary (the ce- headers say so), structured or batched. The reply "
            "to a CloudEvent is itself one, in binary mode, where the status is 200; where it is not, the "
            "reply has no body and no Content-Type, and the result is in the log. Each status says whether "
            "a CloudEvent can get it."
        ),
        "security": [{"key": []}, {}],
        "requestBody": {
            "required": True,
            "content": {
                "application/json": request,
                "application/cloudevents+json": {
                    "schema": {"$ref": "#/components/schemas/CloudEvent"},
                    "example": events[0],
                },
                "application/cloudevents-batch+json": {
                    "example": events,
                    "schema": {
                        "type": "array",
                        "items": {"$ref": "#/components/schemas/CloudEvent"},
                        "minItems": 1,
                    },
                },
            },
        },
        "responses": {
            str(status): _response(status, sorted(codes.get(status, ()))) for status in sorted(_ABOUT)
        },
    }


def _handshake() -> dict[str, Any]:
    agreed = {
        "WebHook-Allowed-Origin": {"description": "The one that asked.", "schema": {"type": "string"}},
        "WebHook-Allowed-Rate": {"description": "`*`: as often as it likes.", "schema": {"type": "string"}},
    }
    return {
        "summary": "A sender of CloudEvents asks whether it may send, as their WebHook specification says.",
        "security": [{}],
        "parameters": [
            {
                "name": "WebHook-Request-Origin",
                "in": "header",
                "required": True,
                "description": "The sender; it must be one of DETACH_WEBHOOK_ORIGINS.",
                "schema": {"type": "string", "format": "hostname"},
            }
        ],
        "responses": {
            "200": {"description": "It may.", "headers": {**_ID, **_ALLOW, **agreed}},
            "405": _response(405, [ErrorCode.INVALID_REQUEST]),
        },
    }


def _response(status: int, codes: list[ErrorCode]) -> dict[str, Any]:
    said = "".join(f"\n- `{code.value}`: {code.meaning}" for code in codes)
    about = _ABOUT[status]
    if status not in _CLOUDEVENT:
        about += " Never for CloudEvents."
    elif status != 200:
        about += " For a CloudEvent: no body."
    response: dict[str, Any] = {
        "description": about + (f"\n{said}" if said else ""),
        "headers": {
            **_ID,
            **(_HINT if status in _WITH_HINT else {}),
            **(_REPLY if status == 200 else {}),
            **(_CHALLENGE if status == 401 else {}),
            **(_ALLOW if status == 405 else {}),
        },
    }
    if status != 422:
        response["content"] = {"application/json": {"schema": {"$ref": "#/components/schemas/Result"}}}
    return response


def _invoke() -> dict[str, Any]:
    operation = _plain(
        "FunctionGraph hands an event to a container.",
        {
            200: "The result, or for an APIG event the gateway's answer, whatever its status.",
            400: "The body is not JSON.",
            401: _ABOUT[401],
            403: _ABOUT[403],
            413: _ABOUT[413],
            500: "Not settled: the platform calls again, or hands the event to its failure target.",
        },
    )
    body = {"application/json": {"schema": {"type": ["object", "array"]}}}
    return {"security": [{"key": []}, {}], "requestBody": {"required": True, "content": body}, **operation}


def _probe(summary: str, statuses: Mapping[int, str]) -> dict[str, Any]:
    return {method: _plain(summary, statuses) for method in ("get", "head")}


def _plain(summary: str, statuses: Mapping[int, str]) -> dict[str, Any]:
    responses = {str(status): {"description": about, "headers": _ID} for status, about in statuses.items()}
    return {"summary": summary, "responses": responses}
