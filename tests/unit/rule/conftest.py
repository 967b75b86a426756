from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from handler.run import Runtime
from tests.cloud import Cloud

Deploy = Callable[..., Runtime]


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
