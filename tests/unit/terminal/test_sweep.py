"""`python -m handler sweep`: what a person or a script at a terminal sees."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from handler.__main__ import main
from tests.embedded_cloud import Attachment, Call, Cloud
from tests.unit.embedded_project import EmbeddedProject

Printed = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def settings(bare_cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """A deployment at this cloud that may clear."""
    told = {
        **bare_cloud.environment(),
        "DETACH_TOKEN_SECRET": "env:TOKEN_OF_THE_TESTS",
        "TOKEN_OF_THE_TESTS": bare_cloud.token(),
        "DETACH_SWEEP_DRY_RUN": "false",
    }
    for name, value in told.items():
        monkeypatch.setenv(name, value)


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


def at_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)


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

    assert main(["sweep", "--apply", "--limit", "3", "--min-age", "5", "--json"]) == 0

    printed = capsys.readouterr()
    assert json.loads(printed.out)["summary"] == {"would_detach": 2}
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


@pytest.mark.parametrize(
    "wrong",
    [
        ["--server", "web-01"],
        ["--volume", ""],
        ["--limit", "-1"],
        ["--limit", "many"],
        ["--min-age", "1.5"],
        ["--metadata", "env"],
        ["--json", "--csv"],
        ["--aply"],
        ["event.json"],
    ],
)
def test_bad_usage_is_2_and_asks_no_cloud(bare_cloud: Cloud, wrong: list[str], capsys: Printed) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["sweep", *wrong])

    assert ended.value.code == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "usage: python -m handler sweep" in printed.err
    assert not bare_cloud.calls


def test_help_is_0(capsys: Printed) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["sweep", "--help"])

    assert ended.value.code == 0
    assert "--apply" in capsys.readouterr().out


def test_a_file_may_be_called_sweep(tmp_path: Path, capsys: Printed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("sweep").write_text('{"sweep": {}}', encoding="utf-8")

    assert main(["./sweep"]) == 0

    assert result_of(capsys)["scanned"]["candidates"] == 0


def test_a_table_shows_the_findings(
    bare_cloud: Cloud, project: EmbeddedProject, capsys: Printed, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_a_terminal(monkeypatch)
    project.add_held(10)
    orphan = project.add_orphan(size=40, attached_at="2026-01-02T03:04:05.678901")
    alive = project.add_orphan(attached_at="2026-01-03T00:00:00.000000")
    project.add_orphan(attached_at=timedelta(seconds=3))
    project.add_orphan()
    bare_cloud.hook(
        lambda call: (
            alive[0] in call.path
            and alive[2] not in bare_cloud.world.servers
            and bare_cloud.add_server(alive[2])
        )
    )

    assert main(["sweep", "--volume", orphan[0], "--volume", alive[0]]) == 1

    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["VOLUME", "SERVER", "DEVICE", "SINCE", "SIZE", "VERDICT"]
    assert lines[1].split() == [
        orphan[0],
        orphan[2],
        "/dev/vdb",
        "2026-01-02T03:04:05Z",
        "40",
        "GB",
        "would_detach",
    ]
    assert lines[2].split()[-1] == "server_exists"
    text = "\n".join(lines[3:])
    assert f"{alive[0]}: server_exists: " in text
    assert "1 refused" in text
    assert (
        "4 candidates in 14 volumes, 10 servers" in text or "4 candidates in 14 volumes, 11 servers" in text
    )
    assert "left alone: 2 filtered" in text
    assert not lines[1].endswith(" ")


def test_a_table_without_findings_says_so(capsys: Printed, monkeypatch: pytest.MonkeyPatch) -> None:
    at_a_terminal(monkeypatch)

    assert main(["sweep"]) == 0

    assert capsys.readouterr().out.splitlines() == [
        "  nothing to do",
        "  0 candidates in 0 volumes, 0 servers",
    ]


def test_csv_is_the_table(orphans: list[tuple[str, str, str]], capsys: Printed) -> None:
    assert main(["sweep", "--csv"]) == 0

    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [(row["volume"], row["server"]) for row in rows] == [(ids[0], ids[2]) for ids in orphans]
    assert [row["size"] for row in rows] == ["1", "40", "200"]
    assert {row["verdict"] for row in rows} == {"would_detach"}
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", row["since"]) for row in rows)


def test_what_a_device_is_called_steers_no_terminal(
    bare_cloud: Cloud, project: EmbeddedProject, capsys: Printed, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_a_terminal(monkeypatch)
    project.add_held(2)
    odd = Attachment(
        str(uuid.uuid4()), str(uuid.uuid4()), "\x1b[2J\r/dev/ü", bare_cloud.stamp(timedelta(days=1))
    )
    bare_cloud.add_volume(attachments=[odd])

    assert main(["sweep"]) == 0

    out = capsys.readouterr().out
    assert "?[2J?/dev/ü" in out
    assert "\x1b" not in out


@pytest.mark.parametrize("form", ["--json", "--csv", None])
def test_a_distrusted_list_is_1_and_shows_what_was_found(
    project: EmbeddedProject, capsys: Printed, monkeypatch: pytest.MonkeyPatch, form: str | None
) -> None:
    if form is None:
        at_a_terminal(monkeypatch)
    volume_id, *_ = project.add_orphan()

    assert main(["sweep", "--apply", *filter(None, [form])]) == 1

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


def test_the_log_goes_to_standard_error(orphans: list[tuple[str, str, str]], capsys: Printed) -> None:
    main(["sweep", "--apply"])

    printed = capsys.readouterr()
    assert json.loads(printed.out)["ok"]
    events = [json.loads(line)["event"] for line in printed.err.splitlines() if line.startswith("{")]
    assert events.count("target") == len(orphans)
    assert {"sweep_listed", "invocation"} <= set(events)


@pytest.fixture
def _interruptible() -> Iterator[None]:
    """Ctrl-C as a terminal has it: a shell's background jobs are started with it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_interruptible")
def test_an_interrupted_sweep_shows_what_it_did(
    bare_cloud: Cloud, orphans: list[tuple[str, str, str]], capsys: Printed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DETACH_CONCURRENCY", "1")

    def hook(call: Call) -> None:
        if call.path.endswith(f"/volumes/{orphans[2][0]}"):
            signal.raise_signal(signal.SIGINT)

    bare_cloud.hook(hook)

    assert main(["sweep", "--apply", "--json"]) == 1

    printed = capsys.readouterr()
    result = json.loads(printed.out)
    assert "Interrupted" in printed.err
    assert not result["complete"]
    assert [part["volume_id"] for part in result["results"]] == [ids[0] for ids in orphans[:2]]


def read_all(leader: int) -> str:
    """What a process writes to its terminal, until it lets go of it."""
    said = b""
    until = time.monotonic() + 30
    while time.monotonic() < until:
        if not select.select([leader], [], [], 1)[0]:
            continue
        try:
            part = os.read(leader, 65536)
        except OSError:  # as Linux says that nobody holds the other end
            break
        if not part:
            break
        said += part
    return said.decode()


@pytest.mark.parametrize("level", [None, "INFO"])
def test_a_person_sees_a_progress_bar_and_a_table(
    orphans: list[tuple[str, str, str]], monkeypatch: pytest.MonkeyPatch, level: str | None
) -> None:
    if level:
        monkeypatch.setenv("DETACH_LOG_LEVEL", level)
    leader, follower = pty.openpty()
    command = [sys.executable, "-m", "handler", "sweep", "--apply"]
    with subprocess.Popen(command, stdout=follower, stderr=follower, stdin=follower) as process:
        os.close(follower)
        said = read_all(leader)
        os.close(leader)
        assert process.wait(timeout=30) == 0

    assert "listing" in said
    assert "3 found" in said
    assert "100%" in said
    assert "VERDICT" in said
    assert all(volume_id in said for volume_id, *_ in orphans)
    assert ('"event": "target"' in said) == (level is not None)


def test_a_script_sees_no_progress_bar(orphans: list[tuple[str, str, str]]) -> None:
    command = [sys.executable, "-m", "handler", "sweep", "--apply"]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False, timeout=60)

    assert done.returncode == 0
    assert json.loads(done.stdout)["summary"] == {"detached": len(orphans)}
    assert "listing" not in done.stderr
    assert "%" not in done.stderr
    assert all(line.startswith("{") for line in done.stderr.splitlines())
