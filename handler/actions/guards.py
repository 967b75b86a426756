"""Steps 1 to 3 of the rule: whose volume it is, which attachment is meant, what state the record is in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from handler.cloud.volumes import Attachment, Volume
from handler.errors import ErrorCode, Refused
from handler.model.request import Target
from handler.model.values import epoch, same_project

if TYPE_CHECKING:  # only where stuck records are freed does a cold start pay for it
    from handler.cloud.entries import Entry

PASSING_STATES = frozenset(
    {
        "attaching",
        "detaching",
        "reserved",
        "creating",
        "extending",
        "retyping",
        "uploading",
        "downloading",
        "backing-up",
        "restoring-backup",
        "rollbacking",
        "maintenance",
    }
)
"""States that end by themselves, unless they are stuck."""

STUCK_AFTER = 3600.0  # seconds


def require_own(volume: Volume, project_id: str) -> None:
    """Raise Refused for a volume that is known to be another project's."""
    if volume.project_id is not None and not same_project(volume.project_id, project_id):
        raise Refused(
            ErrorCode.VOLUME_FOREIGN,
            "The volume belongs to another project than the configured one, so its server cannot be "
            "judged here. Call the function that is deployed for that project.",
        )


def find_attachment(volume: Volume, target: Target, now: float) -> Attachment | None:
    """The attachment that is meant; None when it is not there any more. Raises Refused where none is sure."""
    if any(entry.id is None for entry in volume.attachments):
        raise Refused(
            ErrorCode.ATTACHMENT_UNKNOWN,
            "The cloud lists an attachment of this volume without its id: it can't be told which. "
            "A cloud administrator has to look at the record.",
        )
    if target.attachment_id is not None:
        matching = [entry for entry in volume.attachments if entry.id == target.attachment_id]
    elif len(volume.attachments) > 1:
        raise Refused(
            ErrorCode.ATTACHMENT_REQUIRED,
            f"The volume has {len(volume.attachments)} attachments: say which by attachment_id "
            "(attachments[].attachment_id of the volume's record).",
        )
    else:
        matching = list(volume.attachments)
    if len(matching) > 1:
        raise Refused(
            ErrorCode.ATTACHMENT_UNKNOWN,
            "The cloud lists this attachment_id more than once: it can't be told which. A cloud "
            "administrator has to look at the record.",
        )
    if not matching:
        held_by_others = volume.status == "in-use" and volume.attachments
        if volume.status == "available" or held_by_others:
            return None
        raise wrong_state(volume, "the attachment is not listed, but the volume is not free either", now)
    require_server(matching[0].server_id, target)
    return matching[0]


def require_server(server_id: str | None, target: Target) -> None:
    """Raise Refused where the attachment is of another server than the target says."""
    if target.server_id is not None and server_id != target.server_id:
        raise Refused(
            ErrorCode.SERVER_MISMATCH,
            "The attachment belongs to another server than server_id says: nothing was cleared. Read the "
            "volume's record again before you ask again.",
        )


def choose_entry(entries: Sequence[Entry], target: Target, *, listed: bool) -> Entry | None:
    """The entry of a stuck record that is meant; None where it has none. Raises Refused where none is sure.

    `listed`: a list named it, not the caller. Its ids are a guard then, and choose none of several.
    """
    if not entries:
        if target.attachment_id is not None or target.server_id is not None:
            raise Refused(
                ErrorCode.ATTACHMENT_UNKNOWN,
                "The record has no entry at all, so it can't be the one that is named. To free a record "
                "without any, leave attachment_id and server_id out.",
            )
        return None
    if len(entries) > 1 and (listed or target.attachment_id is None):
        raise Refused(
            ErrorCode.ATTACHMENT_REQUIRED,
            f"The volume has {len(entries)} entries (attachments API): say which by attachment_id.",
        )
    if target.attachment_id is None:
        chosen = entries[0]
    else:
        named = [entry for entry in entries if entry.id == target.attachment_id]
        if not named:
            raise Refused(
                ErrorCode.ATTACHMENT_UNKNOWN,
                "The named attachment is not among the volume's entries, and the record is not free either: "
                "read it again before you ask again.",
            )
        chosen = named[0]
    require_server(chosen.server_id, target)
    return chosen


def require_in_use(volume: Volume, now: float) -> None:
    """Raise Refused for a record in another state."""
    if volume.status != "in-use":
        raise wrong_state(volume, "only an in-use record is cleared", now)


def not_stuck(volume: Volume) -> Refused:
    """The refusal of a record that a list showed as stuck a moment ago, and that is not any more."""
    return Refused(
        ErrorCode.VOLUME_STATE,
        f"The volume is {volume.status!r}, and not stuck any more as it was when it was listed: by recover a "
        "sweep frees what is stuck, and nothing else. Nothing was sent; the next sweep judges it anew.",
        retryable=volume.status in PASSING_STATES,
    )


def wrong_state(volume: Volume, why: str, now: float) -> Refused:
    """The refusal of a record that is in another state. `now` in epoch seconds."""
    state = f"The volume is {volume.status!r} ({why})."
    if volume.status not in PASSING_STATES:
        return Refused(
            ErrorCode.VOLUME_STATE,
            f"{state} That state doesn't pass by itself: a cloud administrator has to fix it "
            "(os-reset_status) once it is known why.",
        )
    since = epoch(volume.updated_at)
    if since is not None and now - since > STUCK_AFTER:
        return Refused(
            ErrorCode.VOLUME_STATE,
            f"{state} It has been so for over an hour, so it is stuck: a cloud administrator has to "
            "fix it (os-reset_status).",
        )
    return Refused(
        ErrorCode.VOLUME_STATE, f"{state} That passes by itself: ask again in a minute.", retryable=True
    )
