"""A live server's disk whose detach goes wrong or takes its time, as the function follows it."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from tests.contract.scenes import FREE, HELD
from tests.contract.test_live import ON, ids, live

if TYPE_CHECKING:
    from tests.contract.case import StagedCase

SHORT = {**ON, "DETACH_TIMEOUT": "11", "DETACH_READ_TIMEOUT": "5"}
UNDER_WAY = "detaching [attached], held"
UNCONFIRMED, DONE = "202 unconfirmed not_confirmed again", "200 already_detached"


@pytest.fixture
def background() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as pool:
        yield pool


@pytest.fixture
def case(staged: StagedCase) -> StagedCase:
    staged.settings = ON
    return staged


def test_a_guest_that_keeps_its_disk_is_told_and_nothing_is_lost(case: StagedCase) -> None:
    with case.stage.held() as disk:
        with case.lab.hypervisor(fails="guest"):
            answer = case.ask(live(disk), "409 refused guest_refused", (disk, HELD, HELD)).document
            assert (answer["changed"], answer["job"]["state"]) == (False, "failed")
            case.ask(live(disk), "409 refused guest_refused", (disk, HELD, HELD))
        case.ask(live(disk), "200 detached", (disk, HELD, FREE))


def test_a_detach_that_failed_half_way_is_taken_up_by_both_words_only(case: StagedCase) -> None:
    # A server of its own: one with very many detaches since the mark is not read to its end
    disk = case.lab.disk(case.project_id, case.lab.boot(case.project_id))
    with case.lab.hypervisor(fails="cinder"):
        answer = case.ask(live(disk), "502 failed not_recovered", (disk, HELD, UNDER_WAY)).document
        assert answer["job"]["state"] == "failed"
    case.ask(live(disk), "502 failed not_recovered", (disk, UNDER_WAY, UNDER_WAY))
    young = "409 refused volume_state again"
    case.ask({"volume_id": disk.volume_id, "recover": True}, young, (disk, UNDER_WAY, UNDER_WAY))
    case.lab.faults.age(disk)
    refused = "409 refused volume_held"
    case.ask({"volume_id": disk.volume_id, "recover": True}, refused, (disk, UNDER_WAY, UNDER_WAY))
    dry = live(disk, recover=True, dry_run=True)
    case.ask(dry, "200 would_detach", (disk, UNDER_WAY, UNDER_WAY))
    case.ask(live(disk, recover=True), "200 detached", (disk, UNDER_WAY, FREE))


def test_a_slow_guest_is_followed_and_nothing_is_sent_again(case: StagedCase) -> None:
    case.settings = SHORT
    with case.stage.held() as disk:
        before = case.detaches(disk.server_id)
        with case.lab.hypervisor(waits=True):
            answer = case.ask(live(disk), UNCONFIRMED, (disk, HELD, UNDER_WAY)).document
            assert answer["job"]["state"] == "running"
            case.ask(live(disk), UNCONFIRMED, (disk, UNDER_WAY, UNDER_WAY))
            plain = "409 refused volume_state again"
            case.ask(ids(disk), plain, (disk, UNDER_WAY, UNDER_WAY))
            case.ask({**ids(disk), "recover": True}, plain, (disk, UNDER_WAY, UNDER_WAY))
            case.ask(live(disk, dry_run=True), plain, (disk, UNDER_WAY, UNDER_WAY))
        case.becomes(disk, FREE)
        case.ask(live(disk), DONE, (disk, FREE, FREE))
        assert case.detaches(disk.server_id) == before + 1


def test_a_guest_that_lets_go_late_is_seen(case: StagedCase, background: ThreadPoolExecutor) -> None:
    with case.stage.held() as disk:
        with case.lab.hypervisor(waits=True):
            answer = background.submit(case.try_out, live(disk))
            case.becomes(disk, UNDER_WAY)
        assert answer.result().document["outcome"] == "detached"
        case.becomes(disk, FREE)


def test_a_host_that_does_not_answer_has_it_queued(case: StagedCase) -> None:
    case.settings = SHORT
    with case.stage.held() as disk:
        with case.lab.faults.host("silent"):
            answer = case.ask(live(disk), UNCONFIRMED, (disk, HELD, UNDER_WAY)).document
            assert answer["job"]["state"] == "queued"
            case.lab.faults.age(disk)
            both = live(disk, recover=True)
            case.ask(both, "409 refused server_busy again", (disk, UNDER_WAY, UNDER_WAY))
        case.becomes(disk, FREE)
        case.ask(live(disk), DONE, (disk, FREE, FREE))


def test_a_host_that_is_known_to_be_down_is_waited_for(case: StagedCase) -> None:
    with case.stage.held() as disk, case.lab.faults.host("down"):
        case.ask(live(disk), "409 refused server_busy (409)", (disk, HELD, HELD))


def test_a_function_that_dies_after_the_call_is_followed_by_the_next(
    case: StagedCase, background: ThreadPoolExecutor
) -> None:
    with case.stage.held() as disk:
        before = case.detaches(disk.server_id)
        with case.lab.hypervisor(waits=True):
            lost = background.submit(case.try_out, live(disk))
            case.becomes(disk, UNDER_WAY)
            case.kill()
            assert isinstance(lost.exception(), OSError)
            case.settings = SHORT
            case.ask(live(disk), UNCONFIRMED, (disk, UNDER_WAY, UNDER_WAY))
        case.becomes(disk, FREE)
        case.ask(live(disk), DONE, (disk, FREE, FREE))
        assert case.detaches(disk.server_id) == before + 1


def test_an_entry_that_is_lost_meanwhile_leaves_a_record_for_recover(
    case: StagedCase, background: ThreadPoolExecutor
) -> None:
    with case.stage.held() as disk:
        with case.lab.hypervisor(waits=True):
            answer = background.submit(case.try_out, live(disk))
            case.becomes(disk, UNDER_WAY)
            # For good: what Nova has deleted by then does not come back
            lost = case.lab.faults.lose_entries(disk)
            lost.__enter__()
            case.becomes(disk, "detaching [], held")
        said = answer.result().document
        assert (said["error"]["code"], said["changed"]) == ("not_recovered", True)
        left = "detaching [], not held"
        case.becomes(disk, left)
        case.lab.faults.age(disk)
        case.ask({"volume_id": disk.volume_id, "recover": True}, "200 recovered", (disk, left, FREE))


def test_a_server_that_is_deleted_meanwhile_lets_go_first(
    case: StagedCase, background: ThreadPoolExecutor
) -> None:
    server = case.lab.boot(case.project_id)
    disk = case.lab.disk(case.project_id, server)
    with case.lab.hypervisor(waits=True):
        answer = background.submit(case.try_out, live(disk))
        case.becomes(disk, UNDER_WAY)
        case.lab.delete(server)
    assert answer.result().document["outcome"] == "detached"
    case.becomes(disk, FREE)


def test_a_mark_that_is_taken_back_meanwhile_harms_nothing(case: StagedCase) -> None:
    case.settings = SHORT
    with case.stage.held() as disk:
        with case.lab.hypervisor(waits=True):
            case.ask(live(disk), UNCONFIRMED, (disk, HELD, UNDER_WAY))
            assert case.wire.act(disk, "os-roll_detaching").status_code == 202
            case.ask(live(disk), UNCONFIRMED, (disk, HELD, UNDER_WAY))
        case.becomes(disk, FREE)
        case.ask(live(disk), DONE, (disk, FREE, FREE))


def test_a_mark_made_by_hand_is_nobodys_detach(case: StagedCase) -> None:
    server = case.lab.boot(case.project_id)
    disk = case.lab.disk(case.project_id, server)
    assert case.wire.act(disk, "os-begin_detaching").status_code == 202
    case.ask(live(disk), "502 failed not_recovered", (disk, UNDER_WAY, UNDER_WAY))
    case.lab.faults.age(disk)
    case.ask(live(disk, recover=True), "409 refused volume_held", (disk, UNDER_WAY, UNDER_WAY))
    assert case.detaches(server) == 0
    assert case.wire.act(disk, "os-roll_detaching").status_code == 202
    case.ask(live(disk), "200 detached", (disk, HELD, FREE))
    case.lab.vanish(server)
