"""Stuck records, for each row of the recorded tables: what the function makes of it, and what it leaves."""

from __future__ import annotations

import contextlib
import uuid
from typing import TYPE_CHECKING

import pytest

from tests.contract.scenes import FREE, SCENES
from tests.contract.test_live import ON
from tests.embedded_cloud import stuck

if TYPE_CHECKING:
    from tests.contract.case import StagedCase
    from tests.contract.lab import Disk

RECOVERED, STATE = "200 recovered", "409 refused volume_state"
HOLDS = "409 refused volume_held"

# By row, or scene: what comes of form one with `recover`.
NOBODYS = {
    **{f"N{number}": RECOVERED for number in (1, 2, 4, 5, 6, 7, 8, 9, 10, 11)},
    "N3": "409 refused server_exists",
    **{f"N{number}": STATE for number in (12, 13, 14, 15)},
    "N16": "200 detached",
}
ITS_SERVERS = {
    **{f"L{number}": HOLDS for number in range(2, 8)},
    **{f"L{number}": STATE for number in (8, 10, 11)},
    "L9": "200 already_detached",
    "L12": "409 refused server_exists",
}
ROWS = {
    **{f"{row}, nobody has it": expected for row, expected in NOBODYS.items()},
    **{f"{row}, its server has it": expected for row, expected in ITS_SERVERS.items()},
    **{name: HOLDS for name in SCENES if name.endswith("another server has it")},
    **{name: "409 refused server_unknown" for name in SCENES if name.endswith("by no server")},
    "SHELVED_OFFLOADED, to be deleted with its server": HOLDS,
    "root, SHELVED_OFFLOADED": HOLDS,
}


def _before(scene: str) -> str:
    row, _, who = scene.partition(", ")
    status, _, entry = stuck.ROWS["L1" if "SHELVED" in scene else row]
    return f"{status} [{entry or ''}], {'not held' if who == 'nobody has it' else 'held'}"


@pytest.fixture
def case(staged: StagedCase) -> StagedCase:
    staged.settings = ON
    return staged


@pytest.mark.parametrize("scene", ROWS)
def test_a_row(case: StagedCase, scene: str) -> None:
    expected = ROWS[scene]
    with SCENES[scene](case.stage) as disk:
        if scene.endswith("by no server"):
            before = f"detaching [{scene.partition(' ')[0]}], not held"
        else:
            before = _before(scene)
        after = FREE if expected in {RECOVERED, "200 detached"} else before
        answer = case.ask({"volume_id": disk.volume_id, "recover": True}, expected, (disk, before, after))
        [result] = answer.results
        assert result["changed"] is (after != before)


def stuck_at(case: StagedCase, server_id: str, row: str) -> Disk:
    """Give a volume that only the volume service holds for a server's, stuck as in a row."""
    disk = case.lab.recorded_disk(case.project_id, server_id)
    status, attach_status, entry = stuck.ROWS[row]
    case.lab.faults.write_record(disk, status, attach_status, entry)
    case.lab.faults.age(disk)
    return disk


@pytest.mark.parametrize("row", ["N1", "N5", "N6"])
def test_a_dry_run_says_what_would_be_sent(case: StagedCase, row: str) -> None:
    with SCENES[f"{row}, nobody has it"](case.stage) as disk:
        before = _before(f"{row}, nobody has it")
        work = {"volume_id": disk.volume_id, "recover": True, "dry_run": True}
        answer = case.ask(work, "200 would_detach", (disk, before, before)).document
        assert answer["via"] == ("os-unreserve" if row == "N1" else "os-detach")


def test_a_young_record_may_pass_by_itself(case: StagedCase) -> None:
    disk = case.lab.recorded_disk(case.project_id, str(uuid.uuid4()))
    case.lab.set_status(disk, "detaching")
    before = "detaching [attached], not held"
    work = {"volume_id": disk.volume_id, "recover": True}
    case.ask(work, f"{STATE} again", (disk, before, before))
    case.lab.faults.age(disk)
    case.ask(work, RECOVERED, (disk, before, FREE))
    case.ask(work, "200 already_detached", (disk, FREE, FREE))


def test_what_is_named_must_be_there(case: StagedCase) -> None:
    with SCENES["N6, nobody has it"](case.stage) as disk:
        before = _before("N6, nobody has it")
        work = {"volume_id": disk.volume_id, "attachment_id": str(uuid.uuid4()), "recover": True}
        case.ask(work, "409 refused attachment_unknown", (disk, before, before))
    with SCENES["N5, nobody has it"](case.stage) as disk:
        before = _before("N5, nobody has it")
        work = {"volume_id": disk.volume_id, "server_id": str(uuid.uuid4()), "recover": True}
        case.ask(work, "409 refused server_mismatch", (disk, before, before))


def test_a_server_that_was_stopped_and_lets_go_is_no_proof_for_a_stuck_record(case: StagedCase) -> None:
    case.settings = {**ON, "DETACH_SERVER_CHECK": "not-held"}
    with case.stage.held() as other:
        case.lab.stop(other.server_id)
        disk = stuck_at(case, other.server_id, "N5")
        before = _before("N5, nobody has it")
        work = {"volume_id": disk.volume_id, "recover": True}
        case.ask(work, "409 refused server_exists", (disk, before, before))
        case.lab.send(other.server_id, "os-start", "ACTIVE")


def test_a_server_whose_deletion_is_not_on_record_is_no_proof_where_that_is_asked_for(
    case: StagedCase,
) -> None:
    case.settings = {**ON, "DETACH_SERVER_CHECK": "recorded"}
    with SCENES["N5, nobody has it"](case.stage) as disk:
        before = _before("N5, nobody has it")
        work = {"volume_id": disk.volume_id, "recover": True}
        case.ask(work, "409 refused server_unknown", (disk, before, before))


def test_a_server_deleted_on_record_is_proof(case: StagedCase) -> None:
    case.settings = {**ON, "DETACH_SERVER_CHECK": "recorded"}
    server = case.lab.boot(case.project_id)
    disk = stuck_at(case, server, "N5")
    case.lab.vanish(server)
    work = {"volume_id": disk.volume_id, "attachment_id": disk.attachment_id, "recover": True}
    case.ask(work, RECOVERED, (disk, _before("N5, nobody has it"), FREE))


def test_a_soft_deleted_server_keeps_what_it_has(case: StagedCase) -> None:
    """No list shows it but that of changes; its entry names another server, or is lost."""
    for row in ("N5", "N6"):
        with SCENES[f"{row}, another server has it"](case.stage) as disk:
            case.lab.soft_delete(disk.others[0])
            before = _before(f"{row}, another server has it")
            case.ask({"volume_id": disk.volume_id, "recover": True}, HOLDS, (disk, before, before))
            case.lab.send(disk.others[0], "restore", "ACTIVE")


def test_a_server_that_is_being_built_has_its_reservation_left(case: StagedCase) -> None:
    with SCENES["BUILD, scheduling"](case.stage) as disk:
        case.lab.faults.age(disk)
        before = "reserved [reserved], not held"
        work = {"volume_id": disk.volume_id, "recover": True}
        case.ask(work, "409 refused server_exists", (disk, before, before))


def test_a_server_that_is_built_since_before_the_mark_may_want_the_disk(case: StagedCase) -> None:
    with SCENES["BUILD, spawning"](case.stage) as built, SCENES["N6, nobody has it"](case.stage) as disk:
        before = _before("N6, nobody has it")
        work = {"volume_id": disk.volume_id, "recover": True}
        case.lab.faults.age_server(built.server_id)
        case.ask(work, "409 refused server_busy again", (disk, before, before))


def test_a_server_that_is_built_since_after_the_mark_is_in_nobodys_way(case: StagedCase) -> None:
    with SCENES["BUILD, spawning"](case.stage), SCENES["N6, nobody has it"](case.stage) as disk:
        work = {"volume_id": disk.volume_id, "recover": True}
        case.ask(work, RECOVERED, (disk, _before("N6, nobody has it"), FREE))


def test_of_a_shared_disk_that_a_server_has_no_entry_is_freed(case: StagedCase) -> None:
    with case.stage.held() as other:
        disk = case.lab.disk(case.project_id, other.server_id, str(uuid.uuid4()))
        case.lab.faults.write_record(disk, "detaching", "attached")
        case.lab.faults.age(disk)
        before = "detaching [attached, attached], held"
        work = {"volume_id": disk.volume_id, "recover": True}
        case.ask(work, "409 refused attachment_required", (disk, before, before))
        for link, code in zip(disk.links, ("volume_held", "volume_held"), strict=True):
            named = {**work, "attachment_id": link.attachment_id}
            case.ask(named, f"409 refused {code}", (disk, before, before))
        case.lab.faults.free(disk)
        case.lab.forget(other.server_id, disk.volume_id)


def test_of_a_shared_disk_that_nobody_has_the_named_entry_is_freed(case: StagedCase) -> None:
    disk = case.lab.disk(case.project_id, str(uuid.uuid4()), str(uuid.uuid4()))
    case.lab.faults.write_record(disk, "detaching", "attached")
    case.lab.faults.age(disk)
    work = {"volume_id": disk.volume_id, "attachment_id": disk.attachment_id, "recover": True}
    left = "in-use [attached], not held"
    case.ask(work, RECOVERED, (disk, "detaching [attached, attached], not held", left))
    assert case.lab.links(disk.volume_id) == disk.links[1:]


def test_a_shared_disk_without_an_entry_is_an_administrators(case: StagedCase) -> None:
    disk = case.lab.disk(case.project_id, str(uuid.uuid4()), str(uuid.uuid4()))
    with case.lab.faults.lose_entries(disk):
        case.lab.faults.write_record(disk, "detaching", "attached")
        case.lab.faults.age(disk)
        before = "detaching [], not held"
        case.ask({"volume_id": disk.volume_id, "recover": True}, STATE, (disk, before, before))


def test_a_batch_recovers_each_on_its_own(case: StagedCase) -> None:
    with contextlib.ExitStack() as until:
        rows = ("N1", "N5", "N6", "N13")
        scenes = [f"{row}, nobody has it" for row in rows]
        disks = [until.enter_context(SCENES[scene](case.stage)) for scene in scenes]
        work = {"targets": [{"volume_id": disk.volume_id, "recover": True} for disk in disks]}
        befores = [_before(scene) for scene in scenes]
        volumes = [
            (disk, before, before if row == "N13" else FREE)
            for disk, before, row in zip(disks, befores, rows, strict=True)
        ]
        case.ask(work, "207 recovered x3, refused volume_state", *volumes)


def test_a_sweep_frees_what_has_an_entry_and_shows_the_rest(case: StagedCase) -> None:
    bounds = {"DETACH_SWEEP_DRY_RUN": "false", "DETACH_SWEEP_MIN_AGE_SECONDS": "0"}
    case.settings = {**ON, **bounds, "DETACH_SWEEP_MAX_FRACTION": "1"}
    with contextlib.ExitStack() as until:
        rows = ("N2", "N4", "N5", "N6", "N1", "N9")
        scenes = [f"{row}, nobody has it" for row in rows]
        held = until.enter_context(SCENES["L5, its server has it"](case.stage))
        disks = [until.enter_context(SCENES[scene](case.stage)) for scene in scenes]
        befores = [_before(scene) for scene in scenes]
        volumes = [
            (disk, before, before if row in {"N1", "N6"} else FREE)
            for disk, before, row in zip(disks, befores, rows, strict=True)
        ]
        kept = _before("L5, its server has it")
        asked = [held.volume_id, *(disk.volume_id for disk in disks)]
        expected = "207 recovered x4, refused volume_held, refused volume_state x2"
        work = {"sweep": {"recover": True, "volume_ids": asked}}
        case.ask(work, expected, *volumes, (held, kept, kept))
