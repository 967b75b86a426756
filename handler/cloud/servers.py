"""The compute service (ECS, Nova): does a server exist, was it deleted, what does it hold.

Facts: recorded from a real Nova. A 404 proves a server gone only in the service's own words about the very
id (`handler.cloud.absence`), to a token of the server's own project: the same 404 answers another project's
token and an id in a spelling that Nova doesn't know.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import quote

from handler.cloud.absence import Absence, Speech
from handler.cloud.faults import failure, plain_word, upstream
from handler.cloud.messages import Answer
from handler.cloud.paging import LARGEST_PAGE, PAGE, Listing, record
from handler.cloud.service import Lacking, Service, require_new, text_of, unreadable
from handler.errors import ErrorCode, Misconfigured, Refused
from handler.invocation import CallContext
from handler.model.bounded_json import loads, loads_leniently
from handler.model.values import canonical, epoch, same_project

SERVICE = "compute"
ABSENT = Speech(
    frozenset({"instance", "server", "ecs"}),
    "Instance could not be found",
    frozenset({"Ecs.0114", "Ecs.0614"}),
)
RECORD_VERSION = "2.51"
"""A server's lock is told from 2.9. Below 2.21 the record of a deleted server is a 404, below 2.51 a member
sees no events in it."""

ENTRY_VERSION = "2.89"
"""The first that tells by which entry a server has a disk."""

NOVA_VERSION = "2.61"
"""The first that the vendor's compute service has not (its page on versions ends at 2.60): whoever answers by
it is OpenStack's own Nova, which refuses to detach a server's root itself."""
_OF_NOVA = (ENTRY_VERSION, NOVA_VERSION)

_REQUEST_ID = re.compile(r"req-[0-9A-Za-z-]{1,64}")
_MOST_DELETIONS = 5
"""Actions `delete` of one server that are read: it is asked to be deleted again while it is being deleted."""

_SHUT_DOWN = 4  # a power state: `nova/objects/fields.py`, InstancePowerState

_MOST_HELD = 1000
_MOST_HIDDEN = 8
"""Devices of one server that Nova counts but doesn't list: the image's disk, swap, ephemeral disks."""


class Server(NamedTuple):
    """A server that exists, in whatever state. `idle`: the service says that no task is under way.

    `updated` is the cloud's text. `held` are the volumes that the answer which names this server lists at it,
    None where it lists none readably. `locked` is None where the answer doesn't say (below 2.9), and
    `project_id` where it names no project. `powered_off`: its host said so, whatever was asked of it last.
    """

    id: str
    status: str | None
    task_state: str | None
    idle: bool
    updated: str | None = None
    held: frozenset[str] | None = None
    locked: bool | None = None
    powered_off: bool = False
    name: str | None = None
    project_id: str | None = None


class HeldDisk(NamedTuple):
    """A volume in a server's own list: by which entry (from 2.89), and whether by `NOVA_VERSION` or later."""

    attachment_id: str | None = None
    of_nova: bool = False


class Deletion(NamedTuple):
    """What the compute service's own record says of a server's deletion. Recorded from a real Nova.

    `asked_for`: there is an action `delete`. `ended`: one of them has the event `compute_terminate_instance`
    with the result Success. Only a nova-compute writes that event: where a server's host does not answer,
    Nova's API deletes the record alone. `since`: such an event has begun (epoch seconds) and not ended; the
    server may be a 404 some seconds before it does. `evacuated`: the server was moved away from a host that
    did not answer, where its first guest may go on.
    """

    asked_for: bool = False
    ended: bool = False
    since: float | None = None
    evacuated: bool = False


class _TooOldError(Exception):
    """The service has not the microversion that was asked for, or doesn't say that it went by it."""


class Servers(Service):
    """Calls of one invocation at the compute service."""

    _lacking: frozenset[str] = frozenset()  # microversions that it was seen not to have

    def find(self, spelling: str, context: CallContext, *, with_lock: bool = False) -> Server | Absence:
        """The server with this id, a UUID in whatever spelling, or the service's own word that there is none.

        No microversion is asked for, or one that tells of a lock: from 2.69 on a server in a cell that is
        down can be a 404 too. Raises Refused `server_unknown` when the answer proves nothing, another Failure
        when there was none.
        """
        path = f"servers/{quote(spelling, safe='')}"
        headers = self.at(RECORD_VERSION) if with_lock else {}
        answer = self.look_up(path, ABSENT, context, of=spelling, headers=headers)
        if with_lock and isinstance(answer, Answer) and self.lacks(RECORD_VERSION, answer):
            answer = self.look_up(path, ABSENT, context, of=spelling)
        if isinstance(answer, Absence):
            return answer
        if answer.status == 200:
            require_new(answer, SERVICE)
            server = self._read_server(answer)
            if server is None or server.id != canonical(spelling):
                raise _proves_nothing(answer, "an answer that is not about this project's server of that id")
            return server
        if answer.status == 404:
            raise _proves_nothing(answer, "a 404 that is not its own word, in English, about this server")
        raise failure(answer, SERVICE)

    def _read_server(self, answer: Answer) -> Server | None:
        try:
            record: Any = loads_leniently(answer.body)["server"]
            owner = record.get("tenant_id")
            own = isinstance(owner, str) and (self.all_projects or same_project(owner, self.project_id))
            if owner is not None and not own:
                return None
            status, task = record.get("status"), record.get("OS-EXT-STS:task_state", ...)
            updated = record.get("updated")
            return Server(
                id=canonical(record["id"]),
                status=plain_word(status, answer.secrets) if isinstance(status, str) else None,
                task_state=plain_word(task, answer.secrets) if isinstance(task, str) else None,
                idle=task is None,
                updated=updated if isinstance(updated, str) else None,
                held=read_attached(record.get("os-extended-volumes:volumes_attached")),
                locked=locked if isinstance(locked := record.get("locked"), bool) else None,
                powered_off=record.get("OS-EXT-STS:power_state") == _SHUT_DOWN,
                name=text_of(record.get("name")),
                project_id=owner,
            )
        except (ValueError, KeyError, TypeError, AttributeError):
            return None

    def deletion(self, server_id: str, context: CallContext) -> Deletion:
        """What is on record of this server's deletion. Raises Failure.

        Each action `delete` is read by its request id, since the list has no events; the newest may have none
        where an older one has.
        """
        path = f"servers/{server_id}/os-instance-actions"
        answer = self.on_record(path, context)
        if answer.status == 404:
            return Deletion()
        if answer.status != 200:
            raise failure(answer, SERVICE)
        actions = _read_actions(answer, server_id)
        deletes = [request_id for action, request_id in actions if action == "delete"]
        found = Deletion(bool(deletes), evacuated=any(action == "evacuate" for action, _ in actions))
        for request_id in deletes[:_MOST_DELETIONS]:
            if not _REQUEST_ID.fullmatch(request_id):
                continue
            answer = self.on_record(f"{path}/{request_id}", context)
            if answer.status == 404:
                continue
            if answer.status != 200:
                raise failure(answer, SERVICE)
            ended, since = _read_end(answer, server_id, request_id)
            if ended:
                return found._replace(ended=True)
            found = found._replace(since=since or found.since)
        return found

    def on_record(self, path: str, context: CallContext) -> Answer:
        """What is on record of actions. Raises Misconfigured where that doesn't show how they ended."""
        answer = self.ask_at(RECORD_VERSION, path, context)
        if isinstance(answer, Lacking):
            raise Misconfigured(
                "The compute service has no microversion 2.51, or doesn't say that it answers at it (header "
                "OpenStack-API-Version), which shows how a deletion ended: DETACH_SERVER_CHECK=recorded "
                "can't be proved here. Set it to gone.",
                upstream=upstream(answer.answer),
            )
        return answer

    def holds(self, server_id: str, volume_id: str, context: CallContext) -> bool:
        """Whether the server's own list holds this volume. Raises Failure. See `disk`."""
        return self._disk(server_id, volume_id, context) is not None

    def disk(self, server_id: str, volume_id: str, context: CallContext) -> HeldDisk | None:
        """The volume as the server's own list holds it, by which entry included, where that is told (2.89).

        None where the list doesn't hold it. Raises Failure.
        """
        for version in _OF_NOVA:
            if version not in self._lacking:
                try:
                    return self._disk(server_id, volume_id, context, version)
                except _TooOldError:
                    self._lacking |= {version}
        return self._disk(server_id, volume_id, context)

    def disks(self, server_id: str, context: CallContext, *, fresh: bool = False) -> frozenset[str]:
        """The ids of all volumes that the server's own list holds. Raises Failure."""
        return frozenset(id_ for page in self._disks(server_id, context, fresh=fresh) for id_ in page)

    def _disk(
        self, server_id: str, volume_id: str, context: CallContext, version: str | None = None
    ) -> HeldDisk | None:
        pages = self._disks(server_id, context, version)
        return next((page[volume_id] for page in pages if volume_id in page), None)

    def _disks(
        self, server_id: str, context: CallContext, version: str | None = None, *, fresh: bool = False
    ) -> Iterator[dict[str, HeldDisk]]:
        """The server's own list of volumes, page by page.

        An empty list names nobody: it is to be believed only together with `Server.held`. Nova pages this
        list by `limit` and `offset`, without links, and pages before it leaves out what is no volume (the
        image's disk, swap): so the next page begins no later than the volumes seen say, and may show some of
        them again. A list that still does so far behind its end comes from a cloud that ignores `offset`:
        that one is not known to be whole.
        """
        held: set[str] = set()
        offset = 0
        while True:
            query = {"limit": _MOST_HELD, "offset": offset} if offset else None
            path = f"servers/{server_id}/os-volume_attachments"
            headers = self.at(version) if version else {}
            answer = self.ask("GET", path, context, query=query, headers=headers, fresh=fresh)
            if version and self.lacks(version, answer):
                raise _TooOldError
            if answer.status != 200:
                raise failure(answer, SERVICE)
            require_new(answer, SERVICE)
            page = _read_held(answer, server_id, of_nova=version in _OF_NOVA)
            yield page
            if not page:
                return
            if page.keys() <= held and offset >= len(held) + _MOST_HIDDEN:
                raise _proves_nothing(answer, "a list of volumes that repeats itself")
            held |= page.keys()
            offset += len(page)

    def list(self, context: CallContext, server_id: str | None = None) -> Listing[str]:
        """The ids of all servers that the service lists; of `server_id` alone where it minds that filter."""
        query = self.listed if server_id is None else {**self.listed, "uuid": server_id}

        def fetch(marker: str | None) -> Answer:
            paged: dict[str, str | int] = {"limit": PAGE, **query}
            if marker is not None:
                paged["marker"] = marker
            return self.ask("GET", "servers", context, query=paged, largest=LARGEST_PAGE)

        return Listing(
            SERVICE, "servers", record("id"), lambda row: canonical(row["id"]), fetch, context.deadline
        )


def read_attached(listed: Any) -> frozenset[str] | None:
    """The ids of the volumes that a server's own record lists; None where it lists none readably."""
    try:
        return frozenset(canonical(entry["id"]) for entry in listed)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _read_held(answer: Answer, server_id: str, *, of_nova: bool) -> dict[str, HeldDisk]:
    try:
        rows = loads(answer.body)["volumeAttachments"]
        if any(canonical(row.get("serverId", server_id)) != server_id for row in rows):
            raise _proves_nothing(answer, "a list of another server's volumes")
        named = [(canonical(row["volumeId"]), row.get("attachment_id")) for row in rows]
        return {id_: HeldDisk(canonical(e) if isinstance(e, str) else None, of_nova) for id_, e in named}
    except (ValueError, KeyError, TypeError, AttributeError):
        raise unreadable(answer, SERVICE) from None


def _read_actions(answer: Answer, server_id: str) -> list[tuple[str, str]]:
    """Names and request ids of this server's actions, the latest first, as Nova lists them."""
    try:
        actions = loads(answer.body)["instanceActions"]
        if any(canonical(action["instance_uuid"]) != server_id for action in actions):
            raise _proves_nothing(answer, "another server's record")
        return [(str(action["action"]), str(action["request_id"])) for action in actions]
    except (ValueError, KeyError, TypeError, AttributeError):
        raise unreadable(answer, SERVICE) from None


def _read_end(answer: Answer, server_id: str, request_id: str) -> tuple[bool, float | None]:
    """Whether this action ended the guest, and since when it is about to."""
    try:
        action = loads(answer.body)["instanceAction"]
        about = canonical(action["instance_uuid"]), action["request_id"], action["action"]
        if about != (server_id, request_id, "delete"):
            raise _proves_nothing(answer, "the record of another action")
        events = [event for event in action["events"] if event["event"] == "compute_terminate_instance"]
        begun = [epoch(event["start_time"]) for event in events if event["result"] is None]
        return any(event["result"] == "Success" for event in events), next(iter(begun), None)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise unreadable(answer, SERVICE) from None


def _proves_nothing(answer: Answer, what: str) -> Refused:
    return Refused(
        ErrorCode.SERVER_UNKNOWN,
        f"The compute service gave {what}: that doesn't prove the server gone, so nothing was cleared. "
        "Check DETACH_COMPUTE_ENDPOINT and what stands between.",
        upstream=upstream(answer),
    )
