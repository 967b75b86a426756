"""Stuck records: what proof is asked for, what takes it away, and what one call may come to."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from handler.actions.recover import Recovery
from handler.actions.scan import Scan
from handler.cloud.volumes import read_volume
from handler.errors import Refused
from handler.model.values import epoch
from handler.settings.opt_in import RecoverMode
from tests.embedded_cloud import Attachment, Call, Server, Volume, lifecycle, stuck
from tests.unit.actions.answers import IN_USE
from tests.unit.actions.opted_in import OptedIn, refused, told

RECOVERED = ("recovered", None, True)
WITH_ENTRY = ("N2", "N4", "N5", "N7", "N9")
WITHOUT_ENTRY = ("N1", "N6", "N8", "N10", "N11")
ALL = (*WITH_ENTRY, *WITHOUT_ENTRY)


@pytest.fixture
def project(opted_in: OptedIn) -> OptedIn:
    return opted_in


def plant(project: OptedIn, row: str) -> Volume:
    return stuck.plant(project.cloud.world, row).volume


def entry(server_id: str | None, status: Any, *, connected: bool = True) -> Attachment:
    return Attachment(str(uuid.uuid4()), server_id, "/dev/vdb", None, None, connected, status)


# Who may have the disk although the record doesn't say so. The code, and whether it may be asked again.

Stage = Callable[[OptedIn, Volume], object]


def _hold(project: OptedIn, volume: Volume, **about: Any) -> Server:
    """Another server has the disk: only the list of all servers shows it."""
    server = project.cloud.add_server(**about)
    other = project.cloud.add_volume(attachments=[server])
    server.disks[volume.id] = server.disks.pop(other.id)
    return server


def _down(project: OptedIn, volume: Volume) -> None:
    server = _hold(project, volume, host="far")
    project.cloud.host(server.host).cell = "cell2"
    project.cloud.cells_down.add("cell2")


HOLDERS: dict[str, tuple[Stage, str]] = {
    "a running server": (_hold, "volume_held"),
    "a stopped server": (lambda p, v: _hold(p, v, status="SHUTOFF"), "volume_held"),
    "a shelved server": (lambda p, v: _hold(p, v, status="SHELVED_OFFLOADED"), "volume_held"),
    "a server in error": (lambda p, v: _hold(p, v, status="ERROR"), "volume_held"),
    "a server shown as deleted for an instant": (lambda p, v: _hold(p, v, status="DELETED"), "volume_held"),
    "a soft-deleted server": (lambda p, v: _hold(p, v, status="SOFT_DELETED"), "volume_held"),
    "a server in a cell that is down": (_down, "server_unknown"),
    "a server that is being built": (
        lambda p, v: _hold(p, v, status="BUILD", task_state="scheduling"),
        "server_busy",
    ),
}


@pytest.mark.parametrize("row", ["N2", "N4", "N7", "N9"])
def test_a_young_record_that_is_no_detach_under_way_is_looked_into_whoever_says_live(
    project: OptedIn, row: str
) -> None:
    planted = stuck.plant(project.cloud.world, row, updated_at=project.cloud.stamp(project.now() - 60))

    ids = {"attachment_id": planted.attachment_id, "server_id": planted.server_id}
    result = project.one(planted.volume.id, recover=True, live=True, **ids)

    assert told(result) == refused("volume_state")
    assert result.error is not None
    assert "DETACH_RECOVER_AFTER" in result.error.message
    assert result.attachment_id is None, "it was not looked for"


def test_a_record_is_old_enough_from_that_very_second_on() -> None:
    recovery = cast("Recovery", SimpleNamespace(_after=600))
    volume = read_volume({**IN_USE["volume"], "attachments": [], "updated_at": "2026-12-01T09:30:00"})
    changed = epoch(volume.updated_at)
    assert changed is not None

    def old_enough(read_at: float | None) -> bool:
        return Recovery._old_enough(recovery, volume._replace(read_at=read_at))

    assert [old_enough(moment) for moment in (changed + 600, changed + 599, None)] == [True, False, False]


def test_what_is_said_of_the_disk_is_of_the_attachment_that_is_meant(project: OptedIn) -> None:
    planted = stuck.plant(project.cloud.world, "N7")
    other = Attachment(str(uuid.uuid4()), project.cloud.add_server().id, "/dev/vdz", None)
    planted.volume.attachments.insert(0, other)

    result = project.one(planted.volume.id, recover=True, attachment_id=planted.attachment_id)

    assert result.attachment_id == planted.attachment_id
    assert result.disk.device == "/dev/vdb"


def test_a_server_whose_answer_tells_its_disks_is_asked_for_no_list_of_them(project: OptedIn) -> None:
    project.cloud.add_volume(attachments=[project.cloud.add_server()])
    scan = project.services()
    assert scan.servers is not None
    project.cloud.clear_calls()

    Scan(scan.servers, RecoverMode.ON).look(scan.context.separate())

    assert [call for call in project.cloud.calls if call.path.endswith("/os-volume_attachments")] == []


@pytest.mark.parametrize(
    ("row", "known"),
    [
        ({"status": "ACTIVE", "os-extended-volumes:volumes_attached": []}, True),
        ({"status": "UNKNOWN", "os-extended-volumes:volumes_attached": []}, False),
        ({"status": "ACTIVE"}, False),
    ],
)
def test_a_cell_that_is_down_is_told_by_either_of_its_signs(
    project: OptedIn, row: dict[str, Any], *, known: bool
) -> None:
    services = project.services()
    assert services.servers is not None
    body = {"servers": [{"id": str(uuid.uuid4()), **row}]}
    told_at = {"OpenStack-API-Version": "compute 2.69"}
    project.cloud.misbehave("compute", "GET", "/servers/detail", status=200, body=body, headers=told_at)
    scan = Scan(services.servers, RecoverMode.ON)

    if known:
        scan.require_cells(services.context)
    else:
        with pytest.raises(Refused, match="cell"):
            scan.require_cells(services.context)


@pytest.mark.parametrize("row", ALL)
def test_who_does_not_say_recover_frees_nothing(project: OptedIn, row: str) -> None:
    volume = plant(project, row)

    result = project.one(volume.id)

    assert result.changed is not True
    assert result.outcome != "recovered"
    assert project.sent() == []


@pytest.mark.parametrize("row", WITHOUT_ENTRY)
@pytest.mark.parametrize("holder", HOLDERS)
def test_a_record_without_an_entry_is_nobodys_only_where_no_server_has_it(
    project: OptedIn, row: str, holder: str
) -> None:
    stage, code = HOLDERS[holder]
    volume = plant(project, row)
    stage(project, volume)

    result = project.one(volume.id, recover=True)

    assert told(result) == refused(code), result.error
    assert result.error is not None
    assert result.error.retryable is (code != "volume_held")
    assert project.sent() == []


@pytest.mark.parametrize("row", WITH_ENTRY)
def test_an_entry_whose_server_is_gone_is_kept_while_another_server_has_the_disk(
    project: OptedIn, row: str
) -> None:
    volume = plant(project, row)
    holder = _hold(project, volume)

    result = project.one(volume.id, recover=True)

    assert told(result) == refused("volume_held")
    assert result.error is not None
    assert holder.id in result.error.message
    assert project.sent() == []


def test_a_server_that_was_begun_after_the_record_was_marked_is_in_nobodys_way(project: OptedIn) -> None:
    volume = plant(project, "N6")
    project.cloud.add_server(status="BUILD", task_state="scheduling", created=project.cloud.stamp())

    assert told(project.one(volume.id, recover=True)) == RECOVERED


@pytest.mark.parametrize("row", WITH_ENTRY)
def test_a_cell_that_is_down_does_not_keep_an_entry_whose_server_is_gone(project: OptedIn, row: str) -> None:
    volume = plant(project, row)
    project.cloud.add_server(host="far")
    project.cloud.host("far").cell = "cell2"
    project.cloud.cells_down.add("cell2")

    assert told(project.one(volume.id, recover=True)) == RECOVERED


@pytest.mark.parametrize("row", WITH_ENTRY)
def test_a_server_in_a_cell_that_is_down_is_not_gone(project: OptedIn, row: str) -> None:
    planted = stuck.plant(project.cloud.world, row)
    server = project.cloud.add_server(planted.server_id, host="far")
    project.cloud.host(server.host).cell = "cell2"
    project.cloud.cells_down.add("cell2")

    result = project.one(planted.volume.id, recover=True)

    assert (result.outcome, result.changed) == ("failed", False)
    assert project.sent() == []


@pytest.mark.parametrize("row", ALL)
def test_all_pages_are_read(project: OptedIn, row: str) -> None:
    volume = plant(project, row)
    _hold(project, volume)  # the oldest: on the last page
    for _ in range(5):
        project.cloud.add_server()
    project.cloud.page_cap = 2

    assert told(project.one(volume.id, recover=True)) == refused("volume_held")


@pytest.mark.parametrize(("mode", "outcome"), [("on", refused("server_unknown")), ("unlisted", RECOVERED)])
@pytest.mark.parametrize("row", WITHOUT_ENTRY)
def test_a_cloud_that_cannot_show_a_cell_as_down_needs_the_operators_word(
    project: OptedIn, row: str, mode: str, outcome: tuple[str, str | None, bool]
) -> None:
    project.settings["DETACH_RECOVER"] = mode
    volume = plant(project, row)
    project.cloud.misbehave(path_contains="/servers/detail", status=406) if mode == "on" else None

    assert told(project.one(volume.id, recover=True)) == outcome


def test_the_servers_are_looked_through_once_for_all_targets(project: OptedIn) -> None:
    volumes = [plant(project, "N6") for _ in range(4)]

    result = project.batch(*({"volume_id": volume.id, "recover": True} for volume in volumes))

    assert result.summary == {"recovered": 4}
    lists = [call.query for call in project.cloud.calls if call.path.endswith("/servers/detail")]
    assert len(lists) == 4
    assert lists[0] == {}  # with a page size nothing would tell of a cell that is down


def test_a_record_without_an_entry_is_recovered_for_each_that_asks(project: OptedIn) -> None:
    asked = {"volume_id": plant(project, "N6").id, "recover": True}

    result = project.batch({**asked, "dry_run": True}, asked)

    assert result.summary == {"would_detach": 1, "recovered": 1}


# Entries.


@pytest.mark.parametrize("status", ["reserved", "attaching", "attached"])
def test_an_entry_that_names_no_server_is_kept_whatever_its_age(project: OptedIn, status: str) -> None:
    """A host, the image service, the volume service itself: no guard asks anybody about it."""
    volume = plant(project, "N5")
    volume.attachments[:] = [entry(None, status)]

    assert told(project.one(volume.id, recover=True)) == refused("server_unknown")
    assert project.sent() == []


def test_an_entry_that_names_no_server_keeps_the_others_too(project: OptedIn) -> None:
    volume = plant(project, "N4")
    chosen = volume.attachments[0].attachment_id
    volume.attachments.append(entry(None, "attaching"))

    assert told(project.one(volume.id, recover=True, attachment_id=chosen)) == refused("server_unknown")


@pytest.mark.parametrize("status", [404, 406])
@pytest.mark.parametrize("row", ALL)
def test_without_the_attachments_api_nothing_is_known(project: OptedIn, row: str, status: int) -> None:
    volume = plant(project, row)
    project.cloud.misbehave(path_contains="/attachments", status=status, body=b"", times=None)

    assert told(project.one(volume.id, recover=True)) == refused("server_unknown")
    assert project.sent() == []


def test_a_list_of_entries_that_ignores_its_filter_is_not_believed(project: OptedIn) -> None:
    volume = plant(project, "N6")
    other = {"id": str(uuid.uuid4()), "status": "attached", "instance": None, "volume_id": str(uuid.uuid4())}
    project.cloud.misbehave(
        path_contains="/attachments",
        status=200,
        body={"attachments": [other]},
        headers={"OpenStack-API-Version": "volume 3.27"},
    )

    assert told(project.one(volume.id, recover=True)) == refused("server_unknown")


def test_a_record_that_shows_more_than_the_list_of_entries_is_not_believed(project: OptedIn) -> None:
    volume = plant(project, "N5")
    told_at = {"OpenStack-API-Version": "volume 3.27"}
    project.cloud.misbehave(
        path_contains="/attachments", status=200, body={"attachments": []}, headers=told_at
    )

    result = project.one(volume.id, recover=True)

    assert told(result) == refused("attachment_unknown")
    assert result.error is not None
    assert result.error.retryable, "the two may have been read at two moments"


def _several(project: OptedIn, status: Any, *servers: Server | str) -> Volume:
    ids = [server if isinstance(server, str) else server.id for server in servers]
    volume = project.cloud.add_volume(status=status, multiattach=True)
    volume.attachments.extend(entry(id_, status, connected=status != "reserved") for id_ in ids)
    return volume


def test_of_several_entries_one_must_be_named(project: OptedIn) -> None:
    volume = _several(project, "attaching", str(uuid.uuid4()), str(uuid.uuid4()))

    assert told(project.one(volume.id, recover=True)) == refused("attachment_required")


def test_the_others_stay_and_that_is_success(project: OptedIn) -> None:
    volume = _several(project, "attaching", str(uuid.uuid4()), str(uuid.uuid4()))
    first, second = volume.attachments

    result = project.one(volume.id, recover=True, attachment_id=first.attachment_id)

    assert told(result) == RECOVERED
    assert volume.attachments == [second]


@pytest.mark.parametrize(
    ("status", "outcome"), [("attaching", refused("server_exists")), ("reserved", RECOVERED)]
)
def test_another_entrys_server_that_lives_keeps_all_unless_all_are_only_reserved(
    project: OptedIn, status: str, outcome: tuple[str, str | None, bool]
) -> None:
    volume = _several(project, status, str(uuid.uuid4()), project.cloud.add_server())
    first, second = volume.attachments

    result = project.one(volume.id, recover=True, attachment_id=first.attachment_id)

    assert told(result) == outcome, result.error
    assert second in volume.attachments


@pytest.mark.parametrize("row", WITHOUT_ENTRY)
def test_a_shared_volume_without_an_entry_is_an_administrators(project: OptedIn, row: str) -> None:
    volume = plant(project, row)
    volume.multiattach = True

    assert told(project.one(volume.id, recover=True)) == refused("volume_state")


def test_a_reserved_record_without_an_entry_is_an_administrators(project: OptedIn) -> None:
    volume = plant(project, "N1")
    volume.status = "reserved"

    result = project.one(volume.id, recover=True)

    assert told(result) == refused("volume_state")
    assert result.error is not None
    assert "is off here" not in result.error.message


@pytest.mark.parametrize("row", WITHOUT_ENTRY)
@pytest.mark.parametrize("name", ["attachment_id", "server_id"])
def test_what_is_named_must_be_there(project: OptedIn, row: str, name: str) -> None:
    volume = plant(project, row)

    result = project.one(volume.id, recover=True, **{name: str(uuid.uuid4())})

    assert told(result) == refused("attachment_unknown")


@pytest.mark.parametrize("row", WITH_ENTRY)
def test_another_server_than_is_named_is_a_mismatch(project: OptedIn, row: str) -> None:
    volume = plant(project, row)

    assert told(project.one(volume.id, recover=True, server_id=str(uuid.uuid4()))) == refused(
        "server_mismatch"
    )


def test_a_server_being_built_has_its_reservation_left(project: OptedIn) -> None:
    volume = project.cloud.add_volume()
    server = lifecycle.build(project.cloud.world, [volume])
    volume.updated_at = project.cloud.stamp(project.now() - 7200)

    assert told(project.one(volume.id, recover=True)) == refused("server_exists")
    lifecycle.boot(project.cloud.world, server)
    assert server.status == "ACTIVE"


@pytest.mark.parametrize("check", ["not-held", "gone", "recorded"])
def test_a_server_that_is_off_and_lets_go_is_no_proof_here(project: OptedIn, check: str) -> None:
    project.settings["DETACH_SERVER_CHECK"] = check
    planted = stuck.plant(project.cloud.world, "N5")
    project.cloud.add_server(planted.server_id, status="SHUTOFF")

    assert told(project.one(planted.volume.id, recover=True)) == refused("server_exists")


# What changes between the looks.


@pytest.mark.parametrize("row", ALL)
@pytest.mark.parametrize("what", ["status", "updated_at", "entry", "server"])
def test_what_changes_before_the_call_stops_it(project: OptedIn, row: str, what: str) -> None:
    planted = stuck.plant(project.cloud.world, row)
    volume = planted.volume
    done: list[Call] = []

    def change(call: Call) -> None:
        if not call.path.endswith("/servers/detail") or "changes-since" not in call.query or done:
            return
        done.append(call)
        if what == "status":
            volume.status = "maintenance"
        elif what == "updated_at":
            volume.updated_at = project.cloud.stamp()
        elif what == "entry":
            volume.attachments.append(entry(str(uuid.uuid4()), "reserved"))
        elif row in WITH_ENTRY:
            project.cloud.add_server(planted.server_id)

    project.cloud.hook(change)

    result = project.one(volume.id, recover=True)

    if what == "server" and row in WITHOUT_ENTRY:
        assert told(result) == RECOVERED
        return
    assert done
    assert told(result)[::2] == ("refused", False)
    assert project.sent() == []


# The one call.

FAULTS: dict[str, tuple[dict[str, Any], tuple[str, str | None, bool | None]]] = {
    "lost after it was done": ({"drop": "after"}, RECOVERED),
    "lost before it came": ({"drop": "before"}, ("failed", "upstream_unavailable", None)),
    "a 500": ({"status": 500, "body": b""}, ("failed", "upstream_unavailable", None)),
    "a 429": ({"status": 429, "body": b""}, ("failed", "throttled", None)),
    "a 403": ({"status": 403, "body": b""}, ("failed", "permission_denied", False)),
    "a 409": ({"status": 409, "body": b""}, ("refused", "use_compute_api", False)),
    "a 202 that does nothing": ({"status": 202, "body": b""}, ("failed", "not_recovered", None)),
}


@pytest.mark.parametrize("row", ["N1", "N5", "N6"])
@pytest.mark.parametrize("fault", FAULTS)
def test_it_is_sent_once_and_only_a_free_record_counts(project: OptedIn, row: str, fault: str) -> None:
    rule, outcome = FAULTS[fault]
    volume = plant(project, row)
    project.cloud.misbehave(method="POST", **rule)

    assert told(project.one(volume.id, recover=True)) == outcome
    assert len(project.sent()) == 1


def test_a_record_that_is_another_but_not_free_is_said_to_have_changed(project: OptedIn) -> None:
    """Recorded: os-unreserve on a record that got an entry meanwhile makes a worse one."""
    volume = plant(project, "N1")

    def attach(call: Call) -> None:
        if call.method == "POST":
            volume.attachments.append(entry(str(uuid.uuid4()), "attaching"))

    project.cloud.hook(attach)

    assert told(project.one(volume.id, recover=True)) == ("failed", "not_recovered", True)
    assert volume.status == "in-use"


@pytest.mark.parametrize("live", [False, True])
@pytest.mark.parametrize("row", ["L2", "L3"])
def test_a_server_that_is_being_deleted_is_asked_for_again_later(
    project: OptedIn, row: str, *, live: bool
) -> None:
    planted = stuck.plant(project.cloud.world, row)
    ids = {"attachment_id": planted.attachment_id, "server_id": planted.server_id} if live else {}
    project.cloud.deleted_shown = 60.0
    project.cloud.delete_server(planted.server_id)

    first = project.one(planted.volume.id, recover=True, live=live, **ids)
    project.cloud.deleted_shown = 0.0
    second = project.one(planted.volume.id, recover=True, live=live, **ids)

    assert told(first) == refused("server_exists")
    assert first.error is not None
    assert first.error.retryable
    assert told(second) == RECOVERED
