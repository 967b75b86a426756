"""The worlds that can be planted: the demo world, a large one, and their return at a reset."""

from __future__ import annotations

import re
import uuid

from tests.embedded_cloud import Cloud, seed
from tests.unit.embedded_cloud.client import ask, volumes


def test_the_demo_world_is_under_constant_and_different_ids(cloud: Cloud) -> None:
    names = cloud.seed()

    ids = {
        name: value for name, value in names.items() if name.endswith(("_volume", "_attachment", "_server"))
    }
    assert len(set(ids.values())) == len(ids) > 60
    for value in ids.values():
        assert str(uuid.UUID(value)) == value
        assert uuid.UUID(value).version == 4
    for name, volume_id in ids.items():
        if name.endswith("_volume"):
            assert (volume_id in cloud.world.volumes) is (name != "absent_volume"), name
    assert cloud.server(seed.LOCKED_SERVER).locked_by == "owner"
    assert cloud.server(seed.BOOTED_SERVER).disks[seed.ROOT_VOLUME].root
    listed = {a.attachment_id for volume in cloud.volumes for a in volume.attachments}
    assert {v for n, v in ids.items() if n.endswith("_attachment")} - listed == {seed.ABSENT_ATTACHMENT}
    assert seed.DETACHER_PASSWORD not in names.values()
    assert {name for name in vars(seed) if re.fullmatch(r"[A-Z_]+_(VOLUME|SERVER|ATTACHMENT)", name)} == {
        name.upper() for name in ids
    }


def test_the_demo_world_is_in_the_states_that_its_names_say(cloud: Cloud) -> None:
    cloud.seed()
    expected = {
        seed.LIVE_SERVER: ("ACTIVE", None),
        seed.STOPPED_SERVER: ("SHUTOFF", None),
        seed.SHELVED_SERVER: ("SHELVED_OFFLOADED", None),
        seed.SOFT_DELETED_SERVER: ("SOFT_DELETED", None),
        seed.DELETING_SERVER: ("ACTIVE", "deleting"),
        seed.GONE_SERVER: ("DELETED", None),
        seed.TWO_DISK_GONE_SERVER: ("DELETED", None),
    }
    assert {i: (cloud.server(i).status, cloud.server(i).task_state) for i in expected} == expected
    assert seed.PURGED_SERVER not in {*cloud.world.servers, *cloud.world.deleted}
    states = {
        seed.ORPHAN_VOLUME: "in-use",
        seed.AVAILABLE_VOLUME: "available",
        seed.ATTACHING_VOLUME: "attaching",
        seed.DETACHING_VOLUME: "detaching",
        seed.STUCK_DETACHING_VOLUME: "detaching",
        seed.ERROR_DETACHING_VOLUME: "error_detaching",
        seed.MAINTENANCE_VOLUME: "maintenance",
        seed.RESERVED_VOLUME: "reserved",
        seed.STUCK_ATTACHING_VOLUME: "attaching",
        seed.STUCK_RESERVED_VOLUME: "reserved",
    }
    assert {i: cloud.volume(i).status for i in states} == states
    hour_ago = cloud.stamp(cloud.now() - 3600)
    assert str(cloud.volume(seed.DETACHING_VOLUME).updated_at) > hour_ago
    assert str(cloud.volume(seed.STUCK_DETACHING_VOLUME).updated_at) < hour_ago
    multi = {a.server_id for a in cloud.volume(seed.MULTI_VOLUME).attachments}
    assert multi == {seed.LIVE_SERVER, seed.MULTI_GONE_SERVER}
    two = {
        v.id for v in cloud.volumes if any(a.server_id == seed.TWO_DISK_GONE_SERVER for a in v.attachments)
    }
    assert two == {seed.FIRST_DISK_VOLUME, seed.SECOND_DISK_VOLUME}
    assert seed.FORGOTTEN_VOLUME not in cloud.server(seed.FORGETFUL_SERVER).disks
    foreign = ask(cloud, "GET", volumes(cloud, f"/{seed.FOREIGN_VOLUME}"), cloud.token()).json()["volume"]
    assert foreign["os-vol-tenant-attr:tenant_id"] == seed.OTHER_PROJECT


def test_most_attachments_of_the_demo_world_are_sound(cloud: Cloud) -> None:
    """A sweep that finds half of them orphaned refuses to act, and the demonstration shall not."""
    cloud.seed()
    listed = {server.id for server in cloud.servers if server.status != "SOFT_DELETED"}
    attachments = [a for v in cloud.volumes if v.status == "in-use" for a in v.attachments]

    orphaned = [a for a in attachments if a.server_id not in listed]

    assert len(orphaned) / len(attachments) < 0.4


def test_a_reset_brings_the_demo_world_back(cloud: Cloud) -> None:
    cloud.seed()
    token = cloud.token()
    path = volumes(cloud, f"/{seed.ORPHAN_VOLUME}/action")
    body = {"os-detach": {"attachment_id": seed.ORPHAN_ATTACHMENT}}
    assert ask(cloud, "POST", path, token, json=body).status_code == 202
    cloud.misbehave(status=500, times=None)
    cloud.hook(lambda call: call)

    cloud.reset()

    assert (cloud.calls, cloud.hooks, cloud.misbehaviour.rules) == ([], [], [])
    assert ask(cloud, "POST", path, token, json=body).status_code == 202


def test_a_reset_of_a_world_that_was_never_planted_leaves_it_empty(cloud: Cloud) -> None:
    cloud.add_volume()
    cloud.reset()
    assert (cloud.volumes, cloud.servers) == ([], [])


def test_a_reset_fills_a_large_cloud_again(cloud: Cloud) -> None:
    cloud.populate(5, 3, 1)
    before = {volume.id for volume in cloud.volumes}
    cloud.delete_volume(next(iter(before)))

    cloud.reset()

    assert {volume.id for volume in cloud.volumes} == before
    assert len(cloud.servers) == 3
