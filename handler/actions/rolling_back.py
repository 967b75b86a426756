"""A `detaching` mark that nobody goes on with, at a live server: taken back, then the detach anew.

Only where one event says `live` and `recover` and names both ids: that is a person's word. Recorded from a
real Nova: a detach that failed half way, or whose host died, leaves the record `detaching` for ever, and the
way out is os-roll_detaching and the detach again. Nothing in a server's record of actions names the volume.
"""

from __future__ import annotations

from handler.actions.follow import CLOCKS_APART, its_job
from handler.actions.live import Live
from handler.actions.os_detach import post
from handler.cloud.detaching import JobState, NovaDetach
from handler.cloud.servers import Server, Servers
from handler.cloud.volumes import Attachment, Volume, Volumes
from handler.errors import DeadlineExceeded, ErrorCode, Failure, NotConfirmed, NotRecovered, Refused
from handler.invocation import CallContext
from handler.model.request import Target
from handler.model.result import Findings, Outcome
from handler.model.values import epoch

_TAKEN_BACK = "The mark 'detaching' was taken back (os-roll_detaching). Then:"


class RollingBack:
    """Does so for one invocation. Raises Failure for whatever stops it."""

    def __init__(self, volumes: Volumes, servers: Servers, live: Live) -> None:
        self._volumes = volumes
        self._servers = servers
        self._live = live

    def detach(
        self, target: Target, volume: Volume, server: Server, context: CallContext, found: Findings
    ) -> Outcome:
        """Take the mark back where a detach of this server is known to have failed, then all of `live`."""
        attachment = next((one for one in volume.attachments if one.id == target.attachment_id), None)
        if volume.status != "detaching" or attachment is None:
            raise _held(server, volume, "and the record is not a detach that stopped half way")
        self._require_failed(server, volume, context)
        # All that can be judged before the mark is taken back; it is judged again after it
        if not self._live.look(target, volume, attachment, context, found):
            raise _held(server, volume, "or may: the server doesn't list the disk, but the record names it")
        self._live.require_belonging(context)
        if target.dry_run:
            found.via = self._live.via
            return Outcome.WOULD_DETACH
        self._require_still(volume, context)
        again = self._take_back(volume, server, context, found)
        if again is None:
            return Outcome.VOLUME_ABSENT
        return self._anew(target, attachment, again, context, found)

    def _take_back(
        self, volume: Volume, server: Server, context: CallContext, found: Findings
    ) -> Volume | None:
        """Send os-roll_detaching: the record as it is then, in-use again. None where it is gone."""
        fault, refused = post(
            lambda: self._volumes.roll_detaching(volume.id, server.id, "live", context),
            found,
            self._volumes.why_not_detached,
        )
        if refused:
            found.changed = False
        if fault is not None:
            raise fault
        try:
            again = self._volumes.get(volume.id, context)
        except Failure as blind:
            raise blind.after("os-roll_detaching was accepted; what it did could not be read.") from blind
        if again is None:
            return None
        found.saw(again.status, len(again.attachments))
        if again.status != "in-use":
            raise NotRecovered(
                f"os-roll_detaching was accepted, and the record is {again.status!r}: a person has to look "
                "at it."
            )
        return again

    def _anew(
        self, target: Target, attachment: Attachment, again: Volume, context: CallContext, found: Findings
    ) -> Outcome:
        """All of `live`, once the mark is taken back, which whatever stops it then says first."""
        found.changed = True
        try:
            if attachment not in again.attachments:
                raise Refused(
                    ErrorCode.VOLUME_STATE,
                    "The volume's record has the attachment no more as it was judged: no detach was sent. "
                    "Ask again.",
                    retryable=True,
                )
            outcome = self._live.detach(target, again, attachment, context, found)
            if outcome is None:
                raise Refused(
                    ErrorCode.VOLUME_HELD,
                    f"The server {attachment.server_id} stopped listing the disk, which the record still "
                    "names: no detach was sent. Ask again: the rule for a record that was left behind "
                    "decides.",
                    retryable=True,
                )
        except Failure as stop:
            if not isinstance(stop, NotConfirmed):
                found.changed = True  # the mark is taken back, whatever came then
            raise stop.after(_TAKEN_BACK) from stop
        return outcome

    def _require_failed(self, server: Server, volume: Volume, context: CallContext) -> None:
        """Raise Refused unless each detach of the server since the mark has ended, and one has failed."""
        api, since = self._live.api, epoch(volume.updated_at)
        if not isinstance(api, NovaDetach) or since is None:
            raise _held(server, volume, "and this cloud has no way to take the mark back")
        detaches = api.detaches(server.id, since - CLOCKS_APART, context, clock=volume.read_at)
        if not detaches:
            raise _held(server, volume, "and no detach of it is on the server's record since it was marked")
        if any(detach.state not in {JobState.DONE, JobState.FAILED} for detach in detaches):
            raise Refused(
                ErrorCode.SERVER_BUSY,
                "A detach of this server is not known to have ended (it waits, runs, or can't be read): "
                "taken back now, it could end as a surprise. Nothing was sent; ask again once it has ended.",
                retryable=True,
            )
        if its_job(detaches, since) is not JobState.FAILED:
            raise _held(server, volume, "and no detach of it has failed since it was marked")

    def _require_still(self, volume: Volume, context: CallContext) -> None:
        """Raise Failure where the record is not what was judged, or somebody has asked to stop."""
        again = self._volumes.get(volume.id, context)
        if again is None or again._replace(read_at=volume.read_at) != volume:
            raise Refused(
                ErrorCode.VOLUME_STATE,
                "The volume's record changed while it was judged: nothing was sent. Ask again.",
                retryable=True,
            )
        if context.stopped:
            raise DeadlineExceeded("Interrupted before the mark was taken back: nothing was sent.")


def _held(server: Server, volume: Volume, why: str) -> Refused:
    return Refused(
        ErrorCode.VOLUME_HELD,
        f"The server {server.id} holds the volume, whose record says {volume.status!r}, {why}: nothing was "
        "sent.",
    )
