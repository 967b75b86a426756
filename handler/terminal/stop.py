"""Ctrl-C: the first asks to stop, which lets what is under way end; the second stops at once."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from handler.terminal.exit_code import ExitCode

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_ASKED = b"\nStopping: what is under way is finished first. Once more stops at once.\n"
_ASKED_LIVE = (
    b"\nStopping: a call that is out is waited for; a detach that has begun goes on at the cloud. "
    b"Once more stops at once.\n"
)
_AT_ONCE = b"\nStopped at once: how the calls under way ended is not known. Ask again: that is always safe.\n"
_SHOW_CURSOR = b"\x1b[?25h"


class Stop:
    """Whether somebody has asked to stop. Calling it says so. `live`: what is begun may go on without us."""

    def __init__(self, *, live: bool = False) -> None:
        self.asked = False
        self._said = _ASKED_LIVE if live else _ASKED

    def __call__(self) -> bool:
        """Whether nothing more is to be begun."""
        return self.asked

    def _ask(self, _number: int, _frame: FrameType | None) -> None:
        if self.asked:
            _say(_AT_ONCE + (_SHOW_CURSOR if sys.stderr.isatty() else b""))
            os._exit(ExitCode.INTERRUPTED)
        self.asked = True
        _say(self._said)

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Take a terminal's Ctrl-C, and a host's SIGTERM, for being asked. What ignores them goes on so."""
        before = {number: signal.getsignal(number) for number in _SIGNALS}
        try:
            for number, handler in before.items():
                if handler is not signal.SIG_IGN:
                    signal.signal(number, self._ask)
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


@contextmanager
def terminated_as_interrupted() -> Iterator[None]:
    """Take a host's SIGTERM for a terminal's Ctrl-C wherever nobody listens, such as at a question."""
    before = signal.getsignal(signal.SIGTERM)
    if before is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _say(text: bytes) -> None:
    """Write around Python's own buffer, which the signal may have come in the middle of."""
    with suppress(OSError):
        os.write(2, text)
