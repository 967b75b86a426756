"""The routes: which path and method, or which event of FunctionGraph, is answered how."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from handler.errors import Failure, InvalidRequest, Misconfigured
from handler.invocation import Invocation, Trigger
from handler.model.addresses import canonical_host
from handler.model.request import Work
from handler.model.result import Handled, to_json
from handler.runtime import Caller, Environment, caught, handle, refused, runtime, turn_away
from handler.settings import Settings
from handler.tracing import Origin
from handler.triggers import functiongraph as envelopes
from handler.triggers import platform
from handler.triggers.parse import parse_json
from handler.triggers.reply import JSON, Reply, as_json, settle

if TYPE_CHECKING:
    from flask import Request, Response

    from handler.triggers.http import Body

_CALLERS_FAULT = frozenset({401, 403})

_BODY_LIMIT = 262_144
"""Bytes of an event that are read while the settings are wrong and can't say."""


class NotSettled(Exception):
    """Ends an asynchronous call of FunctionGraph, so that it is made again. Its text is the result."""


def serve_event(event: object, context: object) -> dict[str, Any]:
    """Serve one event of FunctionGraph's own runtime. See `handler.main.functiongraph`."""
    handled = _event_of_platform(
        event, partial(platform.from_context, context), platform.environment_of(context), network=False
    )
    if handled.result.trigger is Trigger.APIG:
        return envelopes.write_gateway(handled)
    if settle(handled).raised:
        raise NotSettled(to_json(handled.result))
    result: dict[str, Any] = json.loads(to_json(handled.result))
    return result


def _event_of_platform(
    event: object,
    invocation: Callable[..., Invocation],
    environment: Environment,
    *,
    network: bool,
    caller: Caller | None = None,
    request_id: str | None = None,
) -> Handled:
    trigger = envelopes.trigger_of(event)
    ids: tuple[object, ...] = (request_id,)
    if trigger is Trigger.APIG:
        ids = (
            envelopes.gateway_request_id(event),
            request_id,
            envelopes.gateway_header(event, "x-request-id"),
        )
        caller = caller or Caller(envelopes.gateway_header(event, "authorization"))
    begun = invocation(trigger, *ids)
    return handle(
        begun._replace(origin=envelopes.origin(event, begun.origin)),
        lambda settings: envelopes.read(
            event, max_targets=settings.max_targets, max_body_bytes=settings.max_body_bytes
        ),
        environment=environment,
        network=network,
        caller=caller,
    )


def answer_every_path() -> None:
    """Serve what functions-framework, which loads us inside its app, would answer without us.

    That are /robots.txt, /favicon.ico, and paths such as //x that its routing answers by a redirect. It would
    read such a request's body whole, however long that is.
    """
    from flask import current_app, has_app_context, request  # noqa: PLC0415 (see serve)

    if has_app_context():
        current_app.before_request(lambda: None if request.endpoint == "run" else serve(request))


def serve(request: Request) -> Response:
    """Serve one HTTP request. See `handler.main.detach`."""
    from handler.triggers import http  # noqa: PLC0415 (FunctionGraph's own runtime has no Flask)

    body = http.Body(request)
    trigger = Trigger.CLOUDEVENT if http.is_cloudevent(request) else Trigger.HTTP
    invocation = platform.from_headers(request.headers, trigger, request.headers.get("X-Request-Id"))
    try:
        reply = _route(request, body, invocation)
    except Exception as bug:  # noqa: BLE001 (the last net: a host would show its text to the caller)
        reply = as_json(caught(bug, invocation, begun=request.path not in _PROBES))
    reply.headers.setdefault("X-Request-Id", invocation.request_id)
    return http.respond(reply, body)


def _route(request: Request, body: Body, invocation: Invocation) -> Reply:
    probe = _PROBES.get(request.path)
    allowed = ("POST",) if probe is None else ("GET", "HEAD")
    if request.method == "OPTIONS" and request.path not in _NO_EVENTS:
        agreed = _webhook_agreement(request)
        if agreed is not None:
            return agreed
    if request.method not in allowed:
        reply = _refuse(InvalidRequest("This path takes another method.", status=405), invocation)
        reply.headers["Allow"] = ", ".join(allowed)
        return reply
    if probe is not None:
        return probe()
    if request.path == "/init":
        return Reply(200)
    if request.path == "/invoke":
        return _invoke(request, body, invocation)
    return _event(request, body, invocation)


def _webhook_agreement(request: Request) -> Reply | None:
    """Agree to a sender of events who asks first, where DETACH_WEBHOOK_ORIGINS names it; else None.

    It is no permission to call: each delivery needs the key. That no rate is limited is `*`. The callback
    that a sender may offer is never called. Source: CloudEvents, "HTTP 1.1 Web Hooks for Event Delivery", 4.
    """
    origin = request.headers.get("WebHook-Request-Origin", "")
    try:
        known = canonical_host(origin) in runtime(platform.environment()).settings.webhook_origins
    except (ValueError, Misconfigured):
        return None
    if not known:
        return None
    return Reply(200, {"Allow": "POST", "WebHook-Allowed-Origin": origin, "WebHook-Allowed-Rate": "*"})


def _event(request: Request, body: Body, invocation: Invocation) -> Reply:
    from handler.triggers import http  # noqa: PLC0415 (FunctionGraph's own runtime has no Flask)

    read: Callable[..., list[Work]] = partial(http.read, request)
    write: Callable[[Handled], Reply] = as_json
    origin: Callable[[Origin], Origin] | None = None
    if invocation.trigger is Trigger.CLOUDEVENT:
        from handler.triggers.cloudevent import Exchange  # noqa: PLC0415 (plain HTTP doesn't pay for it)

        exchange = Exchange(dict(request.headers))
        read, write, origin = exchange.read, exchange.write, exchange.origin

    def work(settings: Settings) -> list[Work]:
        http.require_no_query(request)
        return read(body.read(settings.max_body_bytes), max_targets=settings.max_targets)

    handled = handle(
        invocation,
        work,
        environment=platform.environment,
        caller=Caller(request.headers.get("Authorization")),
        origin=origin,
    )
    return write(handled)


def _invoke(request: Request, body: Body, invocation: Invocation) -> Reply:
    """Answer an event as `serve_event` does: what that raises is a 500 here."""
    caller = Caller(request.headers.get("Authorization"))
    turned_away = refused(invocation, caller, environment=platform.environment)
    if turned_away is not None:
        return as_json(turned_away)
    from handler.triggers import http  # noqa: PLC0415 (FunctionGraph's own runtime has no Flask)

    try:
        http.require_no_query(request)
        event = parse_json(body.read(_body_limit()))
    except InvalidRequest as failure:
        return as_json(handle(invocation, _raising(failure), environment=platform.environment, caller=caller))
    handled = _event_of_platform(
        event,
        partial(platform.from_headers, request.headers),
        platform.environment,
        network=True,
        caller=caller,
        request_id=request.headers.get("X-Request-Id"),
    )
    if handled.result.trigger is Trigger.APIG:
        gateway = envelopes.write_gateway(handled)
        return Reply(
            200, {"Content-Type": JSON, "X-Request-Id": handled.result.request_id}, json.dumps(gateway)
        )
    delivery = settle(handled)
    if not delivery.raised:
        return as_json(handled, 200)
    return as_json(handled, delivery.http if delivery.http in _CALLERS_FAULT else 500)


def _raising(failure: InvalidRequest) -> Callable[[Settings], list[Work]]:
    def read(_: Settings) -> list[Work]:
        raise failure

    return read


def _body_limit() -> int:
    try:
        return runtime(platform.environment()).settings.max_body_bytes
    except Misconfigured:
        return _BODY_LIMIT


def _refuse(failure: InvalidRequest, invocation: Invocation) -> Reply:
    handled = turn_away(failure, invocation)
    if invocation.trigger is Trigger.CLOUDEVENT:
        return Reply(settle(handled).cloudevent)
    return as_json(handled)


def _alive() -> Reply:
    return Reply(200, {"Content-Type": JSON}, json.dumps({"alive": True}))


def _ready() -> Reply:
    try:
        runtime(platform.environment()).require_ready(platform.invocation(Trigger.HTTP))
    except Failure as failure:
        error = {"code": failure.code.value, "message": failure.message}
        return Reply(503, {"Content-Type": JSON}, json.dumps({"ready": False, "error": error}))
    return Reply(200, {"Content-Type": JSON}, json.dumps({"ready": True}))


def _described() -> Reply:
    from handler.model.openapi import document  # noqa: PLC0415 (only who asks for it pays for it)

    return Reply(200, {"Content-Type": JSON}, json.dumps(document()))


_PROBES: dict[str, Callable[[], Reply]] = {
    "/healthz": _alive,
    "/readyz": _ready,
    "/openapi.json": _described,
}
_NO_EVENTS = frozenset({*_PROBES, "/init", "/invoke"})
"""Paths at which no broker or sender of events delivers."""
