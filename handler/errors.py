"""What can go wrong, as one tree.

    Failure                     one target, or a whole invocation, did not get through; carries an error code
    ├── InvalidRequest          the caller's input: nothing was done
    ├── Unauthenticated         the caller has no key
    ├── Forbidden               the caller has a wrong key
    ├── Refused                 a safety rule said no: nothing was sent, or the cloud itself refused
    ├── NotConfirmed            the cloud accepted the call, but the record was not yet seen cleared
    ├── NotRecovered            the cloud accepted the call, and the record did not become free by it
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
cloud said (`upstream`), cleaned of secrets. Codes and what to do about each: docs/operating.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from typing_extensions import Self


class ErrorCode(str, Enum):
    """The codes that an operator greps for."""

    # Each with its HTTP status (that of one that may pass by itself hangs on the outcome, see
    # handler.triggers.reply) and its meaning in a few words
    http: int
    meaning: str

    def __new__(cls, value: str, http: int = 500, meaning: str = "") -> Self:
        """A member, which is its value's text."""
        code = str.__new__(cls, value)
        code._value_ = value
        code.http, code.meaning = http, meaning
        return code

    INVALID_REQUEST = "invalid_request", 400, "not JSON, or not of one of the four forms"
    UNAUTHENTICATED = "unauthenticated", 401, "the caller sent no key"
    FORBIDDEN = "forbidden", 403, "the caller's key is not one that may call"
    VOLUME_FOREIGN = "volume_foreign", 409, "the volume is another project's"
    VOLUME_STATE = "volume_state", 409, "the volume is not in-use; retryable while that passes by itself"
    ATTACHMENT_REQUIRED = "attachment_required", 409, "the volume has several attachments: say which"
    ATTACHMENT_UNKNOWN = (
        "attachment_unknown",
        409,
        "the volume's list of attachments is not clear about this one",
    )
    SERVER_MISMATCH = (
        "server_mismatch",
        409,
        "the attachment belongs to another server than the one asked for",
    )
    SERVER_EXISTS = "server_exists", 409, "the server still exists; retryable while it is being deleted"
    SERVER_UNKNOWN = "server_unknown", 409, "nothing proves that the server is gone"
    USE_COMPUTE_API = (
        "use_compute_api",
        409,
        "the cloud itself refused: only its compute service may detach here",
    )
    ROOT_VOLUME = "root_volume", 409, "the server's root disk, or not proved to be a data disk"
    SERVER_LOCKED = "server_locked", 409, "somebody locked the server"
    SERVER_BUSY = (
        "server_busy",
        409,
        "the server's state or task doesn't allow it now; retryable while that passes by itself",
    )
    GUEST_REFUSED = "guest_refused", 409, "the compute service gave the detach up and rolled it back"
    LIVE_EXPIRED = "live_expired", 409, "later than the event's not_after"
    VOLUME_HELD = "volume_held", 409, "a server holds the volume, whatever its record says"
    SWEEP_REFUSED = "sweep_refused", 409, "too much looks orphaned: the listing is the likelier fault"
    NOT_CONFIRMED = "not_confirmed", 202, "accepted by the cloud, but not yet seen: ask again"
    NOT_RECOVERED = "not_recovered", 502, "the cloud accepted the call, and the record is not free"
    CONFIGURATION = (
        "configuration",
        500,
        "a setting is missing or wrong, or token, project and endpoints don't match",
    )
    SECRET_UNAVAILABLE = (
        "secret_unavailable",
        500,
        "the store did not give the secret: 503 for an outage, else 500",
    )
    TOKEN_REJECTED = "token_rejected", 502, "the cloud refuses the token, also after one renewal"
    PERMISSION_DENIED = "permission_denied", 502, "the token's role is not enough"
    UPSTREAM_REJECTED = "upstream_rejected", 502, "the cloud refused the call for another reason"
    THROTTLED = "throttled", 503, "the cloud takes no more calls for now"
    UPSTREAM_UNAVAILABLE = (
        "upstream_unavailable",
        503,
        "the cloud failed or could not be reached or understood",
    )
    LISTING_FAILED = "listing_failed", 503, "a page of a list can't be had or read now"
    DEADLINE_EXCEEDED = "deadline_exceeded", 504, "time was up"
    INTERNAL = "internal", 500, "a bug of the function"


MENDED = frozenset(
    {
        ErrorCode.NOT_RECOVERED,
        ErrorCode.CONFIGURATION,
        ErrorCode.SECRET_UNAVAILABLE,
        ErrorCode.TOKEN_REJECTED,
        ErrorCode.PERMISSION_DENIED,
        ErrorCode.INTERNAL,
    }
)
"""What stays, where it is not retryable, until somebody mends it: the deployment, or the record."""


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


_Kind = TypeVar("_Kind", bound="Failure")


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

    def after(self, happened: str) -> Self:
        """The same failure, where something had happened before it, which is said first."""
        return _rebuild(type(self), {**self.__dict__, "message": f"{happened} {self.message}"})

    def __reduce__(self) -> tuple[Any, ...]:
        return (_rebuild, (type(self), self.__dict__.copy()))


def _rebuild(kind: type[_Kind], state: dict[str, Any]) -> _Kind:
    failure = kind.__new__(kind, state["message"])
    failure.__dict__.update(state)
    return failure


class InvalidRequest(Failure):
    """The input is not valid. `status` is 400, 405, 413 or 415."""

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


class NotRecovered(Failure):
    """The cloud accepted the call, and the record did not become free: a person has to look at it."""

    code = ErrorCode.NOT_RECOVERED


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

    `broken` tells a broken connection, which a new one may repair at once, from time that ran out.
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
    """A bug: logged with its traceback, answered without one. See `handler.telemetry.Log.bug`."""

    code = ErrorCode.INTERNAL

    def __init__(self) -> None:
        super().__init__("An error of the function itself; see its log.")
