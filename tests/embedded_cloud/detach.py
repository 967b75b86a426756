"""What os-detach asks, refuses and does: the rules of Cinder's API and of its volume manager."""

from __future__ import annotations

import re
import uuid
from typing import TYPE_CHECKING, Any

from tests.embedded_cloud.refusal import ERRED, Refusal

if TYPE_CHECKING:
    from tests.embedded_cloud.guard import Guard
    from tests.embedded_cloud.identity import Token
    from tests.embedded_cloud.records import Volume
    from tests.embedded_cloud.world import World

_DETACH_POLICY = "Policy doesn't allow volume_extension:volume_actions:detach to be performed."
_BAD_STATUS = (
    "Invalid volume: Unable to detach volume. Volume status must be 'in-use' and attach_status must be "
    "'attached' to detach."
)


class Detach:
    def __init__(self, world: World, guard: Guard) -> None:
        self.world = world
        self.behaviour = world.behaviour
        self.guard = guard

    def carry_out(
        self, volume: Volume, arguments: dict[str, Any] | None, token: Token, *, by_service: bool = False
    ) -> None:
        """Clear the attachment or refuse; a service is let through where a user is not."""
        if arguments is None:
            raise Refusal(500, ERRED, (500, "EVS.5500"))
        if token.role not in {"member", *self.behaviour.policies.volume_admins}:
            raise Refusal(403, _DETACH_POLICY, (403, "EVS.5403"))
        attachment_id = arguments.get("attachment_id")
        if self.behaviour.flavour == "huawei" and volume.status != "in-use":
            raise Refusal(400, _BAD_STATUS, (400, "EVS.5400"))
        if not by_service:
            self.guard.check(volume, attachment_id, token)
        if volume.status == "maintenance":
            raise Refusal(400, "Invalid volume: The volume cannot be detached in maintenance mode.")
        self._detach(volume, attachment_id)

    def _detach(self, volume: Volume, attachment_id: str | None) -> None:
        """Clear it as Cinder's volume manager does, which trusts whoever came this far."""
        if attachment_id is None and len(volume.attachments) > 1:
            raise Refusal(
                400,
                "Invalid volume: Detach volume failed: "
                "More than one attachment, but no attachment_id provided.",
            )
        if attachment_id is not None and volume.attachment(attachment_id) is None and volume.attachments:
            other = self.guard.elsewhere(attachment_id)
            if other is not None:
                other.attachments[:] = [a for a in other.attachments if a.attachment_id != attachment_id]
            return
        self.world.detach(volume, attachment_id)


def check(arguments: Any) -> None:
    """Refuse what Cinder's JSON schema for os-detach refuses, in its words. Null passes."""
    if arguments is None:
        return
    vendor = (400, "EVS.1052")
    prefix = f"Invalid input for field/attribute os-detach. Value: {arguments}. "
    if not isinstance(arguments, dict):
        raise Refusal(400, f"{prefix}{arguments!r} is not of type 'object', 'null'", vendor)
    extra = [name for name in arguments if name != "attachment_id"]
    if extra:
        names = ", ".join(repr(name) for name in extra)
        verb = "was" if len(extra) == 1 else "were"
        text = f"{prefix}Additional properties are not allowed ({names} {verb} unexpected)"
        raise Refusal(400, text, vendor)
    value = arguments.get("attachment_id")
    if value is not None and not _uuid_like(value):
        text = f"Invalid input for field/attribute attachment_id. Value: {value}. "
        raise Refusal(400, f"{text}{value!r} is not valid under any of the given schemas", vendor)


def _uuid_like(value: object) -> bool:
    if not isinstance(value, str):
        return False
    try:
        return uuid.UUID(value).hex == re.sub(r"urn:|uuid:|[{}-]", "", value).lower()
    except ValueError:
        return False
