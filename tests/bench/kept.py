"""What was measured last of each part: kept in a file, so that one part can be measured again by itself."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.bench.processes import ROOT
from tests.bench.table import Row

RESULTS = ROOT / "build" / "bench" / "results.json"


@dataclass(frozen=True)
class Part:
    """The rows of one part, the day on which they were measured (UTC), and on what."""

    day: str
    machine: str
    rows: tuple[Row, ...]


def measured(rows: Sequence[Row]) -> Part:
    """What was measured here and now."""
    system = f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"
    day = time.strftime("%Y-%m-%d", time.gmtime())
    return Part(day, f"{os.cpu_count()} cores, {system}", tuple(rows))


def read(file: Path = RESULTS) -> dict[str, Part]:
    """The parts of a file, none where there is no such file."""
    if not file.exists():
        return {}
    return parts_of(json.loads(file.read_text(encoding="utf-8")))


def parts_of(found: Mapping[str, Mapping[str, Any]]) -> dict[str, Part]:
    """The parts that JSON says."""
    return {
        name: Part(part["day"], part["machine"], tuple(Row(**row) for row in part["rows"]))
        for name, part in found.items()
    }


def write(parts: Mapping[str, Part], file: Path = RESULTS) -> None:
    """Keep these parts, and no others."""
    file.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps({name: asdict(part) for name, part in parts.items()}, indent=1)
    file.write_text(text + "\n", encoding="utf-8")
