"""A server that says byte by byte what a test wants said, on loopback."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from handler.cloud.messages import LARGEST_ANSWER, Call
from handler.cloud.transport import Transport
from handler.settings.trust import Trust

CERTIFI_S = Trust()


@dataclass
class Connection:
    """One connection of a client. `number` counts them from 0."""

    number: int
    socket: socket.socket
    stopping: threading.Event

    def request(self) -> bytes:
        """Read one request's head (and what of its body came with it); empty when the client has gone."""
        read = b""
        while b"\r\n\r\n" not in read:
            part = self.socket.recv(65536)
            if not part:
                return b""
            read += part
        return read

    def say(self, text: bytes) -> None:
        self.socket.sendall(text)

    def drip(self, text: bytes, pause: float) -> None:
        for byte in text:
            if self.stopping.wait(pause):
                return
            self.say(bytes([byte]))

    def hang_until_the_end(self) -> None:
        self.stopping.wait()


Script = Callable[[Connection], None]


@dataclass
class RawServer:
    url: str
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0
    closed: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    """Released for each connection that is closed."""


@contextlib.contextmanager
def raw_server(script: Script) -> Iterator[RawServer]:
    """Run the script for each connection; the connection is closed when it ends."""
    stopping = threading.Event()
    threads: list[threading.Thread] = []
    clients: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        listener.settimeout(0.02)
        server = RawServer(f"http://127.0.0.1:{listener.getsockname()[1]}")

        def attend(client: socket.socket, number: int) -> None:
            connection = _Recording(number, client, stopping, server.requests)
            with client, contextlib.suppress(OSError):
                script(connection)
            server.closed.release()

        def accept() -> None:
            while not stopping.is_set():
                with contextlib.suppress(TimeoutError):
                    client, _ = listener.accept()
                    client.settimeout(10)
                    clients.append(client)
                    threads.append(threading.Thread(target=attend, args=(client, server.connections)))
                    server.connections += 1
                    threads[-1].start()

        accepting = threading.Thread(target=accept)
        accepting.start()
        try:
            yield server
        finally:
            stopping.set()
            accepting.join()
            for client in clients:
                with contextlib.suppress(OSError):  # its script has closed it
                    client.shutdown(socket.SHUT_RDWR)
            for thread in threads:
                thread.join()


class _Recording(Connection):
    def __init__(
        self, number: int, client: socket.socket, stopping: threading.Event, requests: list[bytes]
    ) -> None:
        super().__init__(number, client, stopping)
        self._requests = requests

    def request(self) -> bytes:
        read = super().request()
        if read:
            self._requests.append(read)
        return read


@contextlib.contextmanager
def transport(
    connect_timeout: float = 3.0, read_timeout: float = 5.0, trust: Trust = CERTIFI_S
) -> Iterator[Transport]:
    """A transport that doesn't pause before it asks again."""
    made = Transport(
        connect_timeout=connect_timeout, read_timeout=read_timeout, trust=trust, sleep=lambda _: None
    )
    try:
        yield made
    finally:
        made.close()


def get(url: str, largest: int = LARGEST_ANSWER) -> Call:
    return Call("volume", "GET", f"{url}/v2/thing", largest=largest)


def post(url: str) -> Call:
    return Call("volume", "POST", f"{url}/v2/thing", body=b"{}")


def answer(body: bytes = b"{}", status: str = "200 OK", *headers: bytes) -> bytes:
    lines = [f"HTTP/1.1 {status}".encode(), b"Content-Length: %d" % len(body), *headers]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body
