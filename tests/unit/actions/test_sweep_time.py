"""A sweep that runs out of time, by a clock of the test's."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest

from handler.actions.observer import Observer
from handler.actions.sweep import _work_off, sweep
from handler.actions.sweep_candidates import Orphan
from handler.invocation import CallContext
from handler.model.request import SweepBounds, Target
from handler.model.result import Findings, Outcome, Scanned, TargetResult, target_result, untouched
from tests.embedded_cloud import Call, Cloud
from tests.unit.actions.opted_in import OptedIn


class Slow(Observer):
    """For whom each look at a result takes its time; may ask to stop once the lists are read."""

    def __init__(self, project: OptedIn, seconds: float, *, stops: bool = False) -> None:
        self.project, self.seconds, self.stops = project, seconds, stops
        self.stopped = False

    def page(self, of: str, number: int, most: int | None) -> None:
        """Takes no time."""

    def listed(self, scanned: Scanned | None, to_do: int) -> None:
        assert scanned is not None
        assert to_do > 0
        self.stopped = self.stops

    def followed(self, found: Findings) -> None:
        """Nothing is detached from a live server here."""

    def judged(self, result: TargetResult) -> None:
        assert result.outcome in {Outcome.DETACHED, Outcome.REFUSED, Outcome.ALREADY_DETACHED, Outcome.FAILED}
        self.project.sleep(self.seconds)


def test_what_is_left_for_want_of_time_is_no_failure_where_some_was_done(bare_cloud: Cloud) -> None:
    project = OptedIn(bare_cloud, DETACH_CONCURRENCY="1")
    bare_cloud.add_server()
    for _ in range(3):
        bare_cloud.add_volume(attachments=[str(uuid.uuid4())])
    services = project.services()
    services.observer = Slow(project, 20.0)

    result = sweep(services, SweepBounds())
    project.close()

    assert (result.summary, result.complete, result.error) == ({"detached": 2}, False, None)
    assert result.scanned is not None
    assert result.scanned.skipped.over_limit == 0, "time it was, and not the limit"


@pytest.mark.parametrize(
    ("first", "error"),
    [
        ("refused", "deadline_exceeded"),
        ("already_detached", None),  # it isn't listed again: the next sweep gets further
        ("failed", None),  # it may have been cleared
    ],
)
def test_a_sweep_that_time_ends_before_anything_came_of_it_says_so(
    bare_cloud: Cloud, first: str, error: str | None
) -> None:
    project = OptedIn(bare_cloud, DETACH_CONCURRENCY="1")
    bare_cloud.add_server()
    hidden = bare_cloud.add_server(status="SOFT_DELETED")  # no list of servers shows it
    for days in (8, 7):
        bare_cloud.add_volume(attachments=[hidden], attached_at=timedelta(days=days))
    server = str(uuid.uuid4()) if first == "failed" else hidden
    oldest = bare_cloud.add_volume(attachments=[server], attached_at=timedelta(days=9))
    bare_cloud.misbehave("volume", "POST", "/action", times=None, status=503)

    def free_it(call: Call) -> None:
        if first == "already_detached" and call.path.endswith(f"/volumes/{oldest.id}"):
            oldest.status = "available"
            oldest.attachments.clear()

    bare_cloud.hook(free_it)
    services = project.services()
    services.observer = Slow(project, 20.0 if first != "failed" else 16.0)

    result = sweep(services, SweepBounds())
    project.close()

    assert [part.outcome.value for part in result.results][:1] == [first]
    assert (result.complete, result.error and result.error.code.value) == (False, error)
    assert 0 < len(result.results) < 3
    if result.error:
        assert result.error.message.startswith(
            "Time was up: none of the 2 candidates that were judged was cleared, 1 are left"
        )
    assert result.scanned is not None
    assert result.scanned.skipped.over_limit == 0


@pytest.mark.parametrize(("limit", "error"), [(1, "deadline_exceeded"), (0, None)])
def test_what_the_lists_leave_no_time_for_is_not_what_the_limit_leaves(
    bare_cloud: Cloud, limit: int, error: str | None
) -> None:
    project = OptedIn(bare_cloud)
    bare_cloud.add_server()
    bare_cloud.add_volume(attachments=[str(uuid.uuid4())])
    project.left = 1.0  # seconds, which one answer may take

    result = project.sweep(limit=limit)
    project.close()

    assert (result.results, result.complete) == ((), False)
    assert (result.error and result.error.code.value) == error
    if result.error:
        assert result.error.message.startswith("The lists took all the time there was: of 1 candidates none")
    assert result.scanned is not None
    assert result.scanned.skipped.over_limit == (0 if error else 1)


def test_who_asked_to_stop_is_not_told_to_raise_the_time_limit(bare_cloud: Cloud) -> None:
    project = OptedIn(bare_cloud)
    bare_cloud.add_server()
    bare_cloud.add_volume(attachments=[str(uuid.uuid4())])
    services = project.services()
    observer = services.observer = Slow(project, 0.0, stops=True)
    invocation = services.context.invocation._replace(stopped=lambda: observer.stopped)
    services.context = CallContext(invocation, services.context.deadline, services.context.log)

    result = sweep(services, SweepBounds())
    project.close()

    assert (result.results, result.complete, result.error) == ((), False, None)


def test_nothing_is_begun_that_would_not_end_in_time_as_the_others_did(bare_cloud: Cloud) -> None:
    project = OptedIn(bare_cloud, DETACH_CONCURRENCY="1")
    services = project.services()
    context = services.context
    orphans = [
        Orphan(str(uuid.uuid4()), str(uuid.uuid4()), str(uuid.uuid4()), None, 1, "/dev/vdb", wanted=True)
        for _ in range(4)
    ]

    def act(orphan: Orphan) -> TargetResult:
        project.sleep(8.0)
        cleared = untouched(Target(volume_id=orphan.volume_id), Outcome.DETACHED)
        return target_result(cleared, context, 8.0)

    results, left = _work_off(services, orphans, 10, act)
    project.close()

    # 25 s, then 17; then 9, which the one second of an answer and the eight of a clearing don't leave over
    assert (len(results), left) == (2, 2)
