"""Servers that come, go, or can't be seen: deletions, builds, shelves, locks, and cells that are down."""

from __future__ import annotations

from typing import Any

import pytest

from tests.embedded_cloud import Cloud, lifecycle
from tests.embedded_cloud.detach_job import Course
from tests.unit.embedded_cloud.client import Clock, ask, servers, volumes
from tests.unit.embedded_cloud.live_scenes import ADMIN_PROJECT, Scene, staged


def _begun(scene: Scene) -> None:
    answer = scene.delete()
    assert answer.status_code == 202, answer.text


def test_a_deletion_waits_for_the_job(cloud: Cloud, clock: Clock) -> None:
    cloud.jobs.course = Course(guest=60)
    scene = staged(cloud, "ACTIVE")
    _begun(scene)
    clock.after(1)
    path = servers(cloud, f"/{scene.server.id}")

    assert ask(cloud, "DELETE", path, cloud.token()).status_code == 204
    assert (scene.server.status, scene.server.task_state) == ("ACTIVE", "deleting")
    assert scene.delete().status_code == 409
    clock.after(60)
    assert ask(cloud, "GET", path, cloud.token()).status_code == 404
    assert cloud.volume(scene.volume.id).status == "available"


def _deletions(scene: Scene) -> list[list[str | None]]:
    actions = [action for action in scene.server.actions if action.action == "delete"]
    return [[event.result for event in action.events] for action in actions]


@pytest.mark.parametrize("case", ["ACTIVE", "SHELVED_OFFLOADED", "host known to be down"])
def test_a_deletion_that_a_host_did_says_so(cloud: Cloud, case: str) -> None:
    scene = staged(cloud, case)

    assert ask(cloud, "DELETE", servers(cloud, f"/{scene.server.id}"), cloud.token()).status_code == 204
    cloud.world.settle()

    assert _deletions(scene) == [["Success"] if case == "ACTIVE" else []]
    assert (scene.server.status, cloud.volume(scene.volume.id).status) == ("DELETED", "available")


def test_a_deletion_waits_for_a_host_that_is_silent(cloud: Cloud) -> None:
    scene = staged(cloud, "host just ended")
    path = servers(cloud, f"/{scene.server.id}")

    assert [ask(cloud, "DELETE", path, cloud.token()).status_code for _ in range(2)] == [204, 204]
    assert (scene.server.task_state, _deletions(scene)) == ("deleting", [[]])
    cloud.host(scene.server.host).state = "up"
    assert ask(cloud, "GET", path, cloud.token()).status_code == 404
    assert _deletions(scene) == [["Success"]]


def test_a_deletion_leaves_a_record_without_an_entry_as_it_is(cloud: Cloud) -> None:
    scene = staged(cloud, "in-use, its entry lost")

    ask(cloud, "DELETE", servers(cloud, f"/{scene.server.id}"), cloud.token())

    volume = cloud.volume(scene.volume.id)
    assert (volume.status, volume.attach_status, volume.attachments) == ("in-use", "attached", [])


# Servers that are being built.


def _entry_of(cloud: Cloud, volume_id: str) -> str:
    [entry] = cloud.volume(volume_id).attachments
    return entry.attachment_id


def test_a_server_without_a_host_knows_no_disks_of_its_own(cloud: Cloud) -> None:
    """The volume service has its entry already: what is not listed may be about to be used."""
    volume = cloud.add_volume()
    server = lifecycle.build(cloud.world, [volume])
    path = servers(cloud, f"/{server.id}")
    headers = {"X-OpenStack-Nova-API-Version": "2.89"}

    def seen() -> tuple[str, str | None, list[str], int]:
        shown = ask(cloud, "GET", path, cloud.token(), headers=headers).json()["server"]
        disks = [row["id"] for row in shown["os-extended-volumes:volumes_attached"]]
        disk = ask(cloud, "GET", f"{path}/os-volume_attachments/{volume.id}", cloud.token())
        return shown["status"], shown["OS-EXT-STS:task_state"], disks, disk.status_code

    before = (*seen(), volume.status)
    actions = ask(cloud, "GET", f"{path}/os-instance-actions", cloud.token()).status_code
    lifecycle.boot(cloud.world, server)

    assert (before, actions) == (("BUILD", "scheduling", [], 404, "reserved"), 404)
    assert (*seen(), volume.status) == ("ACTIVE", None, [volume.id], 200, "in-use")


def test_a_server_whose_entry_was_taken_meanwhile_ends_in_error(cloud: Cloud) -> None:
    volume = cloud.add_volume()
    server = lifecycle.build(cloud.world, [volume])
    body = {"os-detach": {"attachment_id": _entry_of(cloud, volume.id)}}
    path = volumes(cloud, f"/{volume.id}/action")

    assert ask(cloud, "POST", path, cloud.token(), json=body).status_code == 202
    assert volume.status == "available"
    lifecycle.boot(cloud.world, server)

    assert (server.status, list(server.known_disks)) == ("ERROR", [volume.id])


def test_nothing_is_kept_of_a_server_that_never_had_a_host(cloud: Cloud) -> None:
    volume = cloud.add_volume()
    server = lifecycle.build(cloud.world, [volume])
    path = servers(cloud, f"/{server.id}")

    assert ask(cloud, "DELETE", path, cloud.token()).status_code == 204
    headers = {"X-OpenStack-Nova-API-Version": "2.51"}
    record = ask(cloud, "GET", f"{path}/os-instance-actions", cloud.token(), headers=headers)
    assert (volume.status, record.status_code) == ("available", 404)


# What a user does to a server.


def _server_action(scene: Scene, name: str, arguments: Any = None, role: str = "member") -> int:
    project = ADMIN_PROJECT if role == "admin" else scene.cloud.project_id
    path = servers(scene.cloud, f"/{scene.server.id}/action", project)
    token = scene.cloud.token(project, role=role)
    return ask(scene.cloud, "POST", path, token, json={name: arguments}).status_code


@pytest.mark.parametrize(
    ("locker", "unlocker", "status"),
    [("member", "member", 202), ("member", "admin", 202), ("admin", "admin", 202), ("admin", "member", 403)],
)
def test_a_lock_is_taken_away_by_who_may(cloud: Cloud, locker: str, unlocker: str, status: int) -> None:
    scene = staged(cloud, "ACTIVE")

    assert _server_action(scene, "lock", role=locker) == 202
    assert _server_action(scene, "unlock", role=unlocker) == status
    assert scene.delete().status_code == (202 if status == 202 else 409)


@pytest.mark.parametrize(
    ("there", "status", "back"),
    [
        ("os-stop", "SHUTOFF", "os-start"),
        ("pause", "PAUSED", "unpause"),
        ("suspend", "SUSPENDED", "resume"),
        ("rescue", "RESCUE", "unrescue"),
        ("shelve", "SHELVED_OFFLOADED", "unshelve"),
    ],
)
def test_a_server_goes_where_it_is_sent(cloud: Cloud, there: str, status: str, back: str) -> None:
    scene = staged(cloud, "ACTIVE")

    assert _server_action(scene, there) == 202
    assert scene.server.status == status
    assert _server_action(scene, there) == 409
    assert _server_action(scene, back) == 202
    assert (scene.server.status, scene.then()) == ("ACTIVE", "in-use 1, held")


def test_only_an_administrator_brings_a_server_back_from_an_error(cloud: Cloud) -> None:
    scene = staged(cloud, "ERROR")

    assert _server_action(scene, "os-resetState", {"state": "active"}) == 403
    assert _server_action(scene, "os-resetState", {"state": "active"}, role="admin") == 202
    assert scene.delete().status_code == 202


def test_a_reader_sends_no_server_anywhere(cloud: Cloud) -> None:
    scene = staged(cloud, "ACTIVE")

    assert _server_action(scene, "os-stop", role="reader") == 403
    assert _server_action(scene, "unheard-of") == 400
    assert scene.server.status == "ACTIVE"


# Cells that are down.

_DOWN = "cell1"


def _listed(cloud: Cloud, path: str, version: str, **query: str) -> list[dict[str, Any]]:
    headers = {"X-OpenStack-Nova-API-Version": version}
    answer = ask(cloud, "GET", servers(cloud, path), cloud.token(), headers=headers, params=query)
    found: list[dict[str, Any]] = answer.json()["servers"]
    return found


@pytest.mark.parametrize("path", ["", "/detail"])
def test_servers_of_a_cell_that_is_down_are_listed_from_2_69_and_only_unpaged(
    cloud: Cloud, path: str
) -> None:
    hidden = staged(cloud, "ACTIVE").server
    staged(cloud, "task deleting")
    staged(cloud, "SOFT_DELETED")
    cloud.host("compute-2").cell = "cell2"
    seen = cloud.add_server(host="compute-2")
    cloud.cells_down.add(_DOWN)

    def ids(version: str, **query: str) -> list[str]:
        return [row["id"] for row in _listed(cloud, path, version, **query)]

    assert ids("2.68") == [seen.id]
    assert ids("2.69") == [hidden.id, seen.id]
    assert ids("2.104", uuid=seen.id, deleted="false") == [hidden.id, seen.id]
    assert ids("2.69", limit="100") == [seen.id]
    assert ids("2.69", sort_key="uuid") == [seen.id]
    assert ids("2.69", name="server") == [seen.id]
    row = _listed(cloud, path, "2.69")[0]
    detail = {"tenant_id", "created"} if path else set()
    assert (row["status"], set(row)) == ("UNKNOWN", {"id", "status", "links", *detail})
    cloud.cells_down.clear()
    assert len(ids("2.69")) == 3


def test_a_server_of_a_cell_that_is_down_is_an_error_below_2_69(cloud: Cloud) -> None:
    scene = staged(cloud, "ACTIVE")
    cloud.cells_down.add(_DOWN)
    path = servers(cloud, f"/{scene.server.id}")

    def status(version: str, part: str = "") -> int:
        headers = {"X-OpenStack-Nova-API-Version": version}
        return ask(cloud, "GET", path + part, cloud.token(), headers=headers).status_code

    assert (status("2.1"), status("2.68"), status("2.69")) == (500, 500, 200)
    assert status("2.104", "/os-volume_attachments") == 500
    assert status("2.104", "/os-instance-actions") == 500
    assert scene.delete().status_code == 500
    assert scene.then() == "in-use 1, held"
    scene.server.task_state = "deleting"
    assert (status("2.68"), status("2.69")) == (500, 404)
    scene.server.task_state, scene.server.status = None, "SOFT_DELETED"
    assert (status("2.68"), status("2.69")) == (500, 404)
    assert status("2.104", "/os-volume_attachments") == 500


def test_what_is_shown_of_a_server_while_its_cell_is_down(cloud: Cloud) -> None:
    scene = staged(cloud, "ACTIVE")
    cloud.cells_down.add(_DOWN)
    headers = {"X-OpenStack-Nova-API-Version": "2.69"}

    shown = ask(cloud, "GET", servers(cloud, f"/{scene.server.id}"), cloud.token(), headers=headers).json()

    more = {"image", "flavor", "OS-EXT-AZ:availability_zone", "OS-EXT-STS:power_state", "user_id"}
    assert shown["server"]["status"] == "UNKNOWN"
    assert shown["server"].keys() == {"id", "status", "tenant_id", "created", "links", *more}
