"""The volume service (EVS, Cinder): one volume, and the call that clears an attachment's record.

Facts: the vendor's pages "Querying Details About a Disk" and "Detaching an EVS Disk (Deprecated)"; Cinder's
`api/contrib/volume_actions.py`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from handler.cloud.absence import Absence, Speech
from handler.cloud.entries import Entry, read_entries
from handler.cloud.faults import failure, plain_word, upstream
from handler.cloud.messages import Answer
from handler.cloud.paging import LARGEST_PAGE, PAGE, Listing, record
from handler.cloud.service import Lacking, Service, text_of, unreadable
from handler.errors import Failure, Misconfigured, UpstreamUnavailable
from handler.invocation import CallContext
from handler.model.bounded_json import loads_leniently
from handler.model.values import canonical, http_date

if TYPE_CHECKING:
    from handler.cloud.side_by_side import Beside

SERVICE = "volume"
ABSENT = Speech(frozenset({"volume", "disk"}), "Volume could not be found", frozenset({"EVS.5404"}))
ENTRIES_VERSION = "3.27"
"""The first that has the attachments API."""

_LONGEST_ID = 64  # letters of a listed id: a UUID as a URN in braces has 47

_DELEGATED = (
    "The volume service answered 500, as Cinder does to every delegated token (an application credential's, "
    "a trust's) where it asks Nova before it detaches: Keystone gives it none to ask with. Use a password: a "
    "user's, in the secret that DETACH_TOKEN_SECRET names."
)
"""Recorded: Keystone refuses to issue a token for a delegated one (403), and Cinder makes a 500 of that."""

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
    """A volume's record, as far as it matters here. `size` is in GB; `updated_at` is the cloud's text.

    `multiattach` is None where the record doesn't say. `read_at` is when the service gave this answer, by its
    own clock (epoch seconds), None where it doesn't say or for a volume of a list.
    """

    id: str
    status: str
    project_id: str | None
    attachments: tuple[Attachment, ...]
    updated_at: str | None = None
    size: int | None = None
    metadata: Mapping[str, str] = MappingProxyType({})
    name: str | None = None
    multiattach: bool | None = None
    read_at: float | None = None


def _uuid(value: object) -> str | None:
    if not isinstance(value, str) or len(value) > _LONGEST_ID:
        return None
    try:
        return canonical(value)
    except ValueError:
        return None


def read_volume(record: Any, secrets: tuple[str, ...] = ()) -> Volume:
    """Read a volume's record. Raises ValueError when it is not one. Its status will be none of `secrets`."""
    volume_id = _uuid(record.get("id")) if isinstance(record, dict) else None
    status = text_of(record.get("status")) if volume_id else None
    entries = record.get("attachments") if status else None
    if volume_id is None or status is None or not isinstance(entries, list):
        raise ValueError("no volume")
    owner = record.get("os-vol-tenant-attr:tenant_id")
    project_id = text_of(owner)
    if owner is not None and project_id is None:
        raise ValueError("no project")  # it says whose it is, and that can't be compared
    size, metadata, shared = record.get("size"), record.get("metadata"), record.get("multiattach")
    # By position: a long list makes one for each record, and by name it takes twice as long
    return Volume(
        volume_id,
        plain_word(status, secrets),
        project_id,
        tuple([_read_attachment(entry) for entry in entries]),
        text_of(record.get("updated_at")),
        size if isinstance(size, int) else None,
        metadata if isinstance(metadata, dict) else {},
        text_of(record.get("name")),
        shared if isinstance(shared, bool) else None,
    )


def _read_attachment(entry: Any) -> Attachment:
    if not isinstance(entry, dict):
        raise ValueError("no attachment")  # noqa: TRY004 (the answer is wrong, not our types)
    listed, named = text_of(entry.get("attachment_id")), entry.get("server_id")
    attachment_id, server_id = _uuid(listed), _uuid(named)
    return Attachment(
        attachment_id,
        listed if attachment_id else None,
        server_id,
        text_of(entry.get("attached_at")),
        text_of(entry.get("device")),
        named if server_id else None,
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
        if answer.kept:
            raise UpstreamUnavailable(
                "The volume service's answer is one that a cache kept (Age), though it was asked not to: it "
                "shows the record as it was once. Check what stands between.",
                upstream=upstream(answer),
            )
        try:
            volume = read_volume(loads_leniently(answer.body)["volume"], answer.secrets)
        except (ValueError, KeyError, TypeError):
            raise unreadable(answer, SERVICE) from None
        if volume.id != volume_id:
            raise unreadable(answer, SERVICE)
        return volume._replace(read_at=http_date(answer.headers.get("Date", "")))

    def entries(
        self, volume_id: str, context: CallContext, *, fresh: bool = False
    ) -> tuple[Entry, ...] | None:
        """Every entry of the volume, those that its record hides included, by the attachments API.

        None where the service has no such API, or doesn't show all: then what a record hides is not known.
        A list without any names nobody: it is to be read again, `fresh` (on a connection made for it).
        """
        query = {"volume_id": volume_id}
        answer = self.ask_at(ENTRIES_VERSION, "attachments", context, query=query, api="v3", fresh=fresh)
        if isinstance(answer, Lacking) or answer.kept or answer.status == 404:
            return None
        if answer.status != 200:
            raise failure(answer, SERVICE)
        return read_entries(answer, volume_id)

    def detach(
        self, volume_id: str, attachment: Attachment | Entry | None, proof: str, context: CallContext
    ) -> Answer:
        """Send `os-detach` for this attachment, once. The status alone says little: look at the volume after.

        None stands for a record that has no entry at all: it is set free, unasked. `proof` is the word for
        what showed that nobody holds the disk: it is logged before the call leaves. Raises DeadlineExceeded,
        and sends nothing, when less time is left than its answer may take; NoAnswer when nothing came back:
        the record may be cleared all the same.
        """
        arguments = {"attachment_id": attachment.listed_id} if attachment is not None else {}
        changes = {
            "attachment_id": attachment.id if attachment is not None else None,
            "server_id": attachment.server_id if attachment is not None else None,
            "proof": proof,
        }
        return self._act(volume_id, "os-detach", arguments, changes, context)

    def unreserve(self, volume_id: str, proof: str, context: CallContext) -> Answer:
        """Send `os-unreserve`, once. Its 202 says nothing: Cinder gives it, too, where it does nothing."""
        return self._act(volume_id, "os-unreserve", {}, {"proof": proof}, context)

    def roll_detaching(self, volume_id: str, server_id: str, proof: str, context: CallContext) -> Answer:
        """Send `os-roll_detaching`, once: the record says in-use again. It does not stop a job."""
        return self._act(
            volume_id, "os-roll_detaching", {}, {"server_id": server_id, "proof": proof}, context
        )

    def _act(
        self,
        volume_id: str,
        name: str,
        arguments: Mapping[str, str | None],
        changes: Mapping[str, Any],
        context: CallContext,
    ) -> Answer:
        return self.ask(
            "POST",
            f"volumes/{volume_id}/action",
            context,
            body=json.dumps({name: arguments}).encode(),
            needs=self._transport.read_timeout,
            changes={"call": name, "volume_id": volume_id, **changes},
        )

    def why_not_detached(self, answer: Answer) -> Failure:
        """The failure that an answer to a call that changes the record means."""
        fault = failure(answer, SERVICE)
        if answer.status == 500 and self.delegated:
            return Misconfigured(_DELEGATED, upstream=fault.upstream)
        return fault

    def list(self, context: CallContext, query: Mapping[str, str]) -> Listing[Volume]:
        """The volumes of the project, or of all projects.

        A cloud may ignore a filter (Cinder does with a member's `server_id`): look again.
        """

        def fetch(marker: str | None) -> Answer:
            return self._page(context, query if marker is None else {**query, "marker": marker})

        return Listing(SERVICE, "volumes", _WANTED, read_volume, fetch, context.deadline)

    def beside(
        self,
        context: CallContext,
        query: Mapping[str, str],
        most: Callable[[], int],
        unsure: Callable[[], None],
    ) -> Beside:
        """How the same list is asked for side by side: Cinder and EVS take an `offset`. See Beside."""
        from handler.cloud.side_by_side import Beside  # noqa: PLC0415 (a sweep's lists only)

        return Beside(lambda offset: self._page(context, {**query, "offset": str(offset)}), most, unsure)

    def _page(self, context: CallContext, query: Mapping[str, str]) -> Answer:
        paged: dict[str, str | int] = {"limit": PAGE, **self.listed, **query}
        return self.ask("GET", "volumes/detail", context, query=paged, largest=LARGEST_PAGE)
