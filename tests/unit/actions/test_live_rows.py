"""A live server's disk, for each row of the recorded table: what is made of it, and what is left."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.embedded_cloud import Cloud
from tests.unit.actions.opted_in import OptedIn, refused, told
from tests.unit.embedded_cloud.live_scenes import staged

FREE, HELD = "available 0, gone", "in-use 1, held"
DETACHED = ("detached", None, True)
DELETE = ["DELETE os-volume_attachments"]


# The recorded case; what comes of it; whether it may be asked again; what was sent; what is left.
ROWS: list[tuple[str, tuple[str, str | None, bool | None], bool, list[str], str]] = [
    ("ACTIVE", DETACHED, False, DELETE, FREE),
    ("SHUTOFF", DETACHED, False, DELETE, FREE),
    ("ACTIVE, delete_on_termination", DETACHED, False, DELETE, FREE),
    ("PAUSED", refused("server_busy"), False, [], HELD),
    ("VERIFY_RESIZE", refused("server_busy"), False, [], HELD),
    ("SOFT_DELETED", refused("server_busy"), False, [], HELD),
    ("SUSPENDED", refused("server_busy"), False, [], HELD),
    ("RESCUE", refused("server_busy"), False, [], HELD),
    ("ERROR", refused("server_busy"), False, [], HELD),
    ("SHELVED", refused("server_busy"), False, [], HELD),
    ("SHELVED_OFFLOADED", refused("volume_state"), True, [], "reserved 1, held"),
    ("SHELVED_OFFLOADED, delete_on_termination", refused("volume_state"), True, [], "reserved 1, held"),
    ("BUILD, scheduling", refused("volume_state"), False, [], "reserved 1, held"),
    ("BUILD, spawning", refused("server_busy"), True, [], HELD),
    *(
        (f"task {task}", refused("server_busy"), True, [], HELD)
        for task in ("deleting", "powering-off", "rebooting", "image_snapshot", "migrating", "spawning")
    ),
    ("locked by the user", refused("server_locked"), False, [], HELD),
    ("locked by the admin", refused("server_locked"), False, [], HELD),
    ("host known to be down", refused("server_busy"), False, DELETE, HELD),
    ("host just ended", ("unconfirmed", "not_confirmed", None), True, DELETE, "detaching 1, held"),
    ("server deleted", DETACHED, False, ["os-detach"], FREE),
    ("server never known", DETACHED, False, ["os-detach"], FREE),
    ("the same DELETE after it is done", ("already_detached", None, False), False, [], FREE),
    (
        "the same DELETE while it is under way",
        ("unconfirmed", "not_confirmed", None),
        True,
        [],
        "detaching 1, held",
    ),
    ("V unknown", ("volume_absent", None, False), False, [], "absent"),
    ("the record of V is gone", ("volume_absent", None, False), False, [], "absent"),
    ("role reader", ("failed", "permission_denied", False), False, DELETE, HELD),
    ("root volume", refused("root_volume"), False, DELETE, HELD),
    ("root volume, SHUTOFF", refused("root_volume"), False, DELETE, HELD),
    ("data volume of a server booted from a volume", DETACHED, False, DELETE, FREE),
    ("volume error", refused("volume_state"), False, [], "error 1, held"),
    ("volume maintenance", refused("volume_state"), False, [], "maintenance 1, held"),
    ("volume extending", refused("volume_state"), False, [], "extending 1, held"),
    ("volume detaching", ("failed", "not_recovered", None), False, [], "detaching 1, held"),
    ("volume error_detaching", refused("volume_state"), False, [], "error_detaching 1, held"),
    ("volume available", refused("volume_state"), False, [], "available 1, held"),
    ("Nova lost the disk", refused("server_exists"), False, [], "in-use 1, gone"),
    ("multiattach", DETACHED, False, DELETE, "in-use 1, held"),
    (
        "multiattach, reserved for a gone server",
        refused("volume_state"),
        True,
        [],
        "reserved 2, held",
    ),
]


NOBODY_HAS_IT = {
    "server deleted",
    "server never known",
    "the same DELETE after it is done",
    "V unknown",
    "the record of V is gone",
}


@pytest.fixture
def project(bare_cloud: Cloud) -> Iterator[OptedIn]:
    made = OptedIn(bare_cloud)
    yield made
    made.close()


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_a_row(
    project: OptedIn, row: tuple[str, tuple[str, str | None, bool | None], bool, list[str], str]
) -> None:
    case, outcome, again, sent, then = row
    scene = staged(project.cloud, case)
    project.role = scene.role
    attachment = scene.volume.attachments[0] if scene.volume.attachments else None
    ids = {
        "attachment_id": attachment.attachment_id if attachment else "11111111-1111-4111-8111-111111111111",
        "server_id": scene.server.id,
    }

    project.cloud.clear_calls()

    result = project.one(scene.volume.id, live=True, **ids)

    assert told(result) == outcome, result.error
    assert (result.error.retryable if result.error else False) is again
    assert project.sent() == sent
    assert project.state(scene.volume.id) == then


AT_A_LIVE_SERVER = [row for row in ROWS if row[0] not in NOBODY_HAS_IT]


@pytest.mark.parametrize("row", AT_A_LIVE_SERVER, ids=lambda row: row[0])
def test_the_same_changes_nothing_where_it_is_switched_off(
    project: OptedIn, row: tuple[str, tuple[str, str | None, bool | None], bool, list[str], str]
) -> None:
    project.settings["DETACH_LIVE"] = "off"
    scene = staged(project.cloud, row[0])
    project.cloud.clear_calls()
    before = project.state(scene.volume.id)
    ids = {"attachment_id": scene.volume.attachments[0].attachment_id, "server_id": scene.server.id}

    result = project.one(scene.volume.id, live=True, **ids)

    assert result.changed is False
    assert project.sent() == []
    assert project.state(scene.volume.id) == before
    if result.error is not None and result.error.code == "server_exists":
        assert "DETACH_LIVE is off" in result.error.message
