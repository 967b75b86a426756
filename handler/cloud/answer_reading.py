"""One answer, read from its connection within its time and to its own end.

A socket's time-out is per read: a server that drips a byte now and then never meets it (requests documents
this under "Timeouts"). Here every read of one answer, headers included, gets only what is left of its time.

An answer has to be the answer to the request before it: whatever lies behind its end belongs to nobody, so
its connection is spoilt. Interim answers (1xx) are read past, as RFC 9110 (15.2) obliges clients to: taken
for the answer, one would leave the real answer to the next question.
"""

from __future__ import annotations

import functools
import http.client
import io
import re
import time
from collections.abc import Callable
from typing import Any

_LONGEST_LINE = 65536
_MOST_HEADERS = 100
"""What http.client reads of headers at most: bytes of a line, and lines, the empty one included."""

_PLAIN_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t -~]*)\r\n")

_PLAIN_HEAD = re.compile(
    r"HTTP/1\.1 ([2-5]\d\d)(?: [\t -~]*)?\r\n((?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[ \t]*[\t -~]*\r\n)*)\r\n"
)
_HEADER = re.compile(r"([^:]+):[ \t]*([\t -~]*)\r\n")
_NOT_PLAIN = frozenset({"connection", "transfer-encoding"})
"""Headers that may say where an answer or its connection ends."""

_LONGEST_LENGTH = 5  # digits

AT_ONCE = 16384
"""Bytes that the first read of an answer takes at most: one record of a service fits."""

MOST_INTERIM = 16
"""Interim answers before an answer that are read past; who sends more is not understood."""


class BoundedReads(io.RawIOBase):
    """The socket's raw reads, each with no more time than is left until `until` (monotonic seconds).

    `received` was read of the answer before.
    """

    def __init__(self, sock: Any, until: float, received: bytes = b"") -> None:
        super().__init__()
        self._received = received
        self._sock = sock
        # makefile counts as a user of the socket: a closed connection leaves it open until we are done
        self._raw = sock.makefile("rb", buffering=0)
        self._until = until
        self._over = False

    def readable(self) -> bool:
        """Yes."""
        return True

    def readinto(self, buffer: Any) -> int | None:
        """See RawIOBase. Raises TimeoutError when the answer's time is over."""
        if self._over:
            return 0
        if self._received:
            taken, self._received = self._received[: len(buffer)], self._received[len(buffer) :]
            buffer[: len(taken)] = taken
            return len(taken)
        left = self._until - time.monotonic()
        if left <= 0:
            raise TimeoutError("the answer took too long")
        self._sock.settimeout(left)
        count: int | None = self._raw.readinto(buffer)
        return count

    def end(self) -> bool:
        """Read nothing more. Whether more was already taken from the socket than was read."""
        self._over = True
        return bool(self._received) or more_decrypted(self._sock)

    def close(self) -> None:
        """Give the socket back; it stays open while its connection is."""
        self._raw.close()
        super().close()


class _AnswerFile(io.BufferedReader):
    """What an answer is read from. `spoil` is called when more lay there than the answer."""

    def __init__(self, reads: BoundedReads, spoil: Callable[[], None]) -> None:
        super().__init__(reads, 65536)
        self._reads = reads
        self._spoil = spoil

    def close(self) -> None:
        if not self.closed and (self._reads.end() or self.peek(1)):
            self._spoil()
        super().close()


def more_decrypted(sock: Any) -> bool:
    """Whether TLS has taken more from the socket than was read of it."""
    pending: Callable[[], int] = getattr(sock, "pending", int)
    return pending() > 0


class _BoundedSocket:
    """What http.client's response needs of a socket: a file to read from."""

    def __init__(self, sock: Any, spoil: Callable[[], None], received: bytes) -> None:
        self._sock = sock
        self._spoil = spoil
        self._received = received

    def makefile(self, *_: Any) -> io.BufferedReader:
        # urllib3 sets the read time-out on the socket just before it asks for the response
        until = time.monotonic() + (self._sock.gettimeout() or 0.0)
        return _AnswerFile(BoundedReads(self._sock, until, self._received), self._spoil)


class BoundedAnswer(http.client.HTTPResponse):
    """One answer of a connection. `spoilt` is told the socket on which something was not as it should be.

    `received` was read of it before.
    """

    def __init__(
        self, sock: Any, *args: Any, spoilt: Callable[[Any], None], received: bytes = b"", **kwargs: Any
    ) -> None:
        bounded: Any = _BoundedSocket(sock, functools.partial(spoilt, sock), received)
        super().__init__(bounded, *args, **kwargs)

    def _read_status(self) -> tuple[str, int, str]:
        for _ in range(MOST_INTERIM + 1):
            version, status, reason = super()._read_status()  # type: ignore[misc]
            if status not in range(100, 200):
                return version, status, reason
            if status == http.client.SWITCHING_PROTOCOLS:
                raise http.client.BadStatusLine("101: nobody asked for another protocol")
            http.client.parse_headers(self.fp)
        raise http.client.BadStatusLine("too many interim answers")

    def begin(self) -> None:
        """See http.client, whose fields are set here.

        Where the answer ends must be said once and plainly, or the connection ends.
        """
        if self.headers is not None:
            return
        version, self.status, reason = self._read_status()
        self.code, self.reason = self.status, reason.strip()
        self.version = 10 if version in {"HTTP/1.0", "HTTP/0.9"} else 11
        if self.version == 11 and not version.startswith("HTTP/1."):
            raise http.client.UnknownProtocol(version)
        self.headers = self.msg = _read_headers(self.fp)
        self.chunked = self.headers.get("Transfer-Encoding", "").lower() == "chunked"
        self.chunk_left = None
        self.length = None if self.chunked else _whole_number(self.headers.get("Content-Length"))
        if self.status in {204, 304}:
            self.length = 0
        endless = not self.chunked and self.length is None
        self.will_close = endless or self._check_close() or not self._framed_plainly()

    def _framed_plainly(self) -> bool:
        headers = self.headers
        if headers.defects or headers.get_payload():
            return False
        lengths = headers.get_all("Content-Length", [])
        codings = headers.get_all("Transfer-Encoding", [])
        if codings:
            chunked = [coding.strip().lower() for coding in codings] == ["chunked"]
            return chunked and not lengths and self.version == 11
        return len(lengths) <= 1 and all(length.isascii() and length.isdigit() for length in lengths)


class Headers(dict[str, str]):
    """Headers of which each came once, by their names in small letters. A name is found in any case."""

    def __getitem__(self, name: str) -> str:
        return super().__getitem__(name.lower())

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and super().__contains__(name.lower())

    def get(self, name: str, default: Any = None) -> Any:
        """The value, `default` where there is none."""
        return super().get(name.lower(), default)


class WholeAnswer:
    """An answer that came whole with the first read, as urllib3's pool and `requests` use one.

    The two tell it what it came by, which is given back once it is read whole.
    """

    version_string = "HTTP/1.1"
    length_remaining = 0
    closed = True  # its end is not its connection's
    retries: Any = None
    _connection: Any = None
    _pool: Any = None

    def __init__(self, status: int, headers: Headers, body: bytes) -> None:
        self.status = status
        self.headers = headers
        self._body = body

    def read(self, amount: int, *, decode_content: bool = False) -> bytes:
        """The body, up to `amount` bytes of it. It is never decoded."""
        del decode_content
        if amount > len(self._body):
            connection, self._connection = self._connection, None
            if connection is not None:
                self._pool._put_conn(connection)  # noqa: SLF001 (how urllib3's own answers give one back)
        return self._body[:amount]

    def close(self) -> None:
        """Give up an answer that is not read, and its connection with it."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


def read_whole(received: bytes) -> WholeAnswer | None:
    """The answer that these bytes are, neither more nor less, and plainly so. None for any other.

    Nothing is read in another way here than by `BoundedAnswer`, which takes a third more time.
    """
    head, end, body = received.partition(b"\r\n\r\n")
    if not end or not head.isascii():
        return None
    plain = _PLAIN_HEAD.fullmatch(head.decode() + "\r\n\r\n")
    if plain is None:
        return None
    status, lines = plain.groups()
    found = _HEADER.findall(lines)
    headers = Headers((name.lower(), value) for name, value in found)
    length = headers.get("content-length", "")
    if (
        len(headers) != len(found)
        or len(found) >= _MOST_HEADERS
        or not headers.keys().isdisjoint(_NOT_PLAIN)
        or status in {"204", "304"}
        or not length.isdigit()
        or len(length) > _LONGEST_LENGTH
        or int(length) != len(body)
    ):
        return None
    return WholeAnswer(int(status), headers, body)


class _PlainHeaders(http.client.HTTPMessage):
    """Headers that are plain ASCII: nothing is to be decoded, which takes as long as reading."""

    def items(self) -> list[tuple[str, str]]:
        """Names and values, as they came."""
        return [*self._headers]  # type: ignore[attr-defined]


def _read_headers(file: Any) -> http.client.HTTPMessage:
    """The headers that come next. Lines that are not plain ones are left to http.client's parser.

    That one takes whatever was ever sent by mail, too. Nothing is read in another way here than there.
    """
    lines: list[bytes] = []
    while True:
        line = file.readline(_LONGEST_LINE + 1)
        if len(line) > _LONGEST_LINE:
            raise http.client.LineTooLong("header line")
        lines.append(line)
        if len(lines) > _MOST_HEADERS:
            raise http.client.HTTPException(f"more than {_MOST_HEADERS} lines of headers")
        if line in {b"\r\n", b"\n", b""}:
            break
    plain = [_PLAIN_LINE.fullmatch(line) for line in lines[:-1]]
    if not all(plain):
        return http.client.parse_headers(io.BytesIO(b"".join(lines)))
    headers = _PlainHeaders()
    for found in plain:
        name, value = found.groups() if found else (b"", b"")
        headers.set_raw(name.decode(), value.decode())
    return headers


def _whole_number(text: str | None) -> int | None:
    try:
        number = int(text or "")
    except ValueError:
        return None
    return number if number >= 0 else None
