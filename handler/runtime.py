"""One invocation: settings, caller, work, result. What it needs is built once and kept warm."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from handler import telemetry
from handler.actions.dispatch import carry_out
from handler.actions.observer import Observer
from handler.actions.project import Project
from handler.cloud.transport import Transport
from handler.credentials import CallerKeys, Credentials
from handler.errors import (
    Failure,
    Forbidden,
    InvalidRequest,
    Misconfigured,
    Unauthenticated,
)
from handler.invocation import CallContext, Invocation, Trigger
from handler.model.request import Batch, Ignored, Sweep, Work, require_scope
from handler.model.result import Handled, ManyResult, Outcome, Result, TargetResult, untargeted
from handler.settings import InvokeAuth, Settings, read_settings
from handler.settings.scope import Scope
from handler.telemetry import Event
from handler.tracing import NO_INSTRUMENTS, Origin, asked_for

_FLUSH = 1.0
"""Seconds that an answer waits at most for what was measured to be sent, and only where it has to."""

Environment = Callable[[], Mapping[str, str]]


class Caller(NamedTuple):
    """Somebody who came over a network, with what the Authorization header says."""

    authorization: str | None


class Runtime:
    """What stays warm between invocations: settings, connections, token, callers' keys. Threads share it."""

    def __init__(self, environment: Mapping[str, str], *, network: bool = True) -> None:
        self.settings = read_settings(environment, network=network)
        telemetry.configure(self.settings.log_level)
        self.transport = Transport(
            connect_timeout=self.settings.connect_timeout,
            read_timeout=self.settings.read_timeout,
            trust=self.settings.trust,
            # A target asks two at a time, and a second invocation is common
            connections=max(64, 4 * self.settings.concurrency),
        )
        self.credentials = Credentials(self.settings, self.transport, environment)
        self._keys: CallerKeys | None = None
        if self.settings.invoke_secret is not None:
            self._keys = CallerKeys(self.settings, self.transport, environment)

    def admit(self, authorization: str | None, invocation: Invocation) -> None:
        """Check a caller's Authorization header.

        Raises Unauthenticated, Forbidden, SecretUnavailable, or Misconfigured where there is no key at all.
        """
        if self._keys is None:
            raise Misconfigured("DETACH_INVOKE_SECRET is missing (the callers' key).")
        self._keys.check(authorization, invocation)

    def require_ready(self, invocation: Invocation) -> None:
        """Raise Failure where every call would fail by the settings, or by a secret on this machine."""
        context = invocation.context(self.settings.timeout)
        self.credentials.require_project(context)
        if self._keys is not None and self.settings.invoke_auth is InvokeAuth.BEARER:
            self._keys.require_good(context)

    def carry_out(
        self, work: Sequence[Work], invocation: Invocation, observer: Observer | None = None
    ) -> Result:
        """Do the work. What stops it as a whole comes out as a result, too; a bug is raised.

        `observer` is told how a sweep gets on.
        """
        started = time.monotonic()
        context = invocation.context(self.settings.timeout)
        try:
            result = self._carry_out(work, context, observer)
        except Failure as failure:
            result = failed(
                failure, invocation, dry_run=is_dry(work, sweeps_are_dry=self.settings.sweep.dry_run)
            )
        _log_result(context, result, time.monotonic() - started)
        return result

    def _carry_out(self, work: Sequence[Work], context: CallContext, observer: Observer | None) -> Result:
        if len(work) == 1 and isinstance(work[0], Ignored):
            return untargeted(Outcome.IGNORED, None, context.invocation)
        project = self.project(context, observer)
        if self.settings.trust_endpoints:
            context.log.warning(
                Event.ENDPOINTS_TRUSTED,
                message="That the services are of one cloud and region is taken on trust "
                "(DETACH_TRUST_ENDPOINTS=true).",
            )
        with self.transport.opened_ahead(self.credentials.unopened(), context):
            return carry_out(work, project)

    def project(self, context: CallContext, observer: Observer | None = None) -> Project:
        """The services of the token's project, under one invocation. Asks nobody yet."""
        auth = self.credentials.authenticator(context)
        return Project(self.settings, self.transport, auth, context, observer)


def handle(
    invocation: Invocation,
    read: Callable[[Settings], Sequence[Work]],
    *,
    environment: Environment,
    network: bool = True,
    caller: Caller | None,
    observer: Observer | None = None,
    says_dry: Callable[[], bool] | None = None,
    origin: Callable[[Origin], Origin] | None = None,
) -> Handled:
    """Do what an event asks for. Nothing is raised: here is the last net.

    `read` turns the event into work and may raise InvalidRequest. `network` says that callers reach this host
    over a network. `caller` is None where only the platform or the person at the terminal can have called.
    `says_dry` tells whether the event says of itself that it is a dry run, where it is not read for its work.
    `origin` adds to where it comes from what is known once it is read.
    """
    work: Sequence[Work] = ()
    measuring = Measuring(invocation)
    try:
        told = environment()
        invocation = measuring.begin(told)
        warm = runtime(told, network=network)
        if caller is not None:
            _judge(warm, caller, invocation)
        asked = read(warm.settings)
        require_scope(asked, all_projects=warm.settings.scope is Scope.CLOUD)
        work = asked
        if origin is not None:
            invocation.span.join(origin(invocation.origin))
        handled = Handled(warm.carry_out(work, invocation, observer), work)
    except Failure as failure:
        handled = turn_away(failure, invocation, dry_run=says_dry is not None and says_dry())
    except Exception as bug:  # noqa: BLE001 (the last net: a host would show its text to the caller)
        handled = caught(bug, invocation, begun=bool(work))
    measuring.end(handled)
    return handled


class Measuring:
    """What is measured of one invocation as a whole, from here to its result."""

    def __init__(self, invocation: Invocation) -> None:
        self._started = time.monotonic()
        self._invocation = invocation
        self._instruments = NO_INSTRUMENTS

    def begin(self, environment: Mapping[str, str]) -> Invocation:
        """The same invocation with its span."""
        invocation = self._invocation
        if asked_for(environment):
            from handler import otel  # noqa: PLC0415 (nobody else pays for it)

            self._instruments = otel.instruments(environment)
        trigger, request_id, origin = invocation.trigger.value, invocation.request_id, invocation.origin
        span = self._instruments.invocation(trigger, request_id, origin)
        self._invocation = invocation._replace(span=span)
        return self._invocation

    def end(self, handled: Handled) -> None:
        """End the span. Where the process may stop with the answer, what was measured is sent before it.

        Elsewhere that is done later, and nobody waits. FunctionGraph freezes an instance that has answered;
        it is the one host that says how much time is left.
        """
        result = handled.result
        code = result.error.code if result.error else None
        summary = result.summary if isinstance(result, ManyResult) else {}
        failed = (code is not None and code.http >= 500) or Outcome.FAILED.value in summary
        self._invocation.span.end(ok=result.ok, code=code.value if code else None, failed=failed)
        left = self._invocation.seconds_left
        if left is not None:
            self._instruments.flush(min(_FLUSH, left - (time.monotonic() - self._started)))
        elif self._invocation.trigger is Trigger.TERMINAL:
            self._instruments.flush(_FLUSH)


def refused(invocation: Invocation, caller: Caller, *, environment: Environment) -> Handled | None:
    """How a caller over a network is turned away, before anything of the body is read; None: let in.

    While the settings are wrong nobody can be judged, and nothing will be done: that is no refusal.
    """
    try:
        warm = runtime(environment())
    except Misconfigured:
        return None
    try:
        _judge(warm, caller, invocation)
    except Failure as failure:
        measuring = Measuring(invocation)
        handled = turn_away(failure, measuring.begin(environment()))
        measuring.end(handled)
        return handled
    return None


def _judge(warm: Runtime, caller: Caller, invocation: Invocation) -> None:
    """Raise Failure for a caller who may not come in, where the host in front doesn't check that."""
    if warm.settings.invoke_auth is InvokeAuth.BEARER:
        warm.admit(caller.authorization, invocation)


def caught(bug: Exception, invocation: Invocation, *, begun: bool) -> Handled:
    """Answer an event that ran into a bug of ours, or into the host's time-out, and log where.

    `begun`: work may have been under way, so that nobody knows whether it changed anything.
    """
    telemetry.ensure_configured()
    return turn_away(invocation.log.bug(bug), invocation, changed=None if begun else False)


def turn_away(
    failure: Failure, invocation: Invocation, *, dry_run: bool = False, changed: bool | None = False
) -> Handled:
    """Answer an event that was not carried out, and say so in the log."""
    telemetry.ensure_configured()
    event = Event.INVOCATION
    if isinstance(failure, (Unauthenticated, Forbidden)):
        event = Event.CALLER_REFUSED
    elif isinstance(failure, Misconfigured):
        event = Event.SETTINGS_WRONG
    details = [vars(detail) for detail in failure.details or ()]
    write = invocation.log.ended(failure, ok=False)
    write(event, ok=False, code=failure.code.value, message=failure.message, details=details)
    unread = failure if isinstance(failure, InvalidRequest) else None
    return Handled(failed(failure, invocation, dry_run=dry_run, changed=changed), unread=unread)


def failed(
    failure: Failure, invocation: Invocation, *, dry_run: bool = False, changed: bool | None = False
) -> TargetResult:
    """The result of an invocation that failed before, or outside of, any target."""
    return untargeted(Outcome.FAILED, failure, invocation, dry_run=dry_run, changed=changed)


def is_dry(work: Sequence[Work], *, sweeps_are_dry: bool) -> bool:
    """Whether nothing could have been sent by any of it. `sweeps_are_dry`: the settings say so."""

    def dry(part: Work) -> bool:
        if isinstance(part, Sweep):
            return part.sweep.dry_run or sweeps_are_dry
        if isinstance(part, Batch):
            return part.dry_run or all(target.dry_run for target in part.targets)
        return not isinstance(part, Ignored) and part.dry_run

    return bool(work) and all(map(dry, work))


def _log_result(context: CallContext, result: Result, seconds: float) -> None:
    error = result.error
    write = context.log.ended(error, ok=result.ok)
    summary = {result.outcome.value: 1} if isinstance(result, TargetResult) else result.summary
    write(
        Event.INVOCATION,
        ok=result.ok,
        summary=summary,
        code=error.code.value if error else None,
        message=error.message if error else None,
        duration_ms=round(seconds * 1000),
    )


_lock = threading.Lock()
_warm: dict[bool, Runtime] = {}


def runtime(environment: Mapping[str, str] | None = None, *, network: bool = True) -> Runtime:
    """The warm runtime of this process, built at the first call. Raises Misconfigured.

    A deployment's settings don't change while it lives: those of the first good call are kept. `network`
    tells the entry points that callers reach over a network from the others.
    """
    with _lock:
        known = _warm.get(network)
        if known is None:
            known = _warm[network] = Runtime(
                os.environ if environment is None else environment, network=network
            )
        return known


def reset() -> None:
    """Forget the warm runtime, for tests."""
    with _lock:
        for known in _warm.values():
            known.transport.close()
        _warm.clear()
    from handler import otel  # noqa: PLC0415 (nothing but tests comes here)

    otel.reset()
