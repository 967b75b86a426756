"""Nova's os-instance-actions: a server's own record of what was done to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.embedded_cloud import paging
from tests.embedded_cloud.messages import Answer, json_answer
from tests.embedded_cloud.refusal import Refusal
from tests.embedded_cloud.server_view import INTERNAL_HOST, host_id

if TYPE_CHECKING:
    from tests.embedded_cloud.identity import Token
    from tests.embedded_cloud.records import Action, Event, Server

Version = tuple[int, int]


def listed(server: Server, query: dict[str, str], token: Token, version: Version) -> Answer:
    """List them, the newest first, in pages from 2.58. No events here, at any microversion."""
    actions = server.actions
    if version < (2, 58):
        return json_answer(200, {"instanceActions": _actions(server, actions, token, version)})
    if "marker" in query:
        ids = [action.request_id for action in actions]
        if query["marker"] not in ids:
            raise Refusal(400, f"Marker {query['marker']} could not be found.", (400, "Ecs.0005"))
        actions = actions[ids.index(query["marker"]) + 1 :]
    content: dict[str, Any] = {}
    if query.get("limit", "").isdigit() and int(query["limit"]) < len(actions):
        actions = actions[: int(query["limit"])]
        base = f"{INTERNAL_HOST}/v2.1/{server.project_id}/servers/{server.id}/os-instance-actions"
        content = {"links": [paging.next_link(base, query, actions[-1].request_id)]}
    return json_answer(200, {"instanceActions": _actions(server, actions, token, version)} | content)


def show(server: Server, request_id: str, token: Token, version: Version) -> Answer:
    """Show one by the id of the request that asked for it; a member sees its events from 2.51."""
    action = next((action for action in server.actions if action.request_id == request_id), None)
    if action is None:
        raise Refusal(404, f"Action {request_id} not found")
    view = _action(server, action, token, version)
    if token.role == "admin" or version >= (2, 51):
        view["events"] = [_event(server, event, token, version) for event in reversed(action.events)]
    return json_answer(200, {"instanceAction": view})


def _actions(server: Server, actions: list[Action], token: Token, version: Version) -> list[dict[str, Any]]:
    return [_action(server, action, token, version) for action in actions]


def _moment(stamp: str | None) -> str | None:
    """Write a moment as Nova's database keeps it: whole seconds."""
    return f"{stamp[:19]}.000000" if stamp else None


def _action(server: Server, action: Action, token: Token, version: Version) -> dict[str, Any]:
    view = {
        "action": action.action,
        "instance_uuid": server.id,
        "request_id": action.request_id,
        "user_id": token.user_id,
        "project_id": server.project_id,
        "start_time": _moment(action.start_time),
        "message": action.message,
    }
    if version >= (2, 58):
        view["updated_at"] = _moment(action.updated_at)
    return view


def _event(server: Server, event: Event, token: Token, version: Version) -> dict[str, Any]:
    view: dict[str, Any] = {
        "event": event.event,
        "start_time": _moment(event.start_time),
        "finish_time": _moment(event.finish_time),
        "result": event.result,
    }
    admin = token.role == "admin"
    if admin:
        view["traceback"] = "Traceback (most recent call last):\n" if event.result == "Error" else None
    if admin and version >= (2, 62):
        view["host"] = server.host
    if version >= (2, 62):
        view["hostId"] = host_id(server)
    if admin and version >= (2, 84):
        view["details"] = "The guest or the volume service said no." if event.result == "Error" else None
    return view
