"""A pytest plugin that keeps which calls the function made to the embedded cloud during a whole run.

    RECORDED_CALLS=build/calls.jsonl pytest -p tests.infra.record_calls
    RECORDED_CALLS=build/calls.jsonl pytest tests/infra/test_calls.py

The file gets a line of JSON for each kind of call: service, method, path. What the tests themselves ask of
the cloud is left out: it does not carry the function's User-Agent.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from tests.embedded_cloud import Cloud

if TYPE_CHECKING:
    import pytest

    from tests.embedded_cloud import Answer, Call

VARIABLE = "RECORDED_CALLS"
USER_AGENT = "evs-detach/"
SEEN: set[tuple[str, str, str]] = set()


def of_the_function(call: Call) -> bool:
    """Whether the function made this call, and not a test."""
    return call.headers.get("user-agent", "").startswith(USER_AGENT)


def path_of(call: Call) -> str:
    """A call's path; where several actions share one, behind a # the one that is asked for."""
    named = call.body if call.path.endswith("/action") and isinstance(call.body, dict) else {}
    return call.path + "".join(f"#{name}" for name in named)


def pytest_configure(config: pytest.Config) -> None:
    """Look at each call before the cloud does."""
    del config
    handle = Cloud._handle

    def watched(self: Cloud, call: Call) -> Answer:
        if of_the_function(call):
            SEEN.add((call.service, call.method, path_of(call)))
        return handle(self, call)

    Cloud._handle = watched  # type: ignore[method-assign]


def pytest_unconfigure(config: pytest.Config) -> None:
    """Add to the file; workers of a split run share it."""
    del config
    target = Path(os.environ[VARIABLE])
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("a", encoding="utf-8") as file:
        for service, method, path in sorted(SEEN):
            file.write(json.dumps({"service": service, "method": method, "path": path}) + "\n")
