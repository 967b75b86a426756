"""What a collector counts."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient

from handler.main import functiongraph
from handler.routes import NotSettled
from tests.embedded_cloud import Cloud, seed
from tests.unit.deployment import AUTHORIZED, Context
from tests.unit.otel.collector import Collector

Sent = Callable[[], None]
FORM = {"volume_id": seed.ORPHAN_VOLUME, "attachment_id": seed.ORPHAN_ATTACHMENT}
LIVE = {"volume_id": seed.LIVE_VOLUME, "attachment_id": seed.LIVE_ATTACHMENT}
TIMER = {"trigger_type": "TIMER", "user_event": ""}


def counted(points: list[tuple[dict[str, Any], Any]], *names: str) -> dict[tuple[Any, ...], Any]:
    return {tuple(about.get(name) for name in names): value for about, value in points}


@pytest.mark.usefixtures("cloud")
def test_invocations_and_targets_by_what_became_of_them(
    collector: Collector, client: FlaskClient, sent: Sent
) -> None:
    for form in (FORM, FORM, LIVE, {"nonsense": 1}):
        client.post("/", json=form, headers=AUTHORIZED)
    sent()

    assert collector.points("faas.invocations") == [({"faas.trigger": "http"}, 4)]
    assert collector.points("faas.invoke_duration") == [({"faas.trigger": "http"}, 4)]
    assert collector.points("faas.coldstarts") == [({}, 1)]
    assert "faas.errors" not in collector.metrics
    targets = counted(collector.points("evs_detach.targets"), "evs_detach.outcome", "evs_detach.code")
    assert targets == {("detached", None): 1, ("already_detached", None): 1, ("refused", "server_exists"): 1}
    assert collector.points("evs_detach.clearings") == [({}, 1)]
    assert collector.metrics["faas.invoke_duration"].unit == "s"


@pytest.mark.usefixtures("cloud")
def test_nothing_cleared_is_told_before_anything_is(
    collector: Collector, client: FlaskClient, sent: Sent
) -> None:
    client.post("/", json=LIVE, headers=AUTHORIZED)
    sent()

    assert collector.points("evs_detach.clearings") == [({}, 0)]


def test_calls_are_timed_by_service_and_status(
    cloud: Cloud, collector: Collector, client: FlaskClient, sent: Sent
) -> None:
    client.post("/", json=FORM, headers=AUTHORIZED)
    sent()

    metric = collector.metrics["http.client.request.duration"]
    by = counted(
        collector.points("http.client.request.duration"),
        "evs_detach.service",
        "http.request.method",
        "http.response.status_code",
    )
    assert metric.unit == "s"
    assert by["volume", "GET", 200] == 2
    assert by["volume", "POST", 202] == 1
    assert by["compute", "GET", 404] == 1
    assert sum(by.values()) == len(cloud.calls)
    assert all(0 < point.sum < 60 for point in metric.histogram.data_points)


def test_tokens_that_are_issued_are_counted(
    cloud: Cloud, collector: Collector, client: FlaskClient, sent: Sent, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud.add_user("robot", "planted-password")
    monkeypatch.setenv("DETACH_TOKEN_SECRET", "env:LOGIN")
    login = {"username": "robot", "password": "planted-password", "domain": "Default"}
    monkeypatch.setenv("LOGIN", json.dumps(login))
    for _ in range(3):
        client.post("/", json=LIVE, headers=AUTHORIZED)
    sent()

    assert collector.points("evs_detach.tokens.issued") == [({}, 1)]


def test_a_sweep_tells_what_it_found_and_that_it_went_through(
    cloud: Cloud, collector: Collector, sent: Sent
) -> None:
    found = functiongraph(TIMER, Context())
    sent()

    assert collector.points("evs_detach.candidates") == [({}, found["scanned"]["candidates"])]
    ((about, sweeps),) = collector.points("evs_detach.sweeps")
    assert (about["evs_detach.dry_run"], sweeps) == (False, 1)
    ((_, moment),) = collector.points("evs_detach.last_sweep.timestamp")
    assert 1_700_000_000 < moment < 5_000_000_000
    assert collector.points("evs_detach.clearings") == [({}, len(cloud.posts()))]


def test_a_sweep_that_did_not_go_through_is_no_last_one(
    cloud: Cloud, collector: Collector, sent: Sent
) -> None:
    cloud.misbehave(None, "GET", "/servers", times=None, status=500)
    with pytest.raises(NotSettled):
        functiongraph(TIMER, Context())
    sent()

    ((about, sweeps),) = collector.points("evs_detach.sweeps")
    assert (about["evs_detach.code"], about["evs_detach.ok"], sweeps) == ("listing_failed", False, 1)
    assert "evs_detach.last_sweep.timestamp" not in collector.metrics
    assert [about["evs_detach.code"] for about, _ in collector.points("faas.errors")] == ["listing_failed"]


def test_what_somebody_has_to_mend_is_counted(
    cloud: Cloud, collector: Collector, client: FlaskClient, sent: Sent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLOUD_TOKEN", "not-a-token-of-this-cloud")
    client.post("/", json=FORM, headers=AUTHORIZED)
    sent()

    errors = counted(collector.points("evs_detach.errors"), "evs_detach.event", "evs_detach.code")
    assert errors["invocation", "token_rejected"] == 1
    assert not cloud.posts()


def test_a_sweep_that_is_refused_is_counted(
    cloud: Cloud, collector: Collector, sent: Sent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DETACH_SWEEP_MAX_FRACTION", "0.01")
    functiongraph(TIMER, Context())
    sent()

    assert collector.points("evs_detach.sweeps.refused") == [({}, 1)]
    assert not cloud.posts()


def test_a_secret_s_end_is_told(
    cloud: Cloud, collector: Collector, client: FlaskClient, sent: Sent, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends_at = 1_900_000_000
    cloud.add_user("robot", "planted-password", ends_at=ends_at)
    login = {"username": "robot", "password": "planted-password", "domain": "Default"}
    monkeypatch.setenv("DETACH_TOKEN_SECRET", "env:LOGIN")
    monkeypatch.setenv("LOGIN", json.dumps(login))
    client.post("/", json=LIVE, headers=AUTHORIZED)
    sent()

    about = {"evs_detach.setting": "DETACH_TOKEN_SECRET", "evs_detach.kind": "password"}
    assert collector.points("evs_detach.secret.end.timestamp") == [(about, ends_at)]


@pytest.mark.usefixtures("cloud")
def test_only_what_a_collector_is_named_for_is_sent(
    collector: Collector, client: FlaskClient, sent: Sent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", f"{collector.url}/v1/metrics")
    client.post("/", json=FORM, headers=AUTHORIZED)
    sent()

    assert {path for path, _ in collector.bodies} == {"/v1/metrics"}
