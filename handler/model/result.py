"""What goes out: the result object that every trigger is answered with, and how it is made.

It is made of plain frozen dataclasses, since it is ours. The published JSON Schema is generated from them
(`handler.model.schema`).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any, NamedTuple

from handler.errors import Detail, ErrorCode, Failure, InvalidRequest, Upstream
from handler.invocation import CallContext, Invocation, Trigger
from handler.model.disk import Disk
from handler.model.request import Target, Work
from handler.model.sent import Job, Via
from handler.telemetry import Event


class Outcome(str, Enum):
    """What became of one target."""

    DETACHED = "detached"
    RECOVERED = "recovered"
    ALREADY_DETACHED = "already_detached"
    VOLUME_ABSENT = "volume_absent"
    WOULD_DETACH = "would_detach"
    IGNORED = "ignored"
    DISPATCHED = "dispatched"
    REFUSED = "refused"
    UNCONFIRMED = "unconfirmed"
    FAILED = "failed"

    @property
    def ok(self) -> bool:
        """Whether the caller has nothing left to do."""
        return self not in _NOT_OK


_NOT_OK = frozenset({Outcome.REFUSED, Outcome.UNCONFIRMED, Outcome.FAILED})


@dataclass(frozen=True)
class ServerSeen:
    """What the compute service said of the attachment's server; null where it was not asked."""

    id: str | None = None
    exists: bool | None = None
    status: str | None = None
    checked: bool = False


@dataclass(frozen=True)
class VolumeStatus:
    """The volume's status as first and as last read."""

    before: str | None = None
    after: str | None = None


@dataclass(frozen=True)
class Error:
    """Why an answer is not ok, and what to do.

    `retry_after`, the cloud's hint in seconds, goes into a header and not into the body.
    """

    code: ErrorCode
    message: str
    retryable: bool
    details: tuple[Detail, ...] | None = None
    upstream: Upstream | None = None
    retry_after: float | None = None


@dataclass(frozen=True)
class TargetResult:
    """What happened to one attachment: the same object for every trigger and outcome.

    `via` is what was sent, in a dry run what would be; null where nothing was. `changed`: true seen changed,
    false known unchanged, null not known. `calls` counts the requests sent to the volume and compute services
    for this target; `duration_ms` is in milliseconds.
    """

    ok: bool
    outcome: Outcome
    changed: bool | None
    dry_run: bool
    volume_id: str | None
    attachment_id: str | None
    remaining_attachments: int | None
    server: ServerSeen
    volume_status: VolumeStatus
    disk: Disk
    project_id: str | None
    via: Via | None
    job: Job | None
    error: Error | None
    request_id: str
    trigger: Trigger
    upstream_request_ids: tuple[str, ...]
    calls: int
    duration_ms: int


@dataclass(frozen=True)
class Skipped:
    """What a sweep left alone, and why: candidates, and records of the list that could not be read."""

    too_young: int = 0
    filtered: int = 0
    over_limit: int = 0
    unreadable: int = 0


@dataclass(frozen=True)
class Scanned:
    """What a sweep looked through. `stuck` is null where no records in passing states were looked for."""

    volumes: int = 0
    servers: int = 0
    candidates: int = 0
    stuck: int | None = None
    skipped: Skipped = field(default_factory=Skipped)


@dataclass(frozen=True)
class ManyResult:
    """What happened to several. `complete`: nothing was left undone for lack of time or for `limit`.

    `projects` counts outcomes by project, under "" where that is not known; left out where one is looked at.
    """

    ok: bool
    request_id: str
    trigger: Trigger
    complete: bool
    summary: dict[str, int]
    scanned: Scanned | None
    results: tuple[TargetResult, ...]
    error: Error | None
    projects: dict[str, dict[str, int]] | None = None
    works: tuple[Result, ...] = ()  # of what came together, each one's own, in order; never shown

    def by_project(self) -> ManyResult:
        """The same with its outcomes counted by project."""
        counts: dict[str, Counter[str]] = {}
        for result in self.results:
            counts.setdefault(result.project_id or "", Counter())[result.outcome.value] += 1
        return replace(self, projects={name: dict(counts[name]) for name in sorted(counts)})


Result = TargetResult | ManyResult


def to_json(result: Result, *, indent: int | None = None) -> str:
    """The result as the JSON text that every entry point answers with."""
    return json.dumps(result, default=_plain, indent=indent)


def _plain(part: object) -> dict[str, Any]:
    fields = vars(part)
    left_out: tuple[str, ...] = ()
    if isinstance(part, Error):
        left_out = ("retry_after",)
    elif isinstance(part, ManyResult):
        left_out = ("works", "projects") if part.projects is None else ("works",)
    return {name: fields[name] for name in fields if name not in left_out} if left_out else fields


@dataclass
class Findings:
    """What was seen and done on a target's way, as far as it got."""

    volume_id: str | None
    attachment_id: str | None
    dry_run: bool
    server: ServerSeen = field(default_factory=ServerSeen)
    volume_status: VolumeStatus = field(default_factory=VolumeStatus)
    disk: Disk = field(default_factory=Disk)
    project_id: str | None = None
    via: Via | None = None
    job: Job | None = None
    remaining: int | None = None
    changed: bool | None = False

    def saw(self, status: str, attachments: int) -> None:
        """Note a look at the volume: its status, and how many attachments it lists."""
        self.volume_status = VolumeStatus(self.volume_status.before or status, status)
        self.remaining = attachments


class Cleared(NamedTuple):
    """What became of a target: outcome, findings, and the failure that stopped it, if one did."""

    outcome: Outcome
    findings: Findings
    failure: Failure | None = None


class Handled(NamedTuple):
    """What came of an event: the result, what was asked for, and why it was not read, if it was not."""

    result: Result
    work: Sequence[Work] = ()
    unread: InvalidRequest | None = None


def target_result(cleared: Cleared, context: CallContext, seconds: float = 0.0) -> TargetResult:
    """The result of one target. `seconds` is what it took. Logs it, too."""
    failure = cleared.failure
    result = _made(cleared, context.invocation, tuple(context.request_ids), context.calls, seconds)
    context.log.ended(failure, ok=result.ok)(
        Event.TARGET,
        outcome=result.outcome.value,
        code=failure.code.value if failure else None,
        changed=result.changed,
        dry_run=result.dry_run,
        volume_id=result.volume_id,
        attachment_id=result.attachment_id,
        server_id=result.server.id,
        server_status=result.server.status,
        project_id=result.project_id,
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


def untargeted(
    outcome: Outcome,
    failure: Failure | None,
    invocation: Invocation,
    *,
    dry_run: bool = False,
    changed: bool | None = False,
) -> TargetResult:
    """The result of an invocation that concerns no target: ignored, or failed before there was one."""
    return _made(Cleared(outcome, Findings(None, None, dry_run, changed=changed), failure), invocation)


def _made(
    cleared: Cleared,
    invocation: Invocation,
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
        disk=found.disk,
        project_id=found.project_id,
        via=found.via,
        job=found.job,
        error=error_of(failure) if failure else None,
        request_id=invocation.request_id,
        trigger=invocation.trigger,
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
    invocation: Invocation,
    *,
    complete: bool = True,
    scanned: Scanned | None = None,
    failure: Failure | None = None,
) -> ManyResult:
    """The result of several. A target that lacked time makes it incomplete."""
    late = any(result.error and result.error.code is ErrorCode.DEADLINE_EXCEEDED for result in results)
    return ManyResult(
        ok=failure is None and all(result.ok for result in results),
        request_id=invocation.request_id,
        trigger=invocation.trigger,
        complete=complete and not late,
        summary=dict(Counter(result.outcome.value for result in results)),
        scanned=scanned,
        results=tuple(results),
        error=error_of(failure) if failure else None,
    )
