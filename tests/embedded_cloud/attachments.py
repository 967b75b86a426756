"""Cinder's attachments API, from microversion 3.27: every entry, those that a volume's record hides too."""

from __future__ import annotations

import re
import uuid
from typing import TYPE_CHECKING, Any

from tests.embedded_cloud import entries
from tests.embedded_cloud.messages import Answer, json_answer
from tests.embedded_cloud.records import Attachment
from tests.embedded_cloud.refusal import Refusal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.embedded_cloud.guard import Guard
    from tests.embedded_cloud.identity import Token
    from tests.embedded_cloud.messages import Call
    from tests.embedded_cloud.records import Volume
    from tests.embedded_cloud.world import World

ROUTE = re.compile(r"/v3/([0-9a-f-]+)/attachments(?:/([^/]+)(/action)?)?")

Version = tuple[int, int]


class Attachments:
    def __init__(self, world: World, guard: Guard) -> None:
        self.world = world
        self.behaviour = world.behaviour
        self.guard = guard

    def answer(
        self, call: Call, token: Token, route: re.Match[str], version: Version, *, by_service: bool
    ) -> Answer:
        first = (3, 44) if route[3] else (3, 27)
        allowed = ("POST",) if route[3] else ("GET", "DELETE") if route[2] else ("GET", "POST")
        if version < first or call.method not in allowed:
            raise Refusal(404, "The resource could not be found.")
        if route[2] is None and call.method == "POST":
            return self._create(call, token)
        if route[2] in {None, "detail"}:
            return self._list(call, token, detail=route[2] is not None)
        volume, entry = self._found(str(route[2]))
        if route[3]:
            return self._complete(call, volume, entry, token)
        if call.method == "DELETE":
            return self._delete(volume, entry, token, by_service=by_service)
        return json_answer(200, {"attachment": _detailed(volume, entry)})

    def _list(self, call: Call, token: Token, *, detail: bool) -> Answer:
        query = call.query
        rows = [
            (volume, entry)
            for volume, entry in self._of_project(query, token)
            if query.get("status", entry.status) == entry.status
            and query.get("attach_status", entry.status) == entry.status
            and query.get("instance_id", entry.server_id) == entry.server_id
        ]
        if "marker" in query:
            ids = [entry.attachment_id for _, entry in rows]
            rows = rows[ids.index(query["marker"]) + 1 :] if query["marker"] in ids else []
        offset = int(query.get("offset", "0"))
        limit = min(int(query.get("limit", self.behaviour.page_max)), self.behaviour.page_max)
        view = _detailed if detail else _brief
        shown = [view(volume, entry) for volume, entry in rows[offset : offset + limit]]
        return json_answer(200, {"attachments": shown})

    def _of_project(self, query: dict[str, str], token: Token) -> Iterator[tuple[Volume, Attachment]]:
        """Give a project's entries, the newest first. Another project's are left out, not refused."""
        everyone = token.role in self.behaviour.policies.volume_admins and "all_tenants" in query
        if "volume_id" in query:
            found = self.world.volumes.get(query["volume_id"])
            volumes = [found] if found else []
        else:
            volumes = list(self.world.volumes.values())[::-1]
        for volume in volumes:
            if everyone or volume.project_id == token.project_id:
                for entry in reversed(volume.attachments):
                    yield volume, entry

    def _found(self, attachment_id: str) -> tuple[Volume, Attachment]:
        volume = self.guard.elsewhere(attachment_id)
        entry = volume.attachment(attachment_id) if volume else None
        if volume is None or entry is None:
            text = f"Volume attachment could not be found with filter: attachment_id = {attachment_id}."
            raise Refusal(404, text)
        return volume, entry

    def _create(self, call: Call, token: Token) -> Answer:
        """Reserve a volume for a server, or for nobody; with a connector, begin to attach it too."""
        wanted: dict[str, Any] = call.body["attachment"]
        volume = self.world.volumes.get(wanted["volume_uuid"])
        if volume is None or not (token.role == "admin" or token.project_id in volume.seen_by):
            raise Refusal(404, f"Volume {wanted['volume_uuid']} could not be found.")
        _authorize(volume, token, "volume:attachment_create")
        if volume.status != "available" and not (volume.multiattach and volume.status == "in-use"):
            text = f"Invalid volume: Volume {volume.id} status must be available or downloading to reserve"
            raise Refusal(400, f"{text}, but the current status is {volume.status}.")
        entry = Attachment(
            str(uuid.uuid4()), wanted.get("instance_uuid"), "na", None, None, False, "reserved"
        )
        volume.attachments.append(entry)
        volume.status, volume.updated_at = "reserved", self.behaviour.stamp()
        answer = json_answer(200, {"attachment": _detailed(volume, entry)})
        connector = wanted.get("connector")
        if connector:
            entry.status, entry.connected, entry.host_name = "attaching", True, connector.get("host")
            volume.status, volume.attach_status = entries.statuses(volume)
        return answer

    def _delete(self, volume: Volume, entry: Attachment, token: Token, *, by_service: bool) -> Answer:
        """Let an entry go. Maintenance does not hold it, and is over by it."""
        _authorize(volume, token, "volume:attachment_delete")
        if not by_service:
            self.guard.check_entry(volume, entry, token)
        entries.finish_detach(volume, entry.attachment_id, self.behaviour.stamp())
        left = [_brief(volume, other) for other in volume.attachments]
        return json_answer(200, {"attachments": left})

    def _complete(self, call: Call, volume: Volume, entry: Attachment, token: Token) -> Answer:
        """Say that an entry is attached: there is no condition at all."""
        if not isinstance(call.body, dict) or list(call.body) != ["os-complete"]:
            raise Refusal(400, "Malformed request body")
        if token.role != "admin" and token.project_id not in volume.seen_by:
            raise Refusal(404, f"Volume {volume.id} could not be found.")
        _authorize(volume, token, "volume:attachment_complete")
        entry.status = "attached"
        entry.attached_at = entry.attached_at or self.behaviour.stamp()
        volume.status, volume.attach_status = "in-use", "attached"
        volume.updated_at = self.behaviour.stamp()
        return Answer(204)


def _authorize(volume: Volume, token: Token, policy: str) -> None:
    ours = token.project_id == volume.project_id and token.role == "member"
    if not (ours or token.role == "admin"):
        raise Refusal(403, f"Policy doesn't allow {policy} to be performed.")


def _brief(volume: Volume, entry: Attachment) -> dict[str, Any]:
    return {
        "id": entry.attachment_id,
        "status": entry.status,
        "instance": entry.server_id,
        "volume_id": volume.id,
    }


def _detailed(volume: Volume, entry: Attachment) -> dict[str, Any]:
    """Show an entry with its connection; one made by os-attach has a mode and no connection at all."""
    info: dict[str, Any] | None = {}
    if entry.connected:
        info = {"driver_volume_type": "rig", "access_mode": "rw", "attachment_id": entry.attachment_id}
    elif entry.status == "attached":
        info = None
    attached_at = entry.attached_at or ""
    mode = "null" if entry.status == "reserved" else "rw"
    return _brief(volume, entry) | {
        "attached_at": attached_at,
        "detached_at": "",
        "attach_mode": mode,
        "connection_info": info,
    }
