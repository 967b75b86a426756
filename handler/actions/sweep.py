"""Many: list, compare, then clear or fan out. Nothing is cleared on a listing's word.

A listing only finds candidates: attachments whose server is not listed. Each candidate then goes through the
whole rule, which asks for its server by name; a server that appeared in between keeps its disk.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import replace
from typing import TypeVar

from handler.actions.batch import begin, clear_one, timed
from handler.actions.lists import count
from handler.actions.project import Project
from handler.actions.run_line import RunLine
from handler.actions.stuck import Candidate, find_stuck, recoverer
from handler.actions.sweep_candidates import Census, Orphan, Orphans
from handler.errors import DeadlineExceeded, ErrorCode, Refused
from handler.model.disk import Disk
from handler.model.request import SweepBounds, Target
from handler.model.result import (
    Cleared,
    ManyResult,
    Outcome,
    Scanned,
    Skipped,
    TargetResult,
    many,
    target_result,
    untouched,
)
from handler.model.values import is_project
from handler.settings import SweepSettings
from handler.telemetry import Event

MOST_REPORTED = 1000
"""Candidates that a refused sweep reports one by one: an answer has to stay one that can be read."""

_C = TypeVar("_C", Orphan, Candidate)

_FEW = 10  # attachments; of fewer a fraction says nothing


def sweep(
    project: Project,
    bounds: SweepBounds,
    line: RunLine | None = None,
    now: Callable[[], float] = time.time,
) -> ManyResult:
    """Form *sweep*: find every attachment of the project whose server is gone, clear up to `limit`.

    `line` is told what it goes by. Raises Failure when a listing can't be had: nothing is judged by a part
    of one.
    """
    limits = _tightened(project.settings.sweep, bounds)
    line = line or RunLine(project.context)
    line.tell(dry_run=limits.dry_run, limit=limits.limit)
    census = count(project, bounds)
    orphans = census.orphans()
    wanted = orphans.wanted()
    ripe = wanted.since(now() - limits.min_age_seconds)
    skipped = Skipped(
        too_young=len(wanted) - len(ripe),
        filtered=len(orphans) - len(wanted),
        unreadable=census.unreadable,
    )
    stuck = None
    if bounds.recover:
        age = max(limits.min_age_seconds, project.settings.recover.after)
        stuck = find_stuck(project, census, now() - age)
        skipped = Skipped(
            too_young=skipped.too_young + stuck.too_young,
            filtered=skipped.filtered + stuck.filtered,
            unreadable=skipped.unreadable + stuck.unreadable,
        )
    scanned = Scanned(
        census.volumes, census.servers, len(orphans), stuck.listed if stuck else None, skipped=skipped
    )
    listed = {
        "volumes": census.volumes,
        "servers": census.servers,
        "attachments": census.attachments,
        "candidates": len(orphans),
        "stuck": scanned.stuck,
        "too_young": skipped.too_young,
        "filtered": skipped.filtered,
    }
    line.tell(**listed, unreadable=skipped.unreadable)
    project.context.log.info(Event.SWEEP_LISTED, **listed, dry_run=limits.dry_run)
    distrust = _distrust(census, len(orphans), limits)
    if distrust is not None:
        project.context.log.warning(Event.SWEEP_REFUSED, message=distrust.message)
        reported = ripe[:MOST_REPORTED]
        if project.observer:
            project.observer.listed(scanned, len(reported))
        results = _report(project, reported, distrust, limits)
        return many(results, project.context.invocation, scanned=scanned, failure=distrust)
    doubtful = _doubtful(census, orphans, limits) if project.all_projects else {}
    for project_id, refusal in doubtful.items():
        project.context.log.warning(Event.SWEEP_REFUSED, message=refusal.message, project_id=project_id)
    doubted = ripe.of_projects(doubtful)
    ripe = ripe.of_projects(doubtful, others=True)
    if project.observer:
        to_do = min(len(ripe) + (len(stuck.ripe) if stuck else 0), limits.limit)
        project.observer.listed(scanned, to_do + min(len(doubted), MOST_REPORTED))
    sink = project.settings.fanout_sink
    act = _dispatcher(project, limits, sink) if sink else _clearer(project, limits)
    results, left = _work_off(project, ripe, limits.limit, act)
    if stuck:
        unspent = limits.limit - sum(map(_counts, results))
        recover = recoverer(project, dry_run=limits.dry_run)
        recovered, more = _work_off(project, stuck.ripe, unspent, recover)
        results, left = results + recovered, left + more
    judged = len(results)
    for orphan in doubted[:MOST_REPORTED]:
        results += _report(project, (orphan,), doubtful[orphan.project_id], limits)
    spent = sum(map(_counts, results)) >= limits.limit
    scanned = replace(scanned, skipped=replace(skipped, over_limit=left if spent else 0))
    late = None
    stands = not any(result.ok or result.changed is not False for result in results)
    if left and stands and not spent and not project.context.stopped:
        late = _late(judged, left)
    return many(results, project.context.invocation, complete=left == 0, scanned=scanned, failure=late)


def _late(judged: int, left: int) -> DeadlineExceeded:
    """What says that time ended a sweep, and will end the next one there, too: it begins with the same."""
    what = f"The lists took all the time there was: of {left} candidates none was begun"
    if judged:
        what = f"Time was up: none of the {judged} candidates that were judged was cleared, {left} are left"
    return DeadlineExceeded(
        f"{what}, and the next sweep will get no further while that stays so. Raise DETACH_TIMEOUT (and the "
        "platform's own limit)."
    )


def _tightened(settings: SweepSettings, bounds: SweepBounds) -> SweepSettings:
    """The settings are bounds: an event can only be more careful."""
    limit, age = bounds.limit, bounds.min_age_seconds
    return settings._replace(
        dry_run=settings.dry_run or bounds.dry_run,
        limit=settings.limit if limit is None else min(settings.limit, limit),
        min_age_seconds=settings.min_age_seconds if age is None else max(settings.min_age_seconds, age),
    )


def _distrust(census: Census, orphans: int, limits: SweepSettings) -> Refused | None:
    """Why the listing is the likelier fault, if it is: nothing may be cleared by it then."""
    if census.attachments and not census.servers:
        return Refused(
            ErrorCode.SWEEP_REFUSED,
            f"The list of servers is empty, but {census.attachments} attachments name servers: nothing was "
            "cleared. Check that the token may list servers, and DETACH_COMPUTE_ENDPOINT; if all servers "
            "really are gone, clear the attachments by the forms one, batch or server.",
        )
    if census.attachments >= _FEW and orphans > limits.max_fraction * census.attachments:
        return Refused(
            ErrorCode.SWEEP_REFUSED,
            f"{orphans} of {census.attachments} attachments look orphaned, more than the part that "
            f"DETACH_SWEEP_MAX_FRACTION allows ({limits.max_fraction:g}). The list of servers is likelier at "
            "fault, so nothing was cleared. Look at some of them; if they are right, raise that setting.",
        )
    return None


def _doubtful(census: Census, orphans: Orphans, limits: SweepSettings) -> dict[str | None, Refused]:
    """The projects for which a sweep of theirs alone would be refused, and why."""
    found = orphans.by_project().items()
    counted = [(project_id, count, census.of_project(project_id)) for project_id, count in found]
    return {
        project_id: Refused(
            ErrorCode.SWEEP_REFUSED,
            f"{count} of {held} attachments of project {project_id or '(unknown)'} look orphaned, more than "
            f"the part that DETACH_SWEEP_MAX_FRACTION allows ({limits.max_fraction:g}): its servers may not "
            "be shown to this token, so none of its was cleared. Look at some of them; if they are right, "
            "clear them by form one, batch or server, or raise that setting.",
        )
        for project_id, count, held in counted
        if held >= _FEW and count > limits.max_fraction * held
    }


def _work_off(
    project: Project, candidates: Sequence[_C], limit: int, act: Callable[[_C], TargetResult]
) -> tuple[list[TargetResult], int]:
    """Take candidates, oldest first, as long as limit and time allow. The results, and how many are left."""
    begun, back = 0, deque[int]()  # a volume's attachments go one after the other: some are put off
    running: dict[Future[TargetResult], tuple[int, _C]] = {}
    done: dict[int, TargetResult] = {}
    spent, seconds = 0, 0.0
    with ThreadPoolExecutor(project.settings.concurrency, "sweep") as pool:
        while True:
            busy = {orphan.volume_id for _, orphan in running.values()}
            waiting: list[int] = []
            # What is begun later than this ends for lack of time between its looks and its POST
            latest = project.settings.read_timeout + seconds / max(1, len(done))
            while (
                (back or begun < len(candidates))
                and len(running) < project.settings.concurrency
                and spent + len(running) < limit
                and project.context.deadline.remaining() > latest
                and not project.context.stopped
            ):
                index = back.popleft() if back else begun
                begun = max(begun, index + 1)
                orphan = candidates[index]
                if orphan.volume_id in busy:
                    waiting.append(index)
                    continue
                busy.add(orphan.volume_id)
                running[pool.submit(act, orphan)] = (index, orphan)
            back.extendleft(reversed(waiting))
            if not running:
                break
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                index, orphan = running.pop(future)
                result = done[index] = future.result()
                spent += _counts(result)
                seconds += result.duration_ms / 1000
                if project.observer:
                    project.observer.judged(result)
    return [done[index] for index in sorted(done)], len(back) + len(candidates) - begun


def _counts(result: TargetResult) -> bool:
    """Whether a result uses the limit up: it cleared, would have, was passed on, or may have cleared."""
    return result.changed is not False or result.outcome in {Outcome.WOULD_DETACH, Outcome.DISPATCHED}


def _clearer(project: Project, limits: SweepSettings) -> Callable[[Orphan], TargetResult]:
    clearing = project.clearing(unlisted=True)

    def clear(orphan: Orphan) -> TargetResult:
        return _with_disk(orphan, clear_one(clearing, _target(orphan, limits), project.context.separate()))

    return clear


def _with_disk(orphan: Orphan, result: TargetResult) -> TargetResult:
    """The same with what the list said of a disk whose record could not be read."""
    return replace(result, disk=orphan.disk) if result.disk == Disk() else result


def _dispatcher(project: Project, limits: SweepSettings, sink: str) -> Callable[[Orphan], TargetResult]:
    """What passes on the candidates that would be cleared, and reports the rest as a clearing does.

    Else what is refused for ever would be passed on by each sweep, and use the limit up.
    """
    from handler.actions.fanout import Fanout  # noqa: PLC0415 (only where a sink is set)

    fanout, clearing = Fanout(sink, project.transport), project.clearing(unlisted=True)

    def dispatch(orphan: Orphan) -> TargetResult:
        target, context = _target(orphan, limits), project.context.separate()
        own = orphan.project_id if project.all_projects and is_project(orphan.project_id or "") else None

        def judge_and_send() -> Cleared:
            judged = begin(clearing, target._replace(dry_run=True), context)
            judged.findings.dry_run = target.dry_run
            if judged.outcome is not Outcome.WOULD_DETACH:
                return judged
            sent = fanout.dispatch(target, context, own)
            judged.findings.via, judged.findings.changed = None, sent.findings.changed
            return sent._replace(findings=judged.findings)

        return _with_disk(orphan, timed(target, context, judge_and_send))

    return dispatch


def _target(orphan: Orphan, limits: SweepSettings) -> Target:
    """The server's id goes along as a guard: an attachment that moved since the listing is left alone."""
    return Target(
        volume_id=orphan.volume_id,
        attachment_id=orphan.attachment_id,
        server_id=orphan.server_id,
        dry_run=limits.dry_run,
    )


def _told_of(orphan: Orphan, project: Project, cleared: Cleared) -> Cleared:
    """The same with what the lists say of a candidate that nobody looked at."""
    own = orphan.project_id if project.all_projects else project.project_id
    cleared.findings.disk, cleared.findings.project_id = orphan.disk, own
    return cleared


def _report(
    project: Project, orphans: Sequence[Orphan], distrust: Refused, limits: SweepSettings
) -> list[TargetResult]:
    """What was found where the listing is not trusted, untouched."""
    results = []
    for orphan in orphans:
        refused = _told_of(orphan, project, untouched(_target(orphan, limits), Outcome.REFUSED, distrust))
        result = target_result(refused, project.context.separate())
        if project.observer:
            project.observer.judged(result)
        results.append(result)
    return results
