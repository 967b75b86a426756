"""Steps 6 and 7 of the rule: os-detach for one attachment, and the look at the record after it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from handler.actions.proof import Proven
from handler.cloud.faults import refuses_token
from handler.cloud.messages import Answer
from handler.cloud.volumes import Attachment, Volume, Volumes
from handler.errors import DeadlineExceeded, Failure, NotConfirmed, Refused, UpstreamUnavailable
from handler.invocation import CallContext
from handler.model.result import Findings, Outcome
from handler.model.sent import Via

CONFIRM_WITHIN = 8.0  # seconds
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 2.0  # seconds between two looks

_REFUSALS = frozenset({400, 403, 404, 405, 406, 409, 410, 411, 415, 422})
"""Statuses of a call that was looked at and not carried out. What another one leaves behind is not known, nor
what one does that only asks to wait: 408, 413, 425, 429."""


class OsDetach:
    """Clears one attachment whose server is proven gone, for one invocation."""

    def __init__(self, volumes: Volumes, sleep: Callable[[float], None]) -> None:
        self._volumes = volumes
        self._sleep = sleep

    def detach(
        self, volume: Volume, attachment: Attachment, proven: Proven, context: CallContext, found: Findings
    ) -> Outcome:
        """Steps 6 and 7. A second POST is sent only after a first one that had no answer or a 5xx."""
        unanswered: Failure | None = None
        while True:
            try:
                fault, refused = post(
                    lambda: self._volumes.detach(volume.id, attachment, proven.value, context),
                    found,
                    self._volumes.why_not_detached,
                )
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
                raise unseen(fault, blind) from None
            if isinstance(seen, Outcome):
                return self._gone(seen, found, refused=refused)
            if fault is None:
                raise unconfirmed(f"still lists the attachment after {CONFIRM_WITHIN:g} s")
            if unanswered is not None:
                # A refusal of the second says nothing about the first, which may yet take effect
                raise unanswered if isinstance(fault, Refused) else fault
            if answered:
                raise fault
            if not _as_judged(seen, volume, attachment):
                raise fault
            unanswered = fault

    def _look(
        self, volume_id: str, attachment: Attachment, context: CallContext, found: Findings, *, once: bool
    ) -> Outcome | Volume:
        """Look until the attachment is gone or the time for it is over: then the record as it is."""
        pause = FIRST_PAUSE
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
                    return volume
                self._sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE)

    @staticmethod
    def _gone(seen: Outcome, found: Findings, *, refused: bool) -> Outcome:
        if refused:  # someone else was faster
            return Outcome.ALREADY_DETACHED if seen is Outcome.DETACHED else seen
        if seen is Outcome.DETACHED:
            found.changed = True
        return seen  # of a volume that went meanwhile it is not known whether the call had freed it before


def _as_judged(seen: Volume, volume: Volume, attachment: Attachment) -> bool:
    """Whether the record still is the one that the proof was for: in use, of that project, at that server."""
    return (
        seen.status == volume.status
        and seen.project_id == volume.project_id
        and attachment in seen.attachments
    )


def post(
    send: Callable[[], Answer], found: Findings, why_not: Callable[[Answer], Failure]
) -> tuple[Failure | None, bool]:
    """Send a call that changes a record. What stood against it, None when it was accepted; whether refused.

    Of a refused call it is known that it changed nothing. A 408, 413, 425 or 429 may come from what stands
    between, which had passed the call on. `found.changed` is None from here on, unless nothing was sent.
    """
    before, found.changed = found.changed, None
    try:
        answer = send()
    except Failure as failed:
        if isinstance(failed, UpstreamUnavailable) and not failed.unsent:
            return failed, False
        found.changed = before
        raise
    if 200 <= answer.status < 300:
        return None, False
    fault = why_not(answer)
    if refuses_token(answer):
        found.changed = before  # the token is looked at before anything is done
        raise fault
    return fault, answer.status in _REFUSALS


def unseen(fault: Failure | None, blind: Failure) -> Failure:
    """What is said when the record can't be read after the call (`blind`). `fault` stood against the call.

    A refusal is final only once the record is seen: it is refused, too, where somebody else was faster.
    """
    if fault is None:
        return unconfirmed(f"could not be read afterwards ({blind.message})", blind)
    if fault.retryable or not blind.retryable:
        return fault
    return UpstreamUnavailable(
        f"{fault.message} Whether somebody else was faster could not be read afterwards ({blind.message}).",
        upstream=fault.upstream,
    )


def unconfirmed(what: str, cause: Failure | None = None) -> NotConfirmed:
    """The failure of a call that was accepted and not seen to take effect."""
    return NotConfirmed(
        f"The cloud accepted the call, but the volume {what}. Ask again in a minute: the answer "
        "already_detached then means that it took effect.",
        upstream=cause.upstream if cause else None,
    )
