from __future__ import annotations

import pytest

from tests.embedded_cloud import Cloud


@pytest.fixture
def cloud(deployed: Cloud) -> Cloud:
    return deployed
