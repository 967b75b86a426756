"""How a volume's status follows from its entries: what Cinder's database does, whoever asks."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.embedded_cloud.records import Volume

_STATUS_OF = {"attached": "in-use", "detached": "available"}


def statuses(volume: Volume) -> tuple[str, str]:
    """Work out status and attach_status: attached before attaching before reserved; errors don't count."""
    counted = sorted(entry.status for entry in volume.attachments if not entry.status.startswith("error_"))
    attach_status: str = counted[0] if counted else "detached"
    return _STATUS_OF.get(attach_status, attach_status), attach_status


def finish_detach(volume: Volume, attachment_id: str | None, moment: str) -> None:
    """Let an entry go, there or not, and work the record out anew, whatever it said before."""
    volume.attachments[:] = [entry for entry in volume.attachments if entry.attachment_id != attachment_id]
    status, volume.attach_status = statuses(volume)
    if volume.attach_status != "detached" or volume.status != "uploading":
        volume.status = status
    volume.updated_at = moment


def forget(volume: Volume, moment: str) -> None:
    """Set a volume without entries free, as os-detach without an id does, unasked."""
    volume.status, volume.attach_status, volume.updated_at = "available", "detached", moment


def unreserve(volume: Volume, moment: str) -> None:
    if volume.status == "attaching":
        volume.status = "in-use" if volume.attachments else "available"
        volume.updated_at = moment


def begin_detaching(volume: Volume, moment: str) -> bool:
    """Mark it; False when it is not in use."""
    if (volume.status, volume.attach_status) != ("in-use", "attached"):
        return False
    volume.status, volume.updated_at = "detaching", moment
    return True


def roll_detaching(volume: Volume, moment: str) -> None:
    if volume.status == "detaching":
        volume.status, volume.updated_at = "in-use", moment
