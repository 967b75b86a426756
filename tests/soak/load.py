"""Sends events at an even rate, each again until it is settled, and looks at what became of its records."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from random import Random
from typing import Any, NamedTuple

from tests.embedded_cloud import Cloud
from tests.soak.events import Event, Events

RATE = 12.0
"""Events a second."""

SENDERS = 6
_ATTEMPTS = 40
_AGAIN = 0.3
"""Seconds until an event is delivered again."""

_SHOWN = 1000
"""Characters of an answer."""

_TAKES = 60.0
"""Seconds in which an answer has to come."""


class Unanswered(NamedTuple):
    """A delivery to ``url`` that got no answer, and why; the times are on the monotonic clock.

    ``sent_at`` is None where it could not be sent whole, ``begun``: the server was seen to be at work on it.
    """

    url: str
    sent_at: float | None
    failed_at: float
    begun: bool
    why: str


@dataclass
class Load:
    """``urls`` are the servers that are up, ``key`` what callers show."""

    cloud: Cloud
    events: Events
    urls: Callable[[], Sequence[str]]
    key: Callable[[], str]
    random: Random
    sent: Counter[str] = field(default_factory=Counter)
    settled: Counter[str] = field(default_factory=Counter)
    answers: Counter[str] = field(default_factory=Counter)
    unanswered: list[Unanswered] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    rate: float = RATE

    def __post_init__(self) -> None:
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._due = 0.0
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Begin to send."""
        self._stopping.clear()
        self._due = time.monotonic()
        self._threads = [threading.Thread(target=self._run, name="sender") for _ in range(SENDERS)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Send nothing new, and wait until all that was sent is settled."""
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        while not self._stopping.wait(self._pause()):
            self.carry_through(self.events.next())

    def _pause(self) -> float:
        """Seconds until the next event is due. What could not be sent in time is not made up for."""
        with self._lock:
            now = time.monotonic()
            self._due = max(self._due + 1 / self.rate, now - 1 / self.rate)
            return max(0.0, self._due - now)

    def carry_through(self, event: Event, url: str | None = None) -> None:
        """Deliver an event until it is settled, then judge what became of it.

        ``url`` is where it goes first: the answer is held back there until the server is at work on it.
        """
        self._count(self.sent, event.kind)
        said = "never settled"
        for attempt in range(_ATTEMPTS):
            first = url is not None and not attempt
            chosen = (
                url if url is not None and (first or not self.urls()) else self.random.choice(self.urls())
            )
            answer = self._delivered(event, chosen, begun=first)
            if answer is not None:
                self._count(self.answers, f"{event.envelope} {answer.status}")
                if answer.settled and not (event.runs_again and self._undone(event)):
                    said = self._undone(event) or answer.wrong(event)
                    break
            time.sleep(_AGAIN)
        if said:
            self.lost.append(f"{event.kind}: {said}; {str(answer)[:_SHOWN]}")
        else:
            self._count(self.settled, event.kind)
        self.events.clear_away(event)

    def _count(self, counter: Counter[str], name: str) -> None:
        with self._lock:
            counter[name] += 1

    def _undone(self, event: Event) -> str:
        """What is not as it should be; nothing when all is."""
        kept = [one for one in event.frees if self.cloud.volume(one).status != "available"]
        taken = [one for one in event.keeps if not self.cloud.volume(one).attachments]
        return ", ".join([*(f"{one} is not free" for one in kept), *(f"{one} was taken" for one in taken)])

    def _delivered(self, event: Event, url: str, *, begun: bool) -> Answered | None:
        sending = Sending(url)
        try:
            status, content = sending.exchange(event, self.key())
        except (OSError, http.client.HTTPException) as error:
            self.unanswered.append(Unanswered(url, sending.sent_at, time.monotonic(), begun, repr(error)))
            return None
        return read(event, status, content)


class Sending:
    """One delivery, on a connection of its own: from when on it is all with the server."""

    def __init__(self, url: str) -> None:
        self._connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=_TAKES)
        self.sent_at: float | None = None

    def exchange(self, event: Event, key: str) -> tuple[int, bytes]:
        """Status and body of the answer. Raises OSError or HTTPException."""
        headers = {**event.headers, "Authorization": f"Bearer {key}"}
        with closing(self._connection) as connection:
            if event.reads_only:
                connection.request("GET", event.content, headers=headers)
            else:
                connection.request("POST", event.path, event.body, headers)
            self.sent_at = time.monotonic()
            answer = connection.getresponse()
            return answer.status, answer.read()


class Answered(NamedTuple):
    """A status, and the result where there is one."""

    status: int
    result: Any

    @property
    def settled(self) -> bool:
        """Whether it is not to be delivered again."""
        if self.result is None:  # a broker goes by the status alone
            return self.status in {200, 400, 401, 403, 422}
        parts = [self.result, *self.result.get("results", ())]
        again = any((part.get("error") or {}).get("retryable") for part in parts)
        return not again and self.result.get("complete", True) and self.status not in {202, 503, 504}

    def wrong(self, event: Event) -> str:
        """What this answer should not be, of an event whose records are as they should be."""
        if event.runs_again:
            return ""  # it looks at others' records, too, as they change
        codes = {
            (part.get("error") or {}).get("code")
            for part in (self.result or {}, *(self.result or {}).get("results", ()))
        } - {None}
        expected = {
            "http, invalid": {"invalid_request"},
            "a trigger that is none of ours": {"invalid_request"},
        }
        surprising = codes - expected.get(event.kind, {"server_exists"} if event.keeps else set())
        return f"answered {surprising}" if surprising else ""


def read(event: Event, status: int, content: bytes) -> Answered:
    """Read an answer by the rules of the event's envelope."""
    result: Any = json.loads(content) if content else None
    if event.envelope == "gateway" and status == 200:
        return Answered(result["statusCode"], json.loads(result["body"]))
    return Answered(status, result)
