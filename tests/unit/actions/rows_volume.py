"""The table's rows for step 1: the volume."""

from __future__ import annotations

import json

import requests

from tests.unit.actions.answers import (
    FREE,
    IN_USE,
    OTHER_ATTACHMENT,
    PROJECT,
    THE_VOLUME,
    VOLUME,
    Row,
    dies,
    entry,
    get,
    volume,
)

_ROUTER = {"message": "The resource could not be found.<br /><br />\n\n\n", "code": "404 Not Found"}
_GATEWAY = {"error_code": "APIGW.0101", "error_msg": "The API does not exist", "request_id": "g-1"}
_UNAUTHORIZED = {"error": {"code": 401, "title": "Unauthorized", "message": "Authenticate."}}
_MALFORMED = {"badRequest": {"code": 400, "message": "Malformed request url"}}
_RATE = {"error_code": "APIGW.0308", "error_msg": "The throttling threshold has been reached"}


def _absent(subject: str = f"Volume {VOLUME}") -> dict[str, object]:
    return {"itemNotFound": {"code": 404, "message": f"{subject} could not be found."}}


def _owned(owner: object) -> dict[str, object]:
    return volume("in-use", entry(), **{"os-vol-tenant-attr:tenant_id": owner})


_IN_USE_AND_FREE = json.dumps(IN_USE).replace('"status"', '"status": "available", "status"')

VOLUME_ROWS = [
    Row("a volume that Cinder doesn't know is absent", [get(THE_VOLUME, 404, _absent())], "volume_absent"),
    Row(
        "a volume that EVS doesn't know is absent",
        [get(THE_VOLUME, 404, {"error": {"code": "EVS.5404", "message": "resource not found"}})] * 2,
        "volume_absent",
    ),
    *(
        Row(
            f"a 404 at the volume from {whom} says nothing about it",
            [get(THE_VOLUME, 404, body)],
            "failed",
            "upstream_rejected",
            upstream=(404, code),
        )
        for whom, body, code in (
            ("a gateway", _GATEWAY, "APIGW.0101"),
            ("a router", _ROUTER, "404 Not Found"),
            ("nobody", "", None),
            ("a web page", "<html><h1>404 Not Found</h1></html>", None),
            ("a service about another volume", _absent(f"Volume {OTHER_ATTACHMENT}"), "404"),
        )
    ),
    Row(
        "a volume of another project is refused",
        [get(THE_VOLUME, 200, volume("in-use", entry(), **{"os-vol-tenant-attr:tenant_id": "0" * 32}))],
        "refused",
        "volume_foreign",
        remaining=1,
        status=("in-use", "in-use"),
    ),
    Row(
        "a project in another spelling is the same project",
        [
            get(
                THE_VOLUME,
                200,
                volume(
                    "available",
                    **{"os-vol-tenant-attr:tenant_id": "5F1C8B2A-D9E3-4C7A-B0D6-E1F2A3B4C5D6"},
                ),
            )
        ],
        "already_detached",
        remaining=0,
        status=("available", "available"),
    ),
    Row(
        "a record that a cache kept shows what was once",
        [get(THE_VOLUME, 200, IN_USE, Age="7")],
        "failed",
        "upstream_unavailable",
        retryable=True,
        upstream=(200, None),
        says="a cache kept (Age)",
    ),
    *(
        Row(
            f"an answer about the volume that is {what} can't be read",
            [get(THE_VOLUME, 200, body)],
            "failed",
            "upstream_unavailable",
            retryable=True,
            upstream=(200, None),
        )
        for what, body in (
            ("no JSON", "<html>Log in</html>"),
            ("nested without end", "[" * 100_000),
            ("no object", [IN_USE]),
            ("no volume", {"volume": None}),
            ("without attachments", volume("in-use", entry(), attachments=None)),
            ("with an attachment that is none", volume("in-use", "attached")),
            ("without a status", volume(None, entry())),
            ("another volume's", volume("in-use", entry(), id=OTHER_ATTACHMENT)),
            *(
                (f"of a project that is {owner!r}", _owned(owner))
                for owner in ("", 5, True, [PROJECT], {"id": PROJECT})
            ),
            ("that says two things", _IN_USE_AND_FREE),
            ("of a volume without a name", volume("in-use", entry(), id="unknown")),
        )
    ),
    Row(
        "a token that is refused, also after renewal, is token_rejected",
        [get(THE_VOLUME, 401, _UNAUTHORIZED)] * 2,
        "failed",
        "token_rejected",
        renewals=1,
        upstream=(401, "401"),
    ),
    Row(
        "a token that is refused and can't be renewed is asked with once",
        [get(THE_VOLUME, 401, "")],
        "failed",
        "token_rejected",
        upstream=(401, None),
    ),
    *(
        Row(
            f"the vendor's 400 {code} is a refused token",
            [get(THE_VOLUME, 400, {"error": {"code": code, "message": "Invalid token"}})] * 2,
            "failed",
            "token_rejected",
            renewals=1,
            upstream=(400, code),
        )
        for code in ("EVS.0002", "Common.0013")
    ),
    Row(
        "a token that is refused is renewed and the call sent again",
        [get(THE_VOLUME, 401, _UNAUTHORIZED), get(THE_VOLUME, 200, FREE)],
        "already_detached",
        renewals=1,
        remaining=0,
        status=("available", "available"),
    ),
    *(
        Row(
            f"the 400 {code} is a project of another token",
            [get(THE_VOLUME, 400, body)],
            "failed",
            "configuration",
            upstream=(400, code),
        )
        for code, body in (
            ("400", _MALFORMED),
            ("Common.0018", {"error": {"code": "Common.0018", "message": "Project mismatch"}}),
            ("EVS.0001", {"error": {"code": "EVS.0001", "message": "Invalid tenant id"}}),
        )
    ),
    Row(
        "a token without the right to look is permission_denied",
        [get(THE_VOLUME, 403, {"forbidden": {"code": 403, "message": "Policy doesn't allow it."}})],
        "failed",
        "permission_denied",
        upstream=(403, "403"),
        says="Policy doesn't allow it.",
    ),
    Row(
        "a service that throttles is asked four times at most",
        [get(THE_VOLUME, 429, _RATE, Retry_After="2")] * 4,
        "failed",
        "throttled",
        retryable=True,
        retry_after=2.0,
        upstream=(429, "APIGW.0308"),
    ),
    Row(
        "a service that throttles for longer than there is time is asked once",
        [get(THE_VOLUME, 429, _RATE, Retry_After="60")],
        "failed",
        "throttled",
        retryable=True,
        retry_after=60.0,
        upstream=(429, "APIGW.0308"),
    ),
    Row(
        "a 500 is not asked for again",
        [get(THE_VOLUME, 500, {"computeFault": {"code": 500, "message": "Erred."}})],
        "failed",
        "upstream_unavailable",
        retryable=True,
        upstream=(500, "500"),
    ),
    *(
        Row(
            f"a {status} that stays is upstream_unavailable",
            [get(THE_VOLUME, status, "<html>Bad gateway</html>")] * 4,
            "failed",
            "upstream_unavailable",
            retryable=True,
            upstream=(status, None),
        )
        for status in (502, 503, 504)
    ),
    Row(
        "a 503 that passes is not noticed",
        [get(THE_VOLUME, 503), get(THE_VOLUME, 200, FREE)],
        "already_detached",
        remaining=0,
        status=("available", "available"),
    ),
    Row(
        "connections that break are upstream_unavailable",
        [dies(THE_VOLUME)] * 4,
        "failed",
        "upstream_unavailable",
        retryable=True,
    ),
    Row(
        "a connection that broke once is not noticed",
        [dies(THE_VOLUME), get(THE_VOLUME, 200, FREE)],
        "already_detached",
        remaining=0,
        status=("available", "available"),
    ),
    Row(
        "an answer that is too late has had its time",
        [dies(THE_VOLUME, requests.ReadTimeout)],
        "failed",
        "upstream_unavailable",
        retryable=True,
    ),
    Row(
        "a TLS failure is not tried again and names the setting",
        [dies(THE_VOLUME, requests.exceptions.SSLError)],
        "failed",
        "upstream_unavailable",
        retryable=True,
        says="DETACH_CA_BUNDLE",
    ),
    Row(
        "a redirect is not followed",
        [get(THE_VOLUME, 302, Location="https://elsewhere.example/")],
        "failed",
        "upstream_rejected",
        upstream=(302, None),
        says="a redirect, never followed",
    ),
    Row(
        "any other 4xx is upstream_rejected",
        [get(THE_VOLUME, 406, {"computeFault": {"code": 406, "message": "Version not supported."}})],
        "failed",
        "upstream_rejected",
        upstream=(406, "406"),
    ),
    Row(
        "nothing is asked when no time is left",
        [],
        "failed",
        "deadline_exceeded",
        retryable=True,
        seconds=0.0,
    ),
]
