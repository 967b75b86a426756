"""Asks a function for one target after the other, over several kept connections at once."""

from __future__ import annotations

import json
import re
import selectors
import socket
import time

from tests.bench.deployment import CALLERS_KEY
from tests.bench.stub import stuck

_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)", re.IGNORECASE)


class _Caller:
    """One connection. It asks, and asks again as soon as the whole answer is there."""

    def __init__(self, port: int) -> None:
        self.connection = socket.create_connection(("127.0.0.1", port), timeout=30)
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._received = b""

    def ask(self) -> None:
        ids = stuck()
        content = {"volume_id": ids.volume_id, "attachment_id": ids.attachment_id, "server_id": ids.server_id}
        body = json.dumps(content).encode()
        head = (
            "POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            f"Authorization: Bearer {CALLERS_KEY}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        self.connection.sendall(head.encode() + body)

    def answered(self) -> bool:
        """Take what has come. Raises RuntimeError when it is anything but success."""
        data = self.connection.recv(65536)
        self._received += data
        head, end, body = self._received.partition(b"\r\n\r\n")
        length = _LENGTH.search(head)
        if not data or (end and (not head.startswith(b"HTTP/1.1 200 ") or not length)):
            raise RuntimeError(f"not cleared: {self._received!r}")
        if not end or length is None or len(body) < int(length[1]):
            return False
        self._received = b""
        return True


def drive(port: int, connections: int, seconds: float) -> tuple[float, int]:
    """Requests per second that were answered, and how many."""
    callers = [_Caller(port) for _ in range(connections)]
    answers = 0
    with selectors.DefaultSelector() as selector:
        for caller in callers:
            selector.register(caller.connection, selectors.EVENT_READ, caller)
        started = time.perf_counter()
        for caller in callers:
            caller.ask()
        waiting = len(callers)
        while waiting:
            for key, _ in selector.select():
                if not key.data.answered():
                    continue
                answers += 1
                if time.perf_counter() - started < seconds:
                    key.data.ask()
                else:
                    waiting -= 1
        took = time.perf_counter() - started
    for caller in callers:
        caller.connection.close()
    return answers / took, answers
