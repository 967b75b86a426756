"""What the volume and the compute service have in common: an endpoint, a project in the path, a token."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol
from urllib.parse import urlencode

from handler.cloud.endpoints import Endpoints
from handler.cloud.faults import upstream
from handler.cloud.messages import LARGEST_ANSWER, Answer, Call
from handler.cloud.transport import Authenticator, Transport
from handler.errors import UpstreamUnavailable
from handler.invocation import CallContext


class ProjectAuthenticator(Authenticator, Protocol):
    """What signs requests and knows the project of the token it signs with."""

    @property
    def project_id(self) -> str:
        """The project's id, as it stands in paths."""
        ...

    @property
    def endpoints(self) -> Endpoints:
        """Where the token's services are."""
        ...


class Service:
    """One service as one invocation sees it. Its endpoint goes up to the version; the project's id follows.

    The project is always in the path: with a token of another project the service then answers 400, where
    without it a server that lives would look gone (recorded from a real Nova).
    """

    def __init__(self, name: str, transport: Transport, auth: ProjectAuthenticator) -> None:
        self.name = name
        self._transport = transport
        self._auth = auth

    def ask(
        self,
        method: str,
        path: str,
        context: CallContext,
        *,
        query: Mapping[str, str | int] | None = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        largest: int = LARGEST_ANSWER,
        needs: float = 0.0,
    ) -> Answer:
        """Send one request below the project's path and return its answer, whatever the status. See Call."""
        url = f"{self._auth.endpoints.of(self.name)}/{self._auth.project_id}/{path}"
        if query:
            url += "?" + urlencode(query)
        call = Call(self.name, method, url, body=body, headers=headers or {}, largest=largest, needs=needs)
        return self._transport.send(call, context, self._auth)


def unreadable(answer: Answer, service: str) -> UpstreamUnavailable:
    """An answer of 200 that isn't what was asked for: a proxy's page, another record, a cut body."""
    return UpstreamUnavailable(
        f"The {service} service's answer can't be read: it is not the record that was asked for.",
        upstream=upstream(answer),
    )
