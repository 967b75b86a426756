"""The keys of our own callers (`Authorization: Bearer …`), kept in the same stores as the token's secret."""

from __future__ import annotations

import copy
import hashlib
import hmac
import time
from collections.abc import Callable, Mapping
from typing import Any

from handler.cloud.transport import Transport
from handler.credentials.secret_content import is_token, parse_json, require_plain
from handler.credentials.single_flight import SingleFlight
from handler.credentials.stores import LOCAL_STORES, open_store
from handler.credentials.stores.base import CachedSecret, read_secret
from handler.errors import Failure, Forbidden, Misconfigured, Unauthenticated
from handler.invocation import CallContext, Invocation
from handler.secret import Secret
from handler.settings import Settings
from handler.settings.secret_reference import Store

_SETTING = "DETACH_INVOKE_SECRET"

SHORTEST_KEY = 16
"""Letters. Who can send a thousand guesses a second finds shorter ones."""

_PATIENCE = 3.0
"""Seconds between two readings of the store for the sake of keys that are not known."""


class CallerKeys:
    """Checks callers. Several keys are valid at once, so that one can be replaced without a gap.

    The secret is one key, several on lines of their own, a JSON list of texts, or `{"keys": […]}`.
    """

    def __init__(
        self,
        settings: Settings,
        transport: Transport,
        environment: Mapping[str, str],
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        reference = settings.invoke_secret
        if reference is None:
            raise Misconfigured(f"{_SETTING} is missing (the callers' key).")
        store = open_store(_SETTING, reference, settings, transport, environment, clock)
        self._local = store if reference.store in LOCAL_STORES else None
        self._secret = CachedSecret(_SETTING, reference, store, settings.secret_ttl, clock)
        self._by_platform = reference.store is Store.CSMS
        self._timeout = settings.timeout
        self._clock = clock
        self._flight = SingleFlight()
        self._digests: tuple[bytes, ...] = ()
        self._looked_at: float | None = None
        self._unseen: Failure | None = None

    def require_good(self, context: CallContext) -> None:
        """Raise what every caller would meet, where the keys are kept on this machine."""
        if self._local is not None:
            _digests(read_secret(_SETTING, self._local, context))

    def check(self, authorization: str | None, invocation: Invocation) -> None:
        """Let a caller pass who has one of the keys. What only the caller says is not used for it.

        Raises Unauthenticated (no key), Forbidden (a wrong one), SecretUnavailable, Misconfigured or
        DeadlineExceeded.
        """
        context = invocation.of_unknown_caller().context(self._timeout)
        scheme, _, key = (authorization or "").strip().partition(" ")
        key = key.strip()
        if scheme.lower() != "bearer" or not key:
            raise Unauthenticated("Send a key: the header Authorization with Bearer and the key.")
        digest = _digest(key)
        if not _among(digest, self._known(context)) and not _among(digest, self._looked_up(context)):
            raise Forbidden("The key is not one of those that may call.")

    def _known(self, context: CallContext) -> tuple[bytes, ...]:
        if self._digests and self._secret.fresh:
            return self._digests
        with self._flight.take(context.deadline) as failure:
            if not (self._digests and self._secret.fresh):
                if failure is not None and failure.retryable:
                    raise failure
                self._take(self._secret.anew(context))
            return self._digests

    def _looked_up(self, context: CallContext) -> tuple[bytes, ...]:
        """The keys as the store has them now: one may be new. Guessers don't get the store asked often.

        While that is not known, nobody is told that a key is wrong: an event of a good caller would be lost.
        A failure of one whose own time was up, or whose token may be made up, says nothing about the others':
        the next one asks again.
        """
        with self._flight.take(context.deadline):
            now = self._clock()
            if self._looked_at is None or not 0 <= now - self._looked_at < _PATIENCE:
                self._looked_at, self._unseen = now, None
                try:
                    self._take(self._secret.anew(context))
                except Failure as failure:
                    self._unseen = failure
                    if context.deadline.expired or (self._by_platform and context.invocation.claimed):
                        self._looked_at = None
                    raise
            elif self._unseen is not None:
                raise copy.copy(self._unseen)
            return self._digests

    def _take(self, text: Secret) -> None:
        self._digests = ()  # keys that the store has no longer must not outlive a text that is not valid
        self._digests = _digests(text)


def _among(digest: bytes, digests: tuple[bytes, ...]) -> bool:
    """Compares with all, so that the time taken says nothing about which."""
    found = False
    for other in digests:
        found |= hmac.compare_digest(digest, other)
    return found


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()


def _digests(text: Secret) -> tuple[bytes, ...]:
    require_plain(text.reveal(), _SETTING)
    keys = _listed(text.reveal())
    if not keys or not all(isinstance(key, str) and is_token(key.strip()) for key in keys):
        raise Misconfigured(
            f"The content of the secret that {_SETTING} names must be keys, one a line, or a JSON list of "
            'texts, or {"keys": […]}; a key is printable ASCII without spaces.'
        )
    if any(len(key.strip()) < SHORTEST_KEY for key in keys):
        raise Misconfigured(
            f"A key in the secret that {_SETTING} names has less than {SHORTEST_KEY} letters. It can be "
            "guessed, so nobody is let in: put a longer one in its place (openssl rand -hex 32), and give it "
            "to the callers."
        )
    return tuple(_digest(key.strip()) for key in keys)


def _listed(text: str) -> list[Any]:
    if text[:1] not in "[{":
        return [line.strip() for line in text.splitlines() if line.strip()]
    body = parse_json(text)
    if isinstance(body, dict) and body.keys() == {"keys"}:
        body = body["keys"]
    return body if isinstance(body, list) else []
