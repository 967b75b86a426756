"""Form *sweep*: every orphan of a project, and nothing else."""

from __future__ import annotations

import time
import uuid
from typing import TYPE_CHECKING

import pytest

from tests.contract.test_one import FREE, HELD

if TYPE_CHECKING:
    from tests.contract.case import Case
    from tests.contract.lab import Disk

_BOLD = {"DETACH_SWEEP_DRY_RUN": "false", "DETACH_SWEEP_MIN_AGE_SECONDS": "0", "DETACH_SWEEP_LIMIT": "20"}


def _told_of(answer_results: list[dict[str, str]]) -> set[tuple[str, str]]:
    return {(result["volume_id"], result["attachment_id"]) for result in answer_results}


def _named(disks: list[Disk]) -> set[tuple[str, str]]:
    return {(disk.volume_id, disk.attachment_id) for disk in disks}


def test_ten_orphans_among_thirty_volumes_are_found_and_cleared(case_alone: Case) -> None:
    case = case_alone
    case.settings = _BOLD
    live, gone, stopped = (case.lab.boot(case.project_id) for _ in range(3))
    never_known = [str(uuid.uuid4()) for _ in range(7)]
    shared, *disks = case.disks(
        (live, gone),
        *[(live,)] * 6,
        *[(stopped,)] * 4,
        *[(gone,)] * 4,
        *zip(never_known, strict=True),
        *[()] * 8,
    )
    held, orphans, stuck, free = disks[:10], disks[10:19], disks[19:21], disks[21:]
    case.lab.stop(stopped)
    case.lab.vanish(gone)
    for disk in stuck:
        case.lab.set_status(disk, "error_detaching")
    kept = [(disk, HELD, HELD) for disk in held] + [(disk, FREE, FREE) for disk in free]
    kept += [(disk, "error_detaching 1", "error_detaching 1") for disk in stuck]
    assert len([shared, *held, *orphans, *stuck, *free]) == 30

    dry = case.ask(
        {"sweep": {"dry_run": True}},
        "200 would_detach x10",
        *kept,
        *((disk, HELD, HELD) for disk in orphans),
        (shared, "in-use 2", "in-use 2"),
    )
    expected = _named(orphans) | {(shared.volume_id, shared.links[1].attachment_id)}
    assert _told_of(dry.results) == expected
    assert dry.document["scanned"]["candidates"] == 10

    applied = case.ask(
        {"sweep": {}},
        "200 detached x10",
        *kept,
        *((disk, HELD, FREE) for disk in orphans),
        (shared, "in-use 2", HELD),
    )
    assert _told_of(applied.results) == expected
    assert case.lab.look(shared.volume_id).links == (shared.links[0],)
    assert sorted(case.lab.held(live)) == sorted([*(disk.volume_id for disk in held[:6]), shared.volume_id])

    case.ask({"sweep": {}}, "200 no results", *kept)


@pytest.fixture
def case_with_three_orphans(case_alone: Case) -> tuple[Case, list[Disk]]:
    case_alone.settings = _BOLD
    case_alone.at_live_server()
    return case_alone, case_alone.disks(*((str(uuid.uuid4()),) for _ in range(3)))


def test_a_sweep_is_dry_unless_its_deployment_says_otherwise(
    case_with_three_orphans: tuple[Case, list[Disk]],
) -> None:
    case, disks = case_with_three_orphans
    case.settings = {"DETACH_SWEEP_MIN_AGE_SECONDS": "0"}
    expected = "200 would_detach x3"
    kept = [(disk, HELD, HELD) for disk in disks]
    case.ask({"sweep": {"dry_run": False}}, expected, *kept)


def test_a_sweep_clears_the_oldest_and_no_more_than_its_limit(case_alone: Case) -> None:
    case = case_alone
    case.settings = _BOLD
    case.lab.boot(case.project_id)
    first = case.never_known()
    time.sleep(1.1)  # a real volume service may keep whole seconds only
    second = case.never_known()
    time.sleep(1.1)
    third = case.never_known()
    answer = case.ask(
        {"sweep": {"limit": 2}},
        "200 detached x2",
        *((first, HELD, FREE), (second, HELD, FREE), (third, HELD, HELD)),
    ).document
    assert answer["complete"] is False
    assert answer["scanned"]["skipped"]["over_limit"] == 1


def test_a_sweep_leaves_young_attachments_alone(case_with_three_orphans: tuple[Case, list[Disk]]) -> None:
    case, disks = case_with_three_orphans
    kept = [(disk, HELD, HELD) for disk in disks]
    answer = case.ask({"sweep": {"min_age_seconds": 900}}, "200 no results", *kept).document
    assert answer["scanned"]["skipped"]["too_young"] == 3


def test_a_sweep_keeps_to_the_volumes_and_servers_that_it_is_given(
    case_with_three_orphans: tuple[Case, list[Disk]],
) -> None:
    case, disks = case_with_three_orphans
    first, second, third = disks
    work = {"sweep": {"volume_ids": [first.volume_id, second.volume_id], "server_ids": [second.server_id]}}
    case.ask(work, "200 detached", (first, HELD, HELD), (second, HELD, FREE), (third, HELD, HELD))


def test_a_sweep_of_a_project_without_servers_is_refused(case_alone: Case) -> None:
    case_alone.settings = _BOLD
    disk = case_alone.never_known()
    answer = case_alone.ask(
        {"sweep": {}}, "409 refused sweep_refused in all: sweep_refused", (disk, HELD, HELD)
    )
    assert answer.document["scanned"]["candidates"] == 1


def test_a_sweep_that_finds_mostly_orphans_is_refused(case_alone: Case) -> None:
    case_alone.settings = _BOLD
    live = case_alone.at_live_server()
    disks = case_alone.disks(*((str(uuid.uuid4()),) for _ in range(10)))
    kept = [(disk, HELD, HELD) for disk in [live, *disks]]
    case_alone.ask({"sweep": {}}, "409 refused sweep_refused x10 in all: sweep_refused", *kept)
