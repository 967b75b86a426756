"""Waiting for what a cloud does after it has answered."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_LONGEST = 60.0  # seconds


def wait(what: str, there: Callable[[], bool]) -> None:
    """Look until it is there; AssertionError naming it when it does not come."""
    deadline = time.monotonic() + _LONGEST
    while not there():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.1)
