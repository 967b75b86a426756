"""The terminal: `python -m handler FILE…` carries out the events in these files; `sweep` sweeps.

A file holds one of the four forms, or an event as FunctionGraph or a CloudEvents source sends it.
Results are JSON, a line for each file, or a table where standard output is a terminal; the log goes to
standard error. Ends with 0 when all is ok, 1 when something is not, 2 on bad usage.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from handler import telemetry
from handler.errors import Misconfigured
from handler.invocation import Trigger
from handler.model.result import Result, to_json
from handler.runtime import handle, runtime
from handler.terminal.table import render
from handler.triggers import functiongraph as envelopes
from handler.triggers import platform
from handler.triggers.parse import parse_json


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out what the command line names; the exit code."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    if given[:1] == ["sweep"]:
        from handler.terminal import sweep as terminal_sweep  # noqa: PLC0415 (events in files don't pay for it)

        log_to_standard_error()
        return terminal_sweep.main(given[1:])
    parser = argparse.ArgumentParser(
        prog="python -m handler",
        description="Clear the records of stuck volume attachments, as events in files ask for.",
        epilog="`python -m handler sweep --help`: look for all of a project. "
        "Exit code: 0 when all is ok, 1 when something is not, 2 on bad usage.",
    )
    parser.add_argument("file", nargs="+", metavar="FILE", help="an event in JSON; - for standard input")
    options = parser.parse_args(given)
    try:
        events = [(name, _content(name)) for name in options.file]
    except OSError as error:
        parser.error(f"{error.filename}: {error.strerror}")
    log_to_standard_error()
    good = True
    for name, content in events:
        result = _carry_out(content)
        show(name, result)
        good = good and result.ok
    return 0 if good else 1


def _content(name: str) -> bytes:
    return sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()


def log_to_standard_error() -> None:
    """Keep the log out of standard output, which belongs to the results."""
    telemetry.configure("INFO", sys.stderr)
    try:
        settings = runtime(platform.environment(), network=False).settings
    except Misconfigured:
        return  # each result will say so
    telemetry.configure(settings.log_level, sys.stderr)


def _carry_out(content: bytes) -> Result:
    return handle(
        platform.invocation(Trigger.TERMINAL),
        lambda settings: envelopes.read(
            parse_json(content), max_targets=settings.max_targets, max_body_bytes=settings.max_body_bytes
        ),
        environment=platform.environment,
        network=False,
        caller=None,
    ).result


def show(title: str, result: Result) -> None:
    """Write a result as the one who reads it needs it."""
    sys.stdout.write((render(title, result) if sys.stdout.isatty() else to_json(result)) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
