"""The entry points: `detach` for functions-framework, `functiongraph` for FunctionGraph's own runtime."""

from __future__ import annotations

import gc
import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if importlib.util.find_spec("handler") is None:
    # functions-framework loads this file by its path, which leads nowhere when it was started elsewhere.
    sys.path.append(str(Path(__file__).resolve().parents[1]))

# Modules are made of very many objects, so imports keep the garbage collector busy with what stays for the
# life of the process: a tenth of a cold start. What is there after them is left out of all later collections.
_was_collecting = gc.isenabled()
gc.disable()
try:
    # From the ground up, so that no import lies deep within others: each takes a kilobyte of the stack that
    # frames are on, whose pieces (16 kB, CPython 3.11 on) are mapped and unmapped with every call that goes
    # over the end of one. Libraries that were imported 16 deep did so 1,700 times: a twelfth of a cold start.
    # isort: off
    import requests as _requests  # noqa: F401
    from handler import settings as _settings  # noqa: F401
    from handler.cloud import volumes as _volumes  # noqa: F401
    from handler import routes
    # isort: on
finally:
    gc.freeze()
    if _was_collecting:
        gc.enable()

if "flask" in sys.modules:
    routes.answer_every_path()

if TYPE_CHECKING:
    from flask import Request, Response


def detach(request: Request) -> Response:
    """Serve one HTTP request: an event, a probe, or FunctionGraph's calls to a container."""
    return routes.serve(request)


def functiongraph(event: object, context: object) -> dict[str, Any]:
    """Serve one event of FunctionGraph: TIMER, APIG, SMN, CTS, EVENTGRID, or a direct call.

    Gives the result, or the gateway's answer for APIG. Raises `routes.NotSettled` where the platform should
    call again or hand the event to its failure target.
    """
    return routes.serve_event(event, context)
