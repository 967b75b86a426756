"""The plots of what was measured, as SVG: the same figures give the same text."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from itertools import pairwise

from tests.bench.chain import CASES, LATENCY
from tests.bench.peers import OURS
from tests.bench.table import Row

_WIDTH, _LABELS, _EDGE = 760, 250, 24
_BAR, _GAP = 16, 10
_BLUE, _GREY, _RED, _INK, _LINE = "#1f6feb", "#9aa4af", "#c93c37", "#1f2328", "#d0d7de"
_PANEL = 300


def _page(height: float, title: str, parts: Sequence[str]) -> str:
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height:g}" '
        f'viewBox="0 0 {_WIDTH} {height:g}" font-family="sans-serif" font-size="12" fill="{_INK}" role="img">'
    )
    frame = f'<rect width="{_WIDTH}" height="{height:g}" fill="#ffffff"/>'
    name = f"<title>{html.escape(title)}</title>"
    shown = _text(_EDGE, _EDGE + 4, title, size=15)
    return "\n".join([head, name, frame, shown, *parts, "</svg>", ""])


def _text(x: float, y: float, words: str, *, anchor: str = "start", size: int = 12, ink: str = _INK) -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" fill="{ink}"'
    return f"<text {place}>{html.escape(words)}</text>"


def _stroke(x: float, y: float, to_x: float, to_y: float, ink: str, width: float = 1) -> str:
    ends = f'x1="{x:.1f}" y1="{y:.1f}" x2="{to_x:.1f}" y2="{to_y:.1f}"'
    return f'<line {ends} stroke="{ink}" stroke-width="{width:g}"/>'


def waited(rows: Sequence[Row]) -> str:
    """How many answers each case waits for, beside how many hang on each other, and beside the peers'."""
    most = math.ceil(max(max(row.ratio, row.other or 0) for row in rows))
    wide = (_WIDTH - _LABELS - 3 * _EDGE) / most
    parts: list[str] = []
    y = 56.0
    bounded = [row for row in rows if row.at_most is not None]
    for case, row in zip(CASES, bounded, strict=True):
        peers = [peer for peer in rows if peer.at_most is None and peer.what.strip() == case.what]
        bars = [(OURS, row.ratio, _BLUE)]
        bars += [(peer.compared.split("  ")[1], peer.other or 0, _GREY) for peer in peers]
        top = y
        for name, answers, ink in bars:
            label = row.what.removeprefix("(h) ") if ink == _BLUE else name
            parts.append(_text(_LABELS + _EDGE - 8, y + 12, label, anchor="end"))
            place = f'x="{_LABELS + _EDGE}" y="{y:.1f}" width="{answers * wide:.1f}" height="{_BAR}"'
            parts.append(f'<rect {place} fill="{ink}"/>')
            parts.append(_text(_LABELS + _EDGE + answers * wide + 5, y + 12, f"{answers:.2f}"))
            y += _BAR + 3
        x = _LABELS + _EDGE + case.physical * wide
        parts.append(_stroke(x, top - 3, x, y, _RED, 2))
        y += _GAP
    parts.append(_text(_EDGE, y + 10, "red: how many answers hang on each other; grey: peers", ink=_RED))
    title = f"Answers of the cloud that are waited for, one after the other ({LATENCY * 1000:.0f} ms each)"
    return _page(y + _EDGE, title, parts)


def growth(swept: Sequence[Mapping[str, float]]) -> str:
    """Seconds and memory of a sweep, by volumes, both axes by powers of ten."""
    seconds = [[one["volumes"], one["seconds"]] for one in swept]
    ideal = [[one["volumes"], one["ideal_seconds"]] for one in swept]
    peaks = [[one["volumes"], one["peak_mib"]] for one in swept]
    parts = _panel(0, "seconds", {"sweep": (seconds, _BLUE), "the cloud's answers alone": (ideal, _GREY)})
    parts += _panel(1, "peak memory, MiB", {"sweep": (peaks, _BLUE)})
    return _page(_PANEL + 64, "A sweep, by how many volumes there are", parts)


def _panel(number: int, what: str, lines: Mapping[str, tuple[list[list[float]], str]]) -> list[str]:
    wide = (_WIDTH - 5 * _EDGE) / 2 - 30
    left, top = _EDGE + 34 + number * (wide + 2 * _EDGE + 30), 66
    points = [point for line, _ in lines.values() for point in line]
    (low_x, high_x), (low_y, high_y) = (
        (math.floor(math.log10(min(values))), math.ceil(math.log10(max(values))))
        for values in ([point[axis] for point in points] for axis in (0, 1))
    )

    def x_of(value: float) -> float:
        return left + (math.log10(value) - low_x) / max(1, high_x - low_x) * wide

    def y_of(value: float) -> float:
        return top + _PANEL - 40 - (math.log10(value) - low_y) / max(1, high_y - low_y) * (_PANEL - 40)

    bottom = y_of(10.0**low_y)
    parts = [_text(left, top - 10, what)]
    for power in range(low_x, high_x + 1):
        x = x_of(10.0**power)
        parts += [
            _stroke(x, top, x, bottom, _LINE),
            _text(x, bottom + 16, f"{10**power:,}", anchor="middle", size=9),
        ]
    for power in range(low_y, high_y + 1):
        y = y_of(10.0**power)
        parts += [
            _stroke(left, y, left + wide, y, _LINE),
            _text(left - 5, y + 4, f"{10.0**power:g}", anchor="end"),
        ]
    for place, (name, (line, ink)) in enumerate(lines.items()):
        for (x, y), (to_x, to_y) in pairwise(line):
            parts.append(_stroke(x_of(x), y_of(y), x_of(to_x), y_of(to_y), ink, 2))
        parts += [f'<circle cx="{x_of(x):.1f}" cy="{y_of(y):.1f}" r="3" fill="{ink}"/>' for x, y in line]
        parts.append(_text(left + 8, top + 14 + 15 * place, name, ink=ink))
    return parts
