"""The one rule: one target, seven steps (the table "What happens to one target" in the README).

No record is cleared unless its server is proven gone. Nothing here knows HTTP or a trigger.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import replace

from handler.actions.proof import Proof, Proven
from handler.cloud.faults import failure, passes, refuses_token
from handler.cloud.volumes import SERVICE as VOLUME
from handler.cloud.volumes import Attachment, Volume, Volumes
from handler.errors import (
    DeadlineExceeded,
    ErrorCode,
    Failure,
    NotConfirmed,
    Refused,
    UpstreamUnavailable,
)
from handler.invocation import CallContext, Clock
from handler.model.disk import Disk
from handler.model.request import Target
from handler.model.result import Cleared, Findings, Outcome, Via
from handler.model.values import epoch, is_project, same_project

PASSING_STATES = frozenset(
    {
        "attaching",
        "detaching",
        "reserved",
        "creating",
        "extending",
        "retyping",
        "uploading",
        "downloading",
        "backing-up",
        "restoring-backup",
        "rollbacking",
        "maintenance",
    }
)
"""States that end by themselves, unless they are stuck."""

STUCK_AFTER = 3600.0  # seconds
CONFIRM_WITHIN = 8.0  # seconds
_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 2.0  # seconds between two looks

_REFUSALS = frozenset({400, 403, 404, 405, 406, 409, 410, 411, 415, 422})
"""Statuses of a call that was looked at and not carried out. What another one leaves behind is not known."""


class Clearing:
    """Carries the rule out, for one invocation. `proof` is None where step 4 is left out.

    `require_belonging` raises a Failure where it is not known that both services are of one cloud and region:
    a proof of the one says nothing about the other's record then. It is asked before a dry run ends, too.
    """

    def __init__(
        self,
        volumes: Volumes,
        proof: Proof | None,
        *,
        project_id: str,
        require_belonging: Callable[[CallContext], None],
        now: Clock = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._volumes = volumes
        self._proof = proof
        self._project_id = project_id
        self._require_belonging = require_belonging
        self._now = now
        self._sleep = sleep

    def clear(self, target: Target, context: CallContext) -> Cleared:
        """Take one target through the rule. Whatever stops it is in the answer, not raised."""
        found = self._nothing_yet(target)
        try:
            return Cleared(self._steps(target, context, found), found)
        except Exception as stop:  # noqa: BLE001 (a bug at one target must not take the others with it)
            return _stopped(stop, context, found)

    def ask_once(self, server_id: str, context: CallContext) -> None:
        """Have the proof remember what it finds of this server, before its attachments are judged."""
        if self._proof is not None:
            with contextlib.suppress(Failure):  # each attachment's own judgement meets it again
                self._proof.find((server_id,), context)

    def resolve(self, target: Target, context: CallContext) -> Target | Cleared:
        """Steps 1 and 2 only: the same target with its attachment_id, or what became of it already there."""
        found = self._nothing_yet(target)
        try:
            located = self._locate(target, context, found)
        except Exception as stop:  # noqa: BLE001 (a bug at one target must not take the others with it)
            return _stopped(stop, context, found)
        if isinstance(located, Outcome):
            return Cleared(located, found)
        return target.model_copy(update={"attachment_id": located[1].id})

    def _nothing_yet(self, target: Target) -> Findings:
        return Findings(target.volume_id, target.attachment_id, target.dry_run, project_id=self._project_id)

    def _locate(
        self, target: Target, context: CallContext, found: Findings
    ) -> tuple[Volume, Attachment] | Outcome:
        volume = self._volumes.get(target.volume_id, context)  # 1
        if volume is None:
            return Outcome.VOLUME_ABSENT
        found.saw(volume.status, len(volume.attachments))
        found.disk = Disk.seen(volume.name, volume.size)
        if volume.project_id is not None and is_project(volume.project_id):
            found.project_id = volume.project_id
        self._check_project(volume)
        attachment = self._find(volume, target)  # 2
        return Outcome.ALREADY_DETACHED if attachment is None else (volume, attachment)

    def _steps(self, target: Target, context: CallContext, found: Findings) -> Outcome:
        located = self._locate(target, context, found)  # 1, 2
        if isinstance(located, Outcome):
            return located
        volume, attachment = located
        found.attachment_id = attachment.id
        found.disk = Disk.seen(volume.name, volume.size, attachment.device, epoch(attachment.attached_at))
        found.server = replace(found.server, id=attachment.server_id)
        self._check_state(volume)  # 3
        proven = self._check_server(volume, attachment, context, found)  # 4
        self._require_belonging(context)
        if target.dry_run:  # 5
            found.via = Via.OS_DETACH
            return Outcome.WOULD_DETACH
        return self._detach(volume, attachment, proven, context, found)  # 6, 7

    def _check_project(self, volume: Volume) -> None:
        if volume.project_id is not None and not same_project(volume.project_id, self._project_id):
            raise Refused(
                ErrorCode.VOLUME_FOREIGN,
                "The volume belongs to another project than the configured one, so its server cannot be "
                "judged here. Call the function that is deployed for that project.",
            )

    def _find(self, volume: Volume, target: Target) -> Attachment | None:
        """The attachment that is meant; None when it is not there any more."""
        if any(entry.id is None for entry in volume.attachments):
            raise Refused(
                ErrorCode.ATTACHMENT_UNKNOWN,
                "The cloud lists an attachment of this volume without its id: none can be told for sure. "
                "A cloud administrator has to look at the record.",
            )
        if target.attachment_id is not None:
            matching = [entry for entry in volume.attachments if entry.id == target.attachment_id]
        elif len(volume.attachments) > 1:
            raise Refused(
                ErrorCode.ATTACHMENT_REQUIRED,
                f"The volume has {len(volume.attachments)} attachments: say which by attachment_id "
                "(attachments[].attachment_id of the volume's record).",
            )
        else:
            matching = list(volume.attachments)
        if len(matching) > 1:
            raise Refused(
                ErrorCode.ATTACHMENT_UNKNOWN,
                "The cloud lists this attachment_id more than once: none can be told for sure. A cloud "
                "administrator has to look at the record.",
            )
        if not matching:
            held_by_others = volume.status == "in-use" and volume.attachments
            if volume.status == "available" or held_by_others:
                return None
            raise self._wrong_state(volume, "the attachment is not listed, but the volume is not free either")
        if target.server_id is not None and matching[0].server_id != target.server_id:
            raise Refused(
                ErrorCode.SERVER_MISMATCH,
                "The attachment belongs to another server than server_id says: nothing was cleared. Read the "
                "volume's record again before you ask again.",
            )
        return matching[0]

    def _check_state(self, volume: Volume) -> None:
        if volume.status != "in-use":
            raise self._wrong_state(volume, "only an in-use record is cleared")

    def _wrong_state(self, volume: Volume, why: str) -> Refused:
        state = f"The volume is {volume.status!r} ({why})."
        if volume.status not in PASSING_STATES:
            return Refused(
                ErrorCode.VOLUME_STATE,
                f"{state} That state doesn't pass by itself: a cloud administrator has to mend it "
                "(os-reset_status) once it is known why.",
            )
        since = epoch(volume.updated_at)
        if since is not None and self._now() - since > STUCK_AFTER:
            return Refused(
                ErrorCode.VOLUME_STATE,
                f"{state} It has been so for over an hour, so it is stuck: a cloud administrator has to "
                "mend it (os-reset_status).",
            )
        return Refused(
            ErrorCode.VOLUME_STATE, f"{state} That passes by itself: ask again in a minute.", retryable=True
        )

    def _check_server(
        self, volume: Volume, attachment: Attachment, context: CallContext, found: Findings
    ) -> Proven:
        if self._proof is None:
            return Proven.UNCHECKED
        found.server = replace(found.server, checked=True)
        judged = self._proof.find(attachment.server_spellings, context)
        if isinstance(judged, Proven):
            found.server = replace(found.server, exists=False)
            return judged
        found.server = replace(found.server, exists=True, status=judged.status)
        return self._proof.require_let_go(judged, volume, context)

    def _detach(
        self, volume: Volume, attachment: Attachment, proven: Proven, context: CallContext, found: Findings
    ) -> Outcome:
        """Steps 6 and 7. A second POST is sent only after a first one that had no answer or a 5xx."""
        unanswered: Failure | None = None
        while True:
            try:
                fault, refused = self._post(volume, attachment, proven, context, found)
            except DeadlineExceeded as late:
                raise unanswered or late from None
            found.via = Via.OS_DETACH
            answered = fault is not None and not isinstance(fault, UpstreamUnavailable)
            refused = refused and unanswered is None
            if refused:
                found.changed = False
            try:
                seen = self._look(volume.id, attachment, context, found, once=answered)
            except Failure as blind:
                raise (
                    fault or _unconfirmed(f"could not be read afterwards ({blind.message})", blind)
                ) from None
            if seen is not None:
                return self._gone(seen, found, refused=refused)
            if fault is None:
                raise _unconfirmed(f"still lists the attachment after {CONFIRM_WITHIN:g} s")
            if unanswered is not None:
                # A refusal of the second says nothing about the first, which may yet take effect
                raise unanswered if isinstance(fault, Refused) else fault
            if answered:
                raise fault
            unanswered = fault

    def _post(
        self, volume: Volume, attachment: Attachment, proven: Proven, context: CallContext, found: Findings
    ) -> tuple[Failure | None, bool]:
        """Send os-detach. What stood against it, None when it was accepted; and whether it was refused.

        Of a refused call it is known that it changed nothing. A 408, 413, 425 or 429 may come from what
        stands between, which had passed the call on.
        """
        before, found.changed = found.changed, None
        try:
            answer = self._volumes.detach(volume.id, attachment, proven.value, context)
        except Failure as failed:
            if isinstance(failed, UpstreamUnavailable) and not failed.unsent:
                return failed, False
            found.changed = before
            raise
        if 200 <= answer.status < 300:
            return None, False
        fault = failure(answer, VOLUME)
        if refuses_token(answer):
            found.changed = before  # the token is looked at before anything is done
            raise fault
        return fault, answer.status in _REFUSALS and not passes(answer)

    def _look(
        self, volume_id: str, attachment: Attachment, context: CallContext, found: Findings, *, once: bool
    ) -> Outcome | None:
        """Look until the attachment is gone or the time for it is over (None)."""
        pause = _FIRST_PAUSE
        with context.within(CONFIRM_WITHIN) as until:
            while True:
                volume = self._volumes.get(volume_id, context)
                if volume is None:
                    found.volume_status = replace(found.volume_status, after=None)
                    found.remaining = None
                    return Outcome.VOLUME_ABSENT
                found.saw(volume.status, len(volume.attachments))
                if all(entry.id not in {attachment.id, None} for entry in volume.attachments):
                    return Outcome.DETACHED
                if once or pause >= until.remaining():
                    return None
                self._sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)

    @staticmethod
    def _gone(seen: Outcome, found: Findings, *, refused: bool) -> Outcome:
        if seen is Outcome.DETACHED and not refused:
            found.changed = True
            return seen
        found.changed = False  # the cloud refused our call, or the volume went: someone else was faster
        return Outcome.ALREADY_DETACHED if seen is Outcome.DETACHED else seen


def _stopped(stop: Exception, context: CallContext, found: Findings) -> Cleared:
    if isinstance(stop, NotConfirmed):
        return Cleared(Outcome.UNCONFIRMED, found, stop)
    if isinstance(stop, Refused):
        return Cleared(Outcome.REFUSED, found, stop)
    if isinstance(stop, Failure):
        return Cleared(Outcome.FAILED, found, stop)
    return Cleared(Outcome.FAILED, found, context.log.bug(stop))


def _unconfirmed(what: str, cause: Failure | None = None) -> NotConfirmed:
    return NotConfirmed(
        f"The cloud accepted the call, but the volume {what}. Ask again in a minute: the answer "
        "already_detached then means that it took effect.",
        upstream=cause.upstream if cause else None,
    )
