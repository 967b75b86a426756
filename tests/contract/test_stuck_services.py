"""Stuck records: what a member's calls make of them, as recorded, at a cloud that runs now.

Only states that its APIs make; those of the database are for the embedded cloud's own tests. The expected
answers are those of tests/unit/embedded_cloud/recorded/stuck.md.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import pytest

from tests.contract.lab import Disk, Link
from tests.unit.embedded_cloud.recordings import stuck_calls, stuck_states

if TYPE_CHECKING:
    import requests

    from tests.contract.case import Home
    from tests.contract.wire import Wire

_CONNECTOR = {"host": "rig", "ip": "127.0.0.1", "initiator": "iqn.2026-01.example:rig", "os_type": "linux"}
_NOBODYS = ("N1", "N2", "N4", "N5", "N6", "N12", "N13", "N14", "N15", "N16")
_HELD = ("L3", "L8", "L10", "L11", "L12")
_STATUSES = {
    "N6": "detaching",
    "N12": "available",
    "N13": "maintenance",
    "N14": "maintenance",
    "N15": "error",
    "L8": "available",
    "L10": "maintenance",
    "L11": "error",
}
_MEMBERS = (
    *("unreserve", "roll_detaching", "begin_detaching"),
    *("detach id", "detach {}", "DELETE entry", "complete"),
)

CASES = [
    (row, call, cell)
    for row, call, cell in stuck_calls()
    if (row in _NOBODYS and call in _MEMBERS) or (row in _HELD and call in _MEMBERS[1:])
]


@pytest.fixture(scope="module")
def resident(home: Home) -> str:
    """Boot the one server that holds the disks of these cases."""
    return home.lab.boot(home.project_id)


def _planted(wire: Wire, row: str, resident: str) -> Disk:
    """Bring a volume into a row's state through the services' own APIs."""
    case, lab = wire.case, wire.case.lab
    if row in {"N1", "N6", "N13"}:
        disk = lab.disk(case.project_id)
    elif row in {"N2", "N4"}:
        return _reserved(wire, connected=row == "N4")
    else:
        disk = lab.disk(case.project_id, resident if row in _HELD else str(uuid.uuid4()))
    if row == "N1":
        assert wire.act(disk, "os-reserve").status_code == 202
    elif row in {"N5", "L3"}:
        assert wire.act(disk, "os-begin_detaching").status_code == 202
    elif row in _STATUSES:
        lab.set_status(disk, _STATUSES[row])
    return disk


def _reserved(wire: Wire, *, connected: bool) -> Disk:
    volume_id, server_id = wire.case.lab.disk(wire.case.project_id).volume_id, str(uuid.uuid4())
    wanted: dict[str, object] = {"volume_uuid": volume_id, "instance_uuid": server_id}
    if connected:
        wanted["connector"] = _CONNECTOR
    made = wire.entries(body={"attachment": wanted})
    assert made.status_code == 200
    return Disk(volume_id, (Link(made.json()["attachment"]["id"], server_id),))


def _state(wire: Wire, disk: Disk) -> str:
    entries = ", ".join(wire.case.lab.entries(disk.volume_id))
    return f"{wire.case.lab.look(disk.volume_id).status} [{entries}]"


def _sent(wire: Wire, disk: Disk, call: str) -> requests.Response:
    match call:
        case "detach id":
            return wire.act(disk, "os-detach", {"attachment_id": disk.attachment_id})
        case "detach {}":
            return wire.act(disk, "os-detach")
        case "DELETE entry":
            return wire.entries(f"/{disk.attachment_id}", method="DELETE")
        case "complete":
            return wire.entries(f"/{disk.attachment_id}/action", {"os-complete": {}})
    return wire.act(disk, f"os-{call}")


def _expected(result: str, before: str) -> str:
    """Read what a cell says of the state afterwards, but for attach_status, which no API tells."""
    if result in {"", "="}:
        return before
    if result in {"F", "I"}:
        return {"F": "available []", "I": "in-use [attached]"}[result]
    record, _, entries = result.partition(" ")
    return f"{record.partition('/')[0]} {entries or '[]'}"


@pytest.mark.parametrize(("row", "call", "cell"), CASES, ids=lambda part: part.replace(" ", "_"))
def test_a_call_answers_as_recorded(wire: Wire, resident: str, row: str, call: str, cell: str) -> None:
    disk = _planted(wire, row, resident)
    (record, entry), wire.case.steps[:] = stuck_states()[row], []
    before = _state(wire, disk)
    assert before == f"{record.partition('/')[0]} [{'' if entry == 'none' else entry}]"
    status, _, result = cell.partition(" ")

    answer = _sent(wire, disk, call)

    after = _state(wire, disk)
    wire.case.steps.append(f"{before} → {after}" if after != before else before)
    assert (str(answer.status_code), after) == (status, _expected(result, before))
