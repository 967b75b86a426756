"""Cinder's attachments API (microversion 3.27): every entry of a volume, those that its record hides, too.

Recorded from a real Cinder: a volume's own record lists an entry only while it is `attached`. Reserved,
attaching and failed ones are here alone. The list is filtered by the token's project: another project's
administrator sees none where there are some. An entry of a host, of the image service or of Cinder itself
names no instance, and nobody but a careful client keeps it from being cleared.
"""

from __future__ import annotations

from typing import NamedTuple

from handler.cloud.faults import plain_word
from handler.cloud.messages import Answer
from handler.model.bounded_json import loads
from handler.model.values import canonical


class Entry(NamedTuple):
    """One entry. Ids are canonical, beside the cloud's own spelling.

    `server_id` is None where the entry names none by a UUID: a host has it, or the service itself.
    """

    id: str
    listed_id: str
    status: str
    server_id: str | None
    listed_server_id: str | None

    @property
    def server_spellings(self) -> tuple[str, ...]:
        """The server's id in canonical form and, where that is another, as it is listed."""
        if self.server_id is None:
            return ()
        return tuple(dict.fromkeys((self.server_id, self.listed_server_id or self.server_id)))


def read_entries(answer: Answer, volume_id: str) -> tuple[Entry, ...] | None:
    """The entries that the answer lists; None where it can't be known that these are the volume's, and all.

    One of another volume shows that the filter was ignored: then ours may be on another page.
    """
    try:
        body = loads(answer.body)
        listed = body["attachments"]
        if body.get("attachments_links"):
            return None
        entries = []
        for row in listed:
            if canonical(row["volume_id"]) != volume_id:
                return None
            instance = row["instance"]
            entries.append(
                Entry(
                    id=canonical(row["id"]),
                    listed_id=row["id"],
                    status=plain_word(row["status"], answer.secrets),
                    server_id=_server(instance),
                    listed_server_id=instance if _server(instance) else None,
                )
            )
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    if len({entry.id for entry in entries}) != len(entries):
        return None
    return tuple(entries)


def _server(instance: object) -> str | None:
    try:
        return canonical(instance) if isinstance(instance, str) else None
    except ValueError:
        return None
