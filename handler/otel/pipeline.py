"""What takes spans and metrics to the collector, and keeps it from being waited for.

The SDK's own flush has no time limit, so a thread does it, and whoever waits for that thread has one. A
collector that failed is not waited for again until it has taken something.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import (
    MetricExportResult,
    MetricsData,
    PeriodicExportingMetricReader,
)
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExportResult

from handler import NAME, __version__
from handler.otel.meters import Meters
from handler.otel.spans import InvocationSpan, Tools
from handler.telemetry import Event, Log, listen
from handler.tracing import Instruments, Origin, Span

_AT_EXIT = 2.0
"""Seconds that a process which ends waits at most for what was measured to be sent."""


class Health:
    """Whether the collector took the last that it was sent. A line is logged when it begins to fail."""

    def __init__(self, signal: str) -> None:
        self.good = True
        self._signal = signal
        self.closed = False

    def saw(self, *, good: bool) -> None:
        """Note how it ended. Nothing of what the collector or a library says is quoted."""
        if self.good and not good and not self.closed:
            Log().warning(
                Event.EXPORT_FAILED, signal=self._signal, error="the collector did not take what was sent"
            )
        self.good = good


class _SpanExporter(OTLPSpanExporter):
    def __init__(self, health: Health) -> None:
        super().__init__()
        self._health = health

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = SpanExportResult.FAILURE
        try:
            result = super().export(spans)
        finally:
            self._health.saw(good=result is SpanExportResult.SUCCESS)
        return result


class _MetricExporter(OTLPMetricExporter):
    def __init__(self, health: Health) -> None:
        super().__init__()
        self._health = health

    def export(
        self, metrics_data: MetricsData, timeout_millis: float | None = 10_000, **kwargs: object
    ) -> MetricExportResult:
        result = MetricExportResult.FAILURE
        try:
            result = super().export(metrics_data, timeout_millis, **kwargs)
        finally:
            self._health.saw(good=result is MetricExportResult.SUCCESS)
        return result


class Sender:
    """A thread that has things sent when it is asked to. Who asks while it sends is served after that."""

    def __init__(self, send: Callable[[], object], health: Health) -> None:
        self._send = send
        self._health = health
        self._changed = threading.Condition()
        self._asked = self._sent = 0
        self._late = self._closed = False
        threading.Thread(target=self._work, name=f"send {send.__qualname__}", daemon=True).start()

    def ask(self) -> int:
        """Have what there is sent; a number to wait for."""
        with self._changed:
            self._asked += 1
            self._changed.notify_all()
            return self._asked

    def wait(self, number: int, until: float) -> None:
        """Wait for that until then (monotonic), but not where the collector failed, or was late, before."""
        with self._changed:
            if self._health.good and not self._late:
                left = until - time.monotonic()
                self._late = not self._changed.wait_for(lambda: self._sent >= number, max(0.0, left))

    def close(self) -> None:
        """End the thread, as soon as it sends nothing."""
        with self._changed:
            self._closed = self._health.closed = True
            self._changed.notify_all()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or self._asked > self._sent)
                if self._closed:
                    return
                number = self._asked
            try:
                self._send()
            except Exception:  # noqa: BLE001 (whatever a library raises, it was not sent)
                self._health.saw(good=False)
            with self._changed:
                self._sent, self._late = number, False
                self._changed.notify_all()


class Pipeline(Instruments):
    """What measures, and has it sent."""

    def __init__(self, tools: Tools, senders: Sequence[Sender], close: Callable[[], None]) -> None:
        self._tools = tools
        self._senders = senders
        self._close = close
        self._cold = True

    def invocation(self, trigger: str, request_id: str, origin: Origin) -> Span:
        """See Instruments."""
        cold, self._cold = self._cold, False
        return InvocationSpan(self._tools, trigger, request_id, origin, cold=cold)

    def flush(self, seconds: float) -> None:
        """See Instruments."""
        until = time.monotonic() + seconds
        asked = [(sender, sender.ask()) for sender in self._senders]
        for sender, number in asked:
            sender.wait(number, until)

    def close(self) -> None:
        """See Instruments."""
        atexit.unregister(self.flush)
        listen(None)
        for sender in self._senders:
            sender.close()
        self._close()


def build(told: Mapping[str, str]) -> Pipeline:
    """The pipeline that OpenTelemetry's variables ask for. Raises what the SDK raises for a wrong one."""
    added = {name: value for name, value in told.items() if name not in os.environ}
    os.environ.update(added)  # the SDK looks nowhere else
    # They may quote what a collector or a proxy says; that something failed is in our own log
    logger = logging.getLogger("opentelemetry")
    logger.propagate = False
    logger.addHandler(logging.NullHandler())
    ours = {"service.name": NAME, "service.version": __version__, "service.instance.id": str(uuid.uuid4())}
    resource = Resource.create(ours).merge(OTELResourceDetector().detect())
    senders: list[Sender] = []
    exporters: list[_SpanExporter | _MetricExporter] = []
    tracing = TracerProvider(resource=resource, shutdown_on_exit=False)
    if _wanted("TRACES"):
        health = Health("traces")
        exporters.append(spans := _SpanExporter(health))
        tracing.add_span_processor(BatchSpanProcessor(spans))
        senders.append(Sender(tracing.force_flush, health))
    readers = []
    if _wanted("METRICS"):
        health = Health("metrics")
        exporters.append(metrics := _MetricExporter(health))
        readers.append(PeriodicExportingMetricReader(metrics))
        senders.append(Sender(readers[0].force_flush, health))
    metering = MeterProvider(readers, resource, shutdown_on_exit=False)
    meters = Meters(metering.get_meter(NAME, __version__))

    def close() -> None:
        for exporter in exporters:
            exporter.shutdown()  # first, so that nothing is waited for
        tracing.shutdown()
        metering.shutdown()
        for name in added:
            os.environ.pop(name, None)

    pipeline = Pipeline(Tools(tracing.get_tracer(NAME, __version__), meters), senders, close)
    listen(meters.hear)
    atexit.register(pipeline.flush, _AT_EXIT)
    return pipeline


def _wanted(signal: str) -> bool:
    """Whether a collector is named for it."""
    named = ("OTEL_EXPORTER_OTLP_ENDPOINT", f"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT")
    exporter = os.environ.get(f"OTEL_{signal}_EXPORTER", "otlp").strip() or "otlp"
    return exporter == "otlp" and any(os.environ.get(name, "").strip() for name in named)
