from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from handler.actions.os_detach import CONFIRM_WITHIN
from handler.runtime import Runtime
from tests.embedded_cloud import Cloud
from tests.unit.embedded_project import EmbeddedProject

Deploy = Callable[..., Runtime]


@pytest.fixture
def short_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """What stays uncleared after a call is looked for once, which may take as long as ever."""
    monkeypatch.setattr("handler.actions.os_detach.FIRST_PAUSE", CONFIRM_WITHIN)


@pytest.fixture
def bare_cloud() -> Iterator[Cloud]:
    """An embedded cloud with nothing in it."""
    with Cloud() as cloud:
        yield cloud


@pytest.fixture
def project(bare_cloud: Cloud) -> Iterator[EmbeddedProject]:
    project = EmbeddedProject(bare_cloud)
    yield project
    project.close()


@pytest.fixture
def deploy() -> Iterator[Deploy]:
    """Makes the function of a cloud: `deploy(cloud, DETACH_TIMEOUT="5")`."""
    made: list[Runtime] = []

    def deploy(cloud: Cloud, **settings: str) -> Runtime:
        environment = {
            **cloud.environment(),
            "DETACH_TOKEN_SECRET": "env:PLANTED_TOKEN",
            "DETACH_INVOKE_AUTH": "platform",
            "PLANTED_TOKEN": cloud.token(),
        }
        made.append(Runtime({**environment, **settings}))
        return made[-1]

    yield deploy
    for runtime in made:
        runtime.transport.close()
