"""DETACH_SCOPE=cloud: nothing leaves but under a token that was seen to be shown every project.

A server that is not shown to the token looks gone. So before anything is judged, and anew for each token, it
is looked for what the token sees (`handler.actions.sight`).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from requests.models import PreparedRequest
from requests.structures import CaseInsensitiveDict

from handler.actions.sight import Look, holds
from handler.cloud.endpoints import Endpoints, Sight
from handler.cloud.servers import SERVICE as COMPUTE
from handler.cloud.servers import Server, Servers
from handler.cloud.service import ProjectAuthenticator
from handler.cloud.transport import Transport
from handler.errors import (
    DeadlineExceeded,
    ErrorCode,
    Misconfigured,
    Refused,
    TokenRejected,
)
from handler.invocation import CallContext, Clock
from handler.secret import Secret
from handler.telemetry import Event

_MOST_TOKENS = 3  # that one call has looked through: one that is refused is renewed
_STILL = 10.0
"""Seconds for which what was seen counts while a sweep's candidates are judged: a policy can be changed."""


class WholeCloud:
    """Signs one invocation's calls, none of them before its token was seen to see all projects.

    What was seen is kept with the token. Raises Misconfigured where it can't be seen, another Failure where
    that could not be found out: the call that was to be signed is not sent then.
    """

    def __init__(
        self,
        transport: Transport,
        auth: ProjectAuthenticator,
        context: CallContext,
        now: Clock = time.monotonic,
    ) -> None:
        self._transport = transport
        self._auth = auth
        self._context = context
        self._now = now
        self._unseen: dict[Secret, Misconfigured] = {}
        self._looked_at = 0.0
        self._all: frozenset[str] | None = None
        self._listing = threading.Lock()
        self.renew = auth.renew

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        """Put a token into the request that was seen to see all projects. Raises Failure."""
        signed = self._auth(request)
        return signed if self._known(signed) else self._prove(signed)

    @property
    def project_id(self) -> str:
        """The token's own project, which stands in the paths. Raises Failure."""
        return self._auth.project_id

    @property
    def endpoints(self) -> Endpoints:
        """Where the token's services are. Raises Failure."""
        return self._auth.endpoints

    @property
    def roles(self) -> tuple[str, ...] | None:
        """The names of the token's roles, None where they are not known. Raises Failure."""
        return self._auth.roles

    @property
    def delegated(self) -> bool:
        """Whether the token is delegated. Raises Failure."""
        return self._auth.delegated

    def sight(self) -> Sight:
        """What the token was seen to see. Raises Failure."""
        if self.endpoints.sight is None:
            request = PreparedRequest()
            request.headers = CaseInsensitiveDict()
            self(request)
        seen = self.endpoints.sight
        if seen is None:
            raise TypeError("what was proved is kept")
        return seen

    def require_still(self, context: CallContext) -> None:
        """Raise Failure where the token is not shown another project's servers any more.

        For a candidate whose server was found gone before: a policy that was changed since the lists were
        read would have had all look gone.
        """
        with self._one_at_a_time(context):
            moment = self._now()
            if moment - self._looked_at < _STILL:
                return
            servers = Servers(COMPUTE, self._transport, self, all_projects=True)
            if not isinstance(servers.find(self.sight().server_id, context.separate()), Server):
                self.endpoints.sight = None  # it may have been deleted: another one must do
                self.sight()
            self._looked_at = moment

    def require_unlisted(self, server_id: str, servers: Servers, context: CallContext) -> None:
        """Raise Refused where the list of all projects' servers has a server that was not shown by its id."""
        if self.sight().by_id:
            listed = holds(servers, server_id, context, by_id=True)
        else:
            listed = server_id in self._all_servers(servers, context)
        if listed:
            raise Refused(
                ErrorCode.SERVER_UNKNOWN,
                f"The compute service says that there is no server {server_id}, but its list of all servers "
                "has it: nothing was cleared. A policy hides servers from this token (docs/operating.md).",
            )

    def _all_servers(self, servers: Servers, context: CallContext) -> frozenset[str]:
        if not self._listing.acquire(timeout=context.deadline.remaining()):
            raise DeadlineExceeded("Time was up while another thread read the list of all servers.")
        try:
            if self._all is None:
                with ThreadPoolExecutor(1, "list") as ahead:
                    pages = servers.list(context).pages(ahead)
                    self._all = frozenset(id_ for page in pages for id_ in page)
            return self._all
        finally:
            self._listing.release()

    def _known(self, signed: PreparedRequest) -> bool:
        seen = self.endpoints.sight
        return seen is not None and seen.token == _token_of(signed)

    def _prove(self, signed: PreparedRequest) -> PreparedRequest:
        with self._one_at_a_time(self._context):
            for _ in range(_MOST_TOKENS):
                if self._known(signed):
                    return signed
                token = _token_of(signed)
                unseen = self._unseen.get(token)
                if unseen is not None:
                    raise unseen
                moment = self._now()
                try:
                    seen = Look(self._transport, self._auth, token, self._context.separate()).look()
                except Misconfigured as fault:
                    self._unseen[token] = fault
                    raise
                except TokenRejected:
                    if not self._auth.renew(signed):
                        raise
                    signed = self._auth(signed)
                    continue
                self.endpoints.sight, self._looked_at = seen, moment
                self._context.log.info(
                    Event.CLOUD_SEEN, server_id=seen.server_id, volume_id=seen.volume_id, by_id=seen.by_id
                )
                return signed
        raise TokenRejected(
            f"{_MOST_TOKENS} tokens in a row were refused before they were seen to see all projects. Check "
            "the secret that DETACH_TOKEN_SECRET names."
        )

    @contextmanager
    def _one_at_a_time(self, context: CallContext) -> Iterator[None]:
        looking = self.endpoints.looking
        if not looking.acquire(timeout=context.deadline.remaining()):
            raise DeadlineExceeded("Time was up while another thread looked at what the token sees.")
        try:
            yield
        finally:
            looking.release()


def _token_of(signed: PreparedRequest) -> Secret:
    return Secret(signed.headers["X-Auth-Token"])
