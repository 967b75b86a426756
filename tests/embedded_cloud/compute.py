"""The compute service: Nova's API as far as a proof and a sweep use it.

Answers, words and microversions are as recorded from Nova 34. In the flavour "huawei" errors come as the
vendor's ECS words them.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from tests.embedded_cloud import paging, server_view
from tests.embedded_cloud.messages import Answer, Call, json_answer, request_id
from tests.embedded_cloud.records import Disk
from tests.embedded_cloud.refusal import Refusal, gateway_fault, no_route, openstack_fault, vendor_fault

if TYPE_CHECKING:
    from tests.embedded_cloud.identity import Identity, Token
    from tests.embedded_cloud.records import Server
    from tests.embedded_cloud.world import World

_ROUTE = re.compile(
    r"/v2(?:\.1)?(?:/(?P<project>[0-9a-f-]+))?/servers"
    r"(?:/(?P<id>[^/]+)(?:/(?P<part>os-volume_attachments|os-instance-actions)(?:/(?P<item>[^/]+))?)?)?"
)
MAX_VERSION = (2, 103)
_SORTABLE = {"created_at": "created", "updated_at": "updated", "uuid": "id", "display_name": "name"}

_IMAGES_DISK = Disk("/dev/sda", "", "")

Version = tuple[int, int]


class Compute:
    """Answers calls below ``/compute``."""

    def __init__(self, world: World, identity: Identity) -> None:
        self.world = world
        self.identity = identity
        self.behaviour = world.behaviour

    def answer(self, call: Call) -> Answer:
        request = request_id()
        ids = [("X-Openstack-Request-Id", request), ("X-Compute-Request-Id", request)]
        vendor = self.behaviour.flavour == "huawei"
        token, why = self.identity.judge(call)
        if token is None:
            if vendor:
                words = {"absent": "x-auth-token not found", "expired": "token expires"}
                detail = words.get(why, "decrypt token fail")
                message = f"Incorrect IAM authentication information: {detail}"
                return gateway_fault(401, "APIGW.0301", message)
            answer = self.identity.unauthorized()
            answer.headers.append(ids[0])
            return answer
        route = _ROUTE.fullmatch(call.tail)
        if route is None or call.method != "GET":
            answer = no_route(call)
            answer.headers.append(ids[0])
            return answer
        version = (2, 1)
        try:
            version = _asked_version(call)
            answer = self._route(call, token, route, version)
        except Refusal as refusal:
            if vendor:
                answer = vendor_fault(refusal.vendor[0], refusal.vendor[1], refusal.message)
            else:
                answer = openstack_fault(refusal.status, refusal.message)
        shown = f"{version[0]}.{version[1]}"
        answer.headers += [
            ("Openstack-Api-Version", f"compute {shown}"),
            ("X-Openstack-Nova-Api-Version", shown),
            ("Vary", "OpenStack-API-Version"),
            ("Vary", "X-OpenStack-Nova-API-Version"),
            *ids,
        ]
        return answer

    def _route(self, call: Call, token: Token, route: re.Match[str], version: Version) -> Answer:
        project_id = route["project"]
        if project_id and project_id != token.project_id:
            message = (
                f"Malformed request URL: URL's project_id '{project_id}' doesn't match "
                f"Context's project_id '{token.project_id}'"
            )
            raise Refusal(400, message, (400, "Common.0018"))
        if route["id"] in {None, "detail"} and not route["part"]:
            return self._list(call, token, detail=route["id"] is not None)
        if route["part"] == "os-instance-actions":
            return self._actions(token, route["id"], route["item"], version)
        server = self._seen(route["id"], token)
        if route["part"] is None:
            return json_answer(200, {"server": server_view.detailed(server, token)})
        if route["item"] is None:
            return self._disks(call, server, version)
        disk = server.disks.get(route["item"])
        if disk is None:
            message = f"Instance {server.id} is not attached to volume {route['item']}"
            raise Refusal(404, message, (400, "Ecs.0111"))
        return json_answer(200, {"volumeAttachment": server_view.disk(server, route["item"], disk, version)})

    def _seen(self, server_id: str, token: Token) -> Server:
        """Find a server as MySQL does, which minds no case, but never without its hyphens."""
        server = self.world.servers.get(server_id.lower())
        if server is None or not _shown(server, token):
            raise _not_found(server_id)
        return server

    def _list(self, call: Call, token: Token, *, detail: bool) -> Answer:
        limit = self._limit(call.query)
        marker = self._marker(call.query.get("marker"), token)
        status = call.query.get("status", "").upper()
        ignored = self.behaviour.ignore_filters
        name = call.query.get("name")

        def keep(server: Server) -> bool:
            return (
                (server.status == status if status and "status" not in ignored else not _hidden(server))
                and (name is None or "name" in ignored or re.search(name, server.name) is not None)
                and server.project_id == token.project_id
            )

        shelf = self.world.server_shelves.get(token.project_id or "")
        order = paging.order_of(call.query, _SORTABLE)
        rows: list[Server] = []
        if shelf and order:
            rows = paging.in_order(shelf, self.world.servers, marker, limit, keep, order)
        elif shelf:
            rows = paging.newest_first(shelf, self.world.servers, marker, limit, keep)
        if "changes-since" in call.query:
            rows = self._changed(call.query["changes-since"], token, limit)
        if detail:
            body = json.dumps({"servers": [server_view.detailed(server, token) for server in rows]})[:-1]
        else:
            body = '{"servers": [' + ", ".join([server_view.brief(server) for server in rows]) + "]"
        if rows and limit <= len(rows):
            base = f"{server_view.INTERNAL_HOST}/v2.1/{token.project_id}/servers" + (
                "/detail" if detail else ""
            )
            body += ', "servers_links": ' + json.dumps([paging.next_link(base, call.query, rows[-1].id)])
        return Answer(200, (body + "}").encode(), [("Content-Type", "application/json")])

    def _changed(self, since: str, token: Token, limit: int) -> list[Server]:
        """List what changed since a moment, deleted servers included, newest first."""
        moment = since.removesuffix("Z")
        servers = [*self.world.servers.values(), *self.world.deleted.values()]
        rows = [s for s in servers if s.project_id == token.project_id and s.updated >= moment]
        return sorted(rows, key=lambda server: server.key, reverse=True)[:limit]

    def _limit(self, query: dict[str, str]) -> int:
        limit = query.get("limit", str(self.behaviour.page_max))
        if not re.fullmatch(r"[0-9]+", limit):
            message = f"Invalid input for query parameters limit. Value: {limit}. "
            raise Refusal(400, message + f"'{limit}' does not match '^[0-9]*$'", (400, "Ecs.0005"))
        return min(int(limit), self.behaviour.page_max)

    def _marker(self, server_id: str | None, token: Token) -> Server | None:
        if server_id is None:
            return None
        server = self.world.servers.get(server_id.lower())
        if server is None or not _shown(server, token):
            raise Refusal(400, f"marker [{server_id}] not found", (400, "Ecs.0005"))
        return server

    def _disks(self, call: Call, server: Server, version: Version) -> Answer:
        """List a server's volumes. Nova pages before it leaves out the disk that the image is on."""
        limit = self._limit(call.query) or self.behaviour.page_max
        offset = call.query.get("offset", "0")
        if not offset.isdigit():
            message = f"Invalid input for query parameters offset. Value: {offset}. "
            raise Refusal(400, message + f"'{offset}' does not match '^[0-9]*$'", (400, "Ecs.0005"))
        hidden: list[tuple[str, Disk]] = [] if self.behaviour.flavour == "huawei" else [("", _IMAGES_DISK)]
        devices = [*hidden, *server.disks.items()][int(offset) : int(offset) + limit]
        rows = [server_view.disk(server, id_, disk, version) for id_, disk in devices if id_]
        return json_answer(200, {"volumeAttachments": rows})

    def _actions(self, token: Token, server_id: str, item: str | None, version: Version) -> Answer:
        server = self.world.servers.get(server_id.lower())
        if server is None and version >= (2, 21):
            server = self.world.deleted.get(server_id.lower())
        if server is None or not _shown(server, token):
            raise _not_found(server_id)
        actions = [
            {
                "action": action.action,
                "instance_uuid": server.id,
                "request_id": action.request_id,
                "user_id": token.user_id,
                "project_id": server.project_id,
                "start_time": action.start_time,
                "message": None,
            }
            for action in server.actions
        ]
        if item is None:
            return json_answer(200, {"instanceActions": actions})
        chosen = next((action for action in actions if action["request_id"] == item), None)
        if chosen is None:
            raise Refusal(404, f"Action for request_id {item} on instance {server.id} not found")
        return json_answer(200, {"instanceAction": chosen})


def _not_found(server_id: str) -> Refusal:
    return Refusal(404, f"Instance {server_id} could not be found.", (404, "Ecs.0114"))


def _shown(server: Server, token: Token) -> bool:
    return token.role == "admin" or server.project_id == token.project_id


def _hidden(server: Server) -> bool:
    """Say whether a list leaves this server out: Nova lists soft-deleted ones only when asked for them."""
    return server.status == "SOFT_DELETED"


def _asked_version(call: Call) -> Version:
    asked = call.headers.get("x-openstack-nova-api-version", "")
    for part in call.headers.get("openstack-api-version", "").split(","):
        service, _, version = part.strip().partition(" ")
        if service == "compute":
            asked = version.strip()
    if not asked:
        return (2, 1)
    if asked == "latest":
        return MAX_VERSION
    parts = re.fullmatch(r"(\d+)\.(\d+)", asked)
    if parts is None:
        text = f"API Version String {asked} is of invalid format. Must be of format MajorNum.MinorNum."
        raise Refusal(400, text)
    version_pair = (int(parts[1]), int(parts[2]))
    if not (2, 1) <= version_pair <= MAX_VERSION:
        highest = "{}.{}".format(*MAX_VERSION)
        text = f"Version {asked} is not supported by the API. Minimum is 2.1 and maximum is {highest}."
        raise Refusal(406, text)
    return version_pair
