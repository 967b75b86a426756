"""Huawei Cloud's own detach of a disk: the call, its job, and what it refuses, by its documentation."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from tests.embedded_cloud import Cloud, Server, Volume, ecs
from tests.embedded_cloud.detach_job import Course
from tests.unit.embedded_cloud.client import ask, servers, volumes


def _path(cloud: Cloud, server_id: str, volume_id: str, part: str = "detachvolume") -> str:
    return f"/compute/v1/{cloud.project_id}/cloudservers/{server_id}/{part}/{volume_id}"


def _held(cloud: Cloud, status: str = "ACTIVE", *, root: bool = False) -> tuple[Server, Volume]:
    server = cloud.add_server(status=status)
    return server, cloud.add_volume(attachments=[server], root=root)


def _detach(cloud: Cloud, server: Server, volume: Volume, role: str = "member") -> tuple[int, Any]:
    answer = ask(cloud, "DELETE", _path(cloud, server.id, volume.id), cloud.token(role=role))
    assert len(answer.headers["X-Request-Id"]) == 32
    return answer.status_code, answer.json()


def _job(cloud: Cloud, job_id: str) -> dict[str, Any]:
    answer = ask(cloud, "GET", f"/compute/v1/{cloud.project_id}/jobs/{job_id}", cloud.token())
    found: dict[str, Any] = answer.json()
    return found | {"http": answer.status_code}


def test_a_detach_is_a_job_that_ends(huawei: Cloud) -> None:
    now = [1_800_000_000.0]
    huawei.now = lambda: now[0]
    huawei.jobs.course = Course(queued=10, guest=20)
    server, volume = _held(huawei)

    status, content = _detach(huawei, server, volume)
    states = []
    for seconds in (0, 10, 20):
        now[0] += seconds
        job = _job(huawei, content["job_id"])
        states.append((job["status"], huawei.volume(volume.id).status))

    assert (status, list(content)) == (200, ["job_id"])
    assert states == [("INIT", "detaching"), ("RUNNING", "detaching"), ("SUCCESS", "available")]
    assert job == {
        "http": 200,
        "status": "SUCCESS",
        "entities": {"server_id": server.id},
        "job_id": content["job_id"],
        "job_type": "detachVolume",
        "begin_time": "2027-01-15T08:00:00.000Z",
        "end_time": "2027-01-15T08:00:30.000Z",
        "error_code": None,
        "fail_reason": None,
    }
    assert server.disks == {}


@pytest.mark.parametrize(
    ("ends", "job_status", "record"),
    [("guest", "FAIL", "in-use"), ("cinder", "FAIL", "detaching"), ("never", "RUNNING", "detaching")],
)
def test_a_job_may_fail_or_never_end(huawei: Cloud, ends: Any, job_status: str, record: str) -> None:
    server, volume = _held(huawei)
    huawei.jobs.courses[volume.id] = Course(ends=ends)

    job = _job(huawei, _detach(huawei, server, volume)[1]["job_id"])

    assert (job["status"], huawei.volume(volume.id).status) == (job_status, record)
    assert (bool(job["fail_reason"]), bool(job["end_time"])) == (job_status == "FAIL", job_status == "FAIL")
    assert volume.id in server.disks


def test_a_job_is_forgotten_in_time(huawei: Cloud) -> None:
    now = [1_800_000_000.0]
    huawei.now = lambda: now[0]
    huawei.job_kept = 60
    job_id = _detach(huawei, *_held(huawei))[1]["job_id"]
    assert _job(huawei, job_id)["http"] == 200
    now[0] += 61

    assert _job(huawei, job_id)["http"] == 404
    assert _job(huawei, uuid.uuid4().hex)["http"] == 404


Stage = Callable[[Cloud, Server, Volume], object]
REFUSED: dict[str, tuple[Stage, int, str]] = {
    "not in the list": (lambda _c, s, v: s.disks.pop(v.id), 400, "Ecs.0111"),
    "no such server": (lambda c, s, _v: c.delete_server(s.id), 404, "Ecs.0114"),
    "not in this state": (lambda _c, s, _v: setattr(s, "status", "ERROR"), 400, "Ecs.0100"),
    "a task": (lambda _c, s, _v: setattr(s, "task_state", "powering-off"), 400, "Ecs.0100"),
    "locked": (lambda _c, s, _v: setattr(s, "locked_by", "owner"), 400, "Ecs.0605"),
    "disk's state": (lambda _c, _s, v: setattr(v, "status", "detaching"), 400, "Ecs.0102"),
    "running system disk": (lambda _c, s, v: setattr(s.disks[v.id], "root", True), 400, "Ecs.0101"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_it_refuses_by_the_services_own_codes(huawei: Cloud, case: str) -> None:
    server, volume = _held(huawei)
    stage, status, code = REFUSED[case]
    stage(huawei, server, volume)
    before = volume.status

    answered, content = _detach(huawei, server, volume)

    assert (answered, content["error"]["code"]) == (status, code)
    assert (volume.status, len(volume.attachments)) == (before, 1)


def test_who_may_only_read_is_refused(huawei: Cloud) -> None:
    server, volume = _held(huawei)

    status, content = _detach(huawei, server, volume, role="reader")

    assert (status, content["error"]["code"]) == (403, "Ecs.0110")


def test_a_stopped_servers_root_can_be_detached(huawei: Cloud) -> None:
    """Unlike at Nova: the server can't start any more, so it is the client that must refuse."""
    server, volume = _held(huawei, "SHUTOFF", root=True)

    assert _detach(huawei, server, volume)[0] == 200
    assert huawei.volume(volume.id).status == "available"


@pytest.mark.parametrize(
    ("case", "key", "inner"),
    [
        ("locked", "conflictingRequest", 409),
        ("not in this state", "conflictingRequest", 409),
        ("no such server", "itemNotFound", 404),
        ("running system disk", "badRequest", 400),
    ],
)
def test_it_may_refuse_with_novas_answer_inside(huawei: Cloud, case: str, key: str, inner: int) -> None:
    huawei.ecs_wraps = True
    server, volume = _held(huawei)
    REFUSED[case][0](huawei, server, volume)

    status, content = _detach(huawei, server, volume)

    assert (status, content["error"]["code"]) == (400, "Ecs.1000")
    [(found, error)] = json.loads(content["error"]["message"]).items()
    assert (found, error["code"], list(error)) == (key, inner, ["message", "code"])


@pytest.mark.parametrize("code", ecs.FAULTS)
def test_what_it_can_not_bring_about_it_can_be_told_to_answer(huawei: Cloud, code: str) -> None:
    server, volume = _held(huawei)
    huawei.misbehave("compute", "DELETE", **ecs.fault(code))

    answer = ask(huawei, "DELETE", _path(huawei, server.id, volume.id), huawei.token())

    assert (answer.status_code, answer.json()["error"]["code"]) == (ecs.FAULTS[code][0], code)
    assert (volume.status, len(volume.attachments)) == ("in-use", 1)


@pytest.mark.parametrize("index", [0, 1, True, False, "0", None], ids=repr)
def test_a_disk_shows_its_place_in_the_order_of_booting(huawei: Cloud, index: Any) -> None:
    server, volume = _held(huawei)
    server.disks[volume.id].boot_index = index
    path = _path(huawei, server.id, volume.id, "block_device")

    shown = ask(huawei, "GET", path, huawei.token()).json()["volumeAttachment"]
    [listed] = ask(huawei, "GET", path.rpartition("/")[0], huawei.token()).json()["volumeAttachments"]

    assert shown == listed
    assert ("bootIndex" in shown, shown.get("bootIndex")) == (index is not None, index)
    assert (shown["device"], shown["volumeId"], shown["serverId"]) == ("/dev/vdb", volume.id, server.id)


def test_a_disk_that_is_not_there_has_no_place(huawei: Cloud) -> None:
    server, _ = _held(huawei)
    path = _path(huawei, server.id, str(uuid.uuid4()), "block_device")

    answer = ask(huawei, "GET", path, huawei.token())

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "Ecs.0111")


@pytest.mark.parametrize(
    ("method", "part"), [("POST", "detachvolume"), ("GET", "detachvolume"), ("PUT", "x")]
)
def test_other_paths_are_the_gateways(huawei: Cloud, method: str, part: str) -> None:
    server, volume = _held(huawei)

    answer = ask(huawei, method, _path(huawei, server.id, volume.id, part), huawei.token())

    assert (answer.status_code, answer.json()["error_code"]) == (404, "APIGW.0101")


def test_openstack_has_no_such_api(cloud: Cloud) -> None:
    server, volume = _held(cloud)

    assert ask(cloud, "DELETE", _path(cloud, server.id, volume.id), cloud.token()).status_code == 404
    assert volume.status == "in-use"


def test_novas_own_call_is_there_too_in_the_vendors_words(huawei: Cloud) -> None:
    server, volume = _held(huawei)
    path = servers(huawei, f"/{server.id}/os-volume_attachments/{volume.id}")

    assert ask(huawei, "DELETE", path, huawei.token()).status_code == 202
    again = ask(huawei, "DELETE", path, huawei.token())

    assert (again.status_code, again.json()["error"]["code"]) == (400, "Ecs.0111")


@pytest.mark.parametrize(("version", "status"), [("2.60", 200), ("2.69", 406), ("2.89", 406)])
def test_its_microversions_end_early(huawei: Cloud, version: str, status: int) -> None:
    server, _ = _held(huawei)
    headers = {"X-OpenStack-Nova-API-Version": version}

    answer = ask(huawei, "GET", servers(huawei, f"/{server.id}"), huawei.token(), headers=headers)

    assert answer.status_code == status


# What the volume service of this cloud has for a stuck record.


def _act(cloud: Cloud, volume: Volume, action: str) -> int:
    path = volumes(cloud, f"/{volume.id}/action")
    return ask(cloud, "POST", path, cloud.token(), json={action: {}}).status_code


@pytest.mark.parametrize(("status", "after"), [("attaching", "available"), ("detaching", "detaching")])
def test_a_reservation_can_be_taken_back(huawei: Cloud, status: str, after: str) -> None:
    volume = huawei.add_volume(status=status)

    assert _act(huawei, volume, "os-unreserve") == 202
    assert volume.status == after


@pytest.mark.parametrize(
    "action", ["os-roll_detaching", "os-begin_detaching", "os-terminate_connection", "os-reset_status"]
)
def test_other_actions_are_not_documented(huawei: Cloud, action: str) -> None:
    volume = huawei.add_volume(status="detaching")

    assert _act(huawei, volume, action) == 400
    assert volume.status == "detaching"


def test_there_is_no_attachments_api(huawei: Cloud) -> None:
    headers = {"OpenStack-API-Version": "volume 3.27"}
    path = f"/volume/v3/{huawei.project_id}/attachments"

    answer = ask(huawei, "GET", path, huawei.token(), headers=headers)

    assert (answer.status_code, answer.json()["error_code"]) == (404, "APIGW.0101")
