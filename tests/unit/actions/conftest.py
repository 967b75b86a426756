from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.embedded_cloud import Cloud
from tests.unit.actions.opted_in import OptedIn


@pytest.fixture
def no_net_of_cinder_s(request: pytest.FixtureRequest) -> None:
    """The cloud clears what it is told to: what keeps a record must be ours."""
    for name in ("cloud", "bare_cloud"):
        if name in request.fixturenames:
            request.getfixturevalue(name).asks_compute = False


@pytest.fixture
def opted_in(bare_cloud: Cloud) -> Iterator[OptedIn]:
    """A project whose deployment has all switched on, at a cloud that clears what it is told to."""
    bare_cloud.asks_compute = False
    made = OptedIn(bare_cloud)
    yield made
    made.close()
