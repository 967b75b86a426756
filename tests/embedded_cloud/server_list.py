"""Nova's lists of servers: pages, filters, deleted servers, and what is left of them while a cell is down."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from tests.embedded_cloud import paging, server_view
from tests.embedded_cloud.messages import Answer
from tests.embedded_cloud.refusal import Refusal
from tests.embedded_cloud.world import EVERYBODY

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.embedded_cloud.identity import Token
    from tests.embedded_cloud.messages import Call
    from tests.embedded_cloud.records import Server
    from tests.embedded_cloud.world import World

Version = tuple[int, int]

_SORTABLE = {"created_at": "created", "updated_at": "updated", "uuid": "id", "display_name": "name"}


# What a list can be filtered by; what else a member asks for is left out.
_FILTERS = {
    "name",
    "status",
    "image",
    "flavor",
    "ip",
    "ip6",
    "changes-since",
    "changes-before",
    "tags",
    "locked",
}
_TRUE = {"1", "t", "true", "y", "yes", "on", ""}
_FALSE = {"0", "f", "false", "n", "no", "off"}
_PAGING = {"limit", "marker", "sort_key", "sort_dir"}
_STATUSES = {
    *("ACTIVE", "BUILD", "DELETED", "ERROR", "HARD_REBOOT", "MIGRATING", "PASSWORD", "PAUSED", "REBOOT"),
    *("REBUILD", "RESCUE", "RESIZE", "REVERT_RESIZE", "SHELVED", "SHELVED_OFFLOADED", "SHUTOFF"),
    *("SOFT_DELETED", "SUSPENDED", "VERIFY_RESIZE"),
}


class ServerList:
    def __init__(self, world: World) -> None:
        self.world = world
        self.behaviour = world.behaviour

    def answer(self, call: Call, token: Token, version: Version, *, detail: bool) -> Answer:
        limit = self.limit(call.query)
        marker = self._marker(call.query.get("marker"), token)
        everyone = self._everyone(call.query, token, detail=detail)
        status = _status(call.query, token, version)
        rows = self._rows(call, token, marker, limit, status, everyone=everyone)
        # Rows of a cell that is down come first, and only where nothing is paged, sorted or filtered.
        unknown: list[Server] = []
        if version >= (2, 69) and not call.query.keys() & (_PAGING | _FILTERS | self._admins_filters(token)):
            unknown = self._down(token, everyone=everyone)[:limit]
            rows = rows[: limit - len(unknown)]
        texts = [json.dumps(server_view.unknown(server, detail=detail)) for server in unknown]
        if detail:
            views = [server_view.detailed(server, token, version, listed=True) for server in rows]
            texts += [json.dumps(view) for view in views]
        else:
            texts += [server_view.brief(server) for server in rows]
        body = '{"servers": [' + ", ".join(texts) + "]"
        rows = [*unknown, *rows]
        if rows and limit <= len(rows):
            base = f"{server_view.INTERNAL_HOST}/v2.1/{token.project_id}/servers"
            base += "/detail" if detail else ""
            body += ', "servers_links": ' + json.dumps([paging.next_link(base, call.query, rows[-1].id)])
        return Answer(200, (body + "}").encode(), [("Content-Type", "application/json")])

    def _rows(
        self,
        call: Call,
        token: Token,
        marker: Server | None,
        limit: int,
        status: str,
        *,
        everyone: bool,
    ) -> list[Server]:
        since = call.query.get("changes-since")
        keep = self._filter(call, token, status, changed=since is not None, everyone=everyone)
        if since is not None:
            servers = [*self.world.servers.values(), *self.world.deleted.values()]
            moment = since.removesuffix("Z")
            rows = [server for server in servers if server.updated >= moment and keep(server)]
            rows.sort(key=lambda server: server.key, reverse=True)
            return [server for server in rows if marker is None or server.key < marker.key][:limit]
        shelf = self.world.server_shelves.get(EVERYBODY if everyone else token.project_id or "")
        order = paging.order_of(call.query, _SORTABLE)
        if shelf and order:
            return paging.in_order(shelf, self.world.servers, marker, limit, keep, order)
        if shelf:
            return paging.newest_first(shelf, self.world.servers, marker, limit, keep)
        return []

    def _filter(
        self, call: Call, token: Token, status: str, *, changed: bool, everyone: bool
    ) -> Callable[[Server], bool]:
        """Say which servers pass. Soft-deleted ones do only in a list of changes, whatever is asked for."""
        ignored = self.behaviour.ignore_filters
        name = call.query.get("name") if "name" not in ignored else None
        policies = self.behaviour.policies
        uuid = call.query.get("uuid", "").lower() if token.role in policies.filters_servers else ""
        wanted = status if "status" not in ignored else ""
        down = bool(self.world.cells_down)

        def keep(server: Server) -> bool:
            return (
                (not wanted or server.status == wanted)
                and (changed or server.status != "SOFT_DELETED")
                and (name is None or re.search(name, server.name) is not None)
                and (not uuid or (server.id == uuid and policies.finds_by_uuid))
                and not (everyone and policies.unlisted(server))
                and (everyone or server.project_id == token.project_id)
                and not (down and self.world.in_down_cell(server))
            )

        return keep

    def _down(self, token: Token, *, everyone: bool) -> list[Server]:
        """Give the servers whose cell is down, but for those that are queued for deletion."""
        if not self.world.cells_down:
            return []
        return [
            server
            for server in self.world.servers.values()
            if (everyone or server.project_id == token.project_id)
            and not (everyone and self.behaviour.policies.unlisted(server))
            and self.world.in_down_cell(server)
            and not server.queued_for_deletion
        ]

    def _everyone(self, query: dict[str, str], token: Token, *, detail: bool) -> bool:
        """Say whether all projects' are asked for; an empty value asks for them, too."""
        asked = query.get("all_tenants", "0").lower()
        if asked not in _TRUE | _FALSE:
            known = ", ".join(f"'{value}'" for value in sorted((_TRUE | _FALSE) - {""}))
            raise Refusal(
                400, f"Unrecognized value '{asked}', acceptable values are: {known}", (400, "Ecs.0005")
            )
        if asked in _FALSE:
            return False
        if token.role not in self.behaviour.policies.lists_all_servers:
            rule = f"os_compute_api:servers:{'detail' if detail else 'index'}:get_all_tenants"
            raise Refusal(403, f"Policy doesn't allow {rule} to be performed.", (403, "Ecs.0110"))
        return True

    def _admins_filters(self, token: Token) -> set[str]:
        may = token.role in self.behaviour.policies.filters_servers
        return {"uuid", "deleted", "soft_deleted", "host", "vm_state", "task_state"} if may else set()

    def limit(self, query: dict[str, str]) -> int:
        limit = query.get("limit", str(self.behaviour.page_max))
        if not re.fullmatch(r"[0-9]+", limit):
            message = f"Invalid input for query parameters limit. Value: {limit}. "
            raise Refusal(400, message + f"'{limit}' does not match '^[0-9]*$'", (400, "Ecs.0005"))
        return min(int(limit), self.behaviour.page_max)

    def _marker(self, server_id: str | None, token: Token) -> Server | None:
        """Find a marker; a server that is deleted still holds its place."""
        if server_id is None:
            return None
        server = self.world.servers.get(server_id.lower()) or self.world.deleted.get(server_id.lower())
        ours = server is not None and server.project_id == token.project_id
        if server is None or not (ours or token.role in self.behaviour.policies.lists_all_servers):
            raise Refusal(400, f"marker [{server_id}] not found", (400, "Ecs.0005"))
        return server


def _status(query: dict[str, str], token: Token, version: Version) -> str:
    """Read the status that is asked for; one that there is not matches nothing, or is refused from 2.38."""
    status = query.get("status", "").upper()
    if status and status not in _STATUSES and version >= (2, 38):
        raise Refusal(400, "Invalid status value", (400, "Ecs.0005"))
    if status == "DELETED" and token.role != "admin":
        raise Refusal(403, "Only administrators may list deleted instances", (403, "Ecs.0110"))
    return status
