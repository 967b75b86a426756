"""What signs the calls to the cloud: one for the process, and bound to each invocation."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping

from requests.auth import AuthBase
from requests.models import PreparedRequest

from handler.cloud.endpoints import Endpoints
from handler.cloud.transport import Transport
from handler.credentials.identity import Identity, Token
from handler.credentials.identity_answers import SETTING
from handler.credentials.platform_token import runtime_project
from handler.credentials.secret_content import Content, read_content
from handler.credentials.stores import LOCAL_STORES, open_store
from handler.credentials.stores.base import CachedSecret, SecretStore, read_secret
from handler.credentials.stores.context import PlatformTokens
from handler.credentials.token import CachedToken, SecretTokens, Tokens
from handler.invocation import CallContext
from handler.secret import Secret
from handler.settings import ServerCheck, Settings
from handler.settings.secret_reference import Store
from handler.telemetry import Event


class _Sent(threading.local):
    """What a thread sent last. A refusal is told by `renew`, but not that of a call that was sent again."""

    kept: CachedToken | None = None
    again = False


class TokenAuth(AuthBase):
    """Signs the requests of one invocation. See `handler.cloud.transport.Authenticator`."""

    def __init__(self, tokens: Tokens, context: CallContext) -> None:
        self._tokens = tokens
        self._context = context
        self._renewed: CachedToken | None = None
        self._sent = _Sent()

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        """Put the token into the request, having it issued first if there is none. Raises Failure."""
        kept = self._tokens.current(self._context)
        sent = self._sent
        # A thread sends one call after the other: had the last one been refused, it would have renewed
        if sent.kept is kept:
            kept.proven = True
        sent.kept = None if sent.again else kept
        sent.again = False
        request.headers["X-Auth-Token"] = kept.token.value.reveal()
        return request

    def renew(self, refused: PreparedRequest) -> bool:
        """Whether there is another token than the one that was refused. Raises Failure."""
        self._sent.kept = None
        self._context.log.warning(Event.TOKEN_REFUSED)
        value = Secret(refused.headers.get("X-Auth-Token") or "")
        again = self._renewed is not None and self._renewed.token.value == value
        kept = self._tokens.renew(value, self._context, again=again)
        self._renewed = kept or self._renewed
        self._sent.again = kept is not None
        return kept is not None

    @property
    def project_id(self) -> str:
        """The token's project, as the cloud spells it. Raises Failure."""
        return self.token.project_id

    @property
    def endpoints(self) -> Endpoints:
        """Where this token's services are. Raises Failure."""
        return self.token.endpoints

    @property
    def delegated(self) -> bool:
        """Whether this token is delegated, so that no service gets another for it. Raises Failure."""
        return self.token.delegated

    @property
    def token(self) -> Token:
        """The token, and what is known of it. Raises Failure."""
        return self._tokens.current(self._context).token

    @property
    def roles(self) -> tuple[str, ...] | None:
        """The names of this token's roles, None where they are not known. Raises Failure."""
        return self._tokens.current(self._context).token.roles


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
        self._identity = identity = Identity(settings, transport, clock)
        self._local: SecretStore | None = None
        self._secret: CachedSecret | None = None
        reference = settings.token_secret
        self._tokens: Tokens
        if reference.store is Store.CONTEXT:
            self._tokens = PlatformTokens(settings, identity, runtime_project(environment))
        else:
            store = open_store(SETTING, reference, settings, transport, environment, clock)
            if reference.store in LOCAL_STORES:
                self._local = store
            self._secret = CachedSecret(SETTING, reference, store, settings.secret_ttl, clock)
            self._tokens = SecretTokens(settings.project_id, self._secret, identity, clock)
        compares = settings.server_check is not ServerCheck.OFF
        needed = [settings.volume_endpoint, settings.compute_endpoint if compares else None]
        if self._local is None:  # else the identity service is the first of all to be called
            needed.append(settings.identity_endpoint)
        self._hosts = [url for url in needed if url is not None]

    def unopened(self) -> list[str]:
        """Where the first invocation calls after its first call, as far as that is known; then nothing.

        It can be connected to while that call is waited for.
        """
        hosts, self._hosts = self._hosts, []
        return hosts

    def content(self, context: CallContext) -> Content | None:
        """What the secret holds; None for the platform's own token. Raises Failure."""
        if self._secret is None:
            return None
        return read_content(self._secret.current(context), SETTING)

    def require_project(self, context: CallContext) -> None:
        """Raise what every call would meet for lack of a project, as far as this machine alone can say.

        A secret that is kept elsewhere is not asked for. Raises Misconfigured, or SecretUnavailable.
        """
        if self._local is not None:
            text = read_secret(SETTING, self._local, context)
            self._identity.require_project(read_content(text, SETTING))

    def authenticator(self, context: CallContext) -> TokenAuth:
        """What signs the calls of one invocation, within its deadline and under its log."""
        return TokenAuth(self._tokens, context)
