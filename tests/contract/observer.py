"""Looks at a cloud through its own API as an administrator: the same way at both clouds."""

from __future__ import annotations

from typing import Any

from tests.contract.lab import ABSENT, Link, Record
from tests.integration.openstack.api import ApiError, Session

_ATTACHMENTS = {"OpenStack-API-Version": "volume 3.27"}


class Observer:
    """Reads volumes and servers; ``volume`` and ``compute`` are sessions at those services."""

    def __init__(self, volume: Session, compute: Session) -> None:
        self._volume, self._compute = volume, compute

    def look(self, volume_id: str) -> Record:
        try:
            volume = self._volume.get(f"/volumes/{volume_id}")["volume"]
        except ApiError as error:
            if error.status != 404:
                raise
            return ABSENT
        return Record(volume["status"], _shown(volume))

    def links(self, volume_id: str) -> tuple[Link, ...]:
        """Read all entries of a volume, those that its record hides too, in any order."""
        return tuple(Link(entry["id"], entry["instance"]) for entry in self._listed(volume_id))

    def entries(self, volume_id: str) -> list[str]:
        """Read their states, by the alphabet: those of one second come in any order."""
        return sorted(entry["status"] for entry in self._listed(volume_id))

    def _listed(self, volume_id: str) -> list[dict[str, Any]]:
        path = f"/attachments?volume_id={volume_id}&all_tenants=1"
        found: list[dict[str, Any]] = self._volume.get(path, _ATTACHMENTS)["attachments"]
        return found

    def holds(self, server_id: str, volume_id: str) -> bool:
        """Ask whether a server lists a volume; one that there is not lists none."""
        try:
            return volume_id in self.held(server_id)
        except ApiError as error:
            if error.status != 404:
                raise
            return False

    def held(self, server_id: str) -> list[str]:
        attachments = self._compute.get(f"/servers/{server_id}/os-volume_attachments")["volumeAttachments"]
        return [attachment["volumeId"] for attachment in attachments]


def _shown(volume: dict[str, Any]) -> tuple[Link, ...]:
    return tuple(Link(entry["attachment_id"], entry["server_id"]) for entry in volume["attachments"])
