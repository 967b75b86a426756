"""An answer over HTTP, before any host's own type of it."""

from __future__ import annotations

from dataclasses import dataclass, field

from handler.door import Passage
from handler.model import to_json


@dataclass
class Answer:
    """Status, headers and text of an answer."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: str = ""


def as_json(passage: Passage, status: int | None = None) -> Answer:
    """The answer of the doors that speak plain HTTP: the result itself, as `application/json`."""
    status = passage.delivery.http if status is None else status
    headers = {"Content-Type": "application/json", **advice(passage, status)}
    return Answer(status, headers, to_json(passage.result))


def advice(passage: Passage, status: int) -> dict[str, str]:
    """The headers that say whose answer this is, and what a caller can do about its status."""
    headers = {"X-Request-Id": passage.result.request_id}
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if status == 405:
        headers["Allow"] = "POST"
    if status != 200 and passage.delivery.retry_after is not None:
        headers["Retry-After"] = str(passage.delivery.retry_after)
    return headers
