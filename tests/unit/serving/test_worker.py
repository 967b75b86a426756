"""The worker in a thread of the test, with an app of its own: its limits, its time-outs, its end."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, suppress
from typing import Any

import pytest
from gunicorn.config import Config
from gunicorn.glogging import Logger
from gunicorn.sock import TCPSocket

from handler.serving import connection as waits
from handler.serving.worker import BoundedWorker
from tests.unit.serving.raw import Answer, answer_of, connect, head

Start = Callable[..., Iterable[bytes]]
POST = ("POST / HTTP/1.1", "Content-Type: application/json")


class Served:
    """A worker that runs, and how often its app was asked."""

    def __init__(self, **settings: Any) -> None:
        self.cfg = Config()
        for name, value in {"threads": 2, "graceful_timeout": 5, "bind": "127.0.0.1:0", **settings}.items():
            self.cfg.set(name, value)
        self.log = Logger(self.cfg)
        listener = TCPSocket(("127.0.0.1", 0), self.cfg, self.log)
        self.port: int = listener.sock.getsockname()[1]
        self.worker = BoundedWorker(0, os.getppid(), [listener], None, 0, self.cfg, self.log)
        self.worker.PIPE = os.pipe()
        for end in self.worker.PIPE:
            os.set_blocking(end, False)
        self.worker.wsgi = self.app
        self.worker.set_up()
        self.calls: list[str] = []
        self.gate = threading.Event()
        self.gate.set()
        self.thread = threading.Thread(target=self.worker.run)
        self.thread.start()

    def app(self, environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
        self.calls.append(environ["PATH_INFO"])
        if environ["PATH_INFO"] == "/bug":
            raise RuntimeError("a bug")
        if environ["PATH_INFO"] == "/busy":
            self.gate.wait(20)
        body = environ["wsgi.input"].read() if environ["REQUEST_METHOD"] == "POST" else b""
        start_response("200 OK", [("Content-Length", str(len(body)))])
        return [body]

    def end(self) -> None:
        """As SIGTERM does."""
        self.worker.alive = False
        with suppress(OSError):
            os.write(self.worker.PIPE[1], b".")

    def close(self) -> None:
        self.gate.set()
        self.end()
        self.thread.join(20)
        self.worker.tmp.close()
        for end in self.worker.PIPE:
            os.close(end)
        assert not self.thread.is_alive()


@pytest.fixture
def served() -> Iterator[Served]:
    made = Served()
    yield made
    made.close()


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """All time limits are over at once."""
    for name in ("HEAD_WITHIN", "BODY_WITHIN", "KEPT_FOR", "_LINGER"):
        monkeypatch.setattr(waits, name, 0.3)


def ask(served: Served, data: bytes, *, end: bool = False) -> Answer:
    with closing(connect(served.port)) as connection:
        connection.sendall(data)
        if end:
            connection.shutdown(socket.SHUT_WR)
        return answer_of(connection)


def test_the_app_starts_with_the_head_and_anew_with_the_body(served: Served) -> None:
    with closing(connect(served.port)) as connection:
        connection.sendall(head(*POST, "Content-Length: 5"))
        wait_for(lambda: served.calls == ["/"])
        connection.sendall(b"abc")
        connection.sendall(b"de")
        assert answer_of(connection).body == b"abcde"
    assert served.calls == ["/", "/"]
    assert ask(served, head(*POST, "Content-Length: 5") + b"abcde").body == b"abcde"
    assert len(served.calls) == 3


def wait_for(what: Callable[[], bool]) -> None:
    until = time.monotonic() + 20
    while not what() and time.monotonic() < until:
        time.sleep(0.01)
    assert what()


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"", None),
        (b"POST / HT", 408),
        (head(*POST)[:-2], 408),
        (head(*POST, "Content-Length: 5") + b"abc", 408),
        (head(*POST, "Transfer-Encoding: chunked") + b"5\r\nabc", 408),
    ],
)
def test_what_does_not_come_in_time_is_hung_up_on(sent: bytes, status: int | None) -> None:
    served = Served()
    try:
        with closing(connect(served.port)) as connection:
            connection.sendall(sent)
            if status is None:
                assert connection.recv(1) == b""
            else:
                answer = answer_of(connection)
                assert (answer.status, answer.code) == (status, "invalid_request")
                assert answer.headers["X-Request-Id"] == answer.json["request_id"]
                assert connection.recv(1) == b""
    finally:
        served.close()


@pytest.mark.usefixtures("hasty")
def test_a_kept_connection_is_kept_for_a_time() -> None:
    served = Served()
    try:
        with closing(connect(served.port)) as connection:
            for _ in range(2):
                connection.sendall(head("GET /x HTTP/1.1"))
                assert answer_of(connection, "GET").headers["Connection"] == "keep-alive"
            assert connection.recv(1) == b""
    finally:
        served.close()


def test_the_one_that_has_waited_longest_gives_way() -> None:
    served = Served(worker_connections=2)
    try:
        with closing(connect(served.port)) as first, closing(connect(served.port)) as second:
            second.sendall(b"GET /second")
            assert ask(served, head("GET /third HTTP/1.1", "Connection: close")).status == 200
            assert first.recv(1) == b""
            second.sendall(b" HTTP/1.1\r\nHost: x\r\n\r\n")
            assert answer_of(second, "GET").status == 200
    finally:
        served.close()


def test_where_all_are_busy_the_next_waits_at_the_door() -> None:
    served = Served(worker_connections=1)
    served.gate.clear()
    try:
        with closing(connect(served.port)) as first:
            first.sendall(head("GET /busy HTTP/1.1", "Connection: close"))
            wait_for(lambda: served.calls == ["/busy"])
            with closing(connect(served.port)) as second:
                second.sendall(head("GET /next HTTP/1.1"))
                time.sleep(0.3)
                assert served.calls == ["/busy"]
                served.gate.set()
                assert answer_of(first, "GET").status == 200
                assert answer_of(second, "GET").status == 200
    finally:
        served.close()


def test_what_has_begun_is_finished_at_the_end_and_what_has_not_is_not() -> None:
    served = Served()
    served.gate.clear()
    with (
        closing(connect(served.port)) as idle,
        closing(connect(served.port)) as busy,
        closing(connect(served.port)) as arriving,
    ):
        busy.sendall(head("GET /busy HTTP/1.1"))
        arriving.sendall(head(*POST, "Content-Length: 5") + b"abc")
        wait_for(lambda: sorted(served.calls) == ["/", "/busy"])
        served.end()
        assert idle.recv(1) == b""
        with pytest.raises(ConnectionRefusedError):
            connect(served.port)
        arriving.sendall(b"de")
        served.gate.set()
        for connection, method in ((arriving, "POST"), (busy, "GET")):
            answer = answer_of(connection, method)
            assert (answer.status, answer.headers["Connection"]) == (200, "close")
    served.close()


def test_what_lasts_longer_than_the_end_may_is_left() -> None:
    served = Served(graceful_timeout=1)
    served.gate.clear()
    with closing(connect(served.port)) as busy:
        busy.sendall(head("GET /busy HTTP/1.1"))
        wait_for(lambda: served.calls == ["/busy"])
        served.end()
        served.thread.join(20)
        assert not served.thread.is_alive()
    served.close()


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET /" + b"a" * 70_000, 414),
        (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 20_000, 431),
        (head(*POST, "Transfer-Encoding: brotli"), 501),
        (head(*POST, "Expect: more"), 417),
    ],
)
def test_what_is_no_request_never_reaches_the_app(served: Served, sent: bytes, status: int) -> None:
    answer = ask(served, sent)
    assert (answer.status, json.loads(answer.body)["error"]["code"]) == (status, "invalid_request")
    assert served.calls == []


def test_a_body_is_waited_for_up_to_its_limit(served: Served) -> None:
    served.worker.largest_body = 1000
    with closing(connect(served.port)) as connection:
        connection.sendall(head(*POST, "Content-Length: 100000") + b"x" * 2000)
        assert answer_of(connection).status == 413


def test_leave_to_send_a_body_is_given_when_it_is_asked_for(served: Served) -> None:
    with closing(connect(served.port)) as connection:
        connection.sendall(head(*POST, "Content-Length: 3", "Expect: 100-continue"))
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"abc")
        assert answer_of(connection).body == b"abc"


def test_a_bug_of_the_server_ends_one_connection_and_no_other(served: Served) -> None:
    with closing(connect(served.port)) as connection:
        connection.sendall(head("GET /bug HTTP/1.1"))
        assert connection.recv(1) == b""
    assert ask(served, head("GET /x HTTP/1.1", "Connection: close")).status == 200


@pytest.mark.parametrize("sent", [b"", b"GET /", head(*POST, "Content-Length: 9") + b"a"])
def test_who_goes_away_is_forgotten(served: Served, sent: bytes) -> None:
    for _ in range(3):
        with closing(connect(served.port)) as connection:
            connection.sendall(sent)
    assert ask(served, head("GET /x HTTP/1.1", "Connection: close")).status == 200


def test_who_does_not_read_the_answers_gets_no_more_of_them(served: Served) -> None:
    body = b"x" * 200_000
    request = head(*POST, f"Content-Length: {len(body)}") + body
    with closing(connect(served.port)) as connection:
        connection.settimeout(2)
        with suppress(OSError):
            for _ in range(200):
                connection.sendall(request)
        assert len(served.calls) < 200
    assert ask(served, head("GET /x HTTP/1.1", "Connection: close")).status == 200
