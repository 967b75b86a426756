"""Caches the token: shared by all threads, renewed by one of them at a time, and never in a loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from handler.credentials.identity import Identity, Token
from handler.credentials.identity_answers import SETTING
from handler.credentials.secret_content import BareToken, Content, Login, read_content
from handler.credentials.single_flight import SingleFlight
from handler.credentials.stores.base import CachedSecret
from handler.errors import Failure, TokenRejected
from handler.invocation import CallContext
from handler.secret import Secret
from handler.telemetry import Event

_EARLY = 300.0
"""A token is cached until so many seconds before it expires (half its life, if that is later)."""

_REST = 60.0
"""Seconds for which refused credentials are not tried again, twice as many after each further refusal."""

_LONGEST_REST = 960.0
"""Seconds. An account locks after five failures (Huawei Cloud's IAM: within a quarter of an hour)."""

_GRACE = 30.0
"""Seconds until a store or identity service that is down is asked again, while the cached token works."""

_HURRY = 3.0
"""Seconds that such a question may take at most: nobody needs its answer yet."""

_UNPROVEN = 5
"""Tokens issued in a row that were not seen to work, after which there is a pause."""


class CachedToken:
    """A token, what it was made from, and until when it is good (seconds since the epoch).

    `proven` says that a service was seen to take it.
    """

    def __init__(self, token: Token, content: Content | None, until: float) -> None:
        self.token = token
        self.content = content
        self.until = until
        self.proven = False


class Tokens(Protocol):
    """Where `TokenAuth` has its token from."""

    def current(self, context: CallContext) -> CachedToken:
        """A token that is good, as far as is known."""
        ...

    def renew(self, refused: Secret, context: CallContext, *, again: bool) -> CachedToken | None:
        """Another token than the refused one, or None. `again`: that one came from a renewal itself."""
        ...


class SecretTokens:
    """The token of a secret: bare, or issued for what the secret holds."""

    def __init__(
        self, project_id: str | None, secret: CachedSecret, identity: Identity, clock: Callable[[], float]
    ) -> None:
        self._project_id = project_id
        self._secret = secret
        self._identity = identity
        self._clock = clock
        self._flight = SingleFlight()
        self._kept: CachedToken | None = None
        self._refused: Content | None = None
        self._refused_at = 0.0
        self._rest = 0.0
        self._issued_at = 0.0
        self._unproven = 0
        self._futile = 0

    def current(self, context: CallContext) -> CachedToken:
        """See `Tokens`. Follows the secret when its time is over. Raises Failure."""
        kept = self._kept
        if kept is not None and self._good(kept) and self._secret.fresh:
            return kept
        with self._flight.take(context.deadline) as failure:
            kept = self._kept
            if kept is not None and self._good(kept) and self._secret.fresh:
                return kept
            living = kept if kept is not None and self._alive(kept) else None
            if living is None and failure is not None:
                raise failure
            try:
                return self._follow(context if living is None else context.separate(_HURRY))
            except Failure as problem:
                if living is None or not (problem.retryable or isinstance(problem, TokenRejected)):
                    self._secret.hold(0)  # a corrected secret is to be used at once
                    raise
                # What is down, or does not know the new secret yet, takes no living token away
                context.log.warning(Event.TOKEN_KEPT, error=problem.code.value, message=problem.message)
                self._secret.hold(_GRACE)
                living.until = max(living.until, self._clock() + _GRACE)
                return living

    def renew(self, refused: Secret, context: CallContext, *, again: bool) -> CachedToken | None:
        """See `Tokens`. Reads the secret anew, and has one issued for the same once. Raises Failure."""
        futile = self._futile
        with self._flight.take(context.deadline) as failure:
            kept = self._kept
            if kept is not None and kept.token.value != refused:
                return kept
            if failure is not None:
                raise failure
            if kept is not None and self._futile != futile:
                return None  # another thread has just looked for one
            content = read_content(self._secret.anew(context), SETTING)
            if kept is not None and kept.content == content:
                if again:
                    return None
                if isinstance(content, BareToken) or not self._may_issue_again(kept):
                    self._futile += 1
                    return None
                self._unproven += 1
            else:
                self._unproven = 0
            return self._obtain(content, context)

    def _follow(self, context: CallContext) -> CachedToken:
        """The cached token if the secret still is what it came from, else one of the secret as it is now."""
        content = read_content(self._secret.current(context), SETTING)
        kept = self._kept
        if kept is not None and kept.content == content and self._good(kept):
            return kept
        try:
            return self._obtain(content, context)
        except TokenRejected:
            # What is kept may be older than what the store has: look once
            anew = read_content(self._secret.anew(context), SETTING)
            if anew == content:
                raise
        return self._obtain(anew, context)

    def _obtain(self, content: Content, context: CallContext) -> CachedToken:
        if isinstance(content, BareToken):
            token = self._identity.look_up(content.token, self._project_id, context)
            self._kept = CachedToken(token, content, float("inf"))
        else:
            token = self._issue(content, context)
            now = self._clock()
            left = (token.expires_at or now) - now
            # A clock that is ahead, or a life of minutes, must not make every call have a token issued
            self._kept = CachedToken(token, content, now + max(left - _EARLY, left / 2, _REST / 2))
            self._issued_at = now
        return self._kept

    def _issue(self, login: Login, context: CallContext) -> Token:
        known = login == self._refused
        if known and 0 <= self._clock() - self._refused_at < self._rest:
            raise TokenRejected(
                f"The identity service refused what the secret that {SETTING} names holds. The same is not "
                f"tried again for {self._rest:g} seconds, since accounts lock after a few failures. "
                "Correct the secret: a new one is tried at once."
            )
        try:
            token = self._identity.issue(login, context)
        except TokenRejected:
            self._rest = min(self._rest * 2, _LONGEST_REST) if known else _REST
            self._refused, self._refused_at = login, self._clock()
            raise
        self._refused = None
        return token

    def _good(self, kept: CachedToken) -> bool:
        return self._clock() < kept.until

    def _alive(self, kept: CachedToken) -> bool:
        expires_at = kept.token.expires_at
        return expires_at is None or self._clock() < expires_at

    def _may_issue_again(self, kept: CachedToken) -> bool:
        """Whether the same may be issued one more. Not when token after token is refused: more won't help."""
        if kept.proven:
            self._unproven = 0
        return self._unproven < _UNPROVEN or not 0 <= self._clock() - self._issued_at < _REST
