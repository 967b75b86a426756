"""What comes together in one event: each form is done, and the answers are one result, in their order."""

from __future__ import annotations

import pytest

from handler.actions.dispatch import carry_out
from handler.errors import ErrorCode
from handler.model.request import GoneServer, Ignored, Sweep, SweepBounds, Target, Work
from handler.model.result import Findings, ManyResult, Outcome, Scanned, TargetResult
from tests.unit.embedded_project import EmbeddedProject

SWEEP = Sweep(SweepBounds(dry_run=True))


class Told:
    """Follows an invocation, and keeps what it is told."""

    def __init__(self) -> None:
        self.to_do: list[tuple[Scanned | None, int]] = []
        self.done: list[TargetResult] = []

    def page(self, of: str, number: int, most: int | None) -> None:
        raise AssertionError((of, number, most))

    def listed(self, scanned: Scanned | None, to_do: int) -> None:
        self.to_do.append((scanned, to_do))

    def followed(self, found: Findings) -> None:
        raise AssertionError(found)

    def judged(self, result: TargetResult) -> None:
        self.done.append(result)


def _together(project: EmbeddedProject, *work: Work) -> ManyResult:
    result = carry_out(work, project.services())
    assert isinstance(result, ManyResult)
    return result


def _one(project: EmbeddedProject) -> Target:
    volume_id, attachment_id, _ = project.add_orphan()
    return Target(volume_id, attachment_id)


def test_an_event_that_does_not_concern_us_has_nobody_asked(project: EmbeddedProject) -> None:
    result = carry_out([Ignored("the trace of another operation")], project.services())

    assert isinstance(result, TargetResult)
    assert (result.outcome, result.ok) == (Outcome.IGNORED, True)
    assert project.cloud.calls == []


def test_all_that_came_together_is_answered_in_its_order(project: EmbeddedProject) -> None:
    first, last = _one(project), _one(project)
    between, _, server_id = project.add_orphan()

    result = _together(project, first, GoneServer(server_id), Ignored("not ours"), last)

    assert [part.volume_id for part in result.results] == [first.volume_id, between, None, last.volume_id]
    assert result.summary == {"detached": 3, "ignored": 1}
    assert (result.ok, result.complete, result.error, result.scanned) == (True, True, None, None)


def test_servers_that_came_together_need_no_single_target(project: EmbeddedProject) -> None:
    (one, _, first), (other, _, second) = project.add_orphan(), project.add_orphan()

    result = _together(project, GoneServer(first), GoneServer(second))

    assert [part.volume_id for part in result.results] == [one, other]
    assert result.ok


def test_what_a_sweep_found_is_told_of_all_that_came_together(project: EmbeddedProject) -> None:
    server_id = project.add_orphan()[2]

    result = _together(project, GoneServer(server_id, dry_run=True), SWEEP)

    assert result.scanned is not None
    assert result.scanned.volumes == 1


@pytest.mark.parametrize("earlier", [0, 1])
def test_a_list_that_fails_stops_nothing_beside_it_and_is_said(
    project: EmbeddedProject, earlier: int
) -> None:
    volume_id, _, server_id = project.add_orphan()
    project.cloud.misbehave(path_contains="/volumes/detail", status=403, after=earlier)
    work: list[Work] = [SWEEP]
    work.insert(1 - earlier, GoneServer(server_id))

    result = _together(project, *work)

    assert [(part.volume_id, part.outcome) for part in result.results] == [(volume_id, Outcome.DETACHED)]
    assert result.error is not None
    assert result.error.code is ErrorCode.PERMISSION_DENIED
    assert (result.ok, result.complete) == (False, False)


def test_a_target_that_fails_makes_all_of_it_not_ok(project: EmbeddedProject) -> None:
    server_id = project.cloud.add_server()
    held = project.cloud.add_volume(attachments=[server_id])

    result = _together(project, _one(project), Target(held.id), Ignored("not ours"))

    assert [part.ok for part in result.results] == [True, False, True]
    assert (result.ok, result.error) == (False, None)


def test_whoever_follows_is_told_how_many_targets_there_are(project: EmbeddedProject) -> None:
    told = project.observer = Told()

    result = _together(project, _one(project), _one(project))

    assert told.to_do == [(None, 2)]
    assert sorted(part.volume_id or "" for part in told.done) == sorted(
        part.volume_id or "" for part in result.results
    )
