"""The same rows through functions-framework's own app over HTTP, at a stateful cloud of either dialect."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator

import pytest
import requests
from werkzeug.serving import make_server

from handler.actions.os_detach import CONFIRM_WITHIN
from handler.errors import ErrorCode
from handler.model.result import Outcome
from tests.embedded_cloud import Cloud
from tests.unit.actions.cases_over_http import CASES, KEY, Case
from tests.unit.actions.opted_in import CODES
from tests.unit.deployment import app

FLAVOURS = ("openstack", "huawei")
RUNS = [
    pytest.param(flavour, case, id=f"{flavour}: {case.name}")
    for flavour in FLAVOURS
    for case in CASES
    if case.flavour in {None, flavour}
]


@pytest.fixture(scope="module")
def function() -> Iterator[str]:
    """The function's URL."""
    logger = logging.getLogger("werkzeug")
    level = logger.level
    logger.setLevel(logging.ERROR)
    server = make_server("127.0.0.1", 0, app(), threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()
    logger.setLevel(level)


@pytest.fixture(scope="module")
def clouds() -> Iterator[dict[str, Cloud]]:
    with Cloud() as openstack, Cloud("huawei") as huawei:
        yield {"openstack": openstack, "huawei": huawei}


@pytest.fixture
def at(
    clouds: dict[str, Cloud], flavour: str, case: Case, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Cloud]:
    """The case's cloud, as troubled as the case wants it, with the environment pointing at it."""
    cloud = clouds[flavour]
    cloud.seed()
    cloud.reset()
    kept = {name: getattr(cloud, name) for name in case.switches}
    environment = {
        **cloud.environment(),
        "DETACH_TOKEN_SECRET": "env:PLANTED_TOKEN",
        "PLANTED_TOKEN": cloud.token(),
        "DETACH_INVOKE_SECRET": "env:PLANTED_KEY",
        "PLANTED_KEY": KEY,
        **case.settings,
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("handler.actions.os_detach.FIRST_PAUSE", CONFIRM_WITHIN)
    if case.code == "internal":
        monkeypatch.setattr("handler.actions.clear.require_in_use", None)
    for rule in case.trouble:
        cloud.misbehave(**rule)
    for name, value in case.switches.items():
        setattr(cloud, name, value)
    yield cloud
    for name, value in kept.items():
        setattr(cloud, name, value)


@pytest.mark.parametrize(("flavour", "case"), RUNS)
def test_over_http(at: Cloud, case: Case, function: str) -> None:
    before = {volume.id: (volume.status, len(volume.attachments)) for volume in at.volumes}

    answer = requests.post(function, json=case.form, headers=case.headers, timeout=30)

    said = answer.json()
    assert answer.status_code == case.http
    assert answer.headers["Content-Type"].startswith("application/json")
    assert answer.headers["X-Request-Id"] == said["request_id"]
    assert ("Retry-After" in answer.headers) is (case.retry or case.retry_after is not None)
    if case.retry_after is not None:
        assert answer.headers["Retry-After"] == case.retry_after
    assert (said["error"] or {}).get("code") == case.code
    assert said["ok"] is (case.http == 200)
    assert said["trigger"] == "http"
    if case.outcome is not None:
        assert (said["outcome"], said["changed"]) == (case.outcome, case.changed)
    else:
        assert any(part["changed"] for part in said["results"]) is case.changed
    assert len(at.posts()) == case.posts
    after = {volume.id: (volume.status, len(volume.attachments)) for volume in at.volumes}
    assert (before != after) is (case.changed is True)


def test_the_table_reaches_every_code_and_outcome() -> None:
    assert {case.code for case in CASES if case.code} == {code.value for code in set(ErrorCode) - CODES}
    assert {case.outcome for case in CASES if case.outcome} == {
        outcome.value for outcome in set(Outcome) - {Outcome.IGNORED, Outcome.DISPATCHED, Outcome.RECOVERED}
    }


def test_no_two_cases_have_one_name() -> None:
    assert len({case.name for case in CASES}) == len(CASES)
