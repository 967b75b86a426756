"""One whole answer is bounded in time and size, and so is an invocation."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import closing, suppress
from typing import Any

import pytest

from handler.cloud.answer_reading import BoundedReads, _AnswerFile
from handler.errors import ErrorCode, NoAnswer, UpstreamUnavailable
from handler.invocation import Invocation, Trigger
from handler.model.request import Target
from handler.runtime import Runtime
from tests.unit.actions.answers import ATTACHMENT, PROJECT, VOLUME
from tests.unit.cloud.raw import Connection, Script, answer, get, post, raw_server, transport
from tests.unit.contexts import call_context

SHORT = 0.3
"""The read time-out of these tests, in seconds."""

PATIENCE = 4.0
"""Seconds after which something is held to be unbounded, on a machine that has much else to do."""

_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 4000\r\n\r\n"
_CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
_BARE = b"HTTP/1.1 200 OK\r\n\r\n"


def _drip_body(client: Connection) -> None:
    client.request()
    client.say(_HEAD)
    client.drip(b" " * 4000, 0.2)


def _drip_head(client: Connection) -> None:
    client.request()
    client.drip(_HEAD, 0.2)


def _drip_status(client: Connection) -> None:
    client.request()
    client.drip(b"HTTP/1.1 100 Continue\r\n\r\n" * 100, 0.01)


def _drip_chunks(client: Connection) -> None:
    client.request()
    client.say(_CHUNKED)
    while not client.stopping.wait(0.2):
        client.say(b"1\r\n \r\n")


def _drip_headers(client: Connection) -> None:
    client.request()
    client.say(b"HTTP/1.1 200 OK\r\n")
    while not client.stopping.wait(0.2):
        client.say(b"X-More: of the same\r\n")


def _silent(client: Connection) -> None:
    client.request()
    client.hang_until_the_end()


def _silent_after_the_head(client: Connection) -> None:
    client.request()
    client.say(_HEAD)
    client.hang_until_the_end()


def _name(script: Script) -> str:
    return getattr(script, "__name__", "").strip("_")


_SLOW = [_drip_body, _drip_head, _drip_status, _drip_chunks, _drip_headers, _silent, _silent_after_the_head]


@pytest.mark.parametrize("script", _SLOW, ids=_name)
def test_an_answer_that_is_too_slow_ends_with_the_read_time_out(script: Script) -> None:
    started = time.monotonic()

    with raw_server(script) as server, transport(read_timeout=SHORT) as sender:
        with pytest.raises(NoAnswer, match="did not answer in time") as raised:
            sender.send(get(server.url), call_context())
        took = time.monotonic() - started

    assert SHORT * 0.8 < took < PATIENCE
    assert not raised.value.broken
    assert len(server.requests) == 1, "an answer that had its time is not asked for again"


@pytest.mark.parametrize("script", [_drip_body, _drip_head, _silent], ids=_name)
def test_an_answer_never_outlives_the_deadline(script: Script) -> None:
    started = time.monotonic()

    with raw_server(script) as server, transport(read_timeout=30.0) as sender:
        with pytest.raises(NoAnswer):
            sender.send(get(server.url), call_context(seconds=SHORT))
        took = time.monotonic() - started

    assert took < PATIENCE


def test_bytes_that_came_after_the_time_are_not_read_although_they_are_there() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(b"late")
        with closing(BoundedReads(ours, time.monotonic() - 0.001)) as late, pytest.raises(TimeoutError):
            late.readinto(bytearray(4))
        with closing(BoundedReads(ours, time.monotonic() + 5)) as early:
            assert early.read(4) == b"late"


def test_a_read_gets_what_is_left_of_the_answer_s_time_and_no_more() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(2.0)
        with closing(BoundedReads(ours, time.monotonic() + 0.05)) as reads, pytest.raises(TimeoutError):
            reads.readinto(bytearray(4))
        given = ours.gettimeout()

    assert given is not None
    assert given <= 0.05


def test_what_is_read_from_may_be_closed_twice() -> None:
    spoilt: list[bool] = []
    ours, theirs = socket.socketpair()
    with ours, theirs:
        file = _AnswerFile(BoundedReads(ours, time.monotonic() + 5), lambda: spoilt.append(True))
        for _ in range(2):
            file.close()

    assert spoilt == []


def test_a_post_is_bounded_like_a_get_and_sent_once() -> None:
    with (
        raw_server(_drip_head) as server,
        transport(read_timeout=SHORT) as sender,
        pytest.raises(NoAnswer),
    ):
        sender.send(post(server.url), call_context())

    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "script", [_drip_body, _drip_headers, _silent], ids=lambda script: script.__name__.strip("_")
)
def test_an_invocation_ends_within_its_time_whatever_the_cloud_does(script: Script) -> None:
    with raw_server(script) as server:
        runtime = Runtime(
            {
                "DETACH_PROJECT_ID": PROJECT,
                "DETACH_VOLUME_ENDPOINT": f"{server.url}/v2",
                "DETACH_COMPUTE_ENDPOINT": f"{server.url}/v2.1",
                "DETACH_TOKEN_SECRET": "env:PLANTED",
                "DETACH_INVOKE_AUTH": "platform",
                "DETACH_TIMEOUT": "1",
                "DETACH_READ_TIMEOUT": "0.9",
                "PLANTED": "token",
            }
        )
        started = time.monotonic()
        try:
            target = Target(volume_id=VOLUME, attachment_id=ATTACHMENT)
            result = runtime.carry_out([target], Invocation(Trigger.HTTP, "r-1"))
        finally:
            runtime.transport.close()
        took = time.monotonic() - started

    assert took < 1.0 + PATIENCE
    assert result.error is not None
    assert result.error.retryable
    assert result.error.code in {ErrorCode.UPSTREAM_UNAVAILABLE, ErrorCode.DEADLINE_EXCEEDED}


def _endless(start: bytes, more: bytes) -> Script:
    def script(client: Connection) -> None:
        client.request()
        client.say(start)
        while not client.stopping.is_set():
            client.say(more)

    return script


@pytest.mark.parametrize(
    "script",
    [
        _endless(_BARE, b" " * 65536),
        _endless(_CHUNKED, b"10000\r\n" + b" " * 65536 + b"\r\n"),
        _endless(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n", b" " * 65536),
    ],
    ids=["to the connection's end", "in chunks", "as it was announced"],
)
def test_an_answer_without_an_end_is_read_to_its_bound(script: Script) -> None:
    with (
        raw_server(script) as server,
        transport() as sender,
        pytest.raises(UpstreamUnavailable, match="sent more than 100000 bytes"),
    ):
        sender.send(get(server.url, largest=100_000), call_context())


def test_headers_without_an_end_are_no_answer() -> None:
    script = _endless(b"HTTP/1.1 200 OK\r\n", b"X-More: of the same\r\n" * 100)

    with raw_server(script) as server, transport(read_timeout=SHORT) as sender, pytest.raises(NoAnswer):
        sender.send(get(server.url), call_context())


def test_an_answer_of_exactly_the_bound_is_read_whole() -> None:
    def script(client: Connection) -> None:
        client.request()
        client.say(answer(b"x" * 5000))

    with raw_server(script) as server, transport() as sender:
        whole = sender.send(get(server.url, largest=5000), call_context())

    assert len(whole.body) == 5000


def _says(*headers: bytes, body: bytes = b"{}") -> Script:
    def script(client: Connection) -> None:
        while client.request():
            client.say(answer(body, "200 OK", *headers))

    return script


def test_an_encoding_that_nobody_asked_for_is_refused_unread() -> None:
    bomb = _says(b"Content-Encoding: gzip", body=b"\x1f\x8b\x08" + bytes(1000))

    with (
        raw_server(bomb) as server,
        transport() as sender,
        pytest.raises(UpstreamUnavailable, match=r"is encoded \(gzip\)"),
    ):
        sender.send(get(server.url), call_context())

    assert b"Accept-Encoding: identity" in server.requests[0]


@pytest.mark.parametrize(
    "cut",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n",
        b"",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 twohundred OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
    ids=["body", "chunk", "all of the body", "all", "no http", "no status", "no chunk"],
)
def test_an_answer_that_was_cut_short_or_is_none_is_no_answer(cut: bytes) -> None:
    def script(client: Connection) -> None:
        client.request()
        client.say(cut)

    with (
        raw_server(script) as server,
        transport() as sender,
        pytest.raises(NoAnswer, match="The connection to the volume service failed") as raised,
    ):
        sender.send(get(server.url), call_context())

    assert raised.value.broken
    assert len(server.requests) == 4, "a broken connection is tried again, three times"


def test_a_head_that_was_cut_short_is_an_answer_that_says_nothing() -> None:
    def script(client: Connection) -> None:
        client.request()
        client.say(b"HTTP/1.1 404 Not Found\r\nContent-Le")

    with raw_server(script) as server, transport() as sender:
        whole = sender.send(get(server.url), call_context())

    assert (whole.status, whole.body) == (404, b"")


def test_an_answer_whose_end_is_the_connection_s_is_whole() -> None:
    def script(client: Connection) -> None:
        client.request()
        client.say(_BARE + b'{"a": 1}')

    with raw_server(script) as server, transport() as sender:
        answers = [sender.send(get(server.url), call_context()).body for _ in range(2)]

    assert answers == [b'{"a": 1}'] * 2
    assert server.connections == 2


def test_what_is_left_of_an_answer_is_not_taken_for_the_next_one() -> None:
    """A proxy that says more than it announced would otherwise answer for a server that was not asked for."""
    forged = b'HTTP/1.1 404 Not Found\r\nContent-Length: 20\r\n\r\n{"itemNotFound": {}}'

    def script(client: Connection) -> None:
        client.request()
        client.say(answer(b"{}") + forged)
        while client.request():
            client.say(answer(b"[]"))

    with raw_server(script) as server, transport() as sender:
        first = sender.send(get(server.url), call_context())
        time.sleep(0.05)
        second = sender.send(get(server.url), call_context())

    assert (first.status, first.body) == (200, b"{}")
    assert second.status == 200


def test_an_answer_too_large_leaves_nothing_for_the_next_one() -> None:
    def script(client: Connection) -> None:
        while client.request():
            client.say(answer(b"x" * 3000))

    with raw_server(script) as server, transport() as sender:
        with pytest.raises(UpstreamUnavailable):
            sender.send(get(server.url, largest=100), call_context())
        assert len(sender.send(get(server.url), call_context()).body) == 3000

    assert server.connections == 2


def test_a_connection_that_is_left_in_the_middle_is_closed_at_once() -> None:
    """Not when nobody remembers the error any more, which holds on to the answer."""
    closed = threading.Event()

    def script(client: Connection) -> None:
        client.request()
        client.say(answer(b"x" * 3000))
        with suppress(ConnectionError):
            assert client.request() == b""
        closed.set()

    with raw_server(script) as server, transport() as sender:
        with pytest.raises(UpstreamUnavailable, match="more than 100 bytes") as held:
            sender.send(get(server.url, largest=100), call_context())
        assert closed.wait(2)
        assert held.tb is not None


class _Unreachable:
    """Sockets that no address answers. `asked` has each address with the seconds that it got."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *addresses: str, each_takes: float = 0.0) -> None:
        self.asked: list[tuple[str, float | None]] = []
        unreachable = self

        class Dead(socket.socket):
            def connect(self, address: Any) -> None:
                unreachable.asked.append((address[0], self.gettimeout()))
                time.sleep(each_takes)
                raise TimeoutError

        monkeypatch.setattr(socket, "socket", Dead)
        found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 9)) for address in addresses]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_: found)


def test_a_server_that_takes_no_connection_is_given_up_in_the_connect_time_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    dead = _Unreachable(monkeypatch, "127.0.0.9")

    with (
        transport(connect_timeout=0.25) as sender,
        pytest.raises(NoAnswer, match="did not answer in time") as raised,
    ):
        sender.send(get("http://127.0.0.9:9"), call_context())

    assert len(dead.asked) == 4, "nothing was sent, so it is tried again"
    assert all(given is not None and 0.2 < given <= 0.25 for _, given in dead.asked)
    assert raised.value.broken


def test_connecting_gets_no_more_time_than_the_deadline_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    dead = _Unreachable(monkeypatch, "127.0.0.9")

    with transport(connect_timeout=30.0) as sender, pytest.raises(NoAnswer):
        sender.send(post("http://127.0.0.9:9"), call_context(seconds=1.0))

    ((_, given),) = dead.asked
    assert given is not None
    assert given <= 1.0


def test_all_addresses_of_a_host_share_one_time_to_connect(monkeypatch: pytest.MonkeyPatch) -> None:
    dead = _Unreachable(monkeypatch, *(f"127.0.0.{last}" for last in (2, 3, 4)))

    with transport(connect_timeout=300.0) as sender, pytest.raises(NoAnswer):
        sender.send(post("http://volume.example"), call_context(seconds=900.0))

    assert [address for address, _ in dead.asked] == ["127.0.0.2", "127.0.0.3", "127.0.0.4"]
    for (_, given), share in zip(dead.asked, (100.0, 150.0, 300.0), strict=True):
        assert given is not None
        assert 0.9 * share < given <= share


def test_no_address_is_tried_when_the_time_to_connect_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    dead = _Unreachable(monkeypatch, *(f"127.0.0.{last}" for last in (2, 3, 4)), each_takes=0.4)

    with transport(connect_timeout=0.3) as sender, pytest.raises(NoAnswer):
        sender.send(post("http://volume.example"), call_context())

    assert [address for address, _ in dead.asked] == ["127.0.0.2"]


def test_a_host_without_an_address_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    _Unreachable(monkeypatch)

    with transport() as sender, pytest.raises(NoAnswer):
        sender.send(post("http://volume.example"), call_context())


def test_what_comes_later_gets_what_the_first_read_has_left(monkeypatch: pytest.MonkeyPatch) -> None:
    lefts: list[float] = []

    class Noted(BoundedReads):
        def __init__(self, sock: Any, until: float, received: bytes) -> None:
            super().__init__(sock, until, received)
            lefts.append(until - time.monotonic())

    def script(client: Connection) -> None:
        client.request()
        client.stopping.wait(0.3)
        client.say(b"H")

    monkeypatch.setattr("handler.cloud.answer_reading.BoundedReads", Noted)
    with raw_server(script) as server, transport(read_timeout=30) as sender, pytest.raises(NoAnswer):
        sender.send(post(server.url), call_context(seconds=60))

    (left,) = lefts
    assert left <= 29.7
