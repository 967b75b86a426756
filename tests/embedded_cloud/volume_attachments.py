"""Nova's os-volume_attachments: which disks a server has, attach, and the detach of a live server's disk.

Refusals, their order and words are as recorded from Nova 34; what is Huawei Cloud's for them stands beside.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from tests.embedded_cloud import entries, server_view
from tests.embedded_cloud.messages import Answer, json_answer
from tests.embedded_cloud.records import Action, Disk, Event
from tests.embedded_cloud.refusal import Refusal

if TYPE_CHECKING:
    from tests.embedded_cloud.identity import Token
    from tests.embedded_cloud.messages import Call
    from tests.embedded_cloud.records import Server, Volume
    from tests.embedded_cloud.world import World

Version = tuple[int, int]

DETACHABLE = {"active", "paused", "stopped", "resized", "soft-delete", "shelved", "shelved_offloaded"}
_SHELVED = {"shelved", "shelved_offloaded"}
_NOT_IN_USE = (
    "Invalid volume: Invalid input received: Invalid volume: Unable to detach volume. Volume status must be "
    "'in-use' and attach_status must be 'attached' to detach. (HTTP 400) (Request-ID: req-{})"
)
# The disk that a server's image is on is a row of Nova's, too, and the first: it is paged but never shown.
_IMAGES_DISK = Disk("/dev/sda", "", "")


class VolumeAttachments:
    def __init__(self, world: World) -> None:
        self.world = world
        self.behaviour = world.behaviour

    def listed(self, server: Server, limit: int, offset: int, version: Version) -> Answer:
        """List a server's volumes. Nova pages before it leaves out the disk that the image is on."""
        shown = self.behaviour.flavour == "huawei" or server.from_volume
        hidden: list[tuple[str, Disk]] = [] if shown else [("", _IMAGES_DISK)]
        devices = [*hidden, *server.known_disks.items()][offset : offset + limit]
        rows = [server_view.disk(server, id_, disk, version) for id_, disk in devices if id_]
        return json_answer(200, {"volumeAttachments": rows})

    def show(self, server: Server, asked: str, volume_id: str, version: Version) -> Answer:
        row = server_view.disk(server, volume_id, self._disk(server, asked, volume_id), version)
        return json_answer(200, {"volumeAttachment": row})

    def delete(
        self, server: Server, asked: str, volume_id: str, token: Token, version: Version, request: str
    ) -> Answer:
        """Detach a volume: 202 means begun, but of a server that no host has, done."""
        check_role(token, "delete")
        if server.vm_state in _SHELVED and version < (2, 20):
            raise _state(asked, "vm_state", server.vm_state)
        volume = self.checked(server, asked, volume_id, token)
        if server.vm_state == "shelved_offloaded":
            self._detach_from_nowhere(server, volume, server.disks[volume_id], request)
        else:
            self.check_host(server)
            if not entries.begin_detaching(volume, self.behaviour.stamp()):
                raise Refusal(400, _NOT_IN_USE.format(uuid.uuid4()), (400, "Ecs.0102"))
            self.world.jobs.start(server, volume, request)
        return Answer(202, b"", [("Content-Type", "application/json")])

    def checked(self, server: Server, asked: str, volume_id: str, token: Token) -> Volume:
        """Find a volume that may be detached, as far as server and token say."""
        volume = self._volume(volume_id, token)
        self._check_root(server, self._disk(server, asked, volume_id))
        self._check_server(server, asked, token)
        return volume

    def create(self, server: Server, asked: str, call: Call, token: Token, version: Version) -> Answer:
        """Attach a volume. It is done at once: how long an attach may take is for tests to stage."""
        check_role(token, "create")
        wanted: dict[str, Any] = call.body["volumeAttachment"]
        if server.vm_state in _SHELVED and version < (2, 20):
            raise _state(asked, "vm_state", server.vm_state, "attach_volume")
        volume = self._volume(wanted["volumeId"], token)
        holders = [other.id for other in self.world.servers.values() if volume.id in other.disks]
        if holders and not volume.multiattach:
            message = (
                f"Invalid volume: volume {volume.id} is already attached to instances: {', '.join(holders)}"
            )
            raise Refusal(400, message)
        if volume.status != "available" and not (volume.multiattach and volume.status == "in-use"):
            message = f"Invalid volume: volume '{volume.id}' status must be 'available'"
            raise Refusal(400, f"{message}. Currently in '{volume.status}' status")
        self.world.attach(volume, server, delete_on_termination=bool(wanted.get("delete_on_termination")))
        if version >= (2, 101):
            return Answer(202, b"", [("Content-Type", "application/json")])
        row = {"id": volume.id, "serverId": asked, "volumeId": volume.id}
        return json_answer(200, {"volumeAttachment": row | {"device": server.disks[volume.id].device}})

    def _disk(self, server: Server, asked: str, volume_id: str) -> Disk:
        disk = server.known_disks.get(volume_id)
        if disk is None:
            message = f"Instance {asked} is not attached to volume {volume_id}"
            raise Refusal(404, message, (400, "Ecs.0111"))
        return disk

    def _volume(self, volume_id: str, token: Token) -> Volume:
        """Find a volume as Nova does, which asks Cinder by the caller's token."""
        volume = self.world.volumes.get(volume_id)
        if volume is None or not (token.role == "admin" or token.project_id in volume.seen_by):
            raise Refusal(404, f"Volume {volume_id} could not be found.", (404, "EVS.5404"))
        return volume

    def _check_root(self, server: Server, disk: Disk) -> None:
        """Refuse a root: Nova always, Huawei Cloud unless the server is stopped."""
        if disk.root and not (self.behaviour.flavour == "huawei" and server.status == "SHUTOFF"):
            raise Refusal(400, "Cannot detach a root device volume", (400, "Ecs.0101"))

    @staticmethod
    def _check_server(server: Server, asked: str, token: Token) -> None:
        if server.locked_by is not None and token.role != "admin":
            raise Refusal(409, f"Instance {server.id} is locked", (400, "Ecs.0605"))
        if server.vm_state not in DETACHABLE:
            raise _state(asked, "vm_state", server.vm_state)
        if server.task_state is not None:
            raise _state(asked, "task_state", server.task_state)

    def check_host(self, server: Server) -> None:
        if self.world.host(server.host).state == "down":
            raise Refusal(409, "Service is unavailable at this time.", (400, "Ecs.1001"))

    def _detach_from_nowhere(self, server: Server, volume: Volume, disk: Disk, request: str) -> None:
        """Detach from a server that was taken off its host. Here alone a detach deletes a volume."""
        moment = self.behaviour.stamp()
        event = Event("api_detach_volume", moment, moment, "Success")
        server.actions.insert(0, Action("detach_volume", moment, request, None, moment, [event]))
        del server.disks[volume.id]
        if volume.attachment(disk.attachment_id) is None:
            return
        entries.finish_detach(volume, disk.attachment_id, moment)
        if disk.delete_on_termination and not volume.attachments:
            self.world.delete_volume(volume.id, held=True)


def check_role(token: Token, action: str) -> None:
    if token.role not in {"member", "admin"}:
        text = f"Policy doesn't allow os_compute_api:os-volumes-attachments:{action} to be performed."
        raise Refusal(403, text, (403, "Ecs.0110"))


def _state(server_id: str, attribute: str, state: str, method: str = "detach_volume") -> Refusal:
    message = f"Cannot '{method}' instance {server_id} while it is in {attribute} {state}"
    return Refusal(409, message, (400, "Ecs.0100"))
