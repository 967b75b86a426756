"""Forms *batch* and *server*, and the events that stand for them."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from tests.contract.test_one import FREE, HELD

if TYPE_CHECKING:
    from tests.contract.case import Case


def test_a_batch_settles_each_target_on_its_own(case: Case) -> None:
    orphan, live, free = case.orphan(), case.at_live_server(), case.lab.disk(case.project_id)
    absent = str(uuid.uuid4())
    targets = [{"volume_id": id_} for id_ in (orphan.volume_id, live.volume_id, free.volume_id, absent)]
    answer = case.ask(
        {"targets": targets},
        "207 detached, refused server_exists, already_detached, volume_absent",
        *((orphan, HELD, FREE), (live, HELD, HELD), (free, FREE, FREE)),
    ).document
    summary = {"detached": 1, "refused": 1, "already_detached": 1, "volume_absent": 1}
    assert (answer["summary"], answer["complete"]) == (summary, True)


def test_a_batch_of_orphans_is_cleared(case: Case) -> None:
    disks = [case.never_known() for _ in range(5)]
    targets = [{"volume_id": disk.volume_id, "attachment_id": disk.attachment_id} for disk in disks]
    case.ask({"targets": targets}, "200 detached x5", *((disk, HELD, FREE) for disk in disks))


def test_equal_targets_are_done_once_and_answered_each(case: Case) -> None:
    disk = case.never_known()
    target = {"volume_id": disk.volume_id, "attachment_id": disk.attachment_id}
    case.ask({"targets": [target, target]}, "200 detached x2", (disk, HELD, FREE))


def test_both_attachments_of_a_volume_go_in_one_batch(case: Case) -> None:
    disk = case.lab.disk(case.project_id, str(uuid.uuid4()), str(uuid.uuid4()))
    targets = [{"volume_id": disk.volume_id, "attachment_id": link.attachment_id} for link in disk.links]
    case.ask({"targets": targets}, "200 detached x2", (disk, "in-use 2", FREE))


def test_a_batchs_dry_run_changes_nothing(case: Case) -> None:
    disks = [case.never_known(), case.never_known()]
    work = {"targets": [{"volume_id": disk.volume_id} for disk in disks], "dry_run": True}
    case.ask(work, "200 would_detach x2", *((disk, HELD, HELD) for disk in disks))


def test_a_gone_servers_disks_are_all_cleared(case: Case) -> None:
    server = case.lab.boot(case.project_id)
    disks = [case.lab.disk(case.project_id, server) for _ in range(2)]
    case.lab.vanish(server)
    case.ask({"server_id": server}, "200 detached x2", *((disk, HELD, FREE) for disk in disks))


def test_a_live_servers_disks_are_all_kept(case: Case) -> None:
    server = case.lab.boot(case.project_id)
    disks = [case.lab.disk(case.project_id, server) for _ in range(2)]
    expected = "409 refused server_exists x2"
    case.ask({"server_id": server}, expected, *((disk, HELD, HELD) for disk in disks))
    assert sorted(case.lab.held(server)) == sorted(disk.volume_id for disk in disks)


def test_a_gone_servers_stuck_disk_is_left_alone(case: Case) -> None:
    server = case.lab.boot(case.project_id)
    disk, stuck = case.lab.disk(case.project_id, server), case.lab.disk(case.project_id, server)
    case.lab.vanish(server)
    case.lab.set_status(stuck, "error_detaching")
    state = "error_detaching 1"
    answer = case.ask(
        {"server_id": server}, "207 detached, refused volume_state", (disk, HELD, FREE), (stuck, state, state)
    )
    assert answer.document["summary"] == {"detached": 1, "refused": 1}


def test_a_server_that_nothing_names_has_no_results(case: Case) -> None:
    case.ask({"server_id": str(uuid.uuid4())}, "200 no results")


def test_a_trace_of_a_servers_deletion_clears_its_disks(case: Case) -> None:
    disk = case.orphan()
    case.ask(_trace(disk.server_id), "200 detached", (disk, HELD, FREE))


def test_a_trace_of_a_failed_deletion_is_ignored(case: Case) -> None:
    disk = case.orphan()
    case.ask({**_trace(disk.server_id), "trace_rating": "warning"}, "200 ignored", (disk, HELD, HELD))


def test_a_cloudevent_is_answered_by_one(case: Case) -> None:
    disk = case.orphan()
    answer = case.ask(
        {"volume_id": disk.volume_id}, "200 detached", (disk, HELD, FREE), headers=_cloudevent()
    )
    assert answer.headers["ce-type"] == "io.github.evs-detach.result"
    assert answer.headers["ce-subject"] == disk.volume_id


def test_a_cloudevent_about_a_live_servers_disk_is_settled_by_one_delivery(case: Case) -> None:
    disk = case.at_live_server()
    case.ask(
        {"volume_id": disk.volume_id}, "200 refused server_exists", (disk, HELD, HELD), headers=_cloudevent()
    )


def _trace(server_id: str) -> dict[str, Any]:
    """A CTS trace of a server's deletion, with the keys that are read."""
    return {
        "service_type": "ECS",
        "trace_name": "deleteServer",
        "trace_rating": "normal",
        "resource_id": server_id,
    }


def _cloudevent() -> dict[str, str]:
    return {
        "ce-specversion": "1.0",
        "ce-id": str(uuid.uuid4()),
        "ce-source": "/contract",
        "ce-type": "io.github.evs-detach.request",
    }
