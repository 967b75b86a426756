from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cloud import Cloud
from tests.unit.sweep.project import Project


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    with Cloud() as cloud:
        yield cloud


@pytest.fixture
def project(cloud: Cloud) -> Iterator[Project]:
    project = Project(cloud)
    yield project
    project.transport.close()
