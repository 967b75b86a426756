"""What the services answer when a live server's disk is detached: by the server, the disk, and what fails."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import pytest

from tests.contract.patience import wait
from tests.contract.test_one import FREE, HELD
from tests.contract.wire import Wire, shape

if TYPE_CHECKING:
    from tests.contract.case import Case
    from tests.contract.lab import Disk


def _becomes(wire: Wire, disk: Disk, state: str, *, held: bool) -> None:
    """Wait until record and compute service say so, and tell the table."""
    lab = wire.case.lab

    def there() -> bool:
        listed = disk.volume_id in lab.held(disk.server_id)
        return (str(lab.look(disk.volume_id)), listed) == (state, held)

    wait(f"{state}, held: {held}", there)
    wire.case.steps.append(f"then {state}, {'held' if held else 'not held'}")


def _taken(wire: Wire, disk: Disk) -> str:
    answer = wire.take(disk)
    assert (answer.status_code, answer.content) == (202, b"")
    request = answer.headers["X-Openstack-Request-Id"]
    assert answer.headers["X-Compute-Request-Id"] == request
    return request


def _ends(wire: Wire, disk: Disk, request: str, result: str) -> dict[str, Any]:
    """Wait until the detach's event has its result; give the action."""
    path = f"/{wire.case.project_id}/servers/{disk.server_id}/os-instance-actions/{request}"
    quiet = Wire(wire.case, wire.token, [])

    def action() -> dict[str, Any]:
        found: dict[str, Any] = quiet.get(path, "2.51").json()["instanceAction"]
        return found

    wait(result, lambda: [event["result"] for event in action()["events"]] == [result])
    found = action()
    told = f"{found['action']}: message {found['message']}, {found['events'][0]['event']} {result}"
    wire.case.steps.append(told)
    return found


@pytest.mark.parametrize(
    ("action", "status", "answer"),
    [
        ("os-stop", "SHUTOFF", 202),
        ("pause", "PAUSED", 202),
        ("suspend", "SUSPENDED", 409),
    ],
)
def test_a_servers_state_lets_its_disk_go_or_not(wire: Wire, action: str, status: str, answer: int) -> None:
    disk = wire.case.at_live_server()
    wire.case.lab.send(disk.server_id, action, status)
    assert wire.take(disk).status_code == answer
    if answer == 202:
        _becomes(wire, disk, FREE, held=False)
    else:
        _becomes(wire, disk, HELD, held=True)


def test_a_running_servers_disk_is_detached_once(wire: Wire) -> None:
    disk = wire.case.at_live_server()
    request = _taken(wire, disk)
    action = _ends(wire, disk, request, "Success")
    assert (action["request_id"], action["message"]) == (request, None)
    _becomes(wire, disk, FREE, held=False)
    assert wire.take(disk).status_code == 404


def test_a_soft_deleted_servers_disk_is_detached(wire: Wire) -> None:
    disk = wire.case.at_live_server()
    wire.case.lab.soft_delete(disk.server_id)
    _taken(wire, disk)
    _becomes(wire, disk, FREE, held=False)


def test_a_locked_server_keeps_its_disk(wire: Wire) -> None:
    disk = wire.case.at_live_server()
    wire.case.lab.send(disk.server_id, "lock", "ACTIVE")
    assert wire.take(disk).status_code == 409
    _becomes(wire, disk, HELD, held=True)
    wire.case.lab.send(disk.server_id, "unlock", "ACTIVE")
    _taken(wire, disk)
    _becomes(wire, disk, FREE, held=False)


def test_what_a_server_does_not_have_it_can_not_let_go(wire: Wire) -> None:
    disk, other = wire.case.at_live_server(), wire.case.at_live_server()
    free = wire.case.lab.disk(wire.case.project_id)
    assert wire.take(free, server_id=disk.server_id).status_code == 404
    assert wire.take(other, server_id=disk.server_id).status_code == 404
    assert wire.take(disk, server_id=str(uuid.uuid4())).status_code == 404
    _becomes(wire, other, HELD, held=True)


@pytest.mark.parametrize("kind", ["unknown", "attachment", "bare"])
def test_a_volume_is_named_by_its_own_id(wire: Wire, kind: str) -> None:
    disk = wire.case.at_live_server()
    bare = disk.volume_id.replace("-", "")
    asked = {"unknown": str(uuid.uuid4()), "attachment": disk.attachment_id, "bare": bare}[kind]
    path = f"/{wire.case.project_id}/servers/{disk.server_id}/os-volume_attachments/{asked}"
    answer = wire.get(path, method="DELETE")
    message = f"Volume {asked} could not be found."
    assert (answer.status_code, answer.json()["itemNotFound"]["message"]) == (404, message)
    _becomes(wire, disk, HELD, held=True)


def test_a_reader_detaches_nothing(case: Case) -> None:
    reader = Wire(case, case.lab.token(case.project_id, role="reader"))
    disk = case.at_live_server()
    assert reader.take(disk).status_code == 403
    _becomes(reader, disk, HELD, held=True)


@pytest.mark.parametrize("status", ["error", "maintenance", "available", "detaching"])
def test_a_disk_in_another_state_is_not_detached(wire: Wire, status: str) -> None:
    disk = wire.case.at_live_server()
    wire.case.lab.set_status(disk, status)
    answer = wire.take(disk)
    assert answer.status_code == 400
    assert "Volume status must be 'in-use' and attach_status must be 'attached'" in answer.text
    _becomes(wire, disk, f"{status} 1", held=True)


def test_a_disk_that_nova_lost_is_not_detached(wire: Wire) -> None:
    disk = wire.case.at_live_server()
    wire.case.lab.forget(disk.server_id, disk.volume_id)
    assert wire.take(disk).status_code == 404
    _becomes(wire, disk, HELD, held=False)


def test_a_shared_disk_is_let_go_by_one_after_the_other(wire: Wire) -> None:
    servers = [wire.case.lab.boot(wire.case.project_id) for _ in range(2)]
    disk = wire.case.lab.disk(wire.case.project_id, *servers)
    _taken(wire, disk)
    _becomes(wire, disk, HELD, held=False)
    assert wire.take(disk, server_id=servers[1]).status_code == 202
    _becomes(wire, disk, FREE, held=False)


def test_while_a_detach_is_under_way_nothing_else_frees_the_disk(wire: Wire) -> None:
    disk = wire.case.at_live_server()
    with wire.case.lab.hypervisor(waits=True):
        request = _taken(wire, disk)
        _becomes(wire, disk, "detaching 1", held=True)
        assert wire.take(disk).status_code == 400
        assert wire.act(disk, "os-detach", {"attachment_id": disk.attachment_id}).status_code == 409
        assert wire.act(disk, "os-detach").status_code == 409
        assert wire.entries(f"/{disk.attachment_id}", method="DELETE").status_code == 409
        _becomes(wire, disk, "detaching 1", held=True)
    _ends(wire, disk, request, "Success")
    _becomes(wire, disk, FREE, held=False)


def test_a_guest_that_keeps_its_disk_has_the_record_rolled_back(wire: Wire) -> None:
    disk = wire.case.at_live_server()
    with wire.case.lab.hypervisor(fails="guest"):
        assert _ends(wire, disk, _taken(wire, disk), "Error")["message"] == "Error"
        _becomes(wire, disk, HELD, held=True)
    _ends(wire, disk, _taken(wire, disk), "Success")
    _becomes(wire, disk, FREE, held=False)


def test_a_detach_that_can_not_be_told_to_cinder_stays_half_done(wire: Wire) -> None:
    disk = wire.case.at_live_server()
    with wire.case.lab.hypervisor(fails="cinder"):
        _ends(wire, disk, _taken(wire, disk), "Error")
        _becomes(wire, disk, "detaching 1", held=True)
    assert wire.take(disk).status_code == 400
    assert wire.act(disk, "os-detach", {"attachment_id": disk.attachment_id}).status_code == 409
    assert wire.act(disk, "os-roll_detaching").status_code == 202
    _ends(wire, disk, _taken(wire, disk), "Success")
    _becomes(wire, disk, FREE, held=False)


@pytest.mark.parametrize("version", ["2.1", "2.3", "2.9", "2.79", "2.89"])
def test_a_version_shows_what_it_brought(wire: Wire, version: str) -> None:
    disk = wire.case.at_live_server()
    server = f"/{wire.case.project_id}/servers/{disk.server_id}"
    quiet = Wire(wire.case, wire.token, [])
    row = quiet.get(f"{server}/os-volume_attachments/{disk.volume_id}", version).json()["volumeAttachment"]
    shown = quiet.get(server, version).json()["server"]
    attached = shown["os-extended-volumes:volumes_attached"]
    wire.case.steps.append(f"disk: {shape(row)}; of the server: {shape(attached)}; {shown.get('locked')}")
    assert ("attachment_id" in row) is (version == "2.89")


def test_soft_deleted_servers_are_listed_only_among_changes(case_alone: Case) -> None:
    wire = Wire(case_alone, case_alone.lab.token(case_alone.project_id))
    disk = case_alone.at_live_server()
    case_alone.lab.soft_delete(disk.server_id)
    found = []
    for query in (
        "?status=SOFT_DELETED",
        "?soft_deleted=true",
        "?changes-since=1970-01-01T00:00:00Z&status=SOFT_DELETED",
    ):
        servers = wire.servers(f"/detail{query}").json()["servers"]
        found.append([server["id"] for server in servers])
    assert found == [[], [], [disk.server_id]]
