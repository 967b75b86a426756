from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.embedded_cloud import Cloud


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    with Cloud() as cloud:
        yield cloud


@pytest.fixture
def huawei() -> Iterator[Cloud]:
    with Cloud("huawei") as cloud:
        yield cloud
