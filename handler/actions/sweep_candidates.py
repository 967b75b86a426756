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
from handler.model.values import epoch, project_uuid

# The last three: where its name is among the names, and its project among the projects
_PACKED = struct.Struct("=16s16s16sdi32s?IHI")
_Packed = tuple[bytes, bytes, bytes, float, int, bytes, bool, int, int, int]
_LONGEST_NAME = 255  # letters
_UNKNOWN = float("inf")
_LARGEST = 2**31 - 1
_ROOM = 5000 * _PACKED.size  # bytes; of fewer attachments none is sorted out before the end


@dataclass(frozen=True)
class Orphan:
    """An attachment whose server is not listed. `since` is when it was made (epoch seconds), None if unknown.

    `wanted` says that the event's filters let it through; `name` and `size` are the volume's, in GB, -1 if
    unknown, and so is `project_id`, as the cloud spells it.
    """

    volume_id: str
    attachment_id: str
    server_id: str
    since: float | None
    size: int
    device: str
    wanted: bool
    name: str = ""
    project_id: str | None = None

    @property
    def disk(self) -> Disk:
        """What the list said of the disk."""
        return Disk.seen(self.name, self.size if self.size >= 0 else None, self.device, self.since)


class Census:
    """Collects listed servers and attachments, in whatever order their pages come."""

    def __init__(self, bounds: SweepBounds) -> None:
        self.volumes = 0
        self.unreadable = 0
        self.bare: list[Volume] = []  # in-use with nothing attached: few, if any
        self.attachments = 0
        self._servers: set[bytes] = set()
        self._packed = bytearray()
        self._names = bytearray()
        self._room = _ROOM
        self._server_ids = None if bounds.server_ids is None else frozenset(bounds.server_ids)
        self._volume_ids = None if bounds.volume_ids is None else frozenset(bounds.volume_ids)
        self._metadata = bounds.metadata or {}
        self._projects: dict[str | None, int] = {}  # each one's place
        self._held: list[int] = []  # how many attachments are of each
        self._project_ids = None if bounds.project_ids is None else frozenset(bounds.project_ids)
        self._excluded = frozenset(bounds.exclude_project_ids or ())
        filters = (self._server_ids, self._volume_ids, self._project_ids)
        self._all = not (self._metadata or self._excluded) and filters == (None, None, None)

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
                if not volume.attachments:
                    self.bare.append(volume)
                for attachment in volume.attachments:
                    if attachment.server_id is not None:
                        self._add(volume, attachment, attachment.server_id)
        if len(self._packed) > self._room:
            self._sort_out()

    def _sort_out(self) -> None:
        """Forget the attachments whose server was listed since; what is left makes room for as many again."""
        kept, names = bytearray(), bytearray()
        for *packed, start, length, project in self._unpacked():
            if packed[2] not in self._servers:
                kept += _PACKED.pack(*packed, len(names), length, project)
                names += self._names[start : start + length]
        self._packed, self._names = kept, names
        self._room = max(_ROOM, 2 * len(kept))

    def _add(self, volume: Volume, attachment: Attachment, server_id: str) -> None:
        self.attachments += 1
        project = self._projects.setdefault(volume.project_id, len(self._projects))
        if project == len(self._held):
            self._held.append(0)
        self._held[project] += 1
        if attachment.id is None:
            return
        server = _bytes(server_id)
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
            self._all or self.wants(volume, (server_id,)),
            len(self._names),
            len(name),
            project,
        )
        self._names += name

    def wants(self, volume: Volume, server_ids: Collection[str]) -> bool:
        """Whether the event's filters let a volume through that names these servers."""
        if self._server_ids is not None and self._server_ids.isdisjoint(server_ids):
            return False
        if self._volume_ids is not None and volume.id not in self._volume_ids:
            return False
        if (self._project_ids is not None or self._excluded) and not self._wants_project(volume.project_id):
            return False
        return all(volume.metadata.get(key) == value for key, value in self._metadata.items())

    def _wants_project(self, project_id: str | None) -> bool:
        """What is of an unknown project is neither asked for nor known not to be excluded."""
        if project_id is None:
            return False
        known = project_uuid(project_id)
        project = project_id if known is None else str(known)
        return project not in self._excluded and (self._project_ids is None or project in self._project_ids)

    def of_project(self, project_id: str | None) -> int:
        """How many attachments volumes of this project have."""
        place = self._projects.get(project_id)
        return 0 if place is None else self._held[place]

    def orphans(self) -> list[Orphan]:
        """The attachments whose server was not listed, oldest first, those of unknown age last."""
        projects = list(self._projects)
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
                project_id=projects[project],
            )
            for volume, attachment, server, since, size, device, wanted, start, length, project in found
        ]

    def _unpacked(self) -> Iterator[_Packed]:
        unpacked: Iterator[_Packed]
        unpacked = _PACKED.iter_unpack(self._packed)
        return unpacked


def _bytes(canonical_id: str) -> bytes:
    return bytes.fromhex(canonical_id.replace("-", ""))


def _text(packed: bytes) -> str:
    return str(uuid.UUID(bytes=packed))
