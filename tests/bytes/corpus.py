"""The corpus: by reader a file of lines, each the base64 of bytes that once led somewhere new."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from pathlib import Path

FOLDER = Path(__file__).resolve().parent / "corpus"
MOST = 1_000_000
"""Bytes that all files may have together."""

_SHARE = 200_000
"""Bytes that a reader's file may have: most need much less."""

_LONGEST = 4096  # bytes of one input that is kept


def read(reader: str) -> list[bytes]:
    """The kept inputs of a reader, the shortest first."""
    path = FOLDER / f"{reader}.txt"
    return [base64.b64decode(line) for line in path.read_text(encoding="ascii").splitlines()]


def write(reader: str, inputs: Iterable[bytes]) -> int:
    """Keep inputs, the shortest first, as many as there is room for. How many."""
    lines: list[bytes] = []
    others = sum(path.stat().st_size for path in FOLDER.glob("*.txt") if path.stem != reader)
    room = min(_SHARE, MOST - 1 - others)
    for data in sorted(set(inputs), key=lambda data: (len(data), data)):
        line = base64.b64encode(data)
        room -= len(line) + 1
        if len(data) > _LONGEST or room < 0:
            break
        lines.append(line)
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / f"{reader}.txt").write_bytes(b"".join(line + b"\n" for line in lines))
    return len(lines)


def unpack(reader: str, folder: Path) -> None:
    """Lay a reader's inputs out as files, as the fuzzer wants them."""
    folder.mkdir(parents=True, exist_ok=True)
    for data in read(reader):
        (folder / hashlib.sha1(data, usedforsecurity=False).hexdigest()).write_bytes(data)


def pack(reader: str, folder: Path) -> int:
    """Keep what the fuzzer has left there."""
    return write(reader, [path.read_bytes() for path in folder.iterdir() if path.is_file()])
