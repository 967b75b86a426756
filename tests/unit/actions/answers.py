"""What the rule's rows are made of: answers in strict order, a clock that tests turn, one target."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from unittest.mock import patch

import requests
import responses
from requests.models import PreparedRequest
from responses.registries import OrderedRegistry

from handler.actions.batch import clear_one
from handler.actions.clear import Clearing
from handler.actions.project import Project
from handler.actions.proof import Proof
from handler.cloud.endpoints import Endpoints, Together
from handler.cloud.transport import Transport
from handler.errors import ErrorCode
from handler.invocation import Trigger
from handler.model.request import Target
from handler.model.result import Outcome, TargetResult
from handler.settings import Settings, read_settings
from tests.unit.contexts import call_context

PROJECT = "5f1c8b2ad9e34c7ab0d6e1f2a3b4c5d6"
VOLUME = "0b9f3c52-6d3e-4f0a-9a44-3c1de17a8f01"
ATTACHMENT = "c2a7e1d4-58b3-4e6f-8d21-7f60b9a3c502"
OTHER_ATTACHMENT = "d3b8f2e5-69c4-4f70-9e32-8071cab4d603"
SERVER = "e4c903f6-7ad5-4081-af43-9182dbc5e704"
OTHER_SERVER = "f5da1407-8be6-4192-b054-a293ecd6f805"
TOKEN = "gAAAA-planted-token"

VOLUME_ENDPOINT = "https://volume.example/v2"
COMPUTE_ENDPOINT = "https://compute.example/v2.1"

THE_VOLUME = f"{VOLUME_ENDPOINT}/{PROJECT}/volumes/{VOLUME}"
THE_ACTION = f"{THE_VOLUME}/action"
THE_SERVER = f"{COMPUTE_ENDPOINT}/{PROJECT}/servers/{SERVER}"
ITS_ACTIONS = f"{THE_SERVER}/os-instance-actions"
ITS_VOLUMES = f"{THE_SERVER}/os-volume_attachments"

NOW = 1_800_000_000.0
"""What the tests' clock shows at first, in seconds since 1970: 2027-01-15T08:00:00Z."""

# One answer of the cloud: method, URL, status, body (JSON, a text, or what the connection dies of), headers
Said = tuple[str, str, int, Any, dict[str, str]]
Quote = Callable[[Said, str], Said]


def get(url: str, status: int, body: Any = "", **headers: str) -> Said:
    """An answer to a read; one about a server's actions says that it is at the microversion asked for."""
    told = {"OpenStack-API-Version": "compute 2.51"} if url.startswith(ITS_ACTIONS) else {}
    return ("GET", url, status, body, {**told, **headers})


def post(status: int, body: Any = "", **headers: str) -> Said:
    return ("POST", THE_ACTION, status, body, headers)


def dies(url: str, how: type[requests.RequestException] = requests.ConnectionError) -> Said:
    """The connection breaks (or times out) with no answer."""
    return ("POST" if url == THE_ACTION else "GET", url, 0, how("planted"), {})


def entry(attachment: Any = ATTACHMENT, server: Any = SERVER) -> dict[str, Any]:
    """One of attachments[], as clouds write it: its `id` is the volume's."""
    return {
        "id": VOLUME,
        "attachment_id": attachment,
        "volume_id": VOLUME,
        "server_id": server,
        "host_name": None,
        "device": "/dev/vdb",
        "attached_at": "2026-12-01T09:30:00.000000",
    }


def volume(status: str | None, /, *attachments: Any, **more: Any) -> dict[str, Any]:
    """A volume's record. `more` stands beside, or in place of, what it has."""
    record = {
        "id": VOLUME,
        "status": status,
        "attachments": list(attachments),
        "updated_at": "2027-01-15T07:55:00.000000",
        "os-vol-tenant-attr:tenant_id": PROJECT,
    }
    return {"volume": {**record, **more}}


def server(status: Any, task_state: Any = None, /, **more: Any) -> dict[str, Any]:
    """A server's record, with the power state that Nova shows beside that status."""
    record = {
        "id": SERVER,
        "status": status,
        "OS-EXT-STS:task_state": task_state,
        "OS-EXT-STS:power_state": {"ACTIVE": 1, "SHUTOFF": 4}.get(status, 0),
        "tenant_id": PROJECT,
        "updated": "2027-01-15T07:55:00Z",
        "os-extended-volumes:volumes_attached": [],
    }
    return {"server": {**record, **more}}


IN_USE = volume("in-use", entry())
FREE = volume("available")
NOVA_GONE = {"itemNotFound": {"code": 404, "message": f"Instance {SERVER} could not be found."}}


class Clock:
    """Seconds since 1970 that go on only when somebody sleeps."""

    def __init__(self) -> None:
        self.now = NOW
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


class Beside:
    """Stands for the threads on which a server is looked for beside its volume: in a known order.

    What is begun is carried out when it is waited for, so after what goes on beside it; with `first` at once.
    """

    first = False

    def submit(self, work: Callable[..., Any], *arguments: Any) -> Beside:
        self._work: Callable[[], Any] | None = partial(work, *arguments)
        if self.first:
            self._perform()
        return self

    def cancel(self) -> bool:
        return False

    def result(self) -> Any:
        self._perform()
        if isinstance(self._result, Exception):
            raise self._result
        return self._result

    def _perform(self) -> None:
        work, self._work = self._work, None
        if work is not None:
            try:
                self._result = work()
            except Exception as failed:  # noqa: BLE001 (raised where it is waited for)
                self._result = failed


class BesideFirst(Beside):
    """The other order."""

    first = True


class Signer:
    """Signs with the planted token, and has as many others after it as it is told."""

    delegated = False

    def __init__(self, renewals: int = 0, project_id: str = PROJECT) -> None:
        self.project_id = project_id
        self.renewals = renewals
        self.renewed = 0
        self.endpoints = Endpoints(VOLUME_ENDPOINT, COMPUTE_ENDPOINT, Together.CATALOG)
        self.roles: tuple[str, ...] | None = ("member", "reader")

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        request.headers["X-Auth-Token"] = f"{TOKEN}-{self.renewed}"
        return request

    def renew(self, refused: PreparedRequest) -> bool:
        assert refused.headers["X-Auth-Token"] == f"{TOKEN}-{self.renewed}"
        if self.renewed == self.renewals:
            return False
        self.renewed += 1
        return True


@dataclass
class Row:
    """One line of the table: what is asked, what the cloud answers in order, and what must come of it.

    `server` is exists and status as reported. `listed` is the attachment_id that a POST must carry.
    """

    name: str
    answers: Sequence[Said]
    outcome: str
    code: str | None = None
    retryable: bool = False
    changed: bool | None = False
    remaining: int | None = None
    server: tuple[bool | None, str | None] = (None, None)
    status: tuple[str | None, str | None] = (None, None)
    says: str = ""
    upstream: tuple[int | None, str | None] | None = None
    retry_after: float | None = None
    target: dict[str, Any] = field(default_factory=dict)
    check: str = "gone"
    settings: dict[str, str] = field(default_factory=dict)
    seconds: float = 25.0
    renewals: int = 0
    listed: str = ATTACHMENT

    def run(
        self, quote: Quote | None = None, beside: type[Beside] = Beside
    ) -> tuple[TargetResult, list[PreparedRequest], Clock]:
        """Play it. The result, the requests that were sent, and the clock with its sleeps.

        `quote` changes an answer, given the token that it was asked with. `beside` says when a server is
        looked for whose id is given.
        """
        with (
            patch("handler.cloud.transport.ThreadPoolExecutor", lambda *_: beside()),
            responses.RequestsMock(registry=OrderedRegistry, assert_all_requests_are_fired=True) as cloud,
        ):
            for number, said in enumerate(self.answers):
                stub(cloud, said, number, quote)
            result, clock = play(self)
            return result, [call.request for call in cloud.calls], clock


def stub(cloud: responses.RequestsMock, said: Said, number: int, quote: Quote | None = None) -> None:
    method, url, *_ = said

    def answer(request: PreparedRequest) -> tuple[int, dict[str, str], str]:
        token = str(request.headers["X-Auth-Token"])
        _, _, status, body, headers = quote(said, token) if quote else said
        if isinstance(body, Exception):
            raise body
        kind = "text/html" if isinstance(body, str) else "application/json"
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        text = body if isinstance(body, str) else json.dumps(body)
        return status, {"X-Openstack-Request-Id": f"req-{number}", "Content-Type": kind, **named}, text

    cloud.add_callback(method, url, answer, content_type=None)


def settings(check: str = "gone", **more: str) -> Settings:
    environment = {
        "DETACH_PROJECT_ID": PROJECT,
        "DETACH_VOLUME_ENDPOINT": VOLUME_ENDPOINT,
        "DETACH_COMPUTE_ENDPOINT": COMPUTE_ENDPOINT,
        "DETACH_TOKEN_SECRET": "env:PLANTED",
        "DETACH_INVOKE_AUTH": "platform",
        "DETACH_SERVER_CHECK": check,
    }
    return read_settings({**environment, **more})


def services_of(
    clock: Clock, signer: Signer, check: str = "gone", seconds: float = 25.0, **more: str
) -> Project:
    """Services whose time is the clock's. Their transport keeps no connection: `responses` answers."""
    chosen = settings(check, **more)
    transport = Transport(
        connect_timeout=chosen.connect_timeout, read_timeout=chosen.read_timeout, sleep=clock.sleep
    )
    context = call_context(seconds, clock, request_id="r-1", trigger=Trigger.HTTP)
    return Project(chosen, transport, signer, context)


def clearing(services: Project, clock: Clock) -> Clearing:
    """The rule as the deployment has it, but with pauses and time of the clock, and with a witness."""
    proof = None
    if services.servers:
        check = services.settings.server_check
        proof = Proof(services.servers, check, witness=lambda _: OTHER_SERVER, now=clock, sleep=clock.sleep)
    return Clearing(
        services.volumes,
        proof,
        project_id=PROJECT,
        require_belonging=services.belonging.require,
        now=clock,
        sleep=clock.sleep,
    )


def play(row: Row) -> tuple[TargetResult, Clock]:
    clock = Clock()
    services = services_of(clock, Signer(row.renewals), row.check, row.seconds, **row.settings)
    target = Target(**{"volume_id": VOLUME, "attachment_id": ATTACHMENT, **row.target})
    return clear_one(clearing(services, clock), target, services.context), clock


def outcomes(rows: Sequence[Row]) -> set[Outcome]:
    return {Outcome(row.outcome) for row in rows}


def codes(rows: Sequence[Row]) -> set[ErrorCode]:
    return {ErrorCode(row.code) for row in rows if row.code}
