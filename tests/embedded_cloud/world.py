"""The state of the cloud: its volumes and servers, and how they hang together."""

from __future__ import annotations

import threading
import uuid
from bisect import bisect_left, insort
from collections.abc import Iterable
from datetime import timedelta
from random import Random
from typing import TYPE_CHECKING

from tests.embedded_cloud import entries, lifecycle
from tests.embedded_cloud.detach_job import Jobs
from tests.embedded_cloud.records import Attachment, Disk, Host, Server, Volume

if TYPE_CHECKING:
    from typing import Literal

    from tests.embedded_cloud.behaviour import Behaviour, When

EVERYBODY = "*"
"""The shelf of all projects' things."""

_A_MONTH = timedelta(days=30)


class Shelf:
    """Things of one project in the order of their creation, findable by key in logarithmic time."""

    def __init__(self) -> None:
        self.keys: list[tuple[str, str]] = []

    def add(self, key: tuple[str, str]) -> None:
        insort(self.keys, key)

    def drop(self, key: tuple[str, str]) -> None:
        del self.keys[bisect_left(self.keys, key)]

    def before(self, key: tuple[str, str]) -> int:
        """Say how many things are older than this one."""
        return bisect_left(self.keys, key)


class World:
    """Volumes and servers; every public method is safe to call from any thread."""

    def __init__(self, behaviour: Behaviour, project_id: str) -> None:
        self.behaviour = behaviour
        self.project_id = project_id
        self.lock = threading.RLock()
        self.jobs = Jobs(self)
        self.cells_down: set[str] = set()
        self.clear()

    def clear(self) -> None:
        with self.lock:
            self.jobs.clear()
            self.hosts: dict[str, Host] = {}
            self.cells_down.clear()
            self.volumes: dict[str, Volume] = {}
            self.servers: dict[str, Server] = {}
            self.deleted: dict[str, Server] = {}
            self.volume_shelves: dict[str, Shelf] = {}
            self.server_shelves: dict[str, Shelf] = {}
            self._made = 0
            self._unsettled: set[str] = set()

    def _born(self) -> str:
        """Give each thing a moment of its own, a month ago, so that lists have one order."""
        self._made += 1
        return self.behaviour.stamp(_A_MONTH - timedelta(microseconds=self._made))

    def add_server(
        self,
        id: str | None = None,  # noqa: A002  (the field's name)
        status: str = "ACTIVE",
        task_state: str | None = None,
        project_id: str | None = None,
        created: When | None = None,
        name: str | None = None,
        *,
        locked_by: Literal["owner", "admin"] | None = None,
        host: str = "compute-1",
    ) -> Server:
        with self.lock:
            server_id = id or str(uuid.uuid4())
            if server_id in self.servers:
                raise ValueError(f"there is a server {server_id} already")
            born = self._born() if created is None else self.behaviour.stamp(created)
            server = Server(
                id=server_id,
                status=status,
                task_state=task_state,
                project_id=project_id or self.project_id,
                name=name or f"server-{server_id[:8]}",
                created=born,
                updated=born,
                key=(born, server_id),
                actions=[lifecycle.action("create", born, "compute__do_build_and_run_instance")],
                locked_by=locked_by,
                host=host,
            )
            self.deleted.pop(server_id, None)
            self.servers[server_id] = server
            for shelf in (server.project_id, EVERYBODY):
                self.server_shelves.setdefault(shelf, Shelf()).add(server.key)
            return server

    def host(self, name: str) -> Host:
        with self.lock:
            return self.hosts.setdefault(name, Host(name))

    def in_down_cell(self, server: Server) -> bool:
        return bool(self.cells_down) and self.host(server.host).cell in self.cells_down

    def delete_server(
        self,
        id: str,  # noqa: A002
        *,
        purge: bool = False,
        at: When | None = None,
        reaped: bool = True,
    ) -> None:
        """Let a server go, now or at a moment in the past; what the volumes record about it stays.

        Its own record, with an action ``delete``, is kept unless it is purged. ``reaped``: its host did it,
        and says so by an event; else the host was down, and the guest may still run there.
        """
        with self.lock:
            server = self.servers.pop(id, None) or self.deleted[id]
            if server.deleted_at is None:
                for shelf in (server.project_id, EVERYBODY):
                    self.server_shelves[shelf].drop(server.key)
                server.deleted_at = server.updated = self.behaviour.stamp(at)
                lifecycle.record_deletion(server, server.deleted_at, reaped=reaped)
                server.status, server.task_state = "DELETED", None
                server.disks.clear()
                self.deleted[id] = server
            if purge:
                del self.deleted[id]

    def add_volume(
        self,
        id: str | None = None,  # noqa: A002  (the field's name)
        status: str | None = None,
        attachments: Iterable[str | Server | Attachment | None] = (),
        project_id: str | None = None,
        updated_at: When | None = None,
        attached_at: When | None = None,
        metadata: dict[str, str] | None = None,
        size: int = 1,
        *,
        known_to_compute: bool = True,
        created_at: When | None = None,
        multiattach: bool | None = None,
        name: str | None = None,
        connected: bool = True,
        seen_by: Iterable[str] = (),
        attach_status: str | None = None,
        root: bool = False,
        delete_on_termination: bool = False,
    ) -> Volume:
        """Make a volume, attached to the servers given (an id, a server, or None for a host).

        ``known_to_compute``: the servers that exist list it as theirs; ``root`` and ``delete_on_termination``
        as in Disk. ``connected`` as in Attachment. ``seen_by``: further projects that it is shown to. It was
        created, attached and changed a month ago unless said otherwise.
        """
        with self.lock:
            volume_id = id or str(uuid.uuid4())
            if volume_id in self.volumes:
                raise ValueError(f"there is a volume {volume_id} already")
            born = self._born() if created_at is None else self.behaviour.stamp(created_at)
            attached = born if attached_at is None else self.behaviour.stamp(attached_at)
            links = [
                self._attachment(held_by, attached, number, connected=connected)
                for number, held_by in enumerate(attachments)
            ]
            owner = project_id or self.project_id
            volume = Volume(
                id=volume_id,
                status=status or ("in-use" if links else "available"),
                project_id=owner,
                seen_by=frozenset({owner, *seen_by}),
                size=size,
                created_at=born,
                updated_at=attached if updated_at is None else self.behaviour.stamp(updated_at),
                attachments=links,
                metadata=dict(metadata or {}),
                multiattach=len(links) > 1 if multiattach is None else multiattach,
                name=name or f"volume-{volume_id[:8]}",
                key=(born, volume_id),
            )
            volume.attach_status = attach_status or entries.statuses(volume)[1]
            self.volumes[volume_id] = volume
            for shelf in (*volume.seen_by, EVERYBODY):
                self.volume_shelves.setdefault(shelf, Shelf()).add(volume.key)
            for link in links if known_to_compute else ():
                server = self.servers.get(link.server_id or "")
                if server is not None:
                    server.disks[volume_id] = Disk(
                        link.device,
                        link.attachment_id,
                        str(uuid.uuid4()),
                        delete_on_termination,
                        root,
                        0 if root else -1,
                    )
            return volume

    @staticmethod
    def _attachment(
        held_by: str | Server | Attachment | None, attached_at: str, number: int, *, connected: bool
    ) -> Attachment:
        if isinstance(held_by, Attachment):
            return held_by
        server_id = held_by.id if isinstance(held_by, Server) else held_by
        device = f"/dev/vd{chr(ord('b') + number % 25)}"
        return Attachment(str(uuid.uuid4()), server_id, device, attached_at, None, connected)

    def delete_volume(self, id: str, *, held: bool = False) -> None:  # noqa: A002
        """Let a volume go. ``held``: servers that have it go on listing it."""
        with self.lock:
            volume = self.volumes.pop(id)
            for shelf in (*volume.seen_by, EVERYBODY):
                self.volume_shelves[shelf].drop(volume.key)
            for server in self.servers.values() if not held else ():
                server.disks.pop(id, None)

    def volume(self, id: str) -> Volume:  # noqa: A002
        """Give a volume as it is now; KeyError when there is none."""
        with self.lock:
            self.settle()
            return self.volumes[id]

    def server(self, id: str) -> Server:  # noqa: A002
        """Give a server, deleted ones included while their record is kept; KeyError when there is none."""
        with self.lock:
            self.settle()
            return self.servers.get(id) or self.deleted[id]

    def find_server(self, spelling: str) -> Server | None:
        """Find a server as MySQL does, which minds no case, but never without its hyphens."""
        return self.servers.get(spelling) or self.servers.get(spelling.lower())

    def attach(self, volume: Volume, server: Server, *, delete_on_termination: bool = False) -> Attachment:
        """Attach a volume to a server, at both services and at once."""
        with self.lock:
            moment = self.behaviour.stamp()
            entry = self._attachment(server, moment, len(server.disks), connected=True)
            volume.attachments.append(entry)
            volume.status, volume.attach_status = entries.statuses(volume)
            volume.updated_at = moment
            bdm_uuid = str(uuid.uuid4())
            server.disks[volume.id] = Disk(entry.device, entry.attachment_id, bdm_uuid, delete_on_termination)
            return entry

    def detach(self, volume: Volume, attachment_id: str | None) -> None:
        """Clear one attachment (or the only one), now or after the settling delay."""
        if self.behaviour.settle_delay > 0:
            volume.settling.append((self.behaviour.now() + self.behaviour.settle_delay, attachment_id))
            self._unsettled.add(volume.id)
        else:
            self._cleared(volume, attachment_id)

    def settle(self) -> None:
        """Let everything show whose time has come: accepted os-detaches, and jobs."""
        if self.jobs.busy:
            self.jobs.run()
        if not self._unsettled:
            return
        now = self.behaviour.now()
        for volume_id in list(self._unsettled):
            volume = self.volumes.get(volume_id)
            while volume and volume.settling and volume.settling[0][0] <= now:
                self._cleared(volume, volume.settling.pop(0)[1])
            if volume is None or not volume.settling:
                self._unsettled.discard(volume_id)

    def _cleared(self, volume: Volume, attachment_id: str | None) -> None:
        """Do what Cinder's manager does once a detach was let through."""
        if attachment_id is None and not volume.attachments:
            entries.forget(volume, self.behaviour.stamp())
            return
        chosen = volume.attachments[0].attachment_id if attachment_id is None else attachment_id
        entries.finish_detach(volume, chosen, self.behaviour.stamp())

    def populate(self, volumes: int, servers: int, orphans: int, projects: int = 1) -> None:
        """Fill the default project: a volume at each server in turn, the last ``orphans`` at servers gone.

        Without servers, the volumes that are no orphans are attached to nothing. Several ``projects`` get
        servers and volumes in turn, the default one first.
        """
        random = Random(1)

        def some_id() -> str:
            return str(uuid.UUID(int=random.getrandbits(128), version=4))

        with self.lock:
            homes = [self.project_id, *(f"{number:032x}" for number in range(1, projects))]
            held_by = [self.add_server(some_id(), project_id=homes[n % projects]) for n in range(servers)]
            for number in range(volumes):
                holder: Server | str | None = held_by[number % servers] if held_by else None
                if number >= volumes - orphans:
                    holder = some_id()
                home = homes[number % projects]
                self.add_volume(some_id(), attachments=[holder] if holder else [], project_id=home)
