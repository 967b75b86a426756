"""The one clock of an invocation: how much time is left."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

Clock = Callable[[], float]


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
