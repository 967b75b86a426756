"""A report as one HTML file, which loads nothing: on a screen, a phone and on paper, light and dark.

What comes from the cloud is escaped, and should that ever fail, the page's own policy lets no script run but
the one below, by its hash.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Iterator

from handler.model.result import Outcome, TargetResult
from handler.model.values import timestamp
from handler.terminal.account import Account
from handler.terminal.cells import html_cell as escaped
from handler.terminal.reasons import status_and_job, verdict
from handler.terminal.reports import content
from handler.terminal.reports.assets import SCRIPT, STYLE

_KINDS = {
    Outcome.DETACHED: "good",
    Outcome.RECOVERED: "good",
    Outcome.REFUSED: "held",
    Outcome.UNCONFIRMED: "held",
    Outcome.FAILED: "bad",
    Outcome.WOULD_DETACH: "dry",
    Outcome.DISPATCHED: "dry",
}


def report(account: Account) -> str:
    """The whole of it."""
    return "".join(_page(account))


def _page(account: Account) -> Iterator[str]:
    title = escaped(f"EVS detach: {account.command}, {timestamp(account.began)}")
    yield '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
    policy = f"default-src 'none'; style-src '{_hash(STYLE)}'; script-src '{_hash(SCRIPT)}'"
    yield f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
    yield '<meta name="color-scheme" content="light dark">\n<meta name="referrer" content="no-referrer">\n'
    yield f"<title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n"
    yield from _head(account)
    yield from _scanned(account)
    yield from _targets(account)
    yield from _why_not(account)
    yield from _next(account)
    yield from _request_ids(account)
    yield f"</main>\n<script>{SCRIPT}</script>\n</body>\n</html>\n"


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _head(account: Account) -> Iterator[str]:
    kind = "good" if account.ok else "held"
    if any(part.outcome is Outcome.FAILED for part in account.parts) or (
        not account.parts and not account.ok
    ):
        kind = "bad"
    yield f'<header class="{kind}">\n<p class="what">EVS detach: {escaped(account.command)}</p>\n'
    yield f"<h1>{escaped(content.headline(account))}</h1>\n"
    if content.dry_run(account):
        yield "<p>A dry run: nothing was changed.</p>\n"
    yield from (f'<p class="note">{escaped(note)}</p>\n' for note in account.notes)
    yield "</header>\n<dl>\n"
    for name, value in content.facts(account):
        yield f"<div><dt>{escaped(name)}</dt><dd>{escaped(value)}</dd></div>\n"
    yield "</dl>\n"


def _scanned(account: Account) -> Iterator[str]:
    looked = content.scanned(account)
    if looked:
        yield '<section>\n<h2>What was looked through</h2>\n<ul class="counts">\n'
        yield from (f"<li><b>{count:,}</b> {escaped(name)}</li>\n" for name, count in looked)
        yield "</ul>\n</section>\n"


_HEADINGS = ("Verdict", "Disk", "Size", "Server", "Attachment", "Status")


def _targets(account: Account) -> Iterator[str]:
    if not account.parts:
        return
    yield "<section>\n<h2>What was found and done</h2>\n"
    yield '<div class="wide" tabindex="0" role="region" aria-label="Results">\n<table>\n<thead><tr>'
    yield from (f'<th scope="col"><button type="button">{heading}</button></th>' for heading in _HEADINGS)
    yield "</tr></thead>\n<tbody>\n"
    for part in account.parts:
        yield f"<tr>{''.join(_cells(part))}</tr>\n"
    yield "</tbody>\n</table>\n</div>\n</section>\n"


def _cells(part: TargetResult) -> Iterator[str]:
    disk, server, kind = part.disk, part.server, _KINDS.get(part.outcome, "")
    size = "" if disk.size_gb is None else f"{disk.size_gb} GB"
    since = f"since {disk.attached_at[:16].replace('T', ' ')} UTC" if disk.attached_at else None
    attached = " ".join(filter(None, (disk.device, since)))
    yield _cell("Verdict", f'<span class="pill {kind}">{escaped(verdict(part))}</span>', verdict(part))
    yield _cell("Disk", _about(disk.name, part.volume_id), disk.name or part.volume_id)
    yield _cell("Size", size, f"{disk.size_gb if disk.size_gb is not None else -1:012}")
    yield _cell("Server", _about(server.status, server.id), server.id)
    yield _cell("Attachment", _about(attached, part.attachment_id), disk.attached_at)
    state = status_and_job(part)
    yield _cell("Status", escaped((state or "").replace("->", "→")), state)


def _about(words: str | None, id_: str | None) -> str:
    """An id, and above it what says more to a person."""
    said = f"<span>{escaped(words)}</span>" if words else ""
    return said + (f"<code>{escaped(id_)}</code>" if id_ else "")


def _cell(heading: str, shown: str, by: str | None) -> str:
    """A cell under its heading, which a phone shows beside it; sorted by the text of `by`."""
    return f'<td data-label="{heading}" data-by="{escaped(by or "")}">{shown or "&ndash;"}</td>'


def _why_not(account: Account) -> Iterator[str]:
    reasons = content.why_not(account)
    if not reasons:
        return
    yield "<section>\n<h2>Why not</h2>\n"
    for reason in reasons:
        kind = "held" if reason.error.code.http in {202, 409} else "bad"
        again = " may pass by itself" if reason.error.retryable else ""
        code = escaped(reason.error.code.value)
        yield f'<article>\n<h3><span class="pill {kind}">{code}</span>{again}</h3>\n'
        yield f"<p>{escaped(reason.error.message)}</p>\n"
        yield from _list(reason.details)
        if reason.answer:
            yield f"<p>The cloud said: <q>{escaped(reason.answer)}</q></p>\n"
        yield from _list(reason.volume_ids, code=True)
        yield "</article>\n"
    yield "</section>\n"


def _next(account: Account) -> Iterator[str]:
    yield "<section>\n<h2>What to do next</h2>\n<ol>\n"
    yield from (f"<li>{escaped(step)}</li>\n" for step in content.next_steps(account))
    yield "</ol>\n</section>\n"


def _request_ids(account: Account) -> Iterator[str]:
    ids = content.request_ids(account)
    if ids:
        yield "<section>\n<h2>The cloud&rsquo;s request ids</h2>\n"
        yield "<p>By them its operators find each call.</p>\n"
        yield from _list(ids, code=True)
        yield "</section>\n"


def _list(items: Iterable[str], *, code: bool = False) -> Iterator[str]:
    shown = [f"<code>{escaped(item)}</code>" if code else escaped(item) for item in items]
    if shown:
        yield f'<ul class="{"ids" if code else "plain"}">'
        yield from (f"<li>{item}</li>" for item in shown)
        yield "</ul>\n"
