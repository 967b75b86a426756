"""Questions to the services that give secrets and tokens."""

from __future__ import annotations

from typing import Any

from handler.cloud.messages import Answer, Call
from handler.cloud.transport import Transport
from handler.credentials.content import parse_json
from handler.errors import NoAnswer, SecretUnavailable, UpstreamUnavailable
from handler.telemetry import Trace


def ask(transport: Transport, call: Call, trace: Trace) -> Answer:
    """Send a call that is harmless to repeat; not counted among the target's calls.

    The transport repeats a GET by itself. A POST (a purchase, a login) is repeated here, once, after a 5xx
    or no answer.
    """
    own = Trace(trace.log, trace.deadline)
    if call.method == "GET":
        return transport.send(call, own)
    try:
        answer = transport.send(call, own)
    except NoAnswer:
        answer = None
    return transport.send(call, own) if answer is None or answer.status >= 500 else answer


def ask_store(transport: Transport, call: Call, trace: Trace) -> Answer:
    """Ask a secret store; one that can't be reached or understood is SecretUnavailable."""
    try:
        return ask(transport, call, trace)
    except UpstreamUnavailable as failure:
        message = failure.message
    raise SecretUnavailable(message, retryable=True)


def body_of(answer: Answer, *path: str) -> dict[str, Any]:
    """The JSON object that lies there in the answer's body, an empty one where there is none."""
    body = parse_json(answer.body)
    for name in path:
        body = body.get(name) if isinstance(body, dict) else None
    return body if isinstance(body, dict) else {}
