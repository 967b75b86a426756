"""What a result means to whoever delivered the event: the table of contract §5, for all doors.

| outcome | HTTP | CloudEvent | FunctionGraph, asynchronous |
| --- | --- | --- | --- |
| ok | 200 | 200 | returned |
| refused, a safety rule | 409 | 200: it was processed | returned |
| refused, it will pass | 409, Retry-After | 503: deliver it again | raised |
| unconfirmed | 202, Retry-After | 503 | raised |
| failed, retryable | 503 or 504, Retry-After | 503 | raised |
| failed for good | by its code | 422; what was not read as by HTTP | raised |
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from handler.errors import ErrorCode, InvalidRequest
from handler.model import Error, ManyResult, Outcome, Result, Sweep, TargetResult, Work

_DEFAULT_RETRY_AFTER = 5.0

HTTP_STATUS: Mapping[ErrorCode, int] = {
    ErrorCode.INVALID_REQUEST: 400,
    ErrorCode.UNAUTHENTICATED: 401,
    ErrorCode.FORBIDDEN: 403,
    ErrorCode.VOLUME_FOREIGN: 409,
    ErrorCode.VOLUME_STATE: 409,
    ErrorCode.ATTACHMENT_REQUIRED: 409,
    ErrorCode.ATTACHMENT_UNKNOWN: 409,
    ErrorCode.SERVER_MISMATCH: 409,
    ErrorCode.SERVER_EXISTS: 409,
    ErrorCode.SERVER_UNKNOWN: 409,
    ErrorCode.USE_COMPUTE_API: 409,
    ErrorCode.SWEEP_REFUSED: 409,
    ErrorCode.NOT_CONFIRMED: 202,
    ErrorCode.CONFIGURATION: 500,
    ErrorCode.SECRET_UNAVAILABLE: 500,
    ErrorCode.TOKEN_REJECTED: 502,
    ErrorCode.PERMISSION_DENIED: 502,
    ErrorCode.UPSTREAM_REJECTED: 502,
    ErrorCode.THROTTLED: 503,
    ErrorCode.UPSTREAM_UNAVAILABLE: 503,
    ErrorCode.LISTING_FAILED: 503,
    ErrorCode.DEADLINE_EXCEEDED: 504,
    ErrorCode.INTERNAL: 500,
}
"""The HTTP status of each code; of a retryable failure, see `_single`."""

_UNREAD = frozenset({ErrorCode.INVALID_REQUEST, ErrorCode.UNAUTHENTICATED, ErrorCode.FORBIDDEN})
_REFUSALS = frozenset(code for code, status in HTTP_STATUS.items() if status == 409)


class Delivery(NamedTuple):
    """How a result is delivered by each kind of door. `retry_after` is in whole seconds."""

    http: int
    cloudevent: int
    retry_after: int | None = None

    @property
    def raised(self) -> bool:
        """Whether an asynchronous FunctionGraph call ends by an exception, so that the platform retries."""
        return self.cloudevent != 200


def settle(result: Result, work: Sequence[Work] = (), *, unread: InvalidRequest | None = None) -> Delivery:
    """Find how a result is delivered.

    `work` is what was asked for, since a sweep leaves what it could not settle to its next run. `unread` is
    the failure by which there is no work, if there is none: it knows its HTTP status best.
    """
    if unread is not None:
        return Delivery(unread.status, unread.status)
    if isinstance(result, TargetResult):
        return _single(result.outcome, result.error)
    return _several(result, work)


def _several(result: ManyResult, work: Sequence[Work]) -> Delivery:
    parts = [_single(part.outcome, part.error) for part in result.results]
    whole = None
    if result.error is not None:
        whole = _single(_outcome(result.error), result.error)
        parts.append(whole)
    statuses = {part.http for part in parts}
    if result.ok:
        status = 200
    elif whole and len(work) <= 1:
        status = whole.http
    else:
        status = statuses.pop() if len(statuses) == 1 else 207
    events = {part.cloudevent for part in parts}
    if whole is None and work and all(isinstance(part, Sweep) for part in work):
        events.clear()
    event = 503 if 503 in events else 422 if events - {200} else 200
    hints = [part.retry_after for part in parts if part.retry_after is not None]
    return Delivery(status, event, max(hints, default=None))


def _single(outcome: Outcome, error: Error | None) -> Delivery:
    if error is None:
        return Delivery(200, 200)
    status = HTTP_STATUS[error.code]
    if not error.retryable:
        if outcome is Outcome.REFUSED:
            return Delivery(status, 200)
        return Delivery(status, status if error.code in _UNREAD else 422)
    if outcome is Outcome.FAILED:
        status = 504 if error.code is ErrorCode.DEADLINE_EXCEEDED else 503
    hint = _DEFAULT_RETRY_AFTER if error.retry_after is None else error.retry_after
    return Delivery(status, 503, max(0, math.ceil(hint)))


def _outcome(error: Error) -> Outcome:
    return Outcome.REFUSED if error.code in _REFUSALS else Outcome.FAILED
