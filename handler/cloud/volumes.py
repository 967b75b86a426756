"""The volume service (EVS, Cinder): one volume, and the call that clears an attachment's record.

Facts: the vendor's pages "Querying Details About a Disk" and "Detaching an EVS Disk (Deprecated)"; Cinder's
`api/contrib/volume_actions.py`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from handler.cloud.faults import failure, names_absence
from handler.cloud.messages import Answer
from handler.cloud.paging import LARGEST_PAGE, PAGE, Listing, record
from handler.cloud.service import Service, unreadable
from handler.invocation import CallContext
from handler.model.bounded_json import loads
from handler.model.values import canonical

SERVICE = "volume"
_NOT_FOUND_CODES = frozenset({"EVS.5404"})

# What `read_volume` reads of a listed volume
_WANTED = record(
    "id",
    "status",
    "os-vol-tenant-attr:tenant_id",
    "updated_at",
    "size",
    "metadata",
    attachments=record("attachment_id", "server_id", "attached_at", "device"),
)


class Attachment(NamedTuple):  # a long list makes one for each record: no dataclass is as quick
    """One entry of `attachments[]`.

    `id` and `server_id` are canonical, None where the cloud names none that is a UUID. `listed_id` is the id
    as the cloud spells it: it compares letters, so that is the one to send. `attached_at` is its own text.
    """

    id: str | None
    listed_id: str | None
    server_id: str | None
    attached_at: str | None = None
    device: str | None = None


class Volume(NamedTuple):
    """A volume's record, as far as it matters here. `size` is in GB; `updated_at` is the cloud's text."""

    id: str
    status: str
    project_id: str | None
    attachments: tuple[Attachment, ...]
    updated_at: str | None = None
    size: int | None = None
    metadata: Mapping[str, str] = MappingProxyType({})


def _uuid(value: object) -> str | None:
    if not isinstance(value, str):
        return None
    try:
        return canonical(value)
    except ValueError:
        return None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def read_volume(record: Any) -> Volume:
    """Read a volume's record. Raises ValueError when it is none."""
    volume_id = _uuid(record.get("id")) if isinstance(record, dict) else None
    status = _text(record.get("status")) if volume_id else None
    entries = record.get("attachments") if status else None
    if volume_id is None or status is None or not isinstance(entries, list):
        raise ValueError("no volume")
    attachments = []
    for entry in entries:
        if not isinstance(entry, dict):
            raise ValueError("no attachment")  # noqa: TRY004 (the answer is wrong, not our types)
        listed = _text(entry.get("attachment_id"))
        attachment_id = _uuid(listed)
        attachments.append(
            Attachment(
                id=attachment_id,
                listed_id=listed if attachment_id else None,
                server_id=_uuid(entry.get("server_id")),
                attached_at=_text(entry.get("attached_at")),
                device=_text(entry.get("device")),
            )
        )
    size, metadata = record.get("size"), record.get("metadata")
    return Volume(
        id=volume_id,
        status=status,
        project_id=_text(record.get("os-vol-tenant-attr:tenant_id")),
        attachments=tuple(attachments),
        updated_at=_text(record.get("updated_at")),
        size=size if isinstance(size, int) else None,
        metadata=metadata if isinstance(metadata, dict) else {},
    )


class Volumes(Service):
    """Calls of one invocation at the volume service."""

    def get(self, volume_id: str, context: CallContext) -> Volume | None:
        """The volume, or None when the service itself says that there is none. Raises Failure."""
        answer = self.ask("GET", f"volumes/{volume_id}", context)
        if answer.status == 200:
            try:
                volume = read_volume(loads(answer.body)["volume"])
            except (ValueError, KeyError, TypeError):
                raise unreadable(answer, SERVICE) from None
            if volume.id != volume_id:
                raise unreadable(answer, SERVICE)
            return volume
        if names_absence(answer, _NOT_FOUND_CODES, of=volume_id):
            return None
        raise failure(answer, SERVICE)

    def detach(self, volume_id: str, attachment: Attachment, context: CallContext) -> Answer:
        """Send `os-detach` for this attachment, once. The status alone says little: look at the volume after.

        Raises DeadlineExceeded, and sends nothing, when less time is left than its answer may take; NoAnswer
        when nothing came back: the record may be cleared all the same.
        """
        body = json.dumps({"os-detach": {"attachment_id": attachment.listed_id}}).encode()
        return self.ask(
            "POST", f"volumes/{volume_id}/action", context, body=body, needs=self._transport.read_timeout
        )

    def list(self, context: CallContext, query: Mapping[str, str]) -> Listing[Volume]:
        """The project's volumes. A cloud may ignore a filter (Cinder does with `server_id`): look again."""

        def fetch(marker: str | None) -> Answer:
            paged: dict[str, str | int] = {"limit": PAGE, **query}
            if marker is not None:
                paged["marker"] = marker
            return self.ask("GET", "volumes/detail", context, query=paged, largest=LARGEST_PAGE)

        return Listing(SERVICE, "volumes", _WANTED, read_volume, fetch, context.deadline)
