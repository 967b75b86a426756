"""Traces and metrics by OpenTelemetry, where a collector is named and the extra `evs-detach[otel]` is there.

Nothing of OpenTelemetry's is imported before. Variables and their meaning: OpenTelemetry specification,
"Environment Variable Specification" and "OpenTelemetry Protocol Exporter".
"""

from __future__ import annotations

import threading
from collections.abc import Mapping

from handler.telemetry import Event, Log, ensure_configured
from handler.tracing import NO_INSTRUMENTS, Instruments

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

_PROTOCOLS = frozenset({"", "http/protobuf"})

_lock = threading.Lock()
_chosen: list[Instruments] = []


def instruments(environment: Mapping[str, str]) -> Instruments:
    """What measures in this process, by the environment of the first call."""
    if _chosen:
        return _chosen[0]
    with _lock:
        if not _chosen:
            _chosen.append(_choose(environment))
        return _chosen[0]


def _choose(environment: Mapping[str, str]) -> Instruments:
    named = any(environment.get(name, "").strip() for name in COLLECTORS)
    if not named or environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return NO_INSTRUMENTS
    if environment.get("OTEL_EXPORTER_OTLP_PROTOCOL", "").strip() not in _PROTOCOLS:
        return _without("OTEL_EXPORTER_OTLP_PROTOCOL is not http/protobuf")
    try:
        from handler.otel.pipeline import build  # noqa: PLC0415 (only where somebody asks for it)

        return build({name: environment[name] for name in READ if name in environment})
    except Exception as fault:  # noqa: BLE001 (nothing that is measured is worth an answer)
        missing = isinstance(fault, ImportError)
        return _without("evs-detach[otel] is not installed" if missing else type(fault).__name__)


def _without(why: str) -> Instruments:
    ensure_configured()
    Log().warning(Event.EXPORT_FAILED, signal="all", error=why)
    return NO_INSTRUMENTS


def reset() -> None:
    """Forget what measures, for tests."""
    with _lock:
        for chosen in _chosen:
            chosen.close()
        _chosen.clear()
