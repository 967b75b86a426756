"""What goes over the wire: a call as it was received, an answer as it is sent."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote

JSON = "application/json"

Question = tuple[str, str, tuple[tuple[str, str], ...], bytes]


@dataclass(slots=True, eq=False)
class Call:
    """One request, kept for tests to look at.

    ``path`` is the whole path, percent-decoded and without its query; ``tail`` the part below the service's
    own prefix. ``headers`` have lower-case names. ``body`` is the parsed JSON, None when there is none or it
    is not JSON; ``raw`` the bytes. ``status`` is 0 until it is answered, and stays 0 when the connection is
    closed without an answer, as does ``answer``. ``started_at`` is on the monotonic clock, in seconds.
    """

    service: str
    method: str
    path: str
    tail: str
    query: dict[str, str]
    headers: dict[str, str]
    raw: bytes
    body: Any
    started_at: float
    status: int = 0
    answer: Answer | None = None

    @property
    def question(self) -> Question:
        """What is asked, without its headers."""
        return self.method, self.path, tuple(sorted(self.query.items())), self.raw

    @property
    def segments(self) -> list[str]:
        """The tail's parts; a trailing slash leaves an empty last one."""
        return self.tail.split("/")[1:]


@dataclass(slots=True)
class Manner:
    """How an answer is written, when not simply at once."""

    drop: bool = False
    drip: float | None = None
    drip_head: bool = False
    endless: bool = False
    interim: tuple[int, ...] = ()
    stray: str = ""


@dataclass(slots=True)
class Answer:
    status: int
    body: bytes = b""
    headers: list[tuple[str, str]] = field(default_factory=list)
    manner: Manner | None = None


def read_call(method: str, target: str, headers: dict[str, str], raw: bytes, started_at: float) -> Call:
    """Read a call from its request line, its headers (lower-case names) and its body."""
    target, _, query = target.partition("?")
    path = unquote(target)
    prefix, slash, tail = path[1:].partition("/")
    return Call(
        service={"kms": "csms"}.get(prefix, prefix),
        method=method,
        path=path,
        tail=slash + tail,
        query=dict(parse_qsl(query, keep_blank_values=True)),
        headers=headers,
        raw=raw,
        body=_parsed(raw),
        started_at=started_at,
    )


def _parsed(raw: bytes) -> object:
    if not raw:
        return None
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        return None


def json_answer(status: int, content: Any, *headers: tuple[str, str]) -> Answer:
    return Answer(status, json.dumps(content).encode(), [("Content-Type", JSON), *headers])


def request_id() -> str:
    """Make a request id as OpenStack's services write them."""
    return f"req-{uuid.uuid4()}"
