"""The OpenAPI 3.1 description of the HTTP door, generated from the models and the table of deliveries."""

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
    200: "All is ok: nothing is left to do.",
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
    503: "The cloud, or the secret's store, is not available now.",
    504: "Time was up.",
}
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
_REFERENCES = "#/components/schemas/{model}"


@cache
def document() -> dict[str, Any]:
    """The whole description, ready for JSON."""
    request, result = request_schema(_REFERENCES), result_schema(_REFERENCES)
    schemas = {**request.pop("$defs"), **result.pop("$defs"), "Request": request, "Result": result}
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
            "/": {"post": _event()},
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
    request = {"schema": {"$ref": "#/components/schemas/Request"}}
    return {
        "operationId": "detach",
        "summary": "An event: clear what it names. The same on any path that is not named here.",
        "description": (
            "Plain JSON or a CloudEvent, binary, structured or batched. The reply to a CloudEvent is itself "
            "one, in binary mode, where the status is 2xx, and empty where it is not."
        ),
        "security": [{"key": []}, {}],
        "requestBody": {
            "required": True,
            "content": {
                "application/json": request,
                "application/cloudevents+json": {"schema": {"type": "object"}},
                "application/cloudevents-batch+json": {
                    "schema": {"type": "array", "items": {"type": "object"}, "minItems": 1}
                },
            },
        },
        "responses": {
            str(status): _response(status, sorted(codes.get(status, ()))) for status in sorted(_ABOUT)
        },
    }


def _response(status: int, codes: list[ErrorCode]) -> dict[str, Any]:
    said = "".join(f"\n- `{code.value}`: {code.meaning}" for code in codes)
    response: dict[str, Any] = {
        "description": _ABOUT[status] + (f"\n{said}" if said else ""),
        "headers": {**_ID, **(_HINT if status in _WITH_HINT else {})},
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
