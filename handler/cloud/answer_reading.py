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

MOST_INTERIM = 16
"""Interim answers before an answer that are read past; who sends more is not understood."""


class BoundedReads(io.RawIOBase):
    """The socket's raw reads, each with no more time than is left until `until` (monotonic seconds)."""

    def __init__(self, sock: Any, until: float) -> None:
        super().__init__()
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
        left = self._until - time.monotonic()
        if left <= 0:
            raise TimeoutError("the answer took too long")
        self._sock.settimeout(left)
        count: int | None = self._raw.readinto(buffer)
        return count

    def end(self) -> bool:
        """Read nothing more. Whether TLS has already taken more from the socket than was read."""
        self._over = True
        pending: Callable[[], int] = getattr(self._sock, "pending", int)
        return pending() > 0

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


class _BoundedSocket:
    """What http.client's response needs of a socket: a file to read from."""

    def __init__(self, sock: Any, spoil: Callable[[], None]) -> None:
        self._sock = sock
        self._spoil = spoil

    def makefile(self, *_: Any) -> io.BufferedReader:
        # urllib3 sets the read time-out on the socket just before it asks for the response
        until = time.monotonic() + (self._sock.gettimeout() or 0.0)
        return _AnswerFile(BoundedReads(self._sock, until), self._spoil)


class BoundedAnswer(http.client.HTTPResponse):
    """One answer of a connection. `spoilt` is told the socket on which something was not as it should be."""

    def __init__(self, sock: Any, *args: Any, spoilt: Callable[[Any], None], **kwargs: Any) -> None:
        bounded: Any = _BoundedSocket(sock, functools.partial(spoilt, sock))
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
