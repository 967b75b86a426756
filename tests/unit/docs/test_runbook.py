"""docs/runbook.md: each command of ours is run as it is written, others are read by their own tool."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from handler.errors import ErrorCode
from handler.telemetry import Event
from handler.terminal.cli import main
from handler.terminal.exit_code import ExitCode
from tests.embedded_cloud import Cloud
from tests.unit.pages import ROOT, Page

PAGE = Page("docs/runbook.md")
LINES = [line for block in PAGE.blocks("sh") for line in block.splitlines()]
OURS = [line for line in LINES if line.startswith("evs-detach")]
JQ = [line for line in LINES if line.startswith("jq")]
INLINE = re.findall(r"`((?:kubectl|systemctl|terraform|evs-detach|make|/opt/\S+) [^`]+)`", PAGE.text)
RULES = yaml.safe_load((ROOT / "infra/prometheus/evs-detach.rules.yaml").read_text("utf-8"))["groups"]


def test_all_that_it_shows_is_known_to_some_test() -> None:
    assert len(OURS) > 10
    assert len(JQ) == 3
    assert len(OURS) + len(JQ) == len(LINES)
    assert len(INLINE) > 12


@pytest.fixture
def environment(program_path: str, cloud: Cloud) -> dict[str, str]:
    return {
        **os.environ,
        **cloud.environment(),
        "DETACH_TOKEN_SECRET": "env:TOKEN",
        "TOKEN": cloud.token(),
        "PATH": program_path,
        "PYTHONPATH": str(ROOT),
    }


def run(line: str, folder: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", line],
        cwd=folder,
        env=environment,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )


@pytest.mark.parametrize("line", dict.fromkeys(OURS))
def test_a_command_of_ours_runs(line: str, environment: dict[str, str], tmp_path: Path) -> None:
    ran = run(line, tmp_path, environment)

    # 3 of a whole sweep: the world of the tests has servers that exist after all
    assert ran.returncode in {0, ExitCode.REFUSED if "sweep" in line else 0}, ran.stderr
    named = re.findall(r"(?:--report|>) (\S+)", line)
    assert all((tmp_path / name).stat().st_size for name in named)
    assert ran.stdout or named


@pytest.mark.parametrize("line", JQ)
def test_a_look_at_the_log_finds_something(line: str, environment: dict[str, str], tmp_path: Path) -> None:
    if shutil.which("jq") is None:
        pytest.skip("no jq (Debian: the package jq)")
    wrong = {**environment, "TOKEN": "not-a-token-of-this-cloud"}
    log = ""
    for settings in (environment, wrong):
        log += run("evs-detach sweep --apply --verbose", tmp_path, settings).stderr
    (tmp_path / "log.jsonl").write_text(log, encoding="utf-8")

    ran = run(line, tmp_path, environment)

    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.count("\n") >= 1


@pytest.mark.parametrize("line", [line for line in INLINE if line.startswith("evs-detach")])
def test_a_command_of_ours_within_a_line_is_one(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = [word for word in shlex.split(line)[1:] if word != "--version"]
    assert main([*words[:1], "--help"]) == 0
    printed = capsys.readouterr().out
    assert all(word in printed for word in words if word.startswith("--"))


@pytest.mark.parametrize("line", [line for line in INLINE if line.startswith("kubectl")])
def test_kubectl_knows_its_own(line: str) -> None:
    """Nothing is asked of a cluster: a word that is no command or no option is refused before that."""
    if shutil.which("kubectl") is None:
        pytest.skip("no kubectl")
    command, *piped = line.split(" | ")
    words = shlex.split(command)[1:]
    namespaced = words[2:] if words[0] == "-n" else words
    verbs = [word for word in namespaced[:3] if re.fullmatch("[a-z]+", word)]
    depth = 3 if verbs[:2] == ["create", "secret"] else 1
    told = subprocess.run(
        ["kubectl", *verbs[:depth], "--help"], capture_output=True, encoding="utf-8", check=False
    )
    assert told.returncode == 0, told.stderr
    assert f"kubectl {' '.join(verbs[:depth])}" in told.stdout
    for option in re.findall(r"(?<= )(--?[a-z-]+)", command.partition(verbs[0])[2]):
        assert re.search(rf"(?<![\w-]){option}(?![\w-])", told.stdout), option
    assert all(part.startswith("kubectl apply -f -") for part in piped)
    for patch in re.findall(r"'(\{.*\})'", line):
        assert yaml.safe_load(patch)


def test_a_secret_is_written_by_kubectl_as_it_is_shown(tmp_path: Path) -> None:
    if shutil.which("kubectl") is None:
        pytest.skip("no kubectl")
    (line,) = [line for line in INLINE if "create secret" in line]
    (tmp_path / "token.json").write_text("{}", encoding="utf-8")
    made = subprocess.run(
        shlex.split(line.partition(" | ")[0]), cwd=tmp_path, capture_output=True, encoding="utf-8", check=True
    )
    secret = yaml.safe_load(made.stdout)
    manifests = "".join(
        path.read_text("utf-8") for path in (ROOT / "infra/knative").rglob("*.*") if path.is_file()
    )
    assert (secret["kind"], list(secret["data"])) == ("Secret", ["token"])
    assert secret["metadata"]["name"] in manifests


def test_what_it_stops_is_what_the_manifests_start() -> None:
    infra = "".join(
        path.read_text("utf-8")
        for folder in ("knative", "kubernetes", "systemd")
        for path in (ROOT / "infra" / folder).rglob("*")
        if path.is_file()
    )
    stopping = re.compile(r"(?:pingsource|trigger|cronjob|start|stop) ([a-z-]+)")
    names = {name for line in INLINE for name in stopping.findall(line)}
    assert len(names) == 3
    for name in names:
        assert (
            f"name: {name.removesuffix('-events')}" in infra
            or (ROOT / f"infra/systemd/{name}.timer").exists()
        ), name
    sweeps = (ROOT / "infra/huaweicloud/variables.tf").read_text("utf-8")
    assert re.search(r'variable "sweep" \{.*?dry_run', sweeps, re.DOTALL)


def test_every_code_has_its_row() -> None:
    assert [row[0] for row in PAGE.table("codes")] == [code.value for code in ErrorCode]
    assert all(all(row) for row in PAGE.table("codes"))


def test_every_alert_has_its_row_and_its_section() -> None:
    named = {rule["alert"] for group in RULES for rule in group["rules"] if "alert" in rule}
    rows = PAGE.table("alerts")
    assert {row[1] for row in rows} == named
    assert [row[0] for row in rows] == re.findall(r"^### (\w+)$", PAGE.text, re.MULTILINE)
    assert all(row[1] == f"EvsDetach{row[0].capitalize()}" for row in rows)


def test_terraform_has_all_of_them() -> None:
    alarms = (ROOT / "infra/huaweicloud/alarms.tf").read_text("utf-8")
    assert {row[0] for row in PAGE.table("alerts")} == set(
        re.findall(r"^      (\w+) = \{$", alarms, re.MULTILINE)
    )


def test_events_and_settings_that_it_names_exist() -> None:
    events = {event.value for event in Event}
    assert set(re.findall(r'\.event == "(\w+)"', PAGE.text)) <= events
    assert set(re.findall(r"`event` is `(\w+)`", PAGE.text)) <= events
    settings = {row[0] for row in Page("docs/operating.md").table("settings")}
    assert set(re.findall(r"(DETACH_[A-Z_]+)", PAGE.text)) <= settings
