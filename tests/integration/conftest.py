"""Nothing here starts a real cloud unless it is asked for: ``--cloud=real``, see tests/contract."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.integration.openstack import OpenStack, borrow

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def openstack(request: pytest.FixtureRequest) -> Iterator[OpenStack]:
    if request.config.getoption("cloud", "embedded") != "real":
        pytest.skip("a real cloud was not asked for (--cloud=real)")
    with borrow() as cloud:
        yield cloud
