"""Puts what was measured into the documentation: ``python -m tests.bench.page`` (or `make performance`).

What `make bench` kept in build/bench/ is taken into docs/performance.json; the tables and plots of
docs/performance.md and the README's line are made from that file, and from nothing else.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.bench import kept, plots
from tests.bench.processes import ROOT
from tests.bench.table import HEAD, Row

FILE = ROOT / "docs" / "performance.json"
PAGE = ROOT / "docs" / "performance.md"
README = ROOT / "README.md"
GROWTH = ROOT / "build" / "bench" / "sweep-growth.json"

_BETWEEN = re.compile(r"(<!-- measured -->\n).*?(<!-- /measured -->)", re.DOTALL)
_LINE = re.compile(r"^- \*\*Fast where people wait\.\*\*.*$", re.MULTILINE)

SAID = {
    "chain": "Answers waited for, one after the other",
    "start": "Start of a process",
    "calls": "The four calls of one target",
    "served": "Served by functions-framework",
    "sweep": "Sweep of one project",
    "growth": "A sweep's growth",
    "memory": "What is billed: the peak of a function's processes",
    "cloud": "Sweep of all projects",
}
"""Each part by what it measures, in the page's order."""


@dataclass(frozen=True)
class Measured:
    """All that the page is made from."""

    parts: Mapping[str, kept.Part]
    growth: tuple[Mapping[str, float], ...] = ()


def read(file: Path = FILE) -> Measured:
    """What docs/performance.json says."""
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return Measured(kept.parts_of(found["parts"]), tuple(found["growth"]))


def grown() -> tuple[Mapping[str, float], ...]:
    """What the last sweeps of growing projects gave; nothing where there was none."""
    return tuple(json.loads(GROWTH.read_text(encoding="utf-8"))) if GROWTH.exists() else ()


def made(measured: Measured) -> dict[Path, str]:
    """The text of each file that is made from it."""
    plain = {
        "parts": {name: asdict(part) for name, part in measured.parts.items()},
        "growth": measured.growth,
    }
    files = {
        FILE: json.dumps(plain, indent=1) + "\n",
        PAGE: _BETWEEN.sub(lambda at: at[1] + _tables(measured) + at[2], PAGE.read_text(encoding="utf-8")),
        README: _LINE.sub(lambda _: _line(measured), README.read_text(encoding="utf-8")),
    }
    return {**files, **{FILE.parent / name: text for name, text in drawn(measured).items()}}


def drawn(measured: Measured) -> dict[str, str]:
    """The plots of what there is, by the names of their files."""
    found = {}
    if "chain" in measured.parts:
        found["chain.svg"] = plots.waited(measured.parts["chain"].rows)
    if measured.growth:
        found["sweep-growth.svg"] = plots.growth(measured.growth)
    return found


def _tables(measured: Measured) -> str:
    text = ""
    for name, said in SAID.items():
        part = measured.parts.get(name)
        if part is None:
            continue
        text += f"\n### {said}\n\n`python -m tests.bench {name}` on {part.day}: {part.machine}.\n\n"
        text += _table(part.rows)
        if name == "growth" and measured.growth:
            text += "\n![Seconds and memory of a sweep, by how many volumes there are](sweep-growth.svg)\n"
    return text + "\n"


def _table(rows: tuple[Row, ...]) -> str:
    lines = [HEAD, ("---",) * len(HEAD), *(row.cells for row in rows)]
    return "".join(
        "| " + " | ".join(cell.strip().replace("|", "\\|") for cell in line) + " |\n" for line in lines
    )


def _line(measured: Measured) -> str:
    waits = {row.what: row.ratio for row in measured.parts["chain"].rows if row.at_most is not None}
    event, fresh = (
        waits[f"(h) {what}, its server's id given"] for what in ("one target, warm", "first event")
    )
    (counted,) = [row for row in measured.parts["calls"].rows if "instructions" in row.what]
    return (
        f"- **Fast where people wait.** An event that names its server waits for {event:.2f} answers of "
        f"the cloud, one after the other ({fresh:.2f} in a fresh process, its token included); the four "
        f"calls take {counted.ratio:.2f} of what `requests.Session` takes, in instructions. What was "
        "measured, beside which peers, and where a bound is missed: "
        "[docs/performance.md](docs/performance.md); again by `make bench`."
    )


def main() -> None:
    parts = {**(read().parts if FILE.exists() else {}), **kept.read()}
    for file, text in made(Measured(parts, grown() or read().growth)).items():
        file.write_text(text, encoding="utf-8")
        print(file.relative_to(ROOT))


if __name__ == "__main__":
    main()
