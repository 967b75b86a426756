"""A report as Markdown, for a ticket or a merge request."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from handler.model.result import TargetResult
from handler.terminal.account import Account
from handler.terminal.cells import markdown_cell, markdown_code, markdown_table_cell
from handler.terminal.reasons import status_and_job, verdict
from handler.terminal.reports import content


def report(account: Account) -> str:
    """The whole of it."""
    return "\n".join(_lines(account)) + "\n"


def _lines(account: Account) -> Iterator[str]:
    yield f"# EVS detach: {account.command}"
    yield from ("", f"**{markdown_cell(content.headline(account))}**")
    if content.dry_run(account):
        yield from ("", "A dry run: nothing was changed.")
    for note in account.notes:
        yield from ("", f"> {markdown_cell(note)}")
    yield ""
    yield from _table(("", ""), [(name, _code(value)) for name, value in content.facts(account)])
    looked = content.scanned(account)
    if looked:
        yield from ("", "## What was looked through", "")
        yield from _table(("", "how many"), [(name, str(count)) for name, count in looked])
    if account.parts:
        yield from ("", "## What was found and done", "")
        head = (
            "verdict",
            "volume",
            "name",
            "size",
            "attached since",
            "server",
            "device",
            "attachment",
            "status",
        )
        yield from _table(head, map(_row, account.parts))
    yield from _why_not(account)
    yield from ("", "## What to do next", "")
    yield from (
        f"{number}. {markdown_cell(step)}" for number, step in enumerate(content.next_steps(account), 1)
    )
    ids = content.request_ids(account)
    if ids:
        yield from ("", "## The cloud's request ids", "")
        yield from (f"- {_code(each)}" for each in ids)


def _row(part: TargetResult) -> Sequence[str]:
    disk = part.disk
    size = "" if disk.size_gb is None else f"{disk.size_gb} GB"
    cells = (verdict(part), part.volume_id, disk.name, size, disk.attached_at, part.server.id, disk.device)
    change = (status_and_job(part) or "").replace("->", "→")
    return [*(_code(cell) for cell in (*cells, part.attachment_id)), markdown_cell(change)]


def _why_not(account: Account) -> Iterator[str]:
    reasons = content.why_not(account)
    if not reasons:
        return
    yield from ("", "## Why not")
    for reason in reasons:
        again = ", may pass by itself" if reason.error.retryable else ""
        yield from ("", f"- {_code(reason.error.code.value)}{again}: {markdown_cell(reason.error.message)}")
        yield from (f"  - {markdown_cell(detail)}" for detail in reason.details)
        if reason.answer:
            yield f"  - The cloud said: {markdown_cell(reason.answer)}"
        yield from (f"  - {_code(volume_id)}" for volume_id in reason.volume_ids)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{' --- |' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(map(markdown_table_cell, row))} |"


def _code(value: str | None) -> str:
    """As code, so that it stays as it is."""
    return markdown_code(value) if value else ""
