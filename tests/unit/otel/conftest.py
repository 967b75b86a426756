from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import pytest

from handler import otel
from handler import runtime as run
from handler.otel.pipeline import Pipeline, Sender
from tests.embedded_cloud import Cloud
from tests.unit.otel.collector import Collector, collecting


@pytest.fixture
def cloud(deployed: Cloud, monkeypatch: pytest.MonkeyPatch) -> Cloud:
    monkeypatch.setenv("DETACH_SWEEP_DRY_RUN", "false")
    return deployed


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    """A collector, which the process's environment names."""
    with collecting() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        yield collector
        collector.ended.set()
        run.reset()


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
