"""`python -m handler sweep`: what a person or a script at a terminal sees."""

from __future__ import annotations

import csv
import io
import json
import re
import sys
import uuid
from datetime import timedelta
from typing import Any

import click
import pytest

from handler.terminal.cli import main
from handler.terminal.exit_code import ExitCode
from handler.terminal.session import Session
from tests.embedded_cloud import Attachment, Cloud
from tests.unit.embedded_project import EmbeddedProject

Printed = pytest.CaptureFixture[str]

pytestmark = pytest.mark.usefixtures("settings")


@pytest.fixture
def orphans(project: EmbeddedProject) -> list[tuple[str, str, str]]:
    """Three of them, the oldest first, beside ten disks that are held: volume, attachment, server."""
    project.add_held(10)
    return [
        project.add_orphan(size=size, attached_at=timedelta(days=age))
        for size, age in ((1, 9), (40, 5), (200, 2))
    ]


def result_of(printed: Printed) -> dict[str, Any]:
    result: dict[str, Any] = json.loads(printed.readouterr().out)
    return result


def at_a_terminal(monkeypatch: pytest.MonkeyPatch, columns: int = 80) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", str(columns))


def test_it_is_a_dry_run_unless_told_to_apply(
    bare_cloud: Cloud, orphans: list[tuple[str, str, str]], capsys: Printed
) -> None:
    assert main(["sweep", "--json"]) == 0

    printed = capsys.readouterr()
    assert json.loads(printed.out)["summary"] == {"would_detach": len(orphans)}
    assert "nothing is cleared without --apply" in printed.err
    assert not bare_cloud.posts()


def test_apply_clears(bare_cloud: Cloud, orphans: list[tuple[str, str, str]], capsys: Printed) -> None:
    assert main(["sweep", "--apply", "--json"]) == 0

    result = result_of(capsys)
    assert result["trigger"] == "terminal"
    assert [part["volume_id"] for part in result["results"]] == [volume for volume, *_ in orphans]
    assert {part["outcome"] for part in result["results"]} == {"detached"}
    assert all(bare_cloud.volume(volume).status == "available" for volume, *_ in orphans)


def test_the_settings_bounds_win_and_say_so(
    bare_cloud: Cloud, orphans: list[tuple[str, str, str]], capsys: Printed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DETACH_SWEEP_DRY_RUN", "true")
    monkeypatch.setenv("DETACH_SWEEP_LIMIT", "2")

    assert main(["sweep", "--apply", "--limit", "3", "--min-age", "5", "--json"]) == ExitCode.REFUSED

    printed = capsys.readouterr()
    assert json.loads(printed.out)["summary"] == {"would_detach": 2}
    assert printed.err.startswith("DETACH_SWEEP_DRY_RUN is set, so --apply is held back")
    for name in ("DETACH_SWEEP_DRY_RUN", "DETACH_SWEEP_LIMIT", "DETACH_SWEEP_MIN_AGE_SECONDS"):
        assert name in printed.err
    assert not bare_cloud.posts()
    assert orphans


def test_bounds_that_are_kept_need_no_words(orphans: list[tuple[str, str, str]], capsys: Printed) -> None:
    assert main(["sweep", "--apply", "--limit", "1", "--min-age", "1000", "--json"]) == 0

    printed = capsys.readouterr()
    assert len(json.loads(printed.out)["results"]) == 1
    assert [line for line in printed.err.splitlines() if not line.startswith("{")] == []
    assert orphans


@pytest.mark.parametrize("by", ["--server", "--volume"])
def test_only_what_is_named(by: str, orphans: list[tuple[str, str, str]], capsys: Printed) -> None:
    wanted = orphans[:2]
    named = [ids[2] if by == "--server" else ids[0] for ids in wanted]

    assert main(["sweep", "--json", by, named[0], by, named[1].upper()]) == 0

    result = result_of(capsys)
    assert [part["volume_id"] for part in result["results"]] == [ids[0] for ids in wanted]
    assert result["scanned"]["skipped"]["filtered"] == 1


def test_only_volumes_with_these_pairs(
    bare_cloud: Cloud, orphans: list[tuple[str, str, str]], capsys: Printed
) -> None:
    bare_cloud.volume(orphans[1][0]).metadata.update({"env": "test", "note": "a=b"})
    bare_cloud.volume(orphans[2][0]).metadata.update({"env": "test"})

    assert main(["sweep", "--json", "--metadata", "env=test", "--metadata", "note=a=b"]) == 0

    assert [part["volume_id"] for part in result_of(capsys)["results"]] == [orphans[1][0]]


@pytest.mark.parametrize("again", ["prod", "test"])
def test_a_key_that_is_said_twice_is_wrong_usage(bare_cloud: Cloud, again: str, capsys: Printed) -> None:
    words = ["--metadata", "env=test", "--metadata", "note=x", "--metadata", f"env={again}"]
    assert main(["sweep", "--apply", *words]) == ExitCode.USAGE
    assert "Error: --metadata has the key 'env' more than once" in capsys.readouterr().err
    assert not bare_cloud.calls


@pytest.mark.parametrize(("age", "seconds"), [("0.1s", 1), ("899.5s", 900), ("2m", 120), ("0", 0)])
def test_a_fraction_of_a_second_of_age_is_rounded_up(
    age: str, seconds: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    def ask(_session: Session, form: dict[str, object]) -> int:
        asked.append(form)
        return 0

    monkeypatch.setattr(Session, "ask", ask)
    assert main(["sweep", "--min-age", age]) == 0
    assert [form["sweep"]["min_age_seconds"] for form in asked] == [seconds]


@pytest.mark.parametrize(
    ("timeout", "told"),
    [("0.1s", "0.1"), ("90s", "90"), ("100000.25s", "100000.25"), ("259199.9s", "259199.9")],
)
def test_a_time_out_is_told_as_it_is(timeout: str, told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def ask(session: Session, _form: dict[str, object]) -> int:
        asked.append(session.environment()["DETACH_TIMEOUT"])
        return 0

    monkeypatch.setattr(Session, "ask", ask)
    assert main(["sweep", "--timeout", timeout]) == 0
    assert asked == [told]


@pytest.mark.parametrize(
    "wrong",
    [
        ["--server", "web-01"],
        ["--volume", ""],
        ["--limit", "-1"],
        ["--limit", "many"],
        ["--min-age", "1.5x"],
        ["--min-age", ""],
        ["--metadata", "env"],
        ["--metadata", "=x"],
        ["--json", "--csv"],
        ["--output", "csv", "--json"],
        ["--output", "xml"],
        ["--quiet", "--verbose"],
        ["--report", "ticket.pdf"],
        ["--aply"],
        ["event.json"],
    ],
)
def test_bad_usage_is_2_and_asks_no_cloud(bare_cloud: Cloud, wrong: list[str], capsys: Printed) -> None:
    assert main(["sweep", *wrong]) == ExitCode.USAGE

    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("Usage: evs-detach sweep [OPTIONS]")
    assert not bare_cloud.calls


def test_a_table_shows_the_findings(
    bare_cloud: Cloud, project: EmbeddedProject, capsys: Printed, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_a_terminal(monkeypatch, columns=140)
    project.add_held(10)
    orphan = project.add_orphan(size=40, name="data-1", attached_at="2026-01-02T03:04:05.678901")
    alive = project.add_orphan(name="data-2", attached_at="2026-01-03T00:00:00.000000")
    project.add_orphan(attached_at=timedelta(seconds=3))
    project.add_orphan()
    bare_cloud.hook(
        lambda call: (
            alive[2] in call.path
            and alive[2] not in bare_cloud.world.servers
            and bare_cloud.add_server(alive[2])
        )
    )

    assert main(["sweep", "--no-color", "--volume", orphan[0], "--volume", alive[0]]) == ExitCode.REFUSED

    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["VOLUME", "NAME", "SIZE", "SINCE", "(UTC)", "DEVICE", "SERVER", "VERDICT"]
    seen = ["data-1", "40", "GB", "2026-01-02", "03:04", "/dev/vdb"]
    assert lines[1].split() == [orphan[0], *seen, orphan[2], "would_detach"]
    assert lines[2].split()[-1] == "server_exists"
    text = "\n".join(lines[3:])
    assert f"server_exists: {alive[0]}" in text
    assert "1 would_detach, 1 refused" in text
    assert re.search("4 candidates in 14 volumes, 1[01] servers", text)
    assert "left alone: 2 filtered" in text
    assert "request id" in text
    assert max(map(len, lines)) <= 140


def test_a_table_without_findings_says_so(capsys: Printed, monkeypatch: pytest.MonkeyPatch) -> None:
    at_a_terminal(monkeypatch)

    assert main(["sweep"]) == 0

    assert click.unstyle(capsys.readouterr().out).splitlines() == [
        "  nothing to do",
        "  0 candidates in 0 volumes, 0 servers",
    ]


def test_csv_is_the_table(orphans: list[tuple[str, str, str]], capsys: Printed) -> None:
    assert main(["sweep", "--csv"]) == 0

    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [(row["volume_id"], row["server_id"]) for row in rows] == [(ids[0], ids[2]) for ids in orphans]
    assert [row["size_gb"] for row in rows] == ["1", "40", "200"]
    assert {row["outcome"] for row in rows} == {"would_detach"}
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", row["attached_at"]) for row in rows)


def test_what_a_device_is_called_steers_no_terminal(
    bare_cloud: Cloud, project: EmbeddedProject, capsys: Printed, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_a_terminal(monkeypatch, columns=250)
    project.add_held(2)
    odd = Attachment(
        str(uuid.uuid4()), str(uuid.uuid4()), "\x1b[2J\r/dev/ü", bare_cloud.stamp(timedelta(days=1))
    )
    bare_cloud.add_volume(attachments=[odd])

    assert main(["sweep"]) == 0

    out = capsys.readouterr().out
    assert "?[2J?/dev/ü" in out
    assert "\x1b[2J" not in out


@pytest.mark.parametrize("form", ["--json", "--csv", None])
def test_a_distrusted_list_is_3_and_shows_what_was_found(
    project: EmbeddedProject, capsys: Printed, monkeypatch: pytest.MonkeyPatch, form: str | None
) -> None:
    if form is None:
        at_a_terminal(monkeypatch)
    volume_id, *_ = project.add_orphan()

    assert main(["sweep", "--apply", *filter(None, [form])]) == ExitCode.REFUSED

    out = capsys.readouterr().out
    assert volume_id in out
    assert "sweep_refused" in out


@pytest.mark.parametrize("form", ["--json", "--csv", None])
def test_wrong_settings_are_1_and_named(
    bare_cloud: Cloud, capsys: Printed, monkeypatch: pytest.MonkeyPatch, form: str | None
) -> None:
    monkeypatch.setenv("DETACH_SWEEP_LIMIT", "plenty")
    if form is None:
        at_a_terminal(monkeypatch)

    assert main(["sweep", *filter(None, [form])]) == 1

    printed = capsys.readouterr()
    assert "DETACH_SWEEP_LIMIT" in printed.out + printed.err
    assert "plenty" not in printed.out + printed.err
    assert not bare_cloud.calls


def test_a_token_that_is_refused_is_1(capsys: Printed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN_OF_THE_TESTS", "not-a-token-of-this-cloud")

    assert main(["sweep", "--json"]) == 1

    printed = capsys.readouterr()
    assert json.loads(printed.out)["error"]["code"] == "token_rejected"
    assert "not-a-token-of-this-cloud" not in printed.out + printed.err


def test_the_log_goes_to_standard_error_where_it_is_asked_for(
    orphans: list[tuple[str, str, str]], capsys: Printed
) -> None:
    main(["sweep", "--apply", "--verbose"])

    printed = capsys.readouterr()
    assert json.loads(printed.out)["ok"]
    events = [json.loads(line)["event"] for line in printed.err.splitlines() if line.startswith("{")]
    assert events.count("target") == len(orphans)
    assert {"sweep_listed", "invocation"} <= set(events)
