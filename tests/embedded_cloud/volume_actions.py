"""Cinder's actions on a volume: who may call which, and what each really does to the record.

os-detach is told in detach.py. Most answer 202 too when they do nothing, as recorded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.embedded_cloud import detach, entries
from tests.embedded_cloud.messages import Answer
from tests.embedded_cloud.refusal import Refusal

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.embedded_cloud.guard import Guard
    from tests.embedded_cloud.identity import Token
    from tests.embedded_cloud.messages import Call
    from tests.embedded_cloud.records import Volume
    from tests.embedded_cloud.world import World

_NO_ACTION = "There is no such action: {}. Verify the request body and Content-Type header and try again."
_NOT_IN_USE = (
    "Invalid volume: Unable to detach volume. Volume status must be 'in-use' and attach_status must be "
    "'attached' to detach."
)
_NO_ENTRIES = "Cannot reset-state to in-use because volume does not have any attachments."

# What an administrator may write over a status with; Cinder prints it as it stands here.
_RESETTABLE = (
    *("creating", "available", "deleting", "error", "error_deleting", "error_managing", "managing"),
    *("attaching", "in-use", "detaching", "maintenance", "restoring-backup", "error_restoring", "reserved"),
    *("awaiting-transfer", "backing-up", "error_backing-up", "error_extending", "downloading", "uploading"),
    *("retyping", "extending"),
)


class VolumeActions:
    def __init__(self, world: World, guard: Guard) -> None:
        self.world = world
        self.behaviour = world.behaviour
        self.guard = guard
        self.detach = detach.Detach(world, guard)
        self._kinds: dict[str, tuple[str, Callable[[Volume, Any, Token], None]]] = {
            "os-unreserve": ("volume_actions:unreserve", self._unreserve),
            "os-reserve": ("volume_actions:reserve", self._reserve),
            "os-roll_detaching": ("volume_actions:roll_detaching", self._roll_detaching),
            "os-begin_detaching": ("volume_actions:begin_detaching", self._begin_detaching),
            "os-terminate_connection": ("volume_actions:terminate_connection", self._terminate),
            "os-reset_status": ("volume_admin_actions:reset_status", self._reset_status),
            "os-force_detach": ("volume_admin_actions:force_detach", self._force_detach),
        }

    def named(self, call: Call) -> tuple[str, Any]:
        """Give an action and its arguments, or refuse the body as Cinder's dispatcher does."""
        bad_request = (400, "EVS.1052")
        content_type = call.headers.get("content-type", "").partition(";")[0].strip().lower()
        if not call.raw or not content_type:
            raise Refusal(400, _NO_ACTION.format(None), bad_request)
        if content_type not in {"application/json", "application/vnd.openstack.volume+json"}:
            raise Refusal(415, "Unsupported Content-Type", (415, "EVS.5415"))
        if not isinstance(call.body, dict) or len(call.body) != 1:
            raise Refusal(400, "Malformed request body", bad_request)
        [(name, arguments)] = call.body.items()
        if name != "os-detach" and name not in self._known():
            raise Refusal(400, _NO_ACTION.format(name), bad_request)
        return name, arguments

    def _known(self) -> set[str]:
        """Name the actions beside os-detach; the vendor documents two, and none for administrators."""
        return {"os-unreserve", "os-reserve"} if self.behaviour.flavour == "huawei" else set(self._kinds)

    def act(self, volume: Volume, name: str, arguments: Any, token: Token, *, by_service: bool) -> Answer:
        if name == "os-detach":
            self.detach.carry_out(volume, arguments, token, by_service=by_service)
        else:
            policy, action = self._kinds[name]
            roles = {"admin"} if "admin" in policy else {"member", "admin"}
            if token.role not in roles:
                text = f"Policy doesn't allow volume_extension:{policy} to be performed."
                raise Refusal(403, text, (403, "EVS.5403"))
            action(volume, arguments, token)
        return Answer(202, b"", [("Content-Type", "application/json")])

    def _unreserve(self, volume: Volume, _arguments: Any, _token: Token) -> None:
        entries.unreserve(volume, self.behaviour.stamp())

    def _reserve(self, volume: Volume, _arguments: Any, _token: Token) -> None:
        if volume.status != "available" and not (volume.multiattach and volume.status == "in-use"):
            text = f"Invalid volume: Volume {volume.id} status must be available or downloading to reserve"
            raise Refusal(400, f"{text}, but the current status is {volume.status}.", (400, "EVS.5400"))
        volume.status, volume.updated_at = "attaching", self.behaviour.stamp()

    def _roll_detaching(self, volume: Volume, _arguments: Any, _token: Token) -> None:
        entries.roll_detaching(volume, self.behaviour.stamp())

    def _begin_detaching(self, volume: Volume, _arguments: Any, _token: Token) -> None:
        if not entries.begin_detaching(volume, self.behaviour.stamp()):
            raise Refusal(400, _NOT_IN_USE)

    def _terminate(self, volume: Volume, _arguments: Any, token: Token) -> None:
        self.guard.check(volume, None, token)
        entries.unreserve(volume, self.behaviour.stamp())

    def _force_detach(self, volume: Volume, arguments: Any, token: Token) -> None:
        self._terminate(volume, arguments, token)
        self.detach.carry_out(volume, {"attachment_id": arguments.get("attachment_id")}, token)

    def _reset_status(self, volume: Volume, arguments: dict[str, Any], _token: Token) -> None:
        """Write what one is told. The backend is not told, and nobody is asked."""
        status = (arguments.get("status") or "").lower()
        attach_status = (arguments.get("attach_status") or "").lower()
        if status == "deleting":
            raise Refusal(400, f"Cannot reset-state to {status}")
        if status == "in-use" and not volume.attachments:
            raise Refusal(400, _NO_ENTRIES)
        volume.status, volume.attach_status = status or volume.status, attach_status or volume.attach_status
        volume.updated_at = self.behaviour.stamp()
        if attach_status == "detached":
            for entry in list(volume.attachments):
                entries.finish_detach(volume, entry.attachment_id, self.behaviour.stamp())


def check(name: str, arguments: Any) -> None:
    """Refuse arguments that Cinder's schemas refuse. Those of the plain marks may be anything."""
    if name == "os-detach":
        detach.check(arguments)
    elif name == "os-terminate_connection":
        _check_object(name, arguments, {"connector"})
        if "connector" not in arguments:
            text = f"Invalid input for field/attribute {name}. Value: {arguments}. "
            raise Refusal(400, text + "'connector' is a required property")
    elif name == "os-force_detach":
        _check_object(name, arguments, {"connector", "attachment_id"})
    elif name == "os-reset_status":
        _check_object(name, arguments, {"status", "attach_status", "migration_status"})
        status = arguments.get("status")
        if status and status.lower() not in _RESETTABLE:
            raise Refusal(400, f"Volume status: {status} is invalid, valid statuses are: {_RESETTABLE}.")


def _check_object(name: str, arguments: Any, known: set[str]) -> None:
    prefix = f"Invalid input for field/attribute {name}. Value: {arguments}. "
    if not isinstance(arguments, dict):
        raise Refusal(400, f"{prefix}{arguments!r} is not of type 'object'")
    for extra in arguments.keys() - known:
        raise Refusal(400, f"{prefix}Additional properties are not allowed ({extra!r} was unexpected)")
