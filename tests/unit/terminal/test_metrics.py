"""What a run leaves for Prometheus: its text format, and a last success that a failure doesn't take away."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest

from handler.errors import ErrorCode
from handler.invocation import CallContext
from handler.model.result import Outcome, Result, Scanned
from handler.runtime import Runtime
from handler.settings import Settings, read_settings
from handler.terminal.account import Account
from handler.terminal.cli import main
from handler.terminal.exit_code import ExitCode
from handler.terminal.metrics import exposition, write_metrics
from tests.embedded_cloud import Cloud, seed
from tests.unit.embedded_project import EmbeddedProject
from tests.unit.terminal.results import (
    FAILED,
    HALF_DONE,
    RECOVERED,
    REFUSED,
    UNCONFIRMED,
    UNDER_WAY,
    WOULD,
    many,
    one,
    refusal,
)

LABELS = f'{{command="sweep",project_id="{seed.PROJECT}"}}'


def account(
    *results: Result,
    began: float = 1000.0,
    command: str = "sweep",
    project_id: str | None = seed.PROJECT,
    settings: Settings | None = None,
) -> Account:
    told = tuple((None, result) for result in results)
    words = f"evs-detach {command}"
    return Account(command, words, began, 2.5, False, (), settings, None, told, project_id)


def values(text: str) -> dict[str, float]:
    """As Prometheus reads them: each with its help and type before it."""
    lines = text.splitlines()
    read = {}
    for about, kind, sample in zip(lines[::3], lines[1::3], lines[2::3], strict=True):
        match = re.fullmatch(r"(evs_detach_[a-z_]+)(\{[^}]*\}) (\S+)", sample)
        assert match is not None, sample
        assert about.startswith(f"# HELP {match[1]} ")
        assert kind == f"# TYPE {match[1]} gauge"
        assert match[1] not in read
        read[match[1]] = float(match[3])
    assert text.endswith("\n")
    return read


def test_it_counts() -> None:
    result = many(one(), one(), REFUSED, UNCONFIRMED, FAILED, WOULD, scanned=Scanned(9, 8, 7))
    text = exposition(account(result), ExitCode.FAILED, None)
    assert f"evs_detach_candidates{LABELS} 7" in text.splitlines()
    assert values(text) == {
        "evs_detach_candidates": 7,
        "evs_detach_cleared": 2,
        "evs_detach_would_clear": 1,
        "evs_detach_refused": 1,
        "evs_detach_failed": 2,
        "evs_detach_unconfirmed": 1,
        "evs_detach_duration_seconds": 2.5,
        "evs_detach_exit_code": 1,
        "evs_detach_last_run_timestamp_seconds": 1002.5,
    }


def test_what_is_half_done_is_not_cleared() -> None:
    result = many(RECOVERED, HALF_DONE, UNDER_WAY, scanned=Scanned(9, 8, 0, stuck=3))
    read = values(exposition(account(result), ExitCode.FAILED, None))
    assert {name.removeprefix("evs_detach_"): read[name] for name in list(read)[:7]} == {
        "candidates": 0,
        "cleared": 1,
        "would_clear": 0,
        "refused": 0,
        "failed": 2,
        "unconfirmed": 1,
        "stuck": 3,
    }


def test_what_was_stopped_as_a_whole_failed() -> None:
    stopped = many(error=refusal(ErrorCode.LISTING_FAILED, retryable=True))
    read = values(exposition(account(stopped), ExitCode.FAILED, None))
    assert (read["evs_detach_cleared"], read["evs_detach_failed"]) == (0, 1)
    distrusted = many(REFUSED, error=refusal(ErrorCode.SWEEP_REFUSED))
    read = values(exposition(account(distrusted), ExitCode.REFUSED, None))
    assert (read["evs_detach_refused"], read["evs_detach_failed"]) == (1, 0)


def test_a_failure_keeps_the_last_success(tmp_path: Path) -> None:
    path = tmp_path / "evs.prom"
    write_metrics(path, account(many(one()), began=1000.0), ExitCode.DONE)
    write_metrics(path, account(many(FAILED), began=2000.0), ExitCode.FAILED)
    read = values(path.read_text("utf-8"))
    assert read["evs_detach_last_success_timestamp_seconds"] == 1002.5
    assert read["evs_detach_last_run_timestamp_seconds"] == 2002.5
    write_metrics(path, account(many(WOULD), began=3000.0), ExitCode.FOUND)
    assert values(path.read_text("utf-8"))["evs_detach_last_success_timestamp_seconds"] == 3002.5


LISTED = Scanned(9, 8, 7, stuck=2)
STOPPED = many(error=refusal(ErrorCode.LISTING_FAILED, retryable=True))
INVALID = one(Outcome.FAILED, refusal(ErrorCode.INVALID_REQUEST), volume_id=None)
IGNORED = one(Outcome.IGNORED, volume_id=None)


@pytest.mark.parametrize(
    ("results", "known"),
    [
        ([STOPPED], None),
        ([INVALID], None),
        ([], None),
        ([many(WOULD, scanned=LISTED), STOPPED], None),
        ([many(WOULD, scanned=LISTED)], (7, 1, 2)),
        ([many(scanned=LISTED, error=refusal(ErrorCode.SWEEP_REFUSED))], (7, 0, 2)),
        ([many(WOULD, REFUSED)], (2, 1, None)),
        ([many(FAILED, error=refusal(ErrorCode.DEADLINE_EXCEEDED, retryable=True))], (1, 0, None)),
        ([many(WOULD, scanned=LISTED), FAILED, WOULD], (9, 2, 2)),
        ([IGNORED], (0, 0, None)),
        ([FAILED], (1, 0, None)),
    ],
)
def test_what_is_not_known_is_left_out(results: list[Result], known: tuple[int | None, ...] | None) -> None:
    read = values(exposition(account(*results), ExitCode.FAILED, None))
    names = ("evs_detach_candidates", "evs_detach_would_clear", "evs_detach_stuck")
    assert tuple(map(read.get, names)) == (known or (None, None, None))
    assert {"evs_detach_cleared", "evs_detach_refused", "evs_detach_failed"} <= set(read)


def test_a_label_is_the_tokens_project_and_no_targets() -> None:
    stranger = many(one(Outcome.REFUSED, refusal(), project_id="0" * 32))
    assert account(stranger).project_id == seed.PROJECT
    configured = read_settings({**AT, "DETACH_PROJECT_ID": "1" * 32}, network=False)
    assert account(stranger, project_id=None, settings=configured).project_id == "1" * 32
    assert account(stranger, project_id="2" * 32, settings=configured).project_id == "2" * 32
    assert account(stranger, project_id=None).project_id is None


AT = {"DETACH_TOKEN_SECRET": "env:T", "DETACH_IDENTITY_ENDPOINT": "https://keystone.example/v3"}
CLOUD = read_settings({**AT, "DETACH_SCOPE": "cloud"}, network=False)
PROJECT = read_settings(AT, network=False)


@pytest.mark.parametrize(
    ("before", "after", "kept"),
    [
        ({}, {}, True),
        ({"command": "detach"}, {}, False),
        ({"project_id": "0" * 32}, {}, False),
        ({}, {"project_id": None}, False),
        ({"project_id": None}, {}, False),
        ({"settings": CLOUD}, {"settings": CLOUD}, True),
        ({"settings": CLOUD}, {"settings": PROJECT}, False),
        ({"settings": CLOUD}, {"settings": PROJECT, "project_id": None}, False),
        ({"settings": CLOUD}, {"project_id": None}, False),
        ({"project_id": "a.c"}, {"project_id": "abc"}, False),
        ({"project_id": "abc"}, {"project_id": "a.c"}, False),
        ({"project_id": 'a"b\\c'}, {"project_id": 'a"b\\c'}, True),
    ],
)
def test_the_last_success_is_of_the_same_command_and_project(
    before: dict[str, Any], after: dict[str, Any], kept: bool, tmp_path: Path
) -> None:
    path = tmp_path / "evs.prom"
    write_metrics(path, account(many(one()), **before), ExitCode.DONE)
    assert "evs_detach_last_success_timestamp_seconds" in path.read_text("utf-8")
    write_metrics(path, account(many(FAILED), began=2000.0, **after), ExitCode.FAILED)
    assert ("evs_detach_last_success_timestamp_seconds" in path.read_text("utf-8")) is kept
    assert "1002.5" in path.read_text("utf-8") or not kept


@pytest.mark.parametrize(
    "before",
    [
        b"",
        b"\xff",
        f"evs_detach_last_success_timestamp_seconds{LABELS} 1e999\n".encode(),
        f"evs_detach_last_success_timestamp_seconds{LABELS} 0\n".encode(),
        f"evs_detach_last_success_timestamp_seconds{LABELS} x\n".encode(),
        b"x y\n",
    ],
)
def test_what_is_there_and_no_such_file_is_replaced(tmp_path: Path, before: bytes) -> None:
    path = tmp_path / "evs.prom"
    path.write_bytes(before)
    write_metrics(path, account(many(FAILED)), ExitCode.FAILED)
    assert "evs_detach_last_success_timestamp_seconds" not in values(path.read_text("utf-8"))


@pytest.mark.skipif(shutil.which("promtool") is None, reason="Prometheus is not installed")
@pytest.mark.parametrize("results", [(STOPPED,), (many(WOULD, scanned=LISTED), many(FAILED, scanned=LISTED))])
def test_prometheus_itself_reads_it(results: tuple[Result, ...]) -> None:
    for told in (account(*results), account(*results, settings=CLOUD), account(*results, project_id='a"b\\')):
        subprocess.run(
            ["promtool", "check", "metrics"],
            input=exposition(told, ExitCode.FAILED, 1000.0),
            encoding="utf-8",
            check=True,
        )


def test_labels_are_escaped() -> None:
    odd = account(many(one()), project_id='a"b\\c\nd')
    assert 'project_id="a\\"b\\\\c\\nd"' in exposition(odd, ExitCode.DONE, None)


def test_it_is_written_in_one_step_for_all_to_read(tmp_path: Path) -> None:
    path, link = tmp_path / "evs.prom", tmp_path / "link.prom"
    path.write_text("old", "utf-8")
    link.symlink_to(path)
    before = path.stat().st_ino
    mask = os.umask(0o022)
    try:
        write_metrics(link, account(many(one())), ExitCode.DONE)
    finally:
        os.umask(mask)
    assert link.is_symlink()
    assert path.stat().st_ino != before
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert sorted(tmp_path.iterdir()) == [path, link] or sorted(tmp_path.iterdir()) == [link, path]


def test_what_is_no_plain_file_is_written_to(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.prom"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        from handler.terminal.whole_file import write_whole  # noqa: PLC0415

        write_whole(pipe, "text")
        assert os.read(reader, 100) == b"text"
    finally:
        os.close(reader)


def test_a_folder_that_is_not_there_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        write_metrics(tmp_path / "no" / "evs.prom", account(many(one())), ExitCode.DONE)
    assert not list(tmp_path.iterdir())


@pytest.fixture
def metrics_file(bare_cloud: Cloud, settings: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:  # noqa: ARG001
    """Where a deployment that names no project leaves its metrics."""
    assert bare_cloud.project_id == seed.PROJECT
    monkeypatch.delenv("DETACH_PROJECT_ID", raising=False)
    return tmp_path / "m.prom"


def test_a_foreign_volume_does_not_lend_its_project(
    bare_cloud: Cloud, project: EmbeddedProject, metrics_file: Path, tmp_path: Path
) -> None:
    project.add_held(5)
    volume_id, _, _ = project.add_orphan()
    bare_cloud.volume(volume_id).project_id = bare_cloud.other_project_id
    report = tmp_path / "r.md"
    words = ["detach", volume_id, "--report", str(report), "--metrics-file", str(metrics_file)]
    assert main(words) == ExitCode.REFUSED
    shown = f'evs_detach_refused{{command="detach",project_id="{seed.PROJECT}"}} 1'
    assert shown in metrics_file.read_text("utf-8").splitlines()
    assert f"| Project | `{seed.PROJECT}` |" in report.read_text("utf-8")


def test_a_list_that_fails_is_of_the_tokens_project_all_the_same(
    bare_cloud: Cloud, project: EmbeddedProject, metrics_file: Path
) -> None:
    project.add_held(1)
    assert main(["sweep", "--metrics-file", str(metrics_file)]) == ExitCode.DONE
    succeeded = values(metrics_file.read_text("utf-8"))["evs_detach_last_success_timestamp_seconds"]
    bare_cloud.misbehave(service="compute", status=403, times=None)
    assert main(["sweep", "--metrics-file", str(metrics_file)]) == ExitCode.FAILED
    text = metrics_file.read_text("utf-8")
    assert f"evs_detach_failed{LABELS} 1" in text.splitlines()
    assert "evs_detach_candidates" not in text
    assert values(text)["evs_detach_last_success_timestamp_seconds"] == succeeded


def test_a_report_says_where_was_asked_and_only_where(
    bare_cloud: Cloud, project: EmbeddedProject, metrics_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    times: list[float] = []

    def spy(self: Runtime, context: CallContext, *others: Any) -> Any:
        times.append(context.deadline.remaining())
        return of(self, context, *others)

    of = Runtime.project
    monkeypatch.setattr(Runtime, "project", spy)
    project.add_held(2)
    report, event = metrics_file.with_suffix(".md"), metrics_file.with_suffix(".json")
    event.write_text("{}", "utf-8")
    assert main(["sweep", "--report", str(report)]) == ExitCode.DONE  # no target at all
    assert bare_cloud.compute_endpoint in report.read_text("utf-8")
    assert times[-1] > 1  # a secret that has to be read again has its time
    assert main(["run", str(event), "--report", str(report)]) == ExitCode.USAGE
    text = report.read_text("utf-8")
    assert bare_cloud.compute_endpoint not in text
    assert f"| Project | `{seed.PROJECT}` |" in text
    assert times[-1] <= 0


def test_where_nothing_was_asked_no_token_is_asked_for(bare_cloud: Cloud, metrics_file: Path) -> None:
    event = metrics_file.with_suffix(".json")
    event.write_text("{}", "utf-8")
    assert main(["run", str(event), "--metrics-file", str(metrics_file)]) == ExitCode.USAGE
    assert not bare_cloud.calls
    assert 'evs_detach_failed{command="run"} 1' in metrics_file.read_text("utf-8").splitlines()
