"""Volumes whose record is stuck, in the states that were recorded from a real cloud.

N1 to N16: no server holds it, its server was never there, or (N3) lives and does not have it. L1 to L12: a
live server holds it, whatever the record says. N16 and L12 are sound records, for comparison.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.embedded_cloud.records import Attachment

if TYPE_CHECKING:
    from tests.embedded_cloud.behaviour import When
    from tests.embedded_cloud.records import EntryStatus, Volume
    from tests.embedded_cloud.world import World

# By row: status, attach_status, and the entry's own status, None where there is no entry.
ROWS: dict[str, tuple[str, str, EntryStatus | None]] = {
    "N1": ("attaching", "detached", None),
    "N2": ("reserved", "detached", "reserved"),
    "N3": ("reserved", "detached", "reserved"),
    "N4": ("attaching", "attaching", "attaching"),
    "N5": ("detaching", "attached", "attached"),
    "N6": ("detaching", "detached", None),
    "N7": ("error_detaching", "attached", "attached"),
    "N8": ("error_detaching", "detached", None),
    "N9": ("error_attaching", "error_attaching", "error_attaching"),
    "N10": ("error_attaching", "detached", None),
    "N11": ("in-use", "attached", None),
    "N12": ("available", "attached", "attached"),
    "N13": ("maintenance", "detached", None),
    "N14": ("maintenance", "attached", "attached"),
    "N15": ("error", "attached", "attached"),
    "N16": ("in-use", "attached", "attached"),
    "L1": ("reserved", "reserved", "reserved"),
    "L2": ("attaching", "attaching", "attaching"),
    "L3": ("detaching", "attached", "attached"),
    "L4": ("detaching", "attached", None),
    "L5": ("error_detaching", "attached", "attached"),
    "L6": ("error_attaching", "error_attaching", "error_attaching"),
    "L7": ("in-use", "attached", None),
    "L8": ("available", "attached", "attached"),
    "L9": ("available", "detached", None),
    "L10": ("maintenance", "attached", "attached"),
    "L11": ("error", "attached", "attached"),
    "L12": ("in-use", "attached", "attached"),
}


@dataclass(frozen=True, slots=True)
class Stuck:
    """``attachment_id`` is the entry's, or the one that it had while it was there."""

    volume: Volume
    server_id: str
    attachment_id: str


def plant(world: World, row: str, updated_at: When | None = None, project_id: str | None = None) -> Stuck:
    """Make a volume in a recorded state; changed a month ago unless said otherwise."""
    status, attach_status, entry_status = ROWS[row]
    with world.lock:
        server_id = str(uuid.uuid4())
        held = row.startswith("L")
        if held or row == "N3":
            world.add_server(
                server_id, "SHELVED_OFFLOADED" if row == "L1" else "ACTIVE", project_id=project_id
            )
        link = Attachment(str(uuid.uuid4()), server_id, "/dev/vdb", None)
        volume = world.add_volume(
            status=status,
            attachments=[link],
            attach_status=attach_status,
            known_to_compute=held,
            updated_at=updated_at,
            project_id=project_id,
        )
        link.attached_at = volume.created_at
        if entry_status is None:
            volume.attachments.clear()
        else:
            link.status, link.connected = entry_status, entry_status != "reserved"
        return Stuck(volume, server_id, link.attachment_id)
