"""The table's rows for step 4 under DETACH_SERVER_CHECK recorded, not-held and off."""

from __future__ import annotations

from typing import Any

from tests.unit.actions.answers import (
    ITS_ACTIONS,
    ITS_VOLUMES,
    NOVA_GONE,
    OTHER_SERVER,
    SERVER,
    THE_SERVER,
    VOLUME,
    Said,
    get,
    server,
)
from tests.unit.actions.verdicts import clears, exists, keeps, unknown


def _actions(*actions: tuple[Any, Any]) -> dict[str, Any]:
    return {"instanceActions": [{"action": name, "instance_uuid": whose} for name, whose in actions]}


_404 = get(THE_SERVER, 404, NOVA_GONE)

_RECORDED = [
    clears(
        "recorded: a deletion on record proves the server gone",
        [
            _404,
            get(
                ITS_ACTIONS, 200, _actions(("delete", SERVER), ("attach_volume", SERVER), ("create", SERVER))
            ),
        ],
        check="recorded",
    ),
    *(
        unknown(f"recorded: {what} is no deletion on record", [_404, answer], check="recorded")
        for what, answer in (
            ("no record", get(ITS_ACTIONS, 404, NOVA_GONE)),
            ("a gateway's 404", get(ITS_ACTIONS, 404, "<html>")),
            ("an empty record", get(ITS_ACTIONS, 200, _actions())),
            ("a record of a life", get(ITS_ACTIONS, 200, _actions(("stop", SERVER), ("create", SERVER)))),
            ("another server's deletion", get(ITS_ACTIONS, 200, _actions(("delete", OTHER_SERVER)))),
        )
    ),
    *(
        keeps(
            f"recorded: a record that is answered {what} proves nothing",
            [_404, *answers],
            "failed",
            code,
            retryable=retryable,
            check="recorded",
            upstream=said,
        )
        for what, answers, code, retryable, said in (
            ("403", [get(ITS_ACTIONS, 403)], "permission_denied", False, (403, None)),
            ("500", [get(ITS_ACTIONS, 500)], "upstream_unavailable", True, (500, None)),
            ("with no list", [get(ITS_ACTIONS, 200, {})], "upstream_unavailable", True, (200, None)),
            (
                "with entries that are none",
                [get(ITS_ACTIONS, 200, {"instanceActions": [7]})],
                "upstream_unavailable",
                True,
                (200, None),
            ),
            (
                "with deletions of nobody",
                [get(ITS_ACTIONS, 200, _actions(("delete", None)))],
                "upstream_unavailable",
                True,
                (200, None),
            ),
        )
    ),
    exists(
        "recorded: a server that exists is not asked for its record",
        [get(THE_SERVER, 200, server("ACTIVE"))],
        "ACTIVE",
        check="recorded",
    ),
]


def _held(*volumes: Any) -> dict[str, Any]:
    return {"volumeAttachments": [{"id": id_, "volumeId": id_, "serverId": SERVER} for id_ in volumes]}


def _at_rest(status: str, task_state: str | None = None) -> Said:
    return get(THE_SERVER, 200, server(status, task_state))


_OTHERS = [f"00000000-0000-4000-8000-{number:012}" for number in range(3)]

_NOT_HELD = [
    *(
        clears(
            f"not-held: a server that is {status} and doesn't hold the volume is proof",
            [_at_rest(status), get(ITS_VOLUMES, 200, _held())],
            check="not-held",
            seen=(True, status),
        )
        for status in ("SHUTOFF", "SHELVED_OFFLOADED")
    ),
    clears("not-held: a server that is gone is proof", [_404], check="not-held"),
    clears(
        "not-held: all pages of the list are read",
        [
            _at_rest("SHUTOFF"),
            get(ITS_VOLUMES, 200, _held(*_OTHERS[:2])),
            get(f"{ITS_VOLUMES}?limit=1000&offset=2", 200, _held(_OTHERS[2])),
            get(f"{ITS_VOLUMES}?limit=1000&offset=3", 200, _held()),
        ],
        check="not-held",
        seen=(True, "SHUTOFF"),
    ),
    clears(
        "not-held: a list whose pages count devices that it doesn't show is read to its end",
        [
            _at_rest("SHUTOFF"),
            get(ITS_VOLUMES, 200, _held(_OTHERS[0])),
            *(
                get(f"{ITS_VOLUMES}?limit=1000&offset={number}", 200, _held(_OTHERS[0]))
                for number in (1, 2, 3)
            ),
            get(f"{ITS_VOLUMES}?limit=1000&offset=4", 200, _held()),
        ],
        check="not-held",
        seen=(True, "SHUTOFF"),
    ),
    exists(
        "not-held: a volume on a later page is held",
        [
            _at_rest("SHUTOFF"),
            get(ITS_VOLUMES, 200, _held(*_OTHERS[:2])),
            get(f"{ITS_VOLUMES}?limit=1000&offset=2", 200, _held(VOLUME.upper())),
        ],
        "SHUTOFF",
        check="not-held",
        says="its own list still holds this volume",
    ),
    unknown(
        "not-held: a list that repeats itself is not known to be whole",
        [
            _at_rest("SHUTOFF"),
            get(ITS_VOLUMES, 200, _held(*_OTHERS[:2])),
            *(
                get(f"{ITS_VOLUMES}?limit=1000&offset={offset}", 200, _held(*_OTHERS[:2]))
                for offset in range(2, 11, 2)
            ),
        ],
        seen=(True, "SHUTOFF"),
        check="not-held",
        upstream=(200, None),
    ),
    *(
        exists(
            f"not-held: a server that is {what} is never asked what it holds",
            [answer],
            status,
            check="not-held",
            retryable=retryable,
        )
        for what, answer, status, retryable in (
            ("running", _at_rest("ACTIVE"), "ACTIVE", False),
            ("paused", _at_rest("PAUSED"), "PAUSED", False),
            ("suspended", _at_rest("SUSPENDED"), "SUSPENDED", False),
            ("shelved but not offloaded", _at_rest("SHELVED"), "SHELVED", False),
            ("soft-deleted", _at_rest("SOFT_DELETED"), "SOFT_DELETED", False),
            ("in error", _at_rest("ERROR"), "ERROR", False),
            ("off but starting", _at_rest("SHUTOFF", "powering-on"), "SHUTOFF", False),
            ("off and being deleted", _at_rest("SHUTOFF", "deleting"), "SHUTOFF", True),
            (
                "off as far as anybody knows",
                get(THE_SERVER, 200, {"server": {"id": SERVER, "status": "SHUTOFF"}}),
                "SHUTOFF",
                False,
            ),
        )
    ),
    *(
        keeps(
            f"not-held: a list that is answered {what} proves nothing",
            [_at_rest("SHUTOFF"), get(ITS_VOLUMES, status, body)],
            "failed",
            code,
            retryable=retryable,
            check="not-held",
            seen=(True, "SHUTOFF"),
            upstream=(status, said),
        )
        for what, status, body, code, retryable, said in (
            ("404", 404, NOVA_GONE, "upstream_rejected", False, "404"),
            ("403", 403, "", "permission_denied", False, None),
            ("500", 500, "", "upstream_unavailable", True, None),
            ("with a web page", 200, "<html>", "upstream_unavailable", True, None),
            (
                "with entries that are none",
                200,
                {"volumeAttachments": [{}]},
                "upstream_unavailable",
                True,
                None,
            ),
            ("with ids that are none", 200, _held("vol-1"), "upstream_unavailable", True, None),
        )
    ),
]

_OFF = [clears("off: no server is looked up", [], check="off", seen=(None, None))]

CHECKS = [*_RECORDED, *_NOT_HELD, *_OFF]
