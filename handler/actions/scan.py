"""Which server of the project has a disk, whatever the volume's record says: all of them are looked at.

Recorded from a real Nova:

- A list shows a server in a cell that is down only at microversion 2.69 or later and without any query: then
  as UNKNOWN, without its disks. With a page size, a filter or an order it is left out, and nothing says so.
- A soft-deleted server, whose disks are still attached, is listed only with `changes-since` and its status.
  Every other way to ask for them answers 200 and hides them. One that was deleted while its host was down is
  in that list, too, as DELETED.
- A server that is being deleted in a cell that is down is in no list at all.

That the volume is in no list proves something only of lists that are the answer to what was asked. A list
names no question, so one may be another question's answer, left over on a kept connection, and an empty one
can't be told from it at all. So both are read twice, the second time on connections made for it; whoever is a
holder in either is one; and what a cache kept is refused.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from typing import Any, NamedTuple

from handler.cloud.faults import failure
from handler.cloud.messages import Answer
from handler.cloud.paging import LARGEST_PAGE, PAGE, Listing, record
from handler.cloud.servers import SERVICE, Servers, read_attached
from handler.cloud.service import Lacking, require_new, unreadable
from handler.errors import DeadlineExceeded, ErrorCode, Failure, Refused
from handler.invocation import CallContext
from handler.model.bounded_json import loads
from handler.model.values import canonical, epoch
from handler.settings.opt_in import RecoverMode

_DISKS = "os-extended-volumes:volumes_attached"
_WANTED = record("id", "status", "created", _DISKS)
CELLS_VERSION = "2.69"
"""The first at which a list shows that a cell is down."""

_SOFT_DELETED = {"changes-since": "1970-01-01T00:00:00Z", "status": "SOFT_DELETED"}


class _Row(NamedTuple):
    server_id: str
    status: str | None
    created: float | None
    disks: frozenset[str] | None


class Scanned(NamedTuple):
    """What all servers of the project hold: by volume, the servers; and when those being built were begun.

    Of a server in BUILD the compute service may not know its disks yet. None stands for an unknown moment.
    """

    holders: dict[str, tuple[str, ...]]
    building: dict[str, float | None]


class Scan:
    """Looks once in an invocation, for all its targets."""

    def __init__(self, servers: Servers, mode: RecoverMode) -> None:
        self.servers = servers
        self._mode = mode
        self._lock = threading.Lock()
        self._done: Scanned | Failure | None = None

    def look(self, context: CallContext) -> Scanned:
        """What all servers hold. Raises Refused `server_unknown` where that can't be known, or a Failure."""
        if not self._lock.acquire(timeout=context.deadline.remaining()):
            raise DeadlineExceeded("Time was up while another thread was reading the list of servers.")
        try:
            if self._done is None:
                try:
                    # Not the target's own calls: the next targets make use of them
                    self._done = self._scan(context.separate())
                except Failure as failed:
                    self._done = failed
        finally:
            self._lock.release()
        if isinstance(self._done, Failure):
            raise self._done
        return self._done

    def _scan(self, context: CallContext) -> Scanned:
        holders: dict[str, tuple[str, ...]] = {}
        building: dict[str, float | None] = {}
        for fresh in (False, True):
            # In this order, twice: a server that is soft-deleted or restored meanwhile is in one of them
            for row in chain(self._all(context, fresh=fresh), self._soft_deleted(context, fresh=fresh)):
                if row.status == "BUILD":
                    building[row.server_id] = row.created
                for volume_id in self._disks(row, context, fresh=fresh):
                    known = holders.get(volume_id, ())
                    holders[volume_id] = known if row.server_id in known else (*known, row.server_id)
        return Scanned(holders, building)

    def _disks(self, row: _Row, context: CallContext, *, fresh: bool) -> frozenset[str]:
        if row.disks is not None:
            return row.disks
        return self.servers.disks(row.server_id, context, fresh=fresh)

    def _all(self, context: CallContext, *, fresh: bool) -> Iterator[_Row]:
        """Every server but the soft-deleted; whether a cell is down is told by what is asked for first."""
        if self._mode is RecoverMode.UNLISTED:
            return self._rows({}, context, fresh=fresh)
        return self._rows({}, context, fresh=fresh, first=self._cells(context, fresh=fresh))

    def _soft_deleted(self, context: CallContext, *, fresh: bool) -> Iterator[_Row]:
        for row in self._rows(_SOFT_DELETED, context, fresh=fresh):
            if row.status == "DELETED":
                continue  # really deleted: it holds nothing
            if row.status != "SOFT_DELETED":
                raise _not_known(
                    "The compute service was asked for the soft-deleted servers, whose disks are still "
                    "attached, and listed another: it doesn't mind that filter, or this answers another "
                    "question. Check what stands between."
                )
            yield row

    def require_cells(self, context: CallContext) -> None:
        """Raise Refused where a cell is down, or where the service can't tell."""
        self._cells(context, fresh=False)

    def _cells(self, context: CallContext, *, fresh: bool) -> Answer:
        """The first page of all servers, asked for in the one way that shows a cell that is down."""
        answer = self.servers.ask_at(
            CELLS_VERSION, "servers/detail", context, largest=LARGEST_PAGE, fresh=fresh
        )
        if isinstance(answer, Lacking):
            raise _not_known(
                "The compute service has no microversion 2.69, or doesn't say that it answers at it (header "
                "OpenStack-API-Version), which alone shows that a part of the cloud (a cell) is down and its "
                "servers are missing in every list. Whoever knows that all are up sets "
                "DETACH_RECOVER=unlisted."
            )
        if answer.status != 200:
            raise failure(answer, SERVICE)
        require_new(answer, SERVICE)
        try:
            rows = loads(answer.body)["servers"]
            down = any(row.get("status") == "UNKNOWN" or _DISKS not in row for row in rows)
        except (ValueError, KeyError, TypeError, AttributeError):
            raise unreadable(answer, SERVICE) from None
        if down:
            raise _not_known(
                "A part of the compute service (a cell) is down: its servers, and what they hold, can't be "
                "seen. Ask again once it is up.",
                passes=True,
            )
        return answer

    def _rows(
        self, query: dict[str, str], context: CallContext, *, fresh: bool, first: Answer | None = None
    ) -> Iterator[_Row]:
        """All pages of a list; `first` is the one that was read already."""

        def fetch(marker: str | None) -> Answer:
            if marker is None and first is not None:
                return first
            paged: dict[str, str | int] = {"limit": PAGE, **query}
            if marker is not None:
                paged["marker"] = marker
            answer = self.servers.ask(
                "GET", "servers/detail", context, query=paged, largest=LARGEST_PAGE, fresh=fresh
            )
            require_new(answer, SERVICE)
            return answer

        listing = Listing(SERVICE, "servers", _WANTED, _read_row, fetch, context.deadline)
        with ThreadPoolExecutor(1, "scan") as ahead:
            for page in listing.pages(ahead):
                yield from page


def _read_row(listed: Any) -> _Row:
    status = listed.get("status")
    return _Row(
        server_id=canonical(listed["id"]),
        status=status if isinstance(status, str) else None,
        created=epoch(listed.get("created")),
        disks=read_attached(listed.get(_DISKS)),
    )


def _not_known(why: str, *, passes: bool = False) -> Refused:
    return Refused(
        ErrorCode.SERVER_UNKNOWN,
        f"That no server holds the volume can't be proved, so nothing was sent. {why}",
        retryable=passes,
    )
