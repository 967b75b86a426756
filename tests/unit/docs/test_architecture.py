"""docs/architecture.md against the tree: its listing has every file, its drawing only arrows that exist."""

from __future__ import annotations

import re
from pathlib import Path

import grimp
import pytest

from tests.unit.pages import ROOT, Page

ARCHITECTURE = Page("docs/architecture.md")
UNLISTED = {"__init__.py", "__pycache__"}
BESIDE = {"bytes", "docs", "embedded_cloud", "histories", "mutation", "soak"}
"""Of tests/unit: what has no folder of handler/ to mirror."""


def listing() -> dict[str, set[str]]:
    """The listing's folders, by their path in the project, and what is listed in each."""
    (text,) = re.findall(r"^## The listing\n\n```\n(.*?)^```$", ARCHITECTURE.text, re.DOTALL | re.MULTILINE)
    folders: dict[str, set[str]] = {"": set()}
    way: list[str] = []
    for line in text.splitlines():
        depth = (len(line) - len(line.lstrip())) // 2
        name = line.split()[0]
        way = way[:depth]
        folders["/".join(way)].add(name.rstrip("/"))
        if name.endswith("/"):
            way.append(name.rstrip("/"))
            folders["/".join(way)] = set()
    return folders


LISTING = listing()


@pytest.mark.parametrize("folder", sorted(LISTING, key=str))
def test_what_is_listed_exists(folder: str) -> None:
    assert [name for name in LISTING[folder] if not (ROOT / folder / name).exists()] == []


@pytest.mark.parametrize("folder", sorted(folder for folder, names in LISTING.items() if folder and names))
def test_a_folder_that_is_listed_is_listed_whole(folder: str) -> None:
    there = {path.name for path in (ROOT / folder).iterdir()} - UNLISTED
    assert LISTING[folder] == there


def test_every_folder_of_the_code_is_listed() -> None:
    folders = {path.parent.relative_to(ROOT).as_posix() for path in (ROOT / "handler").rglob("*.py")}
    assert folders == {folder for folder, names in LISTING.items() if folder.startswith("handler") and names}


def test_the_unit_tests_mirror_the_code() -> None:
    def folders(of: Path) -> set[str]:
        return {path.name for path in of.iterdir() if path.is_dir() and any(path.glob("*.py"))}

    assert folders(ROOT / "tests" / "unit") == folders(ROOT / "handler") | BESIDE


def test_every_arrow_of_the_drawing_is_an_import() -> None:
    (drawing,) = ARCHITECTURE.blocks("mermaid")
    names = dict(re.findall(r'(\w+)\["(\w+)"\]', drawing))
    arrows = re.findall(r"^ +(\w+)(?:\[[^\]]*\])? -->(?:\|[^|]*\|)? (\w+)$", drawing, re.MULTILINE)
    assert len(arrows) == drawing.count("-->")
    graph = grimp.build_graph("handler", cache_dir=None)
    wrong = [
        arrow
        for arrow in arrows
        if not graph.direct_import_exists(
            importer=f"handler.{names.get(arrow[0], arrow[0])}",
            imported=f"handler.{names.get(arrow[1], arrow[1])}",
            as_packages=True,
        )
    ]
    assert wrong == []
