"""How the compute service shows a server and the volumes at it."""

from __future__ import annotations

import uuid
from json.encoder import encode_basestring_ascii as quoted
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.embedded_cloud.identity import Token
    from tests.embedded_cloud.records import Disk, Server

Version = tuple[int, int]

INTERNAL_HOST = "http://nova.localdomain.com:8774"

_WITH_PROGRESS = {"ACTIVE", "BUILD", "REBUILD", "RESIZE", "VERIFY_RESIZE", "MIGRATING", "SHELVED"}


def disk(server: Server, volume_id: str, held: Disk, version: Version) -> dict[str, Any]:
    row: dict[str, Any] = {"id": volume_id} if version < (2, 89) else {}
    row |= {"volumeId": volume_id, "serverId": server.id, "device": held.device}
    if version >= (2, 70):
        row["tag"] = None
    if version >= (2, 79):
        row["delete_on_termination"] = held.delete_on_termination
    if version >= (2, 89):
        row |= {"attachment_id": held.attachment_id, "bdm_uuid": held.bdm_uuid}
    return row


def host_id(server: Server) -> str:
    """Name a server's host so that only servers of one project can be compared."""
    named = uuid.uuid5(uuid.NAMESPACE_DNS, server.project_id + server.host).hex
    return (named * 2)[:56] if server.placed else ""


def brief(server: Server) -> str:
    return (
        f'{{"id": "{server.id}", "name": {quoted(server.name)}, "links": [{{"rel": "self", "href": '
        f'"{INTERNAL_HOST}/v2.1/{server.project_id}/servers/{server.id}"}}, {{"rel": "bookmark", "href": '
        f'"{INTERNAL_HOST}/{server.project_id}/servers/{server.id}"}}]}}'
    )


def _links(server: Server) -> list[dict[str, str]]:
    project = server.project_id
    return [
        {"rel": "self", "href": f"{INTERNAL_HOST}/v2.1/{project}/servers/{server.id}"},
        {"rel": "bookmark", "href": f"{INTERNAL_HOST}/{project}/servers/{server.id}"},
    ]


def unknown(server: Server, *, detail: bool) -> dict[str, Any]:
    """Show what is left of a server in a list while its cell is down, from microversion 2.69."""
    view: dict[str, Any] = {"id": server.id, "status": "UNKNOWN"}
    if detail:
        view |= {"tenant_id": server.project_id, "created": server.created[:19] + "Z"}
    return view | {"links": _links(server)}


def unknown_shown(server: Server, token: Token, version: Version) -> dict[str, Any]:
    """Show the same when it is asked for by its id, which tells a little more."""
    view = unknown(server, detail=True)
    view |= {"image": _image(server), "flavor": _flavor(server, version)}
    view |= {"OS-EXT-AZ:availability_zone": "nova", "OS-EXT-STS:power_state": 0}
    view |= {"user_id": token.user_id}
    return view | ({"server_groups": []} if version >= (2, 71) else {})


def _image(server: Server) -> Any:
    if server.from_volume:
        return ""
    image = "00000000-0000-4000-8000-000000000001"
    href = f"{INTERNAL_HOST}/{server.project_id}/images/{image}"
    return {"id": image, "links": [{"rel": "bookmark", "href": href}]}


def _flavor(server: Server, version: Version) -> dict[str, Any]:
    if version >= (2, 47):
        size = {"vcpus": 1, "ram": 64, "disk": 0, "ephemeral": 0, "swap": 0}
        return size | {"original_name": "rig", "extra_specs": {}}
    href = f"{INTERNAL_HOST}/{server.project_id}/flavors/rig"
    return {"id": "rig", "links": [{"rel": "bookmark", "href": href}]}


def _volumes(server: Server, version: Version) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for volume_id, held in server.known_disks.items():
        more = {"delete_on_termination": held.delete_on_termination} if version >= (2, 3) else {}
        rows.append({"id": volume_id} | more)
    return rows


def detailed(
    server: Server, token: Token, version: Version = (2, 1), *, listed: bool = False
) -> dict[str, Any]:
    """Show a server as a microversion does; a list leaves out what only a single one tells."""
    project = server.project_id
    view: dict[str, Any] = {
        "accessIPv4": "",
        "accessIPv6": "",
        "addresses": {},
        "created": server.created[:19] + "Z",
        "flavor": _flavor(server, version),
        "hostId": host_id(server),
        "id": server.id,
        "image": _image(server),
        "links": _links(server),
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
        "OS-EXT-AZ:availability_zone": "nova" if server.placed else "",
        "config_drive": "",
        "key_name": None,
        "OS-SRV-USG:launched_at": server.created if server.status != "BUILD" else None,
        "OS-SRV-USG:terminated_at": server.deleted_at,
        "OS-EXT-STS:task_state": server.task_state,
        "OS-EXT-STS:vm_state": server.vm_state,
        "OS-EXT-STS:power_state": {"ACTIVE": 1, "PAUSED": 1, "SOFT_DELETED": 1, "SHUTOFF": 4}.get(
            server.status, 0
        ),
        "os-extended-volumes:volumes_attached": _volumes(server, version),
    }
    if token.role == "admin":
        view |= {
            "OS-EXT-SRV-ATTR:host": server.host,
            "OS-EXT-SRV-ATTR:hypervisor_hostname": server.host,
            "OS-EXT-SRV-ATTR:instance_name": f"instance-{server.id[:8]}",
        }
    for since, name, value in _added_since(server, listed=listed):
        if version >= since:
            view[name] = value
    return view


def _added_since(server: Server, *, listed: bool) -> Iterator[tuple[Version, str, Any]]:
    yield (2, 9), "locked", server.locked_by is not None
    yield (2, 19), "description", None
    yield (2, 26), "tags", []
    yield (2, 63), "trusted_image_certificates", None
    if not listed:
        yield (2, 71), "server_groups", []
    yield (2, 73), "locked_reason", None
    yield (2, 90), "OS-EXT-SRV-ATTR:hostname", server.name
    yield (2, 96), "pinned_availability_zone", None
    yield (2, 100), "scheduler_hints", {}
