"""Results on standard output, in the form that is asked for."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

import click

from handler.model.result import ManyResult, Result, TargetResult, to_json
from handler.terminal import table
from handler.terminal.account import parts_of
from handler.terminal.cells import printable
from handler.terminal.csv_file import write_csv
from handler.terminal.reasons import follow_up, way_on


class View(NamedTuple):
    """How results are shown. `width` is None where no terminal says, `tell` is for standard error.

    `stand_ins` are the settings that the command's options stand for.
    """

    output: str
    width: int | None
    quiet: bool
    stand_ins: Collection[str]
    echo: Callable[[str], None]
    tell: Callable[[str], None]


def show(view: View, results: Sequence[tuple[str | None, Result]]) -> None:
    """Show them all. Raises OSError where standard output can't be written to."""
    if view.output != "table" and not view.quiet:
        parts = (part for _, result in results for part in parts_of(result))
        for words in filter(None, map(follow_up, parts)):
            view.tell(f"To follow it: {words}")
    if view.output == "csv":
        _show_csv(view, [result for _, result in results])
    for title, result in results:
        if view.output == "json":
            view.echo(to_json(result))
        elif view.output == "table":
            _show_table(view, title, result)


def _show_table(view: View, title: str | None, result: Result) -> None:
    lines = list((table.errors if view.quiet else table.render)(result, view.width))
    if title is not None and lines:
        view.echo(click.style(printable(title), bold=True))
    for line in lines:
        view.echo(line)
    if isinstance(result, TargetResult) and not view.quiet:
        words = way_on(result, view.stand_ins)
        if words is not None:
            view.echo(f"  {words}")
    if not result.ok:
        view.echo(click.style(f"  request id {result.request_id}", dim=True))


def _show_csv(view: View, results: Sequence[Result]) -> None:
    write_csv(sys.stdout, [part for result in results for part in parts_of(result)])
    sys.stdout.flush()
    if view.quiet:
        return
    for result in results:
        for line in table.errors(result, None):
            view.tell(line)
        if isinstance(result, ManyResult):
            for line in table.whole(result):
                view.tell(line)
