"""Whole processes: what they import, and that they send what they measured before they end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.embedded_cloud import Cloud, seed
from tests.unit.deployment import AUTHORIZED, KEY
from tests.unit.otel.collector import Collector, collecting
from tests.unit.pages import ROOT
from tests.unit.serving.conftest import serving

FORM = {"volume_id": seed.ORPHAN_VOLUME, "attachment_id": seed.ORPHAN_ATTACHMENT}
ONE_EVENT = f"""
import sys
from handler.main import functiongraph
assert functiongraph({json.dumps(FORM)}, None)["ok"]
print(sorted(name for name in sys.modules if name.partition(".")[0] == "opentelemetry"))
print(sorted(name for name in sys.modules if name.startswith("handler.otel")))
"""


@pytest.fixture
def settings(cloud: Cloud) -> dict[str, str]:
    return {
        **cloud.environment(),
        "DETACH_TOKEN_SECRET": "env:CLOUD_TOKEN",
        "CLOUD_TOKEN": cloud.token(),
        "DETACH_INVOKE_SECRET": "env:CALLERS_KEY",
        "CALLERS_KEY": KEY,
        "PYTHONPATH": str(ROOT),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PATH": os.environ["PATH"],
    }


@pytest.fixture
def listening() -> Iterator[Collector]:
    with collecting() as collector:
        yield collector


def run(command: list[str], settings: dict[str, str], folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command],
        env=settings,
        cwd=folder,
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )


def test_where_no_collector_is_named_nothing_of_it_is_imported(
    settings: dict[str, str], tmp_path: Path
) -> None:
    done = run(["-c", ONE_EVENT], settings, tmp_path)

    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-2:] == ["[]", "[]"]


def test_a_process_that_ends_with_its_event_has_sent_it(
    settings: dict[str, str], tmp_path: Path, listening: Collector
) -> None:
    done = run(["-c", ONE_EVENT], {**settings, "OTEL_EXPORTER_OTLP_ENDPOINT": listening.url}, tmp_path)

    assert done.returncode == 0, done.stderr
    assert "opentelemetry.sdk.trace" in done.stdout
    assert [span.name for span in listening.named("detach")] == ["detach"]
    assert listening.metrics


def test_a_command_sends_it_before_it_ends(
    settings: dict[str, str], tmp_path: Path, listening: Collector
) -> None:
    command = ["-m", "handler", "sweep", "--output", "json"]
    done = run(command, {**settings, "OTEL_EXPORTER_OTLP_ENDPOINT": listening.url}, tmp_path)

    assert done.returncode in {0, 3}, done.stderr
    assert json.loads(done.stdout)["scanned"]
    assert len(listening.named("detach")) == 1
    assert "evs_detach.last_sweep.timestamp" in listening.metrics


def test_a_command_ends_though_a_collector_is_silent(
    settings: dict[str, str], tmp_path: Path, listening: Collector
) -> None:
    listening.silent.set()
    command = ["-m", "handler", "sweep", "--output", "json"]
    done = run(command, {**settings, "OTEL_EXPORTER_OTLP_ENDPOINT": listening.url}, tmp_path)

    assert not listening.ended.is_set()
    assert done.returncode in {0, 3}, done.stderr
    assert json.loads(done.stdout)["scanned"]


def test_what_serves_sends_the_last_of_it_when_it_is_ended(
    cloud: Cloud, tmp_path: Path, listening: Collector
) -> None:
    with serving(cloud, tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=listening.url) as served:
        answer = requests.post(served.url, json=FORM, headers=AUTHORIZED, timeout=20)
        assert answer.status_code == 200
        assert served.end() == 0

    assert len(listening.named("detach")) == 1
    assert listening.points("faas.invocations") == [({"faas.trigger": "http"}, 1)]
