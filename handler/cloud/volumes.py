"""The volume service (EVS, Cinder): one volume, and the call that clears an attachment's record.

Facts: the vendor's pages "Querying Details About a Disk" and "Detaching an EVS Disk (Deprecated)"; Cinder's
`api/contrib/volume_actions.py`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from handler.cloud.absence import Absence, Speech
from handler.cloud.faults import failure, plain_word
from handler.cloud.messages import Answer
from handler.cloud.paging import LARGEST_PAGE, PAGE, Listing, record
from handler.cloud.service import Service, unreadable
from handler.invocation import CallContext
from handler.model.bounded_json import loads
from handler.model.values import canonical

SERVICE = "volume"
ABSENT = Speech(frozenset({"volume", "disk"}), "Volume could not be found", frozenset({"EVS.5404"}))
_LONGEST_ID = 64  # letters of a listed id: a UUID as a URN in braces has 47

# What `read_volume` reads of a listed volume
_WANTED = record(
    "id",
    "name",
    "status",
    "os-vol-tenant-attr:tenant_id",
    "updated_at",
    "size",
    "metadata",
    attachments=record("attachment_id", "server_id", "attached_at", "device"),
)


class Attachment(NamedTuple):  # a long list makes one for each record: no dataclass is as quick
    """One entry of `attachments[]`.

    `id` and `server_id` are canonical, None where the cloud names none that is a UUID. `listed_id` and
    `listed_server_id` are the ids as the cloud spells them: it compares letters, so the one is to be sent,
    and the other asked for. `attached_at` is its own text.
    """

    id: str | None
    listed_id: str | None
    server_id: str | None
    attached_at: str | None = None
    device: str | None = None
    listed_server_id: str | None = None

    @property
    def server_spellings(self) -> tuple[str, ...]:
        """The server's id in canonical form and, where that is another, as it is listed. Empty without one.

        Nova knows a server by one spelling only: asked for in another, one that lives looks gone.
        """
        if self.server_id is None:
            return ()
        return tuple(dict.fromkeys((self.server_id, self.listed_server_id or self.server_id)))


class Volume(NamedTuple):
    """A volume's record, as far as it matters here. `size` is in GB; `updated_at` is the cloud's text."""

    id: str
    status: str
    project_id: str | None
    attachments: tuple[Attachment, ...]
    updated_at: str | None = None
    size: int | None = None
    metadata: Mapping[str, str] = MappingProxyType({})
    name: str | None = None


def _uuid(value: object) -> str | None:
    if not isinstance(value, str) or len(value) > _LONGEST_ID:
        return None
    try:
        return canonical(value)
    except ValueError:
        return None


def _text(value: object) -> str | None:
    """A text that can be sent on: half of a surrogate pair, which JSON can hold, is replaced."""
    if not isinstance(value, str) or not value:
        return None
    return value if value.isascii() else value.encode("utf-8", "replace").decode()


def read_volume(record: Any, secrets: tuple[str, ...] = ()) -> Volume:
    """Read a volume's record. Raises ValueError when it is none. Its status will be none of `secrets`."""
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
        server_id = _uuid(entry.get("server_id"))
        attachments.append(
            Attachment(
                id=attachment_id,
                listed_id=listed if attachment_id else None,
                server_id=server_id,
                attached_at=_text(entry.get("attached_at")),
                device=_text(entry.get("device")),
                listed_server_id=entry["server_id"] if server_id else None,
            )
        )
    size, metadata = record.get("size"), record.get("metadata")
    return Volume(
        id=volume_id,
        status=plain_word(status, secrets),
        project_id=_text(record.get("os-vol-tenant-attr:tenant_id")),
        attachments=tuple(attachments),
        updated_at=_text(record.get("updated_at")),
        size=size if isinstance(size, int) else None,
        metadata=metadata if isinstance(metadata, dict) else {},
        name=_text(record.get("name")),
    )


class Volumes(Service):
    """Calls of one invocation at the volume service."""

    def get(self, volume_id: str, context: CallContext) -> Volume | None:
        """The volume, or None when the service itself says that there is none. Raises Failure."""
        answer = self.look_up(f"volumes/{volume_id}", ABSENT, context, of=volume_id)
        if isinstance(answer, Absence):
            return None
        if answer.status != 200:
            raise failure(answer, SERVICE)
        try:
            volume = read_volume(loads(answer.body)["volume"], answer.secrets)
        except (ValueError, KeyError, TypeError):
            raise unreadable(answer, SERVICE) from None
        if volume.id != volume_id:
            raise unreadable(answer, SERVICE)
        return volume

    def detach(self, volume_id: str, attachment: Attachment, proof: str, context: CallContext) -> Answer:
        """Send `os-detach` for this attachment, once. The status alone says little: look at the volume after.

        `proof` is the word for what showed that its server is gone: it is logged before the call leaves.
        Raises DeadlineExceeded, and sends nothing, when less time is left than its answer may take; NoAnswer
        when nothing came back: the record may be cleared all the same.
        """
        body = json.dumps({"os-detach": {"attachment_id": attachment.listed_id}}).encode()
        return self.ask(
            "POST",
            f"volumes/{volume_id}/action",
            context,
            body=body,
            needs=self._transport.read_timeout,
            changes={
                "call": "os-detach",
                "volume_id": volume_id,
                "attachment_id": attachment.id,
                "server_id": attachment.server_id,
                "proof": proof,
            },
        )

    def list(self, context: CallContext, query: Mapping[str, str]) -> Listing[Volume]:
        """The project's volumes. A cloud may ignore a filter (Cinder does with `server_id`): look again."""

        def fetch(marker: str | None) -> Answer:
            paged: dict[str, str | int] = {"limit": PAGE, **query}
            if marker is not None:
                paged["marker"] = marker
            return self.ask("GET", "volumes/detail", context, query=paged, largest=LARGEST_PAGE)

        return Listing(SERVICE, "volumes", _WANTED, read_volume, fetch, context.deadline)
