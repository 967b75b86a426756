"""What keeps a sweep from clearing too much: bounds, filters, interlocks, time."""

from __future__ import annotations

import threading
import time
import uuid
from datetime import timedelta
from typing import Any

import pytest

from handler.actions.lists import LeftOut
from handler.actions.sweep import MOST_REPORTED, sweep
from handler.errors import ErrorCode
from handler.model.request import SweepBounds
from handler.model.result import Findings, ManyResult, Outcome, TargetResult
from handler.model.values import epoch
from tests.embedded_cloud import Attachment, Call, Cloud
from tests.unit.embedded_project import EmbeddedProject


def skipped(result: ManyResult) -> tuple[int, int, int]:
    assert result.scanned is not None
    of = result.scanned.skipped
    return of.too_young, of.filtered, of.over_limit


def candidates(result: ManyResult) -> int:
    assert result.scanned is not None
    return result.scanned.candidates


def code(result: ManyResult) -> str | None:
    return result.error.code.value if result.error else None


# What it finds.


def test_only_attachments_whose_server_is_not_listed_are_touched(
    bare_cloud: Cloud, project: EmbeddedProject
) -> None:
    held = project.add_held(12)
    orphans = {project.add_orphan()[0] for _ in range(3)}
    bare_cloud.add_volume(attachments=[None])  # a host holds it
    bare_cloud.add_volume(status="available")

    result = project.sweep()

    assert result.ok
    assert {part.volume_id for part in result.results} == orphans
    assert all(bare_cloud.volume(id_).status == "available" for id_ in orphans)
    assert all(bare_cloud.volume(id_).status == "in-use" for id_ in held)


def test_a_cloud_that_ignores_the_status_is_checked_again(
    bare_cloud: Cloud, project: EmbeddedProject
) -> None:
    bare_cloud.ignore_filters.add("status")
    project.add_held(2)
    orphan, *_ = project.add_orphan()
    stuck, *_ = project.add_orphan(status="error")
    result = project.sweep()

    assert [part.volume_id for part in result.results] == [orphan]
    assert bare_cloud.volume(stuck).attachments
    assert result.scanned is not None
    assert result.scanned.volumes == 4


def test_an_attachment_without_an_id_is_no_candidate(bare_cloud: Cloud, project: EmbeddedProject) -> None:
    project.add_held(2)
    nameless = Attachment("not a uuid", str(uuid.uuid4()), "/dev/vdb", bare_cloud.stamp(timedelta(days=1)))
    bare_cloud.add_volume(attachments=[nameless])

    result = project.sweep()

    assert result.ok
    assert candidates(result) == 0


def test_oldest_first_whatever_the_order_of_the_list(bare_cloud: Cloud, project: EmbeddedProject) -> None:
    project.add_held(10)
    ages = [5, 90, 1, 30, 60]
    made = {age: project.add_orphan(attached_at=timedelta(days=age))[0] for age in ages}

    result = project.sweep(services=project.services(DETACH_CONCURRENCY=1))

    assert [part.volume_id for part in result.results] == [made[age] for age in sorted(ages, reverse=True)]
    posts = [call.path.split("/")[-2] for call in bare_cloud.posts()]
    assert posts == [part.volume_id for part in result.results]


def test_several_orphans_of_one_volume_go_one_after_the_other(
    bare_cloud: Cloud, project: EmbeddedProject
) -> None:
    project.add_held(12)
    shared = bare_cloud.add_volume(attachments=[str(uuid.uuid4()) for _ in range(5)])
    under_way = threading.Lock()
    bare_cloud.latency = 0.01
    overlaps: list[str] = []

    def hook(call: Call) -> None:
        if call.method == "POST":
            if not under_way.acquire(blocking=False):
                overlaps.append(call.path)
        elif shared.id in call.path and under_way.locked():
            under_way.release()

    bare_cloud.hook(hook)

    result = project.sweep()

    assert result.summary == {"detached": 5}
    assert not overlaps
    assert bare_cloud.volume(shared.id).status == "available"
    assert sorted(part.remaining_attachments or 0 for part in result.results) == [0, 1, 2, 3, 4]


def test_a_shared_volumes_living_attachment_stays(bare_cloud: Cloud, project: EmbeddedProject) -> None:
    project.add_held(4)
    living = bare_cloud.add_server()
    shared = bare_cloud.add_volume(attachments=[living, str(uuid.uuid4())])

    result = project.sweep()

    assert result.summary == {"detached": 1}
    assert [left.server_id for left in bare_cloud.volume(shared.id).attachments] == [living.id]


# Between listing and check.


def test_a_server_that_appears_after_the_listing_keeps_its_disk(
    bare_cloud: Cloud, project: EmbeddedProject
) -> None:
    project.add_held(4)
    volume_id, attachment_id, server_id = project.add_orphan()

    def hook(call: Call) -> None:
        if call.path.endswith(f"/servers/{server_id}") and server_id not in {
            s.id for s in bare_cloud.servers
        }:
            bare_cloud.add_server(server_id)

    bare_cloud.hook(hook)

    result = project.sweep()

    assert [part.error.code.value for part in result.results if part.error] == ["server_exists"]
    assert bare_cloud.volume(volume_id).attachment(attachment_id) is not None
    assert not bare_cloud.posts()


def test_an_attachment_that_moved_since_the_listing_is_kept(
    bare_cloud: Cloud, project: EmbeddedProject
) -> None:
    project.add_held(4)
    volume_id, attachment_id, _server_id = project.add_orphan()

    def hook(call: Call) -> None:
        if call.path.endswith(f"/volumes/{volume_id}"):
            bare_cloud.volume(volume_id).attachments[0].server_id = str(uuid.uuid4())

    bare_cloud.hook(hook)

    result = project.sweep()

    assert [part.error.code.value for part in result.results if part.error] == ["server_mismatch"]
    assert bare_cloud.volume(volume_id).attachment(attachment_id) is not None
    assert not bare_cloud.posts()


def test_a_volume_that_is_gone_by_then_is_no_fault(bare_cloud: Cloud, project: EmbeddedProject) -> None:
    project.add_held(4)
    volume_id, *_ = project.add_orphan()
    bare_cloud.hook(lambda call: volume_id in call.path and bare_cloud.world.volumes.pop(volume_id, None))

    result = project.sweep()

    assert result.ok
    assert result.summary == {"volume_absent": 1}


# Dry run, limit, age.


@pytest.mark.parametrize(("setting", "event"), [("true", False), ("false", True), ("true", True)])
def test_a_dry_run_said_anywhere_wins(
    bare_cloud: Cloud, project: EmbeddedProject, setting: str, event: bool
) -> None:
    project.add_held(4)
    volume_id, *_ = project.add_orphan()

    result = project.sweep(project.services(DETACH_SWEEP_DRY_RUN=setting), dry_run=event)

    assert result.ok
    assert [(part.outcome, part.dry_run, part.changed) for part in result.results] == [
        (Outcome.WOULD_DETACH, True, False)
    ]
    assert not bare_cloud.posts()
    assert bare_cloud.volume(volume_id).attachments


def test_it_is_a_dry_run_unless_the_settings_say_otherwise(
    bare_cloud: Cloud, project: EmbeddedProject
) -> None:
    project.settings.clear()
    project.add_held(4)
    project.add_orphan()

    assert project.sweep().summary == {"would_detach": 1}
    assert not bare_cloud.posts()


@pytest.mark.parametrize("dry_run", [False, True])
@pytest.mark.parametrize(("setting", "event", "expected"), [(3, None, 3), (3, 5, 3), (5, 3, 3), (20, 0, 0)])
def test_the_smaller_limit_holds(
    bare_cloud: Cloud, project: EmbeddedProject, setting: int, event: int | None, expected: int, dry_run: bool
) -> None:
    project.add_held(10)
    for _ in range(6):
        project.add_orphan()

    result = project.sweep(project.services(DETACH_SWEEP_LIMIT=setting), limit=event, dry_run=dry_run)

    assert result.ok
    assert not result.complete
    assert len(result.results) == expected
    assert skipped(result) == (0, 0, 6 - expected)
    assert len(bare_cloud.posts()) == (0 if dry_run else expected)


def test_a_limit_that_is_just_enough_leaves_nothing_undone(project: EmbeddedProject) -> None:
    project.add_held(6)
    for _ in range(4):
        project.add_orphan()

    result = project.sweep(limit=4)

    assert result.complete
    assert skipped(result) == (0, 0, 0)


def test_the_limit_counts_clearings_and_not_looks(bare_cloud: Cloud, project: EmbeddedProject) -> None:
    project.add_held(20)
    alive = [project.add_orphan(attached_at=timedelta(days=90)) for _ in range(6)]
    for _ in range(4):
        project.add_orphan(attached_at=timedelta(days=30))

    def hook(call: Call) -> None:
        for _, _, server_id in alive:
            if call.path.endswith(f"/servers/{server_id}") and server_id not in bare_cloud.world.servers:
                bare_cloud.add_server(server_id)

    bare_cloud.hook(hook)

    result = project.sweep(limit=2)

    assert result.summary == {"refused": 6, "detached": 2}
    assert skipped(result) == (0, 0, 2)
    assert len(bare_cloud.posts()) == 2


@pytest.mark.usefixtures("short_looks")
def test_a_clearing_that_may_have_happened_counts(bare_cloud: Cloud, project: EmbeddedProject) -> None:
    project.add_held(10)
    for _ in range(4):
        project.add_orphan()
    bare_cloud.misbehave("volume", "POST", times=None, status=503)

    result = project.sweep(limit=2)

    assert [(part.outcome, part.changed) for part in result.results] == [(Outcome.FAILED, None)] * 2
    assert skipped(result) == (0, 0, 2)


def test_young_attachments_are_left_alone_and_those_of_unknown_age_are_young(
    bare_cloud: Cloud, project: EmbeddedProject
) -> None:
    project.add_held(10)
    old, *_ = project.add_orphan(attached_at=timedelta(seconds=930))
    project.add_orphan(attached_at=timedelta(seconds=870))
    project.add_orphan(attached_at=timedelta(days=-1))
    for odd in (None, "", "yesterday", "2026-13-45T99:00:00"):
        age = Attachment(str(uuid.uuid4()), str(uuid.uuid4()), "/dev/vdb", odd)
        bare_cloud.add_volume(attachments=[age])

    result = project.sweep()

    assert [part.volume_id for part in result.results] == [old]
    assert result.complete
    assert candidates(result) == 7
    assert skipped(result) == (6, 0, 0)


@pytest.mark.parametrize(
    ("setting", "event", "found"), [(900, 60, 0), (60, 900, 0), (60, 60, 1), (900, None, 0), (60, 0, 1)]
)
def test_the_greater_age_holds(project: EmbeddedProject, setting: int, event: int | None, found: int) -> None:
    project.add_held(2)
    project.add_orphan(attached_at=timedelta(seconds=300))

    result = project.sweep(project.services(DETACH_SWEEP_MIN_AGE_SECONDS=setting), min_age_seconds=event)

    assert len(result.results) == found
    assert skipped(result) == (1 - found, 0, 0)


@pytest.mark.parametrize(("seconds", "found"), [(899.999, 0), (900, 1)])
def test_an_attachment_is_of_age_from_that_very_second(
    bare_cloud: Cloud, project: EmbeddedProject, seconds: float, found: int
) -> None:
    project.add_held(2)
    orphan, *_ = project.add_orphan(attached_at=timedelta(days=1))
    made = epoch(bare_cloud.volume(orphan).attachments[0].attached_at)
    assert made is not None
    services = project.services(DETACH_SWEEP_MIN_AGE_SECONDS=900)

    result = sweep(services, SweepBounds(), now=lambda: made + seconds)

    assert len(result.results) == found


# Filters.


@pytest.mark.parametrize("by", ["server_ids", "volume_ids", "metadata", "all", "none", "half"])
def test_filters_let_through_what_they_name(bare_cloud: Cloud, project: EmbeddedProject, by: str) -> None:
    project.add_held(8)
    wanted = project.add_orphan(metadata={"env": "test", "team": "storage"})
    project.add_orphan(metadata={"env": "prod", "team": "storage"})
    project.add_orphan()
    volume_id, _, server_id = wanted
    filters: dict[str, dict[str, Any]] = {
        "server_ids": {"server_ids": [server_id.upper().replace("-", ""), str(uuid.uuid4())]},
        "volume_ids": {"volume_ids": [volume_id]},
        "metadata": {"metadata": {"env": "test", "team": "storage"}},
        "all": {"server_ids": [server_id], "volume_ids": [volume_id], "metadata": {"env": "test"}},
        "none": {"server_ids": [], "metadata": {}},
        "half": {"server_ids": [server_id], "metadata": {"env": "prod"}},
    }

    result = project.sweep(**filters[by])

    found = [] if by in {"none", "half"} else [volume_id]
    assert [part.volume_id for part in result.results] == found
    assert result.ok
    assert result.complete
    assert candidates(result) == 3
    assert skipped(result) == (0, 3 - len(found), 0)
    assert len(bare_cloud.posts()) == len(found)


# Interlocks.


def test_an_empty_list_of_servers_clears_nothing(bare_cloud: Cloud, project: EmbeddedProject) -> None:
    orphans = [project.add_orphan() for _ in range(2)]

    result = project.sweep()

    assert not result.ok
    assert code(result) == "sweep_refused"
    assert result.error is not None
    assert not result.error.retryable
    assert "DETACH_COMPUTE_ENDPOINT" in result.error.message
    assert {(part.volume_id, part.attachment_id, part.server.id) for part in result.results} == set(orphans)
    assert all(part.outcome is Outcome.REFUSED and part.changed is False for part in result.results)
    assert candidates(result) == 2
    assert not bare_cloud.posts()
    assert project.calls()["looks"] == 0


def test_an_empty_project_is_no_reason_for_distrust(project: EmbeddedProject) -> None:
    result = project.sweep()

    assert result.ok
    assert result.complete
    assert result.results == ()


def test_an_empty_list_of_servers_is_believed_where_no_volume_names_one(
    bare_cloud: Cloud, project: EmbeddedProject
) -> None:
    bare_cloud.add_volume(attachments=[None])

    assert project.sweep().ok


@pytest.mark.parametrize(
    ("held", "orphans", "fraction", "refused"),
    [
        (5, 5, 0.5, False),
        (5, 6, 0.5, True),
        (1, 8, 0.5, False),  # fewer than ten: a fraction says nothing
        (1, 9, 0.5, True),
        (9, 1, 0.0, True),
        (8, 1, 0.0, False),
        (10, 0, 0.0, False),
        (1, 12, 1.0, False),
        (9, 1, 0.1, False),
    ],
)
@pytest.mark.parametrize("dry_run", [False, True])
def test_too_many_orphans_are_the_lists_fault(
    bare_cloud: Cloud,
    project: EmbeddedProject,
    held: int,
    orphans: int,
    fraction: float,
    refused: bool,
    dry_run: bool,
) -> None:
    project.add_held(held)
    for _ in range(orphans):
        project.add_orphan()

    result = project.sweep(project.services(DETACH_SWEEP_MAX_FRACTION=fraction), dry_run=dry_run)

    assert code(result) == ("sweep_refused" if refused else None)
    assert len(result.results) == orphans
    assert len(bare_cloud.posts()) == (0 if refused or dry_run else orphans)
    if refused:
        assert result.error is not None
        assert "DETACH_SWEEP_MAX_FRACTION" in result.error.message


def test_the_fraction_is_of_all_attachments_whatever_the_filters(
    bare_cloud: Cloud, project: EmbeddedProject
) -> None:
    project.add_held(2)
    orphans = [project.add_orphan() for _ in range(9)]

    result = project.sweep(volume_ids=[orphans[0][0]])

    assert code(result) == "sweep_refused"
    assert [part.volume_id for part in result.results] == [orphans[0][0]]
    assert skipped(result) == (0, 8, 0)
    assert not bare_cloud.posts()


def test_a_refused_sweep_reports_no_more_than_can_be_read(
    bare_cloud: Cloud, project: EmbeddedProject
) -> None:
    bare_cloud.populate(MOST_REPORTED + 50, 0, MOST_REPORTED + 50)

    result = project.sweep()

    assert len(result.results) == MOST_REPORTED
    assert candidates(result) == MOST_REPORTED + 50


@pytest.mark.parametrize("kind", ["/servers", "/volumes/detail"])
def test_a_page_that_fails_clears_nothing(bare_cloud: Cloud, project: EmbeddedProject, kind: str) -> None:
    project.add_held(9)
    project.add_orphan()
    bare_cloud.page_cap = 2
    bare_cloud.misbehave(None, "GET", kind, times=None, after=2, status=500)

    result = project.sweep()

    assert not result.ok
    assert not result.complete
    assert code(result) == "listing_failed"
    assert result.scanned is None
    assert result.results == ()
    assert not bare_cloud.posts()


def test_a_list_of_servers_that_fails_behind_that_of_volumes_clears_nothing(
    bare_cloud: Cloud, project: EmbeddedProject
) -> None:
    project.add_held(9)
    project.add_orphan()
    bare_cloud.page_cap = 4
    listed = threading.Event()

    def hold(call: Call) -> None:
        if call.path.endswith("/servers") and "marker" in call.query:
            listed.wait(20)
        elif call.path.endswith("/volumes/detail") and "marker" in call.query:
            listed.set()

    bare_cloud.hook(hold)
    bare_cloud.misbehave("compute", "GET", "/servers", times=None, after=1, status=500, delay=0.3)

    result = project.sweep()

    assert code(result) == "listing_failed"
    assert not bare_cloud.posts()


def test_what_can_t_be_read_is_named_as_far_as_it_has_an_id(project: EmbeddedProject) -> None:
    left_out = LeftOut(project.services())
    ids = [str(uuid.UUID(int=number)) for number in range(10)]
    for id_ in (None, *ids, None):
        left_out(id_)

    said = left_out.failure("what they hold").message

    assert f"volumes (its id neither), {', '.join(ids[:9])} and 1 more can't be read" in said


def test_a_result_names_the_project_that_no_list_tells(bare_cloud: Cloud, project: EmbeddedProject) -> None:
    bare_cloud.policies.tells_volume_owner = False
    for _ in range(10):
        project.add_orphan()
    project.add_held(1)

    result = project.sweep()

    assert code(result) == "sweep_refused"
    assert {part.project_id for part in result.results} == {bare_cloud.project_id}


def test_without_a_proof_there_is_no_sweep(bare_cloud: Cloud, project: EmbeddedProject) -> None:
    project.add_orphan()

    result = project.sweep(project.services(DETACH_SERVER_CHECK="off"))

    assert code(result) == "configuration"
    assert not bare_cloud.calls


# Time.


def test_near_the_deadline_no_new_candidate_is_taken(bare_cloud: Cloud, project: EmbeddedProject) -> None:
    project.add_held(10)
    for _ in range(8):
        project.add_orphan()
    bare_cloud.latency = 0.3
    services = project.services(seconds=6.0, DETACH_READ_TIMEOUT=3.0, DETACH_CONCURRENCY=1)
    started = time.monotonic()

    result = project.sweep(services)

    assert time.monotonic() - started < 6
    assert result.error is None
    assert result.ok
    assert not result.complete
    assert 0 < len(result.results) < 8
    assert skipped(result) == (0, 0, 0)  # time it was, and not the limit
    assert len(bare_cloud.posts()) == len(result.results)


def test_a_sweep_whose_lists_leave_no_time_says_what_to_raise(
    bare_cloud: Cloud, project: EmbeddedProject
) -> None:
    project.add_held(10)
    project.add_orphan()
    bare_cloud.latency = 0.2

    result = project.sweep(project.services(seconds=1.1, DETACH_READ_TIMEOUT=1.0))

    assert not result.complete
    assert code(result) == "deadline_exceeded"
    assert result.error is not None
    assert "DETACH_TIMEOUT" in result.error.message
    assert candidates(result) == 1
    assert not bare_cloud.posts()


@pytest.mark.parametrize(("failing", "other"), [("volume", "server pages"), ("compute", "volume pages")])
def test_a_list_that_fails_ends_the_other_too(
    bare_cloud: Cloud, project: EmbeddedProject, failing: str, other: str
) -> None:
    bare_cloud.populate(400, 400, 0)
    bare_cloud.page_cap = 1
    bare_cloud.misbehave(failing, "GET", status=403, times=None)

    result = project.sweep()

    assert result.error is not None
    assert result.error.code is ErrorCode.PERMISSION_DENIED
    assert project.calls()[other] < 400


def test_a_list_longer_than_the_time_says_what_to_raise(bare_cloud: Cloud, project: EmbeddedProject) -> None:
    bare_cloud.populate(20, 20, 3)
    bare_cloud.page_cap = 1
    bare_cloud.latency = 0.1

    result = project.sweep(project.services(seconds=0.5))

    assert not result.complete
    assert code(result) == "deadline_exceeded"
    assert result.error is not None
    assert "DETACH_TIMEOUT" in result.error.message
    assert result.scanned is None


# Who follows it.


class Notes:
    """An observer that keeps what it is told."""

    def __init__(self) -> None:
        self.to_do: int | None = None
        self.scanned: object = None
        self.pages: list[tuple[str, int, int | None]] = []
        self.judged_: list[TargetResult] = []

    def page(self, of: str, number: int, most: int | None) -> None:
        assert self.to_do is None
        self.pages.append((of, number, most))

    def listed(self, scanned: object, to_do: int) -> None:
        self.scanned, self.to_do = scanned, to_do

    def followed(self, found: Findings) -> None:
        raise AssertionError(found)

    def judged(self, result: TargetResult) -> None:
        self.judged_.append(result)


def test_an_observer_is_told_of_what_names_a_server(project: EmbeddedProject) -> None:
    notes = project.observer = Notes()
    _volume, _attachment, server = project.add_orphan()

    result = project.clear_server(server)

    assert (notes.scanned, notes.to_do) == (None, 1)
    assert notes.judged_ == list(result.results)


@pytest.mark.parametrize("held", [10, 0])
def test_an_observer_is_told_of_each_candidate(
    bare_cloud: Cloud, project: EmbeddedProject, held: int
) -> None:
    notes = project.observer = Notes()
    project.add_held(held)
    made = {
        project.add_orphan(size=size, attached_at=timedelta(days=3))[0]: size
        for size in (1, 40, 2**40, -(2**40))
    }
    project.add_orphan(attached_at=timedelta(seconds=5))

    result = project.sweep()

    assert notes.to_do == 4
    assert notes.scanned is not None
    assert sorted(notes.pages) == [("servers", 1, None), ("volumes", 1, None)]
    assert {id(told) for told in notes.judged_} == set(map(id, result.results))
    assert {told.volume_id: told.disk.size_gb for told in notes.judged_} == {
        volume_id: size if 0 <= size < 2**31 else None for volume_id, size in made.items()
    }
    for told in notes.judged_:
        assert told.disk.name
        assert told.project_id == bare_cloud.project_id
        assert told.disk.device == "/dev/vdb"
        since = epoch(told.disk.attached_at)
        assert since is not None
        assert abs(time.time() - 3 * 86400 - since) < 60
