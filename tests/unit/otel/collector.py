"""A collector on loopback: OTLP over HTTP, decoded by the protocol's own package."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.embedded_cloud import Cloud

_LOOKS = 0.01
"""Seconds between two looks at whether it is to end: each test waits for one."""


class Collector:
    """What arrived. `status` is what it answers; while `silent` is set, it answers nothing."""

    def __init__(self) -> None:
        self.bodies: list[tuple[str, bytes]] = []
        self.headers: list[dict[str, str]] = []
        self.status = 200
        self.said = b""
        self.silent = threading.Event()
        self.ended = threading.Event()
        self.url = ""

    @property
    def _traces(self) -> list[ExportTraceServiceRequest]:
        return [
            ExportTraceServiceRequest.FromString(body) for path, body in self.bodies if path == "/v1/traces"
        ]

    @property
    def spans(self) -> list[Span]:
        """All spans, as they came."""
        return [
            span
            for request in self._traces
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    def named(self, name: str) -> list[Span]:
        return [span for span in self.spans if span.name == name]

    @property
    def resource(self) -> dict[str, Any]:
        """Who says that he sent the first."""
        return read(self._traces[0].resource_spans[0].resource.attributes)

    @property
    def metrics(self) -> dict[str, Metric]:
        """Each metric as it came last."""
        return {
            metric.name: metric
            for path, body in self.bodies
            if path == "/v1/metrics"
            for resource in ExportMetricsServiceRequest.FromString(body).resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }

    def points(self, name: str) -> list[tuple[dict[str, Any], Any]]:
        """A metric's attributes and values: a histogram's are its count."""
        metric = self.metrics[name]
        if metric.HasField("histogram"):
            return [(read(point.attributes), point.count) for point in metric.histogram.data_points]
        points = metric.sum.data_points if metric.HasField("sum") else metric.gauge.data_points
        return [
            (read(point.attributes), point.as_double if point.HasField("as_double") else point.as_int)
            for point in points
        ]


def read(attributes: Any) -> dict[str, Any]:
    return {pair.key: _value(pair) for pair in attributes}


def _value(pair: KeyValue) -> Any:
    return getattr(pair.value, str(pair.value.WhichOneof("value")))


@contextmanager
def collecting() -> Iterator[Collector]:
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                content = gzip.decompress(content)
            if collector.silent.is_set():
                collector.ended.wait(60)
                return
            assert self.headers["Content-Type"] == "application/x-protobuf"
            collector.headers.append(dict(self.headers.items()))
            collector.bodies.append((self.path, content))
            self.send_response(collector.status)
            self.send_header("Content-Length", str(len(collector.said)))
            self.end_headers()
            self.wfile.write(collector.said)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    collector.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(_LOOKS,), daemon=True)
    thread.start()
    try:
        yield collector
    finally:
        collector.ended.set()
        server.shutdown()
        server.server_close()
        thread.join()


def headers_of(cloud: Cloud, name: str) -> list[str | None]:
    """What each call to the cloud had in a header."""
    return [call.headers.get(name) for call in cloud.calls]
