"""A sweep that runs out of time, by a clock of the test's."""

from __future__ import annotations

import uuid

from handler.actions.observer import Observer
from handler.actions.sweep import _work_off, sweep
from handler.actions.sweep_candidates import Orphan
from handler.invocation import CallContext
from handler.model.request import SweepBounds, Target
from handler.model.result import Findings, Outcome, Scanned, TargetResult, target_result, untouched
from tests.embedded_cloud import Cloud
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
        assert result.ok
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
