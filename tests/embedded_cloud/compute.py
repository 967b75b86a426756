"""The compute service: Nova's API as far as a proof, a sweep and a live server's detach use it.

Answers, words and microversions are as recorded from Nova 34. In the flavour "huawei" errors come as the
vendor's ECS words them, and its own API of servers and jobs is there too.
"""

from __future__ import annotations

import re
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from tests.embedded_cloud import instance_actions, server_view
from tests.embedded_cloud.ecs import Ecs
from tests.embedded_cloud.messages import Answer, Call, json_answer, request_id
from tests.embedded_cloud.refusal import Refusal, gateway_fault, no_route, openstack_fault, vendor_fault
from tests.embedded_cloud.server_actions import ServerActions
from tests.embedded_cloud.server_list import ServerList
from tests.embedded_cloud.volume_attachments import VolumeAttachments

if TYPE_CHECKING:
    from tests.embedded_cloud.identity import Identity, Token
    from tests.embedded_cloud.records import Server
    from tests.embedded_cloud.world import World

_ROUTE = re.compile(
    r"/v2(?:\.1)?(?:/(?P<project>[0-9a-f-]+))?/servers(?:/(?P<id>[^/]+)"
    r"(?:/(?P<part>os-volume_attachments|os-instance-actions|action)(?:/(?P<item>[^/]+))?)?)?"
)
_METHODS = {
    "list": {"GET"},
    "server": {"GET", "DELETE"},
    "os-volume_attachments": {"GET", "POST"},
    "os-volume_attachments/": {"GET", "DELETE"},
    "os-instance-actions": {"GET"},
    "os-instance-actions/": {"GET"},
    "action": {"POST"},
}
MAX_VERSION = (2, 104)
# The highest that Huawei Cloud's page on its versions names: too low for 2.69 and 2.89.
VENDORS_MAX_VERSION = (2, 60)

# What Nova says of any exception that it does not expect, here that a cell does not answer.
_UNEXPECTED = "Unexpected API Error. Please contact the administrator\n<class 'nova.exception.NovaException'>"

Version = tuple[int, int]


class Compute:
    """Answers calls below ``/compute``."""

    def __init__(self, world: World, identity: Identity) -> None:
        self.world = world
        self.identity = identity
        self.behaviour = world.behaviour
        self.list = ServerList(world)
        self.attachments = VolumeAttachments(world)
        self.actions = ServerActions(world)
        self.ecs = Ecs(world, self.attachments)

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
        if vendor and call.tail.startswith("/v1/"):
            return self.ecs.answer(call, token)
        route = _ROUTE.fullmatch(call.tail)
        if route is None or call.method not in _METHODS.get(_kind(route), ()):
            answer = no_route(call)
            answer.headers.append(ids[0])
            return answer
        version = (2, 1)
        try:
            version = self._asked_version(call)
            answer = self._route(call, token, route, version, request)
        except Refusal as refusal:
            answer = self._refused(refusal)
        shown = f"{version[0]}.{version[1]}"
        if self.behaviour.tells_version("compute"):
            answer.headers += [
                ("Openstack-Api-Version", f"compute {shown}"),
                ("X-Openstack-Nova-Api-Version", shown),
                ("Vary", "OpenStack-API-Version"),
                ("Vary", "X-OpenStack-Nova-API-Version"),
            ]
        answer.headers += ids
        return answer

    def _refused(self, refusal: Refusal) -> Answer:
        if self.behaviour.flavour == "huawei":
            # The vendor documents this one without an id
            gone = refusal.vendor[1] == "Ecs.0114"
            message = "The ECS does not exist." if gone else refusal.message
            return vendor_fault(refusal.vendor[0], refusal.vendor[1], message)
        answer = openstack_fault(refusal.status, refusal.message)
        answer.headers = [("Content-Type", "application/json; charset=UTF-8")]
        return answer

    def _route(
        self, call: Call, token: Token, route: re.Match[str], version: Version, request: str
    ) -> Answer:
        project_id = route["project"]
        if project_id and project_id != token.project_id:
            message = (
                f"Malformed request URL: URL's project_id '{project_id}' doesn't match "
                f"Context's project_id '{token.project_id}'"
            )
            raise Refusal(400, message, (400, "Common.0018"))
        kind, asked = _kind(route), route["id"]
        if kind == "list":
            return self.list.answer(call, token, version, detail=asked is not None)
        if kind.startswith("os-instance-actions"):
            server = self._seen(asked, token, deleted=version >= (2, 21))
            self._check_cell(server)
            if not server.placed:
                raise _not_found(asked)
            if route["item"] is None:
                return instance_actions.listed(server, call.query, token, version)
            return instance_actions.show(server, route["item"], token, version)
        server = self._seen(asked, token)
        if kind == "server" and call.method == "GET":
            return self._show(server, token, version)
        self._check_cell(server)
        if kind == "server":
            return self.actions.delete(server, token, request)
        if kind == "action":
            return self.actions.act(server, call, token, request)
        if route["item"] is None:
            if call.method == "POST":
                return self.attachments.create(server, asked, call, token, version)
            limit = self.list.limit(call.query) or self.behaviour.page_max
            return self.attachments.listed(server, limit, _offset(call.query), version)
        if call.method == "DELETE":
            return self.attachments.delete(server, asked, route["item"], token, version, request)
        return self.attachments.show(server, asked, route["item"], version)

    def _seen(self, server_id: str, token: Token, *, deleted: bool = False) -> Server:
        """Find a server as MySQL does, which minds no case, but never without its hyphens."""
        server = self.world.find_server(server_id) or self._vanishing(server_id)
        if server is None and deleted:
            server = self.world.deleted.get(server_id.lower())
        if server is None or not self.behaviour.policies.see_server(token, server):
            raise _not_found(server_id)
        return server

    def _vanishing(self, server_id: str) -> Server | None:
        """Give a server that was deleted so short a time ago that it is still shown."""
        server = self.world.deleted.get(server_id.lower())
        if server is None or server.deleted_at is None:
            return None
        deleted_at = datetime.fromisoformat(server.deleted_at).replace(tzinfo=timezone.utc).timestamp()
        # A stamp is rounded to microseconds: under a clock that stands, it may lie ahead
        since = max(0.0, self.behaviour.now() - deleted_at)
        return server if since < self.behaviour.deleted_shown else None

    def _show(self, server: Server, token: Token, version: Version) -> Answer:
        if not self.world.in_down_cell(server):
            return json_answer(200, {"server": server_view.detailed(server, token, version)})
        if version < (2, 69):
            raise Refusal(500, _UNEXPECTED)
        if server.queued_for_deletion:
            raise _not_found(server.id)
        return json_answer(200, {"server": server_view.unknown_shown(server, token, version)})

    def _check_cell(self, server: Server) -> None:
        if self.world.in_down_cell(server):
            raise Refusal(500, _UNEXPECTED)

    def _asked_version(self, call: Call) -> Version:
        asked = call.headers.get("x-openstack-nova-api-version", "")
        for part in call.headers.get("openstack-api-version", "").split(","):
            service, _, version = part.strip().partition(" ")
            if service == "compute":
                asked = version.strip()
        if not asked or "compute" in self.behaviour.versions_ignored:
            return (2, 1)
        highest = VENDORS_MAX_VERSION if self.behaviour.flavour == "huawei" else MAX_VERSION
        if asked == "latest":
            return highest
        parts = re.fullmatch(r"(\d+)\.(\d+)", asked)
        if parts is None:
            text = f"API Version String {asked} is of invalid format. Must be of format MajorNum.MinorNum."
            raise Refusal(400, text)
        version_pair = (int(parts[1]), int(parts[2]))
        if not (2, 1) <= version_pair <= highest:
            text = f"Version {asked} is not supported by the API. Minimum is 2.1 and maximum is "
            raise Refusal(406, text + "{}.{}.".format(*highest))
        return version_pair


def _kind(route: re.Match[str]) -> str:
    """Tell a path's kind: "list", "server", or its part, with a slash where it names an item."""
    if route["part"]:
        return route["part"] + ("/" if route["item"] else "")
    return "list" if route["id"] in {None, "detail"} else "server"


def _offset(query: dict[str, str]) -> int:
    offset = query.get("offset", "0")
    if not offset.isdigit():
        message = f"Invalid input for query parameters offset. Value: {offset}. "
        raise Refusal(400, message + f"'{offset}' does not match '^[0-9]*$'", (400, "Ecs.0005"))
    return int(offset)


def _not_found(server_id: str) -> Refusal:
    return Refusal(404, f"Instance {server_id} could not be found.", (404, "Ecs.0114"))
