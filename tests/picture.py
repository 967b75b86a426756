"""Makes docs/terminal.svg: a terminal with the command at work, from a real run at the embedded cloud.

    python -m tests.picture

The run is of its own making each time, and the picture is the same each time: ids and moments are fixed.
"""

from __future__ import annotations

import html
import os
import pty
import re
import subprocess
import sys
import uuid
from pathlib import Path
from random import Random

from tests.embedded_cloud import Attachment, Cloud
from tests.unit.deployment import ROOT

FILE = ROOT / "docs" / "terminal.svg"
COLUMNS = 116
COMMANDS = ("sweep", "sweep --apply --limit 2")

_CELL, _LINE, _SIZE, _EDGE = 8.4, 20, 14, 18  # pixels
_SGR = re.compile(r"\x1b\[([0-9;]*)m")
_OTHER = re.compile(r"\x1b\[[0-9;?]*[A-Za-ln-z]")
_CALL = re.compile(r"\d\d:\d\d:\d\dZ chang(ing|ed) ")
_COLOURS = {"31": "#ff7b72", "32": "#56d364", "33": "#e3b341", "36": "#76e3ea"}
_FONTS = "ui-monospace, SFMono-Regular, Menlo, Consolas, DejaVu Sans Mono, monospace"
_DISKS = (
    ("db-data-01", 500, "/dev/vdb", "2026-03-02T08:14:00.000000"),
    ("build-cache", 100, "/dev/vdc", "2026-05-19T17:40:00.000000"),
    ("pg-wal-archive", 40, "/dev/vdb", "2026-09-30T23:05:00.000000"),
)


def run() -> list[tuple[str, list[str]]]:
    """Each command, and the lines that it wrote to its terminal, with their colours."""
    random = Random(2026)

    def some_id() -> str:
        return str(uuid.UUID(int=random.getrandbits(128), version=4))

    with Cloud() as cloud:
        for _ in range(24):
            cloud.add_volume(some_id(), attachments=[cloud.add_server(some_id())])
        for name, size, device, attached_at in _DISKS:
            attachment = Attachment(some_id(), some_id(), device, attached_at)
            cloud.add_volume(some_id(), attachments=[attachment], name=name, size=size)
        return [(words, _typed(cloud, words)) for words in COMMANDS]


def _typed(cloud: Cloud, words: str) -> list[str]:
    leader, follower = pty.openpty()
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("DETACH_", "NO_COLOR"))},
        **cloud.environment(),
        "DETACH_TOKEN_SECRET": "env:TOKEN",
        "TOKEN": cloud.token(),
        "COLUMNS": str(COLUMNS),
    }
    command = [sys.executable, "-m", "handler", *words.split()]
    said = b""
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=follower, stderr=follower) as process:
        os.close(follower)
        try:
            while part := os.read(leader, 65536):
                said += part
        except OSError:
            pass  # as Linux says that nobody holds the other end
        process.wait(60)
    os.close(leader)
    lines = _OTHER.sub("", said.decode()).replace("\r\n", "\n").rstrip("\n").split("\n")
    shown = [line.rpartition("\r")[2].rstrip() for line in lines]
    return [line for line in shown if not _CALL.search(line)]  # each is wider than the picture


def svg(runs: list[tuple[str, list[str]]]) -> str:
    """The picture of a terminal that shows them."""
    lines = []
    for words, said in runs:
        lines += [f"\x1b[32m$\x1b[0m \x1b[1mevs-detach {words}\x1b[0m", *said, ""]
    lines.pop()
    wide = round(COLUMNS * _CELL + 2 * _EDGE)
    high = len(lines) * _LINE + 2 * _EDGE + 26
    drawn = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {high}" role="img"',
        f'  font-family="{_FONTS}" font-size="{_SIZE}" fill="#e6edf3">',
        "<title>evs-detach sweep finds three disks whose servers are gone, and clears two of them</title>",
        f'<rect width="{wide}" height="{high}" rx="8" fill="#0d1117"/>',
        *(f'<circle cx="{_EDGE + 20 * n}" cy="20" r="6" fill="#30363d"/>' for n in range(3)),
    ]
    for number, line in enumerate(lines):
        drawn += _drawn(line, _EDGE + 26 + number * _LINE + _SIZE)
    return "\n".join([*drawn, "</svg>", ""])


def _drawn(line: str, y: int) -> list[str]:
    """The parts of a line, each of one look. Every part is as wide as its cells, whatever font there is."""
    drawn, at, look = [], 0, ""
    for number, part in enumerate(_SGR.split(line)):
        if number % 2:
            look = _look(part, look)
        elif part:
            blank = len(part) - len(part.lstrip())
            text = part.strip()
            x = _EDGE + (at + blank) * _CELL
            if text:
                drawn.append(
                    f'<text x="{x:.1f}" y="{y}" textLength="{len(text) * _CELL:.1f}" '
                    f'xml:space="preserve"{look}>{html.escape(text)}</text>'
                )
            at += len(part)
    return drawn


def _look(codes: str, look: str) -> str:
    for code in codes.split(";"):
        if code in {"", "0"}:
            look = ""
        elif code == "1":
            look += ' font-weight="bold"'
        elif code == "2":
            look += ' opacity="0.6"'
        else:
            look += f' fill="{_COLOURS[code]}"'
    return look


def main(path: Path = FILE) -> None:
    """Draw it."""
    path.write_text(svg(run()), encoding="utf-8")


if __name__ == "__main__":
    main()
