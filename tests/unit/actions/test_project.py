"""An invocation's project and endpoints stay those that it began with, whatever becomes of its secret."""

from __future__ import annotations

import threading
from typing import cast

import pytest
from requests.models import PreparedRequest
from responses import RequestsMock

from handler.actions.observer import Observer
from handler.actions.project import _OneProject
from handler.cloud.endpoints import Endpoints, Together
from handler.model.result import Findings
from tests.unit.actions.answers import (
    COMPUTE_ENDPOINT,
    IN_USE,
    NOVA_GONE,
    PROJECT,
    SERVER,
    THE_SERVER,
    THE_VOLUME,
    VOLUME,
    VOLUME_ENDPOINT,
    Clock,
    Signer,
    services_of,
)


class _Swapped:
    """Credentials whose secret is replaced by another project's, of another region, after the first look."""

    def __init__(self) -> None:
        self._projects = [PROJECT]
        self._hosts = [""]

    @property
    def project_id(self) -> str:
        return self._projects.pop() if self._projects else "0" * 32

    @property
    def endpoints(self) -> Endpoints:
        other = self._hosts.pop() if self._hosts else "other-"
        return Endpoints(
            VOLUME_ENDPOINT.replace("//", f"//{other}"),
            COMPUTE_ENDPOINT.replace("//", f"//{other}"),
            Together.ONE_SOURCE,
        )

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        return request

    def renew(self, refused: PreparedRequest) -> bool:
        raise AssertionError(refused)


def test_a_server_is_asked_for_where_its_volume_was() -> None:
    services = services_of(Clock(), _Swapped())  # type: ignore[arg-type]  # signs with nothing
    assert services.servers is not None
    with RequestsMock() as cloud:
        cloud.get(THE_VOLUME, json=IN_USE)
        cloud.get(THE_SERVER, json=NOVA_GONE, status=404)

        volume = services.volumes.get(VOLUME, services.context)
        services.servers.find(SERVER, services.context)

        assert [call.request.url for call in cloud.calls] == [THE_VOLUME, THE_SERVER]
    assert volume is not None
    assert services.clearing()._project_id == PROJECT


def test_who_waits_for_the_token_s_project_waits_under_a_deadline() -> None:
    """A property that locks while it finds out would have all others wait for as long as that takes."""
    waits, goes_on = threading.Event(), threading.Event()

    class Slow(_Swapped):
        asked = 0

        @property
        def project_id(self) -> str:
            self.asked += 1
            if threading.current_thread() is not threading.main_thread():
                waits.set()
                assert goes_on.wait(20)
            return super().project_id

    swapped = Slow()
    auth = _OneProject(swapped)  # type: ignore[arg-type]  # signs with nothing
    slow = threading.Thread(target=lambda: auth.project_id)
    slow.start()
    assert waits.wait(20)

    assert auth.project_id == PROJECT
    goes_on.set()
    slow.join()
    assert auth.project_id == PROJECT, "the first to know counts for all"
    assert swapped.asked == 2


class _Renewed(_Swapped):
    """Credentials whose token is renewed in the middle: what is known by the first one, and by the next."""

    def __init__(self, first: Together | None, host: str, then: Together | None) -> None:
        super().__init__()
        self._known = [
            Endpoints(VOLUME_ENDPOINT, COMPUTE_ENDPOINT.replace("//", f"//{host}"), then),
            Endpoints(VOLUME_ENDPOINT, COMPUTE_ENDPOINT, first),
        ]

    @property
    def endpoints(self) -> Endpoints:
        return self._known[-1]

    def renew(self, refused: PreparedRequest) -> bool:  # noqa: ARG002 (a token is renewed for one)
        self._known.pop()
        return True


@pytest.mark.parametrize(
    ("first", "host", "then", "known"),
    [
        (None, "", Together.CATALOG, Together.CATALOG),
        (None, "", None, None),
        (None, "other-", Together.CATALOG, None),
        (Together.WITNESS, "", None, Together.WITNESS),
        (Together.WITNESS, "", Together.CATALOG, Together.WITNESS),
    ],
)
def test_a_renewed_token_may_be_the_first_to_know_that_the_endpoints_belong_together(
    first: Together | None, host: str, then: Together | None, known: Together | None
) -> None:
    auth = _OneProject(_Renewed(first, host, then))  # type: ignore[arg-type]  # signs with nothing
    began = auth.endpoints
    assert began.together is first

    auth.renew(PreparedRequest())

    assert auth.endpoints.together is known
    assert auth.endpoints is began, "the addresses stay those that it began with"


def test_all_servers_are_looked_through_by_one_in_an_invocation() -> None:
    services = services_of(Clock(), Signer(), DETACH_RECOVER="on")
    assert services.servers is not None

    assert services.scan(services.servers) is services.scan(services.servers)


def test_whoever_follows_is_told_of_a_detach_under_way() -> None:
    told: list[Findings] = []

    class Follower:
        followed = staticmethod(told.append)

    services = services_of(Clock(), Signer(), DETACH_LIVE="on")
    assert services.servers is not None

    assert services.live(services.servers)._follow._told is None
    services.observer = cast("Observer", Follower())
    assert services.live(services.servers)._follow._told == told.append
