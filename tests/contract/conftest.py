"""``--cloud=embedded`` (the default) or ``--cloud=real``: which cloud the contract cases run against.

A real one is brought up for the session only when a case asks for it; see tests/integration/openstack.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.cloud import Cloud
from tests.contract.case import Case, Home
from tests.contract.embedded import EmbeddedLab
from tests.contract.function import Functions, deployments

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.contract.lab import Lab

_BRINGING_UP = 1200  # seconds that the first real case may take: most of it installing


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--cloud", choices=("embedded", "real"), default="embedded", help=__doc__)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if _cloud(config) == "real":
        for item in items:
            item.add_marker(pytest.mark.timeout(_BRINGING_UP))


def _cloud(config: pytest.Config) -> str:
    # Without a default, a run that does not name this folder would know no such option.
    chosen: str = config.getoption("cloud", "embedded")
    return chosen


@pytest.fixture(scope="session")
def lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    if _cloud(request.config) == "real":
        from tests.contract.real import RealLab  # noqa: PLC0415 (the rig is Linux's; not everybody needs it)
        from tests.integration.openstack import borrow  # noqa: PLC0415 (the same)

        with borrow() as openstack:
            yield RealLab(openstack)
    else:
        with Cloud() as cloud:
            yield EmbeddedLab(cloud)


@pytest.fixture(scope="session")
def functions(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Functions]:
    with deployments(tmp_path_factory.mktemp("functions")) as running:
        yield running


@pytest.fixture(scope="session")
def home(lab: Lab, functions: Functions) -> Home:
    """The project that cases share, as each looks at its own volumes only."""
    return Home(lab, functions)


@pytest.fixture
def case(home: Home) -> Case:
    return Case(home)


@pytest.fixture
def case_alone(lab: Lab, functions: Functions) -> Case:
    """A case in a project of its own, for what looks at the whole project."""
    return Case(Home(lab, functions))
