"""What a host tells of an invocation beside its event: request id, time left, token, settings.

Facts: FunctionGraph developer guide, "Python Function Development" (the context) and "Developing a Custom
Image" (the X-CFF headers), and the vendor's public stand-in of the runtime.
"""

from __future__ import annotations

import math
import os
import re
import uuid
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from handler.errors import Misconfigured
from handler.invocation import NO_PLATFORM, Invocation, Platform, Trigger
from handler.model.bounded_json import loads
from handler.model.values import project_uuid
from handler.secret import Secret
from handler.settings import NAMES
from handler.tracing import READ, Origin, read_parent

_MARGIN = 0.5
"""Seconds of what the platform leaves us that are kept for answering."""

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")


class Headers(Protocol):
    """The headers of a request, whose names may be written in any case."""

    def get(self, name: str, /) -> str | None:
        """The value, None where there is none."""


def from_headers(headers: Headers, trigger: Trigger, *request_ids: object) -> Invocation:
    """An invocation by what FunctionGraph says to a container or HTTP function. The text "null" means absent.

    Whoever reaches the port can send these headers. They count once it is known who calls, and then the token
    is of use to nobody who has none, and the time can only be made shorter.
    """

    def told(name: str) -> str | None:
        value = headers.get(name)
        return None if value in {None, "", "null"} else value

    platform = _platform(told("X-CFF-Auth-Token"), told("X-CFF-Project-Id"))
    ids = (told("X-CFF-Request-Id"), *request_ids)
    made = invocation(trigger, *ids, seconds=told("X-CFF-Timeout"), platform=platform)
    origin = Origin(read_parent(headers.get("traceparent"), headers.get("tracestate")))
    return made._replace(origin=origin, claimed=True)


def from_context(context: object, trigger: Trigger, *request_ids: object) -> Invocation:
    """An invocation by a FunctionGraph event function's context, whose methods may be missing or fail."""
    milliseconds = _number(_ask(context, "getRemainingTimeInMilliSeconds"))
    platform = _platform(_ask(context, "getToken"), _ask(context, "getProjectID"))
    ids = (_ask(context, "getRequestID"), *request_ids)
    seconds = None if milliseconds is None else milliseconds / 1000
    return invocation(trigger, *ids, seconds=seconds, platform=platform)


def invocation(
    trigger: Trigger, *request_ids: object, seconds: object = None, platform: Platform = NO_PLATFORM
) -> Invocation:
    """An invocation by this trigger, whose platform leaves it so many seconds, if it says.

    Its request id is the first of `request_ids` that looks like one, else a new one.
    """
    known = next((found for found in map(_request_id, request_ids) if found), None)
    left = _number(seconds)
    left = None if left is None else max(0.0, left - _MARGIN)
    return Invocation(trigger, known or str(uuid.uuid4()), left, platform)


def _platform(token: object, project: object) -> Platform:
    return Platform(
        Secret(token) if isinstance(token, str) and token else None,
        project if isinstance(project, str) and project_uuid(project) else None,
    )


def _ask(context: object, method: str) -> Any:
    try:
        return getattr(context, method)()
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

    What is empty doesn't say. Raises Misconfigured when the user data can't be read: what it says must not
    silently not hold.
    """
    text = os.environ.get("RUNTIME_USERDATA")
    if not text:
        return os.environ
    try:
        data = loads(text)
    except ValueError:
        data = text
    if not isinstance(data, (dict, type(None))):
        raise Misconfigured("RUNTIME_USERDATA is not a JSON object, so user data can't be read.")
    told = {name: value for name, value in (data or {}).items() if isinstance(value, str)}
    if len(told) != len(data or {}):
        raise Misconfigured("RUNTIME_USERDATA has values that are not text, so user data can't be read.")
    return _outranked(told, os.environ)


def environment_of(context: object) -> Callable[[], Mapping[str, str]]:
    """The settings of a FunctionGraph event function, whose context has the user data, encrypted or not.

    Reading them raises Misconfigured, as `environment` does.
    """
    return lambda: _outranked(_user_data(context), environment())


def _outranked(told: Mapping[str, str], environment: Mapping[str, str]) -> dict[str, str]:
    """What is told, where the environment doesn't say or says nothing but blanks."""
    says = {name: value for name, value in environment.items() if value.strip() or name not in told}
    return {**told, **says}


def _user_data(context: object) -> dict[str, str]:
    """What the context has of our settings. A runtime without user data has no method for it."""
    told: dict[str, str] = {}
    faults = []
    for name in (*NAMES, *READ):
        try:
            read = getattr(context, "getUserData", None)
            value = None if read is None else read(name)
        except Exception:  # noqa: BLE001 (whatever a runtime fails with: a limit may be set there)
            faults.append(f"{name} can't be read")
            continue
        if isinstance(value, str):
            told[name] = value
        elif value is not None:
            faults.append(f"{name} is not text")
    if faults:
        raise Misconfigured(f"FunctionGraph's user data can't be used: {'; '.join(faults)}.")
    return told
