"""Prints the notes of a release, the changelog's section; ends with 1 where tag, version and it disagree.

python -m infra.supply.release v1.0.0
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from handler import __version__

CHANGELOG = Path(__file__).resolve().parents[2] / "CHANGELOG.md"


class NotReady(Exception):
    """What is tagged is not what is to be released."""


def notes(tag: str, version: str, changelog: str) -> str:
    """Give the changelog's section of a version. Raises NotReady."""
    if tag != f"v{version}":
        raise NotReady(f"the tag is {tag}, the version is {version}")
    sections = re.split(r"^## ", changelog, flags=re.MULTILINE)
    found = dict(part.split("\n", 1) for part in sections[1:])
    if found.get("[Unreleased]", "").strip():
        raise NotReady("the changelog still has changes under Unreleased")
    for title, text in found.items():
        if re.fullmatch(rf"\[{re.escape(version)}\] - \d{{4}}-\d{{2}}-\d{{2}}", title):
            return str(text).strip() + "\n"
    raise NotReady(f"the changelog has no section of {version} with its date")


def main() -> int:
    """Read the command line, print the notes; 0 when all agree."""
    (tag,) = sys.argv[1:]
    try:
        sys.stdout.write(notes(tag, __version__, CHANGELOG.read_text(encoding="utf-8")))
    except NotReady as reason:
        print(f"release: {reason}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
