"""A sweep that looks for stuck records, too."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import Mock

import pytest

from handler.actions.observer import Observer
from handler.actions.stuck import find_stuck
from handler.actions.sweep import sweep
from handler.actions.sweep_candidates import Census
from handler.errors import DeadlineExceeded
from handler.model.request import SweepBounds
from handler.model.values import epoch
from handler.telemetry import configure
from tests.embedded_cloud import Attachment, Call, Cloud, Volume, stuck
from tests.unit.actions.opted_in import OptedIn

FREED = {"N2", "N4", "N5", "N7", "N9"}
SHOWN = {"N1", "N6", "N8", "N10", "N11"}
HELD = {"L1", "L2", "L3", "L4", "L5", "L6", "L7"}


@pytest.fixture
def project(bare_cloud: Cloud) -> Iterator[OptedIn]:
    bare_cloud.asks_compute = False
    bare_cloud.add_server()
    made = OptedIn(bare_cloud)
    yield made
    made.close()


def plant(project: OptedIn, rows: set[str]) -> dict[str, str]:
    return {stuck.plant(project.cloud.world, row).volume.id: row for row in sorted(rows)}


def at_the_look(project: OptedIn, volume: Volume, change: Callable[[Volume], None]) -> None:
    """Have a record change after it was listed, just before it is judged."""
    looked: list[Call] = []

    def hook(call: Call) -> None:
        if call.path.endswith(f"/volumes/{volume.id}") and not looked:
            looked.append(call)
            change(volume)

    project.cloud.hook(hook)


def by_outcome(result: Any, planted: dict[str, str]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for part in result.results:
        found.setdefault(part.outcome.value, set()).add(planted[part.volume_id])
    return found


def test_it_frees_what_has_an_entry_and_shows_the_rest(project: OptedIn) -> None:
    planted = plant(project, FREED | SHOWN | HELD)

    result = project.sweep(recover=True)

    assert by_outcome(result, planted) == {"recovered": FREED, "refused": SHOWN | HELD}
    assert result.scanned is not None
    assert (result.scanned.stuck, result.scanned.candidates) == (17, 0)
    assert set(project.sent()) == {"os-detach"}
    for volume_id, row in planted.items():
        assert (project.state(volume_id) == "available 0, gone") is (row in FREED)


def test_without_the_key_nothing_more_is_listed(project: OptedIn) -> None:
    plant(project, FREED)

    result = project.sweep()

    assert result.scanned is not None
    assert (result.scanned.stuck, result.results) == (None, ())
    assert {call.query.get("status") for call in project.cloud.calls if "status" in call.query} == {"in-use"}


def test_the_log_counts_them(project: OptedIn, capsys: pytest.CaptureFixture[str]) -> None:
    configure("INFO")
    plant(project, FREED)

    project.sweep(recover=True)

    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["stuck"] for line in lines if line["event"] == "sweep_listed"] == [len(FREED)]


def test_without_the_setting_each_is_refused_and_the_setting_named(project: OptedIn) -> None:
    project.settings["DETACH_RECOVER"] = "off"
    planted = plant(project, FREED)

    result = project.sweep(recover=True)

    assert by_outcome(result, planted) == {"refused": FREED}
    assert {part.error.code.value for part in result.results if part.error} == {"volume_state"}
    assert all("DETACH_RECOVER is off" in part.error.message for part in result.results if part.error)
    looked_at = [call for call in project.cloud.calls if any(call.path.endswith(id_) for id_ in planted)]
    assert (looked_at, project.sent()) == ([], []), (
        "a look could find it in use, and clear it by the plain rule"
    )
    for part in result.results:
        volume = project.cloud.volume(part.volume_id or "")
        assert volume is not None
        assert part.volume_status.before == part.volume_status.after == volume.status
        shown = [entry for entry in volume.attachments if entry.status == "attached"]
        assert part.remaining_attachments == len(shown)


@pytest.mark.parametrize(
    ("status", "entry", "outcome"),
    [
        ("in-use", "its own", ("refused", "volume_state", False)),
        ("in-use", "another", ("refused", "volume_state", True)),
        ("extending", "its own", ("refused", "volume_state", True)),
        ("error", "its own", ("refused", "volume_state", False)),
        ("available", "its own", ("refused", "volume_state", False)),
        ("available", None, ("already_detached", None, None)),
        ("deleting", None, ("refused", "volume_state", False)),
    ],
)
def test_what_is_not_stuck_any_more_when_it_is_judged_is_left_alone(
    project: OptedIn, status: str, entry: str | None, outcome: tuple[str, str | None, bool | None]
) -> None:
    planted = stuck.plant(project.cloud.world, "N5")
    gone = str(uuid.uuid4())

    def change(volume: Volume) -> None:
        volume.status = status
        if entry != "its own":
            volume.attachments.clear()
        if entry == "another":
            since = project.cloud.stamp(project.now() - 60)
            volume.attachments.append(Attachment(str(uuid.uuid4()), gone, "/dev/vdb", since))

    at_the_look(project, planted.volume, change)

    (part,) = project.sweep(recover=True, server_ids=[planted.server_id]).results

    error = part.error
    assert (part.outcome.value, error and error.code.value, error and error.retryable) == outcome
    assert (part.changed, project.sent()) == (False, [])


@pytest.mark.parametrize(
    ("moved", "code"), [("attachment", "attachment_unknown"), ("server", "server_mismatch")]
)
def test_what_the_list_showed_of_its_entry_is_a_guard(project: OptedIn, moved: str, code: str) -> None:
    planted = stuck.plant(project.cloud.world, "N5")

    def change(volume: Volume) -> None:
        (link,) = volume.attachments
        if moved == "server":
            link.server_id = str(uuid.uuid4())
        else:
            link.attachment_id = str(uuid.uuid4())

    at_the_look(project, planted.volume, change)

    (part,) = project.sweep(recover=True, server_ids=[planted.server_id]).results

    assert (part.outcome.value, part.error and part.error.code.value) == ("refused", code)
    assert project.sent() == []


def test_of_several_entries_none_is_chosen_by_what_the_list_showed(project: OptedIn) -> None:
    planted = stuck.plant(project.cloud.world, "N5")
    hidden = Attachment(str(uuid.uuid4()), str(uuid.uuid4()), "/dev/vdc", None, status="reserved")
    planted.volume.attachments.append(hidden)

    (part,) = project.sweep(recover=True).results

    assert (part.outcome.value, part.error and part.error.code.value) == ("refused", "attachment_required")
    assert project.sent() == []


def test_ids_go_along_where_the_list_shows_one_entry(project: OptedIn) -> None:
    one, none, two = (stuck.plant(project.cloud.world, row) for row in ("N5", "N6", "N7"))
    two.volume.attachments.append(Attachment(str(uuid.uuid4()), str(uuid.uuid4()), "/dev/vdc", None))

    found = find_stuck(project.services(), Census(SweepBounds(recover=True)), project.now())

    assert {candidate.volume_id: candidate[3:] for candidate in found.ripe} == {
        one.volume.id: (one.attachment_id, one.server_id),
        none.volume.id: (None, None),
        two.volume.id: (None, None),
    }


def test_the_oldest_is_first_and_one_that_two_lists_show_is_there_twice(project: OptedIn) -> None:
    ages = (5, 9, 7)
    planted = {
        days: stuck.plant(
            project.cloud.world, "N5", updated_at=project.cloud.stamp(project.now() - days * 86400)
        ).volume
        for days in ages
    }
    moving = planted[9]

    def move(call: Call) -> None:
        if call.query.get("status") == "attaching":
            moving.status = "attaching"
            moving.attachments.clear()

    project.cloud.hook(move)

    found = find_stuck(project.services(), Census(SweepBounds(recover=True)), project.now())

    ids = [candidate.volume_id for candidate in found.ripe]
    assert ids == [moving.id, moving.id, planted[7].id, planted[5].id]


def test_they_count_in_the_limit_and_not_in_the_fraction(project: OptedIn) -> None:
    plant(project, FREED)
    for _ in range(20):
        project.cloud.add_volume(attachments=[project.cloud.add_server()])

    result = project.sweep(recover=True, limit=3)

    assert result.summary == {"recovered": 3}
    assert result.scanned is not None
    assert (result.complete, result.scanned.skipped.over_limit) == (False, 2)


def test_the_young_and_the_filtered_are_counted(project: OptedIn) -> None:
    young = stuck.plant(project.cloud.world, "N5", updated_at=project.cloud.stamp(project.now() - 60)).volume
    planted = plant(project, {"N7"})
    other = stuck.plant(project.cloud.world, "N9").volume

    result = project.sweep(recover=True, volume_ids=[young.id, *planted])

    assert by_outcome(result, planted) == {"recovered": {"N7"}}
    assert result.scanned is not None
    assert (result.scanned.skipped.too_young, result.scanned.skipped.filtered) == (1, 1)
    assert other.attachments


def test_a_dry_run_frees_nothing(project: OptedIn) -> None:
    planted = plant(project, FREED | SHOWN)

    result = project.sweep(recover=True, dry_run=True)

    assert by_outcome(result, planted) == {"would_detach": FREED, "refused": SHOWN}
    assert project.sent() == []


def test_who_asks_to_stop_ends_the_lists_of_stuck_records(project: OptedIn) -> None:
    plant(project, FREED)
    services = project.services()
    calls = project.cloud.calls
    services.context.invocation = services.context.invocation._replace(
        stopped=lambda: any(call.query.get("status") == "detaching" for call in calls)
    )

    with pytest.raises(DeadlineExceeded, match="Interrupted while the lists were read"):
        sweep(services, SweepBounds(recover=True))
    assert project.sent() == []


def test_a_cloud_that_ignores_the_status_shows_no_record_twice(project: OptedIn) -> None:
    planted = plant(project, FREED)
    project.cloud.add_volume(attachments=[project.cloud.add_server()])
    project.cloud.ignore_filters.add("status")

    result = project.sweep(recover=True)

    assert by_outcome(result, planted) == {"recovered": FREED}
    assert result.scanned is not None
    assert result.scanned.stuck == len(FREED)


def test_what_changed_nobody_knows_when_is_too_young(project: OptedIn) -> None:
    stuck.plant(project.cloud.world, "N5").volume.updated_at = None

    result = project.sweep(recover=True)

    assert result.results == ()
    assert result.scanned is not None
    assert result.scanned.skipped.too_young == 1


def test_what_changed_at_that_very_moment_is_old_enough(project: OptedIn) -> None:
    volume = stuck.plant(project.cloud.world, "N5").volume
    services = project.services()

    def found(after: float) -> int:
        moment = epoch(volume.updated_at)
        assert moment is not None
        return len(find_stuck(services, Census(SweepBounds(recover=True)), moment + after).ripe)

    assert (found(0), found(-1)) == (1, 0)


def test_a_sweep_of_one_server_frees_what_names_it(project: OptedIn) -> None:
    first = stuck.plant(project.cloud.world, "N7")
    stuck.plant(project.cloud.world, "N5")

    result = project.sweep(recover=True, server_ids=[first.server_id])

    assert [part.volume_id for part in result.results] == [first.volume.id]
    assert result.scanned is not None
    assert result.scanned.skipped.filtered == 1


def test_what_is_younger_than_the_event_says_is_left_alone(project: OptedIn) -> None:
    plant(project, FREED)

    result = project.sweep(recover=True, min_age_seconds=10**8)

    assert result.results == ()
    assert result.scanned is not None
    assert result.scanned.skipped.too_young == len(FREED)
    assert project.sent() == []


def test_who_follows_is_told_how_many_there_are_to_do(project: OptedIn) -> None:
    plant(project, FREED)
    project.cloud.add_volume(attachments=[str(uuid.uuid4())])
    services, told = project.services(), Mock(spec=Observer)
    services.observer = told

    sweep(services, SweepBounds(recover=True))

    assert [call.args[1] for call in told.listed.call_args_list] == [1 + len(FREED)]
    assert told.judged.call_count == 1 + len(FREED)


def test_what_is_passed_on_to_a_broker_is_never_a_stuck_record(project: OptedIn) -> None:
    project.settings["DETACH_FANOUT_SINK"] = project.cloud.sink_url
    planted = plant(project, {"N5", "N6"})

    result = project.sweep(recover=True)

    assert by_outcome(result, planted) == {"recovered": {"N5"}, "refused": {"N6"}}
    assert project.cloud.sunk == []


def test_what_the_candidates_leave_of_the_limit_is_for_the_stuck(project: OptedIn) -> None:
    plant(project, FREED)
    for _ in range(2):
        project.cloud.add_volume(attachments=[str(uuid.uuid4())])

    result = project.sweep(recover=True, limit=3)

    assert result.summary == {"detached": 2, "recovered": 1}
    assert result.scanned is not None
    assert result.scanned.skipped.over_limit == 4
