"""The one rule: one target, seven steps (docs/contract.md, "What happens to one target").

No record is cleared unless its server is proven gone. A live server's disk, and a record that is stuck, are
other actions (`handler.actions.live`, `handler.actions.recover`): each only where it is switched on and asked
for. Nothing here knows HTTP or a trigger.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from handler.actions.early import Early, begin_early
from handler.actions.guards import find_attachment, require_in_use, require_own
from handler.actions.os_detach import OsDetach
from handler.actions.proof import Proof, Proven
from handler.cloud.servers import Server
from handler.cloud.volumes import Attachment, Volume, Volumes
from handler.errors import ErrorCode, Failure, NotConfirmed, Refused
from handler.invocation import CallContext, Clock
from handler.model.disk import Disk
from handler.model.request import Target
from handler.model.result import Cleared, Findings, Outcome
from handler.model.sent import Via
from handler.model.values import epoch, is_project

if TYPE_CHECKING:  # only where they are switched on does a cold start pay for them
    from handler.actions.live import Live
    from handler.actions.recover import Recovery


class Clearing:
    """Carries the rule out, for one invocation. `proof` is None where step 4 is left out.

    `require_belonging` raises a Failure where it is not known that both services are of one cloud and region:
    a proof of the one says nothing about the other's record then. It is asked before a dry run ends, too.
    `project_id` is None where the volumes of all projects are judged.
    `live` and `recovery` are None where the deployment has not switched them on.
    """

    def __init__(
        self,
        volumes: Volumes,
        proof: Proof | None,
        *,
        project_id: str | None,
        require_belonging: Callable[[CallContext], None],
        live: Live | None = None,
        recovery: Recovery | None = None,
        now: Clock = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._volumes = volumes
        self._proof = proof
        self._project_id = project_id
        self._require_belonging = require_belonging
        self._live = live
        self._recovery = recovery
        self._now = now
        self._os_detach = OsDetach(volumes, sleep)

    def clear(self, target: Target, context: CallContext) -> Cleared:
        """Take one target through the rule. Whatever stops it is in the answer, not raised."""
        found = self._nothing_yet(target)
        try:
            # At a live server, or a record that is stuck, an early look proves nothing
            early_id = None if target.live or target.recover else target.server_id
            with self.looking(early_id, context) as early:
                return Cleared(self._steps(target, context, found, early), found)
        except Exception as stop:  # noqa: BLE001 (a bug at one target must not take the others with it)
            return _stopped(self._switched_off(stop, target), context, found)

    @contextmanager
    def looking(self, server_id: str | None, context: CallContext) -> Iterator[Early | None]:
        """Look for a server beside the block (`begin_early`), and end that with it. None without a proof."""
        early = None if self._proof is None else begin_early(self._proof, server_id, context)
        try:
            yield early
        finally:
            if early is not None:
                early.end()

    def resolve(self, target: Target, context: CallContext) -> Target | Cleared:
        """Steps 1 and 2 only: the same target with its attachment_id, or what became of it already there."""
        found = self._nothing_yet(target)
        try:
            volume = self._read(target, context, found)
            attachment = None if volume is None else find_attachment(volume, target, self._now())
        except Exception as stop:  # noqa: BLE001 (a bug at one target must not take the others with it)
            return _stopped(stop, context, found)
        if attachment is None:
            return Cleared(Outcome.VOLUME_ABSENT if volume is None else Outcome.ALREADY_DETACHED, found)
        return target._replace(attachment_id=attachment.id)

    def _nothing_yet(self, target: Target) -> Findings:
        return Findings(target.volume_id, target.attachment_id, target.dry_run, project_id=self._project_id)

    def _read(self, target: Target, context: CallContext, found: Findings) -> Volume | None:
        volume = self._volumes.get(target.volume_id, context)  # 1
        if volume is not None:
            found.saw(volume.status, len(volume.attachments))
            found.disk = Disk.seen(volume.name, volume.size)
            if volume.project_id is not None and is_project(volume.project_id):
                found.project_id = volume.project_id
            if self._project_id is not None:
                require_own(volume, self._project_id)
        return volume

    def _steps(self, target: Target, context: CallContext, found: Findings, early: Early | None) -> Outcome:
        volume = self._read(target, context, found)  # 1
        if volume is None:
            return Outcome.VOLUME_ABSENT
        if target.recover and self._recovery is not None and self._recovery.concerns(volume, target):
            return self._recovery.recover(target, volume, context, found)
        attachment = find_attachment(volume, target, self._now())  # 2
        if attachment is None:
            return Outcome.ALREADY_DETACHED
        found.attachment_id = attachment.id
        found.disk = Disk.seen(volume.name, volume.size, attachment.device, epoch(attachment.attached_at))
        found.server = replace(found.server, id=attachment.server_id)
        under_way = target.live and self._live is not None and volume.status == "detaching"
        if not under_way:
            require_in_use(volume, self._now())  # 3
        judged = self._find_server(attachment, early, context, found)  # 4
        if isinstance(judged, Server):
            unlisted = False
            # Shown as deleted for an instant: then the rule for one that is gone decides
            if target.live and self._live is not None and judged.status != "DELETED":
                outcome = self._live.detach(target, volume, attachment, context, found)
                if outcome is not None:
                    return outcome
                unlisted = True
            judged = self._require_let_go(judged, volume, context, unlisted=unlisted)
        require_in_use(volume, self._now())
        self._require_belonging(context)
        if target.dry_run:  # 5
            found.via = Via.OS_DETACH
            return Outcome.WOULD_DETACH
        return self._os_detach.detach(volume, attachment, judged, context, found)  # 6, 7

    def _find_server(
        self, attachment: Attachment, early: Early | None, context: CallContext, found: Findings
    ) -> Server | Proven:
        if self._proof is None:
            return Proven.UNCHECKED
        found.server = replace(found.server, checked=True)
        spellings = attachment.server_spellings
        judged: Server | Proven | None = early.proven(spellings) if early is not None else None
        if judged is None:
            judged = self._proof.find(spellings, context)
        if isinstance(judged, Proven):
            found.server = replace(found.server, exists=False)
        else:
            found.server = replace(found.server, exists=True, status=judged.status)
        return judged

    def _require_let_go(
        self, server: Server, volume: Volume, context: CallContext, *, unlisted: bool
    ) -> Proven:
        """See `Proof.require_let_go`. `unlisted`: the server's own list was seen not to hold the volume."""
        if self._proof is None:
            raise TypeError("a server was found by nobody")
        try:
            return self._proof.require_let_go(server, volume, context)
        except Refused as refused:
            if unlisted and refused.code is ErrorCode.SERVER_EXISTS and not refused.retryable:
                refused.message = (
                    f"The server exists ({server.status or 'state unknown'}), and its own list doesn't hold "
                    "the volume: there is nothing to detach at it, and nothing was cleared. Of a stopped "
                    "server DETACH_SERVER_CHECK=not-held takes that for proof."
                )
            raise

    def _switched_off(self, stop: Exception, target: Target) -> Exception:
        """Name the setting to whoever asks for what this deployment has not switched on."""
        if not isinstance(stop, Refused):
            return stop
        if target.live and self._live is None and stop.code is ErrorCode.SERVER_EXISTS:
            stop.message += " (DETACH_LIVE is off here: the event's live changes nothing.)"
        if target.recover and self._recovery is None and stop.code is ErrorCode.VOLUME_STATE:
            stop.message += " (DETACH_RECOVER is off here: the event's recover changes nothing.)"
        return stop


def _stopped(stop: Exception, context: CallContext, found: Findings) -> Cleared:
    if isinstance(stop, NotConfirmed):
        return Cleared(Outcome.UNCONFIRMED, found, stop)
    if isinstance(stop, Refused):
        return Cleared(Outcome.REFUSED, found, stop)
    if isinstance(stop, Failure):
        return Cleared(Outcome.FAILED, found, stop)
    return Cleared(Outcome.FAILED, found, context.log.bug(stop))
