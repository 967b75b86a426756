from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.embedded_cloud import Cloud
from tests.unit.embedded_cloud.client import Clock


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    with Cloud() as cloud:
        yield cloud


@pytest.fixture
def huawei() -> Iterator[Cloud]:
    with Cloud("huawei") as cloud:
        yield cloud


@pytest.fixture
def clock(cloud: Cloud) -> Clock:
    return Clock(cloud)
