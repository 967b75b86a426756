"""Form *one*: one attachment of one volume. States are the volume's status and number of attachments."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.contract.case import Case

HELD, FREE = "in-use 1", "available 0"


def test_an_orphan_named_in_full_is_cleared(case: Case) -> None:
    disk = case.orphan()
    work = {"volume_id": disk.volume_id, "attachment_id": disk.attachment_id, "server_id": disk.server_id}
    answer = case.ask(work, "200 detached", (disk, HELD, FREE)).document
    assert answer["changed"] is True
    assert answer["server"] == {"id": disk.server_id, "exists": False, "status": None, "checked": True}
    assert answer["volume_status"] == {"before": "in-use", "after": "available"}


def test_an_orphans_only_attachment_need_not_be_named(case: Case) -> None:
    disk = case.orphan()
    answer = case.ask({"volume_id": disk.volume_id}, "200 detached", (disk, HELD, FREE)).document
    assert answer["attachment_id"] == disk.attachment_id


def test_a_server_that_never_was_counts_as_gone(case: Case) -> None:
    disk = case.never_known()
    case.ask({"volume_id": disk.volume_id}, "200 detached", (disk, HELD, FREE))


def test_a_record_that_no_connector_made_is_cleared(case: Case) -> None:
    disk = case.lab.recorded_disk(case.project_id, str(uuid.uuid4()), connected=False)
    case.ask({"volume_id": disk.volume_id}, "200 detached", (disk, HELD, FREE))


def test_ids_may_be_in_upper_case(case: Case) -> None:
    disk = case.never_known()
    work = {"volume_id": disk.volume_id.upper(), "attachment_id": disk.attachment_id.upper()}
    answer = case.ask(work, "200 detached", (disk, HELD, FREE)).document
    assert (answer["volume_id"], answer["attachment_id"]) == (disk.volume_id, disk.attachment_id)


def test_ids_may_lack_their_hyphens(case: Case) -> None:
    disk = case.never_known()
    plain = {"volume_id": disk.volume_id, "attachment_id": disk.attachment_id, "server_id": disk.server_id}
    work = {name: value.replace("-", "") for name, value in plain.items()}
    case.ask(work, "200 detached", (disk, HELD, FREE))


def test_asking_again_by_attachment_is_settled(case: Case) -> None:
    disk = case.never_known()
    work = {"volume_id": disk.volume_id, "attachment_id": disk.attachment_id}
    case.ask(work, "200 detached", (disk, HELD, FREE))
    case.ask(work, "200 already_detached", (disk, FREE, FREE))


def test_asking_again_by_volume_is_settled(case: Case) -> None:
    disk = case.never_known()
    case.ask({"volume_id": disk.volume_id}, "200 detached", (disk, HELD, FREE))
    case.ask({"volume_id": disk.volume_id}, "200 already_detached", (disk, FREE, FREE))


def test_a_dry_run_changes_nothing(case: Case) -> None:
    disk = case.orphan()
    work = {"volume_id": disk.volume_id, "dry_run": True}
    answer = case.ask(work, "200 would_detach", (disk, HELD, HELD)).document
    assert (answer["dry_run"], answer["changed"]) == (True, False)


def test_a_dry_run_at_a_live_server_is_refused(case: Case) -> None:
    disk = case.at_live_server()
    work = {"volume_id": disk.volume_id, "dry_run": True}
    case.ask(work, "409 refused server_exists", (disk, HELD, HELD))


def test_a_running_servers_disk_is_kept(case: Case) -> None:
    disk = case.at_live_server()
    work = {"volume_id": disk.volume_id, "attachment_id": disk.attachment_id}
    answer = case.ask(work, "409 refused server_exists", (disk, HELD, HELD)).document
    assert answer["server"] == {"id": disk.server_id, "exists": True, "status": "ACTIVE", "checked": True}
    assert case.lab.held(disk.server_id) == [disk.volume_id]


def test_a_stopped_servers_disk_is_kept(case: Case) -> None:
    disk = case.at_stopped_server()
    answer = case.ask({"volume_id": disk.volume_id}, "409 refused server_exists", (disk, HELD, HELD)).document
    assert answer["server"]["status"] == "SHUTOFF"
    assert case.lab.held(disk.server_id) == [disk.volume_id]


def test_a_soft_deleted_servers_disk_is_kept(case: Case) -> None:
    disk = case.at_live_server()
    case.lab.soft_delete(disk.server_id)
    answer = case.ask({"volume_id": disk.volume_id}, "409 refused server_exists", (disk, HELD, HELD)).document
    assert answer["server"]["status"] == "SOFT_DELETED"


def test_a_disk_that_a_running_servers_list_lacks_is_kept(case: Case) -> None:
    disk = case.at_live_server()
    case.lab.forget(disk.server_id, disk.volume_id)
    case.ask({"volume_id": disk.volume_id}, "409 refused server_exists", (disk, HELD, HELD))


def test_the_guard_lets_its_server_pass(case: Case) -> None:
    disk = case.never_known()
    work = {"volume_id": disk.volume_id, "server_id": disk.server_id}
    case.ask(work, "200 detached", (disk, HELD, FREE))


def test_the_guard_keeps_another_servers_disk(case: Case) -> None:
    disk = case.never_known()
    work = {"volume_id": disk.volume_id, "server_id": str(uuid.uuid4())}
    case.ask(work, "409 refused server_mismatch", (disk, HELD, HELD))


def test_an_unknown_attachment_is_gone_already(case: Case) -> None:
    disk = case.never_known()
    work = {"volume_id": disk.volume_id, "attachment_id": str(uuid.uuid4())}
    case.ask(work, "200 already_detached", (disk, HELD, HELD))


def test_another_volumes_attachment_is_not_touched(case: Case) -> None:
    disk, other = case.never_known(), case.never_known()
    work = {"volume_id": disk.volume_id, "attachment_id": other.attachment_id}
    case.ask(work, "200 already_detached", (disk, HELD, HELD), (other, HELD, HELD))


def test_the_volumes_id_is_no_attachments(case: Case) -> None:
    disk = case.never_known()
    work = {"volume_id": disk.volume_id, "attachment_id": disk.volume_id}
    answer = case.ask(work, "400 failed invalid_request", (disk, HELD, HELD)).document
    assert answer["error"]["details"] != []


@pytest.mark.parametrize("attachment_id", ["", "not-a-uuid", 5], ids=["empty", "text", "number"])
def test_an_attachment_id_is_a_uuid(case: Case, attachment_id: object) -> None:
    disk = case.never_known()
    work = {"volume_id": disk.volume_id, "attachment_id": attachment_id}
    case.ask(work, "400 failed invalid_request", (disk, HELD, HELD))


def test_an_unknown_key_is_refused(case: Case) -> None:
    disk = case.never_known()
    work = {"volume_id": disk.volume_id, "force": True}
    case.ask(work, "400 failed invalid_request", (disk, HELD, HELD))


def test_of_several_attachments_one_must_be_named(case: Case) -> None:
    disk = case.lab.disk(case.project_id, str(uuid.uuid4()), str(uuid.uuid4()))
    twice = "in-use 2"
    case.ask({"volume_id": disk.volume_id}, "409 refused attachment_required", (disk, twice, twice))


def test_of_several_attachments_the_orphaned_one_is_cleared(case: Case) -> None:
    live, gone = case.lab.boot(case.project_id), case.lab.boot(case.project_id)
    disk = case.lab.disk(case.project_id, live, gone)
    case.lab.vanish(gone)
    work = {"volume_id": disk.volume_id, "attachment_id": disk.links[1].attachment_id}
    answer = case.ask(work, "200 detached", (disk, "in-use 2", HELD)).document
    assert answer["remaining_attachments"] == 1
    assert case.lab.look(disk.volume_id).links == (disk.links[0],)
    assert case.lab.held(live) == [disk.volume_id]


def test_of_several_attachments_the_live_one_is_kept(case: Case) -> None:
    live = case.lab.boot(case.project_id)
    disk = case.lab.disk(case.project_id, live, str(uuid.uuid4()))
    work = {"volume_id": disk.volume_id, "attachment_id": disk.links[0].attachment_id}
    case.ask(work, "409 refused server_exists", (disk, "in-use 2", "in-use 2"))


def test_several_orphaned_attachments_go_one_by_one(case: Case) -> None:
    disk = case.lab.disk(case.project_id, str(uuid.uuid4()), str(uuid.uuid4()))
    first, second = (
        {"volume_id": disk.volume_id, "attachment_id": link.attachment_id} for link in disk.links
    )
    case.ask(first, "200 detached", (disk, "in-use 2", HELD))
    case.ask(first, "200 already_detached", (disk, HELD, HELD))
    case.ask(second, "200 detached", (disk, HELD, FREE))


def test_an_unknown_volume_is_absent(case: Case) -> None:
    case.ask({"volume_id": str(uuid.uuid4())}, "200 volume_absent")


def test_a_deleted_volume_is_absent(case: Case) -> None:
    disk = case.lab.disk(case.project_id)
    case.lab.delete_volume(disk)
    case.ask({"volume_id": disk.volume_id}, "200 volume_absent", (disk, "absent", "absent"))


def test_another_projects_volume_looks_absent(case: Case, case_alone: Case) -> None:
    disk = case_alone.never_known()
    case.ask({"volume_id": disk.volume_id}, "200 volume_absent", (disk, HELD, HELD))


def test_a_free_volume_is_settled(case: Case) -> None:
    disk = case.lab.disk(case.project_id)
    case.ask({"volume_id": disk.volume_id}, "200 already_detached", (disk, FREE, FREE))
    work = {"volume_id": disk.volume_id, "attachment_id": str(uuid.uuid4())}
    case.ask(work, "200 already_detached", (disk, FREE, FREE))


def test_a_volume_that_a_host_holds_is_kept(case: Case) -> None:
    disk = case.lab.recorded_disk(case.project_id, None, connected=False)
    case.ask({"volume_id": disk.volume_id}, "409 refused server_unknown", (disk, HELD, HELD))


def test_an_attaching_volume_is_left_alone(case: Case) -> None:
    disk = case.lab.disk(case.project_id)
    case.lab.reserve(disk)
    state = "attaching 0"
    case.ask({"volume_id": disk.volume_id}, "409 refused volume_state again", (disk, state, state))


@pytest.mark.parametrize(
    ("status", "again"),
    [("detaching", " again"), ("maintenance", " again"), ("error_detaching", "")],
    ids=["detaching", "maintenance", "error_detaching"],
)
def test_an_attached_volume_in_another_state_is_left_alone(case: Case, status: str, again: str) -> None:
    disk = case.never_known()
    case.lab.set_status(disk, status)
    state, expected = f"{status} 1", f"409 refused volume_state{again}"
    case.ask({"volume_id": disk.volume_id}, expected, (disk, state, state))
    work = {"volume_id": disk.volume_id, "attachment_id": disk.attachment_id}
    case.ask(work, expected, (disk, state, state))


def test_a_detaching_volume_that_nothing_holds_is_left_alone(case: Case) -> None:
    disk = case.lab.disk(case.project_id)
    case.lab.set_status(disk, "detaching")
    state = "detaching 0"
    case.ask({"volume_id": disk.volume_id}, "409 refused volume_state again", (disk, state, state))
