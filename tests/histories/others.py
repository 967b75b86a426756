"""What everybody else does at the cloud meanwhile: people, hosts, the clock."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from random import Random

from tests.embedded_cloud import Attachment, Cloud, Server, Volume, entries, lifecycle, stuck
from tests.embedded_cloud.detach_job import Course
from tests.embedded_cloud.records import Action, Disk, Event

COURSES = (
    *(Course(), Course(guest=3), Course(row=3), Course(queued=5, guest=1)),
    *(Course(ends="guest"), Course(ends="cinder"), Course(ends="never")),
)
MARKS = ("detaching", "attaching", "reserved", "error_attaching", "error_detaching", "maintenance", "error")


class Others:
    """Does one thing at a time, as the seed says. What `kept` names is left alone."""

    def __init__(self, cloud: Cloud, random: Random, kept: frozenset[str]) -> None:
        self.cloud = cloud
        self.random = random
        self.kept = kept
        self._deeds: dict[Callable[[], None], int] = {
            self.delete: 6,
            self.delete_while_down: 3,
            self.create: 1,
            self.attach: 4,
            self.detach: 3,
            self.build: 2,
            self.boot: 3,
            self.shelve: 2,
            self.unshelve: 2,
            self.stop_or_start: 2,
            self.task: 2,
            self.lock: 1,
            self.soft_delete: 1,
            self.forget: 2,
            self.mark: 2,
            self.strand: 1,
            self.take: 1,
            self.host: 2,
            self.move_server: 1,
            self.move_volume: 1,
            self.delete_volume: 2,
            self.share: 1,
        }

    def act(self) -> None:
        """Do something, if there is anything that it can be done to."""
        world = self.cloud.world
        with world.lock:
            world.settle()
            (deed,) = self.random.choices([*self._deeds], [*self._deeds.values()])
            deed()

    def _server(self, *statuses: str) -> Server | None:
        servers = [
            one
            for one in self.cloud.world.servers.values()
            if one.id not in self.kept and (not statuses or one.status in statuses)
        ]
        return self.random.choice(servers) if servers else None

    def _volume(self, *statuses: str) -> Volume | None:
        volumes = [
            one
            for one in self.cloud.world.volumes.values()
            if one.id not in self.kept and (not statuses or one.status in statuses)
        ]
        return self.random.choice(volumes) if volumes else None

    def _leave(self, server: Server, *, reaped: bool) -> None:
        """Delete a server; half of the time its disks' records are left behind, which is what this is for."""
        purge = self.random.random() < 0.15
        if self.random.random() < 0.6:
            self.cloud.delete_server(server.id, reaped=reaped, purge=purge)
        else:
            lifecycle.erase(self.cloud.world, server, reaped=reaped, purge=purge)

    def delete(self) -> None:
        server = self._server("ACTIVE", "SHUTOFF", "ERROR", "SOFT_DELETED")
        if server is not None:
            self._leave(server, reaped=True)

    def delete_while_down(self) -> None:
        """The guest may go on running there."""
        server = self._server("ACTIVE", "SHUTOFF")
        if server is not None:
            self.cloud.host(server.host).state = "down"
            self._leave(server, reaped=False)

    def create(self) -> None:
        self.cloud.add_server(host=f"compute-{self.random.randrange(3)}", created=self.cloud.now())

    def attach(self) -> None:
        volume, server = self._volume("available"), self._server("ACTIVE", "SHUTOFF")
        if volume is not None and server is not None and not volume.attachments:
            self.cloud.attach(volume, server)

    def detach(self) -> None:
        server = self._server("ACTIVE", "SHUTOFF")
        for volume_id in server.disks if server is not None else ():
            volume = self.cloud.world.volumes.get(volume_id)
            if volume is not None and entries.begin_detaching(volume, self.cloud.stamp()):
                self.cloud.jobs.courses[volume_id] = self.random.choice(COURSES)
                self.cloud.jobs.start(server, volume, f"req-{uuid.uuid4()}")  # type: ignore[arg-type]
                return

    def build(self) -> None:
        volume = self._volume("available")
        if volume is not None and not volume.attachments:
            lifecycle.build(self.cloud.world, [volume])

    def boot(self) -> None:
        server = self._server("BUILD")
        if server is not None:
            lifecycle.boot(self.cloud.world, server)

    def shelve(self) -> None:
        server = self._server("ACTIVE", "SHUTOFF")
        if server is not None and server.task_state is None:
            lifecycle.reserve_disks(self.cloud.world, server)
            server.status = "SHELVED_OFFLOADED"

    def unshelve(self) -> None:
        server = self._server("SHELVED_OFFLOADED")
        if server is not None and lifecycle.connect_disks(self.cloud.world, server):
            server.status = "ACTIVE"

    def stop_or_start(self) -> None:
        server = self._server("ACTIVE", "SHUTOFF")
        if server is not None:
            server.status = "SHUTOFF" if server.status == "ACTIVE" else "ACTIVE"

    def task(self) -> None:
        server = self._server()
        if server is not None and server.status != "BUILD":
            server.task_state = (
                None if server.task_state else self.random.choice(["deleting", "powering-off"])
            )

    def lock(self) -> None:
        server = self._server()
        if server is not None:
            server.locked_by = None if server.locked_by else "owner"

    def soft_delete(self) -> None:
        server = self._server("ACTIVE", "SOFT_DELETED")
        if server is not None:
            server.status = "SOFT_DELETED" if server.status == "ACTIVE" else "ACTIVE"

    def forget(self) -> None:
        """The compute side loses a disk whose record stays."""
        server = self._server()
        if server is not None and server.disks:
            del server.disks[self.random.choice([*server.disks])]

    def mark(self) -> None:
        """A record is left in a state, as by a call that died half way."""
        volume = self._volume("in-use", "available", *MARKS)
        if volume is not None:
            volume.status = self.random.choice(["in-use", *MARKS]) if volume.attachments else "available"
            volume.updated_at = self.cloud.stamp()
            for entry in volume.attachments if volume.status == "detaching" else ():
                server = self.cloud.world.servers.get(entry.server_id or "")
                if server is not None:
                    self._failed_detach(server, volume.updated_at)

    @staticmethod
    def _failed_detach(server: Server, moment: str) -> None:
        event = Event("compute_detach_volume", moment, moment, "Error")
        action = Action("detach_volume", moment, f"req-{uuid.uuid4()}", "Error", moment, [event])
        server.actions.insert(0, action)

    def strand(self) -> None:
        """A stuck record, as one of those that were recorded."""
        row = self.random.choice([row for row in stuck.ROWS if row not in {"N12", "L8", "L9"}])
        planted = stuck.plant(self.cloud.world, row)
        planted.volume.updated_at = self.cloud.stamp(self.cloud.now() - self.random.choice([10, 4000, 90000]))

    def take(self) -> None:
        """A server gets a disk that its record doesn't show."""
        volume, server = self._volume(), self._server("ACTIVE")
        if volume is not None and server is not None and volume.id not in server.disks:
            server.disks[volume.id] = Disk("/dev/vdz", str(uuid.uuid4()), str(uuid.uuid4()))
            volume.updated_at = self.cloud.stamp()

    def host(self) -> None:
        host = self.cloud.host(f"compute-{self.random.randrange(3)}")
        host.state = self.random.choice(["up", "up", "silent", "down"])

    def move_server(self) -> None:
        server = self._server()
        if server is not None:
            shelves = self.cloud.world.server_shelves
            shelves[server.project_id].drop(server.key)
            ours = server.project_id == self.cloud.project_id
            server.project_id = self.cloud.other_project_id if ours else self.cloud.project_id
            shelves.setdefault(server.project_id, type(shelves[self.cloud.project_id])()).add(server.key)

    def move_volume(self) -> None:
        """The volume is another project's, or comes back. A record of the past shows it to both."""
        volume = self._volume()
        if volume is not None:
            ours = volume.project_id == self.cloud.project_id
            volume.project_id = self.cloud.other_project_id if ours else self.cloud.project_id
            volume.updated_at = self.cloud.stamp()

    def delete_volume(self) -> None:
        volume = self._volume("available")
        if volume is not None and not volume.attachments:
            self.cloud.delete_volume(volume.id)

    def share(self) -> None:
        """A second server gets a disk that allows it."""
        volume, server = self._volume("in-use"), self._server("ACTIVE", "SHUTOFF")
        if volume is not None and server is not None and volume.id not in server.disks:
            volume.multiattach = True
            entry = Attachment(str(uuid.uuid4()), server.id, "/dev/vdc", self.cloud.stamp())
            volume.attachments.append(entry)
            volume.updated_at = self.cloud.stamp()
            server.disks[volume.id] = Disk(entry.device, entry.attachment_id, str(uuid.uuid4()))
