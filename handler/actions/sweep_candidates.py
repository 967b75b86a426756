"""The comparison behind a sweep: the attachments that name a server which isn't listed.

Kept small on purpose: of a hundred thousand records only what the comparison needs stays in memory, packed.
"""

from __future__ import annotations

import struct
import uuid
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from handler.cloud.volumes import Attachment, Volume
from handler.model.disk import Disk
from handler.model.request import SweepBounds
from handler.model.values import epoch

_PACKED = struct.Struct("=16s16s16sdi32s?IH")  # the last two: where its name is among the names
_LONGEST_NAME = 255  # letters
_UNKNOWN = float("inf")
_LARGEST = 2**31 - 1
_ROOM = 5000 * _PACKED.size  # bytes; of fewer attachments none is sorted out before the end


@dataclass(frozen=True)
class Orphan:
    """An attachment whose server is not listed. `since` is when it was made (epoch seconds), None if unknown.

    `wanted` says that the event's filters let it through; `name` and `size` are the volume's, in GB, -1 if
    unknown.
    """

    volume_id: str
    attachment_id: str
    server_id: str
    since: float | None
    size: int
    device: str
    wanted: bool
    name: str = ""

    @property
    def disk(self) -> Disk:
        """What the list said of the disk."""
        return Disk.seen(self.name, self.size if self.size >= 0 else None, self.device, self.since)


class Census:
    """Collects listed servers and attachments, in whatever order their pages come."""

    def __init__(self, bounds: SweepBounds) -> None:
        self.volumes = 0
        self.unreadable = 0
        self.bare: list[Volume] = []  # in-use with nothing attached, where somebody asks for them
        self._recover = bounds.recover
        self.attachments = 0
        self._servers: set[bytes] = set()
        self._packed = bytearray()
        self._names = bytearray()
        self._room = _ROOM
        self._server_ids = None if bounds.server_ids is None else frozenset(bounds.server_ids)
        self._volume_ids = None if bounds.volume_ids is None else frozenset(bounds.volume_ids)
        self._metadata = bounds.metadata or {}

    @property
    def servers(self) -> int:
        """How many servers were listed."""
        return len(self._servers)

    def add_servers(self, page: list[str]) -> None:
        """Note a page of the list of servers."""
        self._servers.update(map(_bytes, page))

    def add_volumes(self, page: list[Volume]) -> None:
        """Note a page of the list of volumes. The status is checked again: a cloud may ignore the filter."""
        for volume in page:
            self.volumes += 1
            if volume.status == "in-use":
                if self._recover and not volume.attachments:
                    self.bare.append(volume)
                for attachment in volume.attachments:
                    if attachment.server_id is not None:
                        self._add(volume, attachment)
        if len(self._packed) > self._room:
            self._sort_out()

    def _sort_out(self) -> None:
        """Forget the attachments whose server was listed since; what is left makes room for as many again."""
        kept, names = bytearray(), bytearray()
        for *packed, start, length in self._unpacked():
            if packed[2] not in self._servers:
                kept += _PACKED.pack(*packed, len(names), length)
                names += self._names[start : start + length]
        self._packed, self._names = kept, names
        self._room = max(_ROOM, 2 * len(kept))

    def _add(self, volume: Volume, attachment: Attachment) -> None:
        self.attachments += 1
        if attachment.id is None or attachment.server_id is None:
            return
        server = _bytes(attachment.server_id)
        if server in self._servers:
            return  # its page was faster: nothing to compare later
        since = epoch(attachment.attached_at)
        name = (volume.name or "")[:_LONGEST_NAME].encode("utf-8", "replace")
        self._packed += _PACKED.pack(
            _bytes(volume.id),
            _bytes(attachment.id),
            server,
            _UNKNOWN if since is None else since,
            volume.size if volume.size is not None and 0 <= volume.size <= _LARGEST else -1,
            (attachment.device or "").encode("ascii", "replace"),
            self._wanted(volume, attachment.server_id),
            len(self._names),
            len(name),
        )
        self._names += name

    def _wanted(self, volume: Volume, server_id: str) -> bool:
        return self.wants(volume, (server_id,))

    def wants(self, volume: Volume, server_ids: Collection[str]) -> bool:
        """Whether the event's filters let a volume through that names these servers."""
        if self._server_ids is not None and self._server_ids.isdisjoint(server_ids):
            return False
        if self._volume_ids is not None and volume.id not in self._volume_ids:
            return False
        return all(volume.metadata.get(key) == value for key, value in self._metadata.items())

    def orphans(self) -> list[Orphan]:
        """The attachments whose server was not listed, oldest first, those of unknown age last."""
        found = [packed for packed in self._unpacked() if packed[2] not in self._servers]
        found.sort(key=lambda packed: (packed[3], packed[0]))
        return [
            Orphan(
                volume_id=_text(volume),
                attachment_id=_text(attachment),
                server_id=_text(server),
                since=None if since == _UNKNOWN else since,
                size=size,
                device=device.rstrip(b"\0").decode("ascii"),
                wanted=wanted,
                name=self._names[start : start + length].decode(),
            )
            for volume, attachment, server, since, size, device, wanted, start, length in found
        ]

    def _unpacked(self) -> Iterator[tuple[bytes, bytes, bytes, float, int, bytes, bool, int, int]]:
        unpacked: Iterator[tuple[bytes, bytes, bytes, float, int, bytes, bool, int, int]]
        unpacked = _PACKED.iter_unpack(self._packed)
        return unpacked


def _bytes(canonical_id: str) -> bytes:
    return bytes.fromhex(canonical_id.replace("-", ""))


def _text(packed: bytes) -> str:
    return str(uuid.UUID(bytes=packed))
