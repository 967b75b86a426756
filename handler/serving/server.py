"""`python -m handler serve`: functions-framework's own app, on its gunicorn, by a worker with bounds."""

from __future__ import annotations

import math
import os
import sys
from pathlib import Path

from handler.errors import Misconfigured
from handler.runtime import runtime
from handler.serving.connection import KEPT_FOR
from handler.triggers import platform

DEFAULT_HOST, DEFAULT_PORT = "0.0.0.0", 8080  # noqa: S104 (a container's; functions-framework's own default)

_MAIN = Path(__file__).resolve().parents[1] / "main.py"
_CONNECTIONS = 1000
_SPARE_FILES = 100
"""Open files that connections leave: log, listeners, connections to the cloud."""

_AFTER_TIMEOUT = 10.0
"""Seconds on top of DETACH_TIMEOUT in which what has begun may end, its answer sent."""


def serve(host: str | None = None, port: int | None = None) -> None:
    """Serve until SIGTERM or SIGINT, then end with what has begun done and answered. Ends the process.

    `host` and `port` default to HOST and PORT, WORKERS and THREADS are the framework's. Settings that are
    wrong don't keep it from starting: `/readyz` names them.
    """
    from functions_framework import create_app  # noqa: PLC0415 (no other command pays for it)
    from functions_framework._http.gunicorn import GunicornApplication  # noqa: PLC0415

    from handler.serving.worker import BoundedWorker  # noqa: PLC0415

    app = create_app("detach", str(_MAIN), "http")  # type: ignore[no-untyped-call]
    timeout = 25.0
    try:
        settings = runtime(platform.environment()).settings
        timeout, BoundedWorker.largest_body = settings.timeout, settings.max_body_bytes
    except Misconfigured as fault:
        sys.stderr.write(f"{fault.message} The function starts all the same; /readyz says so, too.\n")
    host = host or os.environ.get("HOST") or DEFAULT_HOST
    GunicornApplication(  # type: ignore[no-untyped-call]
        app,
        f"[{host}]" if ":" in host else host,
        port if port is not None else int(os.environ.get("PORT") or DEFAULT_PORT),
        debug=False,
        worker_class=BoundedWorker,
        worker_connections=_connections(),
        keepalive=round(KEPT_FOR),
        graceful_timeout=math.ceil(timeout + _AFTER_TIMEOUT),
        limit_request_line=8190,
        limit_request_fields=100,
        limit_request_field_size=8190,
    ).run()


def _connections() -> int:
    """As many as there may be open files, less some."""
    import resource  # noqa: PLC0415 (gunicorn runs where there is one)

    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _CONNECTIONS if allowed < 0 else max(1, min(_CONNECTIONS, allowed - _SPARE_FILES))
