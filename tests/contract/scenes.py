"""Disks in the states that live-server and stuck-record cases are about, the same at both clouds.

Each scene is undone after it, so that servers and volumes serve again: a real cloud takes seconds for them.
"""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from tests.contract.lab import ABSENT, Disk
from tests.embedded_cloud import stuck

if TYPE_CHECKING:
    from tests.contract.faults import BuildStage, EntryState
    from tests.contract.lab import Lab

FREE = "available [], not held"
HELD = "in-use [attached], held"


def state(lab: Lab, disk: Disk) -> str:
    """Tell a volume's record, its entries, and whether one of its servers lists it."""
    record = lab.look(disk.volume_id)
    servers = {*disk.others, *(link.server_id for link in disk.links if link.server_id)}
    held = any(lab.holds(server_id, disk.volume_id) for server_id in servers)
    told = "absent" if record == ABSENT else f"{record.status} [{', '.join(lab.entries(disk.volume_id))}]"
    return f"{told}, {'held' if held else 'not held'}"


class Stage:
    """A project's servers and volumes, lent to one scene after the other."""

    def __init__(self, lab: Lab, project_id: str) -> None:
        self.lab, self.project_id = lab, project_id
        self._free: list[Disk] = []
        self._held: Disk | None = None
        self._made: dict[str, Disk] = {}

    @contextlib.contextmanager
    def held(self) -> Iterator[Disk]:
        """Lend a disk of a running server, which must come back as one."""
        disk, self._held = self._held, None
        if disk is None or state(self.lab, disk) != HELD:
            server_id = disk.server_id if disk is not None else self.lab.boot(self.project_id)
            with self.free() as free:
                disk = self.lab.faults.plug(free, server_id)
        yield disk
        self._held = disk  # unless something was raised: then nobody knows what it is like

    @contextlib.contextmanager
    def free(self) -> Iterator[Disk]:
        """Lend a free volume; it may come back as a record without a server, and is free again then."""
        disk = self._free.pop() if self._free else self.lab.disk(self.project_id)
        yield replace(disk, links=(), others=())
        if state(self.lab, disk) == FREE:
            self._free.append(disk)

    def keep(self, name: str, make: Callable[[], Disk]) -> Disk:
        """Give what was made under a name, for scenes that need no undoing."""
        if name not in self._made:
            self._made[name] = make()
        return self._made[name]


Scene = Callable[[Stage], AbstractContextManager[Disk]]


# A running server's disk, and what is done to the server.


@contextlib.contextmanager
def _held(stage: Stage) -> Iterator[Disk]:
    with stage.held() as disk:
        yield disk


@contextlib.contextmanager
def _sent(action: str, status: str, back: str, stage: Stage) -> Iterator[Disk]:
    with stage.held() as disk:
        stage.lab.send(disk.server_id, action, status)
        yield disk
        stage.lab.send(disk.server_id, back, "ACTIVE")


@contextlib.contextmanager
def _soft_deleted(stage: Stage) -> Iterator[Disk]:
    with stage.held() as disk:
        stage.lab.soft_delete(disk.server_id)
        yield disk
        stage.lab.send(disk.server_id, "restore", "ACTIVE")


@contextlib.contextmanager
def _locked_by_admin(stage: Stage) -> Iterator[Disk]:
    with stage.held() as disk:
        stage.lab.faults.admin_action(disk.server_id, "lock")
        yield disk
        stage.lab.faults.admin_action(disk.server_id, "unlock")


@contextlib.contextmanager
def _in_error(stage: Stage) -> Iterator[Disk]:
    with stage.held() as disk:
        stage.lab.faults.admin_action(disk.server_id, "os-resetState", {"state": "error"})
        yield disk
        stage.lab.faults.admin_action(disk.server_id, "os-resetState", {"state": "active"})


@contextlib.contextmanager
def _written(status: str, task_state: str | None, stage: Stage) -> Iterator[Disk]:
    with stage.held() as disk:
        stage.lab.faults.write_server(disk.server_id, status, task_state)
        yield disk
        stage.lab.faults.write_server(disk.server_id, "ACTIVE")


@contextlib.contextmanager
def _building(at: BuildStage, stage: Stage) -> Iterator[Disk]:
    with stage.lab.faults.building(stage.project_id, at) as disk:
        yield disk


def _with_data_disk(stage: Stage, name: str, *, dies: bool = False) -> tuple[Disk, Disk]:
    """Give the root and a data disk of a server that starts from a volume."""
    root = stage.keep(name, partial(stage.lab.faults.start_from_disk, stage.project_id))

    def plug() -> Disk:
        free = stage.lab.disk(stage.project_id)
        return stage.lab.faults.plug(free, root.server_id, delete_on_termination=dies)

    return root, stage.keep(f"{name}, data", plug)


@contextlib.contextmanager
def _root(stage: Stage, *, stopped: bool = False) -> Iterator[Disk]:
    root = stage.keep("from volume", partial(stage.lab.faults.start_from_disk, stage.project_id))
    if stopped:
        stage.lab.stop(root.server_id)
    yield root
    if stopped:
        stage.lab.send(root.server_id, "os-start", "ACTIVE")


@contextlib.contextmanager
def _shelved(stage: Stage, *, root: bool = False) -> Iterator[Disk]:
    """The data disk is to be deleted with its server."""
    disks = _with_data_disk(stage, "shelved", dies=True)

    def shelve() -> Disk:
        stage.lab.send(disks[0].server_id, "shelve", "SHELVED_OFFLOADED")
        return disks[0]

    stage.keep("shelved, done", shelve)
    disk = disks[0 if root else 1]
    stage.lab.faults.age(disk)
    # Shelving gave it a new entry
    yield replace(disk, links=stage.lab.links(disk.volume_id))


# Records.


def _written_record(stage: Stage, disk: Disk, row: str) -> Disk:
    status, attach_status, entry = stuck.ROWS[row]
    stage.lab.faults.write_record(disk, status, attach_status, entry)
    stage.lab.faults.age(disk)
    return disk


@contextlib.contextmanager
def _status(status: str, stage: Stage) -> Iterator[Disk]:
    """A running server's disk whose record says something else."""
    with stage.held() as disk:
        stage.lab.faults.write_record(disk, status, "attached")
        stage.lab.faults.age(disk)
        yield disk
        stage.lab.faults.write_record(disk, "in-use", "attached", "attached")


@contextlib.contextmanager
def _nobodys(row: str, stage: Stage) -> Iterator[Disk]:
    """A stuck record whose server never was, or (N3) lives and has not the disk."""
    entry = stuck.ROWS[row][2]
    with contextlib.ExitStack() as until:
        disk = free = until.enter_context(stage.free())
        lives = row == "N3"
        server_id = until.enter_context(stage.held()).server_id if lives else str(uuid.uuid4())
        if entry is not None:
            disk = stage.lab.faults.entry(free, server_id, connected=entry != "reserved")
        yield _written_record(stage, disk, row)
        stage.lab.faults.free(disk)


@contextlib.contextmanager
def _of_a_host(entry: EntryState, stage: Stage) -> Iterator[Disk]:
    """An entry that names no server."""
    with stage.free() as free:
        disk = stage.lab.faults.entry(free, None, connected=entry != "reserved")
        stage.lab.faults.write_record(disk, "detaching", "attached", entry)
        stage.lab.faults.age(disk)
        yield disk
        stage.lab.faults.free(disk)


@contextlib.contextmanager
def _at_live_server(row: str, stage: Stage) -> Iterator[Disk]:
    """A stuck record whose server has the disk."""
    with stage.held() as disk:
        with _without_entries(stage, disk, row):
            yield _written_record(stage, disk, row)
        stage.lab.faults.write_record(disk, "in-use", "attached", "attached")


@contextlib.contextmanager
def _elsewhere(row: str, stage: Stage) -> Iterator[Disk]:
    """A stuck record whose server never was, or that has no entry: another server has the disk."""
    with stage.held() as disk:
        stage.lab.faults.rename_entries(disk, str(uuid.uuid4()))
        with _without_entries(stage, disk, row):
            _written_record(stage, disk, row)
            yield replace(disk, links=stage.lab.links(disk.volume_id), others=(disk.server_id,))
        stage.lab.faults.rename_entries(disk, disk.server_id)
        stage.lab.faults.write_record(disk, "in-use", "attached", "attached")


def _without_entries(stage: Stage, disk: Disk, row: str) -> AbstractContextManager[None]:
    if stuck.ROWS[row][2] is not None:
        return contextlib.nullcontext()
    return stage.lab.faults.lose_entries(disk)


SERVERS: dict[str, Scene] = {
    "ACTIVE": _held,
    "SHUTOFF": partial(_sent, "os-stop", "SHUTOFF", "os-start"),
    "PAUSED": partial(_sent, "pause", "PAUSED", "unpause"),
    "SUSPENDED": partial(_sent, "suspend", "SUSPENDED", "resume"),
    "RESCUE": partial(_sent, "rescue", "RESCUE", "unrescue"),
    "ERROR": _in_error,
    "SOFT_DELETED": _soft_deleted,
    "SHELVED": partial(_written, "SHELVED", None),
    "VERIFY_RESIZE": partial(_written, "VERIFY_RESIZE", None),
    "BUILD, scheduling": partial(_building, "scheduling"),
    "BUILD, spawning": partial(_building, "spawning"),
    **{
        f"task {task}": partial(_written, "ACTIVE", task)
        for task in (
            *("deleting", "powering-off", "rebooting", "image_snapshot", "migrating"),
            *("soft-deleting", "spawning"),
        )
    },
    "locked by its user": partial(_sent, "lock", "ACTIVE", "unlock"),
    "locked by an administrator": _locked_by_admin,
    "root": _root,
    "root, SHUTOFF": partial(_root, stopped=True),
    "root, SHELVED_OFFLOADED": partial(_shelved, root=True),
    "SHELVED_OFFLOADED, to be deleted with its server": _shelved,
}
"""A disk that a server has, by what the server is like."""

_NOBODYS = [row for row in stuck.ROWS if row.startswith("N")]
_RECORDS = ("maintenance", "error", "extending", "uploading", "reserved", "attaching", "error_detaching")

RECORDS: dict[str, Scene] = {
    **{f"record {status}": partial(_status, status) for status in _RECORDS},
    **{f"{row}, nobody has it": partial(_nobodys, row) for row in _NOBODYS},
    **{
        f"{row}, its server has it": partial(_at_live_server, row)
        for row in stuck.ROWS
        if row.startswith("L") and row != "L1"  # that is SHELVED_OFFLOADED
    },
    **{
        f"{row}, another server has it": partial(_elsewhere, row)
        for row in ("N1", "N2", "N4", "N5", "N6", "N7", "N8", "N9", "N10", "N11")
    },
    **{
        f"{entry} by no server": partial(_of_a_host, entry) for entry in ("attached", "attaching", "reserved")
    },
}
"""A record that is not in order, by its row of the recorded tables, and who has the disk in truth."""

SCENES = {**SERVERS, **RECORDS}
