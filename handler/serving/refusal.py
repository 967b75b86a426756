"""The answer to what never became a request: the result object, under an id, written as HTTP by hand."""

from __future__ import annotations

from http import HTTPStatus

from handler.errors import InvalidRequest
from handler.invocation import Trigger
from handler.runtime import turn_away
from handler.triggers import platform
from handler.triggers.reply import as_json


def refusal(status: int, why: str) -> bytes:
    """A whole HTTP answer, after which the connection ends; logged as any other."""
    failure = InvalidRequest(f"The request was not served: {why}.", status=status)
    reply = as_json(turn_away(failure, platform.invocation(Trigger.HTTP)))
    body = reply.body.encode()
    headers = {**reply.headers, "Content-Length": str(len(body)), "Connection": "close"}
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", *map(": ".join, headers.items())]
    return "\r\n".join([*lines, "", ""]).encode() + body
