from __future__ import annotations

import pytest


@pytest.fixture
def no_net_of_cinder_s(request: pytest.FixtureRequest) -> None:
    """The cloud clears what it is told to: what keeps a record must be ours."""
    for name in ("cloud", "bare_cloud"):
        if name in request.fixturenames:
            request.getfixturevalue(name).asks_compute = False
