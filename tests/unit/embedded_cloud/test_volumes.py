"""What the tables of os-detach leave open: what it rests on, and what else a volume's record shows."""

from __future__ import annotations

import uuid
from collections.abc import Iterable

import pytest

from tests.embedded_cloud import Attachment, Cloud, Server, Volume
from tests.unit.embedded_cloud.client import ask, volumes


def _detach(cloud: Cloud, volume: Volume, number: int = 0, headers: dict[str, str] | None = None) -> int:
    body = {"os-detach": {"attachment_id": volume.attachments[number].attachment_id}}
    path = volumes(cloud, f"/{volume.id}/action")
    return ask(cloud, "POST", path, cloud.token(), json=body, headers=headers).status_code


def test_cinder_asks_only_about_attachments_made_with_a_connector(cloud: Cloud) -> None:
    """os-attach makes a record alone: even with a live server's id it is cleared without a question."""
    volume = cloud.add_volume(attachments=[cloud.add_server()], connected=False)
    cloud.compute_down = True

    assert _detach(cloud, volume) == 202


def test_a_live_server_of_another_project_is_not_shown_so_the_record_is_cleared(cloud: Cloud) -> None:
    server = cloud.add_server(project_id=cloud.other_project_id)
    volume = cloud.add_volume(attachments=[server])

    assert _detach(cloud, volume) == 202


def test_only_a_service_may_pass_by_the_question(cloud: Cloud) -> None:
    volume = cloud.add_volume(attachments=[cloud.add_server()])
    member, service = cloud.token(user="sre"), cloud.token(role="service", user="cinder")
    ended = cloud.token(role="service", user="nova", expires_in=0)

    statuses = [
        _detach(cloud, volume, headers={"X-Service-Token": token}) for token in (member, ended, service)
    ]

    assert statuses == [409, 409, 202]


@pytest.mark.parametrize("status", ["in-use", "detaching", "error_detaching"])
def test_what_is_left_of_several_attachments_is_in_use(cloud: Cloud, status: str) -> None:
    volume = cloud.add_volume(status=status, attachments=[str(uuid.uuid4()), str(uuid.uuid4())])

    assert _detach(cloud, volume, 1) == 202
    assert (volume.status, len(volume.attachments)) == ("in-use", 1)


def test_a_volume_being_uploaded_goes_on_being_uploaded(cloud: Cloud) -> None:
    volume = cloud.add_volume(status="uploading", attachments=[str(uuid.uuid4())])

    assert _detach(cloud, volume) == 202
    assert (volume.status, volume.attachments) == ("uploading", [])


def test_a_detach_is_a_change_of_the_volume(cloud: Cloud) -> None:
    volume = cloud.add_volume(attachments=[str(uuid.uuid4())], updated_at="2020-01-01T00:00:00.000000")

    _detach(cloud, volume)

    assert str(volume.updated_at) > "2020-01-02"


@pytest.mark.parametrize(
    "body",
    [{"os-detach": []}, {"os-detach": {"a": 1, "b": 2}}, {"os-detach": {"attachment_id": ["x"]}}],
    ids=str,
)
def test_arguments_of_another_shape_are_refused(cloud: Cloud, body: object) -> None:
    volume = cloud.add_volume(attachments=[str(uuid.uuid4())])

    answer = ask(cloud, "POST", volumes(cloud, f"/{volume.id}/action"), cloud.token(), json=body)

    assert answer.status_code == 400
    assert answer.json()["badRequest"]["message"].startswith("Invalid input for field/attribute ")
    assert len(volume.attachments) == 1


def test_a_body_without_any_content_type_names_no_action(cloud: Cloud) -> None:
    volume = cloud.add_volume(attachments=[str(uuid.uuid4())])
    path = volumes(cloud, f"/{volume.id}/action")

    answer = ask(cloud, "POST", path, cloud.token(), data=b'{"os-detach": {}}')

    assert answer.status_code == 400
    assert answer.json()["badRequest"]["message"].startswith("There is no such action: None.")


def test_a_host_is_shown_to_an_admin_only(cloud: Cloud) -> None:
    attachment = Attachment(str(uuid.uuid4()), None, "/dev/vdb", None, host_name="host-1", connected=False)
    volume = cloud.add_volume(attachments=[attachment])

    def shown(role: str) -> tuple[str | None, str | None]:
        path = volumes(cloud, f"/{volume.id}")
        [found] = ask(cloud, "GET", path, cloud.token(role=role)).json()["volume"]["attachments"]
        return found["server_id"], found["host_name"]

    assert (shown("member"), shown("admin")) == ((None, None), (None, "host-1"))


@pytest.mark.parametrize("change", [str.upper, lambda text: text.replace("-", "")], ids=["upper", "bare"])
def test_a_volume_id_is_compared_letter_by_letter(cloud: Cloud, change: object) -> None:
    assert callable(change)
    path = volumes(cloud, f"/{change(cloud.add_volume().id)}")

    assert ask(cloud, "GET", path, cloud.token()).status_code == 404


def test_a_volume_may_be_shown_to_a_project_that_does_not_own_it(cloud: Cloud) -> None:
    mine = cloud.add_volume()
    shared = cloud.add_volume(project_id=cloud.other_project_id, seen_by=[cloud.project_id])
    cloud.add_volume(project_id=cloud.other_project_id)

    listed = ask(cloud, "GET", volumes(cloud, "/detail"), cloud.token()).json()["volumes"]

    tenants = {volume["id"]: volume["os-vol-tenant-attr:tenant_id"] for volume in listed}
    assert tenants == {mine.id: cloud.project_id, shared.id: cloud.other_project_id}


@pytest.mark.parametrize(
    ("holders", "status", "multiattach"),
    [([], "available", False), ([None], "in-use", False), (["a", "b"], "in-use", True)],
)
def test_a_volume_is_made_as_its_attachments_say(
    cloud: Cloud, holders: Iterable[str | Server | None], status: str, multiattach: bool
) -> None:
    volume = cloud.add_volume(attachments=holders)

    assert (volume.status, volume.multiattach) == (status, multiattach)
    assert len({a.attachment_id for a in volume.attachments}) == len(volume.attachments)
    assert len({a.device for a in volume.attachments}) == len(volume.attachments)
