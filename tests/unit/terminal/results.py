"""Results as they come out of the function, for what shows them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from handler.errors import ErrorCode, Upstream
from handler.invocation import Trigger
from handler.model.disk import Disk
from handler.model.result import Error, ManyResult, Outcome, ServerSeen, TargetResult, VolumeStatus
from handler.model.sent import Job, Via
from tests.embedded_cloud import seed


def one(outcome: Outcome = Outcome.DETACHED, error: Error | None = None, **other: Any) -> TargetResult:
    """The result of one target."""
    known: dict[str, Any] = {
        "ok": outcome.ok,
        "outcome": outcome,
        "changed": outcome is Outcome.DETACHED,
        "dry_run": outcome is Outcome.WOULD_DETACH,
        "volume_id": seed.ORPHAN_VOLUME,
        "attachment_id": seed.ORPHAN_ATTACHMENT,
        "remaining_attachments": 0,
        "server": ServerSeen(seed.GONE_SERVER, exists=False, checked=True),
        "volume_status": VolumeStatus("in-use", "available" if outcome is Outcome.DETACHED else "in-use"),
        "disk": Disk("data", 40, "/dev/vdb", "2026-01-02T03:04:05Z"),
        "project_id": seed.PROJECT,
        "via": Via.OS_DETACH,
        "job": None,
        "error": error,
        "request_id": "r-1",
        "trigger": Trigger.TERMINAL,
        "upstream_request_ids": ("req-1", "req-2"),
        "calls": 2,
        "duration_ms": 3,
    }
    return TargetResult(**{**known, **other})


def many(*results: TargetResult, error: Error | None = None, **other: Any) -> ManyResult:
    """The result of several."""
    known: dict[str, Any] = {
        "ok": error is None and all(result.ok for result in results),
        "request_id": "r-2",
        "trigger": Trigger.TERMINAL,
        "complete": True,
        "summary": {},
        "scanned": None,
        "results": results,
        "error": error,
    }
    return ManyResult(**{**known, **other})


def refusal(
    code: ErrorCode = ErrorCode.SERVER_EXISTS, *, retryable: bool = False, message: str = "it lives"
) -> Error:
    """Why not."""
    return Error(code, message, retryable=retryable, upstream=Upstream(404, "itemNotFound", "no", "req-9"))


REFUSED = one(Outcome.REFUSED, refusal())
PASSING = one(Outcome.REFUSED, refusal(retryable=True))
UNCONFIRMED = one(Outcome.UNCONFIRMED, refusal(ErrorCode.NOT_CONFIRMED, retryable=True), changed=None)
FAILED = one(Outcome.FAILED, refusal(ErrorCode.PERMISSION_DENIED), changed=False)
WOULD = one(Outcome.WOULD_DETACH)
_LIVES = ServerSeen(seed.LIVE_SERVER, exists=True, status="ACTIVE", checked=True)
UNDER_WAY = one(
    Outcome.UNCONFIRMED,
    refusal(ErrorCode.NOT_CONFIRMED, retryable=True),
    changed=None,
    server=_LIVES,
    via=Via.COMPUTE,
    job=Job("req-7", "running"),
    volume_status=VolumeStatus("in-use", "detaching"),
)
"""A live server's disk whose detach is begun and not seen done."""

FOLLOWED = replace(UNDER_WAY, via=None, job=None)
"""The same, begun by an earlier run."""

HALF_DONE = one(
    Outcome.FAILED,
    refusal(ErrorCode.NOT_RECOVERED),
    changed=True,
    server=_LIVES,
    via=Via.COMPUTE,
    job=Job("req-7", "done"),
    volume_status=VolumeStatus("in-use", "detaching"),
)
"""The server has let go of it, and the record does not show it."""

RECOVERED = one(Outcome.RECOVERED, changed=True, volume_status=VolumeStatus("detaching", "available"))
