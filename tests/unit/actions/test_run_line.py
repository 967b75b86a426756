"""The line `run`: one for each sweep, whatever became of it, with all its counts."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from handler.actions.dispatch import carry_out
from handler.model.request import GoneServer, Target
from handler.telemetry import configure
from tests.embedded_cloud import Cloud
from tests.unit.embedded_project import EmbeddedProject

COUNTS = {
    "volumes",
    "servers",
    "attachments",
    "candidates",
    "stuck",
    "too_young",
    "filtered",
    "unreadable",
    "over_limit",
}
OUTCOMES = {
    "detached",
    "recovered",
    "already_detached",
    "volume_absent",
    "would_detach",
    "dispatched",
    "refused",
    "unconfirmed",
    "failed",
}
KEYS = {
    "time",
    "level",
    "event",
    "service_name",
    "service_version",
    "request_id",
    "trigger",
    "ok",
    "code",
    "message",
    "complete",
    "dry_run",
    "limit",
    "cleared",
    "duration_ms",
    *COUNTS,
    *OUTCOMES,
}


@pytest.fixture(autouse=True)
def _log() -> None:
    configure("INFO")


def runs(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return [line for line in lines if line["event"] == "run"]


def run(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    (line,) = runs(capsys)
    assert line.keys() == KEYS
    return line


def test_it_has_all_that_a_sweep_counted(
    bare_cloud: Cloud, project: EmbeddedProject, capsys: pytest.CaptureFixture[str]
) -> None:
    project.add_held(12)
    for age in range(4):
        project.add_orphan(attached_at=timedelta(days=10 - age))
    project.add_orphan(attached_at=timedelta(seconds=5))
    bare_cloud.misbehave("volume", "POST", "/action", times=1, status=403)

    result = project.sweep(limit=2)

    line = run(capsys)
    assert line["ok"] is result.ok is False
    assert (line["level"], line["code"], line["complete"], line["dry_run"]) == ("INFO", None, False, False)
    assert {name: line[name] for name in COUNTS} == {
        "volumes": 17,
        "servers": 12,
        "attachments": 17,
        "candidates": 5,
        "stuck": None,
        "too_young": 1,
        "filtered": 0,
        "unreadable": 0,
        "over_limit": 1,
    }
    assert (line["limit"], line["cleared"]) == (2, 2)
    expected = dict.fromkeys(OUTCOMES, 0) | {"detached": 2, "failed": 1}
    assert {name: line[name] for name in OUTCOMES} == expected
    assert 0 < line["duration_ms"] < 100_000


def test_a_dry_run_clears_nothing_and_says_so(
    project: EmbeddedProject, capsys: pytest.CaptureFixture[str]
) -> None:
    project.add_held(3)
    project.add_orphan()

    project.sweep(dry_run=True)

    line = run(capsys)
    assert (line["level"], line["ok"], line["dry_run"]) == ("INFO", True, True)
    assert (line["cleared"], line["would_detach"]) == (0, 1)


def test_one_that_is_refused_has_its_code_and_what_it_listed(
    project: EmbeddedProject, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(3):
        project.add_orphan()

    project.sweep()

    line = run(capsys)
    assert (line["ok"], line["code"], line["cleared"]) == (False, "sweep_refused", 0)
    assert (line["servers"], line["attachments"], line["refused"]) == (0, 3, 3)


def test_one_whose_lists_can_t_be_had_has_a_line_too(
    bare_cloud: Cloud, project: EmbeddedProject, capsys: pytest.CaptureFixture[str]
) -> None:
    project.add_orphan()
    bare_cloud.misbehave(None, "GET", "/servers", times=None, status=500)

    project.sweep()

    line = run(capsys)
    assert (line["level"], line["ok"], line["code"]) == ("WARNING", False, "listing_failed")
    assert {name: line[name] for name in COUNTS} == dict.fromkeys(COUNTS)
    assert (line["dry_run"], line["limit"], line["cleared"]) == (False, 20, 0)


def test_what_stays_until_somebody_mends_it_is_an_error(
    project: EmbeddedProject, capsys: pytest.CaptureFixture[str]
) -> None:
    project.sweep(project.services(DETACH_SERVER_CHECK="off"))

    line = run(capsys)
    assert (line["level"], line["code"]) == ("ERROR", "configuration")


def test_what_is_no_sweep_has_none(
    bare_cloud: Cloud, project: EmbeddedProject, capsys: pytest.CaptureFixture[str]
) -> None:
    volume_id, attachment_id, server_id = project.add_orphan()

    carry_out([GoneServer(server_id=server_id)], project.services())
    carry_out([Target(volume_id=volume_id, attachment_id=attachment_id)], project.services())

    assert runs(capsys) == []
    assert bare_cloud.posts()
