"""Writes a file so that whoever reads it finds all of it, or what was there before."""

from __future__ import annotations

import os
from pathlib import Path


def write_whole(path: Path, text: str) -> None:
    """Write a file in one step, under the process's own umask. Raises OSError, and leaves the old one then.

    What is there and is no plain file (a pipe, a terminal) is written to as it is.
    """
    real = Path(os.path.realpath(path))
    if real.exists() and not real.is_file():
        with real.open("w", encoding="utf-8") as stream:
            stream.write(text)
        return
    beside = real.with_name(f".{real.name}.{os.getpid()}")
    try:
        with beside.open("x", encoding="utf-8", newline="") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        beside.replace(real)
    finally:
        beside.unlink(missing_ok=True)
