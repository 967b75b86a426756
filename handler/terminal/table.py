"""Results as a table, for whoever reads them on a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from handler.model.result import Error, ManyResult, Result, TargetResult

_HEADINGS = ("OUTCOME", "VOLUME", "ATTACHMENT", "STATUS")


def render(title: str, result: Result) -> str:
    """One result under its title: a row for each attachment, then what there is to say of each."""
    parts = result.results if isinstance(result, ManyResult) else (result,)
    lines = [title]
    rows = [_row(part) for part in parts]
    if rows:
        lines += aligned([_HEADINGS, *rows])
    if isinstance(result, ManyResult):
        lines += whole(result)
    for part in parts:
        if part.error is not None:
            lines.append(said(part.volume_id, part.error))
    lines.append(f"  request {result.request_id}")
    return "\n".join(map(printable, lines))


def _row(part: TargetResult) -> tuple[str, ...]:
    before, after = part.volume_status.before, part.volume_status.after
    status = before if after in {None, before} else f"{before} -> {after}"
    outcome = f"{part.outcome.value} (dry run)" if part.dry_run else part.outcome.value
    return (outcome, part.volume_id or "-", part.attachment_id or "-", status or "-")


def whole(result: ManyResult) -> Iterator[str]:
    """What there is to say of several results as a whole."""
    counts = ", ".join(f"{count} {outcome}" for outcome, count in result.summary.items())
    rest = "" if result.complete else "; not complete"
    yield f"  {counts or 'nothing to do'}{rest}"
    if result.scanned is not None:
        scanned = result.scanned
        yield f"  {scanned.candidates} candidates in {scanned.volumes} volumes, {scanned.servers} servers"
        left = [f"{count} {why.replace('_', ' ')}" for why, count in vars(scanned.skipped).items() if count]
        if left:
            yield f"  left alone: {', '.join(left)}"
    if result.error is not None:
        yield said(None, result.error)


def said(volume_id: str | None, error: Error) -> str:
    """An error, and of which volume."""
    where = f"{volume_id}: " if volume_id else ""
    again = " (may pass by itself)" if error.retryable else ""
    return f"  {where}{error.code.value}{again}: {error.message}"


def aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Rows whose columns stand under each other."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def printable(line: str) -> str:
    """A line without what a cloud's message could steer the terminal by."""
    return "".join(character if character.isprintable() else "?" for character in line)
