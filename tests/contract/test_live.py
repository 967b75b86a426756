"""A live server's disk, for each row of the recorded tables: what the function makes of it, what is left."""

from __future__ import annotations

import contextlib
import uuid
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest

from tests.contract.scenes import FREE, HELD, SCENES, SERVERS

if TYPE_CHECKING:
    from tests.contract.case import StagedCase
    from tests.contract.lab import Disk

ON = {"DETACH_LIVE": "on", "DETACH_RECOVER": "on", "DETACH_TIMEOUT": "50"}  # a rig may be slow

# By scene: what comes of form one with `live`; the state before; after, where it is another.
ROWS: dict[str, tuple[str, ...]] = {
    "ACTIVE": ("200 detached", HELD, FREE),
    "SHUTOFF": ("200 detached", HELD, FREE),
    "PAUSED": ("409 refused server_busy", HELD),
    "SUSPENDED": ("409 refused server_busy", HELD),
    "RESCUE": ("409 refused server_busy", HELD),
    "ERROR": ("409 refused server_busy", HELD),
    "SOFT_DELETED": ("409 refused server_busy", HELD),
    "SHELVED": ("409 refused server_busy", HELD),
    "VERIFY_RESIZE": ("409 refused server_busy", HELD),
    "BUILD, scheduling": ("409 refused volume_state again", "reserved [reserved], not held"),
    "BUILD, spawning": ("409 refused server_busy again", HELD),
    **{task: ("409 refused server_busy again", HELD) for task in SERVERS if task.startswith("task ")},
    "locked by its user": ("409 refused server_locked", HELD),
    "locked by an administrator": ("409 refused server_locked", HELD),
    "root": ("409 refused root_volume (400)", HELD),
    "root, SHUTOFF": ("409 refused root_volume (400)", HELD),
    "root, SHELVED_OFFLOADED": ("409 refused volume_state", "reserved [reserved], held"),
    "SHELVED_OFFLOADED, to be deleted with its server": (
        "409 refused volume_state",
        "reserved [reserved], held",
    ),
    **{
        f"record {status}": ("409 refused volume_state", f"{status} [attached], held")
        for status in (
            *("maintenance", "error", "extending", "uploading"),
            *("reserved", "attaching", "error_detaching"),
        )
    },
    "L2, its server has it": ("409 refused volume_state", "attaching [attaching], held"),
    "L6, its server has it": ("409 refused volume_state", "error_attaching [error_attaching], held"),
    "L7, its server has it": ("409 refused volume_state", "in-use [], held"),
    "L8, its server has it": ("409 refused volume_state", "available [attached], held"),
    "L9, its server has it": ("200 already_detached", "available [], held"),
}


def ids(disk: Disk) -> dict[str, Any]:
    return {"volume_id": disk.volume_id, "attachment_id": disk.attachment_id, "server_id": disk.server_id}


def live(disk: Disk, **keys: Any) -> dict[str, Any]:
    return {**ids(disk), "live": True, **keys}


@pytest.mark.parametrize("scene", ROWS)
def test_a_row(staged: StagedCase, scene: str) -> None:
    staged.settings = ON
    expected, before, *after = ROWS[scene]
    with SCENES[scene](staged.stage) as disk:
        answer = staged.ask(live(disk), expected, (disk, before, (after or [before])[0]))
        [result] = answer.results
        assert result["changed"] is bool(after)


@pytest.fixture
def case(staged: StagedCase) -> StagedCase:
    staged.settings = ON
    return staged


@pytest.mark.parametrize(
    ("action", "status", "back"), [("suspend", "SUSPENDED", "resume"), ("lock", "ACTIVE", "unlock")]
)
def test_what_was_in_the_way_and_is_not_any_more(
    case: StagedCase, action: str, status: str, back: str
) -> None:
    with case.stage.held() as disk:
        case.lab.send(disk.server_id, action, status)
        code = "server_locked" if action == "lock" else "server_busy"
        case.ask(live(disk), f"409 refused {code}", (disk, HELD, HELD))
        case.lab.send(disk.server_id, back, "ACTIVE")
        case.ask(live(disk), "200 detached", (disk, HELD, FREE))


def test_a_dry_run_detaches_nothing(case: StagedCase) -> None:
    with case.stage.held() as disk:
        answer = case.ask(live(disk, dry_run=True), "200 would_detach", (disk, HELD, HELD)).document
        assert (answer["via"], answer["changed"]) == ("compute", False)


def test_a_running_servers_disk_outlives_the_word_that_it_should_be_deleted_with_it(case: StagedCase) -> None:
    with case.stage.held() as other, case.stage.free() as free:
        disk = case.lab.faults.plug(free, other.server_id, delete_on_termination=True)
        case.ask(live(disk), "200 detached", (disk, HELD, FREE))


def test_a_data_disk_of_a_server_that_starts_from_a_volume_is_detached(case: StagedCase) -> None:
    with SCENES["root"](case.stage) as root, case.stage.free() as free:
        disk = case.lab.faults.plug(free, root.server_id)
        case.ask(live(disk), "200 detached", (disk, HELD, FREE), (root, HELD, HELD))


def test_six_disks_of_one_server_are_detached_in_one_batch(case: StagedCase) -> None:
    with contextlib.ExitStack() as until:
        server = until.enter_context(case.stage.held()).server_id
        free = [until.enter_context(case.stage.free()) for _ in range(6)]
        disks = [case.lab.faults.plug(disk, server) for disk in free]
        work = {"targets": [live(disk) for disk in disks]}
        case.ask(work, "200 detached x6", *((disk, HELD, FREE) for disk in disks))


def test_a_shared_disk_is_let_go_by_one_after_the_other(case: StagedCase) -> None:
    servers = [case.lab.boot(case.project_id) for _ in range(2)]
    both = "in-use [attached, attached], held"
    disk = case.lab.disk(case.project_id, *servers)
    first = live(disk)
    second = {**first, "attachment_id": disk.links[1].attachment_id, "server_id": servers[1]}
    case.ask(first, "200 detached", (disk, both, HELD))
    case.ask(first, "200 already_detached", (disk, HELD, HELD))
    assert case.lab.held(servers[1]) == [disk.volume_id]
    case.ask(second, "200 detached", (disk, HELD, FREE))


def test_two_entries_of_one_server_are_told_apart_by_nobody(case: StagedCase) -> None:
    servers = [case.lab.boot(case.project_id) for _ in range(2)]
    both = "in-use [attached, attached], held"
    disk = case.lab.disk(case.project_id, *servers)
    case.lab.faults.rename_entries(disk, servers[0])
    case.ask(live(disk), "409 refused attachment_unknown", (disk, both, both))


def test_an_entry_that_the_server_does_not_know_is_stale(case: StagedCase) -> None:
    server = case.lab.boot(case.project_id)
    disk = case.lab.disk(case.project_id, server)
    case.lab.faults.free(disk)
    disk = case.lab.faults.entry(disk, server, connected=True)
    case.lab.faults.write_record(disk, "in-use", "attached", "attached")
    case.ask(live(disk), "409 refused server_exists", (disk, HELD, HELD))
    assert case.lab.held(server) == [disk.volume_id]


def test_a_reservation_of_another_server_stands_in_the_way_until_it_is_freed(case: StagedCase) -> None:
    server = case.lab.boot(case.project_id)
    disk = case.lab.disk(case.project_id, server, str(uuid.uuid4()))
    case.lab.faults.write_entry(disk.links[1], "reserved")
    case.lab.faults.write_record(disk, "reserved", "attached")
    case.lab.faults.age(disk)
    marked = "reserved [attached, reserved], held"
    case.ask(live(disk), "409 refused volume_state", (disk, marked, marked))
    free = {"volume_id": disk.volume_id, "recover": True}
    case.ask(free, "409 refused attachment_required", (disk, marked, marked))
    free["attachment_id"] = disk.links[1].attachment_id
    # Another entry's server has the disk: whoever made the reservation takes it back
    case.ask(free, "409 refused volume_held", (disk, marked, marked))
    assert case.wire.entries(f"/{disk.links[1].attachment_id}", method="DELETE").status_code == 200
    case.ask(live(disk), "200 detached", (disk, HELD, FREE))


# What is named.


def test_a_server_that_is_gone_is_the_plain_rules(case: StagedCase) -> None:
    server = case.lab.boot(case.project_id)
    disk = case.lab.disk(case.project_id, server)
    case.lab.vanish(server)
    late = live(disk, not_after="2020-01-01T00:00:00Z")
    before = "in-use [attached], not held"
    answer = case.ask(late, "200 detached", (disk, before, FREE)).document
    assert answer["via"] == "os-detach"


def test_a_volume_that_nobody_knows_is_absent(case: StagedCase) -> None:
    with case.stage.held() as disk:
        case.ask(live(disk, volume_id=str(uuid.uuid4())), "200 volume_absent", (disk, HELD, HELD))
        with case.lab.faults.lose_record(disk):
            lost = case.state(disk)
            case.ask(live(disk), "200 volume_absent", (disk, lost, lost))
            assert case.lab.holds(disk.server_id, disk.volume_id)


def test_what_is_named_must_fit(case: StagedCase) -> None:
    with case.stage.held() as disk:
        other = live(disk, server_id=str(uuid.uuid4()))
        case.ask(other, "409 refused server_mismatch", (disk, HELD, HELD))
        made_up = live(disk, attachment_id=str(uuid.uuid4()))
        case.ask(made_up, "200 already_detached", (disk, HELD, HELD))
        without = {"volume_id": disk.volume_id, "attachment_id": disk.attachment_id, "live": True}
        case.ask(without, "400 failed invalid_request", (disk, HELD, HELD))


def test_ids_may_be_in_upper_case(case: StagedCase) -> None:
    with case.stage.held() as disk:
        named = {name: value.upper() for name, value in ids(disk).items()}
        case.ask({**named, "live": True}, "200 detached", (disk, HELD, FREE))


def test_a_disk_that_a_running_server_does_not_list_is_kept(case: StagedCase) -> None:
    server = case.lab.boot(case.project_id)
    disk = case.lab.disk(case.project_id, server)
    case.lab.forget(server, disk.volume_id)
    left = "in-use [attached], not held"
    case.ask(live(disk), "409 refused server_exists", (disk, left, left))


# Late and repeated events.


@pytest.mark.parametrize("where", ["the same server", "another server"])
def test_a_repeated_event_does_not_meet_a_newer_attachment(case: StagedCase, where: str) -> None:
    with case.stage.held() as disk:
        event = live(disk)
        case.ask(event, "200 detached", (disk, HELD, FREE))
        server = disk.server_id if where == "the same server" else case.lab.boot(case.project_id)
        anew = case.lab.faults.plug(disk, server)
        for _ in range(2):
            case.ask(event, "200 already_detached", (anew, HELD, HELD))
        case.ask(live(anew), "200 detached", (anew, HELD, FREE))


def test_an_event_counts_until_its_not_after(case: StagedCase) -> None:
    with case.stage.held() as disk:
        past, ahead = (
            (datetime.now(timezone.utc) + timedelta(seconds=seconds)).isoformat() for seconds in (-1, 600)
        )
        case.ask(live(disk, not_after=past), "409 refused live_expired", (disk, HELD, HELD))
        case.ask(live(disk, not_after=ahead), "200 detached", (disk, HELD, FREE))


# Who asks.


def _by(case: StagedCase, role: str) -> dict[str, str]:
    user = case.lab.user(case.project_id, role=role)
    secret = {"username": user.name, "password": user.password, "domain": "Default"}
    return {**ON, "DETACH_TOKEN_SECRET": case.home.functions.secret(secret)}


def test_a_reader_detaches_nothing(case: StagedCase) -> None:
    case.settings = _by(case, "reader")
    with case.stage.held() as disk:
        case.ask(live(disk), "502 failed permission_denied (403)", (disk, HELD, HELD))


def test_an_administrators_token_stops_at_a_lock_all_the_same(case: StagedCase) -> None:
    case.settings = _by(case, "admin")
    with case.stage.held() as disk:
        case.ask(live(disk), "500 failed configuration", (disk, HELD, HELD))
        case.settings = {**case.settings, "DETACH_LIVE": "admin"}
        case.lab.send(disk.server_id, "lock", "ACTIVE")
        case.ask(live(disk), "409 refused server_locked", (disk, HELD, HELD))
        case.lab.send(disk.server_id, "unlock", "ACTIVE")
        case.ask(live(disk), "200 detached", (disk, HELD, FREE))
