from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
import requests

from tests.embedded_cloud import Cloud
from tests.unit.deployment import KEY
from tests.unit.serving.raw import free_port


class Served(NamedTuple):
    """`python -m handler serve`, running."""

    port: int
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def end(self) -> int:
        """Ask it to end; its exit code."""
        self.process.terminate()
        return self.process.wait(60)


Serve = Callable[..., Served]


@pytest.fixture(scope="module")
def cloud() -> Iterator[Cloud]:
    """An embedded cloud with the demo world, for all tests of a module."""
    with Cloud() as made:
        made.seed()
        yield made


@contextmanager
def serving(cloud: Cloud, folder: Path, module: str = "handler", **settings: str) -> Iterator[Served]:
    """Serve until the block ends. `module` is run by Python, as `python -m handler` is."""
    environment = {
        **cloud.environment(),
        "DETACH_TOKEN_SECRET": "env:CLOUD_TOKEN",
        "CLOUD_TOKEN": cloud.token(),
        "DETACH_INVOKE_SECRET": "env:CALLERS_KEY",
        "CALLERS_KEY": KEY,
        "THREADS": "4",
        "PYTHONPATH": str(Path(__file__).resolve().parents[3]),
        "PYTHONDONTWRITEBYTECODE": "1",
        **settings,
    }
    port = free_port()
    log = folder / "log"
    command = [sys.executable, "-m", module, "serve", "--host", "127.0.0.1", "--port", str(port)]
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=output, stderr=output)
    served = Served(port, process, log)
    try:
        for _ in range(600):
            if process.poll() is not None:
                pytest.fail(log.read_text(encoding="utf-8"))
            try:
                with closing(requests.get(f"{served.url}/healthz", timeout=5)):
                    break
            except requests.ConnectionError:
                time.sleep(0.05)
        yield served
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(60)


@pytest.fixture(scope="module")
def served(cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(cloud, tmp_path_factory.mktemp("served")) as running:
        yield running


@pytest.fixture
def serve(cloud: Cloud, tmp_path: Path) -> Iterator[Serve]:
    """Starts one with settings of its own: `serve(DETACH_TIMEOUT="5")`."""
    started = []

    def start(**settings: str) -> Served:
        context = serving(cloud, tmp_path, **settings)
        started.append(context)
        return context.__enter__()

    yield start
    for context in started:
        context.__exit__(None, None, None)
