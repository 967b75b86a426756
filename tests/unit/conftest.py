from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from handler.actions.os_detach import CONFIRM_WITHIN
from handler.runtime import Runtime
from tests.embedded_cloud import Cloud
from tests.unit.deployment import KEY, app
from tests.unit.embedded_project import EmbeddedProject
from tests.unit.pages import ROOT

Deploy = Callable[..., Runtime]


@pytest.fixture
def short_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """What stays uncleared after a call is looked for once, which may take as long as ever."""
    monkeypatch.setattr("handler.actions.os_detach.FIRST_PAUSE", CONFIRM_WITHIN)


@pytest.fixture
def bare_cloud() -> Iterator[Cloud]:
    """An embedded cloud with nothing in it."""
    with Cloud() as cloud:
        yield cloud


@pytest.fixture(scope="module")
def seeded() -> Iterator[Cloud]:
    """The demo world, kept for a module's tests: whoever changes it begins by its reset."""
    with Cloud() as cloud:
        cloud.seed()
        yield cloud


@pytest.fixture
def deployed(seeded: Cloud, monkeypatch: pytest.MonkeyPatch) -> Cloud:
    """The demo world, fresh, with the process's environment pointing at it, callers checked by KEY."""
    seeded.reset()
    for name, value in seeded.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("VAULT_ADDR")
    monkeypatch.setenv("DETACH_TOKEN_SECRET", "env:CLOUD_TOKEN")
    monkeypatch.setenv("CLOUD_TOKEN", seeded.token())
    monkeypatch.setenv("DETACH_INVOKE_SECRET", "env:CALLERS_KEY")
    monkeypatch.setenv("CALLERS_KEY", KEY)
    return seeded


@pytest.fixture
def client() -> FlaskClient:
    """Calls the function as functions-framework serves it, in this process."""
    return app().test_client()


@pytest.fixture
def project(bare_cloud: Cloud) -> Iterator[EmbeddedProject]:
    project = EmbeddedProject(bare_cloud)
    yield project
    project.close()


@pytest.fixture
def deploy() -> Iterator[Deploy]:
    """Makes the function of a cloud: `deploy(cloud, DETACH_TIMEOUT="5")`."""
    made: list[Runtime] = []

    def deploy(cloud: Cloud, **settings: str) -> Runtime:
        environment = {
            **cloud.environment(),
            "DETACH_TOKEN_SECRET": "env:PLANTED_TOKEN",
            "DETACH_INVOKE_AUTH": "platform",
            "PLANTED_TOKEN": cloud.token(),
        }
        made.append(Runtime({**environment, **settings}))
        return made[-1]

    yield deploy
    for runtime in made:
        runtime.transport.close()


@pytest.fixture
def program_path(tmp_path: Path) -> str:
    """A search path with the program that an installer makes of pyproject.toml's entry."""
    declared = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    (module, function) = re.findall(r'^evs-detach = "([\w.]+):(\w+)"$', declared, re.MULTILINE)[0]
    program = tmp_path / "bin" / "evs-detach"
    program.parent.mkdir()
    write_program(program, f"import sys; from {module} import {function}; sys.exit({function}())")
    return f"{program.parent}:{os.environ['PATH']}"


def write_program(path: Path, code: str) -> None:
    """Make a program of Python's. A shell starts it, as installers have it: a path can have blanks."""
    command = f"exec {shlex.quote(sys.executable)} -c {shlex.quote(code)}"
    path.write_text(f'#!/bin/sh\n{command} "$@"\n', encoding="utf-8")
    path.chmod(0o755)
