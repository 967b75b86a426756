"""The command line: which commands there are, and the two names that it goes by.

`evs-detach` is what is installed, `python -m handler` the same from the code: there a first word that is no
command is a file. Nothing heavy is imported before a command is carried out.
"""

from __future__ import annotations

import io
import shlex
import sys
from collections.abc import Sequence
from typing import Any

import click

from handler import NAME, __version__
from handler.terminal.commands import COMMANDS
from handler.terminal.exit_code import PRECEDENCE, ExitCode
from handler.terminal.layout import HelpfulCommand
from handler.terminal.options import COMMON_NAMES, Entry, common_options
from handler.terminal.stop import terminated_as_interrupted
from handler.terminal.streams import OUTPUT, fill_in_closed, let_go, of_output, refuses, telling

_EXAMPLES = """\
Examples:
  evs-detach check                           what is set, and whether it works
  evs-detach sweep                           what would be cleared in this project
  evs-detach sweep --apply --report r.html   clear it, and report
  evs-detach detach VOLUME                   clear one disk's record
  evs-detach server SERVER                   clear all that name a deleted server
"""


def _show_version(context: click.Context, _option: click.Parameter, wanted: bool) -> None:
    if wanted and not context.resilient_parsing:
        click.echo(f"{NAME} {__version__}")
        context.exit()


class _Commands(HelpfulCommand, click.Group):
    """The commands, in the order in which they are of use."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """See click.Group; it sorts them by name."""
        del ctx
        return list(self.commands)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """See click.Group."""
        self.format_commands(ctx, formatter)
        HelpfulCommand.format_options(self, ctx, formatter)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """See click.Group. Whoever says nothing is shown what can be said."""
        if not args and not ctx.resilient_parsing:
            with telling():
                click.echo(ctx.get_help(), err=True, color=ctx.color)
            ctx.exit(ExitCode.USAGE)
        return super().parse_args(ctx, args)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """See click.Group."""
        name = args[0]
        if name not in self.commands and not ctx.resilient_parsing:
            if ctx.obj is not None and ctx.obj.files:
                return "run", self.commands["run"], args
            import difflib  # noqa: PLC0415 (who knows the commands doesn't pay for it)

            nearest = difflib.get_close_matches(name, self.commands, n=1, cutoff=0.5)
            hint = f" Did you mean {nearest[0]!r}?" if nearest else ""
            raise click.UsageError(f"No such command {name!r}.{hint}", ctx)
        return super().resolve_command(ctx, args)


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    invoke_without_command=False,
    no_args_is_help=False,
    examples=_EXAMPLES,
    epilog="Exit codes, the first that holds:\n"
    + "\n".join(f"  {code.value:3}  {code.meaning}" for code in PRECEDENCE),
)
@click.option(
    "--version",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_show_version,
    help="Show the version and exit.",
)
@common_options
@click.pass_context
def cli(context: click.Context, /, **given: Any) -> None:
    """Clear the record of a volume attachment whose server is proven gone.

    No record is cleared unless its server is proven gone. Asking again is always safe.
    """
    said = {
        name: value
        for name, value in given.items()
        if name in COMMON_NAMES
        and context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE
    }
    context.default_map = dict.fromkeys(COMMANDS, said)


for _name, _command in COMMANDS.items():
    cli.add_command(_command, _name)


def main(arguments: Sequence[str] | None = None, *, program: str = NAME, files: bool = False) -> int:
    """Carry out what the command line says; the exit code. `files`: a word that is no command is one."""
    fill_in_closed()
    given = sys.argv[1:] if arguments is None else list(arguments)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a name that this terminal can't show ends nothing
    try:
        entry = Entry(f"{program} {shlex.join(given)}", files)
        with terminated_as_interrupted():
            code = cli.main(given, program, standalone_mode=False, obj=entry)
    except click.ClickException as wrong:
        with telling():
            wrong.show()
        return ExitCode.USAGE
    except (click.Abort, KeyboardInterrupt):
        return ExitCode.INTERRUPTED
    except OSError as error:  # click itself ends quietly where who read has gone
        if not of_output(error):
            raise
        let_go(sys.stdout)
        with telling():
            click.echo(f"{OUTPUT} could not be written: {error.strerror}", err=True)
        return ExitCode.FAILED
    finally:
        if refuses(sys.stderr):
            let_go(sys.stderr)
    return int(code or 0)
