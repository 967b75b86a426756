"""Keeps the token: shared by all threads, renewed by one of them at a time, and never in a loop."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from requests.auth import AuthBase
from requests.models import PreparedRequest

from handler.cloud.transport import Transport
from handler.credentials.content import ApplicationCredential, BareToken, Content, Password, read_content
from handler.credentials.context import Platform, platform_project, platform_token
from handler.credentials.identity import SETTING, Identity, Token, same_project
from handler.credentials.stores import KeptSecret, open_store
from handler.credentials.turn import Turn
from handler.errors import Failure, Misconfigured, TokenRejected
from handler.secret import Secret
from handler.settings import Settings, Store
from handler.telemetry import Event, Trace

_EARLY = 300.0
"""A token is kept until so many seconds before it expires (half its life, if that is later)."""

_REST = 60.0
"""Seconds for which refused credentials are not tried again: an account locks after five failures."""

_GRACE = 30.0
"""Seconds until a store or identity service that is down is asked again, while the kept token still works."""

_HURRY = 3.0
"""Seconds that such a question may take at most: nobody needs its answer yet."""

_UNPROVEN = 3
"""Purchases in a row whose tokens were not seen to work, after which there is a pause."""


@dataclass
class Kept:
    """A token, what it was made from, and until when it is good (seconds since the epoch)."""

    token: Token
    content: Content | None
    until: float
    proven: bool = False


class Tokens(Protocol):
    """Where `TokenAuth` has its token from."""

    def current(self, trace: Trace, platform: Platform) -> Kept:
        """A token that is good, as far as is known."""
        ...

    def renew(self, refused: Secret, trace: Trace, platform: Platform, *, again: bool) -> Kept | None:
        """Another token than the refused one, or None. `again`: that one came from a renewal itself."""
        ...


class TokenAuth(AuthBase):
    """Signs the requests of one invocation. See `handler.cloud.transport.Authenticator`."""

    def __init__(self, tokens: Tokens, trace: Trace, platform: Platform) -> None:
        self._tokens = tokens
        self._trace = trace
        self._platform = platform
        self._renewed: Kept | None = None
        self._last = threading.local()

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        """Put the token into the request, buying it first if there is none. Raises Failure."""
        kept = self._tokens.current(self._trace, self._platform)
        # One thread sends one call after the other: it would have renewed a token that was refused
        if getattr(self._last, "kept", None) is kept:
            kept.proven = True
        self._last.kept = kept
        request.headers["X-Auth-Token"] = kept.token.value.reveal()
        return request

    def renew(self, refused: PreparedRequest) -> bool:
        """Whether there is another token than the one that was refused. Raises Failure."""
        self._last.kept = None
        self._trace.log.warning(Event.TOKEN_REFUSED)
        value = Secret(refused.headers.get("X-Auth-Token") or "")
        again = self._renewed is not None and self._renewed.token.value == value
        kept = self._tokens.renew(value, self._trace, self._platform, again=again)
        self._renewed = kept or self._renewed
        return kept is not None

    @property
    def project_id(self) -> str:
        """The token's project, as the cloud spells it. Raises Failure."""
        return self._tokens.current(self._trace, self._platform).token.project_id


class Credentials:
    """What a process keeps to sign its calls to the cloud. Threads share it."""

    def __init__(
        self,
        settings: Settings,
        transport: Transport,
        environment: Mapping[str, str],
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        identity = Identity(settings, transport)
        reference = settings.token_secret
        self._tokens: Tokens
        if reference.store is Store.CONTEXT:
            self._tokens = _PlatformTokens(settings, identity, environment)
        else:
            store = open_store(SETTING, reference, settings, transport, environment, clock)
            secret = KeptSecret(SETTING, reference, store, settings.secret_ttl, clock)
            self._tokens = _SecretTokens(settings, secret, identity, clock)

    def authenticator(self, trace: Trace, platform: Platform) -> TokenAuth:
        """What signs the calls of one invocation, within its deadline and under its log."""
        return TokenAuth(self._tokens, trace, platform)


class _SecretTokens:
    """The token of a secret: bare, or bought with what the secret holds."""

    def __init__(
        self, settings: Settings, secret: KeptSecret, identity: Identity, clock: Callable[[], float]
    ) -> None:
        self._settings = settings
        self._secret = secret
        self._identity = identity
        self._clock = clock
        self._turn = Turn()
        self._kept: Kept | None = None
        self._refused: Content | None = None
        self._refused_at = 0.0
        self._bought_at = 0.0
        self._unproven = 0

    def current(self, trace: Trace, platform: Platform) -> Kept:
        kept = self._kept
        if kept is not None and self._good(kept) and self._secret.fresh:
            return kept
        with self._turn.take(trace.deadline) as failure:
            kept = self._kept
            if kept is not None and self._good(kept) and self._secret.fresh:
                return kept
            if kept is None or not self._alive(kept):
                if failure is not None:
                    raise failure
                return self._follow(trace, platform)
            try:
                return self._follow(Trace(trace.log, trace.deadline.sooner(_HURRY)), platform)
            except Failure as problem:
                # What is down, or does not know the new secret yet, takes no living token away
                if not (problem.retryable or isinstance(problem, TokenRejected)):
                    raise
                trace.log.warning(Event.SECRET_READ, setting=SETTING, error=problem.code.value)
                self._secret.postpone(_GRACE)
                kept.until = max(kept.until, self._clock() + _GRACE)
                return kept

    def renew(self, refused: Secret, trace: Trace, platform: Platform, *, again: bool) -> Kept | None:
        reads = self._secret.reads
        with self._turn.take(trace.deadline) as failure:
            kept = self._kept
            if kept is not None and kept.token.value != refused:
                return kept
            if failure is not None:
                raise failure
            if kept is not None and self._secret.reads != reads:
                return None  # another thread just looked: there is none
            content = read_content(self._secret.anew(trace, platform), SETTING)
            if kept is not None and kept.content == content:
                if again or isinstance(content, BareToken) or not self._may_buy_again(kept):
                    return None
                self._unproven += 1
            else:
                self._unproven = 0
            return self._obtain(content, trace)

    def _follow(self, trace: Trace, platform: Platform) -> Kept:
        """The kept token if the secret still is what it came from, else one of the secret as it is now."""
        content = read_content(self._secret.current(trace, platform), SETTING)
        kept = self._kept
        if kept is not None and kept.content == content and self._good(kept):
            return kept
        try:
            return self._obtain(content, trace)
        except TokenRejected:
            # What is kept may be older than what the store has: look once
            anew = read_content(self._secret.anew(trace, platform), SETTING)
            if anew == content:
                raise
        return self._obtain(anew, trace)

    def _obtain(self, content: Content, trace: Trace) -> Kept:
        if isinstance(content, BareToken):
            token = self._identity.look_up(content.token, self._settings.project_id, trace)
            self._kept = Kept(token, content, float("inf"))
        else:
            token = self._buy(content, trace)
            now = self._clock()
            left = (token.expires_at or now) - now
            # A clock that is ahead, or a life of minutes, must not make every call buy a token
            self._kept = Kept(token, content, now + max(left - _EARLY, left / 2, _REST / 2))
            self._bought_at = now
        return self._kept

    def _buy(self, buyer: Password | ApplicationCredential, trace: Trace) -> Token:
        if buyer == self._refused and 0 <= self._clock() - self._refused_at < _REST:
            raise TokenRejected(
                "The identity service has just refused to sell a token to what the secret that "
                f"{SETTING} names holds. The same is not tried again for {_REST:g} seconds, since accounts "
                "lock after a few failures: mend the secret, which is used at once."
            )
        try:
            token = self._identity.buy(buyer, trace)
        except TokenRejected:
            self._refused, self._refused_at = buyer, self._clock()
            raise
        self._refused = None
        return token

    def _good(self, kept: Kept) -> bool:
        return self._clock() < kept.until

    def _alive(self, kept: Kept) -> bool:
        expires_at = kept.token.expires_at
        return expires_at is None or self._clock() < expires_at

    def _may_buy_again(self, kept: Kept) -> bool:
        """Whether the same may buy once more. Not when token after token is refused: more won't help."""
        if kept.proven:
            self._unproven = 0
        return self._unproven < _UNPROVEN or not 0 <= self._clock() - self._bought_at < _REST


class _PlatformTokens:
    """The platform's own token, as each invocation brings it. Kept is its project, by the token's digest."""

    _MOST = 16

    def __init__(self, settings: Settings, identity: Identity, environment: Mapping[str, str]) -> None:
        self._settings = settings
        self._identity = identity
        self._environment = environment
        self._turn = Turn()
        self._projects: dict[bytes, str] = {}

    def current(self, trace: Trace, platform: Platform) -> Kept:
        value = platform_token(platform, SETTING)
        runtime = platform_project(platform, self._environment)
        configured = self._settings.project_id
        if configured and runtime and not same_project(configured, runtime):
            raise Misconfigured(
                "DETACH_PROJECT_ID is another project than the function's own, of which a context: token is."
            )
        digest = hashlib.sha256(value.reveal().encode()).digest()
        project = self._projects.get(digest)
        if project is None:
            with self._turn.take(trace.deadline):
                project = self._projects.get(digest)
                if project is None:
                    project = self._identity.look_up(value, configured or runtime, trace).project_id
                    while len(self._projects) >= self._MOST:
                        del self._projects[next(iter(self._projects))]
                    self._projects[digest] = project
        return Kept(Token(value, project), None, 0.0)

    def renew(self, _refused: Secret, _trace: Trace, _platform: Platform, *, again: bool) -> None:
        """There is no other token within the same invocation."""
        del again
