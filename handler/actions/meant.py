"""Which attachment somebody means who names a disk: looked up, so that a person can be shown it and asked.

Only for the terminal. An event names attachment and server itself, since a late or repeated one must never
meet a newer attachment.
"""

from __future__ import annotations

from typing import NamedTuple

from handler.actions.project import Project
from handler.cloud.servers import Server
from handler.cloud.volumes import Attachment, Volume
from handler.invocation import CallContext


class Meant(NamedTuple):
    """A disk, its attachment, and the server that holds it; `server` is None where none is shown."""

    volume: Volume
    attachment: Attachment
    server: Server | None


def find_meant(
    project: Project,
    volume_id: str,
    context: CallContext,
    *,
    attachment_id: str | None = None,
    server_id: str | None = None,
) -> Meant | None:
    """The one attachment of this volume that fits what is named; None where none or several do.

    Raises Failure where it can't be looked up.
    """
    volume = project.volumes.get(volume_id, context)
    if volume is None or project.servers is None:
        return None
    fitting = [
        entry
        for entry in volume.attachments
        if entry.id is not None
        and entry.server_id is not None
        and attachment_id in {None, entry.id}
        and server_id in {None, entry.server_id}
    ]
    if len(fitting) != 1:
        return None
    server = project.servers.find(fitting[0].server_id or "", context)
    return Meant(volume, fitting[0], server if isinstance(server, Server) else None)
