"""What os-detach asks, refuses and does: the rules of Cinder's API and of its volume manager."""

from __future__ import annotations

import re
import uuid
from typing import TYPE_CHECKING, Any

from tests.embedded_cloud.refusal import ERRED, Refusal

if TYPE_CHECKING:
    from tests.embedded_cloud.identity import Token
    from tests.embedded_cloud.messages import Call
    from tests.embedded_cloud.records import Volume
    from tests.embedded_cloud.world import World

_DETACH_POLICY = "Policy doesn't allow volume_extension:volume_actions:detach to be performed."
_BAD_STATUS = (
    "Invalid volume: Unable to detach volume. Volume status must be 'in-use' and attach_status must be "
    "'attached' to detach."
)
_NO_ACTION = "There is no such action: {}. Verify the request body and Content-Type header and try again."


class Detach:
    def __init__(self, world: World) -> None:
        self.world = world
        self.behaviour = world.behaviour

    def carry_out(
        self, volume: Volume, arguments: dict[str, Any] | None, token: Token, *, by_service: bool
    ) -> None:
        """Clear the attachment or refuse; a service is let through where a user is not."""
        if arguments is None:
            raise Refusal(500, ERRED, (500, "EVS.5500"))
        if token.role not in {"member", "admin"}:
            raise Refusal(403, _DETACH_POLICY, (403, "EVS.5403"))
        attachment_id = arguments.get("attachment_id")
        if self.behaviour.flavour == "huawei" and volume.status != "in-use":
            raise Refusal(400, _BAD_STATUS, (400, "EVS.5400"))
        if not by_service:
            self._check_deletion(volume, attachment_id, token)
        if volume.status == "maintenance":
            raise Refusal(400, "Invalid volume: The volume cannot be detached in maintenance mode.")
        self._detach(volume, attachment_id)

    def _check_deletion(self, volume: Volume, attachment_id: str | None, token: Token) -> None:
        """Refuse as Cinder's attachment_deletion_allowed does, for a caller that is no service."""
        if attachment_id is None:
            if not volume.attachments:
                return
            attachment = volume.attachments[0] if len(volume.attachments) == 1 else None
        else:
            attachment = volume.attachment(attachment_id)
        if attachment is None:
            if attachment_id is not None and self._elsewhere(attachment_id):
                raise Refusal(400, "Invalid input received: Mismatched volume and attachment")
            raise _conflict("")
        if not (self.behaviour.asks_compute and attachment.server_id and attachment.connected):
            return
        # To ask Nova, Cinder exchanges the caller's token; Keystone exchanges no delegated ones.
        if self.behaviour.compute_down or token.method == "application_credential":
            raise Refusal(500, ERRED, (500, "EVS.5500"))
        server = self.world.servers.get(attachment.server_id.lower())
        if server is None or not (token.role == "admin" or server.project_id == token.project_id):
            return
        disk = server.disks.get(volume.id)
        if disk is not None and disk.attachment_id == attachment.attachment_id:
            raise _conflict(server.id)

    def _elsewhere(self, attachment_id: str) -> Volume | None:
        volumes = self.world.volumes.values()
        return next((volume for volume in volumes if volume.attachment(attachment_id)), None)

    def _detach(self, volume: Volume, attachment_id: str | None) -> None:
        """Clear it as Cinder's volume manager does, which trusts whoever came this far."""
        if attachment_id is None and len(volume.attachments) > 1:
            raise Refusal(
                400,
                "Invalid volume: Detach volume failed: "
                "More than one attachment, but no attachment_id provided.",
            )
        if attachment_id is not None and volume.attachment(attachment_id) is None and volume.attachments:
            other = self._elsewhere(attachment_id)
            if other is not None:
                other.attachments[:] = [a for a in other.attachments if a.attachment_id != attachment_id]
            return
        self.world.detach(volume, attachment_id)


def arguments_of(call: Call) -> Any:
    """Give the arguments of os-detach, or refuse the body as Cinder's dispatcher does."""
    bad_request = (400, "EVS.1052")
    if not call.raw:
        raise Refusal(400, _NO_ACTION.format(None), bad_request)
    content_type = call.headers.get("content-type", "").partition(";")[0].strip().lower()
    if not content_type:
        raise Refusal(400, _NO_ACTION.format(None), bad_request)
    if content_type not in {"application/json", "application/vnd.openstack.volume+json"}:
        raise Refusal(415, "Unsupported Content-Type", (415, "EVS.5415"))
    if not isinstance(call.body, dict) or len(call.body) != 1:
        raise Refusal(400, "Malformed request body", bad_request)
    [(name, arguments)] = call.body.items()
    if name != "os-detach":
        raise Refusal(400, _NO_ACTION.format(name), bad_request)
    return arguments


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


def _conflict(server_id: str) -> Refusal:
    message = f"ConflictNovaUsingAttachment: Detach volume from instance {server_id} using the Compute API"
    return Refusal(409, message, (400, "EVS.5400"))
