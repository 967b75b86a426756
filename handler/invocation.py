"""One invocation's context: by which trigger it came, how much time it has, and what it did at the cloud.

`Invocation` is what the entry point knows. `CallContext` is handed down to whatever calls the cloud.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from handler.secret import Secret
from handler.telemetry import Log
from handler.tracing import NO_ORIGIN, NO_SPAN, Origin, Span

Clock = Callable[[], float]

MOST_REQUEST_IDS = 64
"""Ids of the cloud that one result names. A target with every look and repeat there can be stays below it."""


class Trigger(str, Enum):
    """What an event came by."""

    HTTP = "http"
    CLOUDEVENT = "cloudevent"
    TIMER = "timer"
    APIG = "apig"
    SMN = "smn"
    CTS = "cts"
    EVENTGRID = "eventgrid"
    TERMINAL = "terminal"


class Platform(NamedTuple):
    """FunctionGraph's own token and project, valid for this invocation only; None where it gives none."""

    token: Secret | None = None
    project_id: str | None = None


NO_PLATFORM = Platform()


def _never() -> bool:
    return False


class Invocation(NamedTuple):
    """What an entry point knows of one invocation.

    `seconds_left` is what the platform leaves us (its margin taken off), None where it says nothing.
    `stopped` says whether whoever called has asked to stop: what is under way is finished, nothing is begun.
    `origin` is where it comes from, `span` what a trace shows of it.
    `claimed` says that time left and platform come in headers, which whoever reaches the port can make up.
    """

    trigger: Trigger
    request_id: str
    seconds_left: float | None = None
    platform: Platform = NO_PLATFORM
    stopped: Callable[[], bool] = _never
    origin: Origin = NO_ORIGIN
    span: Span = NO_SPAN
    claimed: bool = False

    @property
    def log(self) -> Log:
        """A logger whose every line says which invocation it is about."""
        return Log({"request_id": self.request_id, "trigger": self.trigger.value})

    def of_unknown_caller(self) -> Invocation:
        """The same for as long as it is not known who calls: without what the caller can have made up.

        Else anybody could have keys read that are not ours, or have the reading of ours fail for all. A token
        stays, which reads nothing of ours unless it is.
        """
        if not self.claimed:
            return self
        return self._replace(seconds_left=None, platform=Platform(self.platform.token))

    def context(self, timeout: float) -> CallContext:
        """What its calls share: all end within `timeout` seconds, or sooner where the platform says so."""
        seconds = timeout if self.seconds_left is None else min(timeout, self.seconds_left)
        return CallContext(self, Deadline.after(seconds), self.log, self.span)


class Deadline(NamedTuple):
    """A moment on a monotonic clock that no wait of the invocation outlives. Times are seconds."""

    at: float
    clock: Clock = time.monotonic

    @classmethod
    def after(cls, seconds: float, clock: Clock = time.monotonic) -> Deadline:
        """The deadline that lies this many seconds ahead."""
        return cls(clock() + seconds, clock)

    def remaining(self) -> float:
        """Seconds left, 0.0 when none."""
        return max(0.0, self.at - self.clock())

    @property
    def expired(self) -> bool:
        """Whether no time is left."""
        return self.clock() >= self.at

    def sooner(self, seconds: float) -> Deadline:
        """This deadline, or the one this many seconds ahead, whichever comes first."""
        return Deadline(min(self.at, self.clock() + seconds), self.clock)


@dataclass
class Patience:
    """Seconds that one pause before another attempt may take, for calls whose answer may not be needed.

    `ran_out`: one would have taken longer, so what failed was not tried again.
    """

    longest: float
    ran_out: bool = False


@dataclass
class CallContext:
    """What the calls of one target (or one listing) share: invocation, deadline, log, span.

    They are counted, and the cloud's request ids remembered, for the result. `deadline` bounds every call,
    and `patience` the pauses between them; None where they may take all the time there is.
    """

    invocation: Invocation
    deadline: Deadline
    log: Log
    span: Span = NO_SPAN
    calls: int = 0
    request_ids: list[str] = field(default_factory=list)
    patience: Patience | None = None

    def separate(self, seconds: float | None = None) -> CallContext:
        """One with counts of its own, under the same log and deadline, or one `seconds` ahead if sooner."""
        deadline = self.deadline if seconds is None else self.deadline.sooner(seconds)
        return CallContext(self.invocation, deadline, self.log, self.span, patience=self.patience)

    def may_pause(self, seconds: float) -> bool:
        """Whether there is time for a pause before another attempt."""
        if seconds >= self.deadline.remaining():
            return False
        if self.patience is not None and seconds > self.patience.longest:
            self.patience.ran_out = True
            return False
        return True

    @property
    def platform(self) -> Platform:
        """The platform's own token and project."""
        return self.invocation.platform

    @property
    def stopped(self) -> bool:
        """Whether nothing more is to be begun."""
        return self.invocation.stopped()

    @contextmanager
    def within(self, seconds: float) -> Iterator[Deadline]:
        """Let the calls made in this block end by then, or by the deadline if that is sooner."""
        whole = self.deadline
        self.deadline = whole.sooner(seconds)
        try:
            yield self.deadline
        finally:
            self.deadline = whole

    def called(self, request_id: str | None) -> None:
        """Note one call at the cloud, and the id that the cloud gave it (of the first `MOST_REQUEST_IDS`)."""
        self.calls += 1
        self._remember(request_id)

    def took(self, other: CallContext) -> None:
        """Note what another context's calls were: they were made for this one's sake."""
        self.calls += other.calls
        for request_id in other.request_ids:
            self._remember(request_id)

    def _remember(self, request_id: str | None) -> None:
        if request_id and request_id not in self.request_ids and len(self.request_ids) < MOST_REQUEST_IDS:
            self.request_ids.append(request_id)
