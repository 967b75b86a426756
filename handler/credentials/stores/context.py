"""`context:`: the platform's own token, which each invocation brings along."""

from __future__ import annotations

import hashlib

from handler.credentials.identity import Identity, Token
from handler.credentials.identity_answers import SETTING
from handler.credentials.platform_token import platform_project, platform_token
from handler.credentials.single_flight import SingleFlight
from handler.credentials.token import CachedToken
from handler.errors import Misconfigured
from handler.invocation import CallContext
from handler.model.values import same_project
from handler.secret import Secret
from handler.settings import Settings


class PlatformTokens:
    """The platform's own token, as each invocation brings it. What is known of it is cached by its digest."""

    _MOST = 16

    def __init__(self, settings: Settings, identity: Identity, runtime: str | None) -> None:
        self._settings = settings
        self._identity = identity
        self._runtime = runtime
        self._flight = SingleFlight()
        self._known: dict[bytes, Token] = {}

    def current(self, context: CallContext) -> CachedToken:
        """See `Tokens`. A token is looked up once. Raises Failure, SecretUnavailable where there is none."""
        value = platform_token(context.platform, SETTING)
        runtime = platform_project(context.platform, self._runtime)
        configured = self._settings.project_id
        if configured and runtime and not same_project(configured, runtime):
            raise Misconfigured(
                "DETACH_PROJECT_ID is another project than the function's own, of which a context: token is."
            )
        digest = hashlib.sha256(value.reveal().encode()).digest()
        token = self._known.get(digest)
        if token is None:
            with self._flight.take(context.deadline) as failure:
                token = self._known.get(digest)
                if token is None:
                    if failure is not None and failure.retryable:  # others are about the other token
                        raise failure
                    token = self._identity.look_up(value, configured or runtime, context)
                    while len(self._known) >= self._MOST:
                        del self._known[next(iter(self._known))]
                    self._known[digest] = token._replace(value=Secret(""))
        return CachedToken(token._replace(value=value), None, 0.0)

    def renew(self, _refused: Secret, _context: CallContext, *, again: bool) -> None:
        """There is no other token within the same invocation."""
        del again
