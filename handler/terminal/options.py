"""What the command line takes: options that all commands share, and how single values are read.

Nothing heavy is imported here, so that `--help` costs little.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.core import ParameterSource

from handler.model.values import canonical, zoned_moment

ENDINGS = (".md", ".html", ".csv", ".json")
"""Of reports: each says how one is written."""

TIMEOUTS = (0.1, 259200.0)
"""Seconds at least and at most, as for DETACH_TIMEOUT."""

_DURATION = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s?)?", re.ASCII)
_SECONDS = (86400, 3600, 60, 1)

if TYPE_CHECKING:
    _ParamType = click.ParamType[Any]
else:
    _ParamType = click.ParamType  # older releases of click have no type parameter here

_F = TypeVar("_F", bound=Callable[..., Any])


class Duration(_ParamType):
    """A length of time, such as 90, 90s, 15m, 1h30m or 2d; in seconds."""

    name = "time"

    def __init__(self, least: float = 0, most: float = 10**9) -> None:
        self._least = least
        self._most = most

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """See click.ParamType."""
        if isinstance(value, (int, float)):
            return value
        match = _DURATION.fullmatch(value)
        if match is None or not value:
            self.fail(f"{value!r} is not a length of time, such as 90s, 15m or 1h30m.", param, ctx)
        time = sum(float(part or 0) * seconds for part, seconds in zip(match.groups(), _SECONDS, strict=True))
        if not self._least <= time <= self._most:
            self.fail(f"{value!r} is not between {self._least:g} s and {self._most:g} s.", param, ctx)
        return time


class Uuid(_ParamType):
    """An id of the cloud's, in canonical form."""

    name = "id"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """See click.ParamType."""
        try:
            return canonical(value)
        except ValueError:
            self.fail(f"{value!r} is not a UUID.", param, ctx)


class Moment(_ParamType):
    """A moment as RFC 3339 writes it, with its zone."""

    name = "moment"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """See click.ParamType."""
        if not isinstance(value, str) or zoned_moment(value) is None:
            self.fail(f"{value!r} is no moment with its zone, such as 2026-01-02T03:04:05Z.", param, ctx)
        return value


class Pair(_ParamType):
    """KEY=VALUE."""

    name = "pair"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str]:
        """See click.ParamType."""
        if isinstance(value, tuple):
            return value
        key, sign, rest = value.partition("=")
        if not sign or not key:
            self.fail(f"{value!r} is not KEY=VALUE.", param, ctx)
        return key, rest


class OnceOption(click.Option):
    """An option of one value. Said again otherwise, before the command or after it, is wrong: none wins."""

    def add_to_parser(self, parser: Any, ctx: click.Context) -> None:
        """See click.Option, which keeps the last value only."""
        del ctx
        parser.add_option(obj=self, opts=self.opts, dest=self.name, action="append", nargs=self.nargs)

    def consume_value(self, ctx: click.Context, opts: Mapping[str, Any]) -> tuple[Any, ParameterSource]:
        """See click.Parameter."""
        value, source = super().consume_value(ctx, opts)
        if source is not ParameterSource.COMMANDLINE:
            return value, source
        said = [*value, *_said_before(self, ctx)]
        if not ctx.resilient_parsing and len({self.type_cast_value(ctx, each) for each in said}) > 1:
            raise click.UsageError(
                f"{self.opts[0]} is said more than once, and not the same: say it once.", ctx
            )
        return said[0], source


class EachOption(click.Option):
    """An option that may be repeated. What is said of it before the command counts beside the rest."""

    def consume_value(self, ctx: click.Context, opts: Mapping[str, Any]) -> tuple[Any, ParameterSource]:
        """See click.Parameter."""
        value, source = super().consume_value(ctx, opts)
        if source is ParameterSource.COMMANDLINE:
            value = [*(each for group in _said_before(self, ctx) for each in group), *value]
        return value, source


def _said_before(option: click.Option, ctx: click.Context) -> list[Any]:
    """The value that it has before the command, if any."""
    before = (ctx.default_map or {}).get(option.name)
    return [] if before is None else [before]


class ReportFile(click.Path):
    """A file to write, whose ending says how."""

    def __init__(self) -> None:
        super().__init__(dir_okay=False, path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """See click.ParamType."""
        path = Path(str(super().convert(value, param, ctx)))
        if path.suffix.lower() not in ENDINGS:
            self.fail(f"{str(path)!r} must end with {', '.join(ENDINGS[:-1])} or {ENDINGS[-1]}.", param, ctx)
        return path


@dataclass(frozen=True)
class Entry:
    """How the command was called: its words, and whether a first word that is no command is a file."""

    words: str
    files: bool


@dataclass(frozen=True)
class Common:
    """What the options say that all commands share. `output` is None where it hangs on who reads."""

    os_cloud: str | None
    timeout: float | None
    output: str | None
    reports: tuple[Path, ...]
    metrics_file: Path | None
    exit_code: bool
    quiet: bool
    verbose: bool
    no_color: bool

    @classmethod
    def taken_from(cls, options: dict[str, Any]) -> Common:
        """Take them out of what click read. Raises click.UsageError for those that exclude each other."""
        forms = {options.pop("output"), "json" if options.pop("json") else None}
        forms = (forms | {"csv" if options.pop("csv") else None}) - {None}
        if len(forms) > 1:
            raise click.UsageError("--output, --json and --csv exclude each other.")
        common = cls(
            os_cloud=options.pop("os_cloud"),
            timeout=options.pop("timeout"),
            output=forms.pop() if forms else None,
            reports=tuple(options.pop("report")),
            metrics_file=options.pop("metrics_file"),
            exit_code=options.pop("exit_code"),
            quiet=options.pop("quiet"),
            verbose=options.pop("verbose"),
            no_color=options.pop("no_color"),
        )
        if common.quiet and common.verbose:
            raise click.UsageError("--quiet and --verbose exclude each other.")
        return common


_COMMON = (
    click.option(
        "--os-cloud", cls=OnceOption, metavar="NAME", help="Log in as this cloud of clouds.yaml says."
    ),
    click.option(
        "--timeout",
        cls=OnceOption,
        type=Duration(*TIMEOUTS),
        metavar="TIME",
        help="End by then, such as 90s, 2m or 1h.",
    ),
    click.option(
        "--output",
        cls=OnceOption,
        type=click.Choice(("table", "json", "csv")),
        help="How results are written: a table on a terminal, else JSON.",
    ),
    click.option("--json", is_flag=True, help="The same as --output json."),
    click.option("--csv", is_flag=True, help="The same as --output csv."),
    click.option(
        "--report",
        cls=EachOption,
        type=ReportFile(),
        multiple=True,
        metavar="FILE",
        help=f"Write a report, too, by its ending: {' '.join(ENDINGS)} (repeatable).",
    ),
    click.option(
        "--metrics-file",
        cls=OnceOption,
        type=click.Path(dir_okay=False, path_type=Path),
        metavar="FILE",
        help="Write what Prometheus' textfile collector reads.",
    ),
    click.option("--exit-code", is_flag=True, help="End with 4 where a dry run found something to clear."),
    click.option("--quiet", is_flag=True, help="No bar and no hints; a table only of what is wrong."),
    click.option("--verbose", is_flag=True, help="Log to standard error."),
    click.option("--no-color", is_flag=True, help="No colours (so does the environment's NO_COLOR)."),
)
COMMON_NAMES = frozenset(
    ("os_cloud", "timeout", "output", "json", "csv", "report", "metrics_file", "exit_code", "quiet")
) | {"verbose", "no_color"}


def common_options(command: _F) -> _F:
    """Give a command the options that all share."""
    for option in reversed(_COMMON):
        command = option(command)
    return command
