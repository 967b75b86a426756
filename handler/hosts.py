"""What a host tells of an invocation beside its event: request id, time left, token, settings.

Facts: FunctionGraph developer guide, "Python Function Development" (the context) and "Developing a Custom
Image" (the X-CFF headers), and the vendor's public stand-in of the runtime.
"""

from __future__ import annotations

import json
import math
import os
import re
import uuid
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

from handler.errors import Misconfigured
from handler.model import Trigger
from handler.run import Invocation
from handler.secret import Secret
from handler.settings import NAMES

_MARGIN = 0.5
"""Seconds of what the platform leaves us that are kept for answering."""

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
_PROJECT = re.compile(r"[0-9A-Fa-f-]{32,36}")


class Host(NamedTuple):
    """What the host says. `seconds_left` has the margin taken off; None where the host says nothing."""

    request_id: str | None = None
    seconds_left: float | None = None
    token: Secret | None = None
    project: str | None = None

    def invocation(self, trigger: Trigger, *request_ids: object) -> Invocation:
        """An invocation by this trigger.

        Its request id is the host's, else the first of `request_ids` that looks like one, else a new one.
        """
        known = next((found for found in map(_request_id, (self.request_id, *request_ids)) if found), None)
        return Invocation(trigger, known or str(uuid.uuid4()), self.seconds_left, self.token, self.project)


class Headers(Protocol):
    """The headers of a request, whose names may be written in any case."""

    def get(self, name: str, /) -> str | None:
        """The value, None where there is none."""


def from_headers(headers: Headers) -> Host:
    """What FunctionGraph says to a container or HTTP function. The text "null" means absent.

    Whoever reaches the port can send these headers: the token is of use to nobody who has none, and the
    time can only be made shorter.
    """

    def told(name: str) -> str | None:
        value = headers.get(name)
        return None if value in {None, "", "null"} else value

    return _host(
        told("X-CFF-Request-Id"), told("X-CFF-Timeout"), told("X-CFF-Auth-Token"), told("X-CFF-Project-Id")
    )


def from_context(context: object) -> Host:
    """What the context of a FunctionGraph event function says. Each of its methods may be missing or fail."""
    milliseconds = _number(_ask(context, "getRemainingTimeInMilliSeconds"))
    return _host(
        _ask(context, "getRequestID"),
        None if milliseconds is None else milliseconds / 1000,
        _ask(context, "getToken"),
        _ask(context, "getProjectID"),
    )


def _host(request_id: object, seconds: object, token: object, project: object) -> Host:
    left = _number(seconds)
    return Host(
        _request_id(request_id),
        None if left is None else max(0.0, left - _MARGIN),
        Secret(token) if isinstance(token, str) and token else None,
        project if isinstance(project, str) and _PROJECT.fullmatch(project) else None,
    )


def _ask(context: object, method: str, *arguments: str) -> Any:
    try:
        return getattr(context, method)(*arguments)
    except Exception:  # noqa: BLE001 (whatever a runtime fails with, it then says nothing)
        return None


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) and number >= 0 else None


def _request_id(value: object) -> str | None:
    return value if isinstance(value, str) and value != "null" and _REQUEST_ID.fullmatch(value) else None


def environment() -> Mapping[str, str]:
    """The settings of a process: its environment, and FunctionGraph's user data where that doesn't say.

    Raises Misconfigured when the user data can't be read: what it says must not silently not hold.
    """
    text = os.environ.get("RUNTIME_USERDATA")
    if not text:
        return os.environ
    try:
        data = json.loads(text)
    except ValueError:
        data = text
    if not isinstance(data, (dict, type(None))):
        raise Misconfigured("RUNTIME_USERDATA is not a JSON object, so user data can't be read.")
    told = {name: value for name, value in (data or {}).items() if isinstance(value, str)}
    if len(told) != len(data or {}):
        raise Misconfigured("RUNTIME_USERDATA has values that are no text, so user data can't be read.")
    return {**told, **os.environ}


def environment_of(context: object) -> Callable[[], Mapping[str, str]]:
    """The settings of a FunctionGraph event function, whose context has the user data, encrypted or not."""

    def read() -> Mapping[str, str]:
        told = {name: _ask(context, "getUserData", name) for name in NAMES}
        return {**{name: value for name, value in told.items() if isinstance(value, str)}, **environment()}

    return read
