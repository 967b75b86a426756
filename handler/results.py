"""Makes results: what happened, put into the object that every door answers with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from handler.clear import Cleared, Findings
from handler.errors import ErrorCode, Failure
from handler.model import (
    Error,
    ManyResult,
    Outcome,
    Scanned,
    ServerSeen,
    Target,
    TargetResult,
    Trigger,
)
from handler.telemetry import Event, Trace


class Origin(NamedTuple):
    """Where an invocation came from, as its results say it."""

    request_id: str
    trigger: Trigger


def target_result(cleared: Cleared, trace: Trace, origin: Origin, seconds: float) -> TargetResult:
    """The result of one target. `seconds` is what it took. Logs it, too."""
    failure = cleared.failure
    result = _made(cleared, origin, tuple(trace.request_ids), trace.calls, seconds)
    write = trace.log.info if result.ok else trace.log.warning
    write(
        Event.TARGET,
        outcome=result.outcome.value,
        code=failure.code.value if failure else None,
        changed=result.changed,
        dry_run=result.dry_run,
        volume_id=result.volume_id,
        attachment_id=result.attachment_id,
        server_id=result.server.id,
        server_status=result.server.status,
        status_before=result.volume_status.before,
        status_after=result.volume_status.after,
        retryable=failure.retryable if failure else None,
        message=failure.message if failure else None,
        upstream_request_ids=result.upstream_request_ids,
        calls=result.calls,
        duration_ms=result.duration_ms,
    )
    return result


def error_of(failure: Failure) -> Error:
    """A failure as it stands in a result."""
    return Error(
        code=failure.code,
        message=failure.message,
        retryable=failure.retryable,
        details=failure.details,
        upstream=failure.upstream,
        retry_after=failure.retry_after,
    )


def untargeted(outcome: Outcome, failure: Failure | None, origin: Origin) -> TargetResult:
    """The result of an invocation that concerns no target: ignored, or failed before there was one."""
    return _made(Cleared(outcome, Findings(None, None, dry_run=False), failure), origin)


def _made(
    cleared: Cleared,
    origin: Origin,
    request_ids: tuple[str, ...] = (),
    calls: int = 0,
    seconds: float = 0.0,
) -> TargetResult:
    found, failure = cleared.findings, cleared.failure
    return TargetResult(
        ok=cleared.outcome.ok,
        outcome=cleared.outcome,
        changed=found.changed,
        dry_run=found.dry_run,
        volume_id=found.volume_id,
        attachment_id=found.attachment_id,
        remaining_attachments=found.remaining,
        server=found.server,
        volume_status=found.volume_status,
        error=error_of(failure) if failure else None,
        request_id=origin.request_id,
        trigger=origin.trigger,
        upstream_request_ids=request_ids,
        calls=calls,
        duration_ms=round(seconds * 1000),
    )


def untouched(target: Target, outcome: Outcome, failure: Failure | None = None) -> Cleared:
    """A target at which nothing was looked at: a failure stopped it before, or it was passed on."""
    found = Findings(target.volume_id, target.attachment_id, target.dry_run, ServerSeen(target.server_id))
    return Cleared(outcome, found, failure)


def many(
    results: Sequence[TargetResult],
    origin: Origin,
    *,
    complete: bool = True,
    scanned: Scanned | None = None,
    failure: Failure | None = None,
) -> ManyResult:
    """The result of several. A target that lacked time makes it incomplete."""
    late = any(result.error and result.error.code is ErrorCode.DEADLINE_EXCEEDED for result in results)
    return ManyResult(
        ok=failure is None and all(result.ok for result in results),
        request_id=origin.request_id,
        trigger=origin.trigger,
        complete=complete and not late,
        summary=dict(Counter(result.outcome.value for result in results)),
        scanned=scanned,
        results=tuple(results),
        error=error_of(failure) if failure else None,
    )
