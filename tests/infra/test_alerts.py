"""The alerts and the dashboard: judged by Prometheus' and Grafana's own tools, where they are to be had.

No Grafana server is run: the dashboard is built by Grafana's own types and read back by them.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.pages import Page

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "infra" / "prometheus"
RULES = FOLDER / "evs-detach.rules.yaml"
TESTS = FOLDER / "evs-detach.rules.test.yaml"
DASHBOARD = ROOT / "infra" / "grafana" / "evs-detach.json"
GROUPS = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
ENTRIES: list[dict[str, Any]] = [rule for group in GROUPS for rule in group["rules"]]
ALERTS = [rule for rule in ENTRIES if "alert" in rule]
PROMTOOL = shutil.which("promtool")
NAME = re.compile(r"\b(?:evs_detach|faas|http_client)_[a-z_]+")

needs_promtool = pytest.mark.skipif(PROMTOOL is None, reason="no promtool (Debian: the package prometheus)")


def promtool(*words: str, folder: Path = FOLDER) -> subprocess.CompletedProcess[str]:
    assert PROMTOOL is not None
    return subprocess.run(
        [PROMTOOL, *words], cwd=folder, capture_output=True, encoding="utf-8", timeout=120, check=False
    )


@needs_promtool
def test_promtool_takes_the_rules_and_their_tests_hold() -> None:
    checked = promtool("check", "rules", RULES.name)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    tested = promtool("test", "rules", TESTS.name)
    assert tested.returncode == 0, tested.stdout + tested.stderr


@needs_promtool
@pytest.mark.parametrize(
    ("rule", "other"),
    [
        ("evs_detach:errors:added1h > 0", "evs_detach:errors:added1h > 1"),
        ("evs_detach:errors:added1h > 0", "evs_detach:errors:added1h >= 0"),
        ('evs_detach_failed{command="sweep"} > 0', 'evs_detach_failed{command="sweep"} > 2'),
        (" or max_over_time(evs_detach_errors_total[1h]) * 0", ""),
        (" or max_over_time(evs_detach_clearings_total[1h]) * 0", ""),
        ("      - record: evs_detach:sweeps_refused:added1h", "      - record: evs_detach:nobody:added1h"),
        ("> 26 * 3600", "> 24 * 3600"),
        ("> 26 * 3600", "> 28 * 3600"),
        ('command=~"sweep|"}[8d])\n', 'command=~".*"}[8d])\n'),
        ("or absent_over_time", "unless absent_over_time"),
        ("added1h > 20", "added1h > 21"),
        ("added1h > 20", "added1h > 11"),
        ("< 14 * 86400", "< 12 * 86400"),
        ("max by (job, evs_detach_setting", "min by (job, evs_detach_setting"),
    ],
)
def test_the_rules_tests_find_what_is_changed(rule: str, other: str, tmp_path: Path) -> None:
    text = RULES.read_text(encoding="utf-8")
    assert rule in text
    (tmp_path / RULES.name).write_text(text.replace(rule, other, 1), encoding="utf-8")
    shutil.copy(TESTS, tmp_path)

    assert promtool("test", "rules", TESTS.name, folder=tmp_path).returncode == 1


@needs_promtool
def test_every_alert_is_tested_to_ring_and_to_be_silent() -> None:
    tested: dict[str, set[bool]] = {}
    for case in yaml.safe_load(TESTS.read_text(encoding="utf-8"))["tests"]:
        for look in case.get("alert_rule_test", []):
            tested.setdefault(look["alertname"], set()).add(bool(look["exp_alerts"]))
    assert tested == {rule["alert"]: {True, False} for rule in ALERTS}


def test_every_alert_says_how_bad_it_is_and_where_to_read_on() -> None:
    assert len(ALERTS) == 5
    for rule in ALERTS:
        assert rule["labels"]["severity"] in {"critical", "warning"}, rule["alert"]
        path, _, anchor = rule["annotations"]["runbook"].partition("#")
        assert anchor in Page(path).anchors, rule["alert"]
        assert rule["annotations"]["summary"], rule["alert"]


def metrics() -> set[str]:
    """The metrics that there are: by OTLP, and those that the command leaves in a file."""
    by_otlp = {row[1] for row in Page("docs/operating.md").table("metrics")}
    source = (ROOT / "handler/terminal/metrics.py").read_text(encoding="utf-8")
    by_file = {f"evs_detach_{name}" for name in re.findall(r'\(\s*"([a-z_]+)",\s*"[A-Z]', source)}
    histograms = {name for name in by_otlp if name.endswith("_duration_seconds")}
    parts = {f"{name}_{part}" for name in histograms for part in ("bucket", "count", "sum")}
    return by_otlp | by_file | parts | {"evs_detach_last_success_timestamp_seconds"}


def asked_for(expression: str) -> set[str]:
    """The metrics in an expression, without its labels."""
    labels = re.compile(r"\{[^}]*\}|by \([^)]*\)")
    return set(NAME.findall(labels.sub("", expression)))


def test_the_alerts_ask_for_metrics_that_there_are() -> None:
    asked = {name for rule in ENTRIES for name in asked_for(rule["expr"])}
    assert len(asked) > 4
    assert asked <= metrics()
    named = re.search(
        r'__name__=~"evs_detach_last_\(sweep\|success\)_timestamp_seconds"', RULES.read_text("utf-8")
    )
    assert named is not None
    for name in ("sweep", "success"):
        assert f"evs_detach_last_{name}_timestamp_seconds" in metrics()


def expressions() -> list[str]:
    board = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    return [target["expr"] for panel in board["panels"] for target in panel["targets"]]


def test_the_dashboard_asks_for_metrics_that_there_are() -> None:
    asked = {name for expression in expressions() for name in asked_for(expression)}
    assert len(asked) > 10
    assert asked <= metrics()


@needs_promtool
def test_promtool_can_read_what_the_dashboard_asks(tmp_path: Path) -> None:
    rules = [
        {
            "record": f"panel:{number}",
            "expr": expression.replace("$__rate_interval", "5m").replace("$job", ".*"),
        }
        for number, expression in enumerate(expressions())
    ]
    content = {"groups": [{"name": "dashboard", "rules": rules}]}
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")

    checked = promtool("check", "rules", "rules.yaml", folder=tmp_path)

    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert f"{len(rules)} rules found" in checked.stdout
    assert len(rules) > 12


@pytest.mark.skipif(sys.version_info < (3, 11), reason="grafana-foundation-sdk needs Python 3.11")
def test_the_dashboard_is_as_grafanas_own_types_build_it(tmp_path: Path) -> None:
    from grafana_foundation_sdk.cog.encoder import JSONEncoder  # noqa: PLC0415 (not on 3.10)
    from grafana_foundation_sdk.models.dashboard import Dashboard  # noqa: PLC0415 (the same)

    again = tmp_path / "again.json"
    subprocess.run([sys.executable, str(ROOT / "infra/grafana/dashboard.py"), str(again)], check=True)
    text = DASHBOARD.read_text(encoding="utf-8")

    assert again.read_text(encoding="utf-8") == text, "make dashboard"
    read = Dashboard.from_json(json.loads(text))
    assert JSONEncoder(sort_keys=True, indent=2).encode(read) + "\n" == text
    assert read.uid == "evs-detach"
    assert all(panel.options for panel in read.panels or [])
