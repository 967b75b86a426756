"""DETACH_SCOPE=cloud: nothing leaves but under a token that was seen to be shown every project.

A server that is not shown to the token looks gone. So before anything is judged, and anew for each token, a
server and a volume of another project are looked for in the lists of all, and asked for by their ids, by the
very calls that are judged by. Recorded from a real Nova and Cinder: there are roles whose token lists all and
gets a 404 for each single server (or volume) of others, and the other way round; Cinder gives those who may
not list all their own project's, without a word.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from requests.models import PreparedRequest
from requests.structures import CaseInsensitiveDict

from handler.cloud.endpoints import Endpoints, Sight
from handler.cloud.servers import SERVICE as COMPUTE
from handler.cloud.servers import Server, Servers
from handler.cloud.service import ProjectAuthenticator
from handler.cloud.transport import Transport
from handler.cloud.volumes import SERVICE as VOLUME
from handler.cloud.volumes import Volume, Volumes
from handler.errors import (
    DeadlineExceeded,
    ErrorCode,
    Misconfigured,
    PermissionDenied,
    Refused,
    TokenRejected,
    Upstream,
    UpstreamRejected,
)
from handler.invocation import CallContext, Clock
from handler.model.values import same_project
from handler.secret import Secret
from handler.telemetry import Event

_MOST_TOKENS = 3  # that one call has looked through: one that is refused is renewed
_MOST_ASKED = 8  # servers or volumes: one that is listed may be deleted before it is asked for
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
            listed = _holds(servers, server_id, context, by_id=True)
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
                self._all = frozenset(id_ for page in _pages(servers, context, None) for id_ in page)
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
                    seen = self._look(_ByOneToken(self._auth, token), self._context.separate())
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

    def _look(self, auth: _ByOneToken, context: CallContext) -> Sight:
        volumes = Volumes(VOLUME, self._transport, auth, all_projects=True)
        servers = Servers(COMPUTE, self._transport, auth, all_projects=True)
        try:
            foreign = self._volumes_of_others(volumes, context)
            volume = self._shown(foreign, volumes, context)
            named = [entry.server_id for each in foreign for entry in each.attachments if entry.server_id]
            server = self._server_of_others(servers, named, context)
            by_id = self._require_listed(server, servers, context)
        except (PermissionDenied, Refused, UpstreamRejected) as refused:
            raise _unproved(f"a call was refused. {refused.message}", refused.upstream) from refused
        if server.id in named:
            self.endpoints.witness = server.id
        return Sight(auth.token, server.id, volume.id, by_id)

    def _is_of_others(self, project_id: str | None) -> bool:
        return project_id is not None and not same_project(project_id, self.project_id)

    def _volumes_of_others(self, volumes: Volumes, context: CallContext) -> list[Volume]:
        """Those of the first page that has any: in use by preference, since these name servers."""
        for query in ({"status": "in-use"}, {}):
            with ThreadPoolExecutor(1, "look") as ahead:
                for page in volumes.list(context, query).pages(ahead, left_out=lambda _id: None):
                    found = [volume for volume in page if self._is_of_others(volume.project_id)]
                    if found:
                        return found
        raise _unproved("the volume service lists no volume of another project to it")

    def _shown(self, foreign: list[Volume], volumes: Volumes, context: CallContext) -> Volume:
        for listed in foreign[:_MOST_ASKED]:
            found = volumes.get(listed.id, context)
            if found is not None and self._is_of_others(found.project_id):
                return found
        raise _unproved(
            f"the volume service lists volume {foreign[0].id} of another project, but does not show it by "
            "its id"
        )

    def _server_of_others(self, servers: Servers, named: list[str], context: CallContext) -> Server:
        """One that is shown by its id: one that a volume of others names, else one that is listed."""
        for server_id in [*dict.fromkeys(named)][:_MOST_ASKED]:
            found = servers.find(server_id, context)
            if isinstance(found, Server) and self._is_of_others(found.project_id):
                return found
        hidden = None
        listed = next(iter(_pages(servers, context, None)), [])
        for server_id in listed[:_MOST_ASKED]:
            found = servers.find(server_id, context)
            if not isinstance(found, Server):
                hidden = server_id
            elif self._is_of_others(found.project_id):
                return found
        if hidden is not None:
            raise _unproved(f"the compute service lists server {hidden}, but does not show it by its id")
        raise _unproved("no server of another project is found that the compute service shows by its id")

    def _require_listed(self, server: Server, servers: Servers, context: CallContext) -> bool:
        """Whether the filter by id works; raises Misconfigured where no list has a server that exists."""
        if _holds(servers, server.id, context, by_id=True, alone=True):
            return True
        if _holds(servers, server.id, context, by_id=False):
            return False
        raise _unproved(
            f"the compute service shows server {server.id} of another project by its id, but does not list it"
        )


class _ByOneToken:
    """Signs with the one token whose sight is looked at. Nothing renews it."""

    def __init__(self, auth: ProjectAuthenticator, token: Secret) -> None:
        self.token = token
        self.project_id = auth.project_id
        self.endpoints = auth.endpoints
        self.roles = auth.roles
        self.delegated = auth.delegated

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        request.headers["X-Auth-Token"] = self.token.reveal()
        return request

    def renew(self, _refused: PreparedRequest) -> bool:
        return False


def _token_of(signed: PreparedRequest) -> Secret:
    return Secret(signed.headers["X-Auth-Token"])


def _pages(servers: Servers, context: CallContext, server_id: str | None) -> Iterator[list[str]]:
    with ThreadPoolExecutor(1, "look") as ahead:
        yield from servers.list(context, server_id).pages(ahead)


def _holds(
    servers: Servers, server_id: str, context: CallContext, *, by_id: bool, alone: bool = False
) -> bool:
    """Whether a list of all projects' servers has this one; `alone`: and no other.

    All of its pages are looked at: a service that ignores the filter lists everybody's.
    """
    found = False
    for page in _pages(servers, context, server_id if by_id else None):
        found = found or server_id in page
        if alone and any(id_ != server_id for id_ in page):
            return False
        if found and not alone:
            break
    return found


def _unproved(why: str, upstream: Upstream | None = None) -> Misconfigured:
    return Misconfigured(
        "DETACH_SCOPE=cloud: it can't be proved that the token sees all projects, without which live servers "
        f"would look gone, so nothing was sent: {why.rstrip('.')}. It takes an administrator's (Nova's and "
        "Cinder's context_is_admin), and a volume and a server of another project (docs/operating.md).",
        upstream=upstream,
    )
