from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from tests.embedded_cloud import Cloud


@pytest.fixture
def settings(bare_cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """A deployment at this cloud that may clear."""
    told = {
        **bare_cloud.environment(),
        "DETACH_TOKEN_SECRET": "env:TOKEN_OF_THE_TESTS",
        "TOKEN_OF_THE_TESTS": bare_cloud.token(),
        "DETACH_SWEEP_DRY_RUN": "false",
    }
    for name, value in told.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Ctrl-C as a terminal has it: a shell's background jobs are started with it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    signal.signal(signal.SIGINT, before)
