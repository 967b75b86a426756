"""The table's rows for step 4: what proves a server gone, and what does not."""

from __future__ import annotations

import json
from typing import Any

import requests

from tests.unit.actions.answers import (
    NOVA_GONE,
    OTHER_SERVER,
    PROJECT,
    SERVER,
    THE_SERVER,
    VOLUME,
    dies,
    entry,
    get,
    server,
    volume,
)
from tests.unit.actions.verdicts import clears, exists, keeps, unknown

_NO_SERVER = f"Instance {SERVER} could not be found."


def _ecs(code: str, message: str = "The ECS does not exist.") -> dict[str, Any]:
    return {"error": {"code": code, "message": message}}


def _wrapped(kind: str, message: str) -> dict[str, Any]:
    """Nova's answer as ECS wraps it: JSON inside the message, under 400."""
    return _ecs("Ecs.1000", json.dumps({kind: {"message": message, "code": 404}}))


_LIVES = [
    *(
        exists(
            f"a server that is {status} exists, and the compute call that helps is named",
            [get(THE_SERVER, 200, server(status))],
            status,
            says=f"Nova DELETE /servers/{SERVER}/os-volume_attachments/{VOLUME}",
        )
        for status in ("ACTIVE", "SHUTOFF", "SHELVED_OFFLOADED", "ERROR", "UNKNOWN", "BUILD")
    ),
    exists(
        "a soft-deleted server exists, and is to be restored or deleted for good",
        [get(THE_SERVER, 200, server("SOFT_DELETED"))],
        "SOFT_DELETED",
        says="Restore the server, or delete it for good",
    ),
    exists(
        "a server that is being deleted exists until it is gone",
        [get(THE_SERVER, 200, server("ACTIVE", "deleting"))],
        "ACTIVE",
        retryable=True,
        says="ACTIVE, deleting",
    ),
    exists(
        "a server under another task exists",
        [get(THE_SERVER, 200, server("ACTIVE", "soft-deleting"))],
        "ACTIVE",
        says="ACTIVE, soft-deleting",
    ),
    *(
        exists(
            f"a server shown as deleted since {since} exists, and {'may soon' if soon else 'will'} not",
            [get(THE_SERVER, 200, server("DELETED", updated=since))],
            "DELETED",
            retryable=soon,
            says="until its deletion is done" if soon else f"Nova DELETE /servers/{SERVER}",
        )
        for since, soon in (
            ("2027-01-15T07:59:59Z", True),
            ("2027-01-15T07:00:00Z", True),
            ("2027-01-15T06:59:59Z", False),
            ("2026-01-15T08:00:00Z", False),
            ("some day", True),
            (None, True),
            (7, True),
        )
    ),
    *(
        exists(
            f"a status that is {what} is shown as unreadable",
            [get(THE_SERVER, 200, server(status, status))],
            "unreadable",
            says="(unreadable, unreadable)",
        )
        for what, status in (
            ("a sentence", "it is fine"),
            ("too long", "A" * 41),
            ("markup", "<b>ACTIVE</b>"),
            ("empty", ""),
            ("of two lines", "ACTIVE\n"),
        )
    ),
    exists(
        "a server of unknown state exists",
        [get(THE_SERVER, 200, {"server": {"id": SERVER.upper()}})],
        None,
        says="state unknown",
    ),
]

_GONE = [
    clears("a 404 itemNotFound of Nova proves the server gone", [get(THE_SERVER, 404, NOVA_GONE)]),
    *(
        clears(
            f"a 404 itemNotFound that names no id {stop!r} proves it when it is said again",
            [get(THE_SERVER, 404, {"itemNotFound": {"message": f"Instance could not be found{stop}"}})] * 2,
        )
        for stop in ("", ".")
    ),
    clears(
        "a 404 that names no id and then does is its own word",
        [
            get(THE_SERVER, 404, {"itemNotFound": {"message": "Instance could not be found"}}),
            get(THE_SERVER, 404, NOVA_GONE),
        ],
    ),
    *(
        clears(
            f"ECS's own {status} {code} proves it when it is said again",
            [get(THE_SERVER, status, _ecs(code))] * 2,
        )
        for code in ("Ecs.0114", "Ecs.0614")
        for status in (404, 400)
    ),
    clears(
        "Nova's words inside ECS's 400 prove it",
        [get(THE_SERVER, 400, _wrapped("itemNotFound", _NO_SERVER))],
    ),
]

_PROVES_NOTHING = [
    exists(
        "a 404 that names no id was the answer to another question: the server is shown when asked again",
        [get(THE_SERVER, 404, _ecs("Ecs.0114")), get(THE_SERVER, 200, server("ACTIVE"))],
        "ACTIVE",
    ),
    *(
        unknown(
            f"a 404 that names no id and then {what} proves nothing",
            [get(THE_SERVER, 404, _ecs("Ecs.0114")), get(THE_SERVER, 404, body)],
        )
        for what, body in (
            ("is a gateway's", {"error_code": "APIGW.0101", "error_msg": "The API does not exist"}),
            (
                "is about another server",
                {"itemNotFound": {"code": 404, "message": f"Instance {OTHER_SERVER} could not be found."}},
            ),
        )
    ),
    keeps(
        "a 404 that names no id and then no answer is reported as that failure",
        [get(THE_SERVER, 404, _ecs("Ecs.0114")), get(THE_SERVER, 500)],
        "failed",
        "upstream_unavailable",
        retryable=True,
        upstream=(500, None),
    ),
    *(
        unknown(
            f"a server of {whose} project is not ours",
            [get(THE_SERVER, 200, server("ACTIVE", tenant_id=tenant))],
        )
        for whose, tenant in (("another", "0" * 32), ("no", ""), ("an odd", 7), ("a listed", [PROJECT]))
    ),
    *(
        unknown(
            f"a 404 from {whom} proves nothing",
            [get(THE_SERVER, 404, body)],
            upstream=(404, code),
        )
        for whom, code, body in (
            ("a gateway", "APIGW.0101", {"error_code": "APIGW.0101", "error_msg": "The API does not exist"}),
            ("Nova's router", "404 Not Found", {"message": "Nothing here.", "code": "404 Not Found"}),
            (
                "a router that calls itself a service",
                "404",
                {"itemNotFound": {"code": 404, "message": "The resource could not be found."}},
            ),
            ("nobody", None, ""),
            ("a web page", None, "<html><h1>404</h1></html>"),
            (
                "a service about another server",
                "404",
                {"itemNotFound": {"code": 404, "message": f"Instance {OTHER_SERVER} could not be found."}},
            ),
            (
                "a service about a volume at it",
                "404",
                {
                    "itemNotFound": {
                        "code": 404,
                        "message": f"Instance {SERVER} is not attached to volume {VOLUME}",
                    }
                },
            ),
            (
                "a service of another kind",
                "EVS.5404",
                {"error": {"code": "EVS.5404", "message": "not found"}},
            ),
            ("a text that speaks of itemNotFound", None, '"itemNotFound"'),
            ("a list", None, [NOVA_GONE]),
            ("an itemNotFound that is no object", None, {"itemNotFound": _NO_SERVER}),
        )
    ),
    *(
        unknown(f"an answer {what} proves nothing", [get(THE_SERVER, 200, body)])
        for what, body in (
            ("about another server", server("ACTIVE", id=OTHER_SERVER)),
            ("that is a web page", "<html>Welcome</html>"),
            ("without a server", {}),
            ("with a server that is none", {"server": [SERVER]}),
            ("without an id", server("ACTIVE", id=None)),
            ("that says itemNotFound under 200", NOVA_GONE),
            ("nested without end", '{"server":' * 50_000),
        )
    ),
    *(
        unknown(
            f"an attachment that names {what} as its server proves nothing",
            [],
            looked=volume("in-use", entry(server=named)),
        )
        for what, named in (("none", None), ("an empty text", ""), ("a host", "compute-7"), ("a number", 7))
    ),
]

_MALFORMED = {
    "badRequest": {"code": 400, "message": "Malformed request URL: URL's project_id 'A' doesn't match 'B'"}
}
_LOOK_UP_FAILED = [
    *(
        keeps(
            f"a look-up that is answered {status} {what} is reported as {code}",
            [get(THE_SERVER, status, body)],
            "failed",
            code,
            upstream=(status, said),
        )
        for status, what, said, code, body in (
            (401, "by nobody", None, "token_rejected", ""),
            (400, "for the token", "Common.0013", "token_rejected", _ecs("Common.0013")),
            (403, "by policy", "403", "permission_denied", {"forbidden": {"code": 403, "message": "No."}}),
            (400, "for its project by Nova", "400", "configuration", _MALFORMED),
            (400, "for its project by ECS", "Common.0018", "configuration", _ecs("Common.0018")),
            (410, "in the words of a 404", "404", "upstream_rejected", NOVA_GONE),
            (302, "to elsewhere", None, "upstream_rejected", ""),
            (400, "by an ECS in trouble", "Ecs.1002", "upstream_rejected", _ecs("Ecs.1002", "Timed out")),
            (400, "in the words of a 404", "404", "upstream_rejected", NOVA_GONE),
            (
                400,
                "about a disk at it",
                "404",
                "upstream_rejected",
                _wrapped("itemNotFound", f"No volume Block Device Mapping with id {VOLUME}."),
            ),
            (
                400,
                "about another server",
                "404",
                "upstream_rejected",
                _wrapped("itemNotFound", f"Instance {OTHER_SERVER} could not be found."),
            ),
            (400, "with another fault inside", "404", "upstream_rejected", _wrapped("badRequest", "Oh no")),
        )
    ),
    keeps(
        "a look-up that is throttled is reported as throttled",
        [get(THE_SERVER, 429, "", Retry_After="1")] * 4,
        "failed",
        "throttled",
        retryable=True,
        retry_after=1.0,
        upstream=(429, None),
    ),
    keeps(
        "a look-up that is answered 500 is reported as upstream_unavailable",
        [get(THE_SERVER, 500, {"computeFault": {"code": 500, "message": "Cell down."}})],
        "failed",
        "upstream_unavailable",
        retryable=True,
        upstream=(500, "500"),
    ),
    keeps(
        "a look-up that is answered 503 proves nothing, whatever its words",
        [get(THE_SERVER, 503, NOVA_GONE)] * 4,
        "failed",
        "upstream_unavailable",
        retryable=True,
        upstream=(503, "404"),
    ),
    keeps(
        "a look-up without an answer proves nothing",
        [dies(THE_SERVER, requests.ReadTimeout)],
        "failed",
        "upstream_unavailable",
        retryable=True,
    ),
    keeps(
        "a look-up that can't connect proves nothing",
        [dies(THE_SERVER)] * 4,
        "failed",
        "upstream_unavailable",
        retryable=True,
    ),
]


SERVER_ROWS = [*_LIVES, *_GONE, *_PROVES_NOTHING, *_LOOK_UP_FAILED]
