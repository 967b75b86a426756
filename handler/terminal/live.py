"""`evs-detach detach --live`: what is not named is found and shown, and a person is asked before it is sent.

The ids that were shown are the ones that are sent: what is attached anew meanwhile is left alone.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import NoReturn

import click

from handler.actions.meant import Meant, find_meant
from handler.errors import Failure
from handler.invocation import Trigger
from handler.model.result import Outcome
from handler.model.values import epoch, timestamp
from handler.runtime import runtime
from handler.settings import Settings
from handler.terminal.cells import printable
from handler.terminal.events import Event
from handler.terminal.exit_code import ExitCode
from handler.terminal.reasons import at_the_server
from handler.terminal.session import Session
from handler.triggers import platform

_ONLY_LIVE = ("live", "not_after")
_NAME_THEM = (
    "  In a script name both, by --attachment and --server: repeated, it must not meet a newer attachment."
)


def detach_live(session: Session, form: dict[str, object], *, yes: bool) -> int:
    """Carry out form *one* with `live`; the exit code. Raises InvalidRequest, before anything is asked."""
    settings = session.prepare(form)
    if settings is not None and not settings.live.on:
        return session.ask(_without_live(form))  # held back, which is said on top
    unasked = yes or form["dry_run"] is True
    named = form.get("attachment_id") is not None and form.get("server_id") is not None
    if named and (unasked or settings is None):
        return session.ask(form)
    if settings is None:
        return session.ask(_without_live(form))  # which says what is wrong with them
    try:
        meant = _find(form, settings)
    except Failure as failure:
        return session.run([_failing(failure, dry=form["dry_run"] is True)], form)
    if meant is None:  # no attachment, or not one alone: the plain rule says so
        return session.ask(_without_live(form))
    form = {**form, "attachment_id": meant.attachment.id, "server_id": meant.attachment.server_id}
    if not (unasked and session.common.quiet) and form["dry_run"] is not True:
        for line in _shown(meant, found=not named and not somebody_is_there()):
            session.echo(line, err=True)
    return session.ask(form) if unasked else _asked(session, form, meant)


def _find(form: dict[str, object], settings: Settings) -> Meant | None:
    context = platform.invocation(Trigger.TERMINAL).context(settings.timeout)
    ids = {name: str(form[name]) for name in ("attachment_id", "server_id") if form.get(name) is not None}
    return find_meant(runtime(network=False).project(context), str(form["volume_id"]), context, **ids)


def _asked(session: Session, form: dict[str, object], meant: Meant) -> int:
    """Have it judged first: nobody is asked about what would be refused, or needs no live server."""
    if meant.volume.status == "detaching":
        question = (
            "A detach of it is under way. Follow it, and detach it anew should that have been given up?"
        )
        if form.get("recover") is True:
            question = (
                "A detach of it was begun. Follow it or, where it is known to have failed, take its mark "
                "back (os-roll_detaching) and detach the disk anew?"
            )
    else:
        foreseen = session.foresee({**form, "dry_run": True})
        if session.stopped or foreseen.outcome is not Outcome.WOULD_DETACH:
            return session.conclude([(None, replace(foreseen, dry_run=False))])
        if not at_the_server(foreseen):
            return session.ask(_without_live(form))  # its server is gone: the plain rule, as without --live
        question = "Has the guest let go of it (unmounted; no swap, LVM or RAID on it)? Detach it now?"
    try:
        agreed = click.confirm(question, err=True)
    except click.Abort:
        session.echo("", err=True)
        agreed = False
    if not agreed:
        session.echo("Nothing was sent.", err=True)
        return ExitCode.INTERRUPTED
    return session.ask(form)


def _shown(meant: Meant, *, found: bool) -> list[str]:
    """What is about to be detached. `found`: nobody has named it, and nobody looks."""
    volume, attachment, server = meant
    size = "" if volume.size is None else f", {volume.size} GB"
    since = epoch(attachment.attached_at)
    attached = [
        printable(attachment.device or "at no known device"),
        *([f"since {timestamp(since)}"] if since is not None else []),
        f"attachment {attachment.id}",
    ]
    known = f"{_named(server.name)}, {server.status or 'in no known state'}" if server else "not shown"
    return [
        f"  Disk      {volume.id}  {_named(volume.name)}{size}, {volume.status}",
        f"  Server    {attachment.server_id}  {known}",
        f"  Attached  {', '.join(attached)}",
        *([_NAME_THEM] if found else []),
    ]


def _named(name: str | None) -> str:
    return printable(name) if name else "without a name"


def _without_live(form: dict[str, object]) -> dict[str, object]:
    return {key: value for key, value in form.items() if key not in _ONLY_LIVE}


def _failing(failure: Failure, *, dry: bool) -> Event:
    """An event that this failure ended before it was one."""

    def read(_settings: Settings) -> NoReturn:
        raise failure

    return Event(None, read, lambda: dry)


def somebody_is_there() -> bool:
    """Whether a question can be asked, and answered by a person."""
    return sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()
