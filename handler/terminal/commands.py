"""The commands and their options.

What carries them out is imported when they are called, so that help is cheap.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import click

from handler.terminal.exit_code import ExitCode
from handler.terminal.layout import HelpfulCommand
from handler.terminal.options import Common, Duration, Moment, OnceOption, Pair, Uuid, common_options

COMMANDS: dict[str, click.Command] = {}
"""By name, in the order in which they are of use."""


def _command(name: str, short: str, examples: str) -> Callable[[Callable[..., Any]], click.Command]:
    def make(function: Callable[..., Any]) -> click.Command:
        command = click.command(
            name, cls=HelpfulCommand, short_help=short, examples=f"Examples:\n{examples}"
        )(function)
        COMMANDS[name] = command
        return command

    return make


@_command(
    "check",
    "Say whether all that is set works.",
    """\
  evs-detach check
  evs-detach check --json
""",
)
@common_options
def check(**options: Any) -> int:
    """Say, line by line, whether all works that is set. Changes nothing.

    The first thing to run on a new cloud, and what belongs into a ticket: settings, secret, token, endpoints
    and regions, one read at each service, and which proof is possible here.
    """
    common = Common.taken_from(options)
    if common.output == "csv" or common.reports or common.metrics_file or common.exit_code:
        raise click.UsageError("check writes a table or JSON only.")
    from handler.terminal.check import check as run  # noqa: PLC0415 (see the module)

    return run(common)


@_command(
    "sweep",
    "Find attachments whose server is gone.",
    """\
  evs-detach sweep                                   a dry run: what would be cleared
  evs-detach sweep --apply --limit 5                 clear the five oldest
  evs-detach sweep --min-age 1d --metadata env=test  only some of them
  evs-detach sweep --report ticket.html              what was found, for a ticket
  evs-detach sweep --recover                         stuck records, too
  evs-detach sweep --exit-code --quiet               for a schedule: 4 when something is found
""",
)
@click.option("--apply", is_flag=True, help="Clear what is found, each proven on its own.")
@click.option(
    "--recover", is_flag=True, help="Look for stuck records, too; --apply frees those nobody holds."
)
@click.option(
    "--limit", cls=OnceOption, type=click.IntRange(0, 1_000_000), metavar="N", help="Clear at most N."
)
@click.option(
    "--min-age", cls=OnceOption, type=Duration(), metavar="TIME", help="Leave younger attachments alone."
)
@click.option("--volume", type=Uuid(), multiple=True, metavar="ID", help="Only this volume's (repeatable).")
@click.option(
    "--server", type=Uuid(), multiple=True, metavar="ID", help="Only what names this server (repeatable)."
)
@click.option(
    "--metadata",
    type=Pair(),
    multiple=True,
    metavar="KEY=VALUE",
    help="Only volumes with this pair (repeatable).",
)
@click.option(
    "--project", type=Uuid(), multiple=True, metavar="ID", help="Only this project's (DETACH_SCOPE=cloud)."
)
@click.option(
    "--exclude-project", type=Uuid(), multiple=True, metavar="ID", help="Not this project's (the same)."
)
@common_options
def sweep(**options: Any) -> int:
    """Find every attachment of the project whose server is gone. A dry run without --apply.

    The settings DETACH_SWEEP_* are bounds: options can only be more careful. --apply stands for
    DETACH_SWEEP_DRY_RUN=false, --recover for DETACH_RECOVER=on, where these are not set.
    """
    common = Common.taken_from(options)
    bounds: dict[str, object] = {"dry_run": not options["apply"]}
    if options["recover"]:
        bounds["recover"] = True
    if options["limit"] is not None:
        bounds["limit"] = options["limit"]
    if options["min_age"] is not None:
        bounds["min_age_seconds"] = math.ceil(options["min_age"])
    for name, key in (
        ("server", "server_ids"),
        ("volume", "volume_ids"),
        ("project", "project_ids"),
        ("exclude_project", "exclude_project_ids"),
    ):
        if options[name]:
            bounds[key] = list(options[name])
    if options["metadata"]:
        bounds["metadata"] = _pairs(options["metadata"])
    return _carry_out(common, {"sweep": bounds}, _stand_ins(options, "apply", "recover"))


def _pairs(said: Iterable[tuple[str, str]]) -> dict[str, str]:
    """A volume has one value of each key. Raises click.UsageError where two are asked for."""
    pairs: dict[str, str] = {}
    for key, value in said:
        if key in pairs:
            raise click.UsageError(f"--metadata has the key {key!r} more than once: say it once.")
        pairs[key] = value
    return pairs


@_command(
    "detach",
    "Clear one volume's attachment.",
    """\
  evs-detach detach 543fdc50-6daa-48e5-808c-c4189495d318
  evs-detach detach 543fdc50-6daa-48e5-808c-c4189495d318 --dry-run
  evs-detach detach a865b938-d39c-47e6-828f-744f5b818230 --live --wait 5m   from a server that runs
  evs-detach detach 956ea210-6829-433b-9f36-4edecf19a0fb --recover          stuck in detaching
""",
)
@click.argument("volume", type=Uuid())
@click.option(
    "--attachment", cls=OnceOption, type=Uuid(), metavar="ID", help="Which, where the volume has several."
)
@click.option("--server", cls=OnceOption, type=Uuid(), metavar="ID", help="Refuse if it is another server's.")
@click.option("--live", is_flag=True, help="The guest has let go of it: detach it at a server that lives.")
@click.option(
    "--wait",
    cls=OnceOption,
    type=Duration(),
    metavar="TIME",
    help="With --live: follow the detach for so much longer.",
)
@click.option(
    "--not-after",
    cls=OnceOption,
    type=Moment(),
    metavar="MOMENT",
    help="With --live: send nothing after that.",
)
@click.option("--yes", is_flag=True, help="With --live: don't ask.")
@click.option("--recover", is_flag=True, help="Free a record that is stuck, where nobody holds the disk.")
@click.option("--dry-run", is_flag=True, help="Look and judge, send nothing.")
@common_options
def detach(**options: Any) -> int:
    """Clear the attachment of VOLUME, once its server is proven gone.

    With --live its server may live: disk, server and names are shown, and you are asked. With --recover its
    record may be stuck in another state than in-use. They stand for DETACH_LIVE=on and DETACH_RECOVER=on
    where these are not set.
    """
    common = Common.taken_from(options)
    form: dict[str, object] = {"volume_id": options["volume"], "dry_run": options["dry_run"]}
    for name, key in (("attachment", "attachment_id"), ("server", "server_id")):
        if options[name] is not None:
            form[key] = options[name]
    if options["recover"]:
        form["recover"] = True
    stand_ins = _stand_ins(options, "live", "recover")
    if options["live"]:
        form["live"] = True
        if options["not_after"] is not None:
            form["not_after"] = options["not_after"]
        return _detach_live(common, form, stand_ins, yes=options["yes"], wait=options["wait"])
    for name in ("wait", "not_after", "yes"):
        if options[name]:
            raise click.UsageError(f"--{name.replace('_', '-')} goes with --live only.")
    return _carry_out(common, form, stand_ins)


@_command(
    "server",
    "Clear all that name a deleted server.",
    """\
  evs-detach server 1da7dcd9-5059-4aec-a1de-2cf1f82cbe27
""",
)
@click.argument("server", type=Uuid())
@click.option("--dry-run", is_flag=True, help="Look and judge, send nothing.")
@common_options
def server(**options: Any) -> int:
    """Clear every attachment that still names SERVER, once that is proven gone."""
    common = Common.taken_from(options)
    return _carry_out(common, {"server_id": options["server"], "dry_run": options["dry_run"]})


@_command(
    "run",
    "Carry out events in files.",
    """\
  evs-detach run event.json
  evs-detach run - < event.json
""",
)
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@common_options
def run(**options: Any) -> int:
    """Carry out the events in these files, - for standard input.

    A file holds one of the four forms, or an event as FunctionGraph or a CloudEvents source sends it.
    """
    common = Common.taken_from(options)
    from handler.terminal.events import read_files  # noqa: PLC0415 (see the module)
    from handler.terminal.session import Session  # noqa: PLC0415 (see the module)

    try:
        events = read_files(options["files"])
    except OSError as error:
        raise click.UsageError(f"{error.filename}: {error.strerror}") from None
    return Session(common).run(events)


@_command(
    "serve",
    "Serve the function over HTTP.",
    """\
  evs-detach serve --port 8080
""",
)
@click.option("--host", cls=OnceOption, help="The address to listen on (default: HOST, else 0.0.0.0).")
@click.option(
    "--port", cls=OnceOption, type=click.IntRange(1, 65535), help="The port (default: PORT, else 8080)."
)
def serve(host: str | None, port: int | None) -> int:
    """Serve the function over HTTP: events, probes, FunctionGraph's calls to a container."""
    from handler.serving.server import serve as listen  # noqa: PLC0415 (see the module)

    listen(host, port)
    return ExitCode.DONE


@_command(
    "completion",
    "Print the shell's completion.",
    """\
  source <(evs-detach completion bash)                          in ~/.bashrc
  source <(evs-detach completion zsh)                           in ~/.zshrc
  evs-detach completion fish > ~/.config/fish/completions/evs-detach.fish
""",
)
@click.argument("shell", type=click.Choice(("bash", "zsh", "fish")))
@click.pass_context
def completion(context: click.Context, shell: str) -> int:
    """Print what makes a shell complete this command's words."""
    from click.shell_completion import get_completion_class  # noqa: PLC0415 (see the module)

    kind = get_completion_class(shell)
    assert kind is not None  # noqa: S101 (click knows these three)
    program = context.find_root().command
    click.echo(kind(program, {}, "evs-detach", "_EVS_DETACH_COMPLETE").source())
    return ExitCode.DONE


STAND_INS = {
    "apply": ("DETACH_SWEEP_DRY_RUN", "false"),
    "live": ("DETACH_LIVE", "on"),
    "recover": ("DETACH_RECOVER", "on"),
}
"""By option: the setting that it stands for where that is not set."""


def _stand_ins(options: dict[str, Any], *names: str) -> dict[str, str]:
    return dict(STAND_INS[name] for name in names if options[name])


def _detach_live(
    common: Common, form: dict[str, object], stand_ins: dict[str, str], *, yes: bool, wait: float | None
) -> int:
    from handler.errors import InvalidRequest  # noqa: PLC0415 (see the module)
    from handler.terminal.live import detach_live, somebody_is_there  # noqa: PLC0415 (see the module)
    from handler.terminal.session import Session  # noqa: PLC0415 (see the module)

    if not yes and not form["dry_run"] and not somebody_is_there():
        raise click.UsageError("--live asks before it detaches, and here is nobody to ask: say --yes.")
    try:
        return detach_live(Session(common, stand_ins, wait=wait), form, yes=yes)
    except InvalidRequest as wrong:
        raise click.UsageError(wrong.message) from None


def _carry_out(common: Common, form: dict[str, object], stand_ins: dict[str, str] | None = None) -> int:
    """Do what a form of request asks for. `stand_ins` hold where a setting of that name is not set."""
    from handler.errors import InvalidRequest  # noqa: PLC0415 (see the module)
    from handler.terminal.session import Session  # noqa: PLC0415 (see the module)

    try:
        return Session(common, stand_ins or {}).ask(form)
    except InvalidRequest as wrong:
        raise click.UsageError(wrong.message) from None
