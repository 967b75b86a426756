"""Step 7a: a live disk's detach, followed to its end; every state in between has a name.

Recorded from a real Nova: the server's own status says nothing about a detach. Three things do: the volume's
record, the server's own list of disks, and the job on the server's record of actions. One look in between can
see them disagree, so what is final is judged by two looks in a row.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

from handler.actions import os_detach
from handler.actions.os_detach import FIRST_PAUSE
from handler.cloud.absence import Absence
from handler.cloud.detaching import Detach, DetachApi, JobState, NovaDetach
from handler.cloud.servers import Servers
from handler.cloud.volumes import Attachment, Volume, Volumes
from handler.errors import ErrorCode, Failure, NotConfirmed, NotRecovered, Refused, UpstreamRejected
from handler.invocation import CallContext
from handler.model.result import Findings, Outcome
from handler.model.sent import Job
from handler.model.values import epoch

LONGEST_PAUSE = 5.0  # seconds between two looks: a guest may take minutes
_NAP = 0.5  # seconds: whoever asks to stop does not wait for a whole pause
CLOCKS_APART = 60.0
"""Seconds by which this disk's own job may seem to begin before the record's mark: two services' clocks.

Only where no detach of the server began since then is there none, and only where each of them has ended has
this disk's.
"""
CLOCKS_TOGETHER = 5.0
"""Seconds before the mark from which on how a detach ended is taken for how this disk's did.

Whole seconds, and clocks that are kept. A longer tolerance would take an older one, of another disk, for it.
"""


_GOING = (JobState.UNKNOWN, JobState.QUEUED, JobState.RUNNING)
_ENDED = (JobState.FAILED, JobState.DONE)


class _Seen(NamedTuple):
    """One look. `held`: the server lists the disk by this very entry, or it can't be told by which."""

    volume: Volume | None
    listed: bool
    held: bool
    job: JobState | None

    @property
    def status(self) -> str:
        return self.volume.status if self.volume is not None else ""

    @property
    def free(self) -> bool:
        """Whether the record knows nothing of the attachment any more, and is in order."""
        return not self.listed and self.status in {"available", "in-use"}


def its_job(detaches: Sequence[Detach], marked: float) -> JobState | None:
    """What the detaches of a server, of whichever disk, tell of the one that a record was marked for.

    `detaches` are those since `CLOCKS_APART` before `marked` (epoch seconds by the volume service's clock).
    None where there is none; UNKNOWN where all have ended and which of them was this one can't be told.
    """
    states = [detach.state for detach in detaches]
    going = next((state for state in _GOING if state in states), None)
    if going is not None or not states:
        return going
    ended = {detach.state for detach in detaches if detach.began >= marked - CLOCKS_TOGETHER}
    return next((state for state in _ENDED if state in ended), JobState.UNKNOWN)


class Follow:
    """Follows one detach. `job_id` is None where the call that began it was another invocation's."""

    def __init__(
        self,
        volumes: Volumes,
        servers: Servers,
        api: DetachApi,
        sleep: Callable[[float], None],
        told: Callable[[Findings], None] | None = None,
    ) -> None:
        self._volumes = volumes
        self._servers = servers
        self._api = api
        self._sleep = sleep
        self._told = told

    def to_end(
        self,
        attachment: Attachment,
        marked: Volume,
        job_id: str | None,
        context: CallContext,
        found: Findings,
        fault: Failure | None = None,
    ) -> Outcome:
        """Look until the detach has ended, one way or another, or until too little time is left for a look.

        Whoever asks to stop ends the following, and not the detach.

        `marked` is the record as it was read last: in-use still, where it is not known whether the call
        arrived. `fault` is why it isn't.
        Raises what the end is, where it isn't a good one: Refused `guest_refused`, NotRecovered,
        NotConfirmed, or `fault`.
        """
        began, pause = context.deadline.remaining(), FIRST_PAUSE
        before: _Seen | None = None
        while True:
            try:
                seen = self._look(attachment, marked, job_id, context, found)
            except Failure as blind:
                raise (
                    fault or _unconfirmed(f"it could not be looked at ({blind.message})", found, blind)
                ) from None
            if self._told is not None:
                self._told(found)
            if seen.volume is None:
                return Outcome.VOLUME_ABSENT
            # The first mark that is seen tells the job, by the clock that it was read by last
            now = seen.volume
            marked = marked._replace(read_at=now.read_at) if marked.status == "detaching" else now
            if before is not None:
                if seen.free and before.free and not seen.held and not before.held:
                    found.changed = True
                    return Outcome.DETACHED
                self._judge(seen, before, found)
            left = context.deadline.remaining()
            idle = seen.status == "in-use" and seen.listed
            if fault is not None and idle and began - left >= os_detach.CONFIRM_WITHIN:
                raise fault
            spare = left - self._servers.read_timeout
            if spare <= FIRST_PAUSE or context.stopped:
                raise self._late(seen, found) if fault is None or not idle else fault
            self._wait(min(pause, spare), context)
            pause = min(pause * 2, LONGEST_PAUSE)
            before = seen

    def _wait(self, seconds: float, context: CallContext) -> None:
        while seconds > 0 and not context.stopped:
            self._sleep(min(seconds, _NAP))
            seconds -= _NAP

    def _look(
        self,
        attachment: Attachment,
        marked: Volume,
        job_id: str | None,
        context: CallContext,
        found: Findings,
    ) -> _Seen:
        server_id = attachment.server_id or ""
        job = self._job(server_id, marked, job_id, context)
        if job_id is not None and job is not None:
            found.job = Job(job_id, job.value)
        volume = self._volumes.get(marked.id, context)
        if volume is None:
            found.volume_status = replace(found.volume_status, after=None)
            found.remaining = None
            return _Seen(None, listed=False, held=False, job=job)
        found.saw(volume.status, len(volume.attachments))
        listed = any(entry.id in {attachment.id, None} for entry in volume.attachments)
        return _Seen(volume, listed, self._holds(server_id, marked.id, attachment, context), job)

    def _job(
        self, server_id: str, marked: Volume, job_id: str | None, context: CallContext
    ) -> JobState | None:
        """How far the job has come; None where it is known that there is none."""
        if job_id is not None:
            try:
                return self._api.state(server_id, job_id, context)
            except Failure:  # the record and the server's list say what matters
                return JobState.UNKNOWN
        since = epoch(marked.updated_at)
        # Of the detaches since anything else than a mark, any may be another disk's
        if marked.status != "detaching" or since is None or not isinstance(self._api, NovaDetach):
            return JobState.UNKNOWN
        try:
            detaches = self._api.detaches(server_id, since - CLOCKS_APART, context, clock=marked.read_at)
            return its_job(detaches, since)
        except Failure:
            return JobState.UNKNOWN

    def _holds(self, server_id: str, volume_id: str, attachment: Attachment, context: CallContext) -> bool:
        try:
            disk = self._servers.disk(server_id, volume_id, context)
        except UpstreamRejected:
            if isinstance(self._servers.find(server_id, context), Absence):
                return False
            raise
        return disk is not None and disk.attachment_id in {None, attachment.id}

    @staticmethod
    def _judge(seen: _Seen, before: _Seen, found: Findings) -> None:
        """Raise the end that two looks in a row agree on, where it is not a good one."""
        failed = seen.job is before.job is JobState.FAILED
        # The record alone is no word: os-roll_detaching by a user says in-use while the job runs on
        if seen.status == before.status == "in-use" and seen.listed and seen.held and failed:
            found.changed = False
            raise Refused(
                ErrorCode.GUEST_REFUSED,
                "The compute service gave up and rolled back; most often the guest holds the disk. Nothing "
                "is lost: have it unmounted there, then ask again.",
            )
        if seen.status == before.status == "detaching":
            if seen.listed and failed:
                raise NotRecovered(
                    "The compute service's detach failed half way: most often the guest has let go of the "
                    "disk, and the volume service could not be told. The record stays 'detaching', and "
                    "nobody goes on. Look at the server; then os-roll_detaching and the detach again, by a "
                    "person (or ask with live and recover)."
                )
            if not seen.listed and not seen.held and seen.job is before.job is JobState.DONE:
                found.changed = True
                raise NotRecovered(
                    "The server has let go of the disk, but the volume's record had lost the attachment "
                    "before and stays 'detaching': once it is old enough, ask for it by recover."
                )
            if seen.listed and seen.job is before.job is None:
                raise NotRecovered(
                    "The record says 'detaching', but the server has no detach on record since then (by two "
                    f"clocks at most {CLOCKS_APART:g} s apart): somebody marked it by hand, or the compute "
                    "service never got the call. Look at the server's actions whether one is under way after "
                    "all; if none is, os-roll_detaching by a person, then the detach again."
                )

    @staticmethod
    def _late(seen: _Seen, found: Findings) -> Failure:
        if seen.job is JobState.QUEUED:
            what = (
                "no host has taken it yet: the server's host may be busy or down, and it may still be done "
                "later, so don't roll it back"
            )
        elif seen.free and seen.held:
            what = "the record is free, but the server still lists the disk"
        elif seen.free:
            what = "it looks done, but was not seen so twice"
        elif seen.job in {JobState.DONE, JobState.FAILED}:
            what = f"its job is over ({seen.job.value}), and the record ({seen.status!r}) doesn't show it yet"
        elif seen.job is JobState.UNKNOWN:
            what = "how far its job is can't be told: perhaps it is still under way, so don't roll it back"
        else:
            what = (
                "it is still under way: the guest may take its time, or the server's host died over it, "
                "which looks the same"
            )
        return _unconfirmed(what, found)


def _unconfirmed(what: str, found: Findings, cause: Failure | None = None) -> NotConfirmed:
    job = f" (job {found.job.id})" if found.job is not None else ""
    return NotConfirmed(
        f"The detach from the live server was begun{job}: {what}. Ask again in a minute: that only follows "
        "it, and sends nothing.",
        upstream=cause.upstream if cause else None,
    )
