"""Callers who hold a connection and withhold something. Each begins anew when it is hung up on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field

import requests

from tests.unit.deployment import KEY

Holder = Callable[[asyncio.StreamWriter], Awaitable[None]]

_HEAD = "POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
_KEYED = f"{_HEAD}Authorization: Bearer {KEY}\r\n"
_PIECE = b"a" * 65_536
_HALF_A_LINE = 12 * 1024 * 1024


async def nothing(_writer: asyncio.StreamWriter) -> None:
    """Not a byte."""


async def headers(writer: asyncio.StreamWriter) -> None:
    """The second half of the headers."""
    writer.write(_HEAD.encode())


async def headers_by_the_byte(writer: asyncio.StreamWriter) -> None:
    """All of it, but for one byte a second."""
    for byte in _KEYED.encode() * 10:
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(1)


async def body(writer: asyncio.StreamWriter) -> None:
    """The body, with a good key."""
    writer.write(f"{_KEYED}Content-Length: 1000\r\n\r\n".encode())


async def chunks(writer: asyncio.StreamWriter) -> None:
    """The end of a chunked body, with a good key."""
    writer.write(f"{_KEYED}Transfer-Encoding: chunked\r\n\r\n5\r\n{{".encode())
    for _ in range(100):
        await asyncio.sleep(1)
        writer.write(b" ")
        await writer.drain()


async def request_line(writer: asyncio.StreamWriter) -> None:
    """The second half of a request line of 24 MiB."""
    writer.write(b"GET /")
    for _ in range(_HALF_A_LINE // len(_PIECE)):
        writer.write(_PIECE)
        await writer.drain()


async def reading(writer: asyncio.StreamWriter) -> None:
    """Reading what it asked for, over and over."""
    writer.transport.pause_reading()  # type: ignore[attr-defined]
    for _ in range(1000):
        writer.write(b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n")
        await writer.drain()
    await asyncio.sleep(60)


HOLDERS: tuple[Holder, ...] = (
    nothing,
    headers,
    headers_by_the_byte,
    body,
    chunks,
    request_line,
    reading,
)


@dataclass
class Seen:
    """What a probe met: how long each `/healthz` took, in seconds, and how often there was no answer."""

    took: list[float] = field(default_factory=list)
    unanswered: int = 0
    connections: int = 0

    @property
    def longest(self) -> float:
        return max(self.took, default=0.0)


async def hold(port: int, how: Holder, seen: Seen) -> None:
    """Hold a connection for ever."""
    while True:
        with suppress(OSError, asyncio.IncompleteReadError):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            seen.connections += 1
            try:
                await how(writer)
                while await reader.read(65_536):
                    pass
            finally:
                writer.transport.abort()
        await asyncio.sleep(0.1)


def probe(port: int, seconds: float, within: float, seen: Seen) -> None:
    """Ask `/healthz` each second, by a connection of its own."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        started = time.monotonic()
        try:
            requests.get(f"http://127.0.0.1:{port}/healthz", timeout=within).raise_for_status()
        except requests.RequestException:
            seen.unanswered += 1
        else:
            seen.took.append(time.monotonic() - started)
        time.sleep(max(0.0, started + 1 - time.monotonic()))


async def abuse(port: int, *, callers: int, seconds: float, within: float) -> Seen:
    """Let so many callers withhold something, each kind in turn, and watch `/healthz` meanwhile."""
    seen = Seen()
    holders = [
        asyncio.create_task(hold(port, HOLDERS[number % len(HOLDERS)], seen)) for number in range(callers)
    ]
    try:
        await asyncio.to_thread(probe, port, seconds, within, seen)
    finally:
        for holder in holders:
            holder.cancel()
        await asyncio.gather(*holders, return_exceptions=True)
    return seen
