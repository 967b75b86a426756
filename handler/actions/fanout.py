"""Hands a sweep's candidates to an event broker, which spreads them over instances of the function."""

from __future__ import annotations

import uuid

from cloudevents.conversion import to_binary
from cloudevents.http import CloudEvent

from handler.cloud.faults import passes, retry_hint, upstream
from handler.cloud.messages import Answer, Call
from handler.cloud.transport import Transport
from handler.errors import Failure, Throttled, UpstreamRejected, UpstreamUnavailable
from handler.invocation import CallContext
from handler.model.request import Target
from handler.model.result import Cleared, Outcome, untouched

REQUEST_TYPE = "io.github.evs-detach.request"
PROJECT = "projectid"
"""The CloudEvents extension attribute that names the candidate's project."""

SOURCE = "/evs-detach/sweep"
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, REQUEST_TYPE)


_SENT = {"volume_id", "attachment_id", "server_id", "dry_run"}  # never what must be asked for twice


class Fanout:
    """Posts one CloudEvent per candidate to a sink. The sink is sent no credentials."""

    def __init__(self, sink: str, transport: Transport) -> None:
        self._sink = sink
        self._transport = transport

    def dispatch(self, target: Target, context: CallContext, project_id: str | None = None) -> Cleared:
        """Send form *one* with all three ids. The same candidate always has the same event id.

        `project_id` goes along as an attribute of the event, so that a broker can tell projects apart.

        So a broker or consumer can drop doubles; one that gets through twice does no harm. What stands
        against it is in the answer, not raised; `changed` is None where the event may have got through.
        """
        try:
            self._post(target, context, project_id)
        except (UpstreamUnavailable, Throttled) as unclear:
            failed = untouched(target, Outcome.FAILED, unclear)
            failed.findings.changed = None  # it may have got through, and been acted on
            return failed
        except Failure as stop:
            return untouched(target, Outcome.FAILED, stop)
        except Exception as bug:  # noqa: BLE001 (the last net: a host would show its text to the caller)
            return untouched(target, Outcome.FAILED, context.log.bug(bug))
        return untouched(target, Outcome.DISPATCHED)

    def _post(self, target: Target, context: CallContext, project_id: str | None) -> None:
        data = {key: value for key, value in target._asdict().items() if key in _SENT}
        event = CloudEvent(
            {
                "type": REQUEST_TYPE,
                "source": SOURCE,
                "subject": target.volume_id,
                "id": str(uuid.uuid5(_NAMESPACE, repr(sorted(data.items())))),
                "datacontenttype": "application/json",
                **({} if project_id is None else {PROJECT: project_id}),
                **context.span.headers,  # named alike there
            },
            data,
        )
        headers, body = to_binary(event)
        answer = self._transport.send(Call("sink", "POST", self._sink, body=body, headers=headers), context)
        if not 200 <= answer.status < 300:
            raise _refusal(answer)


def _refusal(answer: Answer) -> Failure:
    kind: type[Failure] = UpstreamRejected
    if passes(answer):
        kind = Throttled
    elif answer.status >= 500:
        kind = UpstreamUnavailable
    return kind(
        f"The event broker at DETACH_FANOUT_SINK answered {answer.status}: this candidate may not have been "
        "passed on. The next sweep finds it again; check the sink's address and the broker.",
        upstream=upstream(answer),
        retry_after=retry_hint(answer),
    )
