"""The lists that a sweep and form *server* go by: read side by side, whole or not at all."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

from handler.actions.project import Project
from handler.actions.sweep_candidates import Census
from handler.cloud.paging import PAGE
from handler.cloud.servers import Servers
from handler.errors import DeadlineExceeded, ListingFailed, Misconfigured
from handler.model.request import SweepBounds
from handler.telemetry import Event

_AT_ONCE = 4
"""Pages of volumes that are asked for at once at most: each takes a database a while."""

_MOST_NAMED = 10  # volumes in one message


class LeftOut:
    """Takes note of volumes whose listed record can't be read, and says each in the log.

    They are left out by themselves: no other record can be mistaken for theirs, and no server is judged by
    what a list of volumes holds.
    """

    def __init__(self, project: Project) -> None:
        self.ids: dict[str | None, None] = {}
        self._log = project.context.log

    def __call__(self, id_: str | None) -> None:
        """Note one, by its id if that can be read."""
        if id_ not in self.ids:
            self.ids[id_] = None
            self._log.warning(Event.RECORD_UNREADABLE, volume_id=id_)

    def failure(self, unknown: str) -> ListingFailed:
        """What is not known for their sake."""
        named = ", ".join(id_ or "(its id neither)" for id_ in [*self.ids][:_MOST_NAMED])
        more = f" and {len(self.ids) - _MOST_NAMED} more" if len(self.ids) > _MOST_NAMED else ""
        return ListingFailed(
            f"The records of volumes {named}{more} can't be read: it is not known {unknown}. Look at them, "
            "or ask a cloud administrator to."
        )


def count(project: Project, bounds: SweepBounds) -> Census:
    """Read both lists side by side.

    Servers are listed by marker alone. While the list of volumes is behind theirs, several of its pages are
    asked for at once: what takes longest is what a sweep waits for, and what is held of the one list goes
    away by the other.
    """
    census, unreadable = Census(bounds), LeftOut(project)
    context, query = project.context.separate(), {"status": "in-use"}
    servers = servers_of(project).list(project.context.separate())
    volumes = project.volumes.list(context, query)
    at_once = min(_AT_ONCE, project.settings.concurrency)
    failing = threading.Event()
    with ThreadPoolExecutor(2 + at_once, "list") as pool:

        def count_servers() -> None:
            for page in servers.pages(pool, project.told("servers")):
                census.add_servers(page)
                if failing.is_set():
                    return

        counting = pool.submit(count_servers)

        def most() -> int:
            return at_once if counting.done() or census.servers > census.volumes + PAGE else 1

        def unsure() -> None:
            project.context.log.info(Event.LISTED_BY_MARKER, volumes=census.volumes)

        beside = project.volumes.beside(context, query, most, unsure)
        try:
            for page in volumes.pages(pool, project.told("volumes"), unreadable, beside):
                go_on(project)
                census.add_volumes(page)
                if counting.done():
                    counting.result()  # a list that failed ends the other, too
            counting.result()
        finally:
            failing.set()
    census.unreadable = len(unreadable.ids)
    return census


def servers_of(project: Project) -> Servers:
    """The compute service. Raises Misconfigured where none is asked."""
    if project.servers is None:
        raise Misconfigured(
            "DETACH_SERVER_CHECK=off takes single attachments only (forms one and batch): attachments can't "
            "be found by their server where no server can be looked up."
        )
    return project.servers


def go_on(project: Project) -> None:
    """Raise DeadlineExceeded where somebody asked to stop."""
    if project.context.stopped:
        raise DeadlineExceeded(
            "Interrupted while the lists were read: nothing was judged by a part of them, nor changed."
        )
