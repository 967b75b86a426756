"""Stuck records, for each row of the recorded tables: what the function makes of it, and what it leaves.

N1 to N16: no server holds the disk; L1 to L12: a live server does. See tests/embedded_cloud/stuck.py.
"""

from __future__ import annotations

import pytest

from tests.embedded_cloud import stuck
from tests.unit.actions.opted_in import OptedIn, refused, told

RECOVERED = ("recovered", None, True)
FREE = "available 0, gone"
EXACT, BARE, UNRESERVE = "os-detach", "os-detach {}", "os-unreserve"


# What comes of form one with `recover`; by what; what is left of the record.
ROWS: dict[str, tuple[tuple[str, str | None, bool | None], str | None, str]] = {
    "N1": (RECOVERED, UNRESERVE, FREE),
    "N2": (RECOVERED, EXACT, FREE),
    "N3": (refused("server_exists"), None, "reserved 1, gone"),
    "N4": (RECOVERED, EXACT, FREE),
    "N5": (RECOVERED, EXACT, FREE),
    "N6": (RECOVERED, BARE, FREE),
    "N7": (RECOVERED, EXACT, FREE),
    "N8": (RECOVERED, BARE, FREE),
    "N9": (RECOVERED, EXACT, FREE),
    "N10": (RECOVERED, BARE, FREE),
    "N11": (RECOVERED, BARE, FREE),
    "N12": (refused("volume_state"), None, "available 1, gone"),
    "N13": (refused("volume_state"), None, "maintenance 0, gone"),
    "N14": (refused("volume_state"), None, "maintenance 1, gone"),
    "N15": (refused("volume_state"), None, "error 1, gone"),
    "N16": (("detached", None, True), EXACT, FREE),  # a sound record: the plain rule's
    "L1": (refused("volume_held"), None, "reserved 1, held"),
    "L2": (refused("volume_held"), None, "attaching 1, held"),
    "L3": (refused("volume_held"), None, "detaching 1, held"),
    "L4": (refused("volume_held"), None, "detaching 0, held"),
    "L5": (refused("volume_held"), None, "error_detaching 1, held"),
    "L6": (refused("volume_held"), None, "error_attaching 1, held"),
    "L7": (refused("volume_held"), None, "in-use 0, held"),
    "L8": (refused("volume_state"), None, "available 1, held"),
    "L9": (("already_detached", None, False), None, "available 0, held"),
    "L10": (refused("volume_state"), None, "maintenance 1, held"),
    "L11": (refused("volume_state"), None, "error 1, held"),
    "L12": (refused("server_exists"), None, "in-use 1, held"),
}


@pytest.fixture
def project(opted_in: OptedIn) -> OptedIn:
    return opted_in


def sent(project: OptedIn) -> str | None:
    calls = [call for call in project.cloud.calls if call.method == "POST"]
    if not calls:
        return None
    [call] = calls
    assert isinstance(call.body, dict)
    [(name, arguments)] = call.body.items()
    return f"{name} {{}}" if name == "os-detach" and not arguments else str(name)


def test_every_recorded_row_is_here() -> None:
    assert ROWS.keys() == stuck.ROWS.keys()


@pytest.mark.parametrize("row", ROWS)
def test_a_row(project: OptedIn, row: str) -> None:
    outcome, call, then = ROWS[row]
    volume = stuck.plant(project.cloud.world, row).volume

    result = project.one(volume.id, recover=True)

    assert told(result) == outcome, result.error
    assert (sent(project), project.state(volume.id)) == (call, then)
    if outcome == RECOVERED:
        assert result.via == ("os-unreserve" if call == UNRESERVE else "os-detach")
        assert (result.server.checked, result.remaining_attachments) == (True, 0)


@pytest.mark.parametrize("row", ROWS)
def test_a_dry_run_says_what_would_be_sent(project: OptedIn, row: str) -> None:
    outcome, call, _ = ROWS[row]
    volume = stuck.plant(project.cloud.world, row).volume
    before = project.state(volume.id)

    result = project.one(volume.id, recover=True, dry_run=True)

    assert result.outcome == ("would_detach" if call else outcome[0])
    assert result.via == (call.removesuffix(" {}") if call else None)
    assert (sent(project), project.state(volume.id)) == (None, before)


@pytest.mark.parametrize("row", [row for row in ROWS if row not in {"N16", "L9"}])
@pytest.mark.parametrize("missing", ["the setting", "the key"])
def test_with_either_word_missing_nothing_changes(project: OptedIn, row: str, missing: str) -> None:
    volume = stuck.plant(project.cloud.world, row).volume
    before = project.state(volume.id)
    if missing == "the setting":
        project.settings["DETACH_RECOVER"] = "off"

    result = project.one(volume.id, recover=missing == "the setting")

    assert (result.outcome, result.changed) == ("refused", False)
    assert (sent(project), project.state(volume.id)) == (None, before)
    assert result.error is not None
    if result.error.code == "volume_state":
        assert ("DETACH_RECOVER is off" in result.error.message) is (missing == "the setting")


@pytest.mark.parametrize(
    "row", [row for row in ROWS if row.startswith("N") and ROWS[row][1] and row != "N16"]
)
def test_a_young_record_is_left_alone(project: OptedIn, row: str) -> None:
    volume = stuck.plant(
        project.cloud.world, row, updated_at=project.cloud.stamp(project.now() - 3500)
    ).volume

    result = project.one(volume.id, recover=True)

    assert told(result) == refused("volume_state")
    assert result.error is not None
    assert result.error.retryable
    assert sent(project) is None
