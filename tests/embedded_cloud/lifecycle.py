"""What becomes of a server's disks, and of its own record, when it is built, shelved or deleted."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from tests.embedded_cloud import entries
from tests.embedded_cloud.records import Action, Attachment, Disk, Event

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.embedded_cloud.records import Server, Volume
    from tests.embedded_cloud.world import World


def action(name: str, moment: str, event: str | None = None, request_id: str | None = None) -> Action:
    """Make an entry of a server's record, done by a host if it has an event."""
    events = [Event(event, moment, moment, "Success")] if event else []
    return Action(name, moment, request_id or f"req-{uuid.uuid4()}", updated_at=moment, events=events)


def record_deletion(server: Server, moment: str, *, reaped: bool) -> None:
    """Have a deletion on a server's record, unless it was asked for and is there; ``reaped``: by its host."""
    asked = server.task_state == "deleting" and [a for a in server.actions if a.action == "delete"]
    entry = asked[-1] if asked else action("delete", moment)
    if not asked:
        server.actions.insert(0, entry)
    if reaped:
        entry.events.append(Event("compute_terminate_instance", moment, moment, "Success"))


def build(world: World, volumes: Iterable[Volume], project_id: str | None = None) -> Server:
    """Begin a server with disks: they are reserved, and the compute service knows none of them yet."""
    with world.lock:
        moment = world.behaviour.stamp()
        server = world.add_server(None, "BUILD", "scheduling", project_id, created=moment)
        for number, volume in enumerate(volumes):
            device = f"/dev/vd{chr(ord('b') + number)}"
            entry = Attachment(str(uuid.uuid4()), server.id, device, moment, None, False, "reserved")
            volume.attachments.append(entry)
            server.disks[volume.id] = Disk(device, entry.attachment_id, str(uuid.uuid4()))
            volume.status, volume.updated_at = "reserved", moment
        return server


def place(world: World, server: Server) -> None:
    """Bring a server that is being built to its host: its disks are attached before it runs."""
    with world.lock:
        server.task_state = "spawning"
        connect_disks(world, server)


def boot(world: World, server: Server) -> None:
    """Finish a server that was being built; one whose entries were taken away meanwhile ends in ERROR."""
    with world.lock:
        server.status = "ACTIVE" if connect_disks(world, server) else "ERROR"
        server.task_state = None
        server.updated = world.behaviour.stamp()


def reserve_disks(world: World, server: Server) -> None:
    """Take a server off its host: its disks' entries are replaced by reservations."""
    moment = world.behaviour.stamp()
    for volume_id, disk in server.disks.items():
        volume = world.volumes.get(volume_id)
        entry = volume.attachment(disk.attachment_id) if volume else None
        if volume is not None and entry is not None:
            disk.attachment_id = entry.attachment_id = str(uuid.uuid4())
            entry.status, entry.connected = "reserved", False
            _rework(volume, moment)


def connect_disks(world: World, server: Server) -> bool:
    """Bring a server's disks to its host; False when an entry is not there any more."""
    volumes = [world.volumes.get(volume_id) for volume_id in server.disks]
    for volume, disk in zip(volumes, server.disks.values(), strict=True):
        entry = volume.attachment(disk.attachment_id) if volume else None
        if volume is None or entry is None:
            return False
        entry.status, entry.connected = "attached", True
        _rework(volume, world.behaviour.stamp())
    return True


def erase(world: World, server: Server, *, reaped: bool = True, purge: bool = False) -> None:
    """Let a server's disks go and then the server, as its host does, or the service itself without it."""
    for volume_id, disk in list(server.disks.items()):
        volume = world.volumes.get(volume_id)
        if volume is not None and volume.attachment(disk.attachment_id) is not None:
            entries.finish_detach(volume, disk.attachment_id, world.behaviour.stamp())
            if disk.delete_on_termination and not volume.attachments:
                world.delete_volume(volume_id)
    world.delete_server(server.id, reaped=reaped, purge=purge)


def _rework(volume: Volume, moment: str) -> None:
    volume.status, volume.attach_status = entries.statuses(volume)
    volume.updated_at = moment
