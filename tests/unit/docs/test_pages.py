"""Every page: what it leads to is there, and nothing in the project cites a page that is not."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

import pytest

from tests.unit.pages import PAGES, ROOT, Page

EVERY = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.path)
CITING = ("handler", "tests", "infra", "events", "docs", ".github", ".ci")
CITED = re.compile(r"(?<![\w/.-])((?:docs|\.github|events|infra)/[\w./-]+\.(?:md|ya?ml))(?:#([\w-]+))?")


def test_the_pages_are_those_of_the_project() -> None:
    assert {"README.md", "CHANGELOG.md", "docs/contract.md", "docs/operating.md", "events/README.md"} <= {
        page.path for page in PAGES
    }


def leads_somewhere(page: Page, link: str) -> bool:
    path, _, anchor = link.partition("#")
    target = (ROOT / page.path).parent / path if path else ROOT / page.path
    if not target.exists():
        return False
    return not anchor or anchor in Page(target.resolve().relative_to(ROOT).as_posix()).anchors


@EVERY
def test_every_link_leads_to_a_file_and_a_heading_that_exist(page: Page) -> None:
    assert [link for link in page.links if not leads_somewhere(page, link)] == []


def test_a_link_to_nowhere_is_found() -> None:
    page = Page("docs/contract.md")
    links = ["../README.md#what-a-404-cant-say", "#proof", "operating.md", "nowhere.md", "#nowhere"]
    assert [leads_somewhere(page, link) for link in links] == [True, True, True, False, False]


@EVERY
def test_every_make_target_that_is_named_exists(page: Page) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert page.make_targets <= targets


def test_every_page_that_the_code_cites_exists() -> None:
    sources = [
        path
        for folder in CITING
        for path in (ROOT / folder).rglob("*")
        if path.suffix in {".py", ".toml", ".md", ".yaml", ".yml", ".tf"} and path.is_file()
    ]
    sources += [ROOT / name for name in ("pyproject.toml", "Makefile", "README.md")]
    found = [(path, *match) for path in sources for match in CITED.findall(path.read_text(encoding="utf-8"))]
    assert any(name == "docs/contract.md" for _, name, _ in found)
    missing = []
    for path, name, anchor in found:
        # what a page of a folder cites may be meant from there
        homes = [home for home in (ROOT, path.parent) if (home / name).exists()]
        if not homes or (anchor and anchor not in Page(PurePosixPath(name).as_posix()).anchors):
            missing.append((str(path.relative_to(ROOT)), name, anchor))
    assert missing == []
