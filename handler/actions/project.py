"""The services of one project, as one invocation uses them."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from requests.models import PreparedRequest

from handler.actions.belonging import Belonging
from handler.actions.clear import Clearing
from handler.actions.observer import Observer
from handler.actions.proof import Proof, Unlisted
from handler.cloud.endpoints import Endpoints
from handler.cloud.paging import Told, nobody
from handler.cloud.servers import SERVICE as COMPUTE
from handler.cloud.servers import Servers
from handler.cloud.service import ProjectAuthenticator
from handler.cloud.transport import Transport
from handler.cloud.volumes import SERVICE as VOLUME
from handler.cloud.volumes import Volumes
from handler.invocation import CallContext
from handler.settings import ServerCheck, Settings
from handler.settings.regions import vendor_host
from handler.settings.scope import Scope

if TYPE_CHECKING:
    from handler.actions.live import Live
    from handler.actions.recover import Recovery
    from handler.actions.scan import Scan
    from handler.actions.whole_cloud import WholeCloud


class _OneProject:
    """An invocation's credentials, of one project throughout.

    Where no project is configured it is the token's. A secret that is replaced in the middle by one of
    another project must not have the volume looked up in one and its server in the other, where it would
    look gone. The same holds for endpoints that come from the token's catalog.

    Nobody waits here for another thread but under a deadline (`SingleFlight`): of several that find out at
    once, the first to know counts for all.
    """

    def __init__(self, auth: ProjectAuthenticator) -> None:
        self._auth = auth
        self._known: dict[str, Any] = {}
        self.renew = auth.renew

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        return self._auth(request)

    @property
    def project_id(self) -> str:
        known: str = self._first("project_id")
        return known

    @property
    def endpoints(self) -> Endpoints:
        """The first token's. That they belong together a later one may be the first to know."""
        known: Endpoints = self._first("endpoints")
        if known.together is None:
            now = self._auth.endpoints
            if (now.volume, now.compute) == (known.volume, known.compute):
                known.together = now.together
        return known

    def _first(self, name: str) -> Any:
        known = self._known.get(name)
        return self._known.setdefault(name, getattr(self._auth, name)) if known is None else known

    @property
    def roles(self) -> tuple[str, ...] | None:
        return self._auth.roles  # a renewed token may have others

    @property
    def delegated(self) -> bool:
        return self._auth.delegated


class Project:
    """One invocation's services: where its volumes and servers are asked for, and by which rule they go.

    `all_projects`: the token's project is only what stands in the paths, everybody's things are looked at.
    `servers` is None where no server is looked up (`DETACH_SERVER_CHECK=off`).
    """

    def __init__(
        self,
        settings: Settings,
        transport: Transport,
        auth: ProjectAuthenticator,
        context: CallContext,
        observer: Observer | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.settings = settings
        self.context = context
        self.observer = observer
        self.transport = transport
        self._sleep = sleep
        self._scan: Scan | None = None
        self.all_projects = settings.scope is Scope.CLOUD
        self.whole_cloud: WholeCloud | None = None
        self._auth: ProjectAuthenticator = _OneProject(auth)
        if self.all_projects:
            from handler.actions.whole_cloud import WholeCloud  # noqa: PLC0415 (only where it is set)

            self._auth = self.whole_cloud = WholeCloud(transport, self._auth, context)
        self.volumes = Volumes(VOLUME, transport, self._auth, all_projects=self.all_projects)
        self.servers: Servers | None = None
        if settings.server_check is not ServerCheck.OFF:
            self.servers = Servers(COMPUTE, transport, self._auth, all_projects=self.all_projects)
        self.belonging = Belonging(settings, self._auth, self.volumes, self.servers)

    @property
    def project_id(self) -> str:
        """The project's id, as the cloud spells it. Raises Failure."""
        return self._auth.project_id

    @property
    def endpoints(self) -> Endpoints:
        """Where this invocation's services are. Raises Failure."""
        return self._auth.endpoints

    def told(self, of: str) -> Told:
        """What passes the pages of a list on to who follows."""
        observer = self.observer
        return nobody if observer is None else partial(observer.page, of)

    def clearing(
        self, *, remember: bool = False, listed_stuck: bool = False, unlisted: bool = False
    ) -> Clearing:
        """The rule, with this deployment's proof, and what it has switched on beside it.

        `listed_stuck`: `listed` of `handler.actions.recover.Recovery`, which has to be switched on for it.
        `unlisted`: the servers of all targets were not found in a list of all projects' servers.
        """
        proof = live = recovery = None
        if self.servers is not None:
            proof = Proof(
                self.servers,
                self.settings.server_check,
                remember=remember,
                witness=self.belonging.witness,
                unlisted=None if unlisted else self._unlisted(self.servers),
                sleep=self._sleep,
            )
            live = self.live(self.servers) if self.settings.live.on else None
            recovery = self._recovery(self.servers, live, listed_stuck=listed_stuck)
        return Clearing(
            self.volumes,
            proof,
            project_id=None if self.all_projects else self._auth.project_id,
            require_belonging=self._require_belonging,
            live=live,
            recovery=recovery,
            sleep=self._sleep,
        )

    def _unlisted(self, servers: Servers) -> Unlisted | None:
        cloud = self.whole_cloud
        return None if cloud is None else lambda id_, context: cloud.require_unlisted(id_, servers, context)

    def _require_belonging(self, context: CallContext) -> None:
        self.belonging.require(context)
        if self.whole_cloud is not None:
            self.whole_cloud.require_still(context)

    def live(self, servers: Servers) -> Live:
        """What detaches a live server's disk, for where that is switched on."""
        from handler.actions.live import Live, detach_api  # noqa: PLC0415 (only where it is switched on)

        chosen = self.settings.live
        vendor = vendor_host(servers.endpoint, self.settings.domain) is not None
        return Live(
            self.volumes,
            servers,
            chosen.mode,
            detach_api(servers, chosen.api, vendor=vendor),
            require_belonging=self.belonging.require,
            sleep=self._sleep,
            told=self.observer.followed if self.observer is not None else None,
        )

    def scan(self, servers: Servers) -> Scan:
        """What looks through all servers, once in an invocation."""
        from handler.actions.scan import Scan  # noqa: PLC0415 (only where it is switched on)

        self._scan = self._scan or Scan(servers, self.settings.recover.mode)
        return self._scan

    def _recovery(self, servers: Servers, live: Live | None, *, listed_stuck: bool) -> Recovery | None:
        if not self.settings.recover.on:
            return None
        from handler.actions.recover import Recovery  # noqa: PLC0415 (only where it is switched on)

        # What lets go by being switched off (not-held) never widens what counts as proof here
        proof = Proof(servers, self.settings.server_check, witness=self.belonging.witness, sleep=self._sleep)
        return Recovery(
            self.volumes,
            proof,
            self.scan(servers),
            after=self.settings.recover.after,
            require_belonging=self.belonging.require,
            live=live,
            listed=listed_stuck,
            sleep=self._sleep,
        )
