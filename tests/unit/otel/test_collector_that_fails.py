"""A collector that is away, full or silent takes nothing from an answer, and is waited for once at most."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient

from handler.main import functiongraph
from handler.otel import harmless, pipeline
from handler.otel.meters import Meters
from handler.routes import NotSettled
from tests.embedded_cloud import Cloud, seed
from tests.unit.deployment import AUTHORIZED, Context
from tests.unit.otel.collector import Collector

Sent = Callable[[], None]
FORM = {"volume_id": seed.ORPHAN_VOLUME, "attachment_id": seed.ORPHAN_ATTACHMENT}
CAPSYS = pytest.CaptureFixture[str]


def failures(capsys: CAPSYS) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return [line for line in lines if line["event"] == "export_failed"]


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long was waited for a sender, each time that one was waited for: seconds."""
    waited: list[float] = []

    class Condition(threading.Condition):
        def wait_for(self, predicate: Callable[[], Any], timeout: float | None = None) -> Any:
            if timeout is not None:
                waited.append(timeout)
            return super().wait_for(predicate, timeout)

    monkeypatch.setattr("handler.otel.pipeline.threading.Condition", Condition)
    return waited


@pytest.mark.usefixtures("cloud")
@pytest.mark.parametrize("status", [400, 401, 503])
def test_one_that_refuses_is_told_of_once_and_not_quoted(
    status: int, collector: Collector, sent: Sent, capsys: CAPSYS, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
    collector.status, collector.said = status, b"planted-words of a stranger"

    for _ in range(3):
        assert functiongraph(FORM, Context())["ok"]
    sent()

    printed = capsys.readouterr()
    assert "planted" not in printed.out + printed.err
    lines = [json.loads(line) for line in printed.out.splitlines()]
    told = [line["signal"] for line in lines if line["event"] == "export_failed"]
    assert sorted(told) == ["metrics", "traces"]
    assert collector.bodies


@pytest.mark.usefixtures("cloud")
def test_where_nobody_listens_the_answer_is_the_same(
    monkeypatch: pytest.MonkeyPatch, sent: Sent, capsys: CAPSYS
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")

    assert functiongraph(FORM, Context())["outcome"] == "detached"
    sent()

    assert sorted(line["signal"] for line in failures(capsys)) == ["metrics", "traces"]


@pytest.mark.usefixtures("cloud")
def test_one_that_is_silent_is_waited_for_once(collector: Collector, waits: list[float]) -> None:
    collector.silent.set()

    assert functiongraph(FORM, Context())["outcome"] == "detached"
    first = list(waits)
    for _ in range(3):
        assert functiongraph(FORM, Context())["outcome"] == "already_detached"

    assert not collector.ended.is_set(), "it has answered nothing yet"
    assert waits == first
    assert all(0 <= seconds <= 1 for seconds in first)
    assert 1 <= len(first) <= 2, "one for traces, one for metrics"


@pytest.mark.usefixtures("cloud")
def test_no_more_is_waited_than_the_platform_leaves(collector: Collector, waits: list[float]) -> None:
    collector.silent.set()

    with pytest.raises(NotSettled):
        functiongraph(FORM, Context(timeout=0))

    assert waits
    assert set(waits) == {0.0}


@pytest.mark.usefixtures("cloud")
def test_where_the_host_goes_on_after_the_answer_nobody_waits(
    collector: Collector, client: FlaskClient, waits: list[float]
) -> None:
    assert client.post("/", json=FORM, headers=AUTHORIZED).status_code == 200

    assert waits == []
    assert collector.bodies == []


@pytest.mark.usefixtures("cloud")
def test_where_the_host_stops_with_the_answer_all_is_sent_before_it(collector: Collector) -> None:
    functiongraph(FORM, Context())

    assert {path for path, _ in collector.bodies} == {"/v1/traces", "/v1/metrics"}
    assert len(collector.named("detach")) == 1


def test_one_that_comes_back_is_waited_for_again(waits: list[float]) -> None:
    health, going, gone = pipeline.Health("traces"), threading.Event(), threading.Event()

    def send() -> None:
        assert going.wait(60)
        health.good = True
        gone.set()

    sender = pipeline.Sender(send, health)
    health.good = False
    sender.wait(sender.ask(), time.monotonic() + 60)
    assert waits == [], "it failed before"

    going.set()
    assert gone.wait(60)
    sender.wait(sender.ask(), time.monotonic() + 60)
    sender.close()
    assert len(waits) == 1


def test_a_fault_of_what_measures_is_told_once_and_harms_nothing(
    cloud: Cloud, collector: Collector, monkeypatch: pytest.MonkeyPatch, capsys: CAPSYS
) -> None:
    monkeypatch.setattr(harmless, "_said", set())
    monkeypatch.setattr(Meters, "_run", lambda *_: (_ for _ in ()).throw(ZeroDivisionError("planted")))

    for _ in range(2):
        functiongraph({"trigger_type": "TIMER", "user_event": ""}, Context())

    printed = capsys.readouterr().out
    told = [json.loads(line) for line in printed.splitlines() if '"export_failed"' in line]
    assert [line["error"] for line in told] == ["ZeroDivisionError in Meters.hear"]
    assert "planted" not in printed
    assert cloud.posts()
    assert collector.spans


# Where nothing is measured.


@pytest.mark.usefixtures("cloud")
@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("OTEL_SDK_DISABLED", "true", None),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "OTEL_EXPORTER_OTLP_PROTOCOL is not http/protobuf"),
        ("OTEL_BSP_SCHEDULE_DELAY", "-1", "ValueError"),
    ],
)
def test_what_can_t_be_done_is_told_and_the_work_is_done(
    name: str,
    value: str,
    why: str | None,
    collector: Collector,
    monkeypatch: pytest.MonkeyPatch,
    capsys: CAPSYS,
) -> None:
    monkeypatch.setenv(name, value)

    for _ in range(2):
        assert functiongraph(FORM, Context())["ok"]

    assert [line["error"] for line in failures(capsys)] == ([why] if why else [])
    assert collector.bodies == []


@pytest.mark.usefixtures("cloud", "collector")
def test_without_the_extra_it_is_told_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: CAPSYS
) -> None:
    for name in ("handler.otel.pipeline", "handler.otel.spans", "handler.otel.meters"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.metrics", None)

    assert functiongraph(FORM, Context())["outcome"] == "detached"

    assert [line["error"] for line in failures(capsys)] == ["evs-detach[otel] is not installed"]
