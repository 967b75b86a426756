"""Many: list, compare, then clear or fan out. Nothing is cleared on a listing's word.

A listing only finds candidates: attachments whose server is not listed. Each candidate then goes through the
whole rule, which asks for its server by name; a server that appeared in between keeps its disk.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import replace

from handler.batch import clear_all, clear_one
from handler.cloud.servers import Servers
from handler.errors import DeadlineExceeded, ErrorCode, Misconfigured, Refused
from handler.job import Job
from handler.model import (
    GoneServer,
    ManyResult,
    Outcome,
    Scanned,
    Skipped,
    SweepBounds,
    Target,
    TargetResult,
)
from handler.orphans import Census, Orphan
from handler.results import many, target_result, untouched
from handler.settings import SweepSettings
from handler.telemetry import Event

MOST_REPORTED = 1000
"""Candidates that a refused sweep reports one by one: an answer has to stay one that can be read."""

_FEW = 10  # attachments; of fewer a fraction says nothing


def clear_server(job: Job, work: GoneServer) -> ManyResult:
    """Form *server*: clear every attachment that still names this server. Raises Failure."""
    _servers(job)
    targets = []
    with ThreadPoolExecutor(1, "list") as ahead:
        # Every filter is checked again on what comes back: a real Cinder ignores this one
        for page in job.volumes.list(job.new_trace(), {"server_id": work.server_id}).pages(ahead):
            targets += [
                Target.model_construct(
                    volume_id=volume.id,
                    attachment_id=attachment.id,
                    server_id=work.server_id,
                    dry_run=work.dry_run,
                )
                for volume in page
                for attachment in volume.attachments
                if attachment.server_id == work.server_id
            ]
    if not targets:
        return many([], job.origin)
    clearing = job.clearing(remember=True)
    clearing.ask_once(work.server_id, job.new_trace())
    results = clear_all(clearing, targets, job.new_trace, job.origin, job.settings.concurrency)
    return many(results, job.origin)


def sweep(job: Job, bounds: SweepBounds, now: Callable[[], float] = time.time) -> ManyResult:
    """Form *sweep*: find every attachment of the project whose server is gone, clear up to `limit`.

    Raises Failure when a listing can't be had: nothing is judged by a part of one.
    """
    limits = _tightened(job.settings.sweep, bounds)
    census = _count(job, bounds)
    orphans = census.orphans()
    wanted = [orphan for orphan in orphans if orphan.wanted]
    newest = now() - limits.min_age_seconds
    ripe = [orphan for orphan in wanted if orphan.since is not None and orphan.since <= newest]
    skipped = Skipped(too_young=len(wanted) - len(ripe), filtered=len(orphans) - len(wanted))
    scanned = Scanned(census.volumes, census.servers, len(orphans), skipped)
    job.trace.log.info(
        Event.SWEEP_LISTED,
        volumes=census.volumes,
        servers=census.servers,
        attachments=census.attachments,
        candidates=len(orphans),
        too_young=skipped.too_young,
        filtered=skipped.filtered,
        dry_run=limits.dry_run,
    )
    distrust = _distrust(census, len(orphans), limits)
    if distrust is not None:
        job.trace.log.warning(Event.SWEEP_REFUSED, message=distrust.message)
        reported = _report(job, scanned, ripe[:MOST_REPORTED], distrust, limits)
        return many(reported, job.origin, scanned=scanned, failure=distrust)
    if job.observer:
        job.observer.listed(scanned, min(len(ripe), limits.limit))
    results, left = _work_off(job, ripe, limits)
    spent = sum(map(_counts, results)) >= limits.limit
    scanned = replace(scanned, skipped=replace(skipped, over_limit=left if spent else 0))
    late = None
    if left and not results and not spent:
        late = DeadlineExceeded(
            f"The lists took all the time there was: of {left} candidates none was begun, and the next sweep "
            "will get no further. Raise DETACH_TIMEOUT (and the platform's own limit)."
        )
    return many(results, job.origin, complete=left == 0, scanned=scanned, failure=late)


def _tightened(settings: SweepSettings, bounds: SweepBounds) -> SweepSettings:
    """The settings are bounds: an event can only be more careful."""
    limit, age = bounds.limit, bounds.min_age_seconds
    return settings._replace(
        dry_run=settings.dry_run or bounds.dry_run,
        limit=settings.limit if limit is None else min(settings.limit, limit),
        min_age_seconds=settings.min_age_seconds if age is None else max(settings.min_age_seconds, age),
    )


def _servers(job: Job) -> Servers:
    if job.servers is None:
        raise Misconfigured(
            "DETACH_SERVER_CHECK=off takes single attachments only (forms one and batch): attachments can't "
            "be found by their server where no server can be looked up."
        )
    return job.servers


def _count(job: Job, bounds: SweepBounds) -> Census:
    """Read both lists side by side."""
    census = Census(bounds)
    servers = _servers(job).list(job.new_trace())
    volumes = job.volumes.list(job.new_trace(), {"status": "in-use"})
    failing = threading.Event()
    with ThreadPoolExecutor(3, "list") as pool:

        def count_servers() -> None:
            for page in servers.pages(pool):
                census.add_servers(page)
                if failing.is_set():
                    return

        counting = pool.submit(count_servers)
        try:
            for page in volumes.pages(pool):
                census.add_volumes(page)
                if counting.done():
                    counting.result()  # a list that failed ends the other, too
            counting.result()
        finally:
            failing.set()
    return census


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


def _work_off(job: Job, orphans: Sequence[Orphan], limits: SweepSettings) -> tuple[list[TargetResult], int]:
    """Take candidates, oldest first, as long as limit and time allow. The results, and how many are left."""
    act = _dispatcher(job, limits) if job.settings.fanout_sink else _clearer(job, limits)
    queue = deque(enumerate(orphans))
    running: dict[Future[TargetResult], tuple[int, Orphan]] = {}
    done: dict[int, TargetResult] = {}
    spent, seconds = 0, 0.0
    with ThreadPoolExecutor(job.settings.concurrency, "sweep") as pool:
        while True:
            busy = {orphan.volume_id for _, orphan in running.values()}
            waiting: list[tuple[int, Orphan]] = []  # a volume's attachments go one after the other
            # What is begun later than this ends for lack of time between its looks and its POST
            latest = job.settings.read_timeout + seconds / max(1, len(done))
            while (
                queue
                and len(running) < job.settings.concurrency
                and spent + len(running) < limits.limit
                and job.trace.deadline.remaining() > latest
            ):
                index, orphan = queue.popleft()
                if orphan.volume_id in busy:
                    waiting.append((index, orphan))
                    continue
                busy.add(orphan.volume_id)
                running[pool.submit(act, orphan)] = (index, orphan)
            queue.extendleft(reversed(waiting))
            if not running:
                break
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                index, orphan = running.pop(future)
                result = done[index] = future.result()
                spent += _counts(result)
                seconds += result.duration_ms / 1000
                if job.observer:
                    job.observer.judged(orphan, result)
    return [done[index] for index in sorted(done)], len(queue)


def _counts(result: TargetResult) -> bool:
    """Whether a result uses the limit up: it cleared, would have, was passed on, or may have cleared."""
    return result.changed is not False or result.outcome in {Outcome.WOULD_DETACH, Outcome.DISPATCHED}


def _clearer(job: Job, limits: SweepSettings) -> Callable[[Orphan], TargetResult]:
    clearing = job.clearing()

    def clear(orphan: Orphan) -> TargetResult:
        return clear_one(clearing, _target(orphan, limits), job.new_trace(), job.origin)

    return clear


def _dispatcher(job: Job, limits: SweepSettings) -> Callable[[Orphan], TargetResult]:
    from handler.fanout import Fanout  # noqa: PLC0415 (only where a sink is set)

    fanout = Fanout(job.settings.fanout_sink or "", job.transport)

    def dispatch(orphan: Orphan) -> TargetResult:
        started, trace = time.monotonic(), job.new_trace()
        cleared = fanout.dispatch(_target(orphan, limits), trace)
        return target_result(cleared, trace, job.origin, time.monotonic() - started)

    return dispatch


def _target(orphan: Orphan, limits: SweepSettings) -> Target:
    """The server's id goes along as a guard: an attachment that moved since the listing is left alone."""
    return Target.model_construct(
        volume_id=orphan.volume_id,
        attachment_id=orphan.attachment_id,
        server_id=orphan.server_id,
        dry_run=limits.dry_run,
    )


def _report(
    job: Job, scanned: Scanned, orphans: Sequence[Orphan], distrust: Refused, limits: SweepSettings
) -> list[TargetResult]:
    """What a refused sweep found, untouched."""
    if job.observer:
        job.observer.listed(scanned, len(orphans))
    results = []
    for orphan in orphans:
        refused = untouched(_target(orphan, limits), Outcome.REFUSED, distrust)
        result = target_result(refused, job.new_trace(), job.origin, 0.0)
        if job.observer:
            job.observer.judged(orphan, result)
        results.append(result)
    return results
