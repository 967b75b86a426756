"""Standard streams that are closed, full or read by nobody: what is done is said where it can be."""

from __future__ import annotations

import errno
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TextIO

import pytest

from handler.terminal import live
from handler.terminal.cli import main
from handler.terminal.exit_code import ExitCode
from handler.terminal.session import Session
from handler.terminal.streams import refuses
from tests.embedded_cloud import Cloud
from tests.unit.deployment import ROOT
from tests.unit.embedded_project import EmbeddedProject
from tests.unit.terminal.terminals import COMMAND

pytestmark = pytest.mark.usefixtures("settings")

Printed = pytest.CaptureFixture[str]
FULL = "Standard output could not be written: No space left on device"


@pytest.fixture
def orphan(project: EmbeddedProject) -> str:
    project.add_held(5)
    volume_id: str = project.add_orphan()[0]
    return volume_id


@pytest.fixture
def full() -> Iterator[TextIO]:
    with Path("/dev/full").open("w", encoding="utf-8") as stream:
        yield stream


@pytest.mark.parametrize("output", ["json", "csv", "table"])
def test_where_a_result_can_not_be_written_it_is_said_in_short(
    bare_cloud: Cloud,
    orphan: str,
    full: TextIO,
    output: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Printed,
) -> None:
    report, metrics = tmp_path / "r.json", tmp_path / "m.prom"
    words = ["--output", output, "--report", str(report), "--metrics-file", str(metrics)]
    monkeypatch.setattr(sys, "stdout", full)

    assert main(["sweep", "--apply", *words]) == ExitCode.FAILED

    assert f"{FULL}. What came of it: 1 cleared.\n" in capsys.readouterr().err
    assert bare_cloud.volume(orphan).status == "available"
    assert json.loads(report.read_text("utf-8"))["summary"] == {"detached": 1}
    assert re.search(r"^evs_detach_exit_code\{.*\} 1$", metrics.read_text("utf-8"), re.MULTILINE)
    assert "last_success" not in metrics.read_text("utf-8")
    assert not refuses(full)  # so that Python's own flush at the end changes nothing


@pytest.mark.parametrize("words", [["check"], ["--help"], ["--version"], ["completion", "bash"]])
def test_what_else_can_not_be_written_is_one_plain_line(
    full: TextIO, words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: Printed
) -> None:
    monkeypatch.setattr(sys, "stdout", full)
    assert main(words) == ExitCode.FAILED
    assert capsys.readouterr().err == f"{FULL}\n"
    assert not refuses(full)


@pytest.mark.parametrize(
    "error", [OSError(errno.EMFILE, "no more files"), OSError(errno.ENOSPC, "no more files", "r.md")]
)
def test_another_error_is_not_taken_for_it(error: OSError, monkeypatch: pytest.MonkeyPatch) -> None:
    def ask(_session: Session, _form: dict[str, object]) -> int:
        raise error

    monkeypatch.setattr(Session, "ask", ask)
    with pytest.raises(OSError, match="no more files"):
        main(["sweep"])


def test_who_reads_no_more_is_told_nothing(
    orphan: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Printed
) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    metrics = tmp_path / "m.prom"
    with os.fdopen(writer, "w", encoding="utf-8") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        words = ["sweep", "--volume", orphan, "--quiet", "--json", "--metrics-file", str(metrics)]
        assert main(words) == ExitCode.FAILED
        assert not refuses(stream)
    assert capsys.readouterr().err == ""
    assert re.search(r"^evs_detach_exit_code\{.*\} 1$", metrics.read_text("utf-8"), re.MULTILINE)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["sweep", "--exit-code"], ExitCode.FOUND),
        (["sweep", "--csv", "--exit-code"], ExitCode.FOUND),
        (["sweep", "--apply"], ExitCode.DONE),
        (["sweep", "--apply", "--verbose"], ExitCode.DONE),
        (["sweep", "--limit", "x"], ExitCode.USAGE),
        ([], ExitCode.USAGE),
        (["sweep", "--report", "/no/such/folder/r.md"], ExitCode.FAILED),
    ],
)
@pytest.mark.usefixtures("orphan")
def test_standard_error_that_is_full_changes_no_exit_code(
    full: TextIO, words: list[str], code: ExitCode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stderr", full)
    assert main(words) == code
    assert not refuses(full)


CLOSED: list[tuple[str, list[str], ExitCode]] = [
    ("2>&-", ["sweep", "--exit-code", "--apply"], ExitCode.DONE),
    ("2>&- <&-", ["sweep", "--limit", "x"], ExitCode.USAGE),
    (">&-", ["sweep", "--apply", "--json"], ExitCode.FAILED),
    (">&- 2>&- <&-", ["sweep", "--apply"], ExitCode.FAILED),
    ("<&-", ["run", "-"], ExitCode.USAGE),
]


@pytest.mark.parametrize(("how", "words", "code"), CLOSED, ids=[how for how, *_ in CLOSED])
def test_what_is_closed(bare_cloud: Cloud, orphan: str, how: str, words: list[str], code: ExitCode) -> None:
    done = subprocess.run(
        ["bash", "-c", f'"$@" {how}', "bash", *COMMAND, *words],
        cwd=ROOT,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == code
    assert "Traceback" not in done.stderr
    assert (bare_cloud.volume(orphan).status == "available") is ("--apply" in words)
    assert ("What came of it: 1 cleared." in done.stderr) is (how == ">&-")
    assert bool(done.stdout) is (how == "2>&-")
    if "run" in words:
        assert done.stderr.endswith("Error: Standard input: it is closed\n")


class _Torn:
    """A standard input that can't be read."""

    @property
    def buffer(self) -> _Torn:
        return self

    def read(self) -> bytes:
        raise OSError(5, "Input/output error")


@pytest.mark.parametrize(
    ("stream", "why"), [(None, "it is closed"), (_Torn(), "Input/output error")], ids=["closed", "torn"]
)
def test_standard_input_that_can_not_be_read_is_wrong_usage(
    stream: object, why: str, bare_cloud: Cloud, monkeypatch: pytest.MonkeyPatch, capsys: Printed
) -> None:
    monkeypatch.setattr(sys, "stdin", stream)
    assert main(["run", "-"]) == ExitCode.USAGE
    assert f"Error: Standard input: {why}\n" in capsys.readouterr().err
    assert not bare_cloud.calls


def test_where_standard_input_is_closed_nobody_can_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    there: Callable[[], bool] = lambda: True  # noqa: E731 (as isatty is)
    monkeypatch.setattr(sys.stderr, "isatty", there)
    monkeypatch.setattr(sys, "stdin", None)
    assert not live.somebody_is_there()
