"""Served by functions-framework: requests per second, and how much memory it takes, beside a handler by hand."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.deployment import settings
from tests.bench.load import drive
from tests.bench.processes import program

CONNECTIONS = 8

# As the image has them
_SIZE = {"WORKERS": "1", "THREADS": "10"}


@dataclass
class Served:
    """What was measured of one handler: requests per second, round by round, and the peak in bytes."""

    rates: list[float] = field(default_factory=list)
    peak: int = 0


def measure(url: str, rounds: int, seconds: float) -> tuple[Served, Served]:
    """Load ours and the one by hand in turns, `seconds` at a time. `url` is the stub's."""
    ours, plain = Served(), Served()
    with _served("handler/main.py", url) as (one, our_port), _served("tests/bench/plain.py", url) as (two, port):
        for _ in range(rounds + 1):
            ours.rates.append(drive(our_port, CONNECTIONS, seconds))
            plain.rates.append(drive(port, CONNECTIONS, seconds))
        ours.peak, plain.peak = peak(_worker(one)), peak(_worker(two))
    del ours.rates[0], plain.rates[0]  # they warmed up
    return ours, plain


def peak(pid: int) -> int:
    """The most bytes that a process ever had in memory."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    found = next(line for line in lines if line.startswith("VmHWM:"))
    return int(found.split()[1]) * 1024


@contextmanager
def _served(source: str, url: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    words = ["--source", source, "--target", "detach", "--signature-type", "http"]
    words += ["--host", "127.0.0.1", "--port", str(port)]
    environment = {**settings(url), **_SIZE}
    with program("-m", "functions_framework", *words, settings=environment, quiet=True) as process:
        _await(process, port)
        yield process, port


def _await(process: subprocess.Popen[str], port: int) -> None:
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
