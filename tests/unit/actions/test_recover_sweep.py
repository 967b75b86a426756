"""A sweep that looks for stuck records, too."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
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
from tests.embedded_cloud import Cloud, stuck
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


def test_without_the_setting_each_is_refused_and_the_setting_named(project: OptedIn) -> None:
    project.settings["DETACH_RECOVER"] = "off"
    planted = plant(project, FREED)

    result = project.sweep(recover=True)

    assert by_outcome(result, planted) == {"refused": FREED}
    assert all("DETACH_RECOVER is off" in part.error.message for part in result.results if part.error)
    assert project.sent() == []


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
