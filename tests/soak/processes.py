"""What a server and its workers hold: memory, threads, descriptors, by Linux' own account."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

_ESTABLISHED_OR_HALF_CLOSED = frozenset({"01", "08"})


class Held(NamedTuple):
    """What a process and its children hold together.

    ``memory`` is MiB of their own (no file's pages, swapped ones included), ``kept`` the connections to the
    cloud, which are not among the ``descriptors``.
    """

    memory: float
    threads: int
    descriptors: int
    kept: int


def held(pid: int, cloud_port: int) -> Held:
    """Look at a process and its children; one that ends meanwhile holds nothing."""
    memory = threads = descriptors = kept = 0
    for each in family(pid):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            folder = Path("/proc") / str(each)
            status = dict(
                line.split(":", 1) for line in (folder / "status").read_text(encoding="utf-8").splitlines()
            )
            memory += sum(int(status[name].split()[0]) for name in ("RssAnon", "VmSwap"))
            threads += int(status["Threads"])
            to_cloud = _sockets_to(folder, cloud_port)
            opened = [*_opened(folder)]
            connections = sum(one in to_cloud for one in opened)
            kept += connections
            descriptors += len(opened) - connections
    return Held(memory / 1024, threads, descriptors, kept)


def family(pid: int) -> Iterator[int]:
    """A process and all that it started."""
    yield pid
    with contextlib.suppress(FileNotFoundError):
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split():
            yield from family(int(child))


def alive(pid: int) -> bool:
    """Whether there is such a process, one that only waits to be asked for its exit code left out."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return False
    return "State:\tZ" not in status


def _opened(folder: Path) -> Iterator[str]:
    for descriptor in (folder / "fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            yield str(descriptor.readlink())


def _sockets_to(folder: Path, port: int) -> set[str]:
    rows = (line.split() for line in (folder / "net" / "tcp").read_text(encoding="ascii").splitlines()[1:])
    return {
        f"socket:[{row[9]}]"
        for row in rows
        if row[3] in _ESTABLISHED_OR_HALF_CLOSED and int(row[2].partition(":")[2], 16) == port
    }
