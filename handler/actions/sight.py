"""What one token sees of all projects: looked for by the very calls that are judged by.

A volume of another project that the list of all has, and a server of another project that the list of all
has, must be shown by their ids. Recorded from a real Nova and Cinder: there are roles whose token lists all
and gets a 404 for each single server (or volume) of others, and the other way round; Cinder gives those who
may not list all their own project's, without a word.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import ParamSpec, TypeVar

from requests.models import PreparedRequest

from handler.cloud.endpoints import Sight
from handler.cloud.servers import SERVICE as COMPUTE
from handler.cloud.servers import Server, Servers
from handler.cloud.service import ProjectAuthenticator
from handler.cloud.transport import Transport
from handler.cloud.volumes import SERVICE as VOLUME
from handler.cloud.volumes import Volume, Volumes
from handler.errors import Misconfigured, PermissionDenied, Refused, Upstream, UpstreamRejected
from handler.invocation import CallContext
from handler.model.values import same_project
from handler.secret import Secret

_P = ParamSpec("_P")
_T = TypeVar("_T")

_MOST_ASKED = 8  # servers or volumes: one that is listed may be deleted before it is asked for


class Look:
    """Looks for it, once, by one token that nothing renews."""

    def __init__(
        self, transport: Transport, auth: ProjectAuthenticator, token: Secret, context: CallContext
    ) -> None:
        by_one = _ByOneToken(auth, token)
        self._auth = by_one
        self._context = context
        self._volumes = Volumes(VOLUME, transport, by_one, all_projects=True)
        self._servers = Servers(COMPUTE, transport, by_one, all_projects=True)

    def look(self) -> Sight:
        """What the token sees.

        Raises Misconfigured where that is not everything, another Failure where it can't be found out.
        """
        try:
            foreign = self._volumes_of_others()
            volume = self._shown(foreign)
            named = [entry.server_id for each in foreign for entry in each.attachments if entry.server_id]
            server = self._server_of_others(named)
            by_id = self._require_listed(server)
        except (PermissionDenied, Refused, UpstreamRejected) as refused:
            raise _unproved(f"a call was refused. {refused.message}", refused.upstream) from refused
        if server.id in named:
            self._auth.endpoints.witness = server.id
        return Sight(self._auth.token, server.id, volume.id, by_id)

    def _is_of_others(self, project_id: str | None) -> bool:
        return project_id is not None and not same_project(project_id, self._auth.project_id)

    def _volumes_of_others(self) -> list[Volume]:
        """Those of the first page that has any: in use by preference, since these name servers."""
        for query in ({"status": "in-use"}, {}):
            for page in self._volumes.list(self._context, query).pages(
                _NotAhead(), left_out=lambda _id: None
            ):
                found = [volume for volume in page if self._is_of_others(volume.project_id)]
                if found:
                    return found
        raise _unproved("the volume service lists no volume of another project to it")

    def _shown(self, foreign: list[Volume]) -> Volume:
        for listed in foreign[:_MOST_ASKED]:
            found = self._volumes.get(listed.id, self._context)
            if found is not None and self._is_of_others(found.project_id):
                return found
        raise _unproved(
            f"the volume service lists volume {foreign[0].id} of another project, but does not show it by "
            "its id"
        )

    def _server_of_others(self, named: list[str]) -> Server:
        """One that is shown by its id: one that a volume of others names, else one that is listed."""
        for server_id in [*dict.fromkeys(named)][:_MOST_ASKED]:
            found = self._servers.find(server_id, self._context)
            if isinstance(found, Server) and self._is_of_others(found.project_id):
                return found
        hidden = None
        listed = next(self._servers.list(self._context).pages(_NotAhead()), [])
        for server_id in listed[:_MOST_ASKED]:
            found = self._servers.find(server_id, self._context)
            if not isinstance(found, Server):
                hidden = server_id
            elif self._is_of_others(found.project_id):
                return found
        if hidden is not None:
            raise _unproved(f"the compute service lists server {hidden}, but does not show it by its id")
        raise _unproved("no server of another project is found that the compute service shows by its id")

    def _require_listed(self, server: Server) -> bool:
        """Whether the filter by id works; raises Misconfigured where no list has a server that exists."""
        if holds(self._servers, server.id, self._context, by_id=True, alone=True):
            return True
        if holds(self._servers, server.id, self._context, by_id=False):
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


class _NotAhead(Executor):
    """Fetches a page only when it is wanted: most often the first is all that is looked at."""

    def submit(self, fn: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> Future[_T]:
        return _Later(lambda: fn(*args, **kwargs))


class _Later(Future[_T]):
    def __init__(self, call: Callable[[], _T]) -> None:
        super().__init__()
        self._call = call

    def result(self, timeout: float | None = None) -> _T:  # noqa: ARG002 (the base class's signature)
        return self._call()


def holds(
    servers: Servers, server_id: str, context: CallContext, *, by_id: bool, alone: bool = False
) -> bool:
    """Whether a list of all projects' servers has this one; `alone`: and no other.

    All of its pages are looked at: a service that ignores the filter lists everybody's.
    """
    found = False
    for page in servers.list(context, server_id if by_id else None).pages(_NotAhead()):
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
