"""Cinder's guard since the mend of CVE-2023-2088: a user may not take an entry away that Nova holds.

It has three holes, all recorded: it lets pass, without asking, an entry made without a connector and a volume
without any entry; and it asks Nova only about the server that the entry names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.embedded_cloud.refusal import ERRED, Refusal

if TYPE_CHECKING:
    from tests.embedded_cloud.identity import Token
    from tests.embedded_cloud.records import Attachment, Volume
    from tests.embedded_cloud.world import World


class Guard:
    def __init__(self, world: World) -> None:
        self.world = world
        self.behaviour = world.behaviour

    def check(self, volume: Volume, attachment_id: str | None, token: Token) -> None:
        """Refuse as attachment_deletion_allowed does, for a caller that is no service."""
        if attachment_id is None:
            if not volume.attachments:
                return
            entry = volume.attachments[0] if len(volume.attachments) == 1 else None
        else:
            entry = volume.attachment(attachment_id)
        if entry is None:
            if attachment_id is not None and self.elsewhere(attachment_id):
                raise Refusal(400, "Invalid input received: Mismatched volume and attachment")
            raise _conflict("")
        self.check_entry(volume, entry, token)

    def check_entry(self, volume: Volume, entry: Attachment, token: Token) -> None:
        if not (self.behaviour.asks_compute and entry.server_id and entry.connected):
            return
        # To ask Nova, Cinder exchanges the caller's token; Keystone exchanges no delegated ones.
        if self.behaviour.compute_down or token.method == "application_credential":
            raise Refusal(500, ERRED, (500, "EVS.5500"))
        server = self.world.servers.get(entry.server_id.lower())
        if server is None or not self.world.behaviour.policies.see_server(token, server):
            return
        if self.world.in_down_cell(server):
            raise Refusal(500, ERRED, (500, "EVS.5500"))
        disk = server.known_disks.get(volume.id)
        if disk is not None and disk.attachment_id == entry.attachment_id:
            raise _conflict(server.id)

    def elsewhere(self, attachment_id: str) -> Volume | None:
        """Find another volume by one of its entries."""
        volumes = self.world.volumes.values()
        return next((volume for volume in volumes if volume.attachment(attachment_id)), None)


def _conflict(server_id: str) -> Refusal:
    message = f"ConflictNovaUsingAttachment: Detach volume from instance {server_id} using the Compute API"
    return Refusal(409, message, (400, "EVS.5400"))
