"""One invocation's work, form by form."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

from requests.models import PreparedRequest

from handler.batch import clear_all
from handler.clear import Clearing
from handler.cloud.servers import SERVICE as COMPUTE
from handler.cloud.servers import Servers
from handler.cloud.service import ProjectAuthenticator
from handler.cloud.transport import Transport
from handler.cloud.volumes import SERVICE as VOLUME
from handler.cloud.volumes import Volumes
from handler.errors import Failure
from handler.model import (
    Batch,
    GoneServer,
    ManyResult,
    Outcome,
    Result,
    Scanned,
    Sweep,
    Target,
    TargetResult,
    Work,
)
from handler.proof import Proof
from handler.results import Origin, many, target_result, untargeted, untouched
from handler.settings import ServerCheck, Settings
from handler.telemetry import Trace

if TYPE_CHECKING:
    from handler.orphans import Orphan


class Observer(Protocol):
    """Who wants to follow a sweep: the terminal."""

    def listed(self, scanned: Scanned, to_do: int) -> None:
        """The lists are read; so many candidates are to be looked at."""
        ...

    def judged(self, orphan: Orphan, result: TargetResult) -> None:
        """A candidate is done with."""
        ...


class _OneProject:
    """An invocation's credentials, of one project throughout.

    Where no project is configured it is the token's. A secret that is replaced in the middle by one of
    another project must not have the volume looked up in one and its server in the other, where it would
    look gone.
    """

    def __init__(self, auth: ProjectAuthenticator) -> None:
        self._auth = auth
        self.renew = auth.renew

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        return self._auth(request)

    @cached_property
    def project_id(self) -> str:
        return self._auth.project_id


class Job:
    """One invocation's work at the cloud: its services, its deadline, its origin."""

    def __init__(
        self,
        settings: Settings,
        transport: Transport,
        auth: ProjectAuthenticator,
        trace: Trace,
        origin: Origin,
        observer: Observer | None = None,
    ) -> None:
        self.settings = settings
        self.trace = trace
        self.origin = origin
        self.observer = observer
        self.transport = transport
        auth = _OneProject(auth)
        self._auth = auth
        self.volumes = Volumes(VOLUME, settings.volume_endpoint, transport, auth)
        self.servers: Servers | None = None
        if settings.server_check is not ServerCheck.OFF:
            self.servers = Servers(COMPUTE, settings.compute_endpoint or "", transport, auth)

    def new_trace(self) -> Trace:
        """A count of its own, for one target, under the invocation's deadline."""
        return Trace(self.trace.log, self.trace.deadline)

    def clearing(self, *, remember: bool = False) -> Clearing:
        """The rule, with this deployment's proof."""
        proof = None
        if self.servers is not None:
            proof = Proof(self.servers, self.settings.server_check, remember=remember)
        return Clearing(self.volumes, proof, project_id=self._auth.project_id)

    def do(self, work: Work) -> Result:
        """Do one work."""
        if isinstance(work, Target):
            return self._several([work])[0]
        if isinstance(work, Batch):
            return many(self._several(_targets(work)), self.origin)
        if isinstance(work, (GoneServer, Sweep)):
            return self._listed(work)
        return untargeted(Outcome.IGNORED, None, self.origin)

    def do_all(self, works: Sequence[Work]) -> list[Result]:
        """Do several works that came together. Their single targets run as one batch."""
        singles = [work for work in works if isinstance(work, Target)]
        done = iter(self._several(singles))
        return [next(done) if isinstance(work, Target) else self.do(work) for work in works]

    def _several(self, targets: Sequence[Target]) -> list[TargetResult]:
        if not targets:
            return []
        try:
            clearing = self.clearing()
        except Failure as failure:
            stopped = [untouched(target, Outcome.FAILED, failure) for target in targets]
            return [target_result(cleared, self.new_trace(), self.origin, 0.0) for cleared in stopped]
        return clear_all(clearing, targets, self.new_trace, self.origin, self.settings.concurrency)

    def _listed(self, work: GoneServer | Sweep) -> ManyResult:
        from handler import sweep  # noqa: PLC0415 (single targets don't pay for it)

        try:
            if isinstance(work, GoneServer):
                return sweep.clear_server(self, work)
            return sweep.sweep(self, work.sweep)
        except Failure as failure:
            return many([], self.origin, complete=False, failure=failure)


def _targets(batch: Batch) -> list[Target]:
    if not batch.dry_run:
        return batch.targets
    return [target.model_copy(update={"dry_run": True}) for target in batch.targets]
