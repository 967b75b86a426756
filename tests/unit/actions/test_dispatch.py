"""What comes together in one event: each form is done, and the answers are one result, in their order."""

from __future__ import annotations

import json

import pytest

from handler.actions.dispatch import carry_out
from handler.errors import ErrorCode
from handler.model.request import GoneServer, Ignored, Sweep, SweepBounds, Target, Work
from handler.model.result import (
    Findings,
    Handled,
    ManyResult,
    Outcome,
    Scanned,
    Skipped,
    TargetResult,
    to_json,
)
from handler.triggers.reply import settle
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

    assert result.scanned == Scanned(volumes=1, servers=0, candidates=1)


def test_what_several_sweeps_found_is_told_as_the_sum(project: EmbeddedProject) -> None:
    project.settings["DETACH_RECOVER"] = "on"
    first, _ = project.add_orphan(), project.add_orphan()
    project.add_held(1)
    only = Sweep(SweepBounds(dry_run=True, volume_ids=[first[0]]))
    few = Sweep(SweepBounds(dry_run=True, limit=1))

    result = _together(project, only, GoneServer(first[2], dry_run=True), few)

    assert result.scanned == Scanned(6, 2, 4, skipped=Skipped(filtered=1, over_limit=1))

    looked_for = Sweep(SweepBounds(dry_run=True, recover=True))
    project.cloud.add_volume(status="detaching")
    counted = [_together(project, *work).scanned for work in ([looked_for, SWEEP], [looked_for] * 2)]
    assert [scanned.stuck for scanned in counted if scanned] == [1, 2]


def test_what_one_of_several_sweeps_could_not_look_through_is_not_told_as_looked_through(
    project: EmbeddedProject,
) -> None:
    project.add_orphan()
    project.add_held(1)
    project.cloud.misbehave(path_contains="/volumes/detail", status=403)

    result = _together(project, SWEEP, SWEEP)

    assert (result.scanned, [part.outcome for part in result.results]) == (None, [Outcome.WOULD_DETACH])


def test_each_keeps_its_own_result_which_is_not_shown(project: EmbeddedProject) -> None:
    target, server_id = _one(project), project.add_orphan()[2]
    project.add_held(1)
    project.cloud.misbehave(path_contains="/volumes/detail", status=403)

    result = _together(project, GoneServer(server_id), target, SWEEP)

    failed, cleared, swept = result.works
    assert isinstance(failed, ManyResult)
    assert (failed.error, failed.results) == (result.error, ())
    assert cleared == result.results[0]
    assert isinstance(swept, ManyResult)
    assert (swept.error, swept.results, swept.scanned) == (None, result.results[1:], result.scanned)
    assert "works" not in json.loads(to_json(result))
    assert "works" not in json.loads(to_json(result.by_project()))


@pytest.mark.parametrize(
    ("answers", "code", "event"),
    [
        ([403, 503], ErrorCode.LISTING_FAILED, 503),
        ([503, 403], ErrorCode.LISTING_FAILED, 503),
        ([403, 404], ErrorCode.PERMISSION_DENIED, 422),
        ([404, 403], ErrorCode.UPSTREAM_REJECTED, 422),
    ],
)
def test_of_several_errors_the_one_to_be_asked_again_is_told_else_the_first(
    project: EmbeddedProject, answers: list[int], code: ErrorCode, event: int
) -> None:
    for status in answers:
        project.cloud.misbehave(
            path_contains="/volumes/detail", status=status, times=4 if status > 500 else 1
        )

    work = [GoneServer(project.add_orphan()[2]) for _ in answers]

    result = _together(project, *work)

    assert settle(Handled(result, work)).cloudevent == event
    assert [each.error is not None for each in result.works] == [True, True]
    assert result.error is not None
    assert result.error.code is code


@pytest.mark.parametrize("turn", [1, -1])
def test_a_refused_sweep_hides_no_failure_beside_it(project: EmbeddedProject, turn: int) -> None:
    for _ in range(10):
        server_id = project.add_orphan()[2]
    work: list[Work] = [GoneServer(server_id), SWEEP]
    project.cloud.misbehave(path_contains="/volumes/detail", status=403, after=0 if turn > 0 else 1)

    result = _together(project, *work[::turn])

    codes = [each.error.code for each in result.works if each.error]
    assert codes[::turn] == [ErrorCode.PERMISSION_DENIED, ErrorCode.SWEEP_REFUSED]
    assert result.error is not None
    assert result.error.code is ErrorCode.PERMISSION_DENIED


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
