"""How `--help` is laid out: examples, the command's own options, then those that all commands share."""

from __future__ import annotations

from typing import Any

import click

from handler.terminal.options import COMMON_NAMES


class HelpfulCommand(click.Command):
    """A command whose help has examples. They and its epilog are shown as they are written."""

    def __init__(self, *args: Any, examples: str = "", **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.examples = examples

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """See click.Command."""
        super().format_help_text(ctx, formatter)
        _as_written(self.examples, formatter)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """See click.Command."""
        own: list[tuple[str, str]] = []
        common: list[tuple[str, str]] = []
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is not None and isinstance(param, click.Option):
                (common if param.name in COMMON_NAMES else own).append(record)
        for title, rows in (("Options", own), ("Common options", common)):
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """See click.Command."""
        del ctx
        _as_written(self.epilog or "", formatter)


def _as_written(text: str, formatter: click.HelpFormatter) -> None:
    if text:
        formatter.write_paragraph()
        formatter.write(text.rstrip() + "\n")
