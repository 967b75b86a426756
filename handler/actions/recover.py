"""A stuck record, set free where it is proved that nobody holds the disk.

Only where `DETACH_RECOVER` allows it and the event says `recover`. What frees which record, and what of it
the cloud itself would not refuse, is recorded from a real Cinder: its guard asks nobody about an entry
without connection data, about a volume without any entry, or about any server but the one that an entry
names. So the proof is made here, whole, and made again before the one call.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from handler.actions.freeing import Freeing, Judged
from handler.actions.guards import choose_entry, not_stuck
from handler.actions.live import Live
from handler.actions.proof import Proof
from handler.actions.rolling_back import RollingBack
from handler.actions.scan import Scan
from handler.cloud.entries import Entry
from handler.cloud.servers import Server
from handler.cloud.volumes import Volume, Volumes
from handler.errors import ErrorCode, Refused
from handler.invocation import CallContext
from handler.model.disk import Disk
from handler.model.request import Target
from handler.model.result import Findings, Outcome
from handler.model.sent import Via
from handler.model.values import epoch

STATES = ("detaching", "attaching", "reserved", "error_attaching", "error_detaching")
"""The states, beside in-use with nothing attached, that are looked into here."""

_WITHOUT_ENTRY = frozenset({"detaching", "in-use", "error_detaching", "error_attaching"})


class Recovery:
    """Frees stuck records, for one invocation. Raises Failure for whatever stops it.

    `after` is for how many seconds a record must have been as it is. `listed`: a sweep's list showed them as
    stuck, and nobody named them. Then one without any entry is shown, never freed, of several entries none is
    chosen, and what is not stuck any more is refused: the plain rule's bounds (a sweep's filters and least
    age) let none of these through. `require_belonging`: see `handler.actions.clear.Clearing`.
    """

    def __init__(
        self,
        volumes: Volumes,
        proof: Proof,
        scan: Scan,
        *,
        after: int,
        require_belonging: Callable[[CallContext], None],
        live: Live | None = None,
        listed: bool = False,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._volumes = volumes
        self._servers = scan.servers
        self._proof = proof
        self._after = after
        self._require_belonging = require_belonging
        self._scan = scan
        self._rolling_back = RollingBack(volumes, scan.servers, live) if live is not None else None
        self._listed = listed
        self._freeing = Freeing(volumes, sleep)

    def concerns(self, volume: Volume, target: Target) -> bool:
        """Whether the record is one to be looked into here; else the plain rule goes on with it."""
        return self._listed or self._is_stuck(volume, target)

    def _is_stuck(self, volume: Volume, target: Target) -> bool:
        if volume.status in STATES:
            follows = target.live and volume.status == "detaching" and not self._old_enough(volume)
            return not follows
        named = target.attachment_id
        shown = any(entry.id == named for entry in volume.attachments)
        hidden = not volume.attachments or (named is not None and not shown)
        return volume.status == "in-use" and hidden

    def recover(self, target: Target, volume: Volume, context: CallContext, found: Findings) -> Outcome:
        """Prove the record free, send one call, and look at it afterwards."""
        if not self._is_stuck(volume, target):
            if volume.status == "available" and not volume.attachments:
                return Outcome.ALREADY_DETACHED
            raise not_stuck(volume)
        found.attachment_id = None
        self._require_age(volume)
        if volume.project_id is None:
            raise _unknown(
                "The volume's record names no project: whether this token sees all of its entries is not "
                "known."
            )
        entries = self._read_entries(volume, context)
        named = target.attachment_id
        if (
            volume.status == "in-use"
            and volume.attachments
            and all(entry.id != named for entry in entries)
            and named is not None
        ):
            return Outcome.ALREADY_DETACHED
        entry = choose_entry(entries, target, listed=self._listed)
        if entry is not None:
            found.attachment_id = entry.id
            found.server = replace(found.server, id=entry.server_id)
            shown = next((one for one in volume.attachments if one.id == entry.id), None)
            if shown is not None:
                since = epoch(shown.attached_at)
                found.disk = Disk.seen(volume.name, volume.size, shown.device, since)
        via = self._via(volume, entry)
        found.server = replace(found.server, checked=True)
        living = self._living(volume, entries, entry, context, found)
        if living is not None:
            rolls_back = target.live and target.recover and not self._proof.leaves(living)
            if self._rolling_back is None or not rolls_back:
                raise self._held(living, volume, entry, context)
            return self._rolling_back.detach(target, volume, living, context, found)
        found.server = replace(found.server, exists=False if entry is not None else None)
        self._require_nowhere(volume, entry, context)
        self._require_belonging(context)
        found.via = via
        if target.dry_run:
            return Outcome.WOULD_DETACH
        judged = Judged(volume, entries, entry, via)
        self._judge_again(judged, context, found)
        return self._freeing.free(judged, context, found)

    def _old_enough(self, volume: Volume) -> bool:
        """By the service's own clock; what is not known is too young."""
        moments = [volume.updated_at, *(one.attached_at for one in volume.attachments if one.attached_at)]
        since = [epoch(moment) for moment in moments]
        if volume.read_at is None or any(moment is None for moment in since):
            return False
        return all(volume.read_at - moment >= self._after for moment in since if moment is not None)

    def _require_age(self, volume: Volume) -> None:
        if not self._old_enough(volume):
            raise Refused(
                ErrorCode.VOLUME_STATE,
                f"The volume is {volume.status!r}, and not known to have been so for {self._after} seconds "
                "(DETACH_RECOVER_AFTER): it may pass by itself. Ask again later.",
                retryable=True,
            )

    def _read_entries(self, volume: Volume, context: CallContext) -> tuple[Entry, ...]:
        entries = self._volumes.entries(volume.id, context)
        if entries is None:
            raise _unknown(
                "The volume service doesn't list a volume's entries (attachments API, microversion 3.27), "
                "and its record hides those that are not attached: a server may be about to use it."
            )
        known = {entry.id for entry in entries}
        if any(shown.id not in known for shown in volume.attachments):
            raise Refused(
                ErrorCode.ATTACHMENT_UNKNOWN,
                "The volume's record and the attachments API don't list the same: nothing was sent. Ask "
                "again; if it stays so, a cloud administrator has to look at the record.",
                retryable=True,
            )
        return entries

    def _via(self, volume: Volume, entry: Entry | None) -> Via:
        """The one call that frees such a record; raises Refused where that is somebody's decision."""
        if entry is not None:
            if volume.status == "in-use" and entry.status == "attached":
                raise _state(volume, "its attachment is in order: ask without recover")
            return Via.OS_DETACH
        if volume.multiattach is not False:
            raise _state(
                volume,
                "it has no entry, and is not known to be a volume for one server: an administrator decides",
            )
        if volume.status == "attaching":
            via = Via.OS_UNRESERVE
        elif volume.status in _WITHOUT_ENTRY:
            via = Via.OS_DETACH
        else:
            raise _state(
                volume,
                "it has no entry, which no call of a member can fix: a cloud administrator has to "
                "(os-reset_status) once it is known why",
            )
        if self._listed:
            raise _state(
                volume,
                "it has no entry: a sweep only shows it. Ask for it by itself, by volume_id and recover",
            )
        return via

    def _living(
        self,
        volume: Volume,
        entries: Sequence[Entry],
        chosen: Entry | None,
        context: CallContext,
        found: Findings,
    ) -> Server | None:
        """The server of the chosen entry, where it lives. Every other entry's has to be gone.

        Unless record and chosen entry are both only reserved: then the others are not touched.
        """
        reserved = chosen is not None and volume.status == chosen.status == "reserved"
        for entry in entries:
            if entry is not chosen and reserved:
                continue
            if entry.server_id is None:
                raise _unknown(
                    "An entry of the volume names no server by a UUID: a host, the image service or the "
                    "volume service itself may be using the disk. Once that is known not to be so, a cloud "
                    f"administrator can clear it (os-detach with attachment_id {entry.id})."
                )
            judged = self._proof.find(entry.server_spellings, context)
            if isinstance(judged, Server):
                if entry is not chosen:
                    raise self._held(judged, volume, entry, context)
                found.server = replace(found.server, exists=True, status=judged.status)
                return judged
        return None

    def _held(self, server: Server, volume: Volume, entry: Entry | None, context: CallContext) -> Refused:
        if self._proof.leaves(server):
            return Refused(
                ErrorCode.SERVER_EXISTS,
                f"The server {server.id} of an entry is still being deleted: until that is done it may have "
                "the disk, so nothing was sent. Ask again in a minute.",
                retryable=True,
            )
        if self._servers.holds(server.id, volume.id, context) or volume.id in (server.held or ()):
            return _volume_held(server.id, volume)
        return Refused(
            ErrorCode.SERVER_EXISTS,
            f"The server {server.id} of an entry ({entry.status if entry else volume.status}) exists "
            f"({server.status or 'state unknown'}) and doesn't list the volume: it may be about to use it, "
            "so nothing was sent.",
        )

    def _require_nowhere(self, volume: Volume, entry: Entry | None, context: CallContext) -> None:
        """Raise Refused where a server of the project has the disk, or that can't be excluded."""
        try:
            scanned = self._scan.look(context)
        except Refused:
            if entry is None:
                raise
            return  # its server is gone, which is proof for an entry
        holders = scanned.holders.get(volume.id)
        if holders:
            raise _volume_held(holders[0], volume)
        if entry is not None:
            return
        marked = epoch(volume.updated_at)
        for server_id, created in scanned.building.items():
            if created is None or marked is None or created <= marked:
                raise Refused(
                    ErrorCode.SERVER_BUSY,
                    f"The server {server_id} is being built since before the record was marked: the disk may "
                    "be for it. Ask again once it is built.",
                    retryable=True,
                )

    def _judge_again(self, judged: Judged, context: CallContext, found: Findings) -> None:
        """The look-ups by id once more, then the record: it must be what was judged."""
        living = self._living(judged.volume, judged.entries, judged.entry, context, found)
        if living is not None:
            raise self._held(living, judged.volume, judged.entry, context)
        entries = self._volumes.entries(judged.volume.id, context, fresh=not judged.entries)
        volume = self._volumes.get(judged.volume.id, context)
        same = volume is not None and volume._replace(read_at=judged.volume.read_at) == judged.volume
        if not same or entries is None or set(entries) != set(judged.entries):
            raise Refused(
                ErrorCode.VOLUME_STATE,
                "The volume's record changed while it was judged: nothing was sent. Ask again.",
                retryable=True,
            )


def _state(volume: Volume, why: str) -> Refused:
    return Refused(ErrorCode.VOLUME_STATE, f"The volume is {volume.status!r}: {why}. Nothing was sent.")


def _unknown(why: str) -> Refused:
    return Refused(
        ErrorCode.SERVER_UNKNOWN, f"That nobody holds the volume can't be proved, so nothing was sent. {why}"
    )


def _volume_held(server_id: str, volume: Volume) -> Refused:
    return Refused(
        ErrorCode.VOLUME_HELD,
        f"The server {server_id} holds the volume, although its record says {volume.status!r}: nothing was "
        "sent. Detach it at that server, through the compute service.",
    )
