"""What can go wrong, as one tree.

    Failure                     one target, or a whole invocation, did not get through; carries an error code
    ├── InvalidRequest          the caller's input: nothing was done
    ├── Unauthenticated         the caller has no key
    ├── Forbidden               the caller has a wrong key
    ├── Refused                 a safety rule said no: nothing was sent, or the cloud itself refused
    ├── NotConfirmed            the cloud accepted the call, but the record was not yet seen cleared
    ├── Misconfigured           a setting is missing or wrong, or token, project and endpoints don't match
    ├── SecretUnavailable       the store did not give the secret
    ├── TokenRejected           the cloud refuses the token
    ├── PermissionDenied        the token is good, but may not do this
    ├── UpstreamRejected        any other 4xx (or redirect) of the cloud
    ├── Throttled               the cloud says 429
    ├── UpstreamUnavailable     5xx, a broken connection, an answer that cannot be read
    │   └── NoAnswer            nothing came back: what was sent may have been acted on
    ├── ListingFailed           a page of a listing failed for good
    ├── DeadlineExceeded        time is up
    └── Internal                a bug of ours

Every failure says whether the same call, made again later, can succeed (`retryable`), and carries what the
cloud said (`upstream`), cleaned of secrets. Codes and their meaning: the table of error codes in the README.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any


class ErrorCode(str, Enum):
    """The codes that an operator greps for."""

    INVALID_REQUEST = "invalid_request"
    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"
    VOLUME_FOREIGN = "volume_foreign"
    VOLUME_STATE = "volume_state"
    ATTACHMENT_REQUIRED = "attachment_required"
    ATTACHMENT_UNKNOWN = "attachment_unknown"
    SERVER_MISMATCH = "server_mismatch"
    SERVER_EXISTS = "server_exists"
    SERVER_UNKNOWN = "server_unknown"
    USE_COMPUTE_API = "use_compute_api"
    SWEEP_REFUSED = "sweep_refused"
    NOT_CONFIRMED = "not_confirmed"
    CONFIGURATION = "configuration"
    SECRET_UNAVAILABLE = "secret_unavailable"
    TOKEN_REJECTED = "token_rejected"
    PERMISSION_DENIED = "permission_denied"
    UPSTREAM_REJECTED = "upstream_rejected"
    THROTTLED = "throttled"
    UPSTREAM_UNAVAILABLE = "upstream_unavailable"
    LISTING_FAILED = "listing_failed"
    DEADLINE_EXCEEDED = "deadline_exceeded"
    INTERNAL = "internal"


@dataclass(frozen=True)
class Upstream:
    """What the cloud said: its status, its own code and message, and the request id its operators ask for."""

    status: int | None
    code: str | None
    message: str | None
    request_id: str | None


@dataclass(frozen=True)
class Detail:
    """One place in the input that is wrong: an RFC 6901 pointer and the rule it breaks, never the value."""

    pointer: str
    rule: str


class Failure(Exception):
    """Base of the tree. `message` says what is wrong and what to do; it never holds a secret.

    `retry_after` is the cloud's own hint in seconds, where it gave one.
    """

    code: ErrorCode = ErrorCode.INTERNAL
    retryable: bool = False

    def __init__(
        self,
        message: str,
        *,
        retryable: bool | None = None,
        details: tuple[Detail, ...] | None = None,
        upstream: Upstream | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        if retryable is not None:
            self.retryable = retryable
        self.details = details
        self.upstream = upstream
        self.retry_after = retry_after

    def __reduce__(self) -> tuple[Any, ...]:
        return (_rebuild, (type(self), self.__dict__.copy()))


def _rebuild(kind: type[Failure], state: dict[str, Any]) -> Failure:
    failure = kind.__new__(kind, state["message"])
    failure.__dict__.update(state)
    return failure


class InvalidRequest(Failure):
    """The input is not what the contract takes. `status` is 400, 405, 413 or 415."""

    code = ErrorCode.INVALID_REQUEST

    def __init__(self, message: str, *, details: tuple[Detail, ...] | None = None, status: int = 400) -> None:
        super().__init__(message, details=details)
        self.status = status


class Unauthenticated(Failure):
    """The caller sent no key."""

    code = ErrorCode.UNAUTHENTICATED


class Forbidden(Failure):
    """The caller's key is not one of ours."""

    code = ErrorCode.FORBIDDEN


class Refused(Failure):
    """A safety rule, or the cloud's own 409, said no. Always made with the code of the rule."""

    def __init__(
        self,
        code: ErrorCode,
        message: str,
        *,
        retryable: bool = False,
        upstream: Upstream | None = None,
    ) -> None:
        super().__init__(message, retryable=retryable, upstream=upstream)
        self.code = code


class NotConfirmed(Failure):
    """The cloud accepted the call; the record was not seen cleared in the time there was."""

    code = ErrorCode.NOT_CONFIRMED
    retryable = True


class Misconfigured(Failure):
    """A setting is missing or wrong (named, its value never shown), or settings and token don't match."""

    code = ErrorCode.CONFIGURATION


class SecretUnavailable(Failure):
    """The store did not give the secret. `retryable` tells an outage from a secret that is not there."""

    code = ErrorCode.SECRET_UNAVAILABLE


class TokenRejected(Failure):
    """The cloud refuses the token: 401, or one of the 400s EVS.0002 and Common.0013."""

    code = ErrorCode.TOKEN_REJECTED


class PermissionDenied(Failure):
    """403: the token is good, its role or policy is not enough."""

    code = ErrorCode.PERMISSION_DENIED


class UpstreamRejected(Failure):
    """A 4xx with no code of its own here, a redirect, or a 404 that is not the service's own."""

    code = ErrorCode.UPSTREAM_REJECTED


class Throttled(Failure):
    """429, after the retries that the deadline allowed."""

    code = ErrorCode.THROTTLED
    retryable = True


class UpstreamUnavailable(Failure):
    """5xx, or an answer that can't be read.

    `unsent` says that it befell what signs the call: the call itself was not acted on.
    """

    code = ErrorCode.UPSTREAM_UNAVAILABLE
    retryable = True
    unsent = False


class NoAnswer(UpstreamUnavailable):
    """The connection failed or time ran out before an answer: what was sent may have been acted on.

    `broken` tells a broken connection, which a new one may mend at once, from time that ran out.
    """

    def __init__(self, message: str, *, broken: bool) -> None:
        super().__init__(message)
        self.broken = broken


class ListingFailed(Failure):
    """A page of a listing failed for good; nothing was judged by an incomplete list."""

    code = ErrorCode.LISTING_FAILED
    retryable = True


class DeadlineExceeded(Failure):
    """The invocation's time is up."""

    code = ErrorCode.DEADLINE_EXCEEDED
    retryable = True


class Internal(Failure):
    """A bug: logged with its traceback, answered without one."""

    code = ErrorCode.INTERNAL
