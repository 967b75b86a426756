"""The comparison behind a sweep: the attachments that name a server which isn't listed.

Kept small on purpose: of a hundred thousand records only what the comparison needs stays in memory, packed.
"""

from __future__ import annotations

import struct
import uuid
from array import array
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import overload

from handler.cloud.volumes import Attachment, Volume
from handler.model.disk import Disk
from handler.model.request import SweepBounds
from handler.model.values import epoch, project_uuid

# The last three: where its name is among the names, and its project among the projects
_PACKED = struct.Struct("=16s16s16sdi32s?IHI")
_SINCE = struct.Struct("=d")
_SINCE_AT = 48  # bytes of a packed one: three ids are before it
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
        return Disk.seen(self.name, self.size, self.device, self.since)


class Orphans(Sequence[Orphan]):
    """Orphans, the oldest first, those of unknown age last. Each is made when it is asked for.

    There may be as many as attachments, where the list of servers is at fault.
    """

    def __init__(
        self, packed: bytearray, names: bytearray, projects: Sequence[str | None], places: array[int]
    ) -> None:
        self._packed = packed
        self._names = names
        self._projects = projects
        self._places = places

    def __len__(self) -> int:
        """How many."""
        return len(self._places)

    @overload
    def __getitem__(self, at: int) -> Orphan: ...
    @overload
    def __getitem__(self, at: slice) -> Orphans: ...
    def __getitem__(self, at: int | slice) -> Orphan | Orphans:
        """One of them, or a part."""
        if isinstance(at, slice):
            return self._of(self._places[at])
        volume, attachment, server, since, size, device, wanted, start, length, project = self._row(
            self._places[at]
        )
        return Orphan(
            volume_id=_text(volume),
            attachment_id=_text(attachment),
            server_id=_text(server),
            since=None if since == _UNKNOWN else since,
            size=size,
            device=device.rstrip(b"\0").decode("ascii"),
            wanted=wanted,
            name=self._names[start : start + length].decode(),
            project_id=self._projects[project],
        )

    def wanted(self) -> Orphans:
        """Those that the event's filters let through."""
        return self._where(lambda row: row[6])

    def since(self, newest: float) -> Orphans:
        """Those that were made by then (epoch seconds). What is of unknown age was not."""
        return self._where(lambda row: row[3] != _UNKNOWN and row[3] <= newest)

    def of_projects(self, project_ids: Collection[str | None], *, others: bool = False) -> Orphans:
        """Those of these projects, or of all others."""
        return self._where(lambda row: (self._projects[row[9]] in project_ids) is not others)

    def by_project(self) -> Counter[str | None]:
        """How many there are of each project."""
        return Counter(self._projects[self._row(place)[9]] for place in self._places)

    def _where(self, keep: Callable[[_Packed], bool]) -> Orphans:
        return self._of(array("I", (place for place in self._places if keep(self._row(place)))))

    def _of(self, places: array[int]) -> Orphans:
        return Orphans(self._packed, self._names, self._projects, places)

    def _row(self, place: int) -> _Packed:
        row: _Packed = _PACKED.unpack_from(self._packed, place * _PACKED.size)
        return row


class Census:
    """Collects listed servers and attachments, in whatever order their pages come."""

    def __init__(self, bounds: SweepBounds) -> None:
        self.volumes = 0
        self.unreadable = 0
        self.bare: list[Volume] = []  # in-use with nothing attached: few, if any
        self.attachments = 0
        self._servers: set[bytes] = set()
        self._compared = 0  # servers that are forgotten again
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
        return len(self._servers) or self._compared

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
        """Forget the attachments whose server was listed since; what is left makes room for as many again.

        In place: beside a copy of what may be a million of them there would be room for nothing else.
        """
        end = names_end = 0
        for place in range(0, len(self._packed), _PACKED.size):
            row: _Packed = _PACKED.unpack_from(self._packed, place)
            *packed, start, length, project = row
            if packed[2] in self._servers:
                continue
            _PACKED.pack_into(self._packed, end, *packed, names_end, length, project)
            self._names[names_end : names_end + length] = self._names[start : start + length]
            end, names_end = end + _PACKED.size, names_end + length
        del self._packed[end:], self._names[names_end:]
        self._room = max(_ROOM, 2 * end)

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

    def orphans(self) -> Orphans:
        """The attachments whose server was not listed. Once, at the end: the servers are forgotten."""
        self._sort_out()
        self._compared = self.servers
        self._servers = set()
        count = len(self._packed) // _PACKED.size
        return Orphans(self._packed, self._names, [*self._projects], _by_age(self._packed, count))


def _by_age(packed: bytearray, count: int) -> array[int]:
    """The places of packed attachments, by their age, then by their volume's id."""
    size = _PACKED.size
    places = sorted(range(count), key=lambda place: packed[place * size : place * size + 16])
    places.sort(key=lambda place: _SINCE.unpack_from(packed, place * size + _SINCE_AT)[0])
    return array("I", places)


def _bytes(canonical_id: str) -> bytes:
    return bytes.fromhex(canonical_id.replace("-", ""))


def _text(packed: bytes) -> str:
    return str(uuid.UUID(bytes=packed))
