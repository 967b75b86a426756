"""The doors: `detach` for functions-framework, `functiongraph` for FunctionGraph's own runtime."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

if importlib.util.find_spec("handler") is None:
    # functions-framework loads this file by its path, which leads nowhere when it was started elsewhere.
    sys.path.append(str(Path(__file__).resolve().parents[1]))

from handler.imports import kept

with kept():
    from handler import door, hosts
    from handler.door import Caller, Passage
    from handler.errors import InvalidRequest, Misconfigured
    from handler.model import Trigger, Work, to_json
    from handler.request import parse_json
    from handler.run import Invocation, runtime
    from handler.settings import Settings
    from handler.triggers import functiongraph as envelopes
    from handler.triggers.answer import Answer, as_json

if TYPE_CHECKING:
    from flask import Request, Response

    from handler.triggers.http import Body

_JSON = "application/json"
_CALLERS_FAULT = frozenset({401, 403})

_BODY_LIMIT = 262_144
"""Bytes of an event that are read while the settings are wrong and can't say."""


class NotSettled(Exception):
    """Ends an asynchronous call of FunctionGraph, so that it is made again. Its text is the result."""


def functiongraph(event: object, context: object) -> dict[str, Any]:
    """Serve one event of FunctionGraph: TIMER, APIG, SMN, CTS, EVENTGRID, or a direct call.

    Gives the result, or the gateway's answer for APIG. Raises NotSettled where the platform should call again
    or hand the event to its failure target.
    """
    host = hosts.from_context(context)
    passage = _event_of_platform(event, host, hosts.environment_of(context), network=False)
    if passage.result.trigger is Trigger.APIG:
        return envelopes.write_gateway(passage)
    if passage.delivery.raised:
        raise NotSettled(to_json(passage.result))
    result: dict[str, Any] = json.loads(to_json(passage.result))
    return result


def _event_of_platform(
    event: object,
    host: hosts.Host,
    environment: door.Environment,
    *,
    network: bool,
    authorization: str | None = None,
    request_id: str | None = None,
) -> Passage:
    trigger = envelopes.trigger_of(event)
    by_gateway = trigger is Trigger.APIG
    ids: tuple[object, ...] = (request_id,)
    if by_gateway:
        ids = (
            envelopes.gateway_request_id(event),
            request_id,
            envelopes.gateway_header(event, "x-request-id"),
        )
        authorization = authorization or envelopes.gateway_header(event, "authorization")
    return door.enter(
        host.invocation(trigger, *ids),
        lambda settings: envelopes.read(
            event, max_targets=settings.max_targets, max_body_bytes=settings.max_body_bytes
        ),
        environment=environment,
        network=network,
        caller=Caller(authorization) if network or by_gateway else None,
    )


def detach(request: Request) -> Response:
    """Serve one HTTP request: an event, a probe, or FunctionGraph's calls to a container."""
    from handler.triggers import http  # noqa: PLC0415 (FunctionGraph's own runtime has no Flask)

    body = http.Body(request)
    host = hosts.from_headers(request.headers)
    trigger = Trigger.CLOUDEVENT if http.is_cloudevent(request) else Trigger.HTTP
    invocation = host.invocation(trigger, request.headers.get("X-Request-Id"))
    try:
        answer = _route(request, body, host, invocation)
    except Exception as bug:  # noqa: BLE001 (the framework would show its text to the caller)
        answer = as_json(door.caught(bug, invocation))
    answer.headers.setdefault("X-Request-Id", invocation.request_id)
    return http.respond(answer, body)


def _route(request: Request, body: Body, host: hosts.Host, invocation: Invocation) -> Answer:
    probe = _PROBES.get(request.path)
    allowed = ("POST",) if probe is None else ("GET", "HEAD")
    if request.method not in allowed:
        answer = _refuse(InvalidRequest("This path takes another method.", status=405), invocation)
        answer.headers["Allow"] = ", ".join(allowed)
        return answer
    if probe is not None:
        return probe()
    if request.path == "/init":
        return Answer(200)
    if request.path == "/invoke":
        return _invoke(request, body, host, invocation)
    return _event(request, body, invocation)


def _event(request: Request, body: Body, invocation: Invocation) -> Answer:
    from handler.triggers import http  # noqa: PLC0415 (as above)

    read: Callable[..., list[Work]] = partial(http.read, request)
    write: Callable[[Passage], Answer] = as_json
    if invocation.trigger is Trigger.CLOUDEVENT:
        from handler.triggers.cloudevent import Exchange  # noqa: PLC0415 (plain HTTP doesn't pay for it)

        exchange = Exchange(dict(request.headers))
        read, write = exchange.read, exchange.write
    passage = door.enter(
        invocation,
        lambda settings: read(body.read(settings.max_body_bytes), max_targets=settings.max_targets),
        environment=hosts.environment,
        caller=Caller(request.headers.get("Authorization")),
    )
    return write(passage)


def _invoke(request: Request, body: Body, host: hosts.Host, invocation: Invocation) -> Answer:
    """Answer an event as `functiongraph` does: what that raises is a 500 here."""
    authorization = request.headers.get("Authorization")
    try:
        event = parse_json(body.read(_body_limit()))
    except InvalidRequest as failure:
        caller = Caller(authorization)
        return as_json(
            door.enter(invocation, _raising(failure), environment=hosts.environment, caller=caller)
        )
    passage = _event_of_platform(
        event,
        host,
        hosts.environment,
        network=True,
        authorization=authorization,
        request_id=request.headers.get("X-Request-Id"),
    )
    if passage.result.trigger is Trigger.APIG:
        gateway = envelopes.write_gateway(passage)
        return Answer(
            200, {"Content-Type": _JSON, "X-Request-Id": passage.result.request_id}, json.dumps(gateway)
        )
    if not passage.delivery.raised:
        return as_json(passage, 200)
    return as_json(passage, passage.delivery.http if passage.delivery.http in _CALLERS_FAULT else 500)


def _raising(failure: InvalidRequest) -> Callable[[Settings], list[Work]]:
    def read(_: Settings) -> list[Work]:
        raise failure

    return read


def _body_limit() -> int:
    try:
        return runtime(hosts.environment()).settings.max_body_bytes
    except Misconfigured:
        return _BODY_LIMIT


def _refuse(failure: InvalidRequest, invocation: Invocation) -> Answer:
    passage = door.turn_away(failure, invocation)
    if invocation.trigger is Trigger.CLOUDEVENT:
        return Answer(passage.delivery.cloudevent)
    return as_json(passage)


def _alive() -> Answer:
    return Answer(200, {"Content-Type": _JSON}, json.dumps({"alive": True}))


def _ready() -> Answer:
    try:
        runtime(hosts.environment())
    except Misconfigured as failure:
        error = {"code": failure.code.value, "message": failure.message}
        return Answer(503, {"Content-Type": _JSON}, json.dumps({"ready": False, "error": error}))
    return Answer(200, {"Content-Type": _JSON}, json.dumps({"ready": True}))


def _described() -> Answer:
    from handler.openapi import document  # noqa: PLC0415 (only who asks for it pays for it)

    return Answer(200, {"Content-Type": _JSON}, json.dumps(document()))


_PROBES: dict[str, Callable[[], Answer]] = {
    "/healthz": _alive,
    "/readyz": _ready,
    "/openapi.json": _described,
}
