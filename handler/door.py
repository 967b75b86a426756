"""The one way through every door: settings, caller, work, result, delivery. Nothing escapes it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from handler import telemetry
from handler.delivery import Delivery, settle
from handler.errors import Failure, Forbidden, Internal, InvalidRequest, Misconfigured, Unauthenticated
from handler.model import Result, TargetResult, Work
from handler.run import Invocation, failed, runtime
from handler.settings import InvokeAuth, Settings
from handler.telemetry import Event, Log

Environment = Callable[[], Mapping[str, str]]


class Passage(NamedTuple):
    """What came of an invocation: the result, how it is delivered, and what was asked for."""

    result: Result
    delivery: Delivery
    work: Sequence[Work] = ()


class Caller(NamedTuple):
    """Somebody who came over a network, with what the Authorization header says."""

    authorization: str | None


def enter(
    invocation: Invocation,
    read: Callable[[Settings], Sequence[Work]],
    *,
    environment: Environment,
    network: bool = True,
    caller: Caller | None,
) -> Passage:
    """Do what an event asks for.

    `read` turns the event into work and may raise InvalidRequest. `network` says that callers reach this host
    over a network. `caller` is None where only the platform or the person at the terminal can have called.
    """
    try:
        warm = runtime(environment(), network=network)
        if caller is not None and warm.settings.invoke_auth is InvokeAuth.BEARER:
            warm.admit(caller.authorization, invocation)
        work = read(warm.settings)
        result = warm.carry_out(work, invocation)
        return Passage(result, settle(result, work), work)
    except Failure as failure:
        return turn_away(failure, invocation)
    except Exception as bug:  # noqa: BLE001 (the last net: a host would show its text to the caller)
        return caught(bug, invocation)


def turn_away(failure: Failure, invocation: Invocation) -> Passage:
    """Answer an event that was not carried out, and say so in the log."""
    event = Event.INVOCATION
    if isinstance(failure, (Unauthenticated, Forbidden)):
        event = Event.CALLER_REFUSED
    elif isinstance(failure, Misconfigured):
        event = Event.SETTINGS_WRONG
    details = [vars(detail) for detail in failure.details or ()]
    _log(invocation).warning(
        event, ok=False, code=failure.code.value, message=failure.message, details=details
    )
    result: TargetResult = failed(failure, invocation)
    unread = failure if isinstance(failure, InvalidRequest) else None
    return Passage(result, settle(result, unread=unread))


def caught(bug: Exception, invocation: Invocation) -> Passage:
    """Answer an event that ran into a bug of ours."""
    _log(invocation).bug(bug)
    return turn_away(Internal("An error of the function itself; see its log."), invocation)


def _log(invocation: Invocation) -> Log:
    if not logging.getLogger("evs_detach").handlers:
        telemetry.configure("INFO")  # its level is a setting, and the settings could not be read
    return Log({"request_id": invocation.request_id, "trigger": invocation.trigger.value})
