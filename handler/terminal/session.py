"""One command's way: settings, log, events carried out, results shown, reports written, exit code."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import click

from handler import telemetry
from handler.cloud.endpoints import Endpoints
from handler.errors import Failure, Misconfigured
from handler.invocation import Trigger
from handler.model.result import ManyResult, Result, TargetResult
from handler.runtime import handle, runtime
from handler.settings import Settings
from handler.settings.cloud_loader import openstack_is_there
from handler.settings.scope import Scope
from handler.settings.secret_reference import Store
from handler.terminal import streams
from handler.terminal.account import Account, parts_of
from handler.terminal.cells import printable
from handler.terminal.changes import ChangeLines
from handler.terminal.events import Event, from_options
from handler.terminal.exit_code import ExitCode, exit_code, first
from handler.terminal.options import TIMEOUTS, Common, Entry
from handler.terminal.progress import Follower
from handler.terminal.show import View, show
from handler.terminal.stop import Stop
from handler.tracing import Origin, read_parent
from handler.triggers import platform


class _HeldBack(NamedTuple):
    """What a setting holds back where it is set: an option, and what comes of that.

    `by_scope`: DETACH_SCOPE=cloud does so, too.
    """

    option: str
    so: str
    holds: Callable[[Settings], bool]
    by_scope: bool = True


_HELD_BACK: Mapping[str, _HeldBack] = {
    "DETACH_SWEEP_DRY_RUN": _HeldBack(
        "--apply", "nothing is cleared", lambda told: told.sweep.dry_run, by_scope=False
    ),
    "DETACH_LIVE": _HeldBack("--live", "a server that lives keeps its disk", lambda told: not told.live.on),
    "DETACH_RECOVER": _HeldBack("--recover", "no stuck record is freed", lambda told: not told.recover.on),
}
"""By the setting that an option stands for where it is not set."""

_DEFAULT_TIMEOUT = 25.0  # seconds, as of DETACH_TIMEOUT


class Session:
    """One run of a command.

    `stand_ins` are settings that options stand for where they are not set; `wait` is for how many seconds
    more than the time-out a detach is followed.
    """

    def __init__(
        self, common: Common, stand_ins: Mapping[str, str] | None = None, *, wait: float | None = None
    ) -> None:
        self.common = common
        self._stand_ins = stand_ins or {}
        self._wait = wait
        self._began, self._started = time.time(), time.monotonic()
        self._settings: Settings | None = None
        self._notes: list[str] | None = None
        self._codes: list[ExitCode] = []
        self._stop = Stop(live="DETACH_LIVE" in self._stand_ins)
        self.color = False if common.no_color or os.environ.get("NO_COLOR") else None

    @property
    def stopped(self) -> bool:
        """Whether somebody has asked to stop."""
        return self._stop.asked

    def environment(self) -> Mapping[str, str]:
        """The settings, with what the options say. Raises Misconfigured."""
        told = dict(platform.environment())
        if self.common.os_cloud is not None:
            told["DETACH_TOKEN_SECRET"] = f"openstack:{self.common.os_cloud}"
        elif not told.get("DETACH_TOKEN_SECRET", "").strip() and openstack_is_there(told):
            told["DETACH_TOKEN_SECRET"] = f"{Store.OPENSTACK.value}:"
        if self.common.timeout is not None:
            told["DETACH_TIMEOUT"] = f"{self.common.timeout:.10g}"
        if self._wait is not None:
            told["DETACH_TIMEOUT"] = _longer(told.get("DETACH_TIMEOUT", ""), self._wait)
        for name, value in self._stand_ins.items():
            excluded = _HELD_BACK[name].by_scope and told.get("DETACH_SCOPE", "").strip() == Scope.CLOUD.value
            if not told.get(name, "").strip() and not excluded:
                told[name] = value
        return told

    def ask(self, form: dict[str, object]) -> int:
        """Carry out what options ask for; the exit code. Raises InvalidRequest, before anything is done."""
        return self.run([from_options(form)], form)

    def run(self, events: Sequence[Event], form: Mapping[str, object] | None = None) -> int:
        """Carry out events, one after the other; the exit code."""
        self.prepare(form or {})
        results: list[tuple[str | None, Result]] = []
        with self._stop.listening():
            results += [(event.title, self._carry_out(event)) for event in events if not self.stopped]
        return self.conclude(results)

    def prepare(self, form: Mapping[str, object]) -> Settings | None:
        """The settings, None where they are wrong; what they hold back of a form is said, once."""
        if self._notes is None:
            self._settings, self._notes = self.settings(), []
            if self._settings is not None:
                held_back = self._held_back(self._settings)
                self._codes += [ExitCode.REFUSED] * bool(held_back)
                self._notes = [*held_back, *self._bounds(self._settings, form)]
                for note in held_back if self.common.quiet else self._notes:
                    self.echo(click.style(note, fg="yellow"), err=True)
            self.log(self._settings)
        return self._settings

    def foresee(self, form: dict[str, object]) -> TargetResult:
        """What would come of form *one*, which says that it is a dry run. Nothing is shown of it."""
        with self._stop.listening():
            result = self._carry_out(from_options(form), hidden=True)
        if not isinstance(result, TargetResult):
            raise TypeError("not form one")
        return result

    def conclude(self, results: Sequence[tuple[str | None, Result]]) -> int:
        """Show results, and write what is asked for; the exit code."""
        codes = [*self._codes, *(exit_code(result, found=self.common.exit_code) for _, result in results)]
        if self.stopped:
            codes.append(ExitCode.INTERRUPTED)
        context = click.get_current_context()
        entry = context.find_object(Entry)
        endpoints, project_id = self._place([result for _, result in results])
        account = Account(
            command=context.info_name or "",
            words=entry.words if entry else "",
            began=self._began,
            seconds=time.monotonic() - self._started,
            interrupted=self.stopped,
            notes=tuple(self._notes or ()),
            settings=self._settings,
            endpoints=endpoints,
            results=tuple(results),
            token_project_id=project_id,
        )
        codes += self._write_reports(account)
        codes += self._show(account)
        codes += self._write_metrics(account, first(codes))
        return first(codes)

    def settings(self) -> Settings | None:
        """The settings; None where they are wrong, which every result says then."""
        try:
            return runtime(self.environment(), network=False).settings
        except Misconfigured:
            return None

    def log(self, settings: Settings | None) -> None:
        """Log where it is asked for. What changes the cloud is on record whatever is asked for."""
        if self.common.verbose:
            telemetry.configure(settings.log_level if settings else "INFO", sys.stderr)
        elif sys.stderr.isatty():
            telemetry.configure("CRITICAL", sys.stderr, ChangeLines(color=self.color is not False))
        else:
            telemetry.configure("CRITICAL", sys.stderr)

    def echo(self, line: str, *, err: bool = False) -> None:
        """Write a line, with colours where a person looks who wants them.

        Raises OSError where standard output can't be written to. On standard error that changes nothing.
        """
        if not err:
            click.echo(line, color=self.color)
            return
        with streams.telling():
            click.echo(line, err=True, color=self.color)

    @property
    def output(self) -> str:
        """How results are written: as it is said, else by who reads."""
        return self.common.output or ("table" if sys.stdout.isatty() else "json")

    @property
    def width(self) -> int | None:
        """How wide what is written may be, in cells; None where no terminal says."""
        if sys.stdout.isatty():
            return shutil.get_terminal_size().columns
        columns = os.environ.get("COLUMNS", "")
        return int(columns) if columns.isdecimal() and int(columns) else None

    def _carry_out(self, event: Event, *, hidden: bool = False) -> Result:
        hidden = hidden or self.common.quiet or self.common.verbose or not sys.stderr.isatty()
        with Follower(sys.stderr, hidden=hidden) as follower:
            return handle(
                platform.invocation(Trigger.TERMINAL)._replace(
                    stopped=self._stop,
                    origin=Origin(read_parent(os.environ.get("TRACEPARENT"), os.environ.get("TRACESTATE"))),
                ),
                event.read,
                environment=self.environment,
                network=False,
                caller=None,
                observer=follower,
                says_dry=event.says_dry,
            ).result

    def _place(self, results: Sequence[Result]) -> tuple[Endpoints | None, str | None]:
        """Where the services are that were asked, and whose project, by the token that was used for it."""
        asked = any(isinstance(result, ManyResult) and result.scanned for result in results)
        asked = asked or any(part.calls for result in results for part in parts_of(result))
        try:
            warm = runtime(self.environment(), network=False)
            # Where nothing was asked, only a token that is at hand tells: none is asked for
            seconds = warm.settings.timeout if asked else 0
            project = warm.project(platform.invocation(Trigger.TERMINAL).context(seconds))
            place = (project.endpoints if asked else None, project.project_id)
        except Failure:
            return None, None  # the token has ended since, and there is no other
        return place

    def _held_back(self, settings: Settings) -> list[str]:
        """Which options a setting holds back."""
        whole = settings.scope is Scope.CLOUD
        held_back = [
            ("DETACH_SCOPE=cloud" if whole and held.by_scope else name, held)
            for name, held in _HELD_BACK.items()
            if name in self._stand_ins and held.holds(settings)
        ]
        return [
            f"{name} is set, so {held.option} is held back and {held.so}: unset it first."
            for name, held in held_back
        ]

    def _bounds(self, settings: Settings, form: Mapping[str, object]) -> list[str]:
        """Where the settings are more careful than a sweep's options, and so win."""
        bounds, notes = form.get("sweep"), []
        if not isinstance(bounds, dict):
            return []
        if "DETACH_SWEEP_DRY_RUN" not in self._stand_ins:
            notes.append("A dry run: nothing is cleared without --apply.")
        limit, age = bounds.get("limit"), bounds.get("min_age_seconds")
        if limit is not None and limit > settings.sweep.limit:
            notes.append(
                f"DETACH_SWEEP_LIMIT allows {settings.sweep.limit} clearings at most: raise it for more."
            )
        if age is not None and age < settings.sweep.min_age_seconds:
            least = settings.sweep.min_age_seconds
            notes.append(f"DETACH_SWEEP_MIN_AGE_SECONDS is {least}, so younger ones are left alone.")
        return notes

    def _write_reports(self, account: Account) -> Iterator[ExitCode]:
        """Write what was asked for. What can't be written is said, and takes nothing else along."""
        from handler.terminal.reports import write_report  # noqa: PLC0415 (only where asked for)

        for path in self.common.reports:
            try:
                write_report(path, account)
            except OSError as error:
                yield self._unwritten(str(path), error)

    def _write_metrics(self, account: Account, code: ExitCode) -> Iterator[ExitCode]:
        """Write them last: they tell of the exit code, which all the rest is a part of."""
        from handler.terminal.metrics import write_metrics  # noqa: PLC0415 (only where asked for)

        if self.common.metrics_file is not None:
            try:
                write_metrics(self.common.metrics_file, account, code)
            except OSError as error:
                yield self._unwritten(str(self.common.metrics_file), error)

    def _unwritten(self, path: str, error: OSError, rest: str = "") -> ExitCode:
        self.echo(
            click.style(f"{printable(path)} could not be written: {error.strerror}{rest}", fg="red"), err=True
        )
        return ExitCode.FAILED

    def _show(self, account: Account) -> Iterator[ExitCode]:
        tell = partial(self.echo, err=True)
        view = View(self.output, self.width, self.common.quiet, self._stand_ins, self.echo, tell)
        try:
            show(view, account.results)
        except BrokenPipeError:  # who read has gone: nobody is left to tell
            streams.let_go(sys.stdout)
            yield ExitCode.FAILED
        except OSError as error:
            from handler.terminal.reports.content import headline  # noqa: PLC0415 (only where it is needed)

            streams.let_go(sys.stdout)
            yield self._unwritten(streams.OUTPUT, error, f". What came of it: {headline(account)}")


def _longer(timeout: str, wait: float) -> str:
    """A time-out that leaves so many seconds more; one that is not valid stays so, and is said as such."""
    try:
        seconds = float(timeout) if timeout.strip() else _DEFAULT_TIMEOUT
    except ValueError:
        return timeout
    return f"{min(seconds + wait, TIMEOUTS[1]):.10g}" if seconds > 0 else timeout
