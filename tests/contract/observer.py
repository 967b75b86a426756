"""Looks at a cloud through its own API as an administrator: the same way at both clouds."""

from __future__ import annotations

from tests.contract.lab import ABSENT, Link, Record
from tests.integration.openstack.api import ApiError, Session


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
        links = [Link(entry["attachment_id"], entry["server_id"]) for entry in volume["attachments"]]
        return Record(volume["status"], tuple(links))

    def entries(self, volume_id: str) -> list[str]:
        path = f"/attachments?volume_id={volume_id}&all_tenants=1"
        found = self._volume.get(path, {"OpenStack-API-Version": "volume 3.27"})["attachments"]
        return [entry["status"] for entry in found]

    def held(self, server_id: str) -> list[str]:
        attachments = self._compute.get(f"/servers/{server_id}/os-volume_attachments")["volumeAttachments"]
        return [attachment["volumeId"] for attachment in attachments]
