"""The compute service (ECS, Nova): does a server exist, was it deleted, what does it hold.

Facts: recorded from a real Nova. A 404 proves a server gone only in the service's own words, for the
canonical id, to a token of the server's own project: the same 404 answers another project's token, an id
without hyphens and a trailing slash.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from handler.cloud.faults import failure, names_absence, upstream
from handler.cloud.messages import Answer
from handler.cloud.paging import LARGEST_PAGE, PAGE, Listing, record
from handler.cloud.service import Service, unreadable
from handler.errors import ErrorCode, Refused
from handler.invocation import CallContext
from handler.model.bounded_json import loads
from handler.model.values import canonical

SERVICE = "compute"
_NOT_FOUND_CODES = frozenset({"Ecs.0114", "Ecs.0614"})
_RECORD_VERSION = {
    # Below 2.21 the record of a deleted server is a 404
    "X-OpenStack-Nova-API-Version": "2.21",
    "OpenStack-API-Version": "compute 2.21",
}
_MOST_HELD = 1000
_MOST_HIDDEN = 8
"""Devices of one server that Nova counts but doesn't list: the image's disk, swap, ephemeral disks."""


class Server(NamedTuple):
    """A server that exists, in whatever state. `idle`: the service says that no task is under way."""

    id: str
    status: str | None
    task_state: str | None
    idle: bool


class Servers(Service):
    """Calls of one invocation at the compute service."""

    def get(self, server_id: str, context: CallContext) -> Server | None:
        """The server, or None when the service itself says that there is none.

        No microversion is asked for: from 2.69 on a server in a cell that is down can be a 404 too. Raises
        Refused `server_unknown` when the answer proves nothing, another Failure when there was none.
        """
        answer = self.ask("GET", f"servers/{server_id}", context)
        if answer.status == 200:
            server = _read_server(answer)
            if server is None or server.id != server_id:
                raise _proves_nothing(answer, "an answer that is not about this server")
            return server
        if names_absence(answer, _NOT_FOUND_CODES, of=server_id):
            return None
        if answer.status == 404:
            raise _proves_nothing(answer, "a 404 that is not the compute service's own")
        raise failure(answer, SERVICE)

    def deletion_recorded(self, server_id: str, context: CallContext) -> bool:
        """Whether the compute service has this server's deletion on record. Raises Failure."""
        answer = self.ask("GET", f"servers/{server_id}/os-instance-actions", context, headers=_RECORD_VERSION)
        if answer.status == 404:
            return False
        if answer.status != 200:
            raise failure(answer, SERVICE)
        try:
            actions = loads(answer.body)["instanceActions"]
            return any(
                action["action"] == "delete" and canonical(action["instance_uuid"]) == server_id
                for action in actions
            )
        except (ValueError, KeyError, TypeError, AttributeError):
            raise unreadable(answer, SERVICE) from None

    def holds(self, server_id: str, volume_id: str, context: CallContext) -> bool:
        """Whether the server's own list holds this volume. Raises Failure.

        Nova pages this list by `limit` and `offset`, without links, and pages before it leaves out what is no
        volume (the image's disk, swap): so the next page begins no later than the volumes seen say, and may
        show some of them again. A list that still does so far behind its end comes from a cloud that ignores
        `offset`: that one is not known to be whole.
        """
        held: set[str] = set()
        offset = 0
        while True:
            query = {"limit": _MOST_HELD, "offset": offset} if offset else None
            answer = self.ask("GET", f"servers/{server_id}/os-volume_attachments", context, query=query)
            if answer.status != 200:
                raise failure(answer, SERVICE)
            page = _read_held(answer)
            if volume_id in page:
                return True
            if not page:
                return False
            if page <= held and offset >= len(held) + _MOST_HIDDEN:
                raise _proves_nothing(answer, "a list of volumes that repeats itself")
            held |= page
            offset += len(page)

    def list(self, context: CallContext) -> Listing[str]:
        """The ids of all servers of the project that the service lists."""

        def fetch(marker: str | None) -> Answer:
            paged: dict[str, str | int] = {"limit": PAGE}
            if marker is not None:
                paged["marker"] = marker
            return self.ask("GET", "servers", context, query=paged, largest=LARGEST_PAGE)

        return Listing(SERVICE, "servers", record("id"), _read_id, fetch, context.deadline)


def _read_id(listed: Any) -> str:
    return canonical(listed["id"])


def _read_server(answer: Answer) -> Server | None:
    try:
        record: Any = loads(answer.body)["server"]
        status, task = record.get("status"), record.get("OS-EXT-STS:task_state", ...)
        return Server(
            id=canonical(record["id"]),
            status=status if isinstance(status, str) else None,
            task_state=task if isinstance(task, str) else None,
            idle=task is None,
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _read_held(answer: Answer) -> set[str]:
    try:
        entries = loads(answer.body)["volumeAttachments"]
        return {canonical(entry["volumeId"]) for entry in entries}
    except (ValueError, KeyError, TypeError, AttributeError):
        raise unreadable(answer, SERVICE) from None


def _proves_nothing(answer: Answer, what: str) -> Refused:
    return Refused(
        ErrorCode.SERVER_UNKNOWN,
        f"The compute service gave {what}: that doesn't prove the server gone, so nothing was cleared. "
        "Check DETACH_COMPUTE_ENDPOINT and what stands between.",
        upstream=upstream(answer),
    )
