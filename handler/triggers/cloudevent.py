"""CloudEvents 1.0 over HTTP, in binary, structured and batched mode, and as JSON inside other envelopes."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from cloudevents.conversion import to_binary
from cloudevents.http import CloudEvent, from_dict, from_http

from handler.model.request import GoneServer, Work
from handler.model.result import Handled, TargetResult, to_json
from handler.telemetry import ended_by_host
from handler.tracing import Origin, read_parent
from handler.triggers.parse import decode_base64, invalid, parse_json, read_each, refuse_misplaced
from handler.triggers.reply import Reply, advice, settle

RESULT_TYPE = "io.github.evs-detach.result"
SOURCE = "/evs-detach"
"""`type` and `source` of a reply: what a Trigger's filter asks for."""

_PING = "dev.knative.sources.ping"
_BELONGS = "put it into the event's data"
_ATTRIBUTE = re.compile(r"[a-z0-9]+")


class Exchange:
    """One delivery and its reply. `headers` are the request's."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        self._headers = {name.lower(): value for name, value in headers.items()}
        self._traceparent: object = self._headers.get("traceparent")
        self._events: list[CloudEvent] = []

    def origin(self, delivery: Origin) -> Origin:
        """Where what was read comes from, by the delivery and what the events say themselves."""
        return delivery.of_events([event.get_attributes() for event in self._events])

    def read(self, content: bytes, *, max_targets: int) -> list[Work]:
        """Turn a request's body into work. Raises InvalidRequest."""
        kind = self._headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind == "application/cloudevents-batch+json":
            batch = parse_json(content)
            if not isinstance(batch, list):
                raise invalid("A batch of CloudEvents must be a JSON array.", "envelope")
            return self._read(read_events(batch), max_targets)
        event = (
            _structured(parse_json(content))
            if kind == "application/cloudevents+json"
            else self._binary(content)
        )
        self._traceparent = event.get("traceparent") or self._traceparent
        return self._read([event], max_targets)

    def _read(self, events: list[CloudEvent], max_targets: int) -> list[Work]:
        self._events = events
        return work_of(events, max_targets=max_targets)

    def _binary(self, content: bytes) -> CloudEvent:
        attributes = {name[3:]: value for name, value in self._headers.items() if name.startswith("ce-")}
        _check(attributes)
        return _made(lambda: from_http(self._headers, content, data_unmarshaller=lambda data: data))

    def write(self, handled: Handled) -> Reply:
        """The reply: a CloudEvent in binary mode, or no body at all, which a broker takes for no reply."""
        delivery = settle(handled)
        status = delivery.cloudevent
        if status != 200:
            return Reply(status, advice(handled, delivery, status))
        attributes = {"type": RESULT_TYPE, "source": SOURCE, "datacontenttype": "application/json"}
        subject = _subject(handled)
        if subject:
            attributes["subject"] = subject
        parent = read_parent(self._traceparent)
        if parent is not None:
            attributes["traceparent"] = parent.traceparent
        headers, body = to_binary(CloudEvent(attributes, to_json(handled.result)), lambda text: text)
        return Reply(status, {**headers, **advice(handled, delivery, status)}, body.decode())


def work_of(events: list[CloudEvent], *, max_targets: int) -> list[Work]:
    """Turn events into work. Raises InvalidRequest."""
    return read_each([_content(event) for event in events], max_targets=max_targets)


def read_events(tree: object) -> list[CloudEvent]:
    """The events of one CloudEvent in JSON, a list of them, or `{"events": […]}`. Raises InvalidRequest."""
    if isinstance(tree, dict) and "specversion" not in tree:
        refuse_misplaced(tree, _BELONGS)
        if len(tree) > 1:
            raise invalid("Other keys stand beside events.", "unknown_key")
        tree = tree.get("events")
    events = tree if isinstance(tree, list) else [tree]
    if not events:
        raise invalid("There is no event in the batch.", "envelope")
    return [_structured(event) for event in events]


def _structured(tree: object) -> CloudEvent:
    if not isinstance(tree, dict):
        raise invalid("A CloudEvent must be a JSON object.", "envelope")
    attributes = {key: value for key, value in tree.items() if value is not None}
    data = attributes.pop("data", None)
    encoded = attributes.pop("data_base64", None)
    if encoded is not None:
        if data is not None:
            raise invalid("The CloudEvent has data twice.", "envelope")
        data = decode_base64(encoded)
    refuse_misplaced({name: None for name in attributes if not _ATTRIBUTE.fullmatch(name)}, _BELONGS)
    if not all(_ATTRIBUTE.fullmatch(name) for name in attributes):
        raise invalid("The CloudEvent has an attribute whose name is not valid.", "envelope")
    if not all(map(_simple, attributes.values())):
        raise invalid("The CloudEvent has an attribute that is not a simple value.", "envelope")
    _check(attributes)
    return _made(lambda: from_dict({**attributes, "data": data}))


def _simple(value: object) -> bool:
    """Whether an attribute is of CloudEvents' types, whose integers are of 32 bits."""
    return isinstance(value, str) or (isinstance(value, int) and -(2**31) <= value < 2**31)


def _made(make: Callable[[], CloudEvent]) -> CloudEvent:
    """What the SDK makes of an envelope. It raises all kinds of errors, and none is a bug of ours."""
    try:
        return make()
    except Exception as fault:
        if ended_by_host(fault):
            raise
        raise invalid("The CloudEvent's envelope can't be read.", "envelope") from None


def _check(attributes: Mapping[str, object]) -> None:
    # Others' attributes may be called as keys of ours are, but this one can mean nothing else.
    if any(re.sub("[_-]", "", name) == "dryrun" for name in attributes):
        raise invalid(f"A dry run is said in an attribute of the event: {_BELONGS}, as dry_run.", "misplaced")
    # Here, since the SDK gives an event an id and a version where it has none.
    required = [attributes.get(name) for name in ("specversion", "id", "source", "type")]
    if not all(isinstance(value, str) and value for value in required):
        raise invalid("A CloudEvent needs specversion, id, source and type.", "envelope")
    if required[0] != "1.0":
        raise invalid("The CloudEvent is not of version 1.0.", "envelope")


def _content(event: CloudEvent) -> object:
    """The work that an event carries: JSON, or JSON in a string, text or bytes. A ping may carry none."""
    content = event.get_data()
    for _ in range(2):
        if isinstance(content, (str, bytes)):
            content = parse_json(content) if content.strip() else None
    if content is None:
        if event["type"] == _PING:
            return {"sweep": {}}
        raise invalid("The event carries no data.", "required")
    if isinstance(content, str):
        raise invalid("The event's data is text in text.", "type")
    return content


def _subject(handled: Handled) -> str | None:
    if isinstance(handled.result, TargetResult):
        return handled.result.volume_id
    only = handled.work[0] if len(handled.work) == 1 else None
    return only.server_id if isinstance(only, GoneServer) else None
