"""The way to the cloud and back, without a network: calls and answers cross it step by step, or don't.

It stands for `handler.cloud.connection.BoundedAdapter`: requests come prepared and signed, answers are read
by the transport's own code.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from email.utils import formatdate
from random import Random
from typing import TYPE_CHECKING, Any, Protocol

import requests
from requests.models import PreparedRequest, Response
from urllib3._collections import HTTPHeaderDict
from urllib3.exceptions import ProtocolError, ReadTimeoutError

from handler.cloud.connection import Budget, TooLate
from tests.embedded_cloud import Answer, Call, Cloud
from tests.embedded_cloud.messages import read_call
from tests.histories.scheduler import Killed, Scheduler
from tests.histories.truth import Fact, act, is_change

if TYPE_CHECKING:
    from collections.abc import Iterator

FAULTS = {
    "unsent": 3,  # the connection breaks before the cloud has the call
    "lost": 4,  # it breaks before the answer has come
    "slow": 3,  # the answer takes seconds
    "late": 2,  # it takes longer than anybody waits
    "stray call": 2,  # nobody waits any more when the cloud gets the call
    "500": 1,
    "503": 2,
    "503 acted": 2,  # a gateway says so of a call that was carried out
    "429": 1,
    "doubled": 3,  # the answer comes a second time, in the place of a later one
    "exchanged": 3,  # two that are on their way are taken for each other
    "slow to connect": 1,
}
"""What can happen to a call, and how often beside the others."""


class Ledger(Protocol):
    """Who keeps account of what each invocation sent, and was told."""

    def acted(self, about: Any, fact: Fact) -> None:
        """The cloud has carried out a call of this invocation."""

    def told(self, about: Any, asked: Call, fact: Fact, *, mistaken: bool) -> None:
        """An answer has reached it: perhaps, by mistake, one to another question than was `asked`."""

    def left(self, about: Any, call: Call) -> None:
        """A call leaves."""


@dataclass(eq=False)
class _Flight:
    """A call and its answer. `alone`: nothing else can have been on its connection."""

    fact: Fact
    alone: bool
    mistaken: bool = False


@dataclass
class Wire:
    """All connections of a history. `rate` is the part of the calls that something happens to."""

    scheduler: Scheduler
    random: Random
    rate: float = 0.0
    trace: list[str] = field(default_factory=list)
    _flying: list[_Flight] = field(default_factory=list)
    _second: dict[object, Fact] = field(default_factory=dict)

    def lead_to(self, cloud: Cloud, ledger: Ledger) -> None:
        """Say where all calls go, and who keeps account of them."""
        self.cloud, self.ledger = cloud, ledger

    def connections(self, **pool: Any) -> Connection:
        return Connection(self, fresh=pool["pool_connections"] == 1)

    def carry(self, request: PreparedRequest, budget: Budget, *, fresh: bool) -> Response:
        """Take a call to the cloud and an answer back, or raise what `requests` would."""
        scheduler, about = self.scheduler, self.scheduler.current.about
        call = _call_of(request, scheduler.monotonic())
        until = min(scheduler.monotonic() + float(budget._read or 0.0), budget.until)  # type: ignore[arg-type]
        what = self._fault()
        if what == "slow to connect":
            scheduler.sleep(self.random.uniform(0.0, 2.5))
        if scheduler.monotonic() > budget.latest:
            raise TooLate
        self.ledger.left(about, call)
        try:
            scheduler.pause()
        except Killed:
            if self.random.random() < 0.5:  # it had left
                self._act(call, about)
            raise
        if what == "unsent":
            raise _broken()
        if what == "stray call":
            self._later(call, about)
            scheduler.sleep(until - scheduler.monotonic())
            raise _timed_out()
        # What was left over is there before a change leaves, and ends the kept connection (urllib3)
        flight = _Flight(self._answered(call, about, what), fresh or is_change(call))
        self._flying.append(flight)
        try:
            self._on_its_way(what, until)
        finally:
            self._flying.remove(flight)
        if what == "lost":
            raise _broken()
        if scheduler.monotonic() > until:
            raise _timed_out()
        if what == "exchanged":
            self._exchange(flight)
        fact, mistaken = self._arrived(flight, what)
        self.ledger.told(about, call, fact, mistaken=mistaken)
        self.trace.append(f"{call.method} {call.path} {fact.answer.status}")
        return _response(request, fact.answer, scheduler.time())

    def _fault(self) -> str | None:
        if self.random.random() >= self.rate:
            return None
        (what,) = self.random.choices([*FAULTS], [*FAULTS.values()])
        return what

    def _on_its_way(self, what: str | None, until: float) -> None:
        if what == "late":
            self.scheduler.sleep(until - self.scheduler.monotonic() + 0.001)
        elif what == "slow":
            self.scheduler.sleep(self.random.uniform(0.0, 6.0))
        else:
            self.scheduler.pause()

    def _act(self, call: Call, about: object) -> Fact:
        fact = act(self.cloud, call)
        self.ledger.acted(about, fact)
        return fact

    def _answered(self, call: Call, about: object, what: str | None) -> Fact:
        if what in {"500", "503", "429"}:
            return Fact(call, Answer(int(what)))
        fact = self._act(call, about)
        return Fact(call, Answer(503), change=fact.change) if what == "503 acted" else fact

    def _later(self, call: Call, about: object) -> None:
        """Have the cloud get a call when nobody waits for it any more."""

        def arrive() -> None:
            self.scheduler.sleep(self.random.uniform(0.0, 20.0))
            self._act(call, about)

        self.scheduler.spawn(arrive, owner=call, about=about)

    def _exchange(self, flight: _Flight) -> None:
        """Only what may have been kept on a connection can be taken for another answer."""
        others = [other for other in self._flying if not other.alone]
        if others and not flight.alone:
            other = others[int(self.random.random() * len(others))]
            flight.fact, other.fact = other.fact, flight.fact
            flight.mistaken = other.mistaken = True

    def _arrived(self, flight: _Flight, what: str | None) -> tuple[Fact, bool]:
        owner = self.scheduler.current.owner
        if flight.alone:
            return flight.fact, False
        earlier = self._second.pop(owner, None)
        if what == "doubled":
            self._second[owner] = flight.fact
        return (flight.fact, flight.mistaken) if earlier is None else (earlier, True)


class Connection:
    """What the transport keeps instead of its adapter."""

    def __init__(self, wire: Wire, *, fresh: bool) -> None:
        self._wire = wire
        self._fresh = fresh

    def open(self, *_: Any) -> None:
        """There is nothing to connect."""

    def send(self, request: PreparedRequest, *, timeout: Budget, **_: Any) -> Response:
        return self._wire.carry(request, timeout, fresh=self._fresh)

    def close(self) -> None:
        """Nothing is kept."""


class _Body:
    """The part of urllib3's answer that the transport reads."""

    closed = False
    length_remaining = 0

    def __init__(self, body: bytes) -> None:
        self._body = body

    def read(self, most: int, *, decode_content: bool) -> bytes:  # noqa: ARG002 (as urllib3 names it)
        return self._body[:most]

    def close(self) -> None:
        self.closed = True


def _call_of(request: PreparedRequest, started_at: float) -> Call:
    url = request.url or ""
    target = url[url.index("/", url.index("://") + 3) :]
    headers = {name.lower(): str(value) for name, value in request.headers.items()}
    return read_call(request.method or "", target, headers, request.body or b"", started_at)  # type: ignore[arg-type]


def _response(request: PreparedRequest, answer: Answer, now: float) -> Response:
    response = Response()
    response.status_code = answer.status
    response.headers = HTTPHeaderDict(_headers(answer, now))  # type: ignore[assignment]
    response.raw = _Body(answer.body)
    response.request = request
    return response


def _headers(answer: Answer, now: float) -> Iterator[tuple[str, str]]:
    yield from answer.headers
    yield "Date", formatdate(now, usegmt=True)


def _broken() -> requests.exceptions.ConnectionError:
    return requests.exceptions.ConnectionError(ProtocolError("Connection aborted."))


def _timed_out() -> requests.exceptions.ReadTimeout:
    return requests.exceptions.ReadTimeout(ReadTimeoutError(None, None, "Read timed out."))  # type: ignore[arg-type]
