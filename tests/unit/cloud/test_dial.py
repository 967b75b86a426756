"""Connecting keeps to its time: the look-up of the name, all addresses, and what is left for the answer."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from handler.cloud.answer_reading import BoundedReads
from handler.cloud.dial import Lookups, dial
from handler.errors import DeadlineExceeded, NoAnswer
from tests.unit.cloud.raw import Connection, answer, get, post, raw_server, transport
from tests.unit.contexts import call_context

PATIENCE = 4.0
"""Seconds after which something is held to be unbounded, on a machine that has much else to do."""

_REAL = socket.getaddrinfo


class Names:
    """A name service: `slow` seconds for each look-up, or hanging until the test's end."""

    def __init__(self) -> None:
        self.slow = 0.0
        self.hangs = False
        self.asked: list[str] = []
        self.kept_alive = False
        self.ended = threading.Event()

    def getaddrinfo(self, host: str, port: Any, *more: Any) -> Any:
        if host[0].isdigit():
            return _REAL(host, port, *more)
        self.asked.append(host)
        self.kept_alive |= not threading.current_thread().daemon
        if self.hangs:
            self.ended.wait(30)
        time.sleep(self.slow)
        return _REAL("127.0.0.1", port, *more)


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Iterator[Names]:
    names = Names()
    monkeypatch.setattr(socket, "getaddrinfo", names.getaddrinfo)
    monkeypatch.setattr("handler.cloud.dial._lookups", Lookups())
    yield names
    names.ended.set()


def _serves(client: Connection) -> None:
    while client.request():
        client.say(answer())


def _named(url: str, host: str = "volume.example") -> str:
    return url.replace("127.0.0.1", host)


def test_a_name_is_looked_up_and_an_address_is_not(names: Names) -> None:
    with raw_server(_serves) as server, transport() as sender:
        sender.send(get(server.url), call_context())
        assert names.asked == []
        sender.send(get(_named(server.url)), call_context())

    assert names.asked == ["volume.example"]
    assert not names.kept_alive, "the interpreter waits at its end for no look-up"


def test_a_look_up_that_hangs_ends_with_the_connect_time_out(names: Names) -> None:
    names.hangs = True
    started = time.monotonic()

    with (
        raw_server(_serves) as server,
        transport(connect_timeout=0.2) as sender,
        pytest.raises(NoAnswer, match="did not answer in time"),
    ):
        sender.send(post(_named(server.url)), call_context())

    assert time.monotonic() - started < PATIENCE
    assert server.requests == []


def test_a_look_up_gets_no_more_time_than_the_deadline_leaves(names: Names) -> None:
    names.hangs = True
    started = time.monotonic()

    with raw_server(_serves) as server, transport(connect_timeout=30) as sender, pytest.raises(NoAnswer):
        sender.send(post(_named(server.url)), call_context(seconds=0.2))

    assert time.monotonic() - started < PATIENCE


def test_a_name_that_nobody_knows_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)

    with transport() as sender, pytest.raises(NoAnswer, match=r"failed \(gaierror\)") as raised:
        sender.send(post("http://nobody.example"), call_context())

    assert raised.value.broken


@pytest.mark.parametrize("host", ["a" * 64 + ".example", "a..example"])
def test_a_name_that_is_none_is_no_answer(host: str) -> None:
    with transport() as sender, pytest.raises(NoAnswer):
        sender.send(post(f"http://{host}"), call_context())


class Jumping:
    """Stands for the module `time` in connection.py: each look-up of a name takes so many seconds."""

    def __init__(self, names: Names, monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
        self._names = names
        self._seconds = seconds
        monkeypatch.setattr("handler.cloud.connection.time", self)

    def monotonic(self) -> float:
        return time.monotonic() + self._seconds * len(self._names.asked)


def test_no_post_leaves_when_connecting_has_taken_the_time_that_its_answer_needs(
    names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The deadline is looked at again after the connection is made, not only before."""
    Jumping(names, monkeypatch, seconds=15)
    counted = call_context(seconds=20)

    with (
        raw_server(_serves) as server,
        transport() as sender,
        pytest.raises(DeadlineExceeded, match="Less time is left than one answer may take"),
    ):
        sender.send(post(_named(server.url))._replace(needs=10.0), counted)

    assert server.connections == 1
    assert server.requests == []
    assert counted.calls == 0, "a call that was not sent is not counted"


def test_a_post_leaves_when_connecting_has_left_the_time_that_its_answer_needs(
    names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    Jumping(names, monkeypatch, seconds=2)

    with raw_server(_serves) as server, transport() as sender:
        sender.send(post(_named(server.url))._replace(needs=10.0), call_context(seconds=20))

    assert len(server.requests) == 1


def test_nothing_leaves_when_connecting_has_taken_all_the_time(
    names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    Jumping(names, monkeypatch, seconds=21)

    with (
        raw_server(_serves) as server,
        transport() as sender,
        pytest.raises(DeadlineExceeded, match="No time is left"),
    ):
        sender.send(get(_named(server.url)), call_context(seconds=20))

    assert server.requests == []


def test_an_answer_gets_what_connecting_has_left_of_the_deadline(
    names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    Jumping(names, monkeypatch, seconds=19.5)
    ends: list[float] = []

    class Noted(BoundedReads):
        def __init__(self, sock: Any, until: float, received: bytes) -> None:
            super().__init__(sock, until, received)
            ends.append(until - time.monotonic())

    def begins(client: Connection) -> None:
        client.request()
        client.say(b"H")
        client.hang_until_the_end()

    monkeypatch.setattr("handler.cloud.answer_reading.BoundedReads", Noted)
    with raw_server(begins) as server, transport(read_timeout=30) as sender, pytest.raises(NoAnswer):
        sender.send(post(_named(server.url)), call_context(seconds=20))

    (given,) = ends
    assert given <= 0.5


def test_threads_that_ask_for_one_name_share_a_look_up(names: Names) -> None:
    names.slow = 0.2
    lookups = Lookups()
    found: list[Any] = []

    threads = [
        threading.Thread(target=lambda: found.append(lookups.addresses("volume.example", 80, 5)))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(found) == 8
    assert names.asked == ["volume.example"]
    assert not names.kept_alive, "the interpreter waits at its end for no look-up"


def test_look_ups_that_hang_are_bounded_in_number_and_do_not_stop_those_of_addresses(names: Names) -> None:
    names.hangs = True
    lookups = Lookups(most=3)
    before = threading.active_count()

    for _ in range(10):
        with pytest.raises(TimeoutError):
            lookups.addresses("volume.example", 80, 0.01)

    assert len(names.asked) == 3
    assert threading.active_count() - before <= 3
    assert lookups.addresses("127.0.0.1", 80, 0.01)


def test_there_is_room_again_when_look_ups_that_hung_end(names: Names) -> None:
    names.hangs = True
    lookups = Lookups(most=1)
    with pytest.raises(TimeoutError):
        lookups.addresses("volume.example", 80, 0.01)
    names.ended.set()
    until = time.monotonic() + PATIENCE

    found = None
    while found is None and time.monotonic() < until:
        try:
            found = lookups.addresses("volume.example", 80, 1)
        except TimeoutError:
            time.sleep(0.01)

    assert found


def test_an_address_in_brackets_is_one() -> None:
    if not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    try:
        listener = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError:
        pytest.skip("no IPv6 here")
    with listener, dial("[::1]", listener.getsockname()[1], 1.0) as made:
        assert made.getpeername()[0] == "::1"


def test_what_the_last_address_said_is_raised() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # not listening: refuses
        with pytest.raises(ConnectionRefusedError):
            dial("127.0.0.1", closed.getsockname()[1], 5.0)


def test_who_interrupts_it_leaves_no_socket_open(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[socket.socket] = []

    class Interrupted(socket.socket):
        def connect(self, _address: Any) -> None:
            made.append(self)
            raise KeyboardInterrupt

    monkeypatch.setattr(socket, "socket", Interrupted)
    with pytest.raises(KeyboardInterrupt):
        dial("127.0.0.1", 9, 1.0)

    assert [sock.fileno() for sock in made] == [-1]


def test_the_second_address_is_taken_when_the_first_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # not listening: refuses
        ports = [closed.getsockname()[1], listener.getsockname()[1]]
        found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port)) for port in ports]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_: found)
        with dial("volume.example", 80, 1.0, [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)]) as made:
            assert made.getpeername()[1] == ports[1]
            assert made.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
