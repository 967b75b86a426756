"""What becomes of an accepted detach: its states, how it can be followed, and what is asked meanwhile."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import pytest

from tests.embedded_cloud.detach_job import Course
from tests.unit.embedded_cloud.client import Clock, ask, servers, volumes
from tests.unit.embedded_cloud.live_scenes import ADMIN_PROJECT, Scene, staged

if TYPE_CHECKING:
    from tests.embedded_cloud import Cloud

DONE, FREE, HELD, UNDER_WAY = "Success", "available 0, gone", "in-use 1, held", "detaching 1, held"


def _action(scene: Scene, request: str, version: str = "2.51", role: str = "member") -> dict[str, Any]:
    cloud = scene.cloud
    project = ADMIN_PROJECT if role == "admin" else cloud.project_id
    path = servers(cloud, f"/{scene.server.id}/os-instance-actions/{request}", project)
    headers = {"X-OpenStack-Nova-API-Version": version}
    answer = ask(cloud, "GET", path, cloud.token(project, role=role), headers=headers)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()["instanceAction"]
    return found


def _begun(scene: Scene) -> str:
    """Ask for the detach; give the request id that its job is known by."""
    answer = scene.delete()
    assert answer.status_code == 202, answer.text
    return answer.headers["X-Openstack-Request-Id"]


def _told(scene: Scene, request: str) -> tuple[str | None, list[str | None], str]:
    """Look at all that a member can see: message, results of the events, record and holder."""
    action = _action(scene, request)
    return action["message"], [event["result"] for event in action["events"]], scene.then()


def _volume_action(scene: Scene, name: str, arguments: Any = None) -> int:
    path = volumes(scene.cloud, f"/{scene.volume.id}/action")
    return ask(scene.cloud, "POST", path, scene.cloud.token(), json={name: arguments or {}}).status_code


def test_a_detach_goes_step_by_step(cloud: Cloud, clock: Clock) -> None:
    """Nova's own order: the guest, the volume service's entry, the compute service's row, the event."""
    cloud.jobs.course = Course(queued=1, guest=2, entry=3, row=4)
    scene = staged(cloud, "ACTIVE")
    request = _begun(scene)

    seen = [_told(scene, request)]
    for seconds in (1, 2, 3, 4):
        clock.after(seconds)
        seen.append(_told(scene, request))

    assert seen == [
        (None, [], UNDER_WAY),
        (None, [None], UNDER_WAY),
        (None, [None], UNDER_WAY),
        (None, [None], "available 0, held"),
        (None, [DONE], FREE),
    ]
    assert (scene.server.status, scene.server.task_state) == ("ACTIVE", None)


def test_an_actions_fields_are_the_recorded_ones(cloud: Cloud, clock: Clock) -> None:
    scene = staged(cloud, "ACTIVE")
    request = _begun(scene)
    clock.after(1)

    action = _action(scene, request)

    moment = "2027-01-15T08:00:00.000000"
    assert action == {
        "action": "detach_volume",
        "instance_uuid": scene.server.id,
        "request_id": request,
        "user_id": action["user_id"],
        "project_id": cloud.project_id,
        "start_time": moment,
        "message": None,
        "events": [
            {
                "event": "compute_detach_volume",
                "start_time": moment,
                "finish_time": moment,
                "result": "Success",
            }
        ],
    }


_MEMBERS = {"event", "start_time", "finish_time", "result"}


@pytest.mark.parametrize(
    ("version", "role", "updated", "events"),
    [
        ("2.1", "member", False, None),
        ("2.50", "member", False, None),
        ("2.50", "admin", False, {*_MEMBERS, "traceback"}),
        ("2.51", "member", False, _MEMBERS),
        ("2.51", "reader", False, _MEMBERS),
        ("2.58", "member", True, _MEMBERS),
        ("2.62", "member", True, {*_MEMBERS, "hostId"}),
        ("2.84", "reader", True, {*_MEMBERS, "hostId"}),
        ("2.84", "admin", True, {*_MEMBERS, "hostId", "host", "traceback", "details"}),
    ],
)
def test_what_is_seen_of_an_action_is_the_versions_and_the_roles(
    cloud: Cloud, version: str, role: str, updated: bool, events: set[str] | None
) -> None:
    scene = staged(cloud, "ACTIVE")
    request = _begun(scene)

    action = _action(scene, request, version, role)

    assert ("updated_at" in action) is updated
    assert (set(action["events"][0]) if "events" in action else None) == events


def test_the_list_of_actions_has_no_events(cloud: Cloud) -> None:
    scene = staged(cloud, "ACTIVE")
    request = _begun(scene)
    base = servers(cloud, f"/{scene.server.id}/os-instance-actions")

    def listed(version: str, **query: str) -> dict[str, Any]:
        headers = {"X-OpenStack-Nova-API-Version": version}
        found: dict[str, Any] = ask(cloud, "GET", base, cloud.token(), headers=headers, params=query).json()
        return found

    assert [row["action"] for row in listed("2.51")["instanceActions"]] == ["detach_volume", "create"]
    assert all("events" not in row for row in listed("2.104")["instanceActions"])
    assert len(listed("2.57", limit="1")["instanceActions"]) == 2
    page = listed("2.58", limit="1")
    assert ([row["request_id"] for row in page["instanceActions"]], len(page["links"])) == ([request], 1)
    assert page["links"][0]["href"].endswith(f"?limit=1&marker={request}")
    assert [row["action"] for row in listed("2.58", marker=request)["instanceActions"]] == ["create"]


def test_an_unknown_request_has_no_action(cloud: Cloud) -> None:
    scene = staged(cloud, "ACTIVE")
    request = f"req-{uuid.uuid4()}"
    path = servers(cloud, f"/{scene.server.id}/os-instance-actions/{request}")

    answer = ask(cloud, "GET", path, cloud.token(), headers={"X-OpenStack-Nova-API-Version": "2.51"})

    message = f"Action {request} not found"
    assert (answer.status_code, answer.json()) == (404, {"itemNotFound": {"code": 404, "message": message}})


# How it can end.


def test_a_guest_that_keeps_its_disk_has_the_record_rolled_back(cloud: Cloud) -> None:
    cloud.jobs.course = Course(ends="guest")
    scene = staged(cloud, "ACTIVE")

    assert _told(scene, _begun(scene)) == ("Error", ["Error"], HELD)
    cloud.jobs.course = Course()
    assert _told(scene, _begun(scene)) == (None, [DONE], FREE)


@pytest.mark.parametrize(("ends", "told"), [("cinder", ("Error", ["Error"])), ("never", (None, [None]))])
def test_a_job_left_half_done_is_ended_by_a_roll_back_and_another(cloud: Cloud, ends: Any, told: Any) -> None:
    cloud.jobs.course = Course(ends=ends)
    scene = staged(cloud, "ACTIVE")

    assert _told(scene, _begun(scene)) == (*told, UNDER_WAY)
    entry = scene.volume.attachments[0].attachment_id
    assert scene.delete().status_code == 400
    assert _volume_action(scene, "os-detach", {"attachment_id": entry}) == 409
    cloud.jobs.course = Course()
    assert _volume_action(scene, "os-roll_detaching") == 202
    assert _told(scene, _begun(scene)) == (None, [DONE], FREE)


@pytest.mark.parametrize("state", ["silent", "down"])
def test_a_job_waits_for_its_host(cloud: Cloud, clock: Clock, state: Any) -> None:
    scene = staged(cloud, "ACTIVE")
    cloud.host(scene.server.host).state = "silent"
    request = _begun(scene)
    cloud.host(scene.server.host).state = state
    clock.after(3600)

    assert _told(scene, request) == (None, [], UNDER_WAY)
    cloud.host(scene.server.host).state = "up"
    assert _told(scene, request) == (None, [DONE], FREE)


def test_a_job_that_its_host_dies_over_never_changes_again(cloud: Cloud, clock: Clock) -> None:
    cloud.jobs.course = Course(guest=60)
    scene = staged(cloud, "ACTIVE")
    request = _begun(scene)
    clock.after(1)
    cloud.host(scene.server.host).state = "silent"
    clock.after(1)
    cloud.host(scene.server.host).state = "up"
    clock.after(3600)

    assert _told(scene, request) == (None, [None], UNDER_WAY)


def test_an_entry_that_was_lost_leaves_the_mark_for_ever(cloud: Cloud) -> None:
    scene = staged(cloud, "in-use, its entry lost")

    assert _told(scene, _begun(scene)) == (None, [DONE], "detaching 0, gone")
    assert scene.volume.attach_status == "attached"
    assert scene.delete().status_code == 404


# What is asked meanwhile.


def test_nothing_frees_a_record_under_way(cloud: Cloud, clock: Clock) -> None:
    cloud.jobs.course = Course(guest=60)
    scene = staged(cloud, "ACTIVE")
    _begun(scene)
    clock.after(1)
    entry = scene.volume.attachments[0].attachment_id
    path = f"/volume/v3/{cloud.project_id}/attachments/{entry}"
    headers = {"OpenStack-API-Version": "volume 3.27"}

    answers = [
        _volume_action(scene, "os-detach", {"attachment_id": entry}),
        _volume_action(scene, "os-detach"),
        ask(cloud, "DELETE", path, cloud.token(), headers=headers).status_code,
        scene.delete().status_code,
    ]

    assert (answers, scene.then()) == ([409, 409, 409, 400], UNDER_WAY)
    clock.after(60)
    assert scene.then() == FREE


def test_a_roll_back_does_not_stop_a_job(cloud: Cloud, clock: Clock) -> None:
    cloud.jobs.course = Course(guest=60)
    scene = staged(cloud, "ACTIVE")
    first = _begun(scene)
    clock.after(1)

    assert _volume_action(scene, "os-roll_detaching") == 202
    assert scene.then() == HELD
    second = _begun(scene)
    assert scene.then() == UNDER_WAY
    clock.after(60)
    assert _told(scene, first) == (None, [DONE], FREE)
    assert _told(scene, second) == ("Error", ["Error"], FREE)


def test_one_servers_disks_go_one_at_a_time(cloud: Cloud, clock: Clock) -> None:
    cloud.jobs.course = Course(guest=1)
    scene = staged(cloud, "ACTIVE")
    more = [cloud.add_volume(attachments=[scene.server]) for _ in range(5)]
    scenes = [scene, *(Scene(cloud, scene.server, volume) for volume in more)]
    for one in scenes:
        _begun(one)

    left = []
    for _ in range(6):
        clock.after(1)
        left.append(len(scene.server.disks))

    assert left == [5, 4, 3, 2, 1, 0]
    assert {one.then() for one in scenes} == {FREE}


def test_a_failed_job_does_not_hold_the_next(cloud: Cloud, clock: Clock) -> None:
    scene = staged(cloud, "ACTIVE")
    other = Scene(cloud, scene.server, cloud.add_volume(attachments=[scene.server]))
    cloud.jobs.courses[scene.volume.id] = Course(guest=2, ends="guest")
    requests = [_begun(scene), _begun(other)]
    clock.after(1)
    assert [_told(*pair) for pair in zip((scene, other), requests, strict=True)] == [
        (None, [None], UNDER_WAY),
        (None, [None], UNDER_WAY),
    ]
    clock.after(1)

    assert _told(scene, requests[0]) == ("Error", ["Error"], HELD)
    assert _told(other, requests[1]) == (None, [DONE], FREE)


def test_several_servers_of_one_volume_let_go_one_after_the_other(cloud: Cloud) -> None:
    first = staged(cloud, "multiattach")
    other = next(server for server in cloud.servers if server is not first.server)
    second = Scene(cloud, other, first.volume)

    assert _told(first, _begun(first))[2] == "in-use 1, gone"
    assert first.delete().status_code == 404
    assert _told(second, _begun(second)) == (None, [DONE], FREE)
