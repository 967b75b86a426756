"""Standard streams as a command finds them: closed, full, or with nobody left who reads."""

from __future__ import annotations

import errno
import os
import sys
from contextlib import AbstractContextManager, suppress
from typing import TextIO

OUTPUT = "Standard output"
"""As it is called where it could not be written."""

_OF_OUTPUT = frozenset((errno.EBADF, errno.EIO, errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.ENXIO))

_NOWHERE = {0: os.O_RDONLY, 1: os.O_RDONLY, 2: os.O_WRONLY}
"""By number: how nothing is opened in a stream's place. To write to standard output fails all the same."""


def fill_in_closed() -> None:
    """Put something in place of what was closed: else the next connection takes its number, and what is said.

    `sys.stdin` stays None where it was closed. Standard error goes nowhere then.
    """
    for number, flags in _NOWHERE.items():
        try:
            os.fstat(number)
        except OSError:
            nowhere = os.open(os.devnull, flags)
            if nowhere != number:
                os.dup2(nowhere, number)
                os.close(nowhere)
    if sys.stdout is None:
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 (as long as the process)
    if sys.stderr is None:
        sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 (the same)


def of_output(error: OSError) -> bool:
    """Whether it is one of writing to a stream that is open, and of no file."""
    return error.filename is None and error.errno in _OF_OUTPUT


def refuses(stream: TextIO) -> bool:
    """Whether what is left to be written to it can't be."""
    try:
        stream.flush()
    except OSError:
        return True
    return False


def let_go(stream: TextIO) -> None:
    """Have all of it go nowhere from here on: Python's own flush at the end would change the exit code."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def telling() -> AbstractContextManager[None]:
    """For what is said on standard error. Where nobody can be told, all goes on as if it had been read."""
    return suppress(OSError)
