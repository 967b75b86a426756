"""The flavour "huawei": the vendor's error bodies, and an os-detach that asks nobody."""

from __future__ import annotations

import uuid

import pytest

from tests.embedded_cloud import Cloud
from tests.unit.embedded_cloud.client import ask, servers, volumes


def _code(cloud: Cloud, method: str, path: str, token: str | None, json: object = None) -> tuple[int, str]:
    answer = ask(cloud, method, path, token, json=json)
    content = answer.json()
    error = content.get("error") or {"code": content["error_code"], "message": content["error_msg"]}
    assert error["message"]
    return answer.status_code, error["code"]


def _detach(attachment_id: str | None) -> object:
    return {"os-detach": {"attachment_id": attachment_id} if attachment_id else {}}


def test_a_refused_token_is_a_400_at_the_volume_service_and_a_401_at_the_gateway(huawei: Cloud) -> None:
    volume = volumes(huawei, f"/{huawei.add_volume().id}")
    server = servers(huawei, f"/{huawei.add_server().id}")
    expired, foreign = huawei.token(expires_in=0), huawei.token(huawei.other_project_id)

    assert _code(huawei, "GET", volume, "unknown") == (400, "EVS.0002")
    assert _code(huawei, "GET", volume, expired) == (400, "Common.0013")
    assert _code(huawei, "GET", volume, None) == (401, "APIGW.0301")
    assert _code(huawei, "GET", volume, foreign) == (400, "Common.0018")
    for token in ("unknown", expired, None):
        assert _code(huawei, "GET", server, token) == (401, "APIGW.0301")
    assert _code(huawei, "GET", server, foreign) == (400, "Common.0018")


def test_what_is_not_there_has_the_services_own_code(huawei: Cloud) -> None:
    token = huawei.token()
    nobody = str(uuid.uuid4())

    assert _code(huawei, "GET", volumes(huawei, f"/{nobody}"), token) == (404, "EVS.5404")
    assert _code(huawei, "POST", volumes(huawei, f"/{nobody}/action"), token, _detach(nobody)) == (
        404,
        "EVS.5404",
    )
    assert _code(huawei, "GET", servers(huawei, f"/{nobody}"), token) == (404, "Ecs.0114")
    assert _code(huawei, "GET", f"/volume/v2/{huawei.project_id}/nothing", token) == (404, "APIGW.0101")
    disk = servers(huawei, f"/{huawei.add_server().id}/os-volume_attachments/{nobody}")
    assert _code(huawei, "GET", disk, token) == (400, "Ecs.0111")


def test_paging_has_its_codes(huawei: Cloud) -> None:
    token = huawei.token()

    assert _code(huawei, "GET", volumes(huawei, "?limit=1001"), token) == (400, "EVS.1023")
    assert _code(huawei, "GET", volumes(huawei, f"?marker={uuid.uuid4()}"), token) == (400, "EVS.1024")


def test_os_detach_clears_a_live_servers_disk_too(huawei: Cloud) -> None:
    """What makes the proof necessary: the vendor's call only flips the record."""
    volume = huawei.add_volume(attachments=[huawei.add_server()])

    answer = ask(
        huawei,
        "POST",
        volumes(huawei, f"/{volume.id}/action"),
        huawei.token(),
        json=_detach(volume.attachments[0].attachment_id),
    )

    assert (answer.status_code, answer.content) == (202, b"")
    assert (volume.status, volume.attachments) == ("available", [])
    assert len(answer.headers["X-Request-Id"]) == 32


def test_os_detach_wants_a_volume_in_use(huawei: Cloud) -> None:
    token = huawei.token()
    for status in ("available", "detaching", "error_detaching", "maintenance"):
        volume = huawei.add_volume(status=status, attachments=[str(uuid.uuid4())])
        body = _detach(volume.attachments[0].attachment_id)
        path = volumes(huawei, f"/{volume.id}/action")
        assert _code(huawei, "POST", path, token, body) == (400, "EVS.5400")
        assert len(volume.attachments) == 1


@pytest.mark.parametrize("attachment_id", [None, "0df97d2b-8cc7-46c4-9060-fdd8d9ec0520"])
def test_os_detach_refuses_what_names_no_attachment(huawei: Cloud, attachment_id: str | None) -> None:
    volume = huawei.add_volume(attachments=[str(uuid.uuid4()), str(uuid.uuid4())])
    path = volumes(huawei, f"/{volume.id}/action")

    assert _code(huawei, "POST", path, huawei.token(), _detach(attachment_id)) == (400, "EVS.5400")
    assert len(volume.attachments) == 2


def test_a_reader_may_look_but_not_act(huawei: Cloud) -> None:
    volume, reader = huawei.add_volume(attachments=[str(uuid.uuid4())]), huawei.token(role="reader")
    path = volumes(huawei, f"/{volume.id}")

    assert ask(huawei, "GET", path, reader).status_code == 200
    assert _code(huawei, "POST", f"{path}/action", reader, _detach(None)) == (403, "EVS.5403")
