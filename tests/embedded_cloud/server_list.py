"""Nova's lists of servers: pages, filters, deleted servers, and what is left of them while a cell is down."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from tests.embedded_cloud import paging, server_view
from tests.embedded_cloud.messages import Answer
from tests.embedded_cloud.refusal import Refusal

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.embedded_cloud.identity import Token
    from tests.embedded_cloud.messages import Call
    from tests.embedded_cloud.records import Server
    from tests.embedded_cloud.world import World

Version = tuple[int, int]

_SORTABLE = {"created_at": "created", "updated_at": "updated", "uuid": "id", "display_name": "name"}


class ServerList:
    def __init__(self, world: World) -> None:
        self.world = world
        self.behaviour = world.behaviour

    def answer(self, call: Call, token: Token, version: Version, *, detail: bool) -> Answer:
        limit = self.limit(call.query)
        marker = self._marker(call.query.get("marker"), token)
        rows = self._rows(call, token, marker, limit)
        # Rows of a cell that is down are given only where nothing is paged, sorted or filtered.
        unknown: list[Server] = []
        if version >= (2, 69) and call.query.keys() <= {"all_tenants"}:
            unknown = self._down(token)[: limit - len(rows)]
        if detail:
            views = [server_view.detailed(server, token, version, listed=True) for server in rows]
            texts = [json.dumps(view) for view in views]
        else:
            texts = [server_view.brief(server) for server in rows]
        texts += [json.dumps(server_view.unknown(server, detail=detail)) for server in unknown]
        body = '{"servers": [' + ", ".join(texts) + "]"
        rows = [*rows, *unknown]
        if rows and limit <= len(rows):
            base = f"{server_view.INTERNAL_HOST}/v2.1/{token.project_id}/servers"
            base += "/detail" if detail else ""
            body += ', "servers_links": ' + json.dumps([paging.next_link(base, call.query, rows[-1].id)])
        return Answer(200, (body + "}").encode(), [("Content-Type", "application/json")])

    def _rows(self, call: Call, token: Token, marker: Server | None, limit: int) -> list[Server]:
        keep = self._filter(call, token)
        if "changes-since" in call.query:
            return self._changed(call.query["changes-since"], token, limit)
        shelf = self.world.server_shelves.get(token.project_id or "")
        order = paging.order_of(call.query, _SORTABLE)
        if shelf and order:
            return paging.in_order(shelf, self.world.servers, marker, limit, keep, order)
        if shelf:
            return paging.newest_first(shelf, self.world.servers, marker, limit, keep)
        return []

    def _filter(self, call: Call, token: Token) -> Callable[[Server], bool]:
        status = call.query.get("status", "").upper()
        ignored = self.behaviour.ignore_filters
        name = call.query.get("name")
        down = bool(self.world.cells_down)

        def keep(server: Server) -> bool:
            return (
                (server.status == status if status and "status" not in ignored else not _hidden(server))
                and (name is None or "name" in ignored or re.search(name, server.name) is not None)
                and server.project_id == token.project_id
                and not (down and self.world.in_down_cell(server))
            )

        return keep

    def _down(self, token: Token) -> list[Server]:
        """Give the servers whose cell is down, but not those that are queued for deletion there."""
        if not self.world.cells_down:
            return []
        servers = self.world.servers.values()
        return [
            server
            for server in servers
            if server.project_id == token.project_id
            and self.world.in_down_cell(server)
            and server.task_state != "deleting"
        ]

    def _changed(self, since: str, token: Token, limit: int) -> list[Server]:
        """List what changed since a moment, deleted servers included, newest first."""
        moment = since.removesuffix("Z")
        servers = [*self.world.servers.values(), *self.world.deleted.values()]
        rows = [s for s in servers if s.project_id == token.project_id and s.updated >= moment]
        rows = [server for server in rows if not self.world.in_down_cell(server)]
        return sorted(rows, key=lambda server: server.key, reverse=True)[:limit]

    def limit(self, query: dict[str, str]) -> int:
        limit = query.get("limit", str(self.behaviour.page_max))
        if not re.fullmatch(r"[0-9]+", limit):
            message = f"Invalid input for query parameters limit. Value: {limit}. "
            raise Refusal(400, message + f"'{limit}' does not match '^[0-9]*$'", (400, "Ecs.0005"))
        return min(int(limit), self.behaviour.page_max)

    def _marker(self, server_id: str | None, token: Token) -> Server | None:
        if server_id is None:
            return None
        server = self.world.servers.get(server_id.lower())
        if server is None or not (token.role == "admin" or server.project_id == token.project_id):
            raise Refusal(400, f"marker [{server_id}] not found", (400, "Ecs.0005"))
        return server


def _hidden(server: Server) -> bool:
    """Say whether a list leaves this server out: Nova lists soft-deleted ones only when asked for them."""
    return server.status == "SOFT_DELETED"
