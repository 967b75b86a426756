"""Starts processes, keeps their ids on record, and ends them by those ids."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.integration.openstack.trouble import RigError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_MARK = "EVS_DETACH_RIG"
_PATIENCE = 10.0


class Processes:
    """The processes of one run. Each leads a session of its own and is on record from its first moment.

    What a recorded process starts is found by its session, or by a mark in its environment, so that
    daemons which leave the session (Erlang's helpers) are ended too. Ids that were given anew to another
    process are told apart by the time that it was started.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._record = folder / "processes.json"
        self._logs = folder / "log"
        self._mark = f"{_MARK}={folder}"
        self._children: list[subprocess.Popen[bytes]] = []

    def start(self, name: str, *command: str | Path, env: Mapping[str, str]) -> subprocess.Popen[bytes]:
        self._logs.mkdir(exist_ok=True)
        key, value = self._mark.split("=", 1)
        with (self._logs / f"{name}.log").open("ab") as log:
            child = subprocess.Popen(
                [str(part) for part in command],
                env={**env, key: value},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._children.append(child)
        started = _look(child.pid)
        recorded = self._recorded()
        recorded[name] = {"pid": child.pid, "started": started.started if started else ""}
        self._record.write_text(json.dumps(recorded, indent=1), encoding="utf-8")
        return child

    def finish(self, name: str, child: subprocess.Popen[bytes]) -> None:
        """Wait for a process that is to end by itself, and take it from the record."""
        if child.wait(timeout=300):
            raise RigError(f"{name} failed\n{self.tail(name)}")
        recorded = self._recorded()
        del recorded[name]
        self._record.write_text(json.dumps(recorded, indent=1), encoding="utf-8")

    def run(self, name: str, *command: str | Path, env: Mapping[str, str]) -> None:
        self.finish(name, self.start(name, *command, env=env))

    def tail(self, name: str) -> str:
        """Give the last lines of a process's log."""
        text = (self._logs / f"{name}.log").read_text(errors="replace", encoding="utf-8")
        return "\n".join(text.splitlines()[-30:])

    def ended(self) -> list[str]:
        """Name the recorded processes that run no more."""
        for child in self._children:
            child.poll()
        return [name for name, entry in self._recorded().items() if not _same(entry)]

    def names(self) -> dict[str, int]:
        return {name: int(entry["pid"]) for name, entry in self._recorded().items()}

    def stop(self, name: str) -> None:
        """Ask a process to end, and wait until it and its session have."""
        recorded = self._recorded()
        self._end([recorded.pop(name)], mark=None, grace=_PATIENCE)
        self._record.write_text(json.dumps(recorded, indent=1), encoding="utf-8")

    def kill(self) -> None:
        """End every process of the run at once, in the knowledge that its files are to go too."""
        self._end(list(self._recorded().values()), self._mark.encode(), grace=0)
        self._record.unlink(missing_ok=True)

    def _end(self, entries: list[dict[str, int | str]], mark: bytes | None, grace: float) -> None:
        sessions = {int(entry["pid"]) for entry in entries if _same(entry)}
        begun = time.monotonic()
        asked: set[int] = set()
        while left := self._left(sessions, mark):
            waited = time.monotonic() - begun
            for pid in left - asked if waited < grace else left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGTERM if waited < grace else signal.SIGKILL)
            asked |= left
            if waited > grace + _PATIENCE:
                raise RigError(f"processes that won't end: {sorted(left)}")
            time.sleep(0.05)
        for child in self._children:
            if child.pid in asked:
                child.wait()  # it has ended; this takes it off the kernel's list

    def members(self) -> set[int]:
        """Give the ids of all processes of the run, those that others of it started included."""
        sessions = {int(entry["pid"]) for entry in self._recorded().values() if _same(entry)}
        return self._left(sessions, self._mark.encode())

    def _left(self, sessions: set[int], mark: bytes | None) -> set[int]:
        for child in self._children:
            child.poll()
        return {
            process.pid
            for process in _processes()
            if process.session in sessions or (mark is not None and mark in process.environment)
        }

    def _recorded(self) -> dict[str, dict[str, int | str]]:
        if not self._record.exists():
            return {}
        recorded: dict[str, dict[str, int | str]] = json.loads(self._record.read_text(encoding="utf-8"))
        return recorded


class _Process:
    """A living process as /proc shows it."""

    def __init__(self, pid: int) -> None:
        # The command's name, in brackets, may hold spaces: what counts comes after it.
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        if fields[0] in "ZX":
            raise ProcessLookupError(pid)
        self.pid, self.session, self.started = pid, int(fields[3]), fields[19]

    @property
    def environment(self) -> list[bytes]:
        try:
            return Path(f"/proc/{self.pid}/environ").read_bytes().split(b"\0")
        except OSError:
            return []


def signature(pid: int) -> str | None:
    """Tell a living process from all others, also from later ones of the same id."""
    process = _look(pid)
    return f"{pid}-{process.started}" if process else None


def _look(pid: int) -> _Process | None:
    try:
        return _Process(pid)
    except OSError:
        return None


def _same(entry: Mapping[str, int | str]) -> bool:
    process = _look(int(entry["pid"]))
    return process is not None and process.started == entry["started"]


def _processes() -> Iterator[_Process]:
    for path in Path("/proc").iterdir():
        if path.name.isdigit() and (process := _look(int(path.name))):
            yield process
