"""What was true at the cloud when it answered a call: what an invocation could know, whatever it was told."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

from tests.embedded_cloud import Answer, Call, Cloud, Server, Volume

_VOLUME = re.compile(r"/volume/v[23]/[^/]+/volumes/([0-9a-f-]{36})(/action)?")
_SERVER = re.compile(
    r"/compute/v2\.1/[^/]+/servers/([0-9a-f-]{36})(?:/(os-volume_attachments)(?:/([0-9a-f-]{36}))?)?"
)
_ECS = re.compile(r"/compute/v1/[^/]+/cloudservers/([0-9a-f-]{36})/detachvolume/([0-9a-f-]{36})")
_SCAN = re.compile(r"/compute/v2\.1/[^/]+/servers/detail")


class Record(NamedTuple):
    """A volume's record: `entries` are attachment, server and status. None for a volume that is absent."""

    status: str
    updated_at: str | None
    project_id: str
    entries: tuple[tuple[str, str | None, str], ...]

    @property
    def holders(self) -> dict[str, str | None]:
        """By attachment the server."""
        return {entry: server for entry, server, _ in self.entries}

    @property
    def listed(self) -> dict[str, str | None]:
        """The same of those that the record shows."""
        return {entry: server for entry, server, status in self.entries if status == "attached"}


class Look(NamedTuple):
    """A server as it was: `ended` says that its own host ended the guest, `shown` that our token sees it."""

    shown: bool
    exists: bool
    ended: bool
    status: str | None
    task: str | None
    locked: bool
    disks: dict[str, str]

    @property
    def at_rest(self) -> bool:
        return self.status in {"SHUTOFF", "SHELVED_OFFLOADED"} and self.task is None


class Change(NamedTuple):
    """A call that changes something: what it is about and the record before and after it was acted on.

    `after` is None where the volume is gone, or where it was accepted and shows later.
    """

    name: str
    volume_id: str
    attachment_id: str | None
    server_id: str | None
    before: Record | None
    after: Record | None

    @property
    def effect(self) -> bool:
        """Whether it freed or altered the record; that it was only touched is none."""
        if self.before is None:
            return False
        if self.after is None:
            return True
        return (self.before.status, self.before.entries) != (self.after.status, self.after.entries)


@dataclass(eq=False)
class Fact:
    """One answer, and what was so when it was made. `of_disks`: it is the server's list of disks."""

    call: Call
    answer: Answer
    volume: tuple[str, Record | None] | None = None
    server: tuple[str, Look] | None = None
    of_disks: bool = False
    holders: dict[str, frozenset[str]] | None = None
    change: Change | None = None


def is_change(call: Call) -> bool:
    """Whether it may change something at the volume or compute service."""
    return call.method == "DELETE" or (call.method == "POST" and call.service == "volume")


def record_of(volume: Volume | None) -> Record | None:
    if volume is None:
        return None
    entries = tuple((one.attachment_id, one.server_id, one.status) for one in volume.attachments)
    return Record(volume.status, volume.updated_at, volume.project_id, entries)


def look_at(cloud: Cloud, server_id: str) -> Look:
    world = cloud.world
    server = world.servers.get(server_id)
    if server is None:
        dead = world.deleted.get(server_id)
        ended = dead is not None and dead.project_id == cloud.project_id and _ended(dead)
        return Look(shown=False, exists=False, ended=ended, status=None, task=None, locked=False, disks={})
    disks = {volume_id: disk.attachment_id for volume_id, disk in server.disks.items()}
    shown = server.project_id == cloud.project_id
    locked = server.locked_by is not None
    return Look(shown, True, False, server.status, server.task_state, locked, disks)


def _ended(server: Server) -> bool:
    return any(event.event == "compute_terminate_instance" for one in server.actions for event in one.events)


def holders(cloud: Cloud) -> dict[str, frozenset[str]]:
    """By volume the servers that have it, as far as the compute service knows and may tell our token.

    No list of ours has a server of another project, which looks the same as none (README).
    """
    found: dict[str, set[str]] = {}
    for server in cloud.world.servers.values():
        if server.project_id != cloud.project_id:
            continue
        for volume_id in server.known_disks:
            found.setdefault(volume_id, set()).add(server.id)
    return {volume_id: frozenset(servers) for volume_id, servers in found.items()}


def act(cloud: Cloud, call: Call) -> Fact:
    """Have the cloud answer a call; say what it met."""
    cloud.world.settle()
    world, path = cloud.world, call.path
    if _SCAN.fullmatch(path):
        held = holders(cloud)
        return Fact(call, cloud.answer(call), holders=held)
    volume = _VOLUME.fullmatch(path)
    if volume is not None and call.method == "GET":
        record = record_of(world.volumes.get(volume[1]))
        return Fact(call, cloud.answer(call), volume=(volume[1], record))
    if volume is not None and volume[2] and isinstance(call.body, dict):
        [(name, arguments)] = call.body.items()
        return _change(cloud, call, name, volume[1], (arguments or {}).get("attachment_id"), None)
    server = _SERVER.fullmatch(path)
    ecs = _ECS.fullmatch(path)
    if call.method == "DELETE" and (ecs or (server and server[3])):
        server_id, volume_id = ecs.groups() if ecs else (server[1], server[3]) if server else ("", "")
        return _change(cloud, call, "DELETE", volume_id, None, server_id)
    if server is not None:
        look = look_at(cloud, server[1])
        return Fact(call, cloud.answer(call), server=(server[1], look), of_disks=server[2] is not None)
    return Fact(call, cloud.answer(call))


def _change(
    cloud: Cloud, call: Call, name: str, volume_id: str, attachment_id: str | None, server_id: str | None
) -> Fact:
    before = record_of(cloud.world.volumes.get(volume_id))
    settling = [*cloud.world.volumes[volume_id].settling] if before is not None else []
    answer = cloud.answer(call)
    volume = cloud.world.volumes.get(volume_id)
    after = record_of(volume)
    if volume is not None and volume.settling != settling:  # accepted: it will show
        after = None
    return Fact(call, answer, change=Change(name, volume_id, attachment_id, server_id, before, after))
