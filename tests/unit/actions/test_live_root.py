"""A live server's root: who refuses to detach one is known by its own answer, not by its host."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from handler.model.result import TargetResult
from tests.embedded_cloud import Cloud, Volume
from tests.embedded_cloud.behaviour import Flavour
from tests.embedded_cloud.detach_job import Course
from tests.unit.actions.opted_in import OptedIn, told

DELETE, ROLL = "DELETE os-volume_attachments", "os-roll_detaching"
ROOT = ("refused", "root_volume", False)
DETACHED = ("detached", None, True)


def _opted_in(flavour: Flavour) -> Iterator[OptedIn]:
    with Cloud(flavour) as cloud:
        cloud.asks_compute = False
        project = OptedIn(cloud)
        yield project
        project.close()


@pytest.fixture
def vendors() -> Iterator[OptedIn]:
    """The vendor's services under a host that is in no table: a partner's cloud, a proxy."""
    yield from _opted_in("huawei")


@pytest.fixture
def novas() -> Iterator[OptedIn]:
    yield from _opted_in("openstack")


def _disk(project: OptedIn, status: str = "SHUTOFF", *, root: bool = False) -> Volume:
    return project.cloud.add_volume(attachments=[project.cloud.add_server(status=status)], root=root)


def _detach(project: OptedIn, volume: Volume, **about: object) -> TargetResult:
    entry = volume.attachments[0]
    project.cloud.clear_calls()
    ids = {"attachment_id": entry.attachment_id, "server_id": entry.server_id}
    return project.one(volume.id, live=True, **ids, **about)


def _asked_whether_it_boots(project: OptedIn) -> bool:
    return any("/block_device/" in call.path for call in project.cloud.calls)


@pytest.mark.parametrize("api", [None, "nova", "ecs"])
@pytest.mark.parametrize("status", ["SHUTOFF", "ACTIVE"])
@pytest.mark.parametrize("dry_run", [True, False])
def test_the_vendor_s_root_stays_whatever_its_host_is_called(
    vendors: OptedIn, api: str | None, status: str, *, dry_run: bool
) -> None:
    if api is not None:
        vendors.settings["DETACH_LIVE_API"] = api
    volume = _disk(vendors, status, root=True)

    assert told(_detach(vendors, volume, dry_run=dry_run)) == ROOT
    assert vendors.sent() == []
    assert vendors.state(volume.id) == "in-use 1, held"


def test_the_vendor_s_data_disk_is_detached_whatever_its_host_is_called(vendors: OptedIn) -> None:
    volume = _disk(vendors)

    assert told(_detach(vendors, volume)) == DETACHED
    assert _asked_whether_it_boots(vendors)
    assert vendors.sent() == [DELETE]


@pytest.mark.parametrize("highest", [(2, 104), (2, 88), (2, 61)])
def test_a_nova_that_says_so_is_left_to_refuse_a_root_itself(
    novas: OptedIn, monkeypatch: pytest.MonkeyPatch, highest: tuple[int, int]
) -> None:
    monkeypatch.setattr("tests.embedded_cloud.compute.MAX_VERSION", highest)
    volume, root = _disk(novas), _disk(novas, root=True)

    assert told(_detach(novas, volume)) == DETACHED
    assert not _asked_whether_it_boots(novas)
    assert told(_detach(novas, root)) == ROOT
    assert novas.sent() == [DELETE]
    assert novas.state(root.id) == "in-use 1, held"


@pytest.mark.parametrize("why", ["too old", "versions_ignored", "versions_untold"])
def test_one_that_does_not_say_so_is_told_what_is_missing(
    novas: OptedIn, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    """Nova's own /v2, or a gateway that passes no header that it doesn't know: no block_device either."""
    if why == "too old":
        monkeypatch.setattr("tests.embedded_cloud.compute.MAX_VERSION", (2, 60))
    else:
        setattr(novas.cloud, why, {"compute"})
    volume = _disk(novas)

    result = _detach(novas, volume)

    assert told(result) == ROOT
    assert result.error is not None
    assert "microversion 2.61 or later (header OpenStack-API-Version" in result.error.message
    assert "block_device" in result.error.message
    assert _asked_whether_it_boots(novas)
    assert novas.sent() == []


def test_no_mark_is_taken_back_for_a_disk_that_is_not_proved_a_data_disk(novas: OptedIn) -> None:
    volume = _disk(novas)
    novas.cloud.jobs.course = Course(ends="cinder")
    assert told(_detach(novas, volume)) == ("failed", "not_recovered", None)
    past = novas.cloud.stamp(novas.now() - 7200)
    volume.updated_at, volume.attachments[0].attached_at = past, None
    for action in novas.cloud.servers[0].actions:
        action.start_time = past
    # The list of actions is told by its microversion, the list of disks by none
    untold = {"OpenStack-API-Version": "", "X-OpenStack-Nova-API-Version": ""}
    disks = "/os-volume_attachments"
    novas.cloud.misbehave(path_contains=disks, times=None, headers=untold, act=True)

    assert told(_detach(novas, volume, recover=True)) == ROOT
    assert novas.sent() == []
