"""`--recover` at the terminal: of one disk, and of a sweep, with the setting that it stands for."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from handler import runtime
from handler.terminal.cli import main
from handler.terminal.exit_code import ExitCode
from tests.embedded_cloud import Cloud, seed

Printed = pytest.CaptureFixture[str]

STUCK = ["detach", seed.STUCK_DETACHING_VOLUME, "--recover"]


@pytest.fixture(autouse=True)
def settings(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    told = {
        **cloud.environment(),
        "DETACH_TOKEN_SECRET": "env:TOKEN_OF_THE_TESTS",
        "TOKEN_OF_THE_TESTS": cloud.token(),
    }
    for name, value in told.items():
        monkeypatch.setenv(name, value)


def evs(printed: Printed, *words: str) -> tuple[int, dict[str, Any], str]:
    runtime.reset()
    code = main([*words, "--json"])
    said = printed.readouterr()
    return code, json.loads(said.out), said.err


def by_volume(result: dict[str, Any]) -> dict[str, tuple[str, str | None]]:
    return {
        part["volume_id"]: (part["outcome"], part["error"] and part["error"]["code"])
        for part in result["results"]
    }


def test_a_stuck_record_is_freed(cloud: Cloud, capsys: Printed) -> None:
    code, result, _ = evs(capsys, *STUCK, "--dry-run", "--exit-code")
    assert (code, result["outcome"], result["via"]) == (ExitCode.FOUND, "would_detach", "os-detach")
    assert not cloud.posts()
    code, result, _ = evs(capsys, *STUCK)
    assert (code, result["outcome"], result["changed"]) == (0, "recovered", True)
    assert cloud.volume(seed.STUCK_DETACHING_VOLUME).status == "available"
    code, result, _ = evs(capsys, *STUCK)
    assert (code, result["outcome"]) == (0, "already_detached")
    assert len(cloud.posts()) == 1


def test_without_it_the_setting_alone_frees_nothing(
    cloud: Cloud, capsys: Printed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DETACH_RECOVER", "on")
    for words in (STUCK[:2], ["sweep", "--apply", "--volume", seed.STUCK_DETACHING_VOLUME]):
        evs(capsys, *words)
    assert not cloud.posts()


@pytest.mark.parametrize("words", [STUCK, ["sweep", "--recover", "--apply", "--volume", STUCK[1]]])
def test_a_setting_that_forbids_it_holds(
    cloud: Cloud, capsys: Printed, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    monkeypatch.setenv("DETACH_RECOVER", "off")
    code, result, err = evs(capsys, *words)
    (part,) = result.get("results", [result])
    assert (code, part["error"]["code"]) == (ExitCode.REFUSED, "volume_state")
    assert err.startswith("DETACH_RECOVER is set, so --recover is held back and no stuck record is freed")
    assert not cloud.posts()


def test_a_sweep_shows_them_and_frees_them_with_apply(cloud: Cloud, capsys: Printed) -> None:
    code, result, err = evs(capsys, "sweep", "--recover")
    found = by_volume(result)
    assert code == ExitCode.REFUSED  # some lives, and one has no entry
    assert "nothing is cleared without --apply" in err
    assert found[seed.STUCK_DETACHING_VOLUME] == ("would_detach", None)
    assert found[seed.STUCK_RESERVED_VOLUME] == ("would_detach", None)
    assert found[seed.STUCK_ATTACHING_VOLUME] == ("refused", "volume_state")
    assert result["scanned"]["stuck"] == 7
    assert not cloud.posts()

    stuck = [seed.STUCK_DETACHING_VOLUME, seed.STUCK_RESERVED_VOLUME, seed.ERROR_DETACHING_VOLUME]
    named = [word for volume in stuck for word in ("--volume", volume)]
    code, result, _ = evs(capsys, "sweep", "--recover", "--apply", *named)
    assert code == 0
    assert by_volume(result) == dict.fromkeys(stuck, ("recovered", None))
    assert {cloud.volume(volume).status for volume in stuck} == {"available"}


def test_what_is_written_counts_them(cloud: Cloud, capsys: Printed, tmp_path: Path) -> None:
    files = [tmp_path / f"r.{ending}" for ending in ("md", "html", "csv")]
    words = [word for path in files for word in ("--report", str(path))]
    metrics = tmp_path / "m.prom"
    named = ["--volume", seed.STUCK_DETACHING_VOLUME]
    evs(capsys, "sweep", "--recover", "--apply", *named, *words, "--metrics-file", str(metrics))

    assert "1 freed from a stuck state." in files[0].read_text("utf-8")
    assert "1 freed from a stuck state." in files[1].read_text("utf-8")
    (row,) = csv.DictReader(files[2].read_text("utf-8").splitlines())
    assert (row["outcome"], row["status_before"], row["status_after"]) == (
        "recovered",
        "detaching",
        "available",
    )
    lines = metrics.read_text("utf-8").splitlines()
    counts = {line.split("{")[0]: float(line.split()[-1]) for line in lines if not line.startswith("#")}
    assert (counts["evs_detach_cleared"], counts["evs_detach_stuck"]) == (1, 7)
    assert len(cloud.posts()) == 1


def test_a_sweep_without_it_looks_for_none(cloud: Cloud, capsys: Printed) -> None:
    _, result, _ = evs(capsys, "sweep")
    assert result["scanned"]["stuck"] is None
    assert seed.STUCK_DETACHING_VOLUME not in by_volume(result)
    assert not cloud.posts()
