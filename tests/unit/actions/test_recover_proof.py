"""Stuck records: each part of the proof by itself, where all the others hold."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable
from email.utils import formatdate
from typing import Any

import pytest

from tests.embedded_cloud import Answer, Attachment, Call, Volume, stuck
from tests.embedded_cloud.records import Disk
from tests.unit.actions.opted_in import OptedIn, refused, told

RECOVERED = ("recovered", None, True)
WITH_ENTRY = ("N2", "N4", "N5", "N7", "N9")
AT_2_69 = {"headers": {"OpenStack-API-Version": "compute 2.69"}}
NOBODY = "11111111-1111-4111-8111-111111111111"


@pytest.fixture
def project(opted_in: OptedIn) -> OptedIn:
    return opted_in


Edit = Callable[[str, str, Callable[[dict[str, Any]], object]], None]


@pytest.fixture
def edit(project: OptedIn, monkeypatch: pytest.MonkeyPatch) -> Edit:
    """Have what a service shows at the end of a path changed on its way out."""

    def edit(service: str, end: str, change: Callable[[dict[str, Any]], object]) -> None:
        plain = project.cloud._services[service]

        def answer(call: Call) -> Answer:
            given = plain(call)
            if call.method == "GET" and call.path.endswith(end) and given.status == 200:
                document = json.loads(given.body)
                change(document)
                given.body = json.dumps(document).encode()
            return given

        monkeypatch.setitem(project.cloud._services, service, answer)

    return edit


def on_the_second(project: OptedIn, end: str, change: Callable[[], object]) -> None:
    """Have something change once a path is asked for the second time."""
    calls: list[Call] = []

    def hook(call: Call) -> None:
        if call.method == "GET" and call.path.endswith(end):
            calls.append(call)
            if len(calls) == 2:
                change()

    project.cloud.hook(hook)


def shared(project: OptedIn, status: str, *entries: Any) -> Volume:
    """Make a volume for several servers, all of them gone, by its entries' states."""
    volume = project.cloud.add_volume(status=status, multiattach=True)
    for state in entries:
        volume.attachments.append(
            Attachment(str(uuid.uuid4()), str(uuid.uuid4()), "/dev/vdb", None, None, True, state)
        )
    return volume


# What the result says.


@pytest.mark.parametrize("dry_run", [False, True])
def test_it_names_the_entry_and_its_server(project: OptedIn, *, dry_run: bool) -> None:
    planted = stuck.plant(project.cloud.world, "N5")

    result = project.one(planted.volume.id, recover=True, dry_run=dry_run)

    assert result.attachment_id == planted.attachment_id
    assert (result.server.id, result.server.exists, result.server.checked) == (planted.server_id, False, True)
    assert result.disk.device == "/dev/vdb"


def test_it_names_a_server_that_lives(project: OptedIn) -> None:
    planted = stuck.plant(project.cloud.world, "L5")

    result = project.one(planted.volume.id, recover=True)

    assert told(result) == refused("volume_held")
    assert (result.server.id, result.server.exists, result.server.status) == (
        planted.server_id,
        True,
        "ACTIVE",
    )


def test_it_names_none_where_there_is_none(project: OptedIn) -> None:
    result = project.one(stuck.plant(project.cloud.world, "N6").volume.id, recover=True)

    assert (result.attachment_id, result.server.id, result.server.exists) == (None, None, None)


# Which records are looked into, and which entry is meant.


def test_a_hidden_entry_of_a_record_in_use_is_freed(project: OptedIn) -> None:
    volume = shared(project, "in-use", "attaching")

    assert told(project.one(volume.id, recover=True)) == RECOVERED


@pytest.mark.parametrize("named", [0, 1])
def test_a_record_in_use_that_shows_the_named_entry_is_the_plain_rules(project: OptedIn, named: int) -> None:
    volume = shared(project, "in-use", "attached", "attached")
    chosen, other = volume.attachments[named], volume.attachments[1 - named]

    result = project.one(volume.id, recover=True, attachment_id=chosen.attachment_id)

    assert told(result) == ("detached", None, True)
    assert volume.attachments == [other]


def test_a_hidden_entry_beside_one_that_is_shown_is_freed_by_its_name(project: OptedIn) -> None:
    volume = shared(project, "in-use", "attached", "attaching")
    shown, hidden = volume.attachments

    result = project.one(volume.id, recover=True, attachment_id=hidden.attachment_id)

    assert told(result) == RECOVERED
    assert volume.attachments == [shown]


def test_what_a_record_in_use_does_not_have_is_gone_already(project: OptedIn) -> None:
    volume = shared(project, "in-use", "attached")

    assert told(project.one(volume.id, recover=True, attachment_id=NOBODY))[0] == "already_detached"
    assert project.sent() == []


@pytest.mark.parametrize(
    ("status", "state"), [("in-use", "attaching"), ("detaching", "attached"), ("reserved", "reserved")]
)
def test_what_a_stuck_record_does_not_have_is_unknown(project: OptedIn, status: str, state: str) -> None:
    volume = shared(project, status, state)

    result = project.one(volume.id, recover=True, attachment_id=NOBODY)

    assert told(result) == refused("attachment_unknown")
    assert project.sent() == []


def test_an_entry_that_is_in_order_by_then_is_left(project: OptedIn, edit: Edit) -> None:
    """Between the record and the list of entries the attachment is made."""
    volume = shared(project, "in-use", "attaching")
    volume.multiattach = False

    def attached(document: dict[str, Any]) -> None:
        document["attachments"][0]["status"] = "attached"

    edit("volume", "/attachments", attached)

    result = project.one(volume.id, recover=True)

    assert told(result) == refused("volume_state")
    assert result.error is not None
    assert "in order" in result.error.message
    assert project.sent() == []


# How old it is.


def test_an_attachment_of_unknown_age_is_too_young(project: OptedIn) -> None:
    volume = stuck.plant(project.cloud.world, "N5").volume
    volume.attachments[0].attached_at = "the day before yesterday"

    result = project.one(volume.id, recover=True)

    assert told(result) == refused("volume_state")
    assert result.error is not None
    assert result.error.retryable


@pytest.mark.parametrize("row", ["N5", "N6"])
def test_a_service_that_does_not_tell_its_time_knows_no_age(
    project: OptedIn, row: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    volume = stuck.plant(project.cloud.world, row).volume
    monkeypatch.setattr("tests.embedded_cloud.listener.formatdate", lambda **_: "at noon")

    assert told(project.one(volume.id, recover=True)) == refused("volume_state")
    assert project.sent() == []


@pytest.mark.parametrize("zone", [" -0000", "", " CST"])
def test_a_service_that_tells_its_time_without_its_zone_knows_no_age(
    project: OptedIn, monkeypatch: pytest.MonkeyPatch, zone: str
) -> None:
    """By the local time of a machine in America a reservation of one minute would be one of hours."""
    monkeypatch.setenv("TZ", "America/Los_Angeles")
    time.tzset()
    try:
        planted = stuck.plant(project.cloud.world, "N1", updated_at=project.cloud.stamp(project.now() - 60))
        now = formatdate(project.now(), usegmt=True).removesuffix(" GMT")
        monkeypatch.setattr("tests.embedded_cloud.listener.formatdate", lambda **_: now + zone)

        assert told(project.one(planted.volume.id, recover=True)) == refused("volume_state")
        assert project.sent() == []
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize(("age", "outcome"), [(3601, RECOVERED), (3590, refused("volume_state"))])
@pytest.mark.parametrize("young", ["record", "attachment"])
def test_the_youngest_of_its_moments_counts(
    project: OptedIn, young: str, age: float, outcome: tuple[str, str | None, bool]
) -> None:
    volume = stuck.plant(project.cloud.world, "N5").volume
    moment = project.cloud.stamp(project.now() - age)
    if young == "record":
        volume.updated_at = moment
    else:
        volume.attachments[0].attached_at = moment

    assert told(project.one(volume.id, recover=True)) == outcome


# Whose it is.


@pytest.mark.parametrize("row", ["N5", "N6"])
def test_a_record_of_no_project_may_have_entries_that_are_not_shown(
    project: OptedIn, edit: Edit, row: str
) -> None:
    volume = stuck.plant(project.cloud.world, row).volume
    edit("volume", volume.id, lambda document: document["volume"].pop("os-vol-tenant-attr:tenant_id"))

    assert told(project.one(volume.id, recover=True)) == refused("server_unknown")
    assert project.sent() == []


def test_an_entry_without_a_server_names_who_can_clear_it(project: OptedIn) -> None:
    volume = shared(project, "detaching", "attached")
    volume.attachments[0].server_id = None

    result = project.one(volume.id, recover=True)

    assert told(result) == refused("server_unknown")
    assert result.error is not None
    assert f"attachment_id {volume.attachments[0].attachment_id}" in result.error.message


def test_a_servers_own_list_counts_whatever_its_record_shows(project: OptedIn, edit: Edit) -> None:
    planted = stuck.plant(project.cloud.world, "N5")
    server = project.cloud.add_server(planted.server_id)
    server.disks[planted.volume.id] = Disk("/dev/vdb", planted.attachment_id, str(uuid.uuid4()))
    edit(
        "compute",
        server.id,
        lambda document: document["server"].pop("os-extended-volumes:volumes_attached", None),
    )

    assert told(project.one(planted.volume.id, recover=True)) == refused("volume_held")
    assert project.sent() == []


def test_what_a_servers_record_shows_counts_whatever_its_own_list_says(project: OptedIn, edit: Edit) -> None:
    planted = stuck.plant(project.cloud.world, "L5")
    edit("compute", "/os-volume_attachments", lambda document: document["volumeAttachments"].clear())

    assert told(project.one(planted.volume.id, recover=True)) == refused("volume_held")


def test_a_server_that_shows_no_disks_at_all_may_be_about_to_use_it(project: OptedIn, edit: Edit) -> None:
    planted = stuck.plant(project.cloud.world, "N5")
    server = project.cloud.add_server(planted.server_id)
    edit(
        "compute",
        server.id,
        lambda document: document["server"].pop("os-extended-volumes:volumes_attached", None),
    )

    assert told(project.one(planted.volume.id, recover=True)) == refused("server_exists")
    assert project.sent() == []


def test_only_where_record_and_entry_are_reserved_are_the_others_left_aside(project: OptedIn) -> None:
    volume = shared(project, "attaching", "reserved", "attaching")
    chosen, other = volume.attachments
    project.cloud.add_server(other.server_id)

    result = project.one(volume.id, recover=True, attachment_id=chosen.attachment_id)

    assert told(result) == refused("server_exists")
    assert project.sent() == []


@pytest.mark.parametrize("row", ["N1", "N5", "N6"])
def test_endpoints_that_may_be_of_two_clouds_free_nothing(project: OptedIn, row: str) -> None:
    volume = stuck.plant(project.cloud.world, row).volume
    project.together = None  # and no volume in use is a witness

    assert told(project.one(volume.id, recover=True)) == ("failed", "configuration", False)
    assert project.sent() == []


# The list of all servers.


def _holder(project: OptedIn, volume: Volume) -> str:
    server = project.cloud.add_server()
    server.disks[volume.id] = Disk("/dev/vdb", str(uuid.uuid4()), str(uuid.uuid4()))
    return server.id


def _rows(change: Callable[[dict[str, Any]], object]) -> Callable[[dict[str, Any]], None]:
    def each(document: dict[str, Any]) -> None:
        for row in document["servers"]:
            change(row)

    return each


def test_a_row_without_its_disks_is_asked_by_its_own_list(project: OptedIn, edit: Edit) -> None:
    project.settings["DETACH_RECOVER"] = "unlisted"
    held, free = (stuck.plant(project.cloud.world, "N6").volume for _ in range(2))
    _holder(project, held)
    edit("compute", "/servers/detail", _rows(lambda row: row.pop("os-extended-volumes:volumes_attached")))

    assert told(project.one(held.id, recover=True)) == refused("volume_held")
    assert told(project.one(free.id, recover=True)) == RECOVERED


def test_a_row_of_unknown_state_is_of_a_cell_that_is_down(project: OptedIn, edit: Edit) -> None:
    volume = stuck.plant(project.cloud.world, "N6").volume
    project.cloud.add_server()
    edit("compute", "/servers/detail", _rows(lambda row: row.update(status="UNKNOWN")))

    result = project.one(volume.id, recover=True)

    assert told(result) == refused("server_unknown")
    assert result.error is not None
    assert result.error.retryable
    assert project.sent() == []


def test_a_deleted_row_among_the_changes_holds_nothing(project: OptedIn, edit: Edit) -> None:
    """Of a server that was deleted while its host was down."""
    volume = stuck.plant(project.cloud.world, "N6").volume
    server_id = project.cloud.add_server().id

    def deleted(call: Call) -> None:
        shown["changes"] = "changes-since" in call.query

    shown = {"changes": False}
    project.cloud.hook(deleted)

    def add(document: dict[str, Any]) -> None:
        if shown["changes"] and not document["servers"]:
            row = {"id": server_id, "status": "DELETED", "created": "2026-01-01T00:00:00Z"}
            document["servers"].append({**row, "os-extended-volumes:volumes_attached": [{"id": volume.id}]})

    edit("compute", "/servers/detail", add)

    assert told(project.one(volume.id, recover=True)) == RECOVERED


@pytest.mark.parametrize(
    ("rule", "outcome"),
    [
        ({"status": 403, "body": b""}, ("failed", "permission_denied", False)),
        ({"status": 200, "body": b"<html>", **AT_2_69}, ("failed", "upstream_unavailable", False)),
        (
            {"status": 200, "body": {"servers": [5]}, **AT_2_69},
            ("failed", "upstream_unavailable", False),
        ),
        ({"status": 406, "body": b""}, refused("server_unknown")),
        ({"status": 200, "body": {"servers": []}}, refused("server_unknown")),
    ],
)
def test_what_can_not_be_read_of_the_cells_frees_nothing(
    project: OptedIn, rule: dict[str, Any], outcome: tuple[str, str | None, bool]
) -> None:
    volumes = [stuck.plant(project.cloud.world, "N6").volume for _ in range(3)]
    project.cloud.misbehave(path_contains="/servers/detail", times=None, **rule)

    assert told(project.one(volumes[0].id, recover=True)) == outcome
    project.cloud.clear_calls()
    result = project.batch(*({"volume_id": volume.id, "recover": True} for volume in volumes))
    # Once in an invocation, whatever came of it
    assert {told(one) for one in result.results} == {outcome}
    assert len([call for call in project.cloud.calls if call.path.endswith("/servers/detail")]) == 1
    assert project.sent() == []


@pytest.mark.parametrize("how", ["versions_ignored", "versions_untold"])
def test_a_cell_that_is_down_is_not_hidden_by_whoever_drops_the_microversion(
    project: OptedIn, how: str
) -> None:
    """Nova's own /v2 does, and a proxy with a list of headers; the server that has the disk is not listed."""
    volume = project.cloud.add_volume(status="in-use", attachments=[], multiattach=False)
    server = project.cloud.add_server(host="far")
    server.disks[volume.id] = Disk("/dev/vdb", str(uuid.uuid4()), str(uuid.uuid4()), False, False, -1)
    project.cloud.host("far").cell = "cell2"
    project.cloud.cells_down.add("cell2")
    setattr(project.cloud, how, {"compute"})

    result = project.one(volume.id, recover=True)

    assert told(result) == refused("server_unknown")
    assert result.error is not None
    assert "OpenStack-API-Version" in result.error.message
    assert project.sent() == []


def test_an_operator_who_knows_all_cells_to_be_up_is_believed(project: OptedIn) -> None:
    project.settings["DETACH_RECOVER"] = "unlisted"
    volume = stuck.plant(project.cloud.world, "N6").volume
    project.cloud.add_server(host="far")
    project.cloud.host("far").cell = "cell2"
    project.cloud.cells_down.add("cell2")

    assert told(project.one(volume.id, recover=True)) == RECOVERED


# Servers that are being built.


def _building(project: OptedIn, created: str | None) -> None:
    project.cloud.add_server(status="BUILD", task_state="scheduling", created=created)


@pytest.mark.parametrize("row", WITH_ENTRY)
def test_a_server_being_built_wants_nothing_that_has_an_entry(project: OptedIn, row: str) -> None:
    volume = stuck.plant(project.cloud.world, row).volume
    _building(project, volume.updated_at)

    assert told(project.one(volume.id, recover=True)) == RECOVERED


@pytest.mark.parametrize("whole", [True, False])
def test_a_server_begun_in_the_moment_of_the_mark_may_want_the_disk(project: OptedIn, *, whole: bool) -> None:
    volume = stuck.plant(project.cloud.world, "N6").volume
    if whole:  # seconds, as the compute service tells them
        volume.updated_at = (volume.updated_at or "").partition(".")[0]
    _building(project, volume.updated_at)

    result = project.one(volume.id, recover=True)

    assert told(result) == refused("server_busy")
    assert result.error is not None
    assert result.error.retryable


def test_a_server_begun_at_an_unknown_time_may_want_the_disk(project: OptedIn, edit: Edit) -> None:
    volume = stuck.plant(project.cloud.world, "N6").volume
    _building(project, None)

    def forget(document: dict[str, Any]) -> None:
        for server in document["servers"]:
            server["created"] = "once"

    edit("compute", "/servers/detail", forget)

    assert told(project.one(volume.id, recover=True)) == refused("server_busy")


# What is found out last.


def test_entries_that_can_not_be_read_again_stop_it(project: OptedIn) -> None:
    volume = stuck.plant(project.cloud.world, "N5").volume
    project.cloud.misbehave(path_contains="/attachments", after=1, status=404, body=b"", times=None)

    assert told(project.one(volume.id, recover=True)) == refused("volume_state")
    assert project.sent() == []


@pytest.mark.parametrize("row", ["N5", "N6"])
def test_a_volume_that_is_gone_by_then_stops_it(project: OptedIn, row: str) -> None:
    volume = stuck.plant(project.cloud.world, row).volume
    on_the_second(project, f"/volumes/{volume.id}", lambda: project.cloud.delete_volume(volume.id))

    result = project.one(volume.id, recover=True)

    assert told(result) == refused("volume_state")
    assert result.error is not None
    assert result.error.retryable
    assert project.sent() == []


def test_an_entry_that_comes_by_then_stops_it(project: OptedIn) -> None:
    volume = stuck.plant(project.cloud.world, "N6").volume
    entry = Attachment(str(uuid.uuid4()), str(uuid.uuid4()), "/dev/vdb", None, None, False, "reserved")
    on_the_second(project, "/attachments", lambda: volume.attachments.append(entry))

    assert told(project.one(volume.id, recover=True)) == refused("volume_state")
    assert project.sent() == []


@pytest.mark.parametrize("row", WITH_ENTRY)
def test_a_server_that_comes_back_by_then_stops_it(project: OptedIn, row: str) -> None:
    planted = stuck.plant(project.cloud.world, row)
    on_the_second(
        project, f"/servers/{planted.server_id}", lambda: project.cloud.add_server(planted.server_id)
    )

    assert told(project.one(planted.volume.id, recover=True)) == refused("server_exists")
    assert project.sent() == []
