"""Runs the README's two commands where nothing was set up before: `python -m tests.fresh` (or `make fresh`).

On Debian 12, 13 and sid as debootstrap makes them, and `make test` on the further Pythons that this machine
has. What can't be had here is SKIPPED, and said so; ends with 0 when all that ran passed.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.fresh import debian, settings
from tests.pythons import find_python

ROOT = Path(__file__).resolve().parents[2]
SUITES = {"bookworm": "Debian 12", "trixie": "Debian 13", "sid": "Debian sid"}
MOVING = "sid"
"""The suite that may be broken by itself, on some days."""
LONGEST = 3600  # seconds of one command
PYTHONS = re.findall(
    r'"Programming Language :: Python :: (3\.\d+)"', (ROOT / "pyproject.toml").read_text("utf-8")
)


@dataclass(frozen=True)
class Ran:
    """A command that ran to its end."""

    status: int
    seconds: float
    output: str

    @property
    def passed(self) -> bool:
        return self.status == 0


def run(command: Sequence[str]) -> Ran:
    """Run a command, keep what it prints."""
    began = time.monotonic()
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        check=False,
        timeout=LONGEST,
    )
    return Ran(done.returncode, time.monotonic() - began, done.stdout)


def say(text: str) -> None:
    print(f"fresh: {text}", flush=True)


def failed(where: str, what: str, output: str) -> str:
    print("\n".join(output.splitlines()[-100:]), flush=True)
    return f"{where}: FAILED {what}"


def on_debian(suite: str, targets: Sequence[str], cache: Path) -> Iterator[str]:
    """Say what became of each target on a machine of this suite."""
    where = SUITES[suite]
    try:
        kept = debian.base(suite, cache)
    except subprocess.CalledProcessError as failure:
        log = cache / f"{suite}.log"
        said = (
            "\n".join(log.read_text("utf-8", "replace").splitlines()[-20:]) if log.exists() else str(failure)
        )
        yield (
            f"{where}: SKIPPED, it can't be made today\n{said}"
            if suite == MOVING
            else failed(where, "debootstrap", said)
        )
        return
    with debian.machine(kept, ROOT) as machine:
        asked = run(
            machine.command("python3 --version && python3 -m venv /tmp/venv && /tmp/venv/bin/pip --version")
        )
        versions = re.findall(r"^(?:Python|pip) (\d[\w.]*)", asked.output, re.MULTILINE)
        if not asked.passed or len(versions) != 2:
            broken = "its own Python makes no environment"
            yield f"{where}: SKIPPED, {broken}" if suite == MOVING else failed(where, broken, asked.output)
            return
        where += " (Python {}, pip {})".format(*versions)
        say(where)
        unknown = suite == MOVING and debian.newer_than(versions[0], PYTHONS[-1])
        setup = run(machine.command("make setup")) if unknown else None
        if setup is not None and not setup.passed:
            yield f"{where}: SKIPPED, what is locked is not made for this Python yet"
            return
        yield from _targets(where, targets, machine.command)


def on_python(version: str, cache: Path) -> Iterator[str]:
    """Say what became of `make test` on a Python of this machine."""
    where = f"Python {version}"
    python = find_python(version)
    if python is None:
        yield f"{where}: SKIPPED, not on this machine"
        return
    say(f"{where}: {python}")
    with tempfile.TemporaryDirectory(prefix="python-", dir=cache) as folder:
        checkout, home = Path(folder) / "evs détach", Path(folder) / "home"
        home.mkdir()
        subprocess.run(["git", "clone", "--quiet", "--no-hardlinks", str(ROOT), str(checkout)], check=True)
        variables = {"HOME": str(home), "PATH": os.defpath, "PYTHON": str(python)}
        variables |= settings.proxies() | settings.pip()
        bare = ["env", "-i", f"--chdir={checkout}", *(f"{name}={value}" for name, value in variables.items())]
        yield from _targets(where, ["test"], lambda script: [*bare, "sh", "-c", script])


def _targets(where: str, targets: Sequence[str], command: Callable[[str], list[str]]) -> Iterator[str]:
    for target in targets:
        ran = run(command(f"make {target}"))
        if not ran.passed:
            yield failed(where, f"make {target}, status {ran.status}, {ran.seconds:.0f} s", ran.output)
            return
        summary = re.findall(r"^=+ (.* passed.*?) =+$", ran.output, re.MULTILINE)
        told = "".join(f", {line}" for line in summary)
        yield f"{where}: make {target} passed in {ran.seconds:.0f} s{told}"
    clean = run(command("git status --porcelain"))
    if not clean.passed or clean.output:
        yield failed(where, "the tree is not clean", clean.output)
    else:
        yield f"{where}: the tree is clean"


def main() -> int:
    """Read the command line, run all, print the sum; the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--brief", action="store_true", help="make run only, and no Python of this machine")
    brief = parser.parse_args().brief
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    cache = home / "evs-detach-fresh"
    cache.mkdir(parents=True, exist_ok=True)
    dirty = settings.said("git", "-C", ROOT, "status", "--porcelain")
    if dirty:
        say("what is not committed is not tried")
    results: list[str] = []

    def note(lines: Iterator[str]) -> None:
        for line in lines:
            say(line)
            results.append(line)

    try:
        debian.check()
        for suite in SUITES:
            note(on_debian(suite, ["run"] if brief else ["run", "test"], cache))
    except debian.Unavailable as reason:
        note(iter([f"all Debian machines: SKIPPED, {reason}"]))
    if not brief:
        for version in PYTHONS:
            note(on_python(version, cache))
    print("\n".join(["", "fresh machines, in sum:", *(f"  {line}" for line in results)]), flush=True)
    return 1 if any(": FAILED " in line for line in results) else 0


if __name__ == "__main__":
    sys.exit(main())
