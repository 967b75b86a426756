"""A project of the embedded cloud, and the function's work at it, without entry points and secrets."""

from __future__ import annotations

import uuid
from typing import Any

from requests.models import PreparedRequest

from handler.actions.dispatch import carry_out
from handler.actions.observer import Observer
from handler.actions.project import Project
from handler.cloud.endpoints import Endpoints, Together
from handler.cloud.transport import Transport
from handler.model.request import GoneServer, Sweep, SweepBounds, read_form
from handler.model.result import ManyResult
from handler.settings import read_settings
from tests.embedded_cloud import Cloud
from tests.unit.contexts import call_context

TOKEN_HEADER = "X-Auth-Token"
APPLY = {"DETACH_SWEEP_DRY_RUN": "false"}


class FixedToken:
    """Signs with one token, which nothing renews."""

    delegated = False

    def __init__(self, token: str, cloud: Cloud) -> None:
        self._token = token
        self.project_id = cloud.project_id
        self.endpoints = Endpoints(cloud.volume_endpoint, cloud.compute_endpoint, Together.CATALOG)
        self.roles: tuple[str, ...] | None = ("member", "reader")

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        request.headers[TOKEN_HEADER] = self._token
        return request

    def renew(self, refused: PreparedRequest) -> bool:
        assert refused.headers[TOKEN_HEADER] == self._token
        return False


class EmbeddedProject:
    """Works at one project; retries don't wait. `settings` are added to every invocation's."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self.token = cloud.token()
        self.settings: dict[str, str] = dict(APPLY)
        self.observer: Observer | None = None
        self._transports: dict[float, Transport] = {}

    def transport(self, read_timeout: float = 10.0) -> Transport:
        """The connections that invocations with this time-out share."""
        if read_timeout not in self._transports:
            self._transports[read_timeout] = Transport(
                connect_timeout=3, read_timeout=read_timeout, sleep=lambda _seconds: None
            )
        return self._transports[read_timeout]

    def close(self) -> None:
        for transport in self._transports.values():
            transport.close()

    def services(self, seconds: float = 25.0, **settings: object) -> Project:
        """One invocation's services."""
        environment = {
            **self.cloud.environment(),
            "DETACH_TOKEN_SECRET": "env:NOT_ASKED",
            **self.settings,
            **{name: str(value) for name, value in settings.items()},
        }
        read = read_settings(environment, network=False)
        return Project(
            read,
            self.transport(read.read_timeout),
            FixedToken(self.token, self.cloud),
            call_context(seconds),
            self.observer,
        )

    def sweep(self, services: Project | None = None, **bounds: Any) -> ManyResult:
        """Form *sweep*, with what an event says."""
        result = carry_out([Sweep(sweep=read_form(SweepBounds, bounds))], services or self.services())
        assert isinstance(result, ManyResult)
        return result

    def clear_server(
        self, server_id: str, services: Project | None = None, *, dry_run: bool = False
    ) -> ManyResult:
        """Form *server*."""
        result = carry_out([GoneServer(server_id=server_id, dry_run=dry_run)], services or self.services())
        assert isinstance(result, ManyResult)
        return result

    def add_orphan(self, **about: Any) -> tuple[str, str, str]:
        """A volume whose server is gone: ids of volume, attachment and server."""
        server_id = str(uuid.uuid4())
        volume = self.cloud.add_volume(attachments=[server_id], **about)
        return volume.id, volume.attachments[0].attachment_id, server_id

    def add_held(self, count: int = 1) -> list[str]:
        """Volumes that servers hold; the volumes' ids."""
        return [self.cloud.add_volume(attachments=[self.cloud.add_server()]).id for _ in range(count)]

    def calls(self) -> dict[str, int]:
        """How many calls the cloud saw, by what they ask for."""
        kinds = {"volume pages": 0, "server pages": 0, "looks": 0, "detaches": 0}
        for call in self.cloud.calls:
            if call.method == "POST":
                kinds["detaches"] += 1
            elif call.path.endswith("/volumes/detail"):
                kinds["volume pages"] += 1
            elif call.path.endswith("/servers"):
                kinds["server pages"] += 1
            else:
                kinds["looks"] += 1
        return kinds
