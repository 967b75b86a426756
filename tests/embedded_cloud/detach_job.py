"""Detaches under way: what a host does, step by step, after the compute service has said 202."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from tests.embedded_cloud import entries, lifecycle
from tests.embedded_cloud.records import Action, Event

if TYPE_CHECKING:
    from tests.embedded_cloud.records import Server, Volume
    from tests.embedded_cloud.world import World

Stage = Literal["queued", "waiting", "guest", "entry", "row", "done", "failed", "lost"]
_WORKING = {"guest", "entry", "row"}


@dataclass(slots=True, eq=False)
class Course:
    """How a detach goes. The times are seconds of the cloud's clock, each after the step before.

    queued   until the host takes it; longer while the host does not answer
    guest    until the guest lets the disk go
    entry    then until the volume service is told and its record is free
    row      then until the compute service no longer lists the disk, and says so
    ends     "done"; "guest": it keeps the disk, and the record is rolled back; "cinder": it is taken from the
             guest, but the volume service can't be told; "never": the host dies over it
    """

    queued: float = 0.0
    guest: float = 0.0
    entry: float = 0.0
    row: float = 0.0
    ends: Literal["done", "guest", "cinder", "never"] = "done"


@dataclass(slots=True, eq=False)
class Job:
    """One detach. ``since`` is when its stage began; ``lost`` is what no host goes on with."""

    id: str
    server_id: str
    volume_id: str
    course: Course
    action: Action | None
    began: float
    stage: Stage = "queued"
    since: float = 0.0
    ended: float | None = None


@dataclass(slots=True, eq=False)
class Jobs:
    """All detaches, run by the cloud's clock whenever somebody looks.

    ``course`` is how they go, ``courses`` how those of a volume go; both may be changed at any time, and a
    job's own course too. One server's jobs are done one at a time, in the order they were asked for.
    """

    world: World
    course: Course = field(default_factory=Course)
    courses: dict[str, Course] = field(default_factory=dict)
    jobs: dict[str, Job] = field(default_factory=dict)
    open: list[Job] = field(default_factory=list)
    deleting: list[Server] = field(default_factory=list)

    @property
    def busy(self) -> bool:
        return bool(self.open or self.deleting)

    def clear(self) -> None:
        self.deleting.clear()
        self.courses.clear()
        self.jobs.clear()
        self.open.clear()

    def start(self, server: Server, volume: Volume, request_id: str | None = None) -> Job:
        """Begin a detach. One that has a request id is on the server's own record under it."""
        now = self.world.behaviour.now()
        action = None
        if request_id is not None:
            moment = self.world.behaviour.stamp()
            action = Action("detach_volume", moment, request_id, updated_at=moment)
            server.actions.insert(0, action)
        course = self.courses.get(volume.id, self.course)
        job = Job(request_id or uuid.uuid4().hex, server.id, volume.id, course, action, now, since=now)
        self.jobs[job.id] = job
        self.open.append(job)
        return job

    def under_way(self, server_id: str) -> bool:
        return any(job.server_id == server_id for job in self.open)

    def delete_when_idle(self, server: Server) -> None:
        """Delete a server with what it holds, once its jobs have ended: a deletion waits for them."""
        if server not in self.deleting:
            self.deleting.append(server)

    def run(self) -> None:
        """Go as far as the clock allows."""
        now = self.world.behaviour.now()
        while any(self._step(job, now) for job in list(self.open)):
            pass
        for server in list(self.deleting):
            gone = server.id not in self.world.servers
            if gone or (self.world.host(server.host).state == "up" and not self.under_way(server.id)):
                self.deleting.remove(server)
                if not gone:
                    lifecycle.erase(self.world, server)

    def _step(self, job: Job, now: float) -> bool:
        """Take a job one step further, if it is time; say whether it moved."""
        server = self.world.servers.get(job.server_id)
        if server is None:
            return self._end(job, "lost", now)
        up = self.world.host(server.host).state == "up"
        course = job.course
        if job.stage == "queued":
            due = job.since + course.queued
            return up and now >= due and self._take(job, due)
        if not up or course.ends == "never":
            return self._end(job, "lost", now)
        if job.stage == "waiting":
            return self._begin(job, server, now)
        due = job.since + {"guest": course.guest, "entry": course.entry, "row": course.row}[job.stage]
        return now >= due and self._work(job, server, due)

    def _take(self, job: Job, due: float) -> bool:
        job.stage, job.since = "waiting", due
        if job.action is not None:
            job.action.events.append(Event("compute_detach_volume", self.world.behaviour.stamp(due)))
        return True

    def _begin(self, job: Job, server: Server, now: float) -> bool:
        others = [other for other in self.open if other.server_id == job.server_id and other is not job]
        if any(other.stage in _WORKING for other in others):
            return False
        job.since = max([job.since, *(other.ended or 0.0 for other in self._before(job))])
        if job.volume_id not in server.disks or job.volume_id not in self.world.volumes:
            return self._end(job, "failed", now)
        job.stage = "guest"
        return True

    def _before(self, job: Job) -> list[Job]:
        return [other for other in self.jobs.values() if other.server_id == job.server_id]

    def _work(self, job: Job, server: Server, due: float) -> bool:
        volume, disk = self.world.volumes.get(job.volume_id), server.disks.get(job.volume_id)
        if volume is None or disk is None:
            return self._end(job, "failed", due)
        moment = self.world.behaviour.stamp(due)
        if job.stage == "guest":
            if job.course.ends == "guest":
                entries.roll_detaching(volume, moment)
                return self._end(job, "failed", due)
            job.stage, job.since = "entry", due
        elif job.stage == "entry":
            if job.course.ends == "cinder":
                return self._end(job, "failed", due)
            # An entry that is not there any more is no failure to the compute service: the mark stays.
            if volume.attachment(disk.attachment_id) is not None:
                entries.finish_detach(volume, disk.attachment_id, moment)
            job.stage, job.since = "row", due
        else:
            del server.disks[job.volume_id]
            return self._end(job, "done", due)
        return True

    def _end(self, job: Job, stage: Stage, when: float) -> bool:
        job.stage, job.ended = stage, when
        self.open.remove(job)
        if job.action is not None and job.action.events and stage != "lost":
            moment = self.world.behaviour.stamp(when)
            event = job.action.events[-1]
            event.finish_time, event.result = moment, "Success" if stage == "done" else "Error"
            job.action.message = None if stage == "done" else "Error"
            job.action.updated_at = moment
        return True
