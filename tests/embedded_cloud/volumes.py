"""The volume service: Cinder's API as far as a detach and a sweep use it, or Huawei Cloud's EVS.

Every refusal, its order and its words are as recorded from Cinder 29 (os-detach with and without a Nova to
ask). The EVS dialect follows the vendor's tables of status values and error codes.
"""

from __future__ import annotations

import ast
import json
import re
import uuid
from typing import TYPE_CHECKING

from tests.embedded_cloud import attachments, paging, volume_actions, volume_view
from tests.embedded_cloud.guard import Guard
from tests.embedded_cloud.messages import Answer, Call, request_id
from tests.embedded_cloud.refusal import Refusal, gateway_fault, no_route, openstack_fault, vendor_fault
from tests.embedded_cloud.world import EVERYBODY

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.embedded_cloud.identity import Identity, Token
    from tests.embedded_cloud.records import Volume
    from tests.embedded_cloud.world import World

_ROUTE = re.compile(r"/v[23]/([0-9a-f-]+)/volumes(?:/([^/]+)(/action)?)?")
MAX_VERSION = (3, 71)
_FILTERS = {"limit", "offset", "marker", "sort", "sort_key", "sort_dir", "status", "name", "metadata"}
_SORTABLE = {"created_at": "created_at", "updated_at": "updated_at", "id": "id", "status": "status"}
_SORTABLE |= {"size": "size", "name": "name"}
_DELETABLE = {"available", "error", "error_restoring", "error_extending", "error_managing"}
_NOT_DELETABLE = (
    "Invalid volume: Volume status must be available or error or error_restoring or error_extending or "
    "error_managing and must not be migrating, attached, belong to a group, have snapshots, awaiting a "
    "transfer, or be disassociated from snapshots after volume transfer."
)


class Volumes:
    """Answers calls below ``/volume``."""

    def __init__(self, world: World, identity: Identity) -> None:
        self.world = world
        self.identity = identity
        self.behaviour = world.behaviour
        guard = Guard(world)
        self.actions = volume_actions.VolumeActions(world, guard)
        self.attachments = attachments.Attachments(world, guard)

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
        entries_route = attachments.ROUTE.fullmatch(call.tail)
        if handler is None and entries_route is None:
            answer = no_route(call)
            answer.headers.append(ids[1])
            return answer
        version = "3.0" if "volume" in self.behaviour.versions_ignored else _asked_version(call)
        try:
            number = _checked_version(version)
            if route is not None and handler is not None:
                answer = handler(call, token, route[1], route[2])
            elif entries_route is not None:
                _check_project(token, entries_route[1])
                by_service = self.identity.is_service(call)
                answer = self.attachments.answer(call, token, entries_route, number, by_service=by_service)
        except Refusal as refusal:
            answer = openstack_fault(refusal.status, refusal.message)
        if self.behaviour.tells_version("volume"):
            answer.headers.append(("Openstack-Api-Version", f"volume {version}"))
            answer.headers.append(("Vary", "OpenStack-API-Version"))
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
        if call.method == "DELETE" and route[2] and self.behaviour.flavour == "openstack":
            return self._delete
        if call.method != "GET":
            return None
        return self._list if route[2] in {None, "detail"} else self._show

    def _list(self, call: Call, token: Token, project_id: str, detail: str | None) -> Answer:
        _check_project(token, project_id)
        limit = self._limit(call.query)
        offset = _offset(call.query)
        marker = self._seen(call.query["marker"], token, marker=True) if "marker" in call.query else None
        everyone = self._everyone(call.query, token)
        keep = self._filter(call.query, token, everyone=everyone)
        shelf = self.world.volume_shelves.get(EVERYBODY if everyone else project_id)
        order = paging.order_of(call.query, _SORTABLE)
        rows: list[Volume] = []
        if shelf and order:
            rows = paging.in_order(shelf, self.world.volumes, marker, limit + offset, keep, order)
        elif shelf:
            rows = paging.newest_first(shelf, self.world.volumes, marker, limit + offset, keep)
        rows = rows[offset:]
        view = volume_view.detailed if detail else volume_view.brief
        told = self.behaviour.policies.tells_volume_owner
        body = '{"volumes": [' + ", ".join([view(volume, token, told=told) for volume in rows]) + "]"
        if rows and limit <= len(rows):
            base = f"{volume_view.INTERNAL_HOST}/v3/{project_id}/volumes" + ("/detail" if detail else "")
            body += ', "volumes_links": ' + json.dumps([paging.next_link(base, call.query, rows[-1].id)])
        if self.behaviour.flavour == "huawei":
            count = sum(keep(self.world.volumes[key[1]]) for key in shelf.keys) if shelf else 0
            body += f', "count": {count}'
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

    def _everyone(self, query: dict[str, str], token: Token) -> bool:
        """Say whether all projects' are asked for. Of those who may not, Cinder ignores it."""
        if "all_tenants" not in query or token.role not in self.behaviour.policies.volume_admins:
            return False
        asked = query["all_tenants"]
        if asked.lower() not in {"", "0", "1", "f", "false", "n", "no", "off", "t", "true", "y", "yes", "on"}:
            raise Refusal(400, f"Value '{asked}' for 'all_tenants' is not a boolean.", (400, "EVS.1023"))
        return asked.lower() not in {"0", "f", "false", "n", "no", "off"}

    def _filter(self, query: dict[str, str], token: Token, *, everyone: bool) -> Callable[[Volume], bool]:
        """Say which volumes pass. What an administrator's filter misspells passes none."""
        policies = self.behaviour.policies
        admin = self.behaviour.flavour == "openstack" and token.role in policies.volume_admins
        unknown = query.keys() - _FILTERS - ({"all_tenants"} if everyone else set())
        nothing = admin and bool(unknown - {"project_id"})
        of_project = query.get("project_id") if everyone else None
        asked = {name: value for name, value in query.items() if name not in self.behaviour.ignore_filters}
        status, name, server = asked.get("status"), asked.get("name"), asked.get("server_id")
        metadata = _metadata_filter(asked["metadata"]) if "metadata" in asked else {}

        def keep(volume: Volume) -> bool:
            return (
                not nothing
                and (of_project is None or volume.project_id == of_project)
                and not (everyone and policies.unlisted_volumes(volume))
                and (status is None or volume.status == status)
                and (name is None or volume.name == name)
                and (
                    server is None
                    or any(a.server_id == server for a in volume.attachments if a.status == "attached")
                )
                and (not metadata or metadata.items() <= volume.metadata.items())
            )

        return keep

    def _seen(self, volume_id: str, token: Token, *, marker: bool = False) -> Volume:
        volume = self.world.volumes.get(volume_id)
        listed = marker and volume is not None and token.role in self.behaviour.policies.volume_admins
        if volume is None or not (listed or self.behaviour.policies.see_volume(token, volume)):
            vendor = (400, "EVS.1024") if marker else (404, "EVS.5404")
            raise Refusal(404, f"Volume {volume_id} could not be found.", vendor)
        return volume

    def _show(self, _call: Call, token: Token, project_id: str, volume_id: str | None) -> Answer:
        _check_project(token, project_id)
        told = self.behaviour.policies.tells_volume_owner
        shown = volume_view.detailed(self._seen(str(volume_id), token), token, told=told)
        body = '{"volume": ' + shown + "}"
        return Answer(200, body.encode(), [("Content-Type", "application/json")])

    def _delete(self, _call: Call, token: Token, project_id: str, volume_id: str | None) -> Answer:
        """Delete a volume. Cinder looks at its own record only: a server may have the disk all the same."""
        _check_project(token, project_id)
        volume = self._seen(str(volume_id), token)
        if token.role not in {"member", "admin"}:
            raise Refusal(403, "Policy doesn't allow volume:delete to be performed.")
        if volume.status not in _DELETABLE or volume.attach_status == "attached":
            raise Refusal(400, _NOT_DELETABLE)
        self.world.delete_volume(volume.id, held=True)
        return Answer(202, b"", [("Content-Type", "application/json")])

    def _act(self, call: Call, token: Token, project_id: str, volume_id: str | None) -> Answer:
        name, arguments = self.actions.named(call)
        _check_project(token, project_id)
        volume_actions.check(name, arguments)
        volume = self._seen(str(volume_id), token)
        by_service = self.identity.is_service(call)
        return self.actions.act(volume, name, arguments, token, by_service=by_service)


def _check_project(token: Token, project_id: str) -> None:
    if token.project_id != project_id:
        raise Refusal(400, "Malformed request url", (400, "Common.0018"))


def _asked_version(call: Call) -> str:
    for asked in call.headers.get("openstack-api-version", "").split(","):
        service, _, version = asked.strip().partition(" ")
        if service == "volume":
            return "{}.{}".format(*MAX_VERSION) if version.strip() == "latest" else version.strip()
    return "3.0"


def _checked_version(version: str) -> tuple[int, int]:
    parts = re.fullmatch(r"(\d+)\.(\d+)", version)
    if parts is None:
        raise Refusal(
            400, f"API Version String {version} is of invalid format. Must be of format MajorNum.MinorNum."
        )
    number = (int(parts[1]), int(parts[2]))
    if not (3, 0) <= number <= MAX_VERSION:
        highest = "{}.{}".format(*MAX_VERSION)
        raise Refusal(
            406, f"Version {version} is not supported by the API. Minimum is 3.0 and maximum is {highest}."
        )
    return number


def _offset(query: dict[str, str]) -> int:
    offset = query.get("offset", "0")
    if not re.fullmatch(r"\d+", offset):
        negative = re.fullmatch(r"-\d+", offset)
        raise Refusal(400, f"offset must be {'>= 0' if negative else 'an integer'}")
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
