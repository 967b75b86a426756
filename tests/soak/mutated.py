"""The function with one fault of those that a soak is for: `python -m tests.soak.mutated serve …`.

``SOAK_FAULT`` names it. A soak of each has to find it: `python -m tests.soak --mutated`.
"""

from __future__ import annotations

import itertools
import os
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import patch

from handler.__main__ import main
from handler.model.result import Outcome, untargeted
from handler.runtime import Runtime
from handler.serving import server
from handler.telemetry import Event, Log

SETTING = "SOAK_FAULT"

LEAK = 10 * 1024
"""Bytes for each request."""

_SELDOM = 25
"""One in so many."""

_kept: list[object] = []
_turns = itertools.count(1)
_carry_out = Runtime.carry_out
_always = Log.always


def _mutate(carry_out: Callable[..., Any]) -> None:
    patch.object(Runtime, "carry_out", carry_out).start()


def _each(do: Callable[[], object]) -> Callable[..., Any]:
    def carry_out(*given: Any) -> Any:
        do()
        return _carry_out(*given)

    return carry_out


def _seldom(do: Callable[[], object]) -> Callable[[], object]:
    return lambda: do() if next(_turns) % _SELDOM == 0 else None


def _memory() -> None:
    _mutate(_each(lambda: _kept.append(os.urandom(LEAK))))


def _thread() -> None:
    def begin() -> None:
        threading.Thread(target=threading.Event().wait, daemon=True).start()

    _mutate(_each(_seldom(begin)))


def _descriptor() -> None:
    _mutate(_each(_seldom(lambda: _kept.append(os.open(os.devnull, os.O_RDONLY)))))


def _event() -> None:
    def carry_out(warm: Runtime, work: Any, invocation: Any, *more: Any) -> Any:
        if next(_turns) % _SELDOM:
            return _carry_out(warm, work, invocation, *more)
        return untargeted(Outcome.IGNORED, None, invocation)

    _mutate(carry_out)


def _line() -> None:
    def always(log: Log, event: Event, **fields: Any) -> None:
        if event is not Event.CHANGED or next(_turns) % _SELDOM:
            _always(log, event, **fields)

    patch.object(Log, "always", always).start()


def _end() -> None:
    patch.object(server, "_AFTER_TIMEOUT", -20.0).start()


FAULTS: dict[str, tuple[Callable[[], None], str]] = {
    "memory is kept": (_memory, "memory grows"),
    "threads are left": (_thread, "threads are left"),
    "descriptors are left": (_descriptor, "descriptors are left"),
    "events are forgotten": (_event, "not settled as they should"),
    "lines are not written": (_line, "lines after"),
    "what has begun is not ended": (_end, "was at work"),
}
"""What is done to the function, and what is said of it."""


def faults() -> Iterator[tuple[str, str]]:
    """Each fault, and the words by which it is found."""
    return ((name, said) for name, (_, said) in FAULTS.items())


if __name__ == "__main__":
    FAULTS[os.environ[SETTING]][0]()
    sys.exit(main())
