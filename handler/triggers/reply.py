"""How a result is answered: what it means to whoever delivered the event, whatever the event came by.

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
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from handler.errors import ErrorCode
from handler.model.request import Sweep, Work
from handler.model.result import Error, Handled, ManyResult, Outcome, Result, TargetResult, to_json

JSON = "application/json"

_DEFAULT_RETRY_AFTER = 5.0

_UNREAD = frozenset({ErrorCode.INVALID_REQUEST, ErrorCode.UNAUTHENTICATED, ErrorCode.FORBIDDEN})
_REFUSALS = frozenset(code for code in ErrorCode if code.http == 409)


class Delivery(NamedTuple):
    """How a result is delivered by each kind of trigger. `retry_after` is in whole seconds."""

    http: int
    cloudevent: int
    retry_after: int | None = None

    @property
    def raised(self) -> bool:
        """Whether an asynchronous FunctionGraph call ends by an exception, so that the platform retries."""
        return self.cloudevent != 200


def settle(handled: Handled) -> Delivery:
    """Find how a result is delivered.

    What was asked for counts, too, since a sweep leaves what it could not settle to its next run. What came
    together is settled work by work, each by its own errors. A request that can't be read knows its own HTTP
    status best.
    """
    result, work, unread = handled
    if unread is not None:
        return Delivery(unread.status, unread.status)
    if isinstance(result, ManyResult) and result.works:
        return _together([_own(each, asked) for each, asked in zip(result.works, work, strict=True)])
    return _own(result, *work[:1])


def _own(result: Result, work: Work | None = None) -> Delivery:
    """How one work's own result is delivered where it came alone."""
    if isinstance(result, TargetResult):
        return _single(result.outcome, result.error)
    parts = [_single(part.outcome, part.error) for part in result.results]
    if result.error is not None:
        whole = _single(_outcome(result.error), result.error)
        return _together([*parts, whole])._replace(http=whole.http)
    together = _together(parts)
    return together._replace(cloudevent=200) if isinstance(work, Sweep) else together


def _together(parts: Sequence[Delivery]) -> Delivery:
    """How several are delivered at once: by the status that they agree on, and again where one needs it."""
    statuses = {part.http for part in parts} or {200}
    events = {part.cloudevent for part in parts}
    hints = [part.retry_after for part in parts if part.retry_after is not None]
    return Delivery(
        http=statuses.pop() if len(statuses) == 1 else 207,
        cloudevent=503 if 503 in events else 422 if events - {200} else 200,
        retry_after=max(hints, default=None),
    )


def _single(outcome: Outcome, error: Error | None) -> Delivery:
    if error is None:
        return Delivery(200, 200)
    status = error.code.http
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


@dataclass
class Reply:
    """Status, headers and text of an HTTP answer, before any host's own type of it."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: str = ""


def as_json(handled: Handled, status: int | None = None) -> Reply:
    """The answer of all that speaks plain HTTP: the result itself, as `application/json`."""
    delivery = settle(handled)
    status = delivery.http if status is None else status
    headers = {"Content-Type": JSON, **advice(handled, delivery, status)}
    return Reply(status, headers, to_json(handled.result))


def advice(handled: Handled, delivery: Delivery, status: int) -> dict[str, str]:
    """The headers that say whose answer this is, and what a caller can do about its status."""
    headers = {"X-Request-Id": handled.result.request_id}
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if status == 405:
        headers["Allow"] = "POST"
    if status not in {200, 422} and delivery.retry_after is not None:
        headers["Retry-After"] = str(delivery.retry_after)
    return headers
