"""What all stores have in common: how one is read, how what was read is cached, how a service is asked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from handler.cloud.messages import Answer, Call
from handler.cloud.transport import Transport
from handler.credentials.secret_content import is_text, parse_json
from handler.errors import NoAnswer, SecretUnavailable, UpstreamUnavailable
from handler.invocation import CallContext
from handler.secret import Secret
from handler.settings.secret_reference import SecretReference
from handler.telemetry import Event

LARGEST_SECRET = 65536
"""Bytes. A token is a few kilobytes at most."""


class SecretStore(Protocol):
    """Where a secret is kept."""

    def read(self, context: CallContext) -> str:
        """The secret's text as it is now. Raises SecretUnavailable, retryable when it is an outage."""
        ...


def read_secret(setting: str, store: SecretStore, context: CallContext) -> Secret:
    """The text that a store has now. Raises SecretUnavailable for what is none."""
    text = store.read(context).strip()
    if not text:
        raise SecretUnavailable(f"The secret that {setting} names is empty.")
    if len(text) > LARGEST_SECRET or not is_text(text):
        raise SecretUnavailable(
            f"The secret that {setting} names is not UTF-8 of at most {LARGEST_SECRET} characters."
        )
    return Secret(text)


class CachedSecret:
    """A secret's text, read anew when its time is over or on demand, by one thread at a time."""

    def __init__(
        self,
        setting: str,
        reference: SecretReference,
        store: SecretStore,
        ttl: float,
        clock: Callable[[], float],
    ) -> None:
        self.setting = setting
        self._kind = reference.store
        self._store = store
        self._ttl = ttl
        self._clock = clock
        self._text: Secret | None = None
        self._since = 0.0
        self._kept_for = ttl

    @property
    def fresh(self) -> bool:
        """Whether what was read is still within its time. A clock that was set back doesn't prolong it."""
        return self._text is not None and 0 <= self._clock() - self._since < self._kept_for

    def current(self, context: CallContext) -> Secret:
        """The text, read if it is not fresh."""
        text = self._text
        return text if text is not None and self.fresh else self.anew(context)

    def anew(self, context: CallContext) -> Secret:
        """The text as the store has it now."""
        secret = read_secret(self.setting, self._store, context)
        context.log.info(
            Event.SECRET_READ, setting=self.setting, store=self._kind.value, changed=secret != self._text
        )
        self._text = secret
        self._since = self._clock()
        self._kept_for = self._ttl
        return secret

    def hold(self, seconds: float) -> None:
        """Take what was read last for fresh for so long from now."""
        self._since = self._clock()
        self._kept_for = seconds


def ask(transport: Transport, call: Call, context: CallContext) -> Answer:
    """Send a call that is harmless to repeat; not counted among the target's calls.

    The transport repeats a GET by itself. A POST (for a token, a login) is repeated here, once, after a 5xx
    or no answer.
    """
    own = context.separate()
    if call.method == "GET":
        return transport.send(call, own)
    try:
        answer = transport.send(call, own)
    except NoAnswer:
        answer = None
    return transport.send(call, own) if answer is None or answer.status >= 500 else answer


def ask_store(transport: Transport, call: Call, context: CallContext) -> Answer:
    """Ask a secret store; one that can't be reached or understood is SecretUnavailable."""
    try:
        return ask(transport, call, context)
    except UpstreamUnavailable as failure:
        message = failure.message
    raise SecretUnavailable(message, retryable=True)


def body_of(answer: Answer, *path: str) -> dict[str, Any]:
    """The JSON object that lies there in the answer's body, an empty one where there is none."""
    body = parse_json(answer.body)
    for name in path:
        body = body.get(name) if isinstance(body, dict) else None
    return body if isinstance(body, dict) else {}
