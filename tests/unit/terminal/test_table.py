"""The table: it fits its width, cuts nothing that is to be copied, and is not steered by what it shows."""

from __future__ import annotations

from dataclasses import replace

import click
import pytest

from handler.errors import Detail, ErrorCode
from handler.model.disk import Disk
from handler.model.result import (
    Outcome,
    Result,
    Scanned,
    ServerSeen,
    Skipped,
    TargetResult,
    VolumeStatus,
)
from handler.terminal.cells import cells_wide
from handler.terminal.reasons import way_on
from handler.terminal.table import render
from tests.embedded_cloud import seed
from tests.unit.terminal.results import (
    FOLLOWED,
    HALF_DONE,
    RECOVERED,
    REFUSED,
    UNCONFIRMED,
    UNDER_WAY,
    many,
    one,
    refusal,
)


def shown(result: Result, width: int | None = None) -> list[str]:
    return [click.unstyle(line) for line in render(result, width)]


@pytest.mark.parametrize("width", [60, 80, 100, 120, 140, 200])
@pytest.mark.parametrize("name", ["data", "n" * 200, "磁盘" * 60, "e\u0301" * 90, None])
def test_it_fits(width: int, name: str | None) -> None:
    parts = [one(disk=Disk(name, 40, "/dev/vdb", "2026-01-02T03:04:05Z")), REFUSED]
    lines = shown(many(*parts, summary={"detached": 1}), width)
    assert max(map(cells_wide, lines)) <= width
    assert seed.ORPHAN_VOLUME in lines[1]


def test_what_has_no_room_is_named() -> None:
    wide, narrow = shown(one(), 240), shown(one(), 80)
    assert wide[0].split("  ")[1::1][0] == "VOLUME"
    assert not any("no room for" in line for line in wide)
    assert narrow[0].split() == ["VOLUME", "NAME", "SIZE", "VERDICT"]
    assert narrow[2:4] == [
        "  no room for: since (utc), device, server, attachment, status (--output csv has",
        "  all)",
    ]
    middle = shown(one(), 140)
    assert middle[0].split() == ["VOLUME", "NAME", "SIZE", "SINCE", "(UTC)", "DEVICE", "SERVER", "VERDICT"]


def test_columns_stand_under_each_other_whatever_is_in_them() -> None:
    names = ("data", "磁盘", "e\u0301")
    rows = shown(many(*(one(disk=Disk(name, 1, None, None)) for name in names)))[1:4]
    starts = {cells_wide(row[: row.index("1 GB")]) for row in rows}
    assert len(starts) == 1


def test_a_column_that_nothing_is_in_is_left_out() -> None:
    assert "DEVICE" not in shown(one(disk=Disk("data", 1, None, None)))[0]


def test_what_the_cloud_says_does_not_steer_the_terminal() -> None:
    lines = shown(
        one(
            Outcome.REFUSED,
            refusal(message="it \x1b[31mlives\x07\n\u202e"),
            disk=Disk("\x1b[2J\r", 1, "\t", None),
            server=ServerSeen(),
        )
    )
    text = "\n".join(lines)
    assert "\x1b" not in text
    assert "    it ?[31mlives???" in lines


def test_an_error_says_all_there_is_to_it_once() -> None:
    error = replace(
        refusal(ErrorCode.INVALID_REQUEST), details=(Detail("/targets/3", "uuid"), Detail("", "json"))
    )
    lines = shown(many(*(one(Outcome.FAILED, error, volume_id=f"v-{n}") for n in range(5)), error=None))
    (at,) = [number for number, line in enumerate(lines) if line.startswith("  invalid_request")]
    assert lines[at : at + 5] == [
        "  invalid_request: v-0, v-1, v-2 and 2 more",
        "    it lives",
        "    /targets/3: it must be a UUID",
        "    the whole: it must be JSON as RFC 8259 has it: no NaN, no Infinity, nothing after the value",
        "    The cloud said: 404 itemNotFound no (request id req-9)",
    ]


def test_a_bug_says_how_to_see_more() -> None:
    bug = replace(refusal(ErrorCode.INTERNAL), upstream=None)
    assert shown(one(Outcome.FAILED, bug, volume_id=None)) == [
        "  internal",
        "    it lives",
        "    Run it again with --verbose for the log.",
    ]


def test_several_are_counted() -> None:
    result = many(
        complete=False,
        summary={"refused": 1, "would_detach": 2},
        scanned=Scanned(volumes=5, servers=3, candidates=4, skipped=Skipped(too_young=1, unreadable=2)),
        error=refusal(ErrorCode.SWEEP_REFUSED, message="too many"),
    )
    lines = shown(result)
    assert lines[0] == "  sweep_refused"
    assert lines[-3:] == [
        "  1 refused, 2 would_detach; not complete",
        "  4 candidates in 5 volumes, 3 servers",
        "  left alone: 1 too young, 2 unreadable",
    ]
    assert shown(many()) == ["  nothing to do"]
    assert shown(one(Outcome.IGNORED, volume_id=None)) == ["  ignored"]


def test_a_detach_under_way_says_how_far_it_is_and_how_to_follow_it() -> None:
    for part, job in ((UNDER_WAY, "compute  running"), (FOLLOWED, None)):
        lines = shown(part, 160)
        assert ("VIA" in lines[0]) is ("JOB" in lines[0]) is (job is not None)
        assert job is None or job in lines[1]
        assert lines[-1] == (
            f"  To follow it: evs-detach detach {seed.ORPHAN_VOLUME} --attachment {seed.ORPHAN_ATTACHMENT} "
            f"--server {seed.LIVE_SERVER} --live --wait 5m"
        )
    for part in (UNCONFIRMED, HALF_DONE, RECOVERED):
        assert not any("To follow it" in line for line in shown(part))
    assert "VIA" not in shown(RECOVERED)[0]


def test_stuck_records_are_counted_where_they_were_looked_for() -> None:
    lines = shown(many(RECOVERED, summary={"recovered": 1}, scanned=Scanned(5, 3, 0, stuck=2)))
    assert lines[-1] == "  0 candidates and 2 stuck records in 5 volumes, 3 servers"


def test_verdicts_have_colours() -> None:
    assert "\x1b[32mrecovered" in "".join(render(RECOVERED, 80))
    assert "\x1b[32mdetached" in "".join(render(one(), 80))
    assert "\x1b[33mserver_exists" in "".join(render(REFUSED, 80))


STUCK = one(
    Outcome.REFUSED, refusal(ErrorCode.VOLUME_STATE), volume_status=VolumeStatus("detaching", "detaching")
)
HELD = one(
    Outcome.REFUSED,
    refusal(),
    server=ServerSeen(seed.LIVE_SERVER, exists=True, status="ACTIVE", checked=True),
)


@pytest.mark.parametrize(
    ("part", "asked", "option"),
    [
        (HELD, (), "--live"),
        (HELD, ("DETACH_RECOVER",), "--live"),
        (HELD, ("DETACH_LIVE",), None),
        (replace(HELD, server=ServerSeen(seed.LIVE_SERVER, exists=True, status="SHELVED")), (), None),
        (replace(HELD, error=refusal(retryable=True)), (), None),
        (STUCK, (), "--recover"),
        (STUCK, ("DETACH_RECOVER",), None),
        (replace(STUCK, volume_status=VolumeStatus("maintenance", "maintenance")), (), None),
        (replace(STUCK, error=refusal(ErrorCode.VOLUME_STATE, retryable=True)), (), None),
        (REFUSED, (), None),
        (one(), (), None),
    ],
)
def test_the_option_that_may_help_is_named_to_whoever_did_not_give_it(
    part: TargetResult, asked: tuple[str, ...], option: str | None
) -> None:
    said = way_on(part, asked)
    assert (said is None) is (option is None)
    assert said is None or (said.endswith(option or "") and f"evs-detach detach {part.volume_id} " in said)
