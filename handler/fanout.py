"""Hands a sweep's candidates to an event broker, which spreads them over instances of the function."""

from __future__ import annotations

import uuid

from cloudevents.conversion import to_binary
from cloudevents.http import CloudEvent

from handler.clear import Cleared
from handler.cloud.faults import failure
from handler.cloud.messages import Call
from handler.cloud.transport import Transport
from handler.errors import Failure
from handler.model import Outcome, Target
from handler.results import untouched
from handler.telemetry import Trace

REQUEST_TYPE = "io.github.evs-detach.request"
SOURCE = "/evs-detach/sweep"
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, REQUEST_TYPE)


class Fanout:
    """Posts one CloudEvent per candidate to a sink. The sink is sent no credentials."""

    def __init__(self, sink: str, transport: Transport) -> None:
        self._sink = sink
        self._transport = transport

    def dispatch(self, target: Target, trace: Trace) -> Cleared:
        """Send form *one* with all three ids. The same candidate always has the same event id.

        So a broker or consumer can drop doubles; one that gets through twice does no harm.
        """
        data = target.model_dump()
        event = CloudEvent(
            {
                "type": REQUEST_TYPE,
                "source": SOURCE,
                "subject": target.volume_id,
                "id": str(uuid.uuid5(_NAMESPACE, repr(sorted(data.items())))),
                "datacontenttype": "application/json",
            },
            data,
        )
        headers, body = to_binary(event)
        call = Call("sink", "POST", self._sink, body=body, headers=headers)
        try:
            answer = self._transport.send(call, trace)
            if not 200 <= answer.status < 300:
                raise failure(answer, "sink")
        except Failure as stop:
            return untouched(target, Outcome.FAILED, stop)
        return untouched(target, Outcome.DISPATCHED)
