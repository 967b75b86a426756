"""The spans. Only what is named here becomes an attribute, and of texts only plain ones.

Names: OpenTelemetry semantic conventions, "FaaS spans", "HTTP client spans", "CloudEvents spans"; ours begin
with `evs_detach`.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from handler.otel.harmless import harmless
from handler.otel.meters import Meters
from handler.tracing import NO_SPAN, Origin, Parent, Span

_PLAIN = re.compile(r"[A-Za-z0-9_.:/@+~-]{1,256}")
_ID = re.compile(r"[0-9a-f]{8}(?:-?[0-9a-f]{4}){3}-?[0-9a-f]{12}", re.IGNORECASE)
_CONTEXT = TraceContextTextMapPropagator()
_NO_HEADERS: Mapping[str, str] = {}

_TRIGGERS = {"http": "http", "apig": "http", "timer": "timer", "terminal": "other"}
_KINDS = {"http": SpanKind.SERVER, "timer": SpanKind.SERVER, "other": SpanKind.INTERNAL}
_EVENT = {
    "id": "cloudevents.event_id",
    "source": "cloudevents.event_source",
    "specversion": "cloudevents.event_spec_version",
    "type": "cloudevents.event_type",
    "subject": "cloudevents.event_subject",
}
_TARGET = {
    "volume_id": "evs_detach.volume.id",
    "attachment_id": "evs_detach.attachment.id",
    "server_id": "evs_detach.server.id",
    "project_id": "evs_detach.project.id",
    "outcome": "evs_detach.outcome",
    "code": "evs_detach.code",
    "changed": "evs_detach.changed",
    "dry_run": "evs_detach.dry_run",
    "via": "evs_detach.via",
}


class Tools(NamedTuple):
    """What spans are made with."""

    tracer: trace.Tracer
    meters: Meters


class InvocationSpan(Span):
    """One invocation. It begins for others with its first child: by then it is known whose part it is."""

    __slots__ = ("_attributes", "_began", "_lock", "_origin", "_span", "_started", "_tools", "_trigger")

    def __init__(self, tools: Tools, trigger: str, request_id: str, origin: Origin, *, cold: bool) -> None:
        self._tools = tools
        self._trigger = _TRIGGERS.get(trigger, "pubsub")
        self._origin = origin
        self._began, self._started = time.time_ns(), time.monotonic()
        self._lock = threading.Lock()
        self._span: trace.Span | None = None
        self._attributes = {
            "faas.trigger": self._trigger,
            "faas.invocation_id": request_id,
            "faas.coldstart": cold,
            "evs_detach.trigger": trigger,
        }
        if cold:
            tools.meters.coldstarts.add(1)

    @harmless(NO_SPAN)
    def child(self, kind: str, **facts: object) -> Span:
        """See Span."""
        return _begin(self._tools, trace.set_span_in_context(self._shown(), Context()), kind, facts)

    @harmless(None)
    def join(self, origin: Origin) -> None:
        """See Span."""
        with self._lock:
            known, self._origin = self._origin, origin
            if self._span is not None:
                late = [origin.parent] if origin.parent and known.parent is None else []
                for parent in (*late, *origin.links):
                    self._span.add_link(_span_context(parent))

    @property
    def headers(self) -> Mapping[str, str]:
        """See Span."""
        return _headers(self._shown)

    @harmless(None)
    def end(self, **facts: Any) -> None:
        """See Span."""
        span, code = self._shown(), facts["code"]
        span.set_attributes(_plain({_EVENT[name]: self._origin.event.get(name) for name in _EVENT}))
        came = {"evs_detach.ok": facts["ok"], "evs_detach.code": code}
        span.set_attributes(_plain(came))
        if facts["failed"]:
            span.set_attribute("error.type", code or "failed")
            span.set_status(Status(StatusCode.ERROR))
        span.end()
        about = {"faas.trigger": self._trigger}
        meters = self._tools.meters
        meters.invoke_duration.record(time.monotonic() - self._started, about)
        if facts["failed"]:
            meters.errors.add(1, {**about, **_plain({"evs_detach.code": code})})
        else:
            meters.invocations.add(1, about)

    def _shown(self) -> trace.Span:
        with self._lock:
            if self._span is None:
                parent = self._origin.parent
                context = _CONTEXT.extract(parent._asdict(), Context()) if parent else Context()
                self._span = self._tools.tracer.start_span(
                    "detach",
                    context,
                    _KINDS.get(self._trigger, SpanKind.CONSUMER),
                    _plain(self._attributes),
                    [Link(_span_context(link)) for link in self._origin.links],
                    self._began,
                )
            return self._span


class _Part(Span):
    """What is part of an invocation: a target, a call."""

    __slots__ = ("_span", "_tools")

    def __init__(self, tools: Tools, span: trace.Span) -> None:
        self._tools = tools
        self._span = span

    @harmless(NO_SPAN)
    def child(self, kind: str, **facts: object) -> Span:
        return _begin(self._tools, trace.set_span_in_context(self._span, Context()), kind, facts)

    @property
    def headers(self) -> Mapping[str, str]:
        return _headers(lambda: self._span)


class _TargetSpan(_Part):
    __slots__ = ()

    @harmless(None)
    def end(self, **facts: Any) -> None:
        self._span.set_attributes(_plain({_TARGET[name]: facts[name] for name in facts}))
        if facts["outcome"] == "failed":
            self._span.set_attributes(_plain({"error.type": facts["code"]}))
            self._span.set_status(Status(StatusCode.ERROR))
        self._span.end()


class _CallSpan(_Part):
    __slots__ = ("_about", "_method")

    def __init__(self, tools: Tools, span: trace.Span, method: str, about: dict[str, Any]) -> None:
        super().__init__(tools, span)
        self._method = method
        self._about = about

    @harmless(None)
    def end(self, **facts: Any) -> None:
        status, sent = facts["status"], facts["sent"]
        came = {"http.response.status_code": status, "error.type": _error_type(status, sent=sent)}
        about = _plain(came)
        self._span.set_attributes(about)
        self._span.set_attributes(_plain({"evs_detach.upstream_request_id": facts["upstream_request_id"]}))
        # A 404 to a question is an answer like another: most often the one that was hoped for
        if "error.type" in about and not (status == 404 and self._method == "GET"):
            self._span.set_status(Status(StatusCode.ERROR))
        self._span.end()
        if sent:
            self._tools.meters.call_duration.record(facts["seconds"], {**self._about, **about})


def _error_type(status: int | None, *, sent: bool) -> str | None:
    if status is None:
        return "no_answer" if sent else "not_sent"
    return str(status) if status >= 400 else None


def _begin(tools: Tools, context: Context, kind: str, facts: Mapping[str, Any]) -> Span:
    if kind == "target":
        attributes = _plain({_TARGET[name]: facts[name] for name in facts})
        return _TargetSpan(tools, tools.tracer.start_span("target", context, attributes=attributes))
    method, service = facts["method"], facts["service"]
    parts = urlsplit(facts["url"])
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    about = _plain(
        {
            "http.request.method": method,
            "server.address": parts.hostname,
            "server.port": port,
            "evs_detach.service": service,
        }
    )
    # Whoever names a broker may have put a key into its path, or into a query
    path = "/REDACTED" if service == "sink" else parts.path
    more = _plain(
        {
            "url.full": f"{parts.scheme}://{parts.hostname}:{port}{path}",
            "http.request.resend_count": facts["resent"] or None,
        }
    )
    span = tools.tracer.start_span(
        f"{method} {_ID.sub('{id}', path)}", context, SpanKind.CLIENT, {**about, **more}
    )
    return _CallSpan(tools, span, method, about)


def _plain(said: Mapping[str, object]) -> dict[str, Any]:
    """What can be shown of it: numbers, truth values, and texts that are plain words, ids or addresses."""
    return {
        name: value
        for name, value in said.items()
        if isinstance(value, (bool, int)) or (isinstance(value, str) and _PLAIN.fullmatch(value))
    }


@harmless(_NO_HEADERS)
def _headers(span: Callable[[], trace.Span]) -> Mapping[str, str]:
    headers: dict[str, str] = {}
    _CONTEXT.inject(headers, trace.set_span_in_context(span(), Context()))
    return headers


def _span_context(parent: Parent) -> trace.SpanContext:
    return trace.get_current_span(_CONTEXT.extract(parent._asdict(), Context())).get_span_context()
