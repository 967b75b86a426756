from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from functools import partial

import pytest
from flask.testing import FlaskClient

from handler import otel
from handler import runtime as run
from handler.otel.pipeline import Pipeline, Sender
from tests.embedded_cloud import Cloud
from tests.unit.deployment import KEY, app
from tests.unit.otel.collector import Collector, collecting

LOGGER = logging.getLogger("evs_detach")


@pytest.fixture(scope="module")
def seeded() -> Iterator[Cloud]:
    with Cloud() as cloud:
        cloud.seed()
        yield cloud


@pytest.fixture
def cloud(seeded: Cloud, monkeypatch: pytest.MonkeyPatch) -> Cloud:
    """The demo world, fresh, with the process's environment pointing at it, callers checked by KEY."""
    seeded.reset()
    for name, value in seeded.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("VAULT_ADDR")
    monkeypatch.setenv("DETACH_TOKEN_SECRET", "env:CLOUD_TOKEN")
    monkeypatch.setenv("CLOUD_TOKEN", seeded.token())
    monkeypatch.setenv("DETACH_INVOKE_SECRET", "env:CALLERS_KEY")
    monkeypatch.setenv("CALLERS_KEY", KEY)
    monkeypatch.setenv("DETACH_SWEEP_DRY_RUN", "false")
    return seeded


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    """A collector, which the process's environment names."""
    with collecting() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        yield collector
        collector.ended.set()
        run.reset()


@pytest.fixture(autouse=True)
def cold() -> Iterator[None]:
    run.reset()
    yield
    run.reset()
    LOGGER.handlers[:] = []
    LOGGER.propagate = True


@pytest.fixture
def client() -> FlaskClient:
    return app().test_client()


@pytest.fixture
def sent() -> Callable[[], None]:
    """Have all that was measured sent, and wait until it was tried, though the collector failed before."""

    def send() -> None:
        measuring = otel.instruments({})
        assert isinstance(measuring, Pipeline)
        for sender in measuring._senders:
            number = sender.ask()
            with sender._changed:
                assert sender._changed.wait_for(partial(_sent, sender, number), 100)

    return send


def _sent(sender: Sender, number: int) -> bool:
    return sender._sent >= number
