"""Starts what is measured in processes of its own, and ends it."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def environment(**settings: str) -> dict[str, str]:
    """A plain environment: nothing of ours, no proxy, bytecode kept in `build/`, the same for all."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    paths = {"PYTHONPATH": str(ROOT), "PYTHONPYCACHEPREFIX": str(ROOT / "build" / "bench-bytecode")}
    return {**kept, **paths, **settings}


@contextmanager
def program(
    *arguments: str, settings: Mapping[str, str] | None = None, quiet: bool = False
) -> Iterator[subprocess.Popen[str]]:
    """Run `python ARGUMENTS…` while the block lasts. What it prints can be read, unless `quiet`."""
    process = subprocess.Popen(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=environment(**(settings or {})),
        stdout=subprocess.DEVNULL if quiet else subprocess.PIPE,
        encoding="utf-8",
    )
    try:
        yield process
    finally:
        process.terminate()
        process.communicate()


def first_line(process: subprocess.Popen[str]) -> str:
    """What a program says once it serves. Raises RuntimeError when it ends without a word."""
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise RuntimeError(f"{process.args!r} ended with {process.wait()} and said nothing.")
    return line.strip()


def run(arguments: Sequence[str], settings: Mapping[str, str] | None = None) -> str:
    """Run `python ARGUMENTS…` to its end and give what it printed."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=environment(**(settings or {})),
        stdout=subprocess.PIPE,
        encoding="utf-8",
        check=True,
    )
    return done.stdout


def instructions(arguments: Sequence[str]) -> int | None:
    """How many `python ARGUMENTS…` executes, by valgrind's callgrind. None where that is not installed.

    Hashes are not salted, so that the next run counts the same but for what the system is asked for.
    """
    valgrind = shutil.which("valgrind")
    if valgrind is None:
        return None
    done = subprocess.run(
        [valgrind, "--tool=callgrind", "--callgrind-out-file=/dev/null", sys.executable, *arguments],
        cwd=ROOT,
        env=environment(PYTHONHASHSEED="0"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        check=True,
    )
    counted = re.search(r"Collected : (\d+)", done.stderr)
    if counted is None:
        raise RuntimeError(f"callgrind counted nothing: {done.stderr}")
    return int(counted[1])


def peak(pid: int | str = "self") -> int:
    """The most bytes that a process ever had in memory."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    found = next(line for line in lines if line.startswith("VmHWM:"))
    return int(found.split()[1]) * 1024


def undisturbed() -> None:
    """Have this process go before the machine's other programs, where that is allowed.

    What waits for answers and reads them in between would else be measured by who else is busy.
    """
    with contextlib.suppress(AttributeError, PermissionError):
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
