"""Several targets: volumes side by side, the targets of one volume one after the other, equal ones once."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from handler.actions.clear import Clearing
from handler.actions.observer import Observer
from handler.errors import DeadlineExceeded
from handler.invocation import CallContext
from handler.model.request import Target
from handler.model.result import Cleared, Outcome, TargetResult, target_result, untouched


def clear_one(clearing: Clearing, target: Target, context: CallContext) -> TargetResult:
    """Clear one target, timed."""
    return timed(target, context, lambda: begin(clearing, target, context))


def timed(target: Target, context: CallContext, work: Callable[[], Cleared]) -> TargetResult:
    """The result of work at one target, which all calls under its context are part of."""
    started = time.monotonic()
    context.span = context.span.child(
        "target", volume_id=target.volume_id, attachment_id=target.attachment_id, server_id=target.server_id
    )
    result = target_result(work(), context, time.monotonic() - started)
    context.span.end(
        outcome=result.outcome.value,
        code=result.error.code.value if result.error else None,
        changed=result.changed,
        dry_run=result.dry_run,
        attachment_id=result.attachment_id,
        server_id=result.server.id,
        project_id=result.project_id,
        via=result.via.value if result.via else None,
    )
    return result


def clear_all(
    clearing: Clearing,
    targets: Sequence[Target],
    context: CallContext,
    concurrency: int,
    observer: Observer | None = None,
) -> list[TargetResult]:
    """Clear each target on its own; the results are in the order of the targets."""
    volumes: dict[str, list[Target]] = {}
    for target in dict.fromkeys(targets):
        volumes.setdefault(target.volume_id, []).append(target)
    done: dict[Target, TargetResult] = {}

    def clear_volume(ours: list[Target]) -> dict[Target, TargetResult]:
        results = _clear_volume(clearing, ours, context)
        if observer is not None:
            for result in results.values():
                observer.judged(result)
        return results

    if len(volumes) == 1 or concurrency == 1:
        for ours in volumes.values():
            done.update(clear_volume(ours))
    else:
        with ThreadPoolExecutor(min(concurrency, len(volumes)), "detach") as pool:
            for results in pool.map(clear_volume, volumes.values()):
                done.update(results)
    return [done[target] for target in targets]


def _clear_volume(
    clearing: Clearing, targets: list[Target], context: CallContext
) -> dict[Target, TargetResult]:
    """Targets without an attachment_id mean what the volume held before the first of them was cleared."""
    resolved: dict[Target, Target | TargetResult] = {}
    contexts = {target: context.separate() for target in targets}
    for target, own in contexts.items():
        if target.attachment_id is None and not target.recover and len(targets) > 1:
            started = time.monotonic()
            meant = clearing.resolve(target, own)
            if isinstance(meant, Cleared):
                resolved[target] = target_result(meant, own, time.monotonic() - started)
            else:
                resolved[target] = meant
        else:
            resolved[target] = target
    done: dict[Target, TargetResult] = {}
    for target, wanted in resolved.items():
        if isinstance(wanted, Target) and wanted not in done:
            done[wanted] = clear_one(clearing, wanted, contexts[target])
    return {target: done[meant] if isinstance(meant, Target) else meant for target, meant in resolved.items()}


def begin(clearing: Clearing, target: Target, context: CallContext) -> Cleared:
    """Clear one target, unless it is too late to begin."""
    if context.deadline.expired:
        late = DeadlineExceeded("Time was up before this target was begun: nothing was sent. Ask again.")
        return untouched(target, Outcome.FAILED, late)
    if context.stopped:
        stop = DeadlineExceeded("Interrupted before this target was begun: nothing was sent. Ask again.")
        return untouched(target, Outcome.FAILED, stop)
    return clearing.clear(target, context)
