"""`python -m handler serve`, a process, by real sockets."""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
from contextlib import closing, suppress

import pytest
import requests

from tests.embedded_cloud import Cloud, seed
from tests.unit.deployment import AUTHORIZED, KEY, RESULT_KEYS
from tests.unit.serving.conftest import Serve, Served
from tests.unit.serving.raw import Answer, answer_of, connect, exchange, head

FORM = {"volume_id": seed.ORPHAN_VOLUME, "attachment_id": seed.ORPHAN_ATTACHMENT}
BODY = json.dumps(FORM).encode()
POST = ("POST / HTTP/1.1", "Content-Type: application/json")


def lines(served: Served, event: str) -> list[dict[str, object]]:
    found = []
    for line in served.log.read_text(encoding="utf-8").splitlines():
        with suppress(ValueError):
            found.append(json.loads(line))
    return [line for line in found if isinstance(line, dict) and line.get("event") == event]


@pytest.fixture(autouse=True)
def world(cloud: Cloud) -> None:
    cloud.reset()


def test_it_serves_what_functions_framework_does(served: Served, cloud: Cloud) -> None:
    answer = requests.post(served.url, json=FORM, headers=AUTHORIZED, timeout=20)
    assert (answer.status_code, set(answer.json())) == (200, RESULT_KEYS)
    assert answer.json()["outcome"] == "detached"
    assert len(cloud.posts()) == 1
    ready = requests.get(f"{served.url}/readyz", timeout=20)
    assert (ready.status_code, ready.json()) == (200, {"ready": True})


@pytest.mark.parametrize("method", ["GET", "POST", "HEAD", "OPTIONS", "PUT"])
@pytest.mark.parametrize(
    "path", ["/", "/x", "//x", "/x//y", "/robots.txt", "/favicon.ico", "/healthz", "/openapi.json", "/%00"]
)
def test_every_answer_has_a_request_id(served: Served, method: str, path: str) -> None:
    with closing(connect(served.port)) as connection:
        connection.sendall(head(f"{method} {path} HTTP/1.1", "X-Request-Id: mine-1", "Content-Length: 0"))
        answer = answer_of(connection, method)
    assert answer.headers["X-Request-Id"] == "mine-1"
    assert answer.status < 500


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/9.9\r\nHost: x\r\n\r\n", 400),
        (b"GET /\x01 HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\nHost: x\n\n", 400),
        (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 200 + b"\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"b" * 9000 + b"\r\n\r\n", 431),
        (head(*POST, "Content-Length: -1"), 400),
        (head(*POST, "Content-Length: 1", "Content-Length: 2"), 400),
        (head(*POST, "Content-Length: ten"), 400),
        (head(*POST, "Content-Length: 5", "Transfer-Encoding: chunked"), 400),
        (head(*POST, "Transfer-Encoding: brotli"), 501),
        (head(*POST, "Expect: the-unexpected"), 417),
    ],
)
def test_what_is_no_request_is_told_so_in_our_own_words(served: Served, sent: bytes, status: int) -> None:
    answer = exchange(served.port, sent)
    assert (answer.status, answer.code) == (status, "invalid_request")
    assert answer.headers["X-Request-Id"] == answer.json["request_id"]
    assert b"<" not in answer.body


def test_a_request_line_of_24_mib_is_answered_at_its_beginning(served: Served) -> None:
    with closing(connect(served.port)) as connection:
        with suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(b"GET /" + b"a" * 100_000)
        assert answer_of(connection).status == 414


@pytest.mark.parametrize(
    ("framing", "body"),
    [
        ("Transfer-Encoding: chunked", b"zz\r\n" + BODY),
        ("Transfer-Encoding: chunked", b"-5\r\nabcde\r\n0\r\n\r\n"),
        ("Transfer-Encoding: chunked", b"5\r\nabc"),
        ("Transfer-Encoding: chunked", b"5\r\nabcdefgh\r\n0\r\n\r\n"),
        ("Transfer-Encoding: chunked", b"5;\x00\r\nabcde\r\n0\r\n\r\n"),
        ("Transfer-Encoding: chunked", b"3\r\n{}\n\r\n0\r\n"),
        ("Transfer-Encoding: chunked", b"0\r\nContent-Length: 5\r\n\r\n"),
        ("Content-Length: 1000", BODY),
        ("Content-Length: 1000", b""),
        (f"Content-Length: {len(BODY) - 5}", BODY),
    ],
)
@pytest.mark.parametrize("path", ["/", "/invoke"])
def test_a_body_that_is_not_as_it_was_said_is_the_sender_s_fault(
    served: Served, cloud: Cloud, path: str, framing: str, body: bytes
) -> None:
    sent = head(f"POST {path} HTTP/1.1", "Content-Type: application/json", framing) + body
    answer = exchange(served.port, sent, end=True)
    assert (answer.status, answer.code) == (400, "invalid_request")
    assert cloud.posts() == []
    assert lines(served, "internal_error") == []


def test_a_reset_amid_the_body_is_no_bug(served: Served) -> None:
    for path in ("/", "/invoke"):
        with closing(connect(served.port)) as connection:
            connection.sendall(head(f"POST {path} HTTP/1.1", "Content-Length: 1000") + b"{")
            time.sleep(0.2)  # until the function waits for the body
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    assert requests.get(f"{served.url}/healthz", timeout=20).status_code == 200
    assert lines(served, "internal_error") == []


@pytest.mark.parametrize("path", ["/", "/invoke", "/robots.txt", "//x", "/anything"])
@pytest.mark.parametrize(
    ("key", "status", "code"), [(None, 401, "unauthenticated"), ("wrong", 403, "forbidden")]
)
@pytest.mark.parametrize(
    "framing", ["Content-Length: 1000", "Content-Length: 99999999999", "Transfer-Encoding: chunked"]
)
def test_callers_are_judged_before_a_byte_of_the_body(
    served: Served, path: str, key: str | None, status: int, code: str, framing: str
) -> None:
    """Not one is sent, and the answer is there."""
    answer = exchange(served.port, head(f"POST {path} HTTP/1.1", framing, key=key))
    assert (answer.status, answer.code) == (status, code)
    assert answer.headers["Connection"] == "close"


def test_a_stranger_is_not_even_asked_to_go_on(served: Served) -> None:
    expecting = (*POST, f"Content-Length: {len(BODY)}", "Expect: 100-continue")
    assert exchange(served.port, head(*expecting, key="wrong")).status == 403
    with closing(connect(served.port)) as connection:
        connection.sendall(head(*expecting))
        assert connection.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(BODY)
        assert answer_of(connection).json["outcome"] == "detached"


def test_a_body_that_comes_byte_by_byte_is_taken(served: Served, cloud: Cloud) -> None:
    with closing(connect(served.port)) as connection:
        for byte in head(*POST, "Transfer-Encoding: chunked") + b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY):
            connection.sendall(bytes([byte]))
        assert answer_of(connection).json["outcome"] == "detached"
    assert len(cloud.posts()) == 1


def test_bodies_are_taken_up_to_the_limit(served: Served) -> None:
    limit = 262_144
    for size, status in ((limit, 200), (limit + 1, 413), (limit * 2, 413)):
        body = BODY + b" " * (size - len(BODY))
        chunks = b"".join(
            b"%x\r\n%b\r\n" % (1000, body[at : at + 1000]) for at in range(0, size - 1000, 1000)
        )
        rest = body[len(range(0, size - 1000, 1000)) * 1000 :]
        chunked = chunks + b"%x\r\n%b\r\n0\r\n\r\n" % (len(rest), rest)
        for framing, sent in ((f"Content-Length: {size}", body), ("Transfer-Encoding: chunked", chunked)):
            with closing(connect(served.port)) as connection:
                with suppress(BrokenPipeError, ConnectionResetError):
                    connection.sendall(head(*POST, framing) + sent)
                assert answer_of(connection).status == status, (size, framing)


def test_a_connection_is_kept_and_requests_may_come_at_once(served: Served) -> None:
    with closing(connect(served.port)) as connection:
        for _ in range(2):
            connection.sendall(head("GET /healthz HTTP/1.1"))
            answer = answer_of(connection, "GET")
            assert (answer.json, answer.headers["Connection"]) == ({"alive": True}, "keep-alive")
        last = head("GET /healthz HTTP/1.1", "Connection: close")
        connection.sendall(head("GET /healthz HTTP/1.1") + head("GET /readyz HTTP/1.1") + last)
        with connection.makefile("rb") as stream:
            answers = stream.read()
    assert answers.count(b"HTTP/1.1 200 OK") == 3
    assert answers.find(b'{"alive": true}') < answers.find(b'{"ready": true}') < answers.rfind(b"close")


def test_another_protocol_that_is_offered_is_left_aside(served: Served) -> None:
    offer = (
        "Connection: Upgrade, HTTP2-Settings",
        "Upgrade: h2c",
        "HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA",
    )
    assert exchange(served.port, head("GET /healthz HTTP/1.1", *offer)).json == {"alive": True}


def test_what_has_begun_ends_with_its_answer_when_the_server_is_told_to_end(
    serve: Serve, cloud: Cloud
) -> None:
    served = serve(THREADS="2")
    cloud.misbehave(method="POST", path_contains="/action", delay=3.0)
    answers: list[Answer] = []

    def ask() -> None:
        answers.append(exchange(served.port, head(*POST, f"Content-Length: {len(BODY)}") + BODY))

    caller = threading.Thread(target=ask)
    caller.start()
    until = time.monotonic() + 20
    while not cloud.posts() and time.monotonic() < until:
        time.sleep(0.02)
    assert served.end() == 0
    caller.join(20)
    assert [(answer.status, answer.json["outcome"]) for answer in answers] == [(200, "detached")]
    assert [line["outcome"] for line in lines(served, "target")] == ["detached"]
    assert [line["ok"] for line in lines(served, "invocation")] == [True]


def test_settings_that_are_wrong_do_not_keep_it_from_starting(serve: Serve) -> None:
    served = serve(DETACH_SERVER_CHECK="nonsense")
    ready = requests.get(f"{served.url}/readyz", timeout=20)
    assert (ready.status_code, "DETACH_SERVER_CHECK" in ready.text) == (503, True)
    answer = exchange(served.port, head(*POST, f"Content-Length: {len(BODY)}") + BODY)
    assert (answer.status, answer.code) == (500, "configuration")
    assert "nonsense" not in served.log.read_text(encoding="utf-8")
    assert KEY not in served.log.read_text(encoding="utf-8")
