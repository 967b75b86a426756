"""``--cloud=embedded`` (the default) or ``--cloud=real``: which cloud the contract cases run against.

A real one is brought up for the session only when a case asks for it; see tests/integration/openstack.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.contract.case import Case, Home, StagedCase
from tests.contract.embedded import EmbeddedLab
from tests.contract.function import Functions, deployments
from tests.contract.scenes import Stage
from tests.contract.table import CLOUDS, Name, Table, case_name
from tests.contract.wire import Wire
from tests.embedded_cloud import Cloud

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.contract.lab import Lab

_HERE = Path(__file__).parent
_COLLECTED: pytest.StashKey[Collected] = pytest.StashKey()
_BRINGING_UP = 1200  # seconds that the first real case may take: most of it installing


class Collected(NamedTuple):
    """What was asked of this run. ``whole``: every case is to run, in one process."""

    cloud: str
    write: bool
    names: list[Name]
    whole: bool


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--cloud", choices=CLOUDS, default="embedded", help="which cloud the contract is tried at"
    )
    parser.addoption("--write-cases", action="store_true", help="write what it answered to CASES.md")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    # A run that doesn't name this folder knows no such options, hence the defaults.
    cloud = config.getoption("cloud", "embedded")
    cases = [item for item in items if "steps" in getattr(item, "fixturenames", ())]
    files = {item.path for item in items if item.path.parent == _HERE}
    config.stash[_COLLECTED] = Collected(
        cloud,
        config.getoption("write_cases", default=False),
        [_name(item) for item in cases],
        whole=files == set(_HERE.glob("test_*.py")) and not config.option.keyword,
    )
    items.sort(key=lambda item: item.path == _HERE / "test_table.py")
    if cloud == "real":
        for item in items:
            item.add_marker(pytest.mark.timeout(_BRINGING_UP))


def _name(item: pytest.Item) -> Name:
    return case_name(item.path.name, item.name)


@pytest.fixture(scope="session")
def collected(pytestconfig: pytest.Config) -> Collected:
    return pytestconfig.stash[_COLLECTED]


@pytest.fixture(scope="session")
def answered() -> Table:
    return Table()


@pytest.fixture
def steps(request: pytest.FixtureRequest, answered: Table) -> list[str]:
    return answered.steps(_name(request.node))


@pytest.fixture(scope="session")
def lab(collected: Collected) -> Iterator[Lab]:
    if collected.cloud == "real":
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
def case(home: Home, steps: list[str]) -> Case:
    return Case(home, steps)


@pytest.fixture(scope="session")
def staged_home(lab: Lab, functions: Functions) -> Home:
    """The project of the scenes: all of its servers are looked through, so it has only theirs."""
    return Home(lab, functions)


@pytest.fixture(scope="session")
def stage(lab: Lab, staged_home: Home) -> Stage:
    return Stage(lab, staged_home.project_id)


@pytest.fixture
def staged(staged_home: Home, stage: Stage, steps: list[str]) -> StagedCase:
    return StagedCase(staged_home, stage, steps)


@pytest.fixture
def wire(case: Case) -> Wire:
    return Wire(case, case.lab.token(case.project_id))


@pytest.fixture
def case_alone(lab: Lab, functions: Functions, steps: list[str]) -> Case:
    """A case in a project of its own, for what looks at the whole project."""
    return Case(Home(lab, functions), steps)
