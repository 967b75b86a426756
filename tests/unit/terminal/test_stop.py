"""Ctrl-C: what is under way ends, what was done is said, and a second one stops at once."""

from __future__ import annotations

import json
import signal
import subprocess
import threading
from datetime import timedelta
from pathlib import Path

import pytest

from handler.terminal.cli import main
from handler.terminal.exit_code import ExitCode
from handler.terminal.session import Session
from tests.embedded_cloud import Call, Cloud
from tests.unit.deployment import ROOT
from tests.unit.embedded_project import EmbeddedProject
from tests.unit.terminal.terminals import COMMAND, terminal

pytestmark = pytest.mark.usefixtures("settings", "interruptible")

Printed = pytest.CaptureFixture[str]


@pytest.fixture
def orphans(project: EmbeddedProject) -> list[str]:
    project.add_held(10)
    return [project.add_orphan(attached_at=timedelta(days=age))[0] for age in (9, 5, 2)]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_sweep_shows_what_it_did(
    bare_cloud: Cloud,
    orphans: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capfd: Printed,
    number: signal.Signals,
) -> None:
    monkeypatch.setenv("DETACH_CONCURRENCY", "1")

    def hook(call: Call) -> None:
        if call.path.endswith(f"/volumes/{orphans[1]}/action"):
            signal.raise_signal(number)

    bare_cloud.hook(hook)

    assert main(["sweep", "--apply", "--json"]) == ExitCode.INTERRUPTED

    printed = capfd.readouterr()
    result = json.loads(printed.out)
    assert "Stopping: what is under way is finished first." in printed.err
    assert not result["complete"]
    # The one that was under way is among them, with its outcome
    assert [(part["volume_id"], part["outcome"]) for part in result["results"]] == [
        (volume_id, "detached") for volume_id in orphans[:2]
    ]
    assert bare_cloud.volume(orphans[2]).status == "in-use"


def test_in_the_lists_nothing_was_done(bare_cloud: Cloud, orphans: list[str], capfd: Printed) -> None:
    bare_cloud.page_cap = 2
    seen: list[Call] = []

    def hook(call: Call) -> None:
        seen.append(call)
        if len(seen) == 3:
            signal.raise_signal(signal.SIGINT)

    bare_cloud.hook(hook)

    assert main(["sweep", "--apply", "--json"]) == ExitCode.INTERRUPTED

    result = json.loads(capfd.readouterr().out)
    assert "Interrupted while the lists were read" in result["error"]["message"]
    assert result["results"] == []
    assert not bare_cloud.posts()
    assert len(bare_cloud.calls) < 10
    assert orphans


def test_in_a_batch_those_not_begun_are_left(
    bare_cloud: Cloud, orphans: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Printed
) -> None:
    monkeypatch.setenv("DETACH_CONCURRENCY", "1")
    event = tmp_path / "event.json"
    event.write_text(json.dumps({"targets": [{"volume_id": volume_id} for volume_id in orphans]}), "utf-8")
    bare_cloud.hook(
        lambda call: (
            signal.raise_signal(signal.SIGINT) if call.path.endswith(f"{orphans[0]}/action") else None
        )
    )

    assert main(["run", str(event), str(event)]) == ExitCode.INTERRUPTED

    # The second file is not begun at all
    result = json.loads(capfd.readouterr().out)
    assert [part["outcome"] for part in result["results"]] == ["detached", "failed", "failed"]
    assert {part["error"]["message"] for part in result["results"][1:]} == {
        "Interrupted before this target was begun: nothing was sent. Ask again."
    }
    assert len(bare_cloud.posts()) == 1


def test_a_person_presses_it_in_the_middle(bare_cloud: Cloud, orphans: list[str]) -> None:
    bare_cloud.page_cap, bare_cloud.latency = 1, 0.1
    with terminal("sweep", "--apply") as shown:
        shown.until(lambda said: "2 of volumes" in said)
        shown.press(b"\x03")
        said = shown.rest()
        assert shown.process.wait(30) == ExitCode.INTERRUPTED
    assert "Stopping: what is under way is finished first. Once more stops at once." in said
    assert "Interrupted while the lists were read" in said
    assert "Traceback" not in said
    assert not bare_cloud.posts()
    assert orphans


def test_a_second_one_stops_at_once(bare_cloud: Cloud, orphans: list[str]) -> None:
    held, release = threading.Event(), threading.Event()

    def hook(call: Call) -> None:
        if call.method == "POST":
            held.set()
            release.wait(30)

    bare_cloud.hook(hook)
    try:
        with terminal("sweep", "--apply") as shown:
            assert held.wait(30)
            shown.press(b"\x03")
            shown.until(lambda said: "Stopping" in said)
            shown.press(b"\x03")
            said = shown.rest()
            assert shown.process.wait(30) == ExitCode.INTERRUPTED
    finally:
        release.set()
    assert "Stopped at once: how the calls under way ended is not known." in said
    assert said.rstrip().endswith("\x1b[?25h")
    assert orphans


@pytest.mark.parametrize("before", [signal.SIG_IGN, signal.SIG_DFL])
def test_a_hosts_sigterm_is_a_ctrl_c_wherever_nobody_listens(
    before: signal.Handlers, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []

    def ask(_session: Session, _form: dict[str, object]) -> int:
        signal.raise_signal(signal.SIGTERM)
        done.append("all")
        return 0

    monkeypatch.setattr(Session, "ask", ask)
    own = signal.signal(signal.SIGTERM, before)
    try:
        ignored = before is signal.SIG_IGN
        assert main(["sweep"]) == (0 if ignored else ExitCode.INTERRUPTED)
        assert done == ["all"] * ignored
        assert signal.getsignal(signal.SIGTERM) is before
    finally:
        signal.signal(signal.SIGTERM, own)


def test_what_ignores_it_goes_on_so(bare_cloud: Cloud, orphans: list[str]) -> None:
    bare_cloud.hook(
        lambda call: process.send_signal(signal.SIGINT) if call.path.endswith("/volumes/detail") else None
    )
    with subprocess.Popen(
        [*COMMAND, "sweep"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),  # noqa: PLW1509 (as nohup does)
    ) as process:
        output, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert json.loads(output)["summary"] == {"would_detach": len(orphans)}
