"""How the compute service shows a server and the volumes at it."""

from __future__ import annotations

import uuid
from json.encoder import encode_basestring_ascii as quoted
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.embedded_cloud.identity import Token
    from tests.embedded_cloud.records import Disk, Server

INTERNAL_HOST = "http://nova.localdomain.com:8774"

_VM_STATES = {
    "SHUTOFF": "stopped",
    "SOFT_DELETED": "soft-delete",
    "BUILD": "building",
    "RESCUE": "rescued",
}
_WITH_PROGRESS = {"ACTIVE", "BUILD", "REBUILD", "RESIZE", "VERIFY_RESIZE", "MIGRATING", "SHELVED"}


def disk(server: Server, volume_id: str, held: Disk, version: tuple[int, int]) -> dict[str, Any]:
    row: dict[str, Any] = {"id": volume_id} if version < (2, 89) else {}
    row |= {"volumeId": volume_id, "serverId": server.id, "device": held.device}
    if version >= (2, 70):
        row["tag"] = None
    if version >= (2, 79):
        row["delete_on_termination"] = False
    if version >= (2, 89):
        row |= {"attachment_id": held.attachment_id, "bdm_uuid": held.bdm_uuid}
    return row


def brief(server: Server) -> str:
    return (
        f'{{"id": "{server.id}", "name": {quoted(server.name)}, "links": [{{"rel": "self", "href": '
        f'"{INTERNAL_HOST}/v2.1/{server.project_id}/servers/{server.id}"}}, {{"rel": "bookmark", "href": '
        f'"{INTERNAL_HOST}/{server.project_id}/servers/{server.id}"}}]}}'
    )


def detailed(server: Server, token: Token) -> dict[str, Any]:
    project = server.project_id
    image = "00000000-0000-4000-8000-000000000001"
    view: dict[str, Any] = {
        "accessIPv4": "",
        "accessIPv6": "",
        "addresses": {},
        "created": server.created[:19] + "Z",
        "flavor": {
            "id": "rig",
            "links": [{"rel": "bookmark", "href": f"{INTERNAL_HOST}/{project}/flavors/rig"}],
        },
        "hostId": uuid.uuid5(uuid.NAMESPACE_DNS, project).hex * 2,
        "id": server.id,
        "image": {
            "id": image,
            "links": [{"rel": "bookmark", "href": f"{INTERNAL_HOST}/{project}/images/{image}"}],
        },
        "links": [
            {"rel": "self", "href": f"{INTERNAL_HOST}/v2.1/{project}/servers/{server.id}"},
            {"rel": "bookmark", "href": f"{INTERNAL_HOST}/{project}/servers/{server.id}"},
        ],
        "metadata": {},
        "name": server.name,
        "status": server.status,
        "tenant_id": project,
        "user_id": token.user_id,
        "updated": server.updated[:19] + "Z",
        "OS-DCF:diskConfig": "MANUAL",
    }
    if server.status in _WITH_PROGRESS:
        view["progress"] = 0
    view |= {
        "OS-EXT-AZ:availability_zone": "nova",
        "config_drive": "",
        "key_name": None,
        "OS-SRV-USG:launched_at": server.created,
        "OS-SRV-USG:terminated_at": server.deleted_at,
        "OS-EXT-STS:task_state": server.task_state,
        "OS-EXT-STS:vm_state": _VM_STATES.get(server.status, server.status.lower()),
        "OS-EXT-STS:power_state": {"ACTIVE": 1, "SHUTOFF": 4}.get(server.status, 0),
        "os-extended-volumes:volumes_attached": [{"id": volume_id} for volume_id in server.disks],
    }
    if token.role == "admin":
        view |= {
            "OS-EXT-SRV-ATTR:host": "compute-1",
            "OS-EXT-SRV-ATTR:hypervisor_hostname": "compute-1",
            "OS-EXT-SRV-ATTR:instance_name": f"instance-{server.id[:8]}",
        }
    return view
