"""Reads the recorded tables beside it: each row a case with what a real cloud answered."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_FOLDER = Path(__file__).parent / "recorded"


@dataclass(frozen=True, slots=True)
class Row:
    number: int
    cells: tuple[str, ...]

    @property
    def name(self) -> str:
        return f"{self.number}. {self.cells[0]}"


def rows(file: str) -> list[Row]:
    found = []
    for line in (_FOLDER / file).read_text(encoding="utf-8").splitlines():
        first, *cells = (cell.strip() for cell in line.strip().strip("|").split(" | "))
        if first.isdigit():
            found.append(Row(int(first), tuple(cell.strip("`") for cell in cells)))
    return found


def record(file: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((_FOLDER / file).read_text(encoding="utf-8"))
    return content


def state_of(cell: str) -> tuple[str, int]:
    """Read a state like ``in-use/attached, 1 attachment``: the status and how many attachments."""
    status, _, count = cell.partition(", ")
    return status.partition("/")[0], int(count.split()[0])
