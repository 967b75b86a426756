"""docs/terminal.md: every command that it shows is run as it is written, and its tables are the code's."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from handler.terminal.commands import COMMANDS, STAND_INS
from handler.terminal.exit_code import PRECEDENCE, ExitCode
from handler.terminal.options import COMMON_NAMES
from tests import picture
from tests.embedded_cloud import Cloud, seed
from tests.unit.pages import ROOT, Page
from tests.unit.terminal.terminals import terminal

PAGE = Page("docs/terminal.md")
LINES = [line for block in PAGE.blocks("sh") for line in block.splitlines()]


def test_it_shows_commands() -> None:
    assert {shlex.split(line)[0] for line in LINES} == {"evs-detach"}
    shown = {word for line in LINES for word in shlex.split(line)}
    assert set(COMMANDS) - shown == {"serve"}  # which ends only when it is told to


@pytest.mark.parametrize("line", LINES)
def test_what_it_shows_runs(line: str, program_path: str, cloud: Cloud, tmp_path: Path) -> None:
    (tmp_path / "events").symlink_to(ROOT / "events")
    environment = {
        **os.environ,
        **cloud.environment(),
        "DETACH_TOKEN_SECRET": "env:TOKEN",
        "TOKEN": cloud.token(),
        "PATH": program_path,
        "PYTHONPATH": str(ROOT),
    }
    ran = subprocess.run(
        ["bash", "-c", line],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    # 3 of a whole sweep: the world of the tests has servers that exist after all
    assert ran.returncode in {0, ExitCode.REFUSED if "sweep" in line else 0}, ran.stderr
    named = re.findall(r"(?:--report|--metrics-file|>) (\S+)", line)
    assert all((tmp_path / name).stat().st_size for name in named)
    assert ran.stdout or named


def test_its_tables_are_those_of_the_code() -> None:
    assert [row[0].split()[0] for row in PAGE.table("commands")] == list(COMMANDS)
    options = [option for option in COMMANDS["sweep"].params if option.name in COMMON_NAMES]
    assert [row[0] for row in PAGE.table("options")] == [option.opts[0] for option in options]
    told = [(int(code), means) for code, means in PAGE.table("exit codes")]
    assert told == [(code.value, code.meaning) for code in PRECEDENCE]


def test_its_table_of_metrics_is_what_is_written(cloud: Cloud, program_path: str, tmp_path: Path) -> None:
    environment = {
        **os.environ,
        **cloud.environment(),
        "DETACH_TOKEN_SECRET": "env:TOKEN",
        "TOKEN": cloud.token(),
    }
    command = "evs-detach sweep --recover --volume 543fdc50-6daa-48e5-808c-c4189495d318 --metrics-file m.prom"
    subprocess.run(
        ["bash", "-c", command],
        cwd=tmp_path,
        env={**environment, "PATH": program_path, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        check=True,
    )
    written = re.findall(r"^# TYPE (\S+) gauge$", (tmp_path / "m.prom").read_text("utf-8"), re.MULTILINE)
    assert [row[0] for row in PAGE.table("metrics")] == written


def test_its_table_of_what_options_stand_for_is_the_code_s() -> None:
    told = [(row[0].strip("`").lstrip("-"), row[1].strip("`")) for row in PAGE.table("stand-ins")]
    assert told == [(option, "=".join(setting)) for option, setting in STAND_INS.items()]


def test_a_person_is_shown_and_asked_what_it_shows(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    (shown,) = PAGE.blocks("text")
    first, *lines = shown.rstrip("\n").splitlines()
    for name, value in cloud.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("DETACH_TOKEN_SECRET", "env:TOKEN")
    monkeypatch.setenv("TOKEN", cloud.token())
    cloud.server(seed.LIVE_SERVER).name = "db-01"
    volume = cloud.volume(seed.LIVE_VOLUME)
    volume.name, volume.attachments[0].attached_at = "db-data-01", "2026-11-08T09:00:00.000000"
    with terminal(*shlex.split(first)[2:], columns=100) as run:
        run.until(lambda said: "[y/N]" in said)
        run.press(b"y\n")
        said = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", run.rest()).replace("\r\n", "\n")
        assert run.process.wait(30) == 0
    seen = [line.rpartition("\r")[2].rstrip() for line in said.splitlines()]
    bars = re.compile(r".*\[[-#]*\](  100%)?$")
    assert [_fixed(line) for line in seen if line and not bars.fullmatch(line)] == list(map(_fixed, lines))


def _fixed(line: str) -> str:
    """A line without what is another each time: the moment, and the cloud's id of the call."""
    return re.sub(r"^  \d\d:\d\d:\d\dZ|\(req-[0-9a-f-]{36}\)", "…", line)


def test_its_picture_is_of_the_command_as_it_is() -> None:
    assert picture.svg(picture.run()) == picture.FILE.read_text("utf-8"), "run `make picture`"
