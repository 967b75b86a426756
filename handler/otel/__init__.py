"""Traces and metrics by OpenTelemetry, of which nothing is imported before somebody asks for it.

Without the extra `evs-detach[otel]` that is said, and nothing is measured. Variables and their meaning:
OpenTelemetry specification, "Environment Variable Specification" and "OpenTelemetry Protocol Exporter".
"""

from __future__ import annotations

import threading
from collections.abc import Mapping

from handler.telemetry import Event, Log, ensure_configured
from handler.tracing import NO_INSTRUMENTS, READ, Instruments

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
