"""functions-framework's own time limit, which is raised in a thread from outside, wherever it has come to."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import requests
from flask.testing import FlaskClient
from functions_framework.exceptions import RequestTimeoutException

from tests.embedded_cloud import Cloud, seed
from tests.unit.deployment import AUTHORIZED, KEY, MAIN
from tests.unit.serving.raw import free_port

FORM = {"volume_id": seed.ORPHAN_VOLUME, "attachment_id": seed.ORPHAN_ATTACHMENT}
EVENT = {"ce-id": "1", "ce-source": "s", "ce-type": "t", "ce-specversion": "1.0"}


def ended(*_arguments: object, **_named: object) -> Any:
    raise RequestTimeoutException


@pytest.fixture
def limited(seeded: Cloud, tmp_path: Path) -> Iterator[str]:
    """The function as functions-framework serves it, with its limit of two seconds."""
    port = free_port()
    log = tmp_path / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "functions_framework", f"--source={MAIN}", "--target=detach"],
            cwd=tmp_path,
            env={
                **seeded.environment(),
                "PATH": os.environ["PATH"],
                "PORT": str(port),
                "HOST": "127.0.0.1",
                "THREADS": "4",
                "THREADED_TIMEOUT_ENABLED": "true",
                "CLOUD_RUN_TIMEOUT_SECONDS": "2",
                "DETACH_TOKEN_SECRET": "env:CLOUD_TOKEN",
                "CLOUD_TOKEN": seeded.token(),
                "DETACH_INVOKE_SECRET": "env:CALLERS_KEY",
                "CALLERS_KEY": KEY,
            },
            stdout=output,
            stderr=output,
        )
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            try:
                with closing(requests.get(f"{url}/healthz", timeout=5)):
                    break
            except requests.ConnectionError:
                time.sleep(0.05)
        yield url
        assert '"internal_error"' not in log.read_text(encoding="utf-8")
    finally:
        process.terminate()
        process.wait(30)


def test_an_action_that_outlasts_it_may_have_changed_something(limited: str, seeded: Cloud) -> None:
    seeded.reset()
    seeded.misbehave("volume", method="POST", delay=4.0)
    answer = requests.post(limited, json=FORM, headers=AUTHORIZED, timeout=20)
    result = answer.json()
    assert (answer.status_code, result["outcome"]) == (504, "failed")
    assert (result["error"]["code"], result["error"]["retryable"]) == ("deadline_exceeded", True)
    assert result["changed"] is None
    assert result["volume_id"] == seed.ORPHAN_VOLUME
    assert len(seeded.posts()) == 1


def test_a_look_that_outlasts_it_has_changed_nothing(limited: str, seeded: Cloud) -> None:
    seeded.reset()
    seeded.misbehave("compute", delay=4.0)
    result = requests.post(limited, json=FORM, headers=AUTHORIZED, timeout=20).json()
    assert (result["error"]["code"], result["changed"]) == ("deadline_exceeded", False)
    assert seeded.posts() == []


@pytest.mark.usefixtures("cloud")
@pytest.mark.parametrize(
    ("place", "changed"),
    [
        ("handler.credentials.caller_keys.CallerKeys.check", False),
        ("flask.Request.get_data", False),
        ("handler.actions.clear.Clearing.clear", None),
        ("handler.cloud.transport.Transport.send", None),
        ("handler.cloud.volumes.Volumes.detach", None),
        ("handler.actions.batch.target_result", None),
        ("handler.runtime._log_result", None),
    ],
)
def test_wherever_it_hits_it_is_the_deadline(
    client: FlaskClient,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    place: str,
    changed: bool | None,
) -> None:
    monkeypatch.setattr(place, ended)
    answer = client.post("/", json=FORM, headers=AUTHORIZED)
    assert answer.json is not None
    assert (answer.status_code, answer.json["error"]["code"]) == (504, "deadline_exceeded")
    assert answer.json["changed"] is changed
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert "internal_error" not in {line["event"] for line in lines}
    reply = client.post("/", json=FORM, headers={**AUTHORIZED, **EVENT})
    assert (reply.status_code, reply.data) == (503, b"")


@pytest.mark.usefixtures("cloud")
def test_it_is_not_taken_for_a_broken_event(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("handler.triggers.cloudevent.from_http", ended)
    assert client.post("/", json=FORM, headers={**AUTHORIZED, **EVENT}).status_code == 503
