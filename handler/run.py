"""One invocation: work in, result out, within its deadline. What it needs is built once and kept warm."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from handler import telemetry
from handler.cloud.transport import Transport
from handler.credentials import CallerKeys, Credentials, Platform
from handler.deadline import Deadline
from handler.errors import Failure, Internal, Misconfigured
from handler.job import Job, Observer
from handler.model import Ignored, ManyResult, Outcome, Result, TargetResult, Trigger, Work
from handler.results import Origin, many, untargeted
from handler.secret import Secret
from handler.settings import read_settings
from handler.telemetry import Event, Log, Trace


class Invocation(NamedTuple):
    """What a door knows of one invocation.

    `seconds_left` is what the platform leaves us (its margin taken off); `platform_token` and
    `platform_project` are FunctionGraph's own, for `context:` and `csms:`.
    """

    trigger: Trigger
    request_id: str
    seconds_left: float | None = None
    platform_token: Secret | None = None
    platform_project: str | None = None

    @property
    def origin(self) -> Origin:
        """What results say of it."""
        return Origin(self.request_id, self.trigger)


class Runtime:
    """What stays warm between invocations: settings, connections, token, keys. Threads share it."""

    def __init__(self, environment: Mapping[str, str], *, network: bool = True) -> None:
        self.settings = read_settings(environment, network=network)
        telemetry.configure(self.settings.log_level)
        self.transport = Transport(
            connect_timeout=self.settings.connect_timeout,
            read_timeout=self.settings.read_timeout,
            ca_bundle=self.settings.ca_bundle,
            connections=max(32, 2 * self.settings.concurrency),
        )
        self._credentials = Credentials(self.settings, self.transport, environment)
        self._keys: CallerKeys | None = None
        if self.settings.invoke_secret is not None:
            self._keys = CallerKeys(self.settings, self.transport, environment)

    def admit(self, authorization: str | None, invocation: Invocation) -> None:
        """Check a caller's Authorization header.

        Raises Unauthenticated, Forbidden, SecretUnavailable, or Misconfigured where there is no key at all.
        """
        if self._keys is None:
            raise Misconfigured("DETACH_INVOKE_SECRET is missing (the callers' key).")
        self._keys.check(authorization, self._trace(invocation), _platform(invocation))

    def carry_out(
        self, work: Sequence[Work], invocation: Invocation, observer: Observer | None = None
    ) -> Result:
        """Do the work; whatever happens comes out as a result. `observer` is told how a sweep gets on."""
        started = time.monotonic()
        trace = self._trace(invocation)
        try:
            result = self._carry_out(work, invocation, trace, observer)
        except Failure as failure:
            result = failed(failure, invocation)
        except Exception as bug:  # noqa: BLE001 (the last net)
            trace.log.bug(bug)
            result = failed(Internal("An error of the function itself; see its log."), invocation)
        _log_result(trace.log, result, time.monotonic() - started)
        return result

    def _trace(self, invocation: Invocation) -> Trace:
        seconds = self.settings.timeout
        if invocation.seconds_left is not None:
            seconds = min(seconds, invocation.seconds_left)
        log = Log({"request_id": invocation.request_id, "trigger": invocation.trigger.value})
        return Trace(log, Deadline.after(seconds))

    def _carry_out(
        self, work: Sequence[Work], invocation: Invocation, trace: Trace, observer: Observer | None
    ) -> Result:
        if len(work) == 1 and isinstance(work[0], Ignored):
            return untargeted(Outcome.IGNORED, None, invocation.origin)
        auth = self._credentials.authenticator(trace, _platform(invocation))
        job = Job(self.settings, self.transport, auth, trace, invocation.origin, observer)
        if len(work) == 1:
            return job.do(work[0])
        return _joined(job.do_all(work), invocation.origin)


def _joined(results: Sequence[Result], origin: Origin) -> ManyResult:
    parts: list[TargetResult] = []
    groups = [result for result in results if isinstance(result, ManyResult)]
    for result in results:
        parts += result.results if isinstance(result, ManyResult) else [result]
    joined = many(parts, origin, complete=all(group.complete for group in groups))
    error = next((group.error for group in groups if group.error), None)
    scanned = next((group.scanned for group in groups if group.scanned), None)
    return replace(joined, ok=joined.ok and error is None, error=error, scanned=scanned)


def _platform(invocation: Invocation) -> Platform:
    return Platform(invocation.platform_token, invocation.platform_project)


def _log_result(log: Log, result: Result, seconds: float) -> None:
    error = result.error
    write = log.info if result.ok else log.warning
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
    tells the doors that callers reach over a network from the others.
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


def failed(failure: Failure, invocation: Invocation) -> TargetResult:
    """The result of an invocation that failed before, or outside of, any target."""
    return untargeted(Outcome.FAILED, failure, invocation.origin)
