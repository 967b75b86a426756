"""A page of the project's own documentation, and what it shows."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_FENCE = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Page:
    """A Markdown page, named by its path in the project."""

    path: str

    @cached_property
    def text(self) -> str:
        return (ROOT / self.path).read_text(encoding="utf-8")

    def table(self, name: str) -> list[list[str]]:
        """The rows of the table under the comment that names it, cells without marks."""
        text = self.text.split(f"<!-- table: {name} -->\n")[1].split("\n\n")[0]
        rows = [line.strip("|").split("|") for line in text.splitlines()[2:]]
        return [[cell.strip().replace("`", "") for cell in row] for row in rows]

    def blocks(self, language: str) -> list[str]:
        """The bodies of the fenced blocks of a language."""
        return re.findall(rf"^```{language}\n(.*?)^```$", self.text, re.DOTALL | re.MULTILINE)

    @property
    def links(self) -> list[str]:
        """Where its links lead within the project: a path, an anchor, or both."""
        return re.findall(r"\]\((?!https?:)([^)\s]+)\)", _FENCE.sub("", self.text))

    @property
    def anchors(self) -> set[str]:
        """The anchors that a Markdown host makes of its headings."""
        headings = re.findall(r"^#+ (.+)$", _FENCE.sub("", self.text), re.MULTILINE)
        return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}

    @property
    def make_targets(self) -> set[str]:
        """The targets of the Makefile that it tells people to make."""
        return {
            *re.findall(r"`make ([a-z]+)`", self.text),
            *re.findall(r"^ *make ([a-z]+)", self.text, re.MULTILINE),
        }


PAGES = [
    Page(path.relative_to(ROOT).as_posix())
    for pattern in ("*.md", ".github/**/*.md", "docs/**/*.md", "events/**/*.md", "infra/**/README.md")
    for path in sorted(ROOT.glob(pattern))
]
"""All that people read of it, the pages of the tests left out."""
