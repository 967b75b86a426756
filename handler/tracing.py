"""Where an event comes from, and the seam at which traces and metrics are taken.

What is here measures nothing. `handler.otel` stands in for it where somebody asks for that. Source of the
header: W3C, "Trace Context"; in an event: CloudEvents, "Distributed Tracing".
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

COLLECTORS = (
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
)
"""Variables that name a collector. With none of them nothing is measured."""

READ = (
    *COLLECTORS,
    "OTEL_EXPORTER_OTLP_HEADERS",
    "OTEL_EXPORTER_OTLP_TIMEOUT",
    "OTEL_EXPORTER_OTLP_CERTIFICATE",
    "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE",
    "OTEL_RESOURCE_ATTRIBUTES",
    "OTEL_SDK_DISABLED",
    "OTEL_SERVICE_NAME",
    "OTEL_TRACES_SAMPLER",
    "OTEL_TRACES_SAMPLER_ARG",
)
"""What FunctionGraph's user data is asked for, since it is not in the environment of each of its runtimes."""

_TRACEPARENT = (
    r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}"  # compiled when needed
)
_LONGEST_STATE = 512  # characters, the least that has to be passed on
_MOST_LINKS = 32
_NO_ATTRIBUTES: Mapping[str, object] = MappingProxyType({})


class Parent(NamedTuple):
    """The caller's span, as the headers `traceparent` and `tracestate` say it."""

    traceparent: str
    tracestate: str = ""


class Origin(NamedTuple):
    """Where an event comes from: the span that it belongs under, others that led to it, what it calls itself.

    `event` holds a CloudEvent's own attributes as they came, which nobody has looked at.
    """

    parent: Parent | None = None
    links: tuple[Parent, ...] = ()
    event: Mapping[str, object] = _NO_ATTRIBUTES

    def of_events(self, events: Sequence[Mapping[str, object]]) -> Origin:
        """With what CloudEvents say. The delivery's own span is nearer than that at which they were made."""
        said = (read_parent(event.get("traceparent"), event.get("tracestate")) for event in events)
        links = tuple(dict.fromkeys(parent for parent in said if parent and parent != self.parent))
        event = events[0] if len(events) == 1 else _NO_ATTRIBUTES
        if self.parent is None and len(links) == 1:
            return Origin(links[0], (), event)
        return Origin(self.parent, links[:_MOST_LINKS], event)


NO_ORIGIN = Origin()


def read_parent(traceparent: object, tracestate: object = None) -> Parent | None:
    """The caller's span; None where there is none, or what is said of it is not valid."""
    if not isinstance(traceparent, str) or not re.fullmatch(_TRACEPARENT, traceparent):
        return None
    state = tracestate if isinstance(tracestate, str) and len(tracestate) <= _LONGEST_STATE else ""
    return Parent(traceparent, state)


def asked_for(environment: Mapping[str, str]) -> bool:
    """Whether a collector is named, and OpenTelemetry not switched off."""
    named = any(environment.get(name, "").strip() for name in COLLECTORS)
    return named and environment.get("OTEL_SDK_DISABLED", "").strip().lower() != "true"


class Span:
    """One invocation, target or call, as a trace shows it. This one shows nothing."""

    __slots__ = ()

    def child(self, kind: str, **facts: object) -> Span:
        """Begin what is part of it: a `target` or a `call`, with what is known of it beforehand."""
        del kind, facts
        return self

    def join(self, origin: Origin) -> None:
        """Learn where the event comes from, once it is read."""

    @property
    def headers(self) -> Mapping[str, str]:
        """What tells another service that its work is part of this."""
        return {}

    def end(self, **facts: object) -> None:
        """End it, with what came of it."""


NO_SPAN = Span()


class Instruments:
    """What measures invocations. This one measures nothing."""

    def invocation(self, trigger: str, request_id: str, origin: Origin) -> Span:
        """Begin an invocation."""
        del trigger, request_id, origin
        return NO_SPAN

    def flush(self, seconds: float) -> None:
        """Have sent what was measured, and wait for that so long at most. Raises nothing."""

    def close(self) -> None:
        """Measure nothing any more, and send nothing."""


NO_INSTRUMENTS = Instruments()
