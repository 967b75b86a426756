"""What is locked is whole: all that is declared and all that this needs, for each Python, with hashes.

Offline, and never compared with what an index has today.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from importlib.metadata import distributions
from pathlib import Path

import pytest
from packaging.markers import default_environment

from tests.locks import Lock, complaints, environments, installed, read_lock

ROOT = Path(__file__).resolve().parents[2]
PROJECT = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
PYTHONS = re.findall(r'"Programming Language :: Python :: (3\.\d+)"', PROJECT)
LOCKS = sorted(
    path.relative_to(ROOT).as_posix()
    for folder in (ROOT.glob, (ROOT / "tests").rglob, (ROOT / "infra").rglob)
    for path in folder("*requirements*.txt")
)
TESTS = "tests/requirements.txt"
# Where else metadata may be: the benchmarks' environment, when it was made.
BENCH = [str(path) for path in ROOT.glob("build/bench-venv/lib/python*/site-packages")]
KNOWN = installed([*distributions(path=BENCH), *distributions()])


def lock(name: str) -> Lock:
    return read_lock(ROOT / name, ROOT)


def said(lock: Lock) -> list[str]:
    """What is said about a lock in any environment."""
    return [
        complaint
        for environment in environments(lock.oldest, PYTHONS[-1])
        for complaint in complaints(lock, environment, KNOWN)
    ]


@pytest.mark.parametrize("name", LOCKS)
def test_holds_all_that_its_project_and_its_own_entries_ask_for(name: str) -> None:
    read = lock(name)
    assert len(read.roots) > 5
    assert said(read) == []


def test_what_runs_the_tests_is_what_is_locked() -> None:
    here = {(entry.name, entry.version) for entry in lock(TESTS).entries if entry.holds()}
    assert len(here) > 50
    assert here - KNOWN.keys() == set()


@pytest.mark.parametrize("name", LOCKS)
def test_is_as_it_was_written_by_make_lock(name: str) -> None:
    written = (ROOT / "tests/locks.sha256").read_text(encoding="utf-8").splitlines()
    assert sorted(line.split()[1] for line in written) == LOCKS
    assert f"{hashlib.sha256((ROOT / name).read_bytes()).hexdigest()}  {name}" in written


@pytest.mark.parametrize("name", LOCKS)
def test_names_no_place_to_fetch_from(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    assert not re.search(r"://|--(extra-)?index-url|--find-links|--trusted-host", text)


def test_a_dependency_that_is_missing_is_found() -> None:
    whole = lock("requirements.txt")
    here = [entry for entry in whole.entries if entry.holds()]  # elsewhere, what needs it may be unknown
    assert len(here) > 20
    for entry in here:
        found = complaints(whole.without(entry.name), default_environment(), KNOWN)
        assert any(f"needs {entry.name}" in complaint for complaint in found), entry.name


@pytest.mark.parametrize(
    ("name", "rewrite", "complaint"),
    [
        ("coverage", lambda text: text.replace("[toml]", ""), "needed with extras ['toml'], locked with []"),
        ("flask", lambda text: text.replace("=", "[async]=", 1), "with extras [], locked with ['async']"),
        ("flask", lambda text: text.partition("==")[0] + "==2.3.3", "locked is 2.3.3"),
        ("flask", lambda text: text.replace("==", ">="), "no one version"),
        ("flask", lambda text: f"{text} ; sys_platform == 'win32'", "needs flask, which is not locked"),
        ("colorama", lambda text: text.partition(";")[0], "colorama is locked, and nothing needs it"),
    ],
)
def test_an_entry_that_is_written_otherwise_is_found(
    name: str, rewrite: Callable[[str], str], complaint: str
) -> None:
    assert any(complaint in each for each in said(lock(TESTS).rewritten(name, rewrite)))


def test_an_entry_without_a_hash_is_found() -> None:
    assert any("flask" in each for each in said(lock(TESTS).unhashed("flask")))
