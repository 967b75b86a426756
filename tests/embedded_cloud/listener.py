"""HTTP/1.1 on loopback: a thread for each connection, kept alive, one send for each answer."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from email.utils import formatdate
from http import HTTPStatus
from typing import TYPE_CHECKING

from tests.embedded_cloud.messages import Answer, Call, read_call

if TYPE_CHECKING:
    from collections.abc import Callable

_MAX_HEAD = 64 * 1024
_MAX_BODY = 16 * 1024 * 1024


class _BadRequest(Exception):
    def __init__(self, status: int) -> None:
        super().__init__(str(status))
        self.status = status


class Listener:
    """Serves ``handle`` on 127.0.0.1 from ``start`` to ``stop``; may be started again on its port."""

    def __init__(self, handle: Callable[[Call], Answer], port: int = 0) -> None:
        self._handle = handle
        self.port = port
        self.stopping = threading.Event()
        self._socket: socket.socket | None = None
        self._threads: set[threading.Thread] = set()
        self._connections: set[socket.socket] = set()
        self._lock = threading.Lock()

    def start(self) -> None:
        if self._socket is not None:
            raise RuntimeError("already started")
        self.stopping.clear()
        listening = socket.socket()
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(("127.0.0.1", self.port))
            listening.listen(512)
        except OSError:
            listening.close()
            raise
        self._socket = listening
        self.port = listening.getsockname()[1]
        self._launch(self._accept, listening)

    def stop(self) -> None:
        """Close every connection, answered or not, and wait for the threads."""
        listening, self._socket = self._socket, None
        if listening is None:
            return
        self.stopping.set()
        # A connection of our own wakes the accept, which then sees that it shall end.
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
            pass
        with self._lock:
            connections, threads = list(self._connections), list(self._threads)
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join(timeout=5)
        listening.close()

    def _launch(self, target: Callable[[socket.socket], None], sock: socket.socket) -> None:
        thread = threading.Thread(target=self._run, args=(target, sock), daemon=True, name="cloud")
        with self._lock:  # who stops finds none that was not started
            self._threads.add(thread)
            thread.start()

    def _run(self, target: Callable[[socket.socket], None], sock: socket.socket) -> None:
        try:
            target(sock)
        finally:
            with self._lock:
                self._threads.discard(threading.current_thread())

    def _accept(self, listening: socket.socket) -> None:
        while True:
            try:
                connection, _peer = listening.accept()
            except OSError:
                return
            if self.stopping.is_set():
                connection.close()
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self._connections.add(connection)
            self._launch(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        """Answer call after call until either side closes; a client that goes away is no error."""
        try:
            with connection, contextlib.suppress(OSError):
                rest = b""
                while not self.stopping.is_set():
                    try:
                        call, keep, rest = _receive(connection, rest)
                    except _BadRequest as fault:
                        connection.sendall(_rendered(Answer(fault.status), "GET", keep=False))
                        return
                    if call is None:
                        return
                    answer = self._handle(call)
                    if not self._send(connection, answer, call.method, keep=keep) or not keep:
                        return
        finally:
            with self._lock:
                self._connections.discard(connection)

    def _send(self, connection: socket.socket, answer: Answer, method: str, *, keep: bool) -> bool:
        """Write an answer in its manner; False when the connection is done for."""
        manner = answer.manner
        if manner is None:
            connection.sendall(_rendered(answer, method, keep=keep))
            return True
        if manner.drop:
            return False
        for status in manner.interim:
            connection.sendall(f"HTTP/1.1 {status} {_reason(status)}\r\nLink: </hint>\r\n\r\n".encode())
        if manner.endless:
            answer.headers.append(("Transfer-Encoding", "chunked"))
        data = _rendered(answer, method, keep=keep) + manner.stray.encode()
        quick = 0 if manner.drip_head or not answer.body else len(data) - len(answer.body)
        if manner.endless:
            quick = 0 if manner.drip_head else len(data)
        pause = manner.drip or 0.0
        if not pause:
            quick = len(data)
        connection.sendall(data[:quick])
        for position in range(quick, len(data)):
            if self.stopping.wait(pause):
                return False
            connection.sendall(data[position : position + 1])
        while manner.endless:
            if self.stopping.wait(pause):
                return False
            connection.sendall(b"1\r\n \r\n" if pause else b"10000\r\n" + b" " * 0x10000 + b"\r\n")
        return True


def _receive(connection: socket.socket, data: bytes) -> tuple[Call | None, bool, bytes]:
    """Read one call: the call (None at the end), whether to keep the connection, what came after it."""
    while (end := data.find(b"\r\n\r\n")) < 0:
        if len(data) > _MAX_HEAD:
            raise _BadRequest(431)
        more = connection.recv(65536)
        if not more:
            return None, False, b""
        data += more
    started_at = time.monotonic()
    lines = data[:end].decode("latin-1").split("\r\n")
    parts = lines[0].split(" ")
    if len(parts) != 3 or not parts[2].startswith("HTTP/1."):
        raise _BadRequest(400)
    headers: dict[str, str] = {}
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        if not colon:
            raise _BadRequest(400)
        name = name.lower()
        headers[name] = f"{headers[name]}, {value.strip()}" if name in headers else value.strip()
    if "transfer-encoding" in headers:
        raise _BadRequest(411)
    length = headers.get("content-length", "0")
    if not length.isdigit():
        raise _BadRequest(400)
    size, body = int(length), data[end + 4 :]
    if size > _MAX_BODY:
        raise _BadRequest(413)
    while len(body) < size:
        more = connection.recv(65536)
        if not more:
            return None, False, b""
        body += more
    raw, rest = body[:size], body[size:]
    call = read_call(parts[0], parts[1], headers, raw, started_at)
    token = headers.get("connection", "").lower()
    keep = token != "close" and (parts[2] == "HTTP/1.1" or token == "keep-alive")
    return call, keep, rest


def _reason(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"


def _rendered(answer: Answer, method: str, *, keep: bool) -> bytes:
    lines = [f"HTTP/1.1 {answer.status} {_reason(answer.status)}"]
    lines += [f"{name}: {value}" for name, value in answer.headers]
    chunked = any(name == "Transfer-Encoding" for name, _ in answer.headers)
    if answer.status != 204 and not chunked:
        lines.append(f"Content-Length: {len(answer.body)}")
    if all(name.lower() != "date" for name, _ in answer.headers):
        lines.append(f"Date: {formatdate(usegmt=True)}")
    if not keep:
        lines.append("Connection: close")
    head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
    return head if method == "HEAD" or answer.status == 204 or chunked else head + answer.body
