"""The detach of a live server's disk, row by row, against what a real Nova was recorded to answer."""

from __future__ import annotations

import re
import uuid
from typing import TYPE_CHECKING, Any

import pytest

from tests.embedded_cloud import Attachment, Cloud
from tests.unit.embedded_cloud.client import ask, servers
from tests.unit.embedded_cloud.live_scenes import Scene, staged
from tests.unit.embedded_cloud.recordings import Row, rows

if TYPE_CHECKING:
    import requests

ROWS = rows("live_detach.md")
_NOT_IN_USE = (
    r"Invalid volume: Invalid input received: Invalid volume: Unable to detach volume\. Volume status must "
    r"be 'in-use' and attach_status must be 'attached' to detach\. \(HTTP 400\) "
    r"\(Request-ID: req-[0-9a-f-]{36}\)"
)
_KINDS = {
    400: "badRequest",
    401: "error",
    403: "forbidden",
    404: "itemNotFound",
    409: "conflictingRequest",
}


def _check(scene: Scene, row: Row, answer: requests.Response) -> None:
    status, message = int(row.cells[1]), row.cells[2]
    assert answer.status_code == status, answer.text
    if status == 202:
        assert answer.content == b""
        return
    [(kind, error)] = answer.json().items()
    assert (kind, error["code"]) == (_KINDS[status], status)
    if message == "not in use":
        assert re.fullmatch(_NOT_IN_USE, error["message"])
        return
    ids = {"S": scene.named("S"), "V": scene.named("V")}
    ids |= {"OTHER": scene.cloud.other_project_id, "PROJECT": scene.cloud.project_id}
    assert error["message"] == re.sub(r"\b(S|V|OTHER|PROJECT)\b", lambda found: ids[found[0]], message)


def test_every_row_is_read() -> None:
    assert [row.number for row in ROWS] == list(range(1, 76))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_it_answers_as_recorded(cloud: Cloud, row: Row) -> None:
    scene = staged(cloud, row.cells[0])

    answer = scene.delete()

    _check(scene, row, answer)
    if row.number == 16:
        assert scene.then() == row.cells[3]  # at once: nothing is under way any more
    cloud.world.settle()
    assert scene.then() == row.cells[3]
    if answer.status_code not in {202, 401}:
        begun = [action for action in scene.server.actions if action.action == "detach_volume"]
        assert len(begun) == ("DELETE" in row.cells[0])


def test_an_accepted_detach_has_the_recorded_headers(cloud: Cloud) -> None:
    """The two request ids are one, and the key of the job."""
    scene = staged(cloud, "ACTIVE")

    answer = scene.delete()

    del answer.headers["Date"]
    request = answer.headers["X-Compute-Request-Id"]
    assert re.fullmatch(r"req-[0-9a-f-]{36}", request)
    assert dict(answer.headers) == {
        "Content-Length": "0",
        "Content-Type": "application/json",
        "Openstack-Api-Version": "compute 2.1",
        "Vary": "OpenStack-API-Version, X-OpenStack-Nova-API-Version",
        "X-Compute-Request-Id": request,
        "X-Openstack-Nova-Api-Version": "2.1",
        "X-Openstack-Request-Id": request,
    }
    assert [action.request_id for action in scene.server.actions if action.action == "detach_volume"] == [
        request
    ]


def test_a_refusals_content_says_its_character_set(cloud: Cloud) -> None:
    answer = staged(cloud, "SUSPENDED").delete()

    assert answer.headers["Content-Type"] == "application/json; charset=UTF-8"
    assert answer.headers["X-Compute-Request-Id"] == answer.headers["X-Openstack-Request-Id"]


@pytest.mark.parametrize("version", [None, "2.1", "2.79", "2.89", "2.104", "latest"])
@pytest.mark.parametrize("path", ["/v2.1/PROJECT", "/v2.1", "/v2/PROJECT"])
def test_no_path_and_no_version_changes_it(cloud: Cloud, path: str, version: str | None) -> None:
    scene = staged(cloud, "ACTIVE")
    base = f"/compute{path.replace('PROJECT', cloud.project_id)}/servers/{scene.server.id}"
    headers = {"X-OpenStack-Nova-API-Version": version} if version else {}
    url = f"{base}/os-volume_attachments/{scene.volume.id}"

    answer = ask(cloud, "DELETE", url, cloud.token(), headers=headers, params={"force": "1"})

    assert (answer.status_code, answer.content) == (202, b"")
    assert cloud.volume(scene.volume.id).status == "available"


def test_a_version_that_there_is_not_is_refused_by_name(cloud: Cloud) -> None:
    scene = staged(cloud, "ACTIVE")
    scene.version = "2.999"

    answer = scene.delete()

    text = "Version 2.999 is not supported by the API. Minimum is 2.1 and maximum is 2.104."
    assert (answer.status_code, answer.json()) == (406, {"computeFault": {"code": 406, "message": text}})
    assert scene.then() == "in-use 1, held"


def test_a_trailing_slash_is_no_route(cloud: Cloud) -> None:
    scene = staged(cloud, "ACTIVE")
    scene.asked["V"] = f"{scene.volume.id}/"

    assert scene.delete().status_code == 404
    assert scene.then() == "in-use 1, held"


# What a member is shown of a disk.

_SHOWN: list[tuple[str, set[str]]] = [
    ("2.1", {"id", "volumeId", "serverId", "device"}),
    ("2.79", {"id", "volumeId", "serverId", "device", "tag", "delete_on_termination"}),
    (
        "2.89",
        {"volumeId", "serverId", "device", "tag", "delete_on_termination", "attachment_id", "bdm_uuid"},
    ),
]


@pytest.mark.parametrize(("version", "keys"), _SHOWN)
def test_a_disk_is_shown_as_its_version_says(cloud: Cloud, version: str, keys: set[str]) -> None:
    scene = staged(cloud, "ACTIVE, delete_on_termination")
    headers = {"X-OpenStack-Nova-API-Version": version}
    base = servers(cloud, f"/{scene.server.id}/os-volume_attachments")

    [listed] = ask(cloud, "GET", base, cloud.token(), headers=headers).json()["volumeAttachments"]
    path = f"{base}/{scene.volume.id}"
    shown = ask(cloud, "GET", path, cloud.token(), headers=headers).json()["volumeAttachment"]

    assert shown == listed
    assert shown.keys() == keys
    assert shown.get("delete_on_termination", True) is True
    assert shown.get("attachment_id") in {None, scene.volume.attachments[0].attachment_id}


def test_a_servers_root_is_not_marked(cloud: Cloud) -> None:
    scene = staged(cloud, "root volume")
    headers = {"X-OpenStack-Nova-API-Version": "2.89"}
    path = servers(cloud, f"/{scene.server.id}")

    server = ask(cloud, "GET", path, cloud.token(), headers=headers).json()["server"]
    disks = ask(cloud, "GET", f"{path}/os-volume_attachments", cloud.token(), headers=headers).json()

    assert server["image"] == ""
    assert disks["volumeAttachments"][0].keys() == _SHOWN[-1][1]


@pytest.mark.parametrize(
    ("version", "attached", "locked"),
    [
        ("2.1", {"id"}, None),
        ("2.3", {"id", "delete_on_termination"}, None),
        ("2.9", {"id", "delete_on_termination"}, True),
        ("2.104", {"id", "delete_on_termination"}, True),
    ],
)
@pytest.mark.parametrize("listed", [False, True])
def test_a_server_shows_its_lock_and_disks_as_its_version_says(
    cloud: Cloud, version: str, attached: set[str], locked: bool | None, listed: bool
) -> None:
    scene = staged(cloud, "locked by the user")
    headers = {"X-OpenStack-Nova-API-Version": version}
    path = servers(cloud, "/detail" if listed else f"/{scene.server.id}")

    answer = ask(cloud, "GET", path, cloud.token(), headers=headers).json()

    server: dict[str, Any] = answer["servers"][0] if listed else answer["server"]
    assert [set(row) for row in server["os-extended-volumes:volumes_attached"]] == [attached]
    assert server.get("locked") is locked


def test_nobody_else_is_asked_about_a_host(cloud: Cloud) -> None:
    """An attachment without a server is nobody's disk to the compute service."""
    link = Attachment(str(uuid.uuid4()), None, "/dev/vdb", None, host_name="host-1")
    scene = Scene(cloud, cloud.add_server(), cloud.add_volume(attachments=[link]))

    assert scene.delete().status_code == 404
    assert scene.then() == "in-use 1, gone"
