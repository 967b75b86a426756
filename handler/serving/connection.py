"""One connection that a worker holds: its socket, what is coming in by it, and until when it may wait."""

from __future__ import annotations

import select
import socket
import time
from enum import Enum
from typing import Any

from handler.serving.arrival import Arrival

HEAD_WITHIN = 10.0
"""Seconds from the first moment until request line and headers are there."""

BODY_WITHIN = 20.0
"""Seconds from when the function asks for the body until it is there."""

KEPT_FOR = 75.0
"""Seconds that a connection is kept for a next request: longer than balancers do, so that they end it."""

SEND_WITHIN = 10.0
"""Seconds without progress in sending an answer."""

_LINGER = 2.0
"""Seconds in which what still comes in is thrown away, so that the answer is not lost by a reset."""

_THROWN_AWAY = 1024 * 1024
"""Bytes of it, at most."""

_SEND_BUFFER = 256 * 1024
_PIECE = 65_536


class Waits(Enum):
    """What a connection waits for."""

    HEAD = "request line and headers"
    BODY = "the body"
    NEXT = "the next request"
    END = "the client's end"


class Connection:
    """`until` is on the monotonic clock."""

    def __init__(self, sock: socket.socket, client: Any, server: Any, largest_body: int) -> None:
        sock.setblocking(False)
        # An answer of usual size is handed to the kernel whole: who doesn't read it holds no thread up
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
        self.sock = sock
        self.client = client
        self.server = server
        self._largest_body = largest_body
        self._thrown_away = 0
        self.arrival = Arrival(largest_body)
        self.wait(Waits.HEAD, HEAD_WITHIN)

    def wait(self, what: Waits, seconds: float) -> None:
        """Wait for this from now on."""
        self.waits, self.until = what, time.monotonic() + seconds

    def receive(self) -> bool:
        """Take what is there. False when it was nothing yet."""
        try:
            data = self.sock.recv(_PIECE)
        except BlockingIOError:
            return False
        except OSError:
            data = b""  # a reset: nothing will come any more
        if self.waits is Waits.END:
            self._thrown_away += len(data)
            if not data or self._thrown_away > _THROWN_AWAY:
                self.until = 0.0
            return True
        if data and self.waits is Waits.NEXT:
            self.wait(Waits.HEAD, HEAD_WITHIN)
        self.arrival.add(data)
        return True

    @property
    def ready(self) -> bool:
        """Whether a thread has something to do: first with the head alone, then with the body."""
        if self.waits is Waits.END:
            return False
        if self.waits is Waits.BODY:
            return self.arrival.enough
        return self.arrival.begun and (self.arrival.has_head or self.arrival.enough)

    def await_body(self) -> None:
        """Wait until the body is there, too. Says so to who asked for leave to send it."""
        if self.arrival.awaits_continue:
            self.sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        self.wait(Waits.BODY, BODY_WITHIN)

    def await_next(self) -> bool:
        """Wait for the next request, whose first bytes may be here. False if the last answer is unread."""
        if not select.select([], [self.sock], [], 0)[1]:
            return False
        begun = self.arrival.next_request
        self.arrival = Arrival(self._largest_body)
        self.wait(Waits.HEAD if begun else Waits.NEXT, HEAD_WITHIN if begun else KEPT_FOR)
        if begun:
            self.arrival.add(begun)
        return True

    def await_end(self) -> None:
        """Say that nothing more will be sent, and wait a moment for the client to end."""
        self.wait(Waits.END, _LINGER)
        try:
            self.sock.shutdown(socket.SHUT_WR)
        except OSError:
            self.until = 0.0  # there is nobody any more
