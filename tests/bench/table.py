"""What was measured, as a table: each row a ratio of two medians, its bound and whether it holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

HEAD = ("", "ours", "compared with", "ratio", "target", "verdict")


@dataclass(frozen=True)
class Row:
    """One ratio: ours over what it is compared with. Without a bound it is there for information.

    `other` is a peer's figure in the unit of a plot, where it is drawn.
    """

    what: str
    ours: str
    compared: str
    ratio: float
    at_most: float | None = None
    at_least: float | None = None
    other: float | None = None

    @property
    def target(self) -> str:
        if self.at_most is not None:
            return f"<= {self.at_most:.2f}"
        return f">= {self.at_least:.2f}" if self.at_least is not None else ""

    @property
    def missed(self) -> bool:
        over = self.at_most is not None and self.ratio > self.at_most
        return over or (self.at_least is not None and self.ratio < self.at_least)

    @property
    def verdict(self) -> str:
        if self.at_most is None and self.at_least is None:
            return ""
        return "MISSED" if self.missed else "met"

    @property
    def cells(self) -> tuple[str, ...]:
        """What stands in its line, under `HEAD`."""
        return self.what, self.ours, self.compared, f"{self.ratio:.2f}", self.target, self.verdict


def show(rows: Sequence[Row]) -> str:
    """The table as text."""
    cells = [HEAD, *(row.cells for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(HEAD))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in cells]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(line.rstrip() for line in lines)
