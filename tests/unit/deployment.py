"""Who calls the function in a test: functions-framework, FunctionGraph's runtime, a caller over HTTP."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import functions_framework
from flask import Flask

ROOT = Path(__file__).resolve().parents[2]
MAIN = ROOT / "handler" / "main.py"
EVENTS = ROOT / "events"
KEY = "the-key-of-the-callers"
AUTHORIZED = {"Authorization": f"Bearer {KEY}"}

RESULT_KEYS = {
    "ok",
    "outcome",
    "changed",
    "dry_run",
    "volume_id",
    "attachment_id",
    "remaining_attachments",
    "server",
    "volume_status",
    "disk",
    "project_id",
    "via",
    "job",
    "error",
    "request_id",
    "trigger",
    "upstream_request_ids",
    "calls",
    "duration_ms",
}
MANY_KEYS = {"ok", "request_id", "trigger", "complete", "summary", "scanned", "results", "error"}


@cache
def app() -> Flask:
    """The framework's own app, made of our file. It holds no state of ours: that is in handler.runtime."""
    made: object = functions_framework.create_app("detach", str(MAIN), "http")  # type: ignore[no-untyped-call]
    assert isinstance(made, Flask)
    return made


def event(name: str) -> Any:
    return json.loads((EVENTS / f"{name}.json").read_text(encoding="utf-8"))


class Context:
    """What FunctionGraph hands to an event function, as the vendor's public stand-in of the runtime has it.

    Texts are "" where there is nothing, user data None; a missing timeout reads as 3000 ms left.
    """

    def __init__(
        self,
        *,
        user_data: Mapping[str, object] | None = None,
        token: str = "",
        project: str = "",
        request_id: str = "5f5f8f3a-5b0a-4d2e-9c57-0d5ab7e6b3a1",
        timeout: object = 30,
    ) -> None:
        self._user_data = user_data or {}
        self._token = token
        self._project = project
        self._request_id = request_id
        self._timeout = timeout
        self._started = time.monotonic()

    def getRequestID(self) -> str:  # noqa: N802 (the platform's name)
        return self._request_id

    def getRemainingTimeInMilliSeconds(self) -> int:  # noqa: N802
        if self._timeout is None:
            return 3000
        if not isinstance(self._timeout, int):
            raise TypeError("can't multiply sequence by non-int of type 'float'")
        return int(self._timeout * 1000 - (time.monotonic() - self._started) * 1000)

    def getUserData(self, key: str) -> object:  # noqa: N802
        return self._user_data.get(key)

    def getToken(self) -> str:  # noqa: N802
        return self._token

    def getProjectID(self) -> str:  # noqa: N802
        return self._project
