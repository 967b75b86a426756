"""From what is asked for to who does it: form by form, several joined into one result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace

from handler.actions.batch import clear_all
from handler.actions.project import Project
from handler.errors import Failure
from handler.invocation import Invocation
from handler.model.request import Batch, GoneServer, Sweep, Target, Work
from handler.model.result import (
    ManyResult,
    Outcome,
    Result,
    Scanned,
    Skipped,
    TargetResult,
    many,
    target_result,
    untargeted,
    untouched,
)


def carry_out(work: Sequence[Work], project: Project) -> Result:
    """Do what came together. Single targets run as one batch. Raises Failure where all of it is stopped."""
    result = _carried_out(work, project)
    return result.by_project() if project.all_projects and isinstance(result, ManyResult) else result


def _carried_out(work: Sequence[Work], project: Project) -> Result:
    if len(work) == 1:
        return _do(work[0], project)
    singles = [part for part in work if isinstance(part, Target)]
    done = iter(_several(singles, project))
    results = [next(done) if isinstance(part, Target) else _do(part, project) for part in work]
    return _joined(work, results, project.context.invocation)


def _do(work: Work, project: Project) -> Result:
    invocation = project.context.invocation
    if isinstance(work, Target):
        return _several([work], project)[0]
    if isinstance(work, Batch):
        return many(_several(_targets(work), project), invocation)
    if isinstance(work, (GoneServer, Sweep)):
        return _listed(work, project)
    return untargeted(Outcome.IGNORED, None, invocation)


def _targets(batch: Batch) -> list[Target]:
    if not batch.dry_run:
        return batch.targets
    return [target._replace(dry_run=True) for target in batch.targets]


def _several(targets: Sequence[Target], project: Project) -> list[TargetResult]:
    if not targets:
        return []
    try:
        clearing = project.clearing()
    except Failure as failure:
        stopped = [untouched(target, Outcome.FAILED, failure) for target in targets]
        return [target_result(cleared, project.context.separate()) for cleared in stopped]
    if project.observer is not None:
        project.observer.listed(None, len(targets))
    return clear_all(clearing, targets, project.context, project.settings.concurrency, project.observer)


def _listed(work: GoneServer | Sweep, project: Project) -> ManyResult:
    from handler.actions import gone_server, sweep  # noqa: PLC0415 (single targets don't pay for them)
    from handler.actions.run_line import RunLine  # noqa: PLC0415 (the same)

    line = RunLine(project.context) if isinstance(work, Sweep) else None
    try:
        if isinstance(work, GoneServer):
            result = gone_server.clear_server(project, work)
        else:
            result = sweep.sweep(project, work.sweep, line)
    except Failure as failure:
        result = many([], project.context.invocation, complete=False, failure=failure)
    if line is not None:
        line.write(result)
    return result


def _joined(work: Sequence[Work], results: Sequence[Result], invocation: Invocation) -> ManyResult:
    parts: list[TargetResult] = []
    groups = [result for result in results if isinstance(result, ManyResult)]
    for result in results:
        parts += result.results if isinstance(result, ManyResult) else [result]
    joined = many(parts, invocation, complete=all(group.complete for group in groups))
    # Of several the one that decides what becomes of the delivery: asked again, failed, refused
    errors = sorted(
        (group.error for group in groups if group.error),
        key=lambda error: (not error.retryable, error.code.http == 409),
    )
    swept = [
        group.scanned
        for part, group in zip(work, results, strict=True)
        if isinstance(part, Sweep) and isinstance(group, ManyResult)
    ]
    return replace(
        joined,
        ok=joined.ok and not errors,
        error=errors[0] if errors else None,
        scanned=_sum([scanned for scanned in swept if scanned]) if swept and all(swept) else None,
        works=tuple(results),
    )


def _sum(swept: Sequence[Scanned]) -> Scanned:
    """What several sweeps looked through: each counts what it saw, though another saw the same."""
    stuck = [scanned.stuck for scanned in swept if scanned.stuck is not None]
    skipped = [why.name for why in fields(Skipped)]
    return Scanned(
        volumes=sum(scanned.volumes for scanned in swept),
        servers=sum(scanned.servers for scanned in swept),
        candidates=sum(scanned.candidates for scanned in swept),
        stuck=sum(stuck) if stuck else None,
        skipped=Skipped(**{why: sum(getattr(each.skipped, why) for each in swept) for why in skipped}),
    )
