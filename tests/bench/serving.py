"""Served by functions-framework: requests per second, and how much memory it takes, beside two by hand."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.deployment import settings
from tests.bench.load import drive
from tests.bench.processes import peak, program

CONNECTIONS = 8

# As the image has them
SIZE = {"WORKERS": "1", "THREADS": "10"}


@dataclass
class Served:
    """What was measured of one handler, round by round, and its peak in bytes.

    `rates` are requests per second, `cpu` the worker's seconds of processor time for each of them.
    """

    rates: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    peak: int = 0


OURS, PLAIN, PARSED = "handler/main.py", "tests/bench/plain.py", "tests/bench/plain_parsed.py"
NOTHING = "tests/bench/nothing.py"


def measure(url: str, rounds: int, seconds: float) -> dict[str, Served]:
    """Load ours and those by hand in turns, `seconds` at a time. `url` is the stub's."""
    found = {source: Served() for source in (OURS, PLAIN, PARSED, NOTHING)}
    with ExitStack() as stack:
        running = {source: stack.enter_context(_served(source, url)) for source in found}
        for _ in range(rounds + 1):
            for source, (process, port) in running.items():
                worker = _worker(process)
                before = _cpu(worker)
                rate, answers = drive(port, CONNECTIONS, seconds)
                found[source].rates.append(rate)
                found[source].cpu.append((_cpu(worker) - before) / answers)
        for source, (process, _) in running.items():
            found[source].peak = peak(_worker(process))
            del found[source].rates[0], found[source].cpu[0]  # it warmed up
    return found


@contextmanager
def _served(source: str, url: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    words = ["--source", source, "--target", "detach", "--signature-type", "http"]
    words += ["--host", "127.0.0.1", "--port", str(port)]
    environment = {**settings(url), **SIZE}
    with program("-m", "functions_framework", *words, settings=environment, quiet=True) as process:
        await_served(process, port)
        yield process, port


def await_served(process: subprocess.Popen[str], port: int) -> None:
    """Wait until a function takes connections. Raises RuntimeError where it ends, or not in half a minute."""
    until = time.monotonic() + 30
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"{process.args!r} does not serve.") from None
            time.sleep(0.05)
        else:
            return


def _worker(process: subprocess.Popen[str]) -> int:
    """The process that serves: gunicorn's only worker."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text(encoding="ascii").split()
    return int(children[0])


def _cpu(pid: int) -> float:
    """Seconds of processor time that a process has taken."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
