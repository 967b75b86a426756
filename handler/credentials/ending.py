"""Says in time that a secret is about to end: a password, an application credential, a version in CSMS."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime, timezone

from handler.telemetry import Event, Log

NOTICE = 14
"""Days before its end from which on it is a warning."""

_DAY = 86400.0


class Ending:
    """Of the secret that one setting names. Each end is said once, and once more when it is near.

    Times are seconds since the epoch.
    """

    def __init__(self, setting: str, clock: Callable[[], float]) -> None:
        self._setting = setting
        self._clock = clock
        self._lock = threading.Lock()
        self._said: set[tuple[str, float, bool]] = set()

    def saw(self, what: str, ends_at: float | None, log: Log) -> None:
        """Note when it ends; None: never, or nobody knows."""
        if ends_at is None:
            return
        left = (ends_at - self._clock()) / _DAY
        near = left < NOTICE
        with self._lock:
            if (what, ends_at, near) in self._said:
                return
            self._said.add((what, ends_at, near))
        moment = datetime.fromtimestamp(ends_at, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        write = log.warning if near else log.info
        write(Event.SECRET_ENDS, setting=self._setting, kind=what, ends_at=moment, days_left=int(left))
