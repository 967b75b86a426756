"""Step 4 of the rule: the proof that the attachment's server is gone.

What counts as proof is the deployment's choice (`DETACH_SERVER_CHECK`). Every answer must say of itself what
it is about, and one that can't is not believed; what is believed is listed, never what is not; where a check
can't be made, nothing is proven. A look-up that failed proves nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from enum import Enum

from handler.cloud.absence import Absence
from handler.cloud.servers import Server, Servers
from handler.cloud.volumes import Volume
from handler.errors import ErrorCode, Failure, Refused
from handler.invocation import CallContext, Clock
from handler.model.values import epoch
from handler.settings import ServerCheck

Witness = Callable[[CallContext], str | None]
"""The id of a server that a volume in use in this project names and this compute service shows, or None.

Then it is this project's compute service that says of another server that there is none.
"""

Unlisted = Callable[[str, CallContext], None]
"""Raises Refused where a server that is not shown by its id is in the list of all projects' servers."""

STILL_SHOWN = 3600.0
"""Seconds for which a server of status DELETED may be about to vanish. Nova shows it for an instant."""


_PAUSES = (0.5, 1.0, 2.0)
"""Seconds between two looks at a deletion that is under way: Nova gives the 404 a little before its end."""


class Proven(str, Enum):
    """The word for what showed that nobody holds the disk any more, as it is logged before the call."""

    GONE = "gone"
    """The compute service said so of this very id."""

    WITNESSED = "gone-witnessed"
    """It said so without an id, twice, and is seen to be this project's."""

    RECORDED = "recorded"
    """It said so, and has on record that the server's host ended the guest."""

    NOT_HELD = "not-held"
    """The server is off, and is not listed to hold the volume."""

    UNCHECKED = "off"
    """Nothing was asked: the deployment has no compute service."""


class Proof:
    """Judges servers, for one invocation.

    With `remember` each server is asked for once, for where one is judged for many attachments (form
    *server*): a server that is gone doesn't come back. One that is there and judged by its state is asked for
    again: it may have been started since. Without a `witness` a word that names no id proves nothing.
    `unlisted` is None where one project is looked at, or where its lists were read before.
    """

    def __init__(
        self,
        servers: Servers,
        check: ServerCheck,
        *,
        remember: bool = False,
        witness: Witness | None = None,
        unlisted: Unlisted | None = None,
        now: Clock = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._servers = servers
        self._check = check
        self._witness = witness
        self._unlisted = unlisted
        self._now = now
        self._sleep = sleep
        self._known: dict[tuple[str, ...], Server | Proven | Failure] | None = {} if remember else None

    def find(self, spellings: Sequence[str], context: CallContext) -> Server | Proven:
        """The server, or what proves it gone. `spellings` are its id's, the canonical one first.

        Raises Failure when nothing is proven.
        """
        if not spellings:
            raise Refused(
                ErrorCode.SERVER_UNKNOWN,
                "The attachment names no server by a UUID, so none can be proven gone. If a host (not a "
                "server) held the volume, a cloud administrator has to clear it.",
            )
        key = tuple(spellings)
        if self._known is None:
            return self._ask(key, context)
        known = self._known.get(key)
        may_have_started = isinstance(known, Server) and self._check is ServerCheck.NOT_HELD
        if known is None or may_have_started:
            try:
                known = self._ask(key, context)
            except Failure as failed:
                if context.patience is not None and context.patience.ran_out:
                    raise  # whoever needs it asks again
                known = failed
            self._known[key] = known
        if isinstance(known, Failure):
            raise known
        return known

    def knows(self, server_id: str) -> bool:
        """Whether what was found of this server is remembered."""
        return self._known is not None and (server_id,) in self._known

    def begin(self, spellings: Sequence[str], context: CallContext) -> Future[Server | Proven]:
        """Find a server on another thread. Raises RuntimeError where none is to be had."""
        return self._servers.begin(self.find, spellings, context)

    def _ask(self, spellings: Sequence[str], context: CallContext) -> Server | Proven:
        """It has to be gone by every spelling: Nova knows a server by one alone."""
        proven = Proven.GONE
        for spelling in spellings:
            found = self._servers.find(spelling, context)
            if isinstance(found, Server):
                return found
            if found is not Absence.NAMED:
                proven = Proven.WITNESSED
        if proven is Proven.WITNESSED and (self._witness is None or not self._witness(context)):
            raise Refused(
                ErrorCode.SERVER_UNKNOWN,
                "The compute service says that there is no such server, but names none, and no server that a "
                "volume of this project names is shown by it: it may be another region's or project's, so "
                "nothing was cleared. Check DETACH_COMPUTE_ENDPOINT.",
            )
        if self._unlisted is not None:
            self._unlisted(spellings[0], context)
        if self._check is ServerCheck.RECORDED:
            self._require_deletion(spellings[0], context)
            proven = Proven.RECORDED
        return proven

    def _require_deletion(self, server_id: str, context: CallContext) -> None:
        deletion = self._servers.deletion(server_id, context)
        for pause in _PAUSES:
            if deletion.ended or deletion.since is None or not context.may_pause(pause):
                break
            self._sleep(pause)
            deletion = self._servers.deletion(server_id, context)
        if deletion.evacuated:
            raise _not_on_record(
                "The server was evacuated from a host that did not answer, where its guest may still run: "
                "its deletion says nothing about that one. Once that host is fenced, a cloud administrator "
                "can clear the record."
            )
        if deletion.ended:
            return
        if deletion.since is not None and self._now() - deletion.since <= STILL_SHOWN:
            raise _not_on_record(
                "The server's host is still removing its guest. Ask again soon.", passes=True
            )
        if deletion.asked_for:
            raise _not_on_record(
                "The server's deletion is on record, but its host never said that it removed the guest "
                "(event compute_terminate_instance, result Success): it may have been deleted while its host "
                "did not answer; its guest may still run. A server that was on no host, or that its host "
                "reclaimed, looks the same. Where that is known, an administrator can clear the record."
            )
        raise _not_on_record(
            "The server is not shown to this token, and its deletion is not on the compute service's record: "
            "it may be another project's, or its record is purged."
        )

    def require_let_go(self, server: Server, volume: Volume, context: CallContext) -> Proven:
        """What proves that a server that is there has let the volume go; raises Refused where nothing does.

        Only where the deployment takes *not held* for proof: neither the answer that names the server nor the
        list of its volumes may hold this one.
        """
        if self._check is not ServerCheck.NOT_HELD or not server.idle or not _at_rest(server):
            raise self._exists(server, volume, "it may still have the disk")
        if server.held is None:
            raise Refused(
                ErrorCode.SERVER_UNKNOWN,
                "The server exists, and the compute service's answer about it doesn't list its volumes "
                "(os-extended-volumes:volumes_attached): what it holds is not known, so nothing was cleared.",
            )
        if volume.id in server.held or self._servers.holds(server.id, volume.id, context):
            raise self._exists(server, volume, "its own list still holds this volume")
        return Proven.NOT_HELD

    def _exists(self, server: Server, volume: Volume, why: str) -> Refused:
        state = server.status or "state unknown"
        if server.task_state:
            state += f", {server.task_state}"
        if self.leaves(server):
            return Refused(
                ErrorCode.SERVER_EXISTS,
                f"The server still exists ({state}): until its deletion is done {why}. Ask again in a "
                "minute.",
                retryable=True,
            )
        if server.status == "SOFT_DELETED":
            help_ = "Restore the server, or delete it for good (forceDelete); then ask again."
        else:
            help_ = (
                f"Detach the volume at the server instead: ECS DELETE /cloudservers/{server.id}/detachvolume/"
                f"{volume.id}, or Nova DELETE /servers/{server.id}/os-volume_attachments/{volume.id}."
            )
        return Refused(
            ErrorCode.SERVER_EXISTS, f"The server exists ({state}), and {why}: nothing was cleared. {help_}"
        )

    def leaves(self, server: Server) -> bool:
        """Whether its deletion is under way, so that asking again soon is worth it.

        Recorded of Nova: just before the 404 it is shown as deleted. That it stays so is another matter.
        """
        if server.task_state == "deleting":
            return True
        if server.status != "DELETED":
            return False
        since = epoch(server.updated)
        return since is None or self._now() - since <= STILL_SHOWN


def _at_rest(server: Server) -> bool:
    """Whether no guest writes, so that what Nova's own list doesn't hold is held by nobody.

    A running one may still have the disk at its hypervisor, whatever the list says. SHUTOFF is what was asked
    for last: a guest that was started beside Nova is told by its power state.
    """
    return server.status == "SHELVED_OFFLOADED" or (server.status == "SHUTOFF" and server.powered_off)


def _not_on_record(what: str, *, passes: bool = False) -> Refused:
    return Refused(
        ErrorCode.SERVER_UNKNOWN,
        f"{what} (DETACH_SERVER_CHECK=recorded asks for the deletion's end on record.)",
        retryable=passes,
    )
