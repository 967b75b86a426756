"""An answer's head is read as http.client reads it: the same fields of it, whatever stands there."""

from __future__ import annotations

import http.client
import io
import socket
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from handler.cloud.answer_reading import BoundedAnswer, BoundedReads, read_whole

_NAMES = st.sampled_from(
    [
        "Content-Length",
        "content-length",
        "Transfer-Encoding",
        "Connection",
        "Keep-Alive",
        "X-A",
        "From ",
        "a b",
    ]
)
_VALUES = st.sampled_from(
    [
        "5",
        " 5",
        "5 ",
        "+5",
        "-1",
        "",
        "5, 5",
        "chunked",
        "Chunked",
        "gzip, chunked",
        "close",
        "keep-alive",
        "\xe9",
    ]
) | st.text(st.characters(max_codepoint=255), max_size=6)
_ODD = st.sampled_from([b" folded", b"\tfolded", b"no colon", b": no name", b"x:y\rz: 1", b"\x00: 1"])
_LINES = st.lists(
    st.tuples(_NAMES, _VALUES).map(lambda pair: f"{pair[0]}:{pair[1]}".encode("latin-1")) | _ODD, max_size=6
)


def _read(reader: Any, raw: bytes) -> dict[str, Any]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(raw)
        theirs.shutdown(socket.SHUT_WR)
        ours.settimeout(5)
        answer = reader(ours)
        try:
            answer.begin()
        except http.client.HTTPException as fault:
            return {"fault": type(fault)}
        headers = answer.headers
        found = {name: getattr(answer, name) for name in ("status", "reason", "version", "chunked", "length")}
        found |= {"items": headers.items(), "unparsed": bool(headers.get_payload())}
        found["defects"] = [type(defect) for defect in headers.defects]
        found["closes"] = answer.will_close
        answer.close()
        return found


def _ours(sock: socket.socket) -> BoundedAnswer:
    return BoundedAnswer(sock, method="GET", spoilt=lambda _: None)


def _theirs(sock: socket.socket) -> http.client.HTTPResponse:
    return http.client.HTTPResponse(sock, method="GET")


@settings(max_examples=400, deadline=None)
@example(b"HTTP/1.1", b"200", [b"X: 1"] * 99, b"\r\n")
@example(b"HTTP/1.1", b"200", [b"X: 1"] * 100, b"\r\n")
@example(b"HTTP/1.1", b"200", [b"Transfer-Encoding: chunked", b"Content-Length: 5"], b"\r\n")
@example(b"HTTP/1.1", b"200", [b"Content-Length: -1"], b"\r\n")
@example(b"HTTP/1.1", b"200", [b"X: " + b"y" * 65536], b"\r\n")
@example(b"HTTP/1.1", b"200", [b"X: " + b"y" * (65536 - 5)], b"\r\n")
@example(b"HTTP/1.1", b"200", [b"Content-Length: " + b"9" * 5000], b"\r\n")
@given(
    st.sampled_from([b"HTTP/1.1", b"HTTP/1.0", b"HTTP/0.9", b"HTTP/1.7", b"HTTP/2", b"ICY"]),
    st.sampled_from([b"200", b"204", b"304", b"404", b"999"]),
    _LINES,
    st.sampled_from([b"\r\n", b"\n"]),
)
def test_it_is_read_as_the_library_reads_it(
    version: bytes, status: bytes, lines: list[bytes], end: bytes
) -> None:
    raw = b"".join(line + end for line in (version + b" " + status + b" Word", *lines, b"")) + b"12345"
    ours, theirs = _read(_ours, raw), _read(_theirs, raw)
    whole = read_whole(raw)
    if whole is not None:
        assert not ours["closes"]
        assert (whole.status, ours["length"], whole.read(99)) == (ours["status"], 5, b"12345")
        assert whole.headers == {name.lower(): value for name, value in ours["items"]}
        assert len(whole.headers) == len(ours["items"])
    # The connection is closed more often: wherever the end of the answer is not said plainly
    assert ours.pop("closes", True) >= theirs.pop("closes", False)
    assert ours == theirs


@pytest.mark.parametrize("cut", range(1, 40))
def test_a_head_that_breaks_off_is_read_as_the_library_reads_it(cut: int) -> None:
    raw = b"HTTP/1.1 200 OK\r\nX-A: 1\r\nContent-Length: 5\r\n\r\n"[:cut]
    ours, theirs = _read(_ours, raw), _read(_theirs, raw)
    ours.pop("closes", None)
    theirs.pop("closes", None)
    assert ours == theirs


def test_headers_behind_an_empty_line_of_its_own_kind_end_the_connection() -> None:
    r"""`\r\r\n` ends the head for the library's parser, which then takes what follows for a body."""
    raw = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX: 1\r\r\nTransfer-Encoding: chunked\r\n\r\n"
    said = _read(_ours, raw)
    assert (said["unparsed"], said["defects"], said["length"]) == (True, [], 0)
    assert said["closes"]


def test_a_length_that_is_said_twice_ends_the_connection() -> None:
    once = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n"
    assert not _read(_ours, once + b"\r\n12345")["closes"]
    assert _read(_ours, once + b"Content-Length: 5\r\n\r\n12345")["closes"]


def test_an_answer_that_has_no_body_needs_no_length_to_keep_its_connection() -> None:
    assert not _read(_ours, b"HTTP/1.1 204 No Content\r\n\r\n")["closes"]


def test_a_head_is_read_once() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        ours.settimeout(5)
        answer = _ours(ours)
        answer.begin()
        answer.begin()
        assert answer.read() == b"{}"


_WHOLE = b"HTTP/1.1 200 OK\r\nVary: X-A\r\nX-Empty:\r\nContent-Length: 5\r\n\r\n12345"


def test_what_came_whole_is_read_at_once() -> None:
    whole = read_whole(_WHOLE)

    assert whole is not None
    assert (whole.status, whole.length_remaining, whole.read(6)) == (200, 0, b"12345")
    assert whole.headers == {"vary": "X-A", "x-empty": "", "content-length": "5"}
    assert (whole.headers["VARY"], whole.headers.get("Vary"), "vArY" in whole.headers) == ("X-A", "X-A", True)
    number: object = 5
    assert number not in whole.headers
    assert (whole.headers.get("Age"), whole.headers.get("Age", "0"), "Age" in whole.headers) == (
        None,
        "0",
        False,
    )


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"\r\n\r\n12345", b"\r\n\r\n1234"),
        (b"\r\n\r\n12345", b"\r\n\r\n123456"),
        (b"\r\n\r\n12345", b"\r\n"),
        (b"HTTP/1.1", b"HTTP/1.0"),
        (b"HTTP/1.1", b"http/1.1"),
        (b" 200", b"  200"),
        (b" 200 OK", b" 2000 OK"),
        (b" 200 OK", b" 100 Continue"),
        (b" 200 OK", b" 204 No Content"),
        (b" 200 OK", b" 304 Not Modified"),
        (b" 200 OK", b" 600 What"),
        (b"Vary: X-A", b"Content-Length: 5"),
        (b"Vary: X-A", b"Vary: \xe9"),
        (b"Vary: X-A", b"Vary : X-A"),
        (b"Vary: X-A", b" folded"),
        (b"Vary: X-A", b"Vary"),
        (b"Vary: X-A", b"Vary: X-A\rX: 1"),
        (b"Vary: X-A", b"Vary: X-A\nX: 1"),
        (b"Vary: X-A", b"Vary: X-A\x00"),
        (b"Vary: X-A", b"Connection: close"),
        (b"Vary: X-A", b"connection: keep-alive"),
        (b"Vary: X-A", b"Transfer-Encoding: identity"),
        (b"Vary: X-A", b"\r\n".join(b"X-%d: 1" % number for number in range(98))),
        (b"Length: 5", b"Length: 05x"),
        (b"Length: 5", b"Length: +5"),
        (b"Length: 5", b"Length: 5, 5"),
        (b"Length: 5", b"Length: 000005"),
        (b"Length: 5", b"Length:"),
        (b"Content-Length: 5\r\n", b""),
    ],
)
def test_what_is_less_plain_is_left_to_the_careful_reader(old: bytes, new: bytes) -> None:
    raw = _WHOLE.replace(old, new, 1)

    assert raw != _WHOLE
    assert read_whole(raw) is None


@pytest.mark.parametrize("length", [b"Length:5", b"Length:  5", b"Length: 00005"])
def test_a_length_is_read_as_the_careful_reader_reads_it(length: bytes) -> None:
    whole = read_whole(_WHOLE.replace(b"Length: 5", length))

    assert whole is not None
    assert whole.read(99) == b"12345"


@pytest.mark.parametrize("end", [b"", b"\r", b"\r\n", b"\r\n\r"])
def test_a_head_that_goes_on_is_not_read_at_once(end: bytes) -> None:
    head = b"HTTP/1.1 202 Accepted\r\nContent-Length: 0"

    assert read_whole(head + end) is None
    assert read_whole(head + b"\r\n\r\n") is not None


def test_what_was_received_before_and_is_not_read_is_left_over() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        reads = BoundedReads(ours, until=float("inf"), received=b"12345")
        some = bytearray(3)
        assert (reads.readinto(some), bytes(some)) == (3, b"123")
        assert reads.end()
        assert reads.readinto(some) == 0
        reads.close()

        read = BoundedReads(ours, until=float("inf"), received=b"12")
        assert (read.readinto(some), bytes(some)) == (2, b"123")
        assert not read.end()
        read.close()


@pytest.mark.parametrize(("pending", "left"), [(0, False), (1, True)])
def test_what_tls_has_decrypted_and_is_not_read_is_left_over(pending: int, left: bool) -> None:
    sock = SimpleNamespace(makefile=lambda *_, **__: io.BytesIO(), pending=lambda: pending)

    reads = BoundedReads(sock, until=float("inf"))

    assert reads.end() is left
    reads.close()


@pytest.mark.parametrize(("amount", "given_back"), [(4, 0), (5, 0), (6, 1)])
def test_only_an_answer_that_was_read_to_its_end_gives_its_connection_back(
    amount: int, given_back: int
) -> None:
    """To have asked for more is how its reader knows that there is no more."""
    whole = read_whole(_WHOLE)
    assert whole is not None
    kept: list[object] = []
    closed: list[bool] = []
    whole._pool = SimpleNamespace(_put_conn=kept.append)
    whole._connection = SimpleNamespace(close=lambda: closed.append(True))

    assert whole.read(amount) == b"12345"[:amount]
    whole.close()

    assert (len(kept), len(closed)) == (given_back, 1 - given_back)


def test_as_many_headers_as_the_library_reads_are_read_at_once() -> None:
    headers = b"\r\n".join(b"X-%d: 1" % number for number in range(97))

    assert read_whole(_WHOLE.replace(b"Vary: X-A", headers)) is not None


def test_an_answer_that_came_whole_is_closed_once() -> None:
    whole = read_whole(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
    assert whole is not None
    connection = Mock()
    whole._connection = connection
    whole.close()
    whole.close()

    assert connection.close.call_count == 1
