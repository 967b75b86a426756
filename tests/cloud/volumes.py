"""The volume service: Cinder's API as far as a detach and a sweep use it, or Huawei Cloud's EVS.

Every refusal, its order and its words are as recorded from Cinder 29 (os-detach with and without a Nova to
ask). The EVS dialect follows the vendor's tables of status values and error codes.
"""

from __future__ import annotations

import ast
import json
import re
import uuid
from json.encoder import encode_basestring_ascii as quoted
from typing import TYPE_CHECKING, Any

from tests.cloud import paging
from tests.cloud.messages import Answer, Call, request_id
from tests.cloud.refusal import (
    ERRED,
    Refusal,
    gateway_fault,
    no_route,
    openstack_fault,
    vendor_fault,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cloud.identity import Identity, Token
    from tests.cloud.world import Attachment, Volume, World

# The host in the links of Huawei Cloud's samples; nobody can reach it.
INTERNAL_HOST = "http://volume.localdomain.com:8776"

_ROUTE = re.compile(r"/v[23]/([0-9a-f-]+)/volumes(?:/([^/]+)(/action)?)?")
MAX_VERSION = (3, 71)
_SORTABLE = {"created_at": "created_at", "updated_at": "updated_at", "id": "id", "status": "status"}
_SORTABLE |= {"size": "size", "name": "name"}
_DETACH_POLICY = "Policy doesn't allow volume_extension:volume_actions:detach to be performed."
_BAD_STATUS = (
    "Invalid volume: Unable to detach volume. Volume status must be 'in-use' and attach_status must be "
    "'attached' to detach."
)
_NO_ACTION = "There is no such action: {}. Verify the request body and Content-Type header and try again."


class Volumes:
    """Answers calls below ``/volume``."""

    def __init__(self, world: World, identity: Identity) -> None:
        self.world = world
        self.identity = identity
        self.behaviour = world.behaviour

    def answer(self, call: Call) -> Answer:
        if self.behaviour.flavour == "huawei":
            return self._vendor_answer(call)
        request = request_id()
        ids = [("X-Compute-Request-Id", request), ("X-Openstack-Request-Id", request)]
        token = self.identity.bearer(call)
        if token is None:
            answer = self.identity.unauthorized()
            answer.headers.append(ids[1])
            return answer
        route = _ROUTE.fullmatch(call.tail)
        handler = self._handler(call, route) if route else None
        if route is None or handler is None:
            answer = no_route(call)
            answer.headers.append(ids[1])
            return answer
        version = _asked_version(call)
        try:
            _check_version(version)
            answer = handler(call, token, route[1], route[2])
        except Refusal as refusal:
            answer = openstack_fault(refusal.status, refusal.message)
        answer.headers += [("Openstack-Api-Version", f"volume {version}"), ("Vary", "OpenStack-API-Version")]
        answer.headers += ids
        return answer

    def _vendor_answer(self, call: Call) -> Answer:
        token, why = self.identity.judge(call)
        if why == "absent":
            return gateway_fault(
                401, "APIGW.0301", "Incorrect IAM authentication information: x-auth-token not found"
            )
        if why == "expired":
            return vendor_fault(400, "Common.0013", "The token is expired or truncated.")
        if token is None:
            return vendor_fault(400, "EVS.0002", "The token or the request headers are invalid.")
        route = _ROUTE.fullmatch(call.tail)
        handler = self._handler(call, route) if route else None
        if route is None or handler is None:
            message = "The API does not exist or has not been published in the environment"
            return gateway_fault(404, "APIGW.0101", message)
        try:
            answer = handler(call, token, route[1], route[2])
        except Refusal as refusal:
            answer = vendor_fault(refusal.vendor[0], refusal.vendor[1], refusal.message)
        answer.headers.append(("X-Request-Id", uuid.uuid4().hex))
        return answer

    def _handler(
        self, call: Call, route: re.Match[str]
    ) -> Callable[[Call, Token, str, str | None], Answer] | None:
        if route[3]:
            return self._act if call.method == "POST" else None
        if call.method != "GET":
            return None
        return self._list if route[2] in {None, "detail"} else self._show

    def _list(self, call: Call, token: Token, project_id: str, detail: str | None) -> Answer:
        _check_project(token, project_id)
        limit = self._limit(call.query)
        offset = _offset(call.query)
        marker = self._seen(call.query["marker"], token, marker=True) if "marker" in call.query else None
        keep = self._filter(call.query)
        shelf = self.world.volume_shelves.get(project_id)
        order = paging.order_of(call.query, _SORTABLE)
        rows: list[Volume] = []
        if shelf and order:
            rows = paging.in_order(shelf, self.world.volumes, marker, limit + offset, keep, order)
        elif shelf:
            rows = paging.newest_first(shelf, self.world.volumes, marker, limit + offset, keep)
        rows = rows[offset:]
        view = _detailed if detail else _brief
        body = '{"volumes": [' + ", ".join([view(volume, token) for volume in rows]) + "]"
        if rows and limit <= len(rows):
            base = f"{INTERNAL_HOST}/v3/{project_id}/volumes" + ("/detail" if detail else "")
            body += ', "volumes_links": ' + json.dumps([paging.next_link(base, call.query, rows[-1].id)])
        return Answer(200, (body + "}").encode(), [("Content-Type", "application/json")])

    def _limit(self, query: dict[str, str]) -> int:
        most = self.behaviour.page_max
        try:
            limit = int(query.get("limit", most))
        except ValueError:
            raise Refusal(400, "limit param must be an integer", (400, "EVS.1023")) from None
        if limit < 0:
            raise Refusal(400, "limit param must be positive", (400, "EVS.1023"))
        if limit > 1000 and self.behaviour.flavour == "huawei":
            raise Refusal(400, "limit param must be at most 1000", (400, "EVS.1023"))
        return min(limit, most)

    def _filter(self, query: dict[str, str]) -> Callable[[Volume], bool]:
        asked = {name: value for name, value in query.items() if name not in self.behaviour.ignore_filters}
        status, name, server = asked.get("status"), asked.get("name"), asked.get("server_id")
        metadata = _metadata_filter(asked["metadata"]) if "metadata" in asked else {}

        def keep(volume: Volume) -> bool:
            return (
                (status is None or volume.status == status)
                and (name is None or volume.name == name)
                and (server is None or any(a.server_id == server for a in volume.attachments))
                and (not metadata or metadata.items() <= volume.metadata.items())
            )

        return keep

    def _seen(self, volume_id: str, token: Token, *, marker: bool = False) -> Volume:
        volume = self.world.volumes.get(volume_id)
        if volume is None or not (token.role == "admin" or token.project_id in volume.seen_by):
            vendor = (400, "EVS.1024") if marker else (404, "EVS.5404")
            raise Refusal(404, f"Volume {volume_id} could not be found.", vendor)
        return volume

    def _show(self, _call: Call, token: Token, project_id: str, volume_id: str | None) -> Answer:
        _check_project(token, project_id)
        body = '{"volume": ' + _detailed(self._seen(str(volume_id), token), token) + "}"
        return Answer(200, body.encode(), [("Content-Type", "application/json")])

    def _act(self, call: Call, token: Token, project_id: str, volume_id: str | None) -> Answer:
        arguments = _action(call)
        _check_project(token, project_id)
        _check_arguments(arguments)
        volume = self._seen(str(volume_id), token)
        if arguments is None:
            raise Refusal(500, ERRED, (500, "EVS.5500"))
        if token.role not in {"member", "admin"}:
            raise Refusal(403, _DETACH_POLICY, (403, "EVS.5403"))
        attachment_id = arguments.get("attachment_id")
        if self.behaviour.flavour == "huawei" and volume.status != "in-use":
            raise Refusal(400, _BAD_STATUS, (400, "EVS.5400"))
        if not self.identity.is_service(call):
            self._check_deletion(volume, attachment_id, token)
        if volume.status == "maintenance":
            raise Refusal(400, "Invalid volume: The volume cannot be detached in maintenance mode.")
        self._detach(volume, attachment_id)
        return Answer(202, b"", [("Content-Type", "application/json")])

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
        if self.behaviour.compute_down:
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


def _conflict(server_id: str) -> Refusal:
    message = f"ConflictNovaUsingAttachment: Detach volume from instance {server_id} using the Compute API"
    return Refusal(409, message, (400, "EVS.5400"))


def _check_project(token: Token, project_id: str) -> None:
    if token.project_id != project_id:
        raise Refusal(400, "Malformed request url", (400, "Common.0018"))


def _asked_version(call: Call) -> str:
    for asked in call.headers.get("openstack-api-version", "").split(","):
        service, _, version = asked.strip().partition(" ")
        if service == "volume":
            return "{}.{}".format(*MAX_VERSION) if version.strip() == "latest" else version.strip()
    return "3.0"


def _check_version(version: str) -> None:
    parts = re.fullmatch(r"(\d+)\.(\d+)", version)
    if parts is None:
        raise Refusal(
            400, f"API Version String {version} is of invalid format. Must be of format MajorNum.MinorNum."
        )
    if not (3, 0) <= (int(parts[1]), int(parts[2])) <= MAX_VERSION:
        highest = "{}.{}".format(*MAX_VERSION)
        raise Refusal(
            406, f"Version {version} is not supported by the API. Minimum is 3.0 and maximum is {highest}."
        )


def _offset(query: dict[str, str]) -> int:
    offset = query.get("offset", "0")
    if not re.fullmatch(r"\d+", offset):
        raise Refusal(400, "Invalid input received: offset must be an integer")
    return int(offset)


def _metadata_filter(text: str) -> dict[str, str]:
    """Read the filter's value, which Cinder takes as a Python literal."""
    try:
        wanted = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        wanted = None
    if not isinstance(wanted, dict):
        raise Refusal(400, f"Invalid filter: metadata {text}")
    return wanted


def _action(call: Call) -> Any:
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


def _check_arguments(arguments: Any) -> None:
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


def _links(volume: Volume, project_id: str) -> str:
    return (
        f'"links": [{{"rel": "self", "href": "{INTERNAL_HOST}/v3/{project_id}/volumes/{volume.id}"}}, '
        f'{{"rel": "bookmark", "href": "{INTERNAL_HOST}/{project_id}/volumes/{volume.id}"}}]'
    )


def _brief(volume: Volume, token: Token) -> str:
    links = _links(volume, token.project_id or "")
    return f'{{"id": "{volume.id}", "name": {quoted(volume.name)}, {links}}}'


def _detailed(volume: Volume, token: Token) -> str:
    """Write a volume's record as text: a page of 1,000 in a fraction of what json.dumps would take."""
    attachments = ", ".join([_attached(volume, a, token) for a in volume.attachments])
    metadata = json.dumps(volume.metadata) if volume.metadata else "{}"
    return (
        f'{{"id": "{volume.id}", "status": {quoted(volume.status)}, "size": {volume.size}, '
        f'"availability_zone": "nova", "created_at": {_text(volume.created_at)}, '
        f'"updated_at": {_text(volume.updated_at)}, "name": {quoted(volume.name)}, "description": null, '
        f'"volume_type": "rig", "snapshot_id": null, "source_volid": null, "metadata": {metadata}, '
        f"{_links(volume, token.project_id or '')}, "
        f'"user_id": "4f1c7f1a7d5e4f0c9a3b1f2f6f0e8d21", "bootable": "false", "encrypted": false, '
        f'"replication_status": null, "consistencygroup_id": null, '
        f'"multiattach": {"true" if volume.multiattach else "false"}, "attachments": [{attachments}], '
        f'"os-vol-tenant-attr:tenant_id": "{volume.project_id}"}}'
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
