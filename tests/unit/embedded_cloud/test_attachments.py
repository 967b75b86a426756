"""The attachments API beside its answers to stuck records: how entries come about, and are listed."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
import requests

from tests.embedded_cloud import Attachment, Cloud, Volume
from tests.unit.embedded_cloud.client import ask

VERSION = {"OpenStack-API-Version": "volume 3.27"}
ADMIN_PROJECT = "ad" * 16


def _ask(cloud: Cloud, method: str, part: str = "", body: Any = None, **query: str) -> requests.Response:
    path = f"/volume/v3/{cloud.project_id}/attachments{part}"
    return ask(cloud, method, path, cloud.token(), headers=VERSION, json=body, params=query)


def _create(cloud: Cloud, volume: Volume, **more: Any) -> requests.Response:
    return _ask(cloud, "POST", body={"attachment": {"volume_uuid": volume.id, **more}})


def _state(volume: Volume) -> tuple[str, str, list[str]]:
    return volume.status, volume.attach_status, [entry.status for entry in volume.attachments]


@pytest.mark.parametrize(
    ("more", "state"),
    [
        ({}, ("reserved", "detached", ["reserved"])),
        ({"connector": {"host": "rig"}}, ("attaching", "attaching", ["attaching"])),
    ],
    ids=["no connector", "connector"],
)
@pytest.mark.parametrize("server_id", [None, str(uuid.uuid4())], ids=["nobody", "a server"])
def test_an_entry_begins_as_a_reservation(
    cloud: Cloud, more: dict[str, Any], state: Any, server_id: str | None
) -> None:
    """The answer says so even of one that a connector was given for."""
    volume = cloud.add_volume()
    named = {"instance_uuid": server_id} if server_id else {}

    made = _create(cloud, volume, **named, **more).json()["attachment"]

    assert (made["status"], made["instance"], made["volume_id"]) == ("reserved", server_id, volume.id)
    assert _state(volume) == state
    assert volume.attachments[0].server_id == server_id


def test_a_volume_that_is_not_free_is_not_reserved(cloud: Cloud) -> None:
    volume = cloud.add_volume(attachments=[str(uuid.uuid4())])

    answer = _create(cloud, volume)

    assert answer.status_code == 400
    assert answer.json()["badRequest"]["message"].endswith("but the current status is in-use.")
    assert len(volume.attachments) == 1


def test_a_reservation_beside_attachments_makes_the_record_reserved(cloud: Cloud) -> None:
    volume = cloud.add_volume(attachments=[str(uuid.uuid4()), str(uuid.uuid4())])

    assert _create(cloud, volume).status_code == 200
    assert _state(volume) == ("reserved", "attached", ["attached", "attached", "reserved"])


def test_an_unknown_volume_is_not_found_when_it_is_to_be_reserved_but_has_no_entries(cloud: Cloud) -> None:
    volume = cloud.add_volume()
    cloud.delete_volume(volume.id)

    assert _create(cloud, volume).status_code == 404
    assert _ask(cloud, "GET", volume_id=volume.id).json() == {"attachments": []}


def test_an_attached_volume_is_listed_by_its_server_too(cloud: Cloud) -> None:
    server_id = str(uuid.uuid4())
    volume = cloud.add_volume(attachments=[server_id])
    other = cloud.add_volume(attachments=[str(uuid.uuid4())])
    cloud.add_volume(attachments=[server_id], project_id=cloud.other_project_id)

    def listed(**query: str) -> list[str]:
        return [row["volume_id"] for row in _ask(cloud, "GET", **query).json()["attachments"]]

    assert listed() == [other.id, volume.id]
    assert listed(instance_id=server_id) == [volume.id]
    assert listed(status="reserved") == []
    assert listed(limit="1") == [other.id]
    assert listed(marker=other.attachments[0].attachment_id) == [volume.id]
    assert listed(offset="1") == [volume.id]


def test_another_projects_administrator_sees_no_entries_unless_of_all_projects(cloud: Cloud) -> None:
    volume = cloud.add_volume(attachments=[str(uuid.uuid4())])
    token = cloud.token(ADMIN_PROJECT, role="admin")
    path = f"/volume/v3/{ADMIN_PROJECT}/attachments"

    def count(**query: str) -> int:
        answer = ask(cloud, "GET", path, token, headers=VERSION, params={"volume_id": volume.id, **query})
        return len(answer.json()["attachments"])

    assert (count(), count(all_tenants="1")) == (0, 1)


def test_a_hosts_entry_has_no_server_and_is_guarded_by_nothing(cloud: Cloud) -> None:
    link = Attachment(str(uuid.uuid4()), None, "/dev/vdz", None, host_name="host-1", connected=False)
    volume = cloud.add_volume(attachments=[link])

    [row] = _ask(cloud, "GET", "/detail").json()["attachments"]

    assert (row["status"], row["instance"], row["attach_mode"], row["connection_info"]) == (
        *("attached", None),
        *("rw", None),
    )
    assert _ask(cloud, "DELETE", f"/{link.attachment_id}").status_code == 200
    assert _state(volume) == ("available", "detached", [])
