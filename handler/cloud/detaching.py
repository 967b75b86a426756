"""A live server's disk: the call that has it detached, and the job that does it.

Nova: recorded from a real one. `DELETE …/os-volume_attachments/V` answers 202 before anything is done; what
became of it says the server's own record of actions (os-instance-actions), under the call's request id.
ECS: the vendor's pages "Detaching an EVS Disk from an ECS" and "Querying the Execution Status of a Job".
"""

from __future__ import annotations

import re
from enum import Enum
from typing import Any, NamedTuple, Protocol

from handler.cloud.faults import failure
from handler.cloud.messages import Answer
from handler.cloud.servers import RECORD_VERSION, SERVICE, HeldDisk, Servers
from handler.cloud.service import Lacking
from handler.errors import Failure
from handler.invocation import CallContext
from handler.model.bounded_json import loads
from handler.model.values import canonical, epoch, http_date
from handler.settings.opt_in import LiveApi

_REQUEST_ID = re.compile(r"req-[0-9A-Za-z-]{1,64}")
_JOB_ID = re.compile(r"[0-9A-Za-z-]{1,64}")
_ROOTS = re.compile(r"/dev/[svx]da")
_EVENTS = frozenset({"compute_detach_volume", "api_detach_volume"})
_MOST_ACTIONS = 20
"""Detaches of one server that are read one by one."""


class JobState(str, Enum):
    """How far a detach has come, by the service's own record of it."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    UNKNOWN = "unknown"
    """Not on record, or not readable."""


class Detach(NamedTuple):
    """A detach on a server's record of actions, of whichever disk: nothing in it names the volume.

    `began` is in epoch seconds, by the compute service's clock.
    """

    began: float
    state: JobState


class DetachCall(NamedTuple):
    """What is to be detached: ids, and the word for what allows it. Logged before the call leaves."""

    server_id: str
    volume_id: str
    attachment_id: str
    proof: str


class DetachApi(Protocol):
    """One of the two ways to have a live server's disk detached."""

    name: LiveApi

    def send(self, call: DetachCall, context: CallContext) -> Answer:
        """Send the call, once. Raises DeadlineExceeded, and sends nothing, when too little time is left."""
        ...

    def job_of(self, answer: Answer) -> str | None:
        """The id of the job that this answer to the call tells of."""
        ...

    def state(self, server_id: str, job_id: str, context: CallContext) -> JobState:
        """How far the job has come. What can't be read is UNKNOWN."""
        ...

    def is_data_disk(self, server_id: str, volume_id: str, held: HeldDisk, context: CallContext) -> bool:
        """Whether the disk is shown not to be the server's root, where nobody is known to refuse that.

        `held` is the disk as the server's own list has it.
        """
        ...


class NovaDetach:
    """Nova's own call. `vendor`: by its host it is Huawei Cloud's compute service.

    That one detaches the root of a stopped server, too, and it may stand behind any name: a partner's cloud,
    a private domain, a proxy. So that a service refuses a root is known by its own answer alone.
    """

    name = LiveApi.NOVA

    def __init__(self, servers: Servers, *, vendor: bool) -> None:
        self._servers = servers
        self._vendor = vendor

    def send(self, call: DetachCall, context: CallContext) -> Answer:
        """See `DetachApi`. No microversion: below 2.20 Nova itself refuses shelved servers.

        That takes away the one way in which a detach deletes data.
        """
        path = f"servers/{call.server_id}/os-volume_attachments/{call.volume_id}"
        return _send(self._servers, path, None, "compute", call, context)

    def job_of(self, answer: Answer) -> str | None:
        """See `DetachApi`: the request id of the call."""
        found = answer.request_id
        return found if found is not None and _REQUEST_ID.fullmatch(found) else None

    def state(self, server_id: str, job_id: str, context: CallContext) -> JobState:
        """See `DetachApi`."""
        path = f"servers/{server_id}/os-instance-actions/{job_id}"
        answer = self._servers.ask_at(RECORD_VERSION, path, context)
        if isinstance(answer, Lacking) or answer.status != 200:
            return JobState.UNKNOWN
        return _read_action(answer, server_id, job_id)

    def detaches(
        self, server_id: str, since: float, context: CallContext, *, clock: float | None
    ) -> list[Detach]:
        """The detaches of this server that began at or after `since` (epoch seconds), and how far each is.

        `since` is by a clock that said `clock` a moment ago: by so much as this service's (the answer's Date)
        is behind that, earlier ones count, too. One that is UNKNOWN stands for what is on record and can't be
        read. Raises Failure where nothing can.
        """
        path = f"servers/{server_id}/os-instance-actions"
        answer = self._servers.ask_at(RECORD_VERSION, path, context)
        if isinstance(answer, Lacking):
            return [Detach(since, JobState.UNKNOWN)]
        if answer.status != 200:
            raise failure(answer, SERVICE)
        own = http_date(answer.headers.get("Date", ""))
        if clock is not None and own is not None:
            since -= max(0.0, clock - own)
        found = _read_detaches(answer, server_id, since)
        if found is None or len(found) > _MOST_ACTIONS:
            return [Detach(since, JobState.UNKNOWN)]
        return [Detach(began, self.state(server_id, job_id, context)) for began, job_id in found]

    def is_data_disk(self, server_id: str, volume_id: str, held: HeldDisk, context: CallContext) -> bool:
        """See `DetachApi`. A Nova that is known to be one refuses a root itself."""
        known = held.of_nova and not self._vendor
        return known or shown_as_data(self._servers, server_id, volume_id, context)


class EcsDetach:
    """Huawei Cloud's own call, with its job."""

    name = LiveApi.ECS

    def __init__(self, servers: Servers) -> None:
        self._servers = servers

    def send(self, call: DetachCall, context: CallContext) -> Answer:
        """See `DetachApi`. `delete_flag`, which is about force, is left out."""
        path = f"cloudservers/{call.server_id}/detachvolume/{call.volume_id}"
        return _send(self._servers, path, "v1", "ecs", call, context)

    def job_of(self, answer: Answer) -> str | None:
        """See `DetachApi`."""
        try:
            found = loads(answer.body)["job_id"]
        except (ValueError, KeyError, TypeError):
            return None
        return found if isinstance(found, str) and _JOB_ID.fullmatch(found) else None

    def state(self, server_id: str, job_id: str, context: CallContext) -> JobState:
        """See `DetachApi`. A job about another server is none of ours."""
        answer = self._servers.ask("GET", f"jobs/{job_id}", context, api="v1")
        if answer.status != 200:
            return JobState.UNKNOWN
        try:
            job = loads(answer.body)
            about = (job.get("entities") or {}).get("server_id", server_id)
            if job["job_id"] != job_id or canonical(about) != server_id:
                return JobState.UNKNOWN
            return _ECS_STATES.get(job["status"], JobState.UNKNOWN)
        except (ValueError, KeyError, TypeError, AttributeError):
            return JobState.UNKNOWN

    def is_data_disk(self, server_id: str, volume_id: str, held: HeldDisk, context: CallContext) -> bool:  # noqa: ARG002
        """See `DetachApi`. ECS detaches the root of a stopped server, which then can't start any more."""
        return shown_as_data(self._servers, server_id, volume_id, context)


_ECS_STATES = {
    "INIT": JobState.QUEUED,
    "RUNNING": JobState.RUNNING,
    "SUCCESS": JobState.DONE,
    "FAIL": JobState.FAILED,
}


def _send(
    servers: Servers, path: str, api: str | None, name: str, call: DetachCall, context: CallContext
) -> Answer:
    return servers.ask(
        "DELETE",
        path,
        context,
        api=api,
        needs=servers.read_timeout,
        renews=False,  # another token may have other roles than the one that was judged
        changes={"call": f"{name}-detach", **call._asdict()},
    )


def shown_as_data(servers: Servers, server_id: str, volume_id: str, context: CallContext) -> bool:
    """Whether ECS shows this disk of this server as one that the server doesn't boot from.

    `bootIndex` is documented as a number here and as true or false there: only a whole number other than 0,
    together with a device that is not the first, counts. What can't be read doesn't.
    """
    path = f"cloudservers/{server_id}/block_device/{volume_id}"
    try:
        answer = servers.ask("GET", path, context, api="v1")
        if answer.status != 200:
            return False
        shown = loads(answer.body)["volumeAttachment"]
        about = canonical(shown["serverId"]), canonical(shown["volumeId"])
        index, device = shown["bootIndex"], shown["device"]
    except (Failure, ValueError, KeyError, TypeError, AttributeError) as stop:
        if isinstance(stop, Failure) and stop.retryable:
            raise
        return False
    return (
        about == (server_id, volume_id)
        and isinstance(index, int)
        and not isinstance(index, bool)
        and index != 0
        and isinstance(device, str)
        and device.startswith("/dev/")
        and not _ROOTS.fullmatch(device)
    )


def _read_action(answer: Answer, server_id: str, job_id: str) -> JobState:
    try:
        action: Any = loads(answer.body)["instanceAction"]
        about = canonical(action["instance_uuid"]), action["request_id"], action["action"]
        if about != (server_id, job_id, "detach_volume"):
            return JobState.UNKNOWN
        results = [event["result"] for event in action["events"] if event["event"] in _EVENTS]
    except (ValueError, KeyError, TypeError, AttributeError):
        return JobState.UNKNOWN
    if "Error" in results:
        return JobState.FAILED
    if None in results:
        return JobState.RUNNING
    if set(results) == {"Success"}:
        return JobState.DONE
    return JobState.UNKNOWN if results else JobState.QUEUED


def _read_detaches(answer: Answer, server_id: str, since: float) -> list[tuple[float, str]] | None:
    """When each detach since then began, and its request id; None where the list can't be read."""
    try:
        found: list[tuple[float, str]] = []
        for action in loads(answer.body)["instanceActions"]:
            if canonical(action["instance_uuid"]) != server_id:
                return None
            began, request_id = epoch(action["start_time"]), action["request_id"]
            if action["action"] == "detach_volume" and (began is None or began >= since):
                if began is None or not _REQUEST_ID.fullmatch(request_id):
                    return None
                found.append((began, request_id))
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    return found
