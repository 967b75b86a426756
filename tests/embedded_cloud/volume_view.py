"""How the volume service shows a volume."""

from __future__ import annotations

import json
from json.encoder import encode_basestring_ascii as quoted
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.embedded_cloud.identity import Token
    from tests.embedded_cloud.records import Attachment, Volume

# The host in the links of Huawei Cloud's samples; nobody can reach it.
INTERNAL_HOST = "http://volume.localdomain.com:8776"


def _links(volume: Volume, project_id: str) -> str:
    return (
        f'"links": [{{"rel": "self", "href": "{INTERNAL_HOST}/v3/{project_id}/volumes/{volume.id}"}}, '
        f'{{"rel": "bookmark", "href": "{INTERNAL_HOST}/{project_id}/volumes/{volume.id}"}}]'
    )


def brief(volume: Volume, token: Token, *, told: bool = True) -> str:  # noqa: ARG001 (as detailed)
    links = _links(volume, token.project_id or "")
    return f'{{"id": "{volume.id}", "name": {quoted(volume.name)}, {links}}}'


def detailed(volume: Volume, token: Token, *, told: bool = True) -> str:
    """Write a volume's record as text: a page of 1,000 in a fraction of what json.dumps would take.

    ``told``: with the project that it belongs to.
    """
    owner = f', "os-vol-tenant-attr:tenant_id": "{volume.project_id}"' if told else ""
    attachments = ", ".join(
        [_attached(volume, a, token) for a in volume.attachments if a.status == "attached"]
    )
    metadata = json.dumps(volume.metadata) if volume.metadata else "{}"
    return (
        f'{{"id": "{volume.id}", "status": {quoted(volume.status)}, "size": {volume.size}, '
        f'"availability_zone": "nova", "created_at": {_text(volume.created_at)}, '
        f'"updated_at": {_text(volume.updated_at)}, "name": {quoted(volume.name)}, "description": null, '
        f'"volume_type": "rig", "snapshot_id": null, "source_volid": null, "metadata": {metadata}, '
        f"{_links(volume, token.project_id or '')}, "
        f'"user_id": "4f1c7f1a7d5e4f0c9a3b1f2f6f0e8d21", "bootable": "false", "encrypted": false, '
        f'"replication_status": null, "consistencygroup_id": null, '
        f'"multiattach": {"true" if volume.multiattach else "false"}, "attachments": [{attachments}]{owner}}}'
    )


def _attached(volume: Volume, attachment: Attachment, token: Token) -> str:
    host = attachment.host_name if token.role == "admin" else None
    return (
        f'{{"id": "{volume.id}", "attachment_id": {quoted(attachment.attachment_id)}, '
        f'"volume_id": "{volume.id}", "server_id": {_text(attachment.server_id)}, '
        f'"host_name": {_text(host)}, "device": {quoted(attachment.device)}, '
        f'"attached_at": {_text(attachment.attached_at)}}}'
    )


def _text(value: str | None) -> str:
    return "null" if value is None else quoted(value)
