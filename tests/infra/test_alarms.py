"""The words that the alarms look for, in the lines that the function really writes."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from handler.errors import ErrorCode, Misconfigured
from handler.invocation import Invocation, Trigger
from handler.runtime import turn_away
from handler.settings import NAMES, read_settings
from tests.embedded_cloud import Cloud, seed

ROOT = Path(__file__).resolve().parents[2]
ALARMS = (ROOT / "infra" / "huaweicloud" / "alarms.tf").read_text(encoding="utf-8")
(LISTED,) = re.findall(r"^  failures = \[\n(.*?)^  \]$", ALARMS, re.MULTILINE | re.DOTALL)
FAILURES = re.findall(r'"(\w+)"', LISTED)
WORDS: dict[str, str] = dict(re.findall(r'^ +(\w+) = {\n.*?\bwords = "(.*?)"', ALARMS, re.MULTILINE))
WORDS["quiet"] = " and not ".join(["over_limit", *FAILURES])
# LTS user guide, "Using Search Syntax": where a line is split by default
DELIMITERS = re.compile(r"""[\s,'";=()\[\]{}@&<>/:\\?]+""")


def found(words: str, line: str) -> bool:
    """Whether LTS finds a line by a statement of words, ``and`` and ``not``."""
    there = set(DELIMITERS.split(line))
    return all(
        term.removeprefix("not ") not in there if term.startswith("not ") else term in there
        for term in words.split(" and ")
    )


def lines(cloud: Cloud, *command: str, **settings: str) -> list[str]:
    """Give the log of a command at this cloud."""
    told = {**cloud.environment(), "DETACH_TOKEN_SECRET": "env:TOKEN", "TOKEN": cloud.token(), **settings}
    bare = {name: value for name, value in os.environ.items() if not name.startswith("DETACH_")}
    ran = subprocess.run(
        [sys.executable, "-m", "handler", *command, "--verbose"],
        cwd=ROOT,
        env={**bare, **told},
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=60,
    )
    return [line for line in ran.stderr.splitlines() if line.startswith("{")]


def alarmed(log: list[str]) -> dict[str, int]:
    """Count the lines that each alarm's words find."""
    assert log
    return {name: sum(found(words, line) for line in log) for name, words in WORDS.items()}


@pytest.fixture
def cloud() -> Cloud:
    return Cloud()


def test_every_alarm_has_its_words() -> None:
    assert list(WORDS) == ["mend", "refused", "clearings", "ends", "quiet"]
    assert 'words = join(" and not ", concat(["over_limit"], local.failures))' in ALARMS
    assert {*FAILURES} <= {code.value for code in ErrorCode}
    assert len(FAILURES) < 30  # LTS user guide, "Search and Analysis": words of one search


def test_a_good_sweep_is_no_alarm(cloud: Cloud) -> None:
    with cloud:
        cloud.seed()
        log = lines(cloud, "sweep")
    assert alarmed(log) == {"mend": 0, "refused": 0, "clearings": 0, "ends": 0, "quiet": 1}


def test_each_clearing_is_counted_once(cloud: Cloud) -> None:
    with cloud:
        cloud.seed()
        log = lines(cloud, "sweep", "--apply", "--limit", "3")
        cleared = len(cloud.posts())
    assert cleared == 3
    assert alarmed(log) == {"mend": 0, "refused": 0, "clearings": 3, "ends": 0, "quiet": 1}


def test_a_server_in_error_is_nothing_to_mend(cloud: Cloud) -> None:
    with cloud:
        cloud.seed()
        cloud.server(seed.LIVE_SERVER).status = "ERROR"
        log = lines(cloud, "detach", seed.LIVE_VOLUME)
    assert any("ERROR" in line for line in log)
    assert alarmed(log)["mend"] == 0


@pytest.mark.parametrize("service", ["volume", "compute"])
@pytest.mark.parametrize("status", [403, 404, 500])
def test_a_sweep_whose_lists_cant_be_had_is_not_a_good_one(cloud: Cloud, service: str, status: int) -> None:
    with cloud:
        cloud.seed()
        cloud.misbehave(service, times=None, status=status)
        log = lines(cloud, "sweep")
    assert any("over_limit" in line for line in log)
    assert alarmed(log)["quiet"] == 0


def test_a_sweep_that_is_refused_is_found(cloud: Cloud) -> None:
    with cloud:
        cloud.seed()
        log = lines(cloud, "sweep", DETACH_SWEEP_MAX_FRACTION="0.01")
    assert alarmed(log)["refused"] >= 1
    assert alarmed(log)["quiet"] == 0


@pytest.mark.parametrize(
    "settings",
    [{"TOKEN": "gAAAA-of-nobody"}, {"DETACH_SERVER_CHECK": "perhaps"}, {"DETACH_LOG_LEVEL": "verbose"}],
)
def test_what_is_to_be_mended_is_found(cloud: Cloud, settings: dict[str, str]) -> None:
    with cloud:
        cloud.seed()
        log = lines(cloud, "sweep", **settings)
    assert alarmed(log)["mend"] >= 1
    assert alarmed(log)["quiet"] == 0


@pytest.mark.parametrize("network", [False, True])
def test_each_fault_of_the_settings_is_found_and_is_no_other_alarm(
    network: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("?", "context:", "csms:k", "vault:k/v", "openstack:", "on", "off", "cloud", "0")
    told: list[dict[str, str]] = [dict.fromkeys(NAMES, wrong) for wrong in words]
    told += [{name: "?"} for name in (*NAMES, "DETACH_LOG_LEVELS")]
    for environment in told:
        with pytest.raises(Misconfigured) as fault:
            read_settings(environment, network=network)
        turn_away(fault.value, Invocation(Trigger.TIMER, "a-request"))
    log = capsys.readouterr().out.splitlines()
    assert any("DETACH_LOG_LEVEL must be" in line for line in log)
    assert len(log) == len(told)
    assert alarmed(log) == {"mend": len(log), "refused": 0, "clearings": 0, "ends": 0, "quiet": 0}


def test_no_message_holds_a_word_that_hides_what_is_to_be_mended() -> None:
    hiding = {term.removeprefix("not ") for term in WORDS["mend"].split(" and ") if term.startswith("not ")}
    assert hiding == {"INFO", "WARNING"}
    modules = [ast.parse(module.read_text(encoding="utf-8")) for module in (ROOT / "handler").rglob("*.py")]
    nodes = [node for module in modules for node in ast.walk(module)]
    documentation = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
    constants = [node for node in nodes if isinstance(node, ast.Constant) and id(node) not in documentation]
    texts = [node.value for node in constants if isinstance(node.value, str)]
    assert len(texts) > 1000
    there = [text for text in texts if hiding.intersection(DELIMITERS.split(text))]
    assert set(there) <= hiding  # a level's own name


@pytest.mark.parametrize(("days", "found_lines"), [(3, 1), (100, 0)])
def test_a_secret_that_ends_soon_is_found(cloud: Cloud, days: int, found_lines: int) -> None:
    with cloud:
        cloud.seed()
        cloud.add_user("robot", "pw", ends_at=time.time() + days * 86400)
        secret = json.dumps({"username": "robot", "password": "pw", "domain": "Default"})
        log = lines(cloud, "sweep", TOKEN=secret)
    assert any("secret_ends" in line for line in log)
    assert alarmed(log)["ends"] == found_lines
