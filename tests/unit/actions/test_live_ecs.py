"""A live server's disk on Huawei Cloud: its own call with its job, what it would do to a root, its codes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from handler.actions.live import detach_api
from handler.cloud.detaching import EcsDetach, NovaDetach
from handler.settings.opt_in import LiveApi
from tests.embedded_cloud import Cloud, Server, Volume, ecs
from tests.embedded_cloud.detach_job import Course
from tests.unit.actions.opted_in import OptedIn, told

HELD, FREE = "in-use 1, held", "available 0, gone"
DETACH = "DELETE detachvolume"


@pytest.fixture
def project() -> Iterator[OptedIn]:
    with Cloud("huawei") as cloud:
        made = OptedIn(cloud, DETACH_LIVE_API="ecs")
        yield made
        made.close()


def held(project: OptedIn, status: str = "ACTIVE", *, root: bool = False) -> tuple[Server, Volume]:
    server = project.cloud.add_server(status=status)
    return server, project.cloud.add_volume(attachments=[server], root=root)


def detach(project: OptedIn, server: Server, volume: Volume, **about: Any) -> Any:
    ids = {"attachment_id": volume.attachments[0].attachment_id, "server_id": server.id}
    return project.one(volume.id, live=True, **ids, **about)


COURSES: dict[str, tuple[Course, tuple[str, str | None, bool | None], str]] = {
    "at once": (Course(), ("detached", None, True), FREE),
    "step by step": (Course(queued=1, guest=2, entry=3, row=4), ("detached", None, True), FREE),
    "the guest keeps it": (Course(ends="guest"), ("refused", "guest_refused", False), HELD),
    "half done": (Course(ends="cinder"), ("failed", "not_recovered", None), "detaching 1, held"),
    "never": (Course(ends="never"), ("unconfirmed", "not_confirmed", None), "detaching 1, held"),
    "slow": (Course(guest=600), ("unconfirmed", "not_confirmed", None), "detaching 1, held"),
}


@pytest.mark.parametrize("course", COURSES)
def test_its_job_is_followed_to_the_end(project: OptedIn, course: str) -> None:
    project.cloud.jobs.course, outcome, then = COURSES[course]
    server, volume = held(project)

    result = detach(project, server, volume)

    assert told(result) == outcome
    assert (result.via, project.sent(), project.state(volume.id)) == ("ecs", [DETACH], then)
    assert result.job is not None
    assert result.job.id in project.cloud.jobs.jobs
    [call] = [call for call in project.cloud.calls if call.method == "DELETE"]
    assert (call.query, call.raw) == ({}, b"")


@pytest.mark.parametrize("status", ["ACTIVE", "SHUTOFF"])
def test_a_root_is_never_asked_for(project: OptedIn, status: str) -> None:
    """ECS detaches the root of a stopped server: nobody but us would refuse it."""
    server, volume = held(project, status, root=True)

    result = detach(project, server, volume)

    assert told(result) == ("refused", "root_volume", False)
    assert project.sent() == []


@pytest.mark.parametrize(
    ("index", "device"),
    [
        (0, "/dev/vdb"),
        (None, "/dev/vdb"),
        (False, "/dev/vdb"),
        (True, "/dev/vdb"),
        ("1", "/dev/vdb"),
        (1, "/dev/vda"),
        (1, "/dev/sda"),
        (1, "/dev/xda"),
        (-1, "/dev/sda"),
        (-1, ""),
    ],
)
def test_what_is_not_proved_a_data_disk_is_left(project: OptedIn, index: Any, device: str) -> None:
    server, volume = held(project)
    disk = server.disks[volume.id]
    disk.boot_index, disk.device = index, device

    assert told(detach(project, server, volume)) == ("refused", "root_volume", False)
    assert (project.sent(), project.state(volume.id)) == ([], HELD)


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"[]", {"volumeAttachment": {"bootIndex": 1, "device": "/dev/vdb"}}]
)
def test_an_answer_that_is_not_about_this_disk_proves_nothing(project: OptedIn, body: Any) -> None:
    server, volume = held(project)
    project.cloud.misbehave(path_contains="/block_device/", status=200, body=body)

    assert told(detach(project, server, volume)) == ("refused", "root_volume", False)


Stage = Callable[[OptedIn, Server, Volume], object]


def _fault(code: str) -> Stage:
    return lambda project, _s, _v: project.cloud.misbehave(method="DELETE", **ecs.fault(code))


def _just_then(change: Callable[[Server, Volume], object]) -> Stage:
    """Something happens between our last look and the call."""

    def stage(project: OptedIn, server: Server, volume: Volume) -> None:
        project.cloud.hook(lambda call: change(server, volume) if call.method == "DELETE" else None)

    return stage


def _mark(_server: Server, volume: Volume) -> None:
    volume.status = "extending"


REFUSED: dict[str, tuple[Stage, tuple[str, str | None, bool | None], bool]] = {
    "Ecs.0111": (_just_then(lambda s, v: s.disks.pop(v.id, None)), ("refused", "server_exists", False), True),
    "Ecs.0114": (
        lambda p, s, _v: p.cloud.hook(
            lambda call: p.cloud.delete_server(s.id) if call.method == "DELETE" else None
        ),
        ("refused", "server_unknown", False),
        True,
    ),
    "Ecs.0614": (_fault("Ecs.0614"), ("refused", "server_unknown", False), True),
    "Ecs.0100": (
        _just_then(lambda s, _v: setattr(s, "status", "ERROR")),
        ("refused", "server_busy", False),
        False,
    ),
    "Ecs.0073": (_fault("Ecs.0073"), ("refused", "server_busy", False), True),
    "Ecs.0603": (_fault("Ecs.0603"), ("refused", "server_busy", False), True),
    "Ecs.0605": (
        _just_then(lambda s, _v: setattr(s, "locked_by", "owner")),
        ("refused", "server_locked", False),
        False,
    ),
    "Ecs.0110": (_fault("Ecs.0110"), ("failed", "permission_denied", False), False),
    **{
        code: (_fault(code), ("failed", "upstream_unavailable", None), True)
        for code in ("Ecs.1001", "Ecs.1002", "Ecs.1300")
    },
}


# Nova's own words for it are in the tests of its rows: what the vendor would wrap is not known
@pytest.mark.parametrize(("code", "wraps"), [(code, wraps) for code in REFUSED for wraps in (False, True)])
def test_each_of_its_codes_has_one_meaning(project: OptedIn, code: str, *, wraps: bool) -> None:
    """The same, where its answer wraps Nova's as JSON inside of a message."""
    stage, outcome, again = REFUSED[code]
    server, volume = held(project)
    project.cloud.ecs_wraps = wraps
    stage(project, server, volume)

    result = detach(project, server, volume)

    assert told(result) == outcome, result.error
    assert result.error is not None
    assert result.error.retryable is again
    assert len(project.sent()) == 1


def test_a_disk_whose_state_changed_just_then_is_left(project: OptedIn) -> None:
    server, volume = held(project)
    _just_then(_mark)(project, server, volume)

    assert told(detach(project, server, volume)) == ("refused", "volume_state", False)


def test_a_wrapped_answer_of_nova_s_is_unwrapped(project: OptedIn) -> None:
    server, volume = held(project)
    inner = {"conflictingRequest": {"code": 409, "message": f"Instance {server.id} is locked"}}
    body = {"error": {"code": "Ecs.1000", "message": json.dumps(inner)}}
    project.cloud.misbehave(method="DELETE", status=400, body=body)

    assert told(detach(project, server, volume)) == ("refused", "server_locked", False)


def test_a_second_time_the_record_alone_is_followed(project: OptedIn) -> None:
    """No list of jobs tells which is whose."""
    project.cloud.jobs.course = Course(guest=30)
    server, volume = held(project)
    assert told(detach(project, server, volume))[0] == "unconfirmed"

    result = detach(project, server, volume)

    assert told(result) == ("detached", None, True)
    assert (result.job, project.sent()) == (None, [DETACH])


@pytest.mark.parametrize(
    ("chosen", "vendor", "made"),
    [
        (None, True, EcsDetach),
        (None, False, NovaDetach),
        (LiveApi.NOVA, True, NovaDetach),
        (LiveApi.ECS, False, EcsDetach),
    ],
)
def test_the_way_is_the_one_that_is_set_or_the_hosts(
    project: OptedIn, chosen: LiveApi | None, made: type, *, vendor: bool
) -> None:
    servers = project.services().servers
    assert servers is not None

    assert isinstance(detach_api(servers, chosen, vendor=vendor), made)
