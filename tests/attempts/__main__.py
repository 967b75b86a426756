"""Hundreds of attempts at what is switched off or forbidden: `python -m tests.attempts`.

After each one all of the project is looked at: not one record or disk may have changed, nothing may have been
sent. At the embedded cloud its guard is off, so that what keeps a disk is the function's own rule. What was
made is kept in build/attempts/, so that the same command goes on where it was ended (`--seconds`), as long as
the code is the same. Ends with 1 where something changed, with 3 where some are left to make.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.attempts.making import Attempts
from tests.attempts.table import CELL_DOWN, KINDS, Attempt, attempts, spread
from tests.contract.case import Home
from tests.contract.embedded import EmbeddedLab
from tests.contract.function import deployments
from tests.contract.lab import Lab
from tests.embedded_cloud import Cloud

ROOT = Path(__file__).parents[2]
CODE = ("handler", "tests/attempts", "tests/contract", "tests/embedded_cloud", "tests/integration/openstack")


def main() -> int:
    """Make them; see the module."""
    parser = argparse.ArgumentParser(prog="python -m tests.attempts", description=__doc__)
    parser.add_argument("--cloud", choices=("embedded", "real"), default="embedded")
    parser.add_argument("--attempts", type=int, default=300, help="how many of each kind, at most")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="end after so long")
    asked = parser.parse_args()
    kept = Kept(ROOT / "build" / "attempts" / f"{asked.cloud}.jsonl")
    rows = [row for row in chosen(asked.cloud, asked.attempts) if row.name not in kept.made]
    ends = time.monotonic() + asked.seconds
    with contextlib.ExitStack() as until:
        lab = until.enter_context(cloud(asked.cloud))
        folder = until.enter_context(tempfile.TemporaryDirectory())
        functions = until.enter_context(deployments(Path(folder)))
        project = until.enter_context(contextlib.closing(Attempts(Home(lab, functions))))
        for made in until.enter_context(contextlib.closing(project.make(rows))):
            kept.add(made.attempt, made.said, "" if made.harmless else f"{made.sent} {made.changed}")
            if time.monotonic() > ends:
                break
    return told(kept, chosen(asked.cloud, asked.attempts), asked.cloud)


def chosen(cloud: str, wanted: int) -> list[Attempt]:
    """So many of each kind, those about one scene side by side, so that it is staged once."""
    further = (CELL_DOWN,) if cloud == "embedded" else ()
    rows = [row for kind in KINDS for row in spread(list(attempts(kind, *further)), wanted)]
    order = {row.scene: number for number, row in reversed(list(enumerate(rows)))}
    return sorted(rows, key=lambda row: order[row.scene])


def told(kept: Kept, rows: list[Attempt], cloud: str) -> int:
    """Say how many were made and what changed; give the exit code."""
    made = Counter(row.kind for row in rows if row.name in kept.made)
    wrong = [(row.name, kept.made[row.name]) for row in rows if kept.made.get(row.name)]
    for kind in KINDS:
        print(f"{cloud}, {kind}: {made[kind]} of {sum(row.kind == kind for row in rows)} attempts made")
    for name, what in wrong:
        print(f"CHANGED {name}: {what}")
    print(f"{len(wrong)} changed anything")
    if wrong:
        return 1
    return 0 if sum(made.values()) == len(rows) else 3


@contextlib.contextmanager
def cloud(name: str) -> Iterator[Lab]:
    """The cloud to make them at."""
    if name == "embedded":
        with Cloud() as embedded:
            embedded.asks_compute = False
            yield EmbeddedLab(embedded)
    else:
        from tests.contract.real import RealLab  # noqa: PLC0415 (the rig is Linux's; not everybody needs it)
        from tests.integration.openstack import borrow  # noqa: PLC0415 (the same)

        with borrow() as openstack:
            yield RealLab(openstack)


class Kept:
    """What was made of one state of the code, a line each."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.made: dict[str, str] = {}
        code = _hash()
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        if lines and json.loads(lines[0]) == code:
            self.made = {name: wrong for name, _, wrong in map(json.loads, lines[1:])}
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(code) + "\n", encoding="utf-8")

    def add(self, attempt: Attempt, said: str, wrong: str) -> None:
        """Keep one; `wrong` is empty where nothing changed."""
        self.made[attempt.name] = wrong
        line: list[Any] = [attempt.name, said, wrong]
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


def _hash() -> str:
    digest = hashlib.sha256()
    for folder in CODE:
        for path in sorted((ROOT / folder).rglob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()


if __name__ == "__main__":
    sys.exit(main())
