"""CHANGELOG.md has the form that Keep a Changelog 1.1 describes."""

from __future__ import annotations

import re

from handler import __version__
from tests.unit.pages import Page

CHANGELOG = Page("CHANGELOG.md")
KINDS = ["Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"]
RELEASE = re.compile(r"\[(\d+\.\d+\.\d+)\] - \d{4}-\d{2}-\d{2}")


def test_each_release_has_its_changes_by_kind_in_order() -> None:
    _, *releases = re.split(r"^## ", CHANGELOG.text, flags=re.MULTILINE)
    titles = [release.splitlines()[0] for release in releases]
    assert titles[0] == "[Unreleased]"
    assert [title for title in titles[1:] if not RELEASE.fullmatch(title)] == []
    for release in releases:
        kinds = re.findall(r"^### (.+)$", release, re.MULTILINE)
        assert kinds == [kind for kind in KINDS if kind in kinds]


def test_each_change_is_an_entry_of_a_kind() -> None:
    _, *kinds = re.split(r"^### ", CHANGELOG.text, flags=re.MULTILINE)
    assert kinds
    for kind in kinds:
        lines = [line for line in kind.splitlines()[1:] if line and not line.startswith("## ")]
        assert lines
        assert [line for line in lines if not re.match(r"(- |  )\S", line)] == []


def test_the_newest_release_is_the_version() -> None:
    released = RELEASE.findall(CHANGELOG.text)
    assert released == [] or released[0] == __version__
