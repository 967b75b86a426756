"""FunctionGraph's events: TIMER, APIG, SMN, CTS and EVENTGRID; any other JSON is the work itself.

Facts: FunctionGraph user manual, "Supported Event Sources", and the vendor's sample events.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from handler.errors import InvalidRequest
from handler.invocation import Trigger
from handler.model.request import Work
from handler.model.result import Handled
from handler.tracing import Origin, read_parent
from handler.triggers.parse import (
    decode_base64,
    invalid,
    is_trace,
    read_each,
    read_work,
    refuse_misplaced,
    require_json,
)
from handler.triggers.reply import as_json

_STRANGERS = ("Records", "records", "lts")


def trigger_of(event: object) -> Trigger:
    """By which trigger an event came. A direct call, and what is no known event, came by HTTP."""
    if isinstance(event, list):
        return Trigger.EVENTGRID
    if not isinstance(event, dict):
        return Trigger.HTTP
    if event.get("trigger_type") == "TIMER":
        return Trigger.TIMER
    if "httpMethod" in event or "requestContext" in event:
        return Trigger.APIG
    if "record" in event:
        return Trigger.SMN
    if "specversion" in event or "events" in event:
        return Trigger.EVENTGRID
    return Trigger.CTS if is_trace(event) else Trigger.HTTP


def read(event: object, *, max_targets: int, max_body_bytes: int) -> list[Work]:
    """Turn an event into work. Raises InvalidRequest."""
    trigger = trigger_of(event)
    if trigger is Trigger.EVENTGRID:
        from handler.triggers import cloudevent  # noqa: PLC0415 (no other trigger needs its library)

        return cloudevent.work_of(cloudevent.read_events(event), max_targets=max_targets)
    if not isinstance(event, dict):
        raise invalid("The event must be a JSON object.", "type")
    if trigger is Trigger.SMN:
        return read_each(_messages(event), max_targets=max_targets)
    if trigger is Trigger.TIMER:
        content = _user_event(event)
    elif trigger is Trigger.APIG:
        content = _body(event, max_body_bytes)
    elif "trigger_type" in event or any(name in event for name in _STRANGERS):
        raise invalid("No work comes by this kind of event.", "envelope")
    else:
        content = event
    return [read_work(content, max_targets=max_targets)]


def _user_event(event: Mapping[str, Any]) -> object:
    refuse_misplaced(event, "put it into user_event")
    content = event.get("user_event")
    if content is None or (isinstance(content, str) and not content.strip()):
        return {"sweep": {}}
    return content


def _messages(event: Mapping[str, Any]) -> list[str]:
    records = event["record"]
    belongs = "put it into the message"
    refuse_misplaced(event, belongs)
    if not isinstance(records, list) or not records:
        raise invalid("The SMN event has no record.", "envelope")
    messages = []
    for record in records:
        found = record.get("smn") if isinstance(record, dict) else None
        notification = found if isinstance(found, dict) else {}
        message = notification.get("message")
        if not isinstance(message, str):
            raise invalid("The SMN event has a record without a message.", "envelope")
        for around in (record, notification, notification.get("message_attributes")):
            refuse_misplaced(around, belongs)
        messages.append(message)
    return messages


def _body(event: Mapping[str, Any], limit: int) -> bytes:
    if event.get("httpMethod") != "POST":
        raise InvalidRequest("Only POST is an event.", status=405)
    for around in (event, event.get("queryStringParameters")):
        refuse_misplaced(around, "put it into the body")
    content_type = gateway_header(event, "content-type")
    if content_type:
        require_json(content_type)
    body = event.get("body") or ""
    if event.get("isBase64Encoded") is True:
        body = decode_base64(body)
    if not isinstance(body, (str, bytes)):
        raise invalid("The gateway's body must be text.", "envelope")
    content = body if isinstance(body, bytes) else body.encode(errors="surrogatepass")
    if len(content) > limit:
        raise InvalidRequest(f"The request has more than {limit} bytes.", status=413)
    return content


def gateway_header(event: object, name: str) -> str | None:
    """A header of the gateway's caller, in any case. None where there is none."""
    headers = event.get("headers") if isinstance(event, dict) else None
    if not isinstance(headers, dict):
        return None
    return next(
        (value for key, value in headers.items() if key.lower() == name and isinstance(value, str)), None
    )


def origin(event: object, delivery: Origin) -> Origin:
    """Where an event comes from, by its delivery and what it says itself.

    A gateway's caller says it in a header, CloudEvents in attributes; no other event has a place for it.
    """
    trigger = trigger_of(event)
    if trigger is Trigger.EVENTGRID:
        events = event.get("events", [event]) if isinstance(event, dict) else event
        listed = events if isinstance(events, list) else []
        return delivery.of_events([each for each in listed if isinstance(each, dict)])
    if trigger is Trigger.APIG:
        said = read_parent(gateway_header(event, "traceparent"), gateway_header(event, "tracestate"))
        return Origin(said or delivery.parent)
    return delivery


def gateway_request_id(event: object) -> object:
    """The id that the gateway gave its request."""
    context = event.get("requestContext") if isinstance(event, dict) else None
    return context.get("requestId") if isinstance(context, dict) else None


def write_gateway(handled: Handled) -> dict[str, Any]:
    """The answer as the gateway wants it. Anything else, the gateway's caller would see as a 500."""
    answer = as_json(handled)
    return {
        "statusCode": answer.status,
        "headers": answer.headers,
        "body": answer.body,
        "isBase64Encoded": False,
    }
