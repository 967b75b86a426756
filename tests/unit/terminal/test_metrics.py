"""What a run leaves for Prometheus: its text format, and a last success that a failure doesn't take away."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

import pytest

from handler.errors import ErrorCode
from handler.model.result import Result, Scanned
from handler.terminal.account import Account
from handler.terminal.exit_code import ExitCode
from handler.terminal.metrics import exposition, write_metrics
from tests.embedded_cloud import seed
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


def account(*results: Result, began: float = 1000.0) -> Account:
    told = tuple((None, result) for result in results)
    return Account("sweep", "evs-detach sweep", began, 2.5, False, (), None, None, told)


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
    assert (read["evs_detach_candidates"], read["evs_detach_failed"]) == (0, 1)
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


@pytest.mark.parametrize(
    "before", [b"", b"\xff", b"evs_detach_last_success_timestamp_seconds 1e999\n", b"x y\n"]
)
def test_what_is_there_and_no_such_file_is_replaced(tmp_path: Path, before: bytes) -> None:
    path = tmp_path / "evs.prom"
    path.write_bytes(before)
    write_metrics(path, account(many(FAILED)), ExitCode.FAILED)
    assert "evs_detach_last_success_timestamp_seconds" not in values(path.read_text("utf-8"))


def test_labels_are_escaped() -> None:
    odd = account(many(one(project_id='a"b\\c\nd')))
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
