"""HTTP by hand: what no client library would send, and what came back for it."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Mapping
from contextlib import closing
from typing import Any, NamedTuple

from tests.unit.deployment import KEY


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=20)


def head(*lines: str, key: str | None = KEY) -> bytes:
    """Request line and headers. The first line is the request line."""
    authorization = [f"Authorization: Bearer {key}"] if key else []
    return "\r\n".join([lines[0], "Host: x", *lines[1:], *authorization, "", ""]).encode()


class Answer(NamedTuple):
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str | None:
        error = self.json["error"]
        return error["code"] if error else None


def answer_of(connection: socket.socket, method: str = "POST") -> Answer:
    with closing(http.client.HTTPResponse(connection, method=method)) as response:
        response.begin()
        return Answer(response.status, dict(response.headers.items()), response.read())


def exchange(port: int, data: bytes, *, end: bool = False) -> Answer:
    """Send, say that nothing will follow if `end`, and read one answer."""
    with closing(connect(port)) as connection:
        connection.sendall(data)
        if end:
            connection.shutdown(socket.SHUT_WR)
        return answer_of(connection)
