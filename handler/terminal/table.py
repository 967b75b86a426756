"""Results as a table that fits its width, for whoever reads them on a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from click import style

from handler.errors import ErrorCode
from handler.model.result import ManyResult, Outcome, Result, TargetResult
from handler.model.sent import Via
from handler.terminal.cells import cells_wide, cut, printable
from handler.terminal.reasons import follow_up, reasons, status, verdict

_INDENT = "  "
_GAP = "  "
_SHORTEST_NAME = 8  # cells
_NAMED = 3  # volumes of one error, the rest is counted
_COLOURS = {
    Outcome.DETACHED: "green",
    Outcome.RECOVERED: "green",
    Outcome.WOULD_DETACH: "cyan",
    Outcome.DISPATCHED: "cyan",
    Outcome.REFUSED: "yellow",
    Outcome.UNCONFIRMED: "yellow",
    Outcome.FAILED: "red",
}


class _Column(NamedTuple):
    """`rank` says which columns stay where not all have room: the lowest. Only a name is ever cut."""

    heading: str
    rank: int
    text: Callable[[TargetResult], str | None]
    may_be_cut: bool = False
    to_the_right: bool = False


def _size(part: TargetResult) -> str | None:
    return None if part.disk.size_gb is None else f"{part.disk.size_gb} GB"


def _via(part: TargetResult) -> str | None:
    """What is sent, where it is not the one call that nearly all is about."""
    return None if part.via in {None, Via.OS_DETACH} else part.via.value


def _since(part: TargetResult) -> str | None:
    return part.disk.attached_at and part.disk.attached_at[:16].replace("T", " ")


_PROJECT = _Column("PROJECT", 4, lambda part: part.project_id)
"""Only where all projects are looked at."""

_COLUMNS = (
    _Column("VOLUME", 0, lambda part: part.volume_id),
    _Column("NAME", 2, lambda part: part.disk.name, may_be_cut=True),
    _Column("SIZE", 3, _size, to_the_right=True),
    _Column("SINCE (UTC)", 5, _since),
    _Column("DEVICE", 6, lambda part: part.disk.device),
    _Column("SERVER", 4, lambda part: part.server.id),
    _Column("ATTACHMENT", 8, lambda part: part.attachment_id),
    _Column("STATUS", 7, status),
    _Column("VIA", 2, _via),
    _Column("JOB", 2, lambda part: part.job.state if part.job else None),
    _Column("VERDICT", 1, verdict),
)


def render(result: Result, width: int | None) -> Iterator[str]:
    """A result's lines: a row for each target, what there is to say of each, and of all.

    `width` is in cells of the terminal, None for as wide as it gets. Colours are in the lines.
    """
    parts = result.results if isinstance(result, ManyResult) else (result,)
    shown = [part for part in parts if part.volume_id is not None]
    of_all = isinstance(result, ManyResult) and result.projects is not None
    yield from _table(shown, width, (_PROJECT, *_COLUMNS) if of_all else _COLUMNS)
    yield from errors(result, width)
    for words in filter(None, map(follow_up, shown)):
        yield f"{_INDENT}To follow it: {words}"  # never wrapped: it is to be copied
    if isinstance(result, ManyResult):
        yield from whole(result)
    elif result.error is None and not shown:
        yield f"{_INDENT}{result.outcome.value}"


def _table(parts: Sequence[TargetResult], width: int | None, columns_of: Sequence[_Column]) -> Iterator[str]:
    if not parts:
        return
    columns = {
        column: [printable(column.text(part) or "-") for part in parts]
        for column in columns_of
        if any(column.text(part) for part in parts)
    }
    widths = _widths(columns, width)
    left_out = [column.heading.lower() for column in columns if column not in widths]
    head = [
        column.heading.rjust(cells) if column.to_the_right else column.heading.ljust(cells)
        for column, cells in widths.items()
    ]
    yield style(f"{_INDENT}{_GAP.join(head)}".rstrip(), bold=True)
    for number, part in enumerate(parts):
        cells = []
        for column, wide in widths.items():
            text = cut(columns[column][number], wide)
            padding = " " * (wide - cells_wide(text))
            if column.heading == "VERDICT":
                text = style(text, fg=_COLOURS.get(part.outcome))
            cells.append(padding + text if column.to_the_right else text + padding)
        yield f"{_INDENT}{_GAP.join(cells)}".rstrip()
    if left_out:
        text = f"no room for: {', '.join(left_out)} (--output csv has all)"
        yield from (style(line, dim=True) for line in wrapped(text, width, _INDENT))


def _widths(columns: dict[_Column, list[str]], width: int | None) -> dict[_Column, int]:
    """The columns that have room, in their order, with how many cells each takes."""
    wanted = {
        column: max(cells_wide(text) for text in (column.heading, *texts))
        for column, texts in columns.items()
    }
    if width is None:
        return wanted
    room = width - len(_INDENT) + len(_GAP)
    taken: dict[_Column, int] = {}
    for column in sorted(wanted, key=lambda column: column.rank):
        least = min(wanted[column], _SHORTEST_NAME) if column.may_be_cut else wanted[column]
        if column.rank and room < least + len(_GAP):
            break
        taken[column] = least
        room -= least + len(_GAP)
    for column, cells in taken.items():
        if column.may_be_cut:
            taken[column] = min(wanted[column], cells + max(0, room))
    return {column: taken[column] for column in wanted if column in taken}


def whole(result: ManyResult) -> Iterator[str]:
    """What there is to say of several results as a whole."""
    counts = ", ".join(f"{count} {outcome}" for outcome, count in result.summary.items())
    rest = "" if result.complete else "; not complete"
    yield style(f"{_INDENT}{counts or 'nothing to do'}{rest}", bold=True)
    if result.scanned is not None:
        scanned = result.scanned
        stuck = "" if scanned.stuck is None else f" and {scanned.stuck} stuck records"
        yield (
            f"{_INDENT}{scanned.candidates} candidates{stuck} in {scanned.volumes} volumes, "
            f"{scanned.servers} servers"
        )
        left = [f"{count} {why.replace('_', ' ')}" for why, count in vars(scanned.skipped).items() if count]
        if left:
            yield f"{_INDENT}left alone: {', '.join(left)}"


def errors(result: Result, width: int | None) -> Iterator[str]:
    """Each error once: its code, which volumes met it, what is wrong and what to do, what the cloud said."""
    for reason in reasons([result]):
        error, where = reason.error, ", ".join(reason.volume_ids[:_NAMED])
        if len(reason.volume_ids) > _NAMED:
            where += f" and {len(reason.volume_ids) - _NAMED} more"
        again = " (may pass by itself)" if error.retryable else ""
        head, *rest = wrapped(f"{error.code.value}{again}{f': {where}' if where else ''}", width, _INDENT)
        yield style(head, fg="yellow" if error.code.http == 409 else "red", bold=True)
        yield from rest
        said = [error.message, *reason.details]
        if reason.answer:
            said.append(f"The cloud said: {reason.answer}")
        if error.code is ErrorCode.INTERNAL:
            said.append("Run it again with --verbose for the log.")
        for text in said:
            yield from wrapped(text, width, 2 * _INDENT)


def wrapped(text: str, width: int | None, indent: str) -> list[str]:
    """A text in lines of at most this width, each behind the indent. Ids stay whole, to be copied."""
    text = printable(text)
    if width is None:
        return [f"{indent}{text}"]
    return textwrap.wrap(
        text,
        max(width, 40),
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
