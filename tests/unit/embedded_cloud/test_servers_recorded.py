"""Servers and their volumes row by row, against what a real Nova was recorded to answer."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from tests.embedded_cloud import Cloud, Server
from tests.unit.embedded_cloud.client import ask, servers, volumes
from tests.unit.embedded_cloud.recordings import Row, record, rows

ADMIN_PROJECT = "ad" * 16
ROWS = rows("servers.md")


class Scene:
    """The servers that the rows name, and their ids under the names that the table uses."""

    def __init__(self, cloud: Cloud, row: Row) -> None:
        self.cloud = cloud
        self.live = cloud.add_server()
        self.volume = cloud.add_volume(
            attachments=[] if "server without" in row.cells[0] else [self.live],
            known_to_compute="forgot" not in row.cells[0],
        )
        self.stopped = cloud.add_server(status="SHUTOFF")
        cloud.add_volume(attachments=[self.stopped])
        self.vanished = cloud.add_server()
        cloud.add_volume(attachments=[self.vanished])
        cloud.delete_server(self.vanished.id)
        attachment = self.volume.attachments[0].attachment_id if self.volume.attachments else ""
        self.ids = {
            "LIVE": self.live.id,
            "LIVE_IN_UPPER_CASE": self.live.id.upper(),
            "LIVE_WITHOUT_HYPHENS": self.live.id.replace("-", ""),
            "STOPPED": self.stopped.id,
            "VANISHED": self.vanished.id,
            "NEVER_KNOWN": str(uuid.uuid4()),
            "VOLUME": self.volume.id,
            "ATTACHMENT": attachment,
            "PROJECT": cloud.project_id,
            "OTHER_PROJECT": cloud.other_project_id,
            "ADMIN_PROJECT": ADMIN_PROJECT,
        }

    def named(self, text: str) -> str:
        for name, value in sorted(self.ids.items(), key=lambda pair: -len(pair[0])):
            text = text.replace(name, value)
        return text

    def token(self, kind: str) -> str | None:
        makers: dict[str, Callable[[], str | None]] = {
            "user": self.cloud.token,
            "reader": lambda: self.cloud.token(role="reader"),
            "admin": lambda: self.cloud.token(ADMIN_PROJECT, role="admin"),
            "other": lambda: self.cloud.token(self.cloud.other_project_id),
            "(not a token)": lambda: "not-a-token",
            "(none)": lambda: None,
        }
        return makers[kind]()


def _check_server(scene: Scene, shown: dict[str, Any], cell: str, server: Server) -> None:
    """Check a cell like ``server: status ACTIVE, vm_state active; keys as below + A - B``."""
    head, _, changes = cell.partition("; keys as below")
    status, vm_state = head.removeprefix("server: status ").split(", vm_state ")
    assert (shown["status"], shown["OS-EXT-STS:vm_state"]) == (status, vm_state)
    assert shown["id"] == server.id
    keys = list(record("server.json")["server"])
    words = changes.split()
    for sign, name in zip(words[::2], words[1::2], strict=True):
        if sign == "+":
            keys.append(name)
        else:
            keys.remove(name)
    assert list(shown) == keys
    assert shown["tenant_id"] == scene.cloud.project_id


def test_every_row_is_read() -> None:
    assert [row.number for row in ROWS] == list(range(1, 37))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_it_answers_as_recorded(cloud: Cloud, row: Row) -> None:
    scene = Scene(cloud, row)
    case, path, token, status, cell = row.cells
    headers = {"X-OpenStack-Nova-API-Version": "2.89"} if "2.89" in case else {}
    if "trailing slash" in case:
        headers["Accept"] = "application/json"

    answer = ask(cloud, "GET", "/compute" + scene.named(path), scene.token(token), headers=headers)

    assert str(answer.status_code) == status
    if cell.startswith("server:"):
        server = scene.stopped if "STOPPED" in path else scene.live
        _check_server(scene, answer.json()["server"], cell, server)
        return
    expected, shown = json.loads(scene.named(cell)), answer.json()
    for attachment in [shown.get("volumeAttachment", {}), *shown.get("volumeAttachments", [])]:
        # The rig's first free device, and an id that nobody chooses.
        attachment["device"] = "/dev/sdb"
        if "bdm_uuid" in attachment:
            attachment["bdm_uuid"] = expected["volumeAttachment"]["bdm_uuid"]
    assert shown == expected


def test_a_live_server_has_the_recorded_shape(cloud: Cloud) -> None:
    server = cloud.add_server()
    cloud.add_volume(attachments=[server])

    shown = ask(cloud, "GET", servers(cloud, f"/{server.id}"), cloud.token()).json()

    assert _shape(shown) == _shape(record("server.json"))


def test_an_attached_volume_has_the_recorded_shape(cloud: Cloud) -> None:
    volume = cloud.add_volume(attachments=[cloud.add_server()])

    shown = ask(cloud, "GET", volumes(cloud, f"/{volume.id}"), cloud.token()).json()

    assert _shape(shown) == _shape(record("volume.json"))
    [attachment] = shown["volume"]["attachments"]
    assert attachment["id"] == attachment["volume_id"] == volume.id != attachment["attachment_id"]


def _shape(value: object) -> object:
    """Keep keys, their order and the kinds of the values."""
    if isinstance(value, dict):
        return [(name, _shape(part)) for name, part in value.items()]
    if isinstance(value, list):
        return [_shape(part) for part in value]
    return type(value).__name__


def test_its_headers_name_version_and_request(cloud: Cloud) -> None:
    answer = ask(cloud, "GET", servers(cloud, "/NEVER"), cloud.token())

    assert answer.headers["Openstack-Api-Version"] == "compute 2.1"
    assert answer.headers["X-Openstack-Nova-Api-Version"] == "2.1"
    assert answer.headers["Vary"] == "OpenStack-API-Version, X-OpenStack-Nova-API-Version"
    assert answer.headers["X-Compute-Request-Id"] == answer.headers["X-Openstack-Request-Id"]


@pytest.mark.parametrize(
    "header", [{"X-OpenStack-Nova-API-Version": "2.21"}, {"OpenStack-API-Version": "compute 2.21"}], ids=str
)
def test_a_deletion_stays_on_record_from_microversion_2_21(cloud: Cloud, header: dict[str, str]) -> None:
    server = cloud.add_server()
    cloud.delete_server(server.id)
    path = servers(cloud, f"/{server.id}/os-instance-actions")

    shown = ask(cloud, "GET", path, cloud.token(), headers=header)

    assert [action["action"] for action in shown.json()["instanceActions"]] == ["delete", "create"]
    assert {"instance_uuid", "request_id", "user_id", "project_id", "start_time", "message"} <= set(
        shown.json()["instanceActions"][0]
    )
    assert shown.headers["Openstack-Api-Version"] == "compute 2.21"
    assert ask(cloud, "GET", path, cloud.token()).status_code == 404
    assert ask(cloud, "GET", path, cloud.token(cloud.other_project_id), headers=header).status_code == 400
    other = servers(cloud, f"/{server.id}/os-instance-actions", cloud.other_project_id)
    assert ask(cloud, "GET", other, cloud.token(cloud.other_project_id), headers=header).status_code == 404


@pytest.mark.parametrize("known", [True, False])
def test_no_record_is_left_of_a_purged_or_unknown_server(cloud: Cloud, known: bool) -> None:
    server_id = cloud.add_server().id if known else str(uuid.uuid4())
    if known:
        cloud.delete_server(server_id, purge=True)
    headers = {"X-OpenStack-Nova-API-Version": "2.21"}

    answer = ask(
        cloud, "GET", servers(cloud, f"/{server_id}/os-instance-actions"), cloud.token(), headers=headers
    )

    assert answer.status_code == 404
    assert answer.json()["itemNotFound"]["message"] == f"Instance {server_id} could not be found."


@pytest.mark.parametrize(("version", "status"), [("2.999", 406), ("2.0", 406), ("two", 400), ("latest", 200)])
def test_an_impossible_microversion_is_refused(cloud: Cloud, version: str, status: int) -> None:
    server = cloud.add_server()
    headers = {"X-OpenStack-Nova-API-Version": version}

    answer = ask(cloud, "GET", servers(cloud, f"/{server.id}"), cloud.token(), headers=headers)

    assert answer.status_code == status


def test_the_volumes_of_a_server_are_paged_by_offset(cloud: Cloud) -> None:
    """Nova's own paging of this list: limit and offset, no marker, no link.

    Both also count the disk that the server's image is on, which comes first and is not shown.
    """
    server = cloud.add_server()
    ids = [cloud.add_volume(attachments=[server]).id for _ in range(5)]
    path = servers(cloud, f"/{server.id}/os-volume_attachments")

    def page(**params: str) -> list[str]:
        answer = ask(cloud, "GET", path, cloud.token(), params=params)
        return [row["volumeId"] for row in answer.json()["volumeAttachments"]]

    assert page() == ids
    assert page(limit="2") == ids[:1]
    assert page(limit="2", offset="2") == ids[1:3]
    assert page(limit="2", marker=ids[1]) == ids[:1]
    assert page(offset="5") == ids[4:]
    assert page(offset="6") == []
    cloud.page_cap = 3
    assert page() == ids[:2]
    assert page(offset="3") == ids[2:]


def test_a_soft_deleted_server_is_shown_but_not_listed(cloud: Cloud) -> None:
    server = cloud.add_server(status="SOFT_DELETED")

    shown = ask(cloud, "GET", servers(cloud, f"/{server.id}"), cloud.token()).json()["server"]
    listed = ask(cloud, "GET", servers(cloud), cloud.token()).json()["servers"]

    assert (shown["status"], shown["OS-EXT-STS:vm_state"]) == ("SOFT_DELETED", "soft-delete")
    assert listed == []


def test_a_silent_compute_service_closes_the_connection(cloud: Cloud) -> None:
    cloud.compute_down = True

    with pytest.raises(OSError, match="Connection aborted"):
        ask(cloud, "GET", servers(cloud), cloud.token())

    assert [call.status for call in cloud.calls] == [0]
