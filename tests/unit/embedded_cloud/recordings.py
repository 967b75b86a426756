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


def _stuck_lines() -> list[list[str]]:
    text = (_FOLDER / "stuck.md").read_text(encoding="utf-8")
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in text.splitlines()]


def stuck_states() -> dict[str, tuple[str, str]]:
    """Give each row's record (status and attach_status) and the status of its entry, or ``none``."""
    rows = {first.partition(" ")[0]: cells for first, *cells in _stuck_lines() if len(cells) > 2}
    states = {row: (cells[0].partition(" ")[0], cells[1]) for row, cells in rows.items()}
    return {row: state for row, state in states.items() if row[1:].isdigit()}


def stuck_calls() -> list[tuple[str, str, str]]:
    """Give each recorded answer to a stuck record: the row, the call, the answer and what it left."""
    lines = _stuck_lines()
    head = next(line for line in lines if line[0] == "#")
    found = []
    for first, *cells in lines:
        row = first.partition(" ")[0]
        if row in stuck_states():
            calls = zip(head[3:], cells[2:], strict=True)
            found += [(row, call, answer.strip("*")) for call, answer in calls if answer != "-"]
    return found
