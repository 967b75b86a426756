"""What every test stands on: no settings of the machine, no runtime kept warm by another test."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests.embedded_cloud import Cloud

# The same examples each time: a change is judged by what it changes. Others: --hypothesis-seed=random.
# None has a time limit, since the machine may be busy.
settings.register_profile("same", derandomize=True, deadline=None)
settings.load_profile("same")

_SETTINGS = ("DETACH_", "VAULT_")
_PROXIES = frozenset({"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"})


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing that is set on this machine reaches the function: neither its settings nor a proxy."""
    for name in list(os.environ):
        if name.startswith(_SETTINGS) or name.upper() in _PROXIES:
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def cold_start() -> Iterator[None]:
    """No test finds what another one kept warm, nor its log's level and handler."""
    logger = logging.getLogger("evs_detach")
    kept = logger.handlers[:], logger.level, logger.propagate
    yield
    if run := sys.modules.get("handler.runtime"):
        run.reset()
    logger.handlers[:], level, logger.propagate = kept
    logger.setLevel(level)  # a level set otherwise leaves in force what was found enabled before


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    """An embedded OpenStack cloud with the demo world."""
    with Cloud() as cloud:
        cloud.seed()
        yield cloud


@pytest.fixture
def huawei() -> Iterator[Cloud]:
    """The same in the vendor's dialect."""
    with Cloud("huawei") as cloud:
        cloud.seed()
        yield cloud
