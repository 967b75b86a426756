"""A terminal of a given size, and a command that runs in it."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.unit.deployment import ROOT

COMMAND = [sys.executable, "-m", "handler"]


@dataclass
class Terminal:
    """What a command writes to its terminal, as it comes."""

    process: subprocess.Popen[bytes]
    leader: int
    said: str = field(default="")

    def until(self, seen: Callable[[str], bool], seconds: float = 30.0) -> str:
        """Read until this is seen in all that was said, or the command has let go of its terminal."""
        end = time.monotonic() + seconds
        while not seen(self.said) and time.monotonic() < end:
            if not select.select([self.leader], [], [], 0.5)[0]:
                continue
            try:
                part = os.read(self.leader, 65536)
            except OSError:  # as Linux says that nobody holds the other end
                break
            if not part:
                break
            self.said += part.decode()
        return self.said

    def rest(self) -> str:
        """All that it says until it ends."""
        return self.until(lambda _: False)

    def press(self, keys: bytes) -> None:
        os.write(self.leader, keys)


@contextmanager
def terminal(*words: str, columns: int = 80) -> Iterator[Terminal]:
    """Run a command with a terminal of its own, which it also gets its signals from."""
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 30, columns, 0, 0))

    def attach() -> None:
        os.setsid()
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    environment = {name: value for name, value in os.environ.items() if name not in {"COLUMNS", "LINES"}}
    with subprocess.Popen(
        [*COMMAND, *words],
        cwd=ROOT,
        env={**environment, "TERM": "xterm"},
        stdin=follower,
        stdout=follower,
        stderr=follower,
        preexec_fn=attach,  # noqa: PLW1509 (no thread of the tests holds a lock that it needs)
    ) as process:
        os.close(follower)
        try:
            yield Terminal(process, leader)
        finally:
            if process.poll() is None:
                process.kill()
            os.close(leader)
