"""One thread at a time does what all are waiting for."""

from __future__ import annotations

import copy
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from handler.errors import DeadlineExceeded, Failure
from handler.invocation import Deadline


class SingleFlight:
    """A lock whose waiters learn that what they waited for failed.

    Without that, fifty threads that wait for a token from a service that is down would ask it one after the
    other.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._failures = 0
        self._last: Failure | None = None

    @contextmanager
    def take(self, deadline: Deadline) -> Iterator[Failure | None]:
        """Wait until no other is at it. Gives the failure that came meanwhile; the body may raise it too.

        A failure of one whose own time was up says nothing about the others'. Raises DeadlineExceeded.
        """
        failures = self._failures
        if not self._lock.acquire(timeout=deadline.remaining()):
            raise DeadlineExceeded("Time was up while another thread was getting the token.")
        shared = copy.copy(self._last) if self._failures != failures else None
        try:
            yield shared
        except Failure as failure:
            if failure is not shared and not deadline.expired:
                self._failures += 1
                self._last = failure
            raise
        finally:
            self._lock.release()
