"""The one call that sets a stuck record free, and the look at what became of it.

Recorded from a real Cinder: os-unreserve answers 202 where it does nothing, so that only the record counts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from handler.actions import os_detach
from handler.actions.os_detach import FIRST_PAUSE, LONGEST_PAUSE, post, unseen
from handler.cloud.entries import Entry
from handler.cloud.messages import Answer
from handler.cloud.volumes import Volume, Volumes
from handler.errors import Failure, NotRecovered, UpstreamUnavailable
from handler.invocation import CallContext
from handler.model.result import Findings, Outcome
from handler.model.sent import Via

PROOF = "recover"
"""The word for what allows the call, as it is logged before it leaves."""


class Judged(NamedTuple):
    """A record as it was judged: the entry that is to go (None: there is none), all entries, and the call."""

    volume: Volume
    entries: tuple[Entry, ...]
    entry: Entry | None
    via: Via


class Freeing:
    """Frees records that were proved free, for one invocation."""

    def __init__(self, volumes: Volumes, sleep: Callable[[float], None]) -> None:
        self._volumes = volumes
        self._sleep = sleep

    def free(self, judged: Judged, context: CallContext, found: Findings) -> Outcome:
        """The one call, and the look at what became of it."""
        volume_id, entry = judged.volume.id, judged.entry

        def send() -> Answer:
            if judged.via is Via.OS_UNRESERVE:
                return self._volumes.unreserve(volume_id, PROOF, context)
            return self._volumes.detach(volume_id, entry, PROOF, context)

        fault, refused = post(send, found, self._volumes.why_not_detached)
        if refused:
            found.changed = False
        answered = fault is not None and not isinstance(fault, UpstreamUnavailable)
        pause = FIRST_PAUSE
        with context.within(os_detach.CONFIRM_WITHIN) as until:
            while True:
                try:
                    volume = self._volumes.get(volume_id, context)
                    entries = self._volumes.entries(volume_id, context) if volume is not None else ()
                except Failure as blind:
                    raise unseen(fault, blind) from None
                if volume is None:
                    return Outcome.VOLUME_ABSENT
                found.saw(volume.status, len(volume.attachments))
                if is_free(volume, entries, judged):
                    # Of a refused call it is known that it did nothing: somebody else was faster
                    found.changed = not refused
                    return Outcome.ALREADY_DETACHED if refused else Outcome.RECOVERED
                if answered or pause >= until.remaining():
                    break
                self._sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE)
        if fault is not None:
            raise fault
        differs = volume.status != judged.volume.status or set(entries or ()) != set(judged.entries)
        found.changed = True if differs else None
        raise NotRecovered(
            f"The cloud accepted {judged.via.value}, and the record is not free ({volume.status!r}, "
            f"{len(entries or ())} entries). A person has to look at it: it is not sent again by itself."
        )


def is_free(volume: Volume, entries: Sequence[Entry] | None, judged: Judged) -> bool:
    """Whether only what was meant is gone: a free record, or the other entries as they were."""
    if entries is None:
        return False
    others = {entry for entry in judged.entries if entry is not judged.entry}
    if others:
        return set(entries) == others
    return volume.status == "available" and not entries and not volume.attachments
