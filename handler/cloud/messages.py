"""What goes to the cloud and what comes back."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, TypedDict

from urllib3.exceptions import InvalidHeader
from urllib3.util.retry import Retry

from handler.cloud.redaction import holds, holds_digits
from handler.settings.trust import Trust

_REQUEST_ID_HEADERS = (
    "x-openstack-request-id",
    "x-compute-request-id",
    "x-request-id",
    "x-iam-trace-id",
)
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:/-]{1,128}")
_USUAL_ID = re.compile(r"(?:req-)?([0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12})")

_RETRY_AFTER = Retry(0)  # for its parser: seconds or a date

LARGEST_ANSWER = 4 * 1024 * 1024
"""Bytes of one answer's body that are read unless a call says otherwise; a larger one is refused."""


class Answer(NamedTuple):
    """A whole answer of the cloud. Header names are case-insensitive.

    `secrets` are the values that were sent and must not come out in what the cloud says of them.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    request_id: str | None
    secrets: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """Without `secrets` and whatever may quote them."""
        return f"Answer(status={self.status}, request_id={self.request_id!r})"

    @property
    def retry_after(self) -> float | None:
        """The hint in seconds, when to ask again, that stands in the header."""
        return seconds_of(self.headers.get("Retry-After"))

    @property
    def kept(self) -> bool:
        """Whether a cache kept the answer (RFC 9111, 5.1), though it was asked not to: it proves nothing."""
        return self.headers.get("Age", "0").strip() != "0"

    def microversion(self, service: str) -> str | None:
        """The microversion that the service says it answered at, by its type; None where it doesn't say.

        The header OpenStack-API-Version ("compute 2.69"; of several services' with commas between), which a
        real Nova and Cinder always send, or Nova's older one, which the vendor's pages know. One who did not
        mind the microversion that was asked for leaves both out: Nova's own /v2, a proxy that passes no
        header it doesn't know.
        """
        said = [part.split() for part in self.headers.get("OpenStack-API-Version", "").split(",")]
        found = {part[1] for part in said if len(part) == 2 and part[0].lower() == service}
        if service == "compute" and (older := self.headers.get("X-OpenStack-Nova-API-Version", "").strip()):
            found.add(older)
        return found.pop() if len(found) == 1 else None


def seconds_of(hint: str | None) -> float | None:
    """A hint when to ask again, in seconds from now, a day at most; None where there is none."""
    if not hint:
        return None
    try:
        return min(max(0.0, _RETRY_AFTER.parse_retry_after(hint)), 86400.0)
    except (InvalidHeader, ValueError, OverflowError):
        return None


class CallOptions(TypedDict, total=False):
    """What a call may have beside its address. See Call."""

    body: bytes | None
    headers: Mapping[str, str]
    largest: int
    needs: float
    changes: Mapping[str, Any] | None
    fresh: bool
    renews: bool


class Call(NamedTuple):
    """One request: what is sent, and how much may come back.

    `needs` is how many seconds must be left when it leaves, or it is not sent. `secrets` are further values
    that must not come out in what the cloud says of it. `changes` says what it changes: it is then logged
    before it is sent and after, whatever the log level. `fresh` asks for a connection made for it alone.
    `renews` is False for a call that must not leave under another token than those that led to it.
    `trust` is whom to trust there, where not the deployment's.
    """

    service: str
    method: str
    url: str
    body: bytes | None = None
    headers: Mapping[str, str] = MappingProxyType({})
    largest: int = LARGEST_ANSWER
    needs: float = 0.0
    secrets: tuple[str, ...] = ()
    changes: Mapping[str, Any] | None = None
    fresh: bool = False
    renews: bool = True
    trust: Trust | None = None

    def __repr__(self) -> str:
        """Without `secrets`, headers and body, which hold them."""
        return f"Call(service={self.service!r}, method={self.method!r}, path={self.path!r})"

    @property
    def path(self) -> str:
        """The URL without host and query, for the log."""
        return "/" + self.url.partition("://")[2].partition("/")[2].partition("?")[0]


def request_id_of(headers: Mapping[str, str], secrets: tuple[str, ...]) -> str | None:
    """The id that the service gave a call, None where it gives none that can be shown."""
    for name in _REQUEST_ID_HEADERS:
        shown = shown_id(headers.get(name), secrets)
        if shown:
            return shown
    return None


def shown_id(value: str | None, secrets: tuple[str, ...]) -> str | None:
    """A request id, None where it is none or may hold a secret."""
    if not value:
        return None
    usual = _USUAL_ID.fullmatch(value)  # each answer has one, and nearly all look like this
    if usual:
        return None if holds_digits(usual[1], secrets) else value
    return value if _REQUEST_ID.fullmatch(value) and not holds(value, secrets) else None
