from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import responses
from responses.registries import OrderedRegistry

from handler.telemetry import configure
from tests.embedded_cloud import Cloud
from tests.unit.credentials.deployment import Clock, Deployment


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def cloud(clock: Clock) -> Iterator[Cloud]:
    with Cloud() as cloud:
        cloud.now = clock
        yield cloud


@pytest.fixture
def deploy(clock: Clock) -> Iterator[Callable[[dict[str, str]], Deployment]]:
    made: list[Deployment] = []

    def deploy(environment: dict[str, str]) -> Deployment:
        made.append(Deployment(environment, clock))
        return made[-1]

    yield deploy
    for deployment in made:
        deployment.transport.close()


@pytest.fixture
def wire() -> Iterator[responses.RequestsMock]:
    """Answers in the order in which they are asked for, all of which must be."""
    with responses.RequestsMock(registry=OrderedRegistry, assert_all_requests_are_fired=True) as wire:
        yield wire


@pytest.fixture(autouse=True)
def log() -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """What was logged so far, at DEBUG."""
    stream = io.StringIO()
    configure("DEBUG", stream)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    configure("INFO")
