"""An answer is the answer to the request before it, or the connection is closed."""

from __future__ import annotations

import http.client
import ssl
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from handler.cloud.answer_reading import MOST_INTERIM
from handler.cloud.messages import Call
from handler.errors import NoAnswer, UpstreamUnavailable
from handler.settings.trust import Trust
from tests.unit.cloud.raw import Connection, Script, answer, get, post, raw_server, transport
from tests.unit.contexts import call_context

TLS = Path(__file__).parent / "tls"

ABOUT_ANOTHER = b'HTTP/1.1 404 Not Found\r\nContent-Length: 20\r\n\r\n{"itemNotFound": {}}'
"""An answer that nobody asked for: taken for the next one, it proves a live server gone."""


def _interim(*statuses: int) -> bytes:
    return b"".join(
        b"HTTP/1.1 %d Wait\r\nLink: </style.css>; rel=preload\r\n\r\n" % status for status in statuses
    )


def _numbered(before: bytes, after: bytes = b"") -> Script:
    """Answers each request with its number, with something around it."""

    def script(client: Connection) -> None:
        number = 0
        while client.request():
            number += 1
            client.say(before + answer(b'{"number": %d}' % number) + after)

    return script


_INTERIM = [(100,), (102,), (103,), (103, 103, 103), (100, 102, 103), (199,), (103,) * MOST_INTERIM]


@pytest.mark.parametrize("statuses", _INTERIM, ids=str)
@pytest.mark.parametrize("method", [get, post], ids=["GET", "POST"])
def test_interim_answers_are_read_past_and_the_connection_is_kept(
    statuses: tuple[int, ...], method: object
) -> None:
    call = get if method is get else post

    with raw_server(_numbered(_interim(*statuses))) as server, transport() as sender:
        bodies = [sender.send(call(server.url), call_context()).body for _ in range(3)]

    assert bodies == [b'{"number": 1}', b'{"number": 2}', b'{"number": 3}']
    assert server.connections == 1


@pytest.mark.parametrize(("version", "connections"), [("1.1", 1), ("1.0", 2)])
def test_an_answer_in_chunks_is_plain_where_the_protocol_knows_them(version: str, connections: int) -> None:
    def script(client: Connection) -> None:
        while client.request():
            client.say(
                f"HTTP/{version} 200 OK\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n"
                "2\r\n{}\r\n0\r\n\r\n".encode()
            )

    with raw_server(script) as server, transport() as sender:
        for _ in range(2):
            assert sender.send(get(server.url), call_context()).status == 200

    assert server.connections == connections


def test_interim_answers_that_come_one_by_one_are_read_past() -> None:
    def script(client: Connection) -> None:
        client.request()
        for _ in range(3):
            client.say(_interim(103))
            client.stopping.wait(0.02)
        client.say(answer(b"{}", "202 Accepted"))

    with raw_server(script) as server, transport() as sender:
        assert sender.send(get(server.url), call_context()).status == 202


@pytest.mark.parametrize(
    "said",
    [
        _interim(*[103] * (MOST_INTERIM + 1)) + answer(),
        _interim(*[100] * (MOST_INTERIM + 1)) + answer(),
        _interim(101) + answer(),
        _interim(103, 101) + answer(),
        _interim(103) + b"garbage\r\n\r\n",
        b"HTTP/1.1 103\r\nno header at all\r\n\r\n" + b"\x16\x03\x01" + answer(),
        b"HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 099 What\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 1000 What\r\nContent-Length: 2\r\n\r\n{}",
    ],
    ids=["103s", "100s", "101", "101 behind 103", "garbage", "no header", "HTTP/2", "99", "1000"],
)
def test_what_is_no_answer_ends_its_connection(said: bytes) -> None:
    def script(client: Connection) -> None:
        client.request()
        client.say(said if client.number == 0 else answer(b'{"number": 2}'))
        if client.request():
            client.say(ABOUT_ANOTHER)

    with raw_server(script) as server, transport() as sender:
        with pytest.raises(NoAnswer):
            sender.send(post(server.url), call_context())
        second = sender.send(get(server.url), call_context())

    assert second.body == b'{"number": 2}'
    assert server.connections == 2


@pytest.mark.parametrize("kind", ["with its length", "in chunks", "without a body"])
@pytest.mark.parametrize("left", [ABOUT_ANOTHER, b"\r\n", b"x", b"HTTP/1.1 404"], ids=len)
def test_whatever_lies_behind_an_answer_ends_its_connection(left: bytes, kind: str) -> None:
    head = {
        "with its length": answer(b"{}"),
        "in chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        "without a body": b"HTTP/1.1 204 No Content\r\n\r\n",
    }[kind]

    def script(client: Connection) -> None:
        client.request()
        client.say(head + left)
        while client.request():
            client.say(answer(b"[]"))

    with raw_server(script) as server, transport() as sender:
        for _ in range(2):
            sender.send(get(server.url), call_context())

    assert server.connections == 2


@pytest.mark.parametrize("then", [get, post], ids=["a read", "a change"])
def test_what_comes_later_than_its_answer_is_not_taken_for_the_next_one(then: Callable[[str], Call]) -> None:
    def script(client: Connection) -> None:
        client.request()
        client.say(answer(b"{}"))
        client.stopping.wait(0.05)
        client.say(ABOUT_ANOTHER)
        while client.request():
            client.say(answer(b"[]"))

    with raw_server(script) as server, transport() as sender:
        sender.send(get(server.url), call_context())
        time.sleep(0.2)
        assert sender.send(then(server.url), call_context()).status == 200

    assert server.connections == 2


def _over_tls(script: Script) -> Script:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(TLS / "certificate.pem", TLS / "key.pem")

    def secured(client: Connection) -> None:
        with context.wrap_socket(client.socket, server_side=True) as client.socket:
            script(client)

    return secured


@pytest.mark.parametrize("size", [2, 70_000, 1_000_000])
def test_whatever_lies_behind_an_answer_over_tls_ends_its_connection(size: int) -> None:
    """OpenSSL takes a whole record from the socket: what is left of it there no look at the socket shows."""
    script = _over_tls(_numbered(b"", ABOUT_ANOTHER))

    def large(client: Connection) -> None:
        client.request()
        client.say(answer(b"x" * size) + ABOUT_ANOTHER)
        client.hang_until_the_end()

    with (
        raw_server(script if size == 2 else _over_tls(large)) as server,
        transport(trust=Trust(str(TLS / "certificate.pem"))) as sender,
    ):
        url = f"https://127.0.0.1:{server.url.rpartition(':')[2]}"
        for _ in range(2):
            assert sender.send(get(url), call_context()).status == 200

    assert server.connections == 2


@pytest.mark.parametrize(
    "head",
    [
        b"Content-Length: 2\r\nTransfer-Encoding: chunked",
        b"Transfer-Encoding: gzip, chunked\r\nContent-Length: 2",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip",
        b"Transfer-Encoding: identity\r\nContent-Length: 2",
        b"Content-Length: +2",
        b"Content-Length: 0_2",
        b"Content-Length: 2\r\n broken header\r\nX-More: 1",
        b" X-Folded: 1\r\nContent-Length: 2",
        b"no colon here\r\nContent-Length: 2",
        b"Content-Length: 2\r\nno colon here\r\nTransfer-Encoding: chunked",
    ],
    ids=[
        "both",
        "two codings",
        "a second coding",
        "another coding",
        "a sign",
        "an underscore",
        "a fold",
        "a fold of nothing",
        "no header",
        "a header behind none",
    ],
)
def test_an_answer_whose_end_is_in_doubt_ends_its_connection(head: bytes) -> None:
    def script(client: Connection) -> None:
        client.request()
        chunked = head.startswith(
            (b"Content-Length: 2\r\nTransfer-Encoding: chunked", b"Transfer-Encoding: chunked")
        )
        client.say(
            b"HTTP/1.1 200 OK\r\n" + head + b"\r\n\r\n" + (b"2\r\n{}\r\n0\r\n\r\n" if chunked else b"{}")
        )
        if client.request():
            client.say(ABOUT_ANOTHER)

    with raw_server(script) as server, transport(read_timeout=0.3) as sender:
        for _ in range(2):
            try:
                assert sender.send(post(server.url), call_context()).status == 200
            except (NoAnswer, UpstreamUnavailable):
                continue

    assert server.connections == 2
    assert len(server.requests) == 2


def test_two_lengths_are_no_answer() -> None:
    said = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 20\r\n\r\n{}"

    def script(client: Connection) -> None:
        client.request()
        client.say(said)
        client.hang_until_the_end()

    with raw_server(script) as server, transport() as sender, pytest.raises(NoAnswer):
        sender.send(post(server.url), call_context())

    assert server.connections == 1


@pytest.mark.parametrize("value", ["", "identity", "Identity", "IDENTITY", "  identity  "])
def test_an_encoding_that_says_as_it_is_changes_nothing(value: str) -> None:
    header = f"Content-Encoding: {value}".encode()

    with (
        raw_server(lambda client: _says(client, answer(b"{}", "200 OK", header))) as server,
        transport() as sender,
    ):
        assert sender.send(get(server.url), call_context()).body == b"{}"


@pytest.mark.parametrize(
    ("value", "named"),
    [
        ("gzip", "gzip"),
        ("BR", "br"),
        ("identity, gzip", "gzip"),
        ("gzip, br", "gzip, br"),
        ("<b>", "unreadable"),
    ],
)
def test_any_other_encoding_is_said_by_name(value: str, named: str) -> None:
    header = f"Content-Encoding: {value}".encode()

    with (
        raw_server(lambda client: _says(client, answer(b"{}", "200 OK", header))) as server,
        transport() as sender,
        pytest.raises(UpstreamUnavailable, match=rf"is encoded \({named}\)"),
    ):
        sender.send(get(server.url), call_context())


def test_a_token_in_place_of_an_encoding_is_not_said() -> None:
    token = "planted-token-planted"
    header = f"Content-Encoding: {token}, {token[:16]}x".encode()

    with (
        raw_server(lambda client: _says(client, answer(b"{}", "200 OK", header))) as server,
        transport() as sender,
        pytest.raises(UpstreamUnavailable, match=rf"is encoded \(unreadable, {token[:16]}x\)"),
    ):
        sender.send(get(server.url)._replace(secrets=(token,)), call_context())


def _says(client: Connection, said: bytes) -> None:
    while client.request():
        client.say(said)


def test_a_call_may_have_a_connection_of_its_own() -> None:
    with raw_server(_numbered(b"")) as server, transport() as sender:
        kept = get(server.url)
        bodies = [
            sender.send(call, call_context()).body
            for call in (kept, kept._replace(fresh=True), kept, kept._replace(fresh=True))
        ]

    assert bodies == [b'{"number": 1}', b'{"number": 1}', b'{"number": 2}', b'{"number": 1}']
    assert server.connections == 3


def test_a_connection_of_its_own_is_not_kept() -> None:
    ended: list[bool] = []

    def script(client: Connection) -> None:
        client.request()
        client.say(answer())
        ended.append(client.request() == b"")

    with raw_server(script) as server, transport() as sender:
        sender.send(get(server.url)._replace(fresh=True), call_context())

    assert ended == [True]


def test_the_library_still_reads_a_status_where_we_read_it() -> None:
    """The one private method of the standard library that is overridden: it must be what `begin` calls."""
    assert "_read_status" in http.client.HTTPResponse.begin.__code__.co_names
