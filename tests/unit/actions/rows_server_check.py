"""The table's rows for step 4 under DETACH_SERVER_CHECK recorded, not-held and off."""

from __future__ import annotations

import json
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

REQUEST = "req-0ccb8d8f-1a51-4e4a-9f1f-6a3d2f1f7c11"
SECOND_REQUEST = "req-7d2b1b0e-3c44-4f0e-8a55-0b9c8d7e6f22"
THE_DELETION = f"{ITS_ACTIONS}/{REQUEST}"


def _actions(*actions: tuple[Any, Any], request: Any = REQUEST) -> dict[str, Any]:
    return {
        "instanceActions": [
            {"action": name, "instance_uuid": whose, "request_id": request} for name, whose in actions
        ]
    }


def _ended(
    result: Any = "Success",
    /,
    event: str = "compute_terminate_instance",
    begun: Any = "2027-01-15T07:59:00.000000",
    **more: Any,
) -> Any:
    action = {
        "action": "delete",
        "instance_uuid": SERVER,
        "request_id": REQUEST,
        "events": [{"event": event, "result": result, "start_time": begun}],
    }
    return {"instanceAction": {**action, **more}}


_404 = get(THE_SERVER, 404, NOVA_GONE)
_ON_RECORD = get(
    ITS_ACTIONS, 200, _actions(("delete", SERVER), ("attach_volume", SERVER), ("create", SERVER))
)
_TWICE = {
    "instanceActions": [
        {"action": "delete", "instance_uuid": SERVER, "request_id": request}
        for request in (SECOND_REQUEST, REQUEST)
    ]
}

_NOT_ON_RECORD = "its deletion is not on the compute service's record"

_RECORDED = [
    clears(
        "recorded: a deletion on record proves the server gone",
        [_404, _ON_RECORD, get(THE_DELETION, 200, _ended())],
        check="recorded",
    ),
    *(
        clears(
            f"recorded: of two deletions on record the one that {what} is looked behind",
            [_404, get(ITS_ACTIONS, 200, _TWICE), first, get(THE_DELETION, 200, _ended())],
            check="recorded",
        )
        for what, first in (
            (
                "failed",
                get(f"{ITS_ACTIONS}/{SECOND_REQUEST}", 200, _ended("Error", request_id=SECOND_REQUEST)),
            ),
            ("is purged", get(f"{ITS_ACTIONS}/{SECOND_REQUEST}", 404, NOVA_GONE)),
        )
    ),
    clears(
        "recorded: a deletion that ends while it is looked at proves the server gone",
        [
            _404,
            *[_ON_RECORD, get(THE_DELETION, 200, _ended(None))] * 2,
            *[_ON_RECORD, get(THE_DELETION, 200, _ended())],
        ],
        check="recorded",
    ),
    unknown(
        "recorded: a deletion that goes on passes",
        [_404, *[_ON_RECORD, get(THE_DELETION, 200, _ended(None))] * 4],
        says="still removing its guest",
        retryable=True,
        check="recorded",
    ),
    unknown(
        "recorded: a deletion that has gone on for an hour, pauses included, passes",
        [_404, *[_ON_RECORD, get(THE_DELETION, 200, _ended(None, begun="2027-01-15T07:00:03.500000"))] * 4],
        says="still removing its guest",
        retryable=True,
        check="recorded",
    ),
    unknown(
        "recorded: a deletion that goes on for over an hour never ended",
        [_404, *[_ON_RECORD, get(THE_DELETION, 200, _ended(None, begun="2027-01-15T06:59:00.000000"))] * 4],
        says="its guest may still run",
        check="recorded",
    ),
    unknown(
        "recorded: a deletion that goes on since nobody knows when never ended",
        [_404, _ON_RECORD, get(THE_DELETION, 200, _ended(None, begun=None))],
        says="its guest may still run",
        check="recorded",
    ),
    unknown(
        "recorded: no deletion is waited for without the time",
        [_404, _ON_RECORD, get(THE_DELETION, 200, _ended(None))],
        says="still removing its guest",
        retryable=True,
        seconds=0.5,
        check="recorded",
    ),
    unknown(
        "recorded: of a server that was evacuated the first guest may still run",
        [
            _404,
            get(ITS_ACTIONS, 200, _actions(("delete", SERVER), ("evacuate", SERVER), ("create", SERVER))),
            get(THE_DELETION, 200, _ended()),
        ],
        says="evacuated from a host that did not answer",
        check="recorded",
    ),
    *(
        unknown(
            f"recorded: a deletion {what} leaves the guest running",
            [_404, _ON_RECORD, answer],
            says="deleted while its host did not answer; its guest may still run",
            check="recorded",
        )
        for what, answer in (
            ("without an event", get(THE_DELETION, 200, _ended(events=[]))),
            (
                "that was a soft one",
                get(THE_DELETION, 200, _ended(event="compute_soft_delete_instance")),
            ),
            ("whose event failed", get(THE_DELETION, 200, _ended("Error"))),
            ("with another event", get(THE_DELETION, 200, _ended(event="compute_stop_instance"))),
            ("that can't be read any more", get(THE_DELETION, 404, NOVA_GONE)),
        )
    ),
    *(
        unknown(
            f"recorded: an action {what} is none of the one that was asked for",
            [_404, _ON_RECORD, get(THE_DELETION, 200, _ended(**other))],
            check="recorded",
            upstream=(200, None),
        )
        for what, other in (
            ("of another server", {"instance_uuid": OTHER_SERVER}),
            ("of another request", {"request_id": SECOND_REQUEST}),
            ("of another kind", {"action": "stop"}),
        )
    ),
    *(
        keeps(
            f"recorded: an action that is answered {what} proves nothing",
            [_404, _ON_RECORD, *answers],
            "failed",
            code,
            retryable=retryable,
            check="recorded",
            upstream=said,
        )
        for what, answers, code, retryable, said in (
            ("403", [get(THE_DELETION, 403)], "permission_denied", False, (403, None)),
            ("500", [get(THE_DELETION, 500)], "upstream_unavailable", True, (500, None)),
            ("with no action", [get(THE_DELETION, 200, {})], "upstream_unavailable", True, (200, None)),
            (
                "without events",
                [get(THE_DELETION, 200, _ended(events=None))],
                "upstream_unavailable",
                True,
                (200, None),
            ),
        )
    ),
    *(
        unknown(
            f"recorded: {what} is no deletion on record",
            [_404, answer],
            check="recorded",
            says=says,
        )
        for what, answer, says in (
            ("no record", get(ITS_ACTIONS, 404, NOVA_GONE), _NOT_ON_RECORD),
            ("a gateway's 404", get(ITS_ACTIONS, 404, "<html>"), _NOT_ON_RECORD),
            ("an empty record", get(ITS_ACTIONS, 200, _actions()), _NOT_ON_RECORD),
            (
                "a record of a life",
                get(ITS_ACTIONS, 200, _actions(("stop", SERVER), ("create", SERVER))),
                _NOT_ON_RECORD,
            ),
            (
                "another server's deletion",
                get(ITS_ACTIONS, 200, _actions(("delete", OTHER_SERVER))),
                "gave another server's record",
            ),
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
            ("406", [get(ITS_ACTIONS, 406)], "configuration", False, (406, None)),
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


def _held(*volumes: Any, by: Any = SERVER) -> dict[str, Any]:
    return {"volumeAttachments": [{"id": id_, "volumeId": id_, "serverId": by} for id_ in volumes]}


def _at_rest(status: str, task_state: str | None = None, listed: Any = ()) -> Said:
    attached = [{"id": id_} for id_ in listed] if isinstance(listed, (list, tuple)) else listed
    more = {"os-extended-volumes:volumes_attached": attached}
    return get(THE_SERVER, 200, server(status, task_state, **more))


def _powered(state: Any, status: str = "SHUTOFF") -> Said:
    more = {"OS-EXT-STS:power_state": state, "os-extended-volumes:volumes_attached": []}
    return get(THE_SERVER, 200, server(status, **more))


_OTHERS = [f"00000000-0000-4000-8000-{number:012}" for number in range(3)]

_SAID_TWICE = json.dumps(server("SHUTOFF")).replace('"status"', '"status": "ACTIVE", "status"')
_HELD_AND_NOT = f'{json.dumps(_held(VOLUME))[:-1]}, "volumeAttachments": []}}'

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
    unknown(
        "not-held: an answer that says two things of a server proves nothing",
        [get(THE_SERVER, 200, _SAID_TWICE)],
        check="not-held",
        seen=(None, None),
        upstream=(200, None),
    ),
    keeps(
        "not-held: a list that says two things proves nothing",
        [_at_rest("SHUTOFF"), get(ITS_VOLUMES, 200, _HELD_AND_NOT)],
        "failed",
        "upstream_unavailable",
        retryable=True,
        check="not-held",
        seen=(True, "SHUTOFF"),
        upstream=(200, None),
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
    *(
        exists(
            f"not-held: what the answer about the server lists ({what}) is held, whatever its list says",
            [_at_rest("SHUTOFF", listed=[*_OTHERS, spelling])],
            "SHUTOFF",
            check="not-held",
            says="its own list still holds this volume",
        )
        for what, spelling in (("as it is", VOLUME), ("without hyphens", VOLUME.replace("-", "")))
    ),
    clears(
        "not-held: a list whose entries name no server is believed with the answer about the server",
        [
            _at_rest("SHUTOFF", listed=_OTHERS[:1]),
            get(ITS_VOLUMES, 200, {"volumeAttachments": [{"volumeId": _OTHERS[0]}]}),
            get(f"{ITS_VOLUMES}?limit=1000&offset=1", 200, _held()),
        ],
        check="not-held",
        seen=(True, "SHUTOFF"),
    ),
    unknown(
        "not-held: a list of another server's volumes proves nothing",
        [_at_rest("SHUTOFF"), get(ITS_VOLUMES, 200, _held(_OTHERS[0], by=OTHER_SERVER))],
        check="not-held",
        seen=(True, "SHUTOFF"),
    ),
    *(
        unknown(
            f"not-held: an answer about the server {what} doesn't say what it holds",
            [_at_rest("SHUTOFF", listed=listed)],
            check="not-held",
            seen=(True, "SHUTOFF"),
            says="what it holds is not known",
        )
        for what, listed in (
            ("without a list", None),
            ("with something else for a list", 7),
            ("with an entry that is no volume", ["disk-1"]),
        )
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
            *(
                (f"off by its status, and by its power state {power!r}", _powered(power), "SHUTOFF", False)
                for power in (1, 0, 3, 7, "4", None, True)
            ),
            *(
                (f"off by its power state, and {status} by its status", _powered(4, status), status, False)
                for status in ("ACTIVE", "ERROR", "RESIZE", "SHELVED", "SOFT_DELETED")
            ),
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
