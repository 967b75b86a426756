"""Results as a table, for whoever reads them on a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from handler.model import Error, ManyResult, Result, TargetResult

_HEADINGS = ("OUTCOME", "VOLUME", "ATTACHMENT", "STATUS")


def render(title: str, result: Result) -> str:
    """One result under its title: a row for each attachment, then what there is to say of each."""
    parts = result.results if isinstance(result, ManyResult) else (result,)
    lines = [title]
    rows = [_row(part) for part in parts]
    if rows:
        lines += _aligned([_HEADINGS, *rows])
    if isinstance(result, ManyResult):
        lines += _whole(result)
    for part in parts:
        if part.error is not None:
            lines.append(_said(part.volume_id, part.error))
    lines.append(f"  request {result.request_id}")
    return "\n".join(map(_printable, lines))


def _row(part: TargetResult) -> tuple[str, ...]:
    before, after = part.volume_status.before, part.volume_status.after
    status = before if after in {None, before} else f"{before} -> {after}"
    outcome = f"{part.outcome.value} (dry run)" if part.dry_run else part.outcome.value
    return (outcome, part.volume_id or "-", part.attachment_id or "-", status or "-")


def _whole(result: ManyResult) -> Iterator[str]:
    counts = ", ".join(f"{count} {outcome}" for outcome, count in result.summary.items())
    rest = "" if result.complete else "; not complete"
    yield f"  {counts or 'nothing to do'}{rest}"
    if result.scanned is not None:
        scanned = result.scanned
        yield f"  {scanned.candidates} candidates in {scanned.volumes} volumes, {scanned.servers} servers"
    if result.error is not None:
        yield _said(None, result.error)


def _said(volume_id: str | None, error: Error) -> str:
    where = f"{volume_id}: " if volume_id else ""
    again = " (may pass by itself)" if error.retryable else ""
    return f"  {where}{error.code.value}{again}: {error.message}"


def _aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _printable(line: str) -> str:
    # A cloud's message must not steer the terminal that shows it.
    return "".join(character if character.isprintable() else "?" for character in line)
