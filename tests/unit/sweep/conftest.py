from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cloud import Cloud
from tests.unit.sweep.project import Project


@pytest.fixture
def short_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """What stays uncleared after a call is looked for a moment, and not for seconds."""
    monkeypatch.setattr("handler.clear.CONFIRM_WITHIN", 0.1)


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    with Cloud() as cloud:
        yield cloud


@pytest.fixture
def project(cloud: Cloud) -> Iterator[Project]:
    project = Project(cloud)
    yield project
    project.close()
