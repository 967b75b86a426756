"""What people, operators and faults do at the embedded cloud: written into its world."""

from __future__ import annotations

import contextlib
import uuid
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Literal

from tests.contract.lab import Disk, Link
from tests.embedded_cloud import Attachment, Cloud, Volume, lifecycle

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.contract.faults import BuildStage, EntryState
    from tests.integration.openstack.api import Session

_LONG_AGO = timedelta(hours=3)


class EmbeddedFaults:
    """``compute`` is an administrator's session at the compute service."""

    def __init__(self, cloud: Cloud, compute: Session) -> None:
        self._cloud, self._compute = cloud, compute

    # Servers and their hosts.

    def plug(self, disk: Disk, server_id: str, *, delete_on_termination: bool = False) -> Disk:
        volume, server = self._cloud.volume(disk.volume_id), self._cloud.server(server_id)
        self._cloud.attach(volume, server, delete_on_termination=delete_on_termination)
        return as_disk(volume)

    def start_from_disk(self, project_id: str) -> Disk:
        server = self._cloud.add_server(project_id=project_id)
        return as_disk(self._cloud.add_volume(project_id=project_id, attachments=[server], root=True))

    @contextlib.contextmanager
    def building(self, project_id: str, stage: BuildStage) -> Iterator[Disk]:
        volume = self._cloud.add_volume(project_id=project_id)
        server = lifecycle.build(self._cloud.world, [volume], project_id)
        if stage == "spawning":
            lifecycle.place(self._cloud.world, server)
        yield replace(as_disk(volume), others=(server.id,))
        lifecycle.boot(self._cloud.world, server)
        assert server.status == "ACTIVE"

    def admin_action(self, server_id: str, name: str, arguments: object = None) -> None:
        self._compute.post(f"/servers/{server_id}/action", {name: arguments})

    def write_server(self, server_id: str, status: str, task_state: str | None = None) -> None:
        server = self._cloud.server(server_id)
        server.status, server.task_state = status, task_state

    @contextlib.contextmanager
    def host(self, state: Literal["silent", "down"]) -> Iterator[None]:
        host = self._cloud.host("compute-1")
        host.state = state
        try:
            yield
        finally:
            host.state = "up"

    def age_server(self, server_id: str) -> None:
        self._cloud.server(server_id).created = self._cloud.stamp(3 * _LONG_AGO)

    # Records.

    def entry(self, disk: Disk, server_id: str | None, *, connected: bool) -> Disk:
        volume = self._cloud.volume(disk.volume_id)
        status: EntryState = "attaching" if connected else "reserved"
        host = "rig" if connected else None
        volume.attachments.append(
            Attachment(str(uuid.uuid4()), server_id, "na", None, host, connected, status)
        )
        volume.status, volume.updated_at = status, self._cloud.stamp()
        volume.attach_status = "attaching" if connected else volume.attach_status
        return as_disk(volume)

    def write_record(
        self, disk: Disk, status: str, attach_status: str, entry: EntryState | None = None
    ) -> None:
        volume = self._cloud.volume(disk.volume_id)
        volume.status, volume.attach_status = status, attach_status
        for one in volume.attachments if entry is not None else ():
            one.status = entry or one.status

    def write_entry(self, link: Link, entry: EntryState) -> None:
        volumes = self._cloud.volumes
        [found] = [one for volume in volumes if (one := volume.attachment(link.attachment_id)) is not None]
        found.status = entry

    @contextlib.contextmanager
    def lose_entries(self, disk: Disk) -> Iterator[None]:
        entries = self._cloud.volume(disk.volume_id).attachments
        lost, entries[:] = list(entries), []
        try:
            yield
        finally:
            entries[:] = lost

    def rename_entries(self, disk: Disk, server_id: str | None) -> None:
        for one in self._cloud.volume(disk.volume_id).attachments:
            one.server_id = server_id

    @contextlib.contextmanager
    def lose_record(self, disk: Disk) -> Iterator[None]:
        volumes = self._cloud.world.volumes
        lost = volumes.pop(disk.volume_id)
        try:
            yield
        finally:
            volumes[disk.volume_id] = lost

    def age(self, disk: Disk) -> None:
        volume, moment = self._cloud.volume(disk.volume_id), self._cloud.stamp(_LONG_AGO)
        volume.updated_at = moment
        for one in volume.attachments:
            one.attached_at = moment

    def free(self, disk: Disk) -> None:
        volume = self._cloud.volume(disk.volume_id)
        volume.attachments.clear()
        volume.status, volume.attach_status = "available", "detached"


def as_disk(volume: Volume) -> Disk:
    return Disk(volume.id, tuple(Link(entry.attachment_id, entry.server_id) for entry in volume.attachments))
