"""The metrics, most of them made of what the log says.

Names: OpenTelemetry semantic conventions, "FaaS metrics" and "HTTP client metrics"; ours begin with
`evs_detach`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from opentelemetry.metrics import Meter

from handler.otel.harmless import harmless
from handler.telemetry import Event

_Attributes = dict[str, str | int | bool]

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
"""Where durations are told apart, in seconds, as the conventions say."""


class Meters:
    """What is counted and timed."""

    def __init__(self, meter: Meter) -> None:
        self.invocations = meter.create_counter("faas.invocations", "{invocation}", "Calls that succeeded.")
        self.errors = meter.create_counter("faas.errors", "{error}", "Calls that did not.")
        self.coldstarts = meter.create_counter("faas.coldstarts", "{coldstart}", "Processes that began.")
        self.invoke_duration = meter.create_histogram(
            "faas.invoke_duration", "s", "Duration of a call.", explicit_bucket_boundaries_advisory=_SECONDS
        )
        self.call_duration = meter.create_histogram(
            "http.client.request.duration",
            "s",
            "Duration of a call to the cloud.",
            explicit_bucket_boundaries_advisory=_SECONDS,
        )
        self._targets = meter.create_counter("evs_detach.targets", "{target}", "Targets by their outcome.")
        self._clearings = meter.create_counter("evs_detach.clearings", "{record}", "Records seen changed.")
        self._sweeps = meter.create_counter("evs_detach.sweeps", "{sweep}", "Sweeps by how they ended.")
        self._refused = meter.create_counter(
            "evs_detach.sweeps.refused",
            "{sweep}",
            "Sweeps, of one project or of all, that too much stood against.",
        )
        self._candidates = meter.create_gauge(
            "evs_detach.candidates", "{attachment}", "Attachments whose server the last sweep did not find."
        )
        self._last_sweep = meter.create_gauge(
            "evs_detach.last_sweep.timestamp", "s", "When a sweep last went through to its end."
        )
        self._tokens = meter.create_counter("evs_detach.tokens.issued", "{token}", "Tokens issued to us.")
        self._secret_end = meter.create_gauge(
            "evs_detach.secret.end.timestamp", "s", "When a secret ends, by the setting that names it."
        )
        self._to_mend = meter.create_counter("evs_detach.errors", "{line}", "Log lines of level ERROR.")
        self._clearings.add(0)

    @harmless(None)
    def hear(self, level: int, event: Event, fields: Mapping[str, Any]) -> None:
        """Count what the log says."""
        if level >= logging.ERROR:
            self._to_mend.add(1, _attributes(event=event.value, code=fields.get("code")))
        if event is Event.TARGET:
            said = _attributes(
                outcome=fields["outcome"],
                code=fields["code"],
                dry_run=fields["dry_run"],
                project_id=fields["project_id"],
            )
            self._targets.add(1, said)
            if fields["changed"] is True:
                self._clearings.add(1)
        elif event is Event.RUN:
            self._run(fields)
        elif event is Event.SWEEP_REFUSED:
            self._refused.add(1, _attributes(project_id=fields.get("project_id")))
        elif event is Event.TOKEN_BOUGHT:
            self._tokens.add(1)
        elif event is Event.SECRET_ENDS:
            moment = datetime.strptime(fields["ends_at"], "%Y-%m-%dT%H:%M:%S%z").timestamp()
            self._secret_end.set(moment, _attributes(setting=fields["setting"], kind=fields["kind"]))

    def _run(self, fields: Mapping[str, Any]) -> None:
        self._sweeps.add(1, _attributes(ok=fields["ok"], code=fields["code"], dry_run=fields["dry_run"]))
        if fields["candidates"] is not None:
            self._candidates.set(fields["candidates"])
        if fields["code"] is None:
            self._last_sweep.set(round(time.time()))


def _attributes(**said: str | bool | None) -> _Attributes:
    return {f"evs_detach.{name}": value for name, value in said.items() if value is not None}
