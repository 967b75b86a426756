"""What the volume and the compute service have in common: an endpoint, a project in the path, a token."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple, ParamSpec, Protocol, TypeVar
from urllib.parse import urlencode

from handler.cloud.absence import Absence, Speech, read_absence
from handler.cloud.endpoints import Endpoints
from handler.cloud.faults import upstream
from handler.cloud.messages import LARGEST_ANSWER, Answer, Call, CallOptions
from handler.cloud.transport import Authenticator, Transport
from handler.errors import ErrorCode, Refused, UpstreamUnavailable
from handler.invocation import CallContext
from handler.model.addresses import split_version

if TYPE_CHECKING:
    from typing_extensions import Unpack


_Given = ParamSpec("_Given")
_Found = TypeVar("_Found")

_OF_ONE_PROJECT: Mapping[str, str] = MappingProxyType({})
_OF_ALL_PROJECTS: Mapping[str, str] = MappingProxyType({"all_tenants": "1"})


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

    @property
    def roles(self) -> tuple[str, ...] | None:
        """The names of the token's roles, None where they are not known."""
        ...

    @property
    def delegated(self) -> bool:
        """Whether the token is one for which no service can get another to ask a further service."""
        ...


class Lacking(NamedTuple):
    """What came in place of an answer at the microversion that was asked for."""

    answer: Answer


class Service:
    """One service as one invocation sees it. Its endpoint goes up to the version; the project's id follows.

    The project is always in the path, the token's own where all projects are looked at, too: with a token of
    another project the service then answers 400, where without it a server that lives would look gone
    (recorded from a real Nova).
    """

    def __init__(
        self, name: str, transport: Transport, auth: ProjectAuthenticator, *, all_projects: bool = False
    ) -> None:
        self.name = name
        self.all_projects = all_projects
        self._transport = transport
        self._auth = auth

    @property
    def listed(self) -> Mapping[str, str]:
        """What a list is asked for besides: all projects', where they are meant.

        Recorded: Nova refuses it (403) to those who may not, Cinder gives them their own project's instead.
        """
        return _OF_ALL_PROJECTS if self.all_projects else _OF_ONE_PROJECT

    @property
    def read_timeout(self) -> float:
        """Seconds that one answer may take."""
        return self._transport.read_timeout

    @property
    def roles(self) -> tuple[str, ...] | None:
        """The names of the token's roles, None where they are not known. Raises Failure."""
        return self._auth.roles

    @property
    def endpoint(self) -> str:
        """Where the service is, up to the version. Raises Failure."""
        return self._auth.endpoints.of(self.name)

    @property
    def delegated(self) -> bool:
        """Whether the token is an application credential's or a trust's. Raises Failure."""
        return self._auth.delegated

    @property
    def project_id(self) -> str:
        """The project whose things are asked for. Raises Failure."""
        return self._auth.project_id

    def ask(
        self,
        method: str,
        path: str,
        context: CallContext,
        *,
        query: Mapping[str, str | int] | None = None,
        api: str | None = None,
        **options: Unpack[CallOptions],
    ) -> Answer:
        """Send one request below the project's path and return its answer, whatever the status. See Call.

        `api` is another version than the endpoint's, at the same place.
        """
        base = self._auth.endpoints.of(self.name)
        if api is not None:
            base = f"{split_version(base)[0]}/{api}"
        url = f"{base}/{self._auth.project_id}/{path}"
        if query:
            url += "?" + urlencode(query)
        return self._transport.send(Call(self.name, method, url, **options), context, self._auth)

    def ask_at(
        self,
        version: str,
        path: str,
        context: CallContext,
        *,
        query: Mapping[str, str | int] | None = None,
        api: str | None = None,
        largest: int = LARGEST_ANSWER,
        fresh: bool = False,
    ) -> Answer | Lacking:
        """Read what stands there by this microversion, whatever the status; Lacking where that can't be had.

        Whatever rests on a microversion asks in this way. See `lacks`.
        """
        answer = self.ask(
            "GET", path, context, query=query, api=api, headers=self.at(version), largest=largest, fresh=fresh
        )
        return Lacking(answer) if self.lacks(version, answer) else answer

    def at(self, version: str) -> Mapping[str, str]:
        """The headers that ask for this microversion."""
        headers = {"OpenStack-API-Version": f"{self.name} {version}"}
        if self.name == "compute":
            headers["X-OpenStack-Nova-API-Version"] = version  # the vendor's pages know this one
        return headers

    def lacks(self, version: str, answer: Answer) -> bool:
        """Whether this is no answer at the microversion that was asked for.

        The service says that it has not that one (406), or gives what was asked for without saying that it
        went by it: then it may have gone by another, in which the same question has another meaning.
        """
        unsaid = answer.status == 200 and answer.microversion(self.name) != version
        return unsaid or answer.status == 406

    def begin(
        self, work: Callable[_Given, _Found], *given: _Given.args, **named: _Given.kwargs
    ) -> Future[_Found]:
        """Do this on another thread, as soon as one is free."""
        return self._transport.threads.submit(work, *given, **named)

    def look_up(
        self,
        path: str,
        speech: Speech,
        context: CallContext,
        *,
        of: str,
        headers: Mapping[str, str] = MappingProxyType({}),
    ) -> Answer | Absence:
        """Ask for one thing: the answer about it, or how far the service's word goes that it is not there.

        A word that names no id may be the answer to another question, left over on a kept connection: it is
        asked for again on a connection made for it, and what that says holds.
        """
        answer = self.ask("GET", path, context, headers=headers)
        absence = read_absence(answer, speech, of=of)
        if absence is Absence.UNNAMED:
            answer = self.ask("GET", path, context, headers=headers, fresh=True)
            absence = read_absence(answer, speech, of=of)
        return answer if absence is None else absence


def require_new(answer: Answer, service: str) -> None:
    """Raise Refused where a cache kept the answer: what it shows may have been so once."""
    if answer.kept:
        raise Refused(
            ErrorCode.SERVER_UNKNOWN,
            f"The {service} service's answer is one that a cache kept (Age), though it was asked not to: it "
            "proves nothing, so nothing was sent. Check what stands between.",
            upstream=upstream(answer),
        )


def unreadable(answer: Answer, service: str) -> UpstreamUnavailable:
    """An answer of 200 that isn't what was asked for: a proxy's page, another record, a cut body."""
    return UpstreamUnavailable(
        f"The {service} service's answer can't be read: it is not the record that was asked for.",
        upstream=upstream(answer),
    )


def text_of(value: object) -> str | None:
    """A text that can be sent on: half of a surrogate pair, which JSON can hold, is replaced."""
    if not isinstance(value, str) or not value:
        return None
    return value if value.isascii() else value.encode("utf-8", "replace").decode()
