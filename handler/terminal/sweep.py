"""`python -m handler sweep`: look for orphaned attachments from a terminal, and clear them on demand.

A dry run unless `--apply` says otherwise, within the bounds that the DETACH_SWEEP_* settings set.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Iterable, Iterator, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, TextIO

from click import progressbar

from handler import telemetry
from handler.errors import InvalidRequest, Misconfigured
from handler.invocation import Trigger
from handler.model.request import Sweep
from handler.model.result import ManyResult, Result, Scanned, TargetResult, many, to_json
from handler.runtime import failed, runtime
from handler.settings import SweepSettings
from handler.terminal.table import aligned, printable, said, whole
from handler.triggers import platform
from handler.triggers.parse import read_work

if TYPE_CHECKING:
    from typing_extensions import Self

_HEADINGS = ("VOLUME", "SERVER", "DEVICE", "SINCE", "SIZE", "VERDICT")


class Follower:
    """Follows a sweep: keeps its findings, and draws a progress bar where a person looks."""

    def __init__(self) -> None:
        self.findings: list[TargetResult] = []
        self._bar = progressbar(length=1, label="listing", file=sys.stderr, hidden=not sys.stderr.isatty())

    def __enter__(self) -> Self:
        self._bar.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, context: TracebackType | None
    ) -> None:
        self._bar.__exit__(kind, error, context)

    def page(self, of: str, number: int, most: int | None) -> None:
        """See handler.actions.observer.Observer."""

    def listed(self, scanned: Scanned | None, to_do: int) -> None:
        """See handler.actions.observer.Observer."""
        self._bar.label = f"{scanned.candidates if scanned else to_do} found"
        self._bar.length = to_do
        self._bar.update(0)

    def judged(self, result: TargetResult) -> None:
        """See handler.actions.observer.Observer."""
        self.findings.append(result)
        self._bar.update(1)


def parser() -> argparse.ArgumentParser:
    """The command line of the sweep."""
    made = argparse.ArgumentParser(
        prog="python -m handler sweep",
        description="Find every attachment of the project whose server is gone. A dry run without --apply.",
        epilog="Exit code: 0 when all is ok, 1 when something is not, 2 on bad usage.",
    )
    made.add_argument("--apply", action="store_true", help="clear what is found, each proven on its own")
    made.add_argument("--limit", type=int, metavar="N", help="clear at most N")
    made.add_argument("--min-age", type=int, metavar="SECONDS", help="leave younger attachments alone")
    made.add_argument("--server", action="append", metavar="ID", help="only of this server (repeatable)")
    made.add_argument("--volume", action="append", metavar="ID", help="only of this volume (repeatable)")
    made.add_argument(
        "--metadata",
        action="append",
        type=_pair,
        metavar="KEY=VALUE",
        help="only of volumes with this pair (repeatable)",
    )
    form = made.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="the result as JSON (the default when piped)")
    form.add_argument("--csv", action="store_true", help="the findings as CSV")
    return made


def _pair(text: str) -> tuple[str, str]:
    key, sign, value = text.partition("=")
    if not sign:
        raise argparse.ArgumentTypeError("it must be KEY=VALUE")
    return key, value


def main(arguments: Sequence[str]) -> int:
    """Sweep as the command line says; the exit code. The log is set up already."""
    command = parser()
    options = command.parse_args(arguments)
    try:
        work = _work(options)
    except InvalidRequest as failure:
        command.error(failure.message)
    invocation = platform.invocation(Trigger.TERMINAL)
    try:
        warm = runtime(platform.environment(), network=False)
    except Misconfigured as failure:
        _show(options, failed(failure, invocation), [])
        return 1
    for hint in _bounds(options, warm.settings.sweep):
        sys.stderr.write(f"{hint}\n")
    if sys.stderr.isatty() and "DETACH_LOG_LEVEL" not in platform.environment():
        telemetry.configure("ERROR", sys.stderr)  # the findings say the rest, and lines would break the bar
    result: Result
    follower = Follower()
    try:
        with follower:
            result = warm.carry_out([work], invocation, follower)
    except KeyboardInterrupt:
        sys.stderr.write(
            "Interrupted: what was under way then is not among the findings. Sweep again to see.\n"
        )
        _show(options, many(follower.findings, invocation, complete=False), follower.findings)
        return 1
    _show(options, result, sorted(follower.findings, key=lambda found: found.disk.attached_at or "~"))
    return 0 if result.ok else 1


def _bounds(options: argparse.Namespace, settings: SweepSettings) -> Iterator[str]:
    """Where the settings are more careful than the command line, and so win."""
    if not options.apply:
        yield "A dry run: nothing is cleared without --apply."
    elif settings.dry_run:
        yield "DETACH_SWEEP_DRY_RUN is true, so this is a dry run: set it to false to clear anything."
    if options.limit is not None and options.limit > settings.limit:
        yield f"DETACH_SWEEP_LIMIT allows {settings.limit} clearings at most: raise it for more."
    if options.min_age is not None and options.min_age < settings.min_age_seconds:
        yield f"DETACH_SWEEP_MIN_AGE_SECONDS is {settings.min_age_seconds}, so younger ones are left alone."


def _work(options: argparse.Namespace) -> Sweep:
    bounds: dict[str, object] = {"dry_run": not options.apply}
    given = {
        "limit": options.limit,
        "min_age_seconds": options.min_age,
        "server_ids": options.server,
        "volume_ids": options.volume,
    }
    bounds.update({name: value for name, value in given.items() if value is not None})
    if options.metadata:
        bounds["metadata"] = dict(options.metadata)
    work = read_work({"sweep": bounds}, max_targets=1)
    assert isinstance(work, Sweep)  # noqa: S101 (by its key)
    return work


def _show(options: argparse.Namespace, result: Result, findings: list[TargetResult]) -> None:
    if options.csv:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow([heading.lower() for heading in _HEADINGS])
        writer.writerows(_row(part, unit="") for part in findings)
        _write(sys.stderr, _summary(result))
    elif options.json or not sys.stdout.isatty():
        sys.stdout.write(to_json(result) + "\n")
    else:
        rows = [_row(part) for part in findings]
        lines = list(aligned([_HEADINGS, *rows])) if rows else []
        lines += [said(part.volume_id, part.error) for part in findings if part.error is not None]
        _write(sys.stdout, [*lines, *_summary(result)])
    sys.stdout.flush()


def _summary(result: Result) -> Iterator[str]:
    if isinstance(result, ManyResult):
        yield from whole(result)
    elif result.error is not None:
        yield said(None, result.error)


def _write(stream: TextIO, lines: Iterable[str]) -> None:
    stream.writelines(f"{printable(line)}\n" for line in lines)


def _row(part: TargetResult, *, unit: str = " GB") -> tuple[str, ...]:
    disk = part.disk
    size = "-" if disk.size_gb is None else f"{disk.size_gb}{unit}"
    verdict = part.error.code.value if part.error is not None else part.outcome.value
    return (
        part.volume_id or "-",
        part.server.id or "-",
        disk.device or "-",
        disk.attached_at or "-",
        size,
        verdict,
    )
