"""docs/performance.md, its plots and the README's line show what docs/performance.json says, nothing else."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from itertools import pairwise
from xml.etree import ElementTree as ET

import pytest

from tests.bench import kept, page, plots
from tests.bench.chain import CASES
from tests.bench.rows import PARTS
from tests.bench.table import Row
from tests.unit.pages import ROOT, Page

PERFORMANCE = Page("docs/performance.md")


@pytest.fixture(scope="module")
def measured() -> page.Measured:
    return page.read()


def test_what_is_shown_is_what_was_measured(measured: page.Measured) -> None:
    """`make performance` changes nothing."""
    for file, text in page.made(measured).items():
        assert file.read_text(encoding="utf-8") == text, file.name


def test_every_part_was_measured_and_is_shown(measured: page.Measured) -> None:
    assert set(measured.parts) == set(PARTS) == set(page.SAID)
    assert [name for name in PARTS if f"`python -m tests.bench {name}`" not in PERFORMANCE.text] == []


def test_a_missed_bound_is_said_to_be_missed(measured: page.Measured) -> None:
    rows = [row for part in measured.parts.values() for row in part.rows]
    lines = [line for line in PERFORMANCE.text.splitlines() if line.startswith("| (")]

    assert len(lines) == len([row for row in rows if row.what.startswith("(")])
    assert len([line for line in lines if line.endswith("| MISSED |")]) == len(
        [row for row in rows if row.missed]
    )


def test_the_readme_says_what_was_measured(measured: page.Measured) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (line,) = re.findall(r"^- \*\*Fast where people wait\.\*\*.*$", readme, re.MULTILINE)
    what = "(h) one target, warm, its server's id given"
    (ratio,) = [row.ratio for row in measured.parts["chain"].rows if row.what == what]
    assert f"{ratio:.2f} answers of the cloud" in line


def test_the_growth_goes_to_a_million(measured: page.Measured) -> None:
    assert {one["volumes"] for one in measured.growth} >= {100, 1_000_000}


def _row(what: str, ratio: float, *, at_most: float | None = None, other: float | None = None) -> Row:
    return Row(what, "1.00 s", "2.00 s  requests", ratio, at_most, other=other)


def _parts(svg: str) -> list[ET.Element]:
    return [*ET.fromstring(svg).iter()]  # noqa: S314 (it is ours)


def test_a_plot_is_well_formed_and_shows_each_figure() -> None:
    rows = [_row(f"(h) {case.what}", 1.5 + number, at_most=9) for number, case in enumerate(CASES)]
    rows.append(_row(f"    {CASES[0].what}", 0.5, other=8.25))

    shown = plots.waited(rows)

    texts = {part.text for part in _parts(shown) if part.text}
    assert {f"{row.ratio:.2f}" for row in rows if row.at_most} | {"8.25", "requests"} <= texts
    assert shown == plots.waited(rows)
    assert shown != plots.waited([replace(rows[0], ratio=2.0), *rows[1:]])


def test_a_sweep_s_growth_is_drawn_by_powers_of_ten() -> None:
    swept = [
        {
            "volumes": 10**power,
            "seconds": 10.0 ** (power - 3),
            "ideal_seconds": 0.01,
            "peak_mib": 50.0 + power,
        }
        for power in range(2, 7)
    ]

    drawn = _parts(plots.growth(swept))

    circles = [part for part in drawn if part.tag.endswith("circle")]
    assert len(circles) == 3 * len(swept)
    across = [float(circle.attrib["cx"]) for circle in circles[: len(swept)]]
    steps = [round(after - before, 1) for before, after in pairwise(across)]
    assert steps == [steps[0]] * len(steps)
    assert "1,000,000" in {part.text for part in drawn}


def test_what_is_kept_is_read_again(tmp_path_factory: pytest.TempPathFactory) -> None:
    file = tmp_path_factory.mktemp("bench") / "kept" / "results.json"
    assert kept.read(file) == {}
    parts = {"calls": kept.measured([_row("(b) four calls", 0.5, at_most=0.5), _row("    others", 2.0)])}

    kept.write(parts, file)

    assert kept.read(file) == parts
    assert json.loads(file.read_text(encoding="utf-8"))["calls"]["rows"][0]["at_most"] == 0.5


@pytest.mark.parametrize(
    ("row", "verdict"),
    [
        (Row("a", "", "", 0.5, at_most=0.5), "met"),
        (Row("a", "", "", 0.51, at_most=0.5), "MISSED"),
        (Row("a", "", "", 2.0, at_least=2.0), "met"),
        (Row("a", "", "", 1.99, at_least=2.0), "MISSED"),
        (Row("a", "", "", 9.0), ""),
    ],
)
def test_a_bound_is_met_or_missed(row: Row, verdict: str) -> None:
    assert row.verdict == verdict
