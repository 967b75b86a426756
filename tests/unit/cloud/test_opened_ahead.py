"""The first connections are made while the first call is waited for."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, suppress
from typing import Any

import pytest

from handler.cloud.transport import Transport
from handler.invocation import Invocation, Trigger
from handler.model.request import Target
from handler.model.result import Outcome, TargetResult
from handler.runtime import Runtime
from tests.embedded_cloud import Call, Cloud, seed
from tests.embedded_cloud.seed import DETACHER, DETACHER_DOMAIN, DETACHER_PASSWORD
from tests.unit.conftest import Deploy
from tests.unit.contexts import call_context

_PATIENCE = 20.0  # seconds that a test waits for what should come
_INVOCATION = Invocation(Trigger.HTTP, "r-1")
_DRY = Target(seed.ORPHAN_VOLUME, seed.ORPHAN_ATTACHMENT, dry_run=True)


class Relay:
    """Passes bytes on to a cloud, and counts who connects."""

    def __init__(self, to: int) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self._to = to
        self.connected = threading.Semaphore(0)
        self.count = 0
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def close(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)  # what waits for them learns of it, unlike by close
        for each in self._open:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(_PATIENCE)
        for each in (*self._open, self._listening):
            each.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listening.accept()
            except OSError:
                return
            far = socket.create_connection(("127.0.0.1", self._to))
            self._open += [near, far]
            self.count += 1
            for source, sink in ((near, far), (far, near)):
                self._threads.append(threading.Thread(target=_pass_on, args=(source, sink)))
                self._threads[-1].start()
            self.connected.release()


def _pass_on(source: socket.socket, sink: socket.socket) -> None:
    try:
        while received := source.recv(65536):
            sink.sendall(received)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        pass  # one of them is closed


@pytest.fixture
def relays(cloud: Cloud) -> Iterator[tuple[Relay, Relay]]:
    volume, compute = Relay(_port(cloud)), Relay(_port(cloud))
    yield volume, compute
    volume.close()
    compute.close()


def _port(cloud: Cloud) -> int:
    return int(cloud.url.rpartition(":")[2])


def _password(cloud: Cloud, **endpoints: str) -> dict[str, str]:
    user = {
        "username": DETACHER,
        "password": DETACHER_PASSWORD,
        "domain": DETACHER_DOMAIN,
        "project_id": cloud.project_id,
    }
    return {"DETACH_TOKEN_SECRET": "env:USER_SECRET", "USER_SECRET": json.dumps(user), **endpoints}


def _by(relays: tuple[Relay, Relay], cloud: Cloud) -> dict[str, str]:
    volume, compute = (str(relay.port) for relay in relays)
    return _password(
        cloud,
        DETACH_VOLUME_ENDPOINT=cloud.volume_endpoint.replace(str(_port(cloud)), volume),
        DETACH_COMPUTE_ENDPOINT=cloud.compute_endpoint.replace(str(_port(cloud)), compute),
        DETACH_TRUST_ENDPOINTS="true",
    )


def _do(runtime: Runtime) -> TargetResult:
    result = runtime.carry_out([_DRY], _INVOCATION)
    assert isinstance(result, TargetResult)
    return result


def test_both_services_are_connected_to_while_the_token_is_bought(
    cloud: Cloud, deploy: Deploy, relays: tuple[Relay, Relay]
) -> None:
    met: list[bool] = []

    def hold(call: Call) -> None:
        if call.service == "identity":
            met.extend(relay.connected.acquire(timeout=_PATIENCE) for relay in relays)

    cloud.hook(hold)
    runtime = deploy(cloud, **_by(relays, cloud))

    assert _do(runtime).outcome is Outcome.WOULD_DETACH
    assert met == [True, True]
    assert _do(runtime).outcome is Outcome.WOULD_DETACH
    assert [relay.count for relay in relays] == [1, 1], "what was opened is what was used"


def test_a_service_that_can_t_be_connected_to_is_told_of_by_its_call(cloud: Cloud, deploy: Deploy) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = str(taken.getsockname()[1])
    nowhere = cloud.compute_endpoint.replace(str(_port(cloud)), port)
    runtime = deploy(
        cloud, **_password(cloud, DETACH_COMPUTE_ENDPOINT=nowhere, DETACH_TRUST_ENDPOINTS="true")
    )

    result = _do(runtime)

    assert (result.outcome, result.error and result.error.code.value) == ("failed", "upstream_unavailable")
    assert result.error is not None
    assert "compute service" in result.error.message


def test_nothing_is_connected_to_any_more_when_an_invocation_has_ended(
    cloud: Cloud, deploy: Deploy, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = deploy(cloud, **_password(cloud))
    ended = threading.Event()
    really = runtime.transport._adapter.open

    def slowly(*given: Any) -> None:
        time.sleep(0.3)
        really(*given)
        ended.set()

    monkeypatch.setattr(runtime.transport._adapter, "open", slowly)
    _do(runtime)

    assert ended.is_set()


def test_what_goes_by_a_proxy_is_left_to_the_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    transport = Transport(connect_timeout=3, read_timeout=10)

    def begun(_open: object, url: str, _trust: object, seconds: float) -> Future[None]:
        opened.append(url)
        assert seconds <= 1, "no longer than there is time"
        done: Future[None] = Future()
        done.set_result(None)
        return done

    monkeypatch.setattr(transport.threads, "submit", begun)
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "direct.example")

    with transport.opened_ahead(["https://direct.example/v2", "https://other.example/v2"], call_context(1)):
        pass
    transport.close()

    assert opened == ["https://direct.example/v2"]


@pytest.mark.parametrize(
    ("settings", "opened"),
    [
        ({}, {"volume", "compute"}),
        ({"DETACH_SERVER_CHECK": "off"}, {"volume"}),
        ({"DETACH_TOKEN_SECRET": "vault:secret/data/evs#token"}, {"volume", "compute", "identity"}),
    ],
)
def test_only_what_will_be_called_later_is_opened(
    cloud: Cloud, deploy: Deploy, settings: dict[str, str], opened: set[str]
) -> None:
    vault = {"VAULT_ADDR": cloud.vault_addr, "VAULT_TOKEN": "planted"}
    credentials = deploy(cloud, **{**_password(cloud), **vault, **settings}).credentials
    endpoints = {
        cloud.volume_endpoint: "volume",
        cloud.compute_endpoint: "compute",
        cloud.identity_endpoint: "identity",
    }

    assert {endpoints[url] for url in credentials.unopened()} == opened
    assert credentials.unopened() == []


@pytest.mark.parametrize(("connections", "threads"), [(1, 1), (2, 1), (8, 4), (9, 4)])
def test_half_of_the_connections_are_for_what_is_asked_beside(connections: int, threads: int) -> None:
    with closing(Transport(connect_timeout=3, read_timeout=10, connections=connections)) as transport:
        assert transport.threads._max_workers == threads


def test_what_no_thread_has_begun_to_open_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    class NotBegun(Future[None]):
        def result(self, timeout: float | None = None) -> None:
            raise AssertionError(timeout)

    with closing(Transport(connect_timeout=3, read_timeout=10)) as transport:
        opening = NotBegun()
        monkeypatch.setattr(transport.threads, "submit", lambda *_: opening)
        with transport.opened_ahead(["https://direct.example/v2"], call_context(1)):
            pass

    assert opening.cancelled()


def test_who_closes_waits_for_no_thread_and_leaves_none() -> None:
    transport = Transport(connect_timeout=3, read_timeout=10)
    threads, closed = transport.threads, threading.Event()
    waiting = threads.submit(closed.wait, 20)

    transport.close()
    closed.set()

    assert waiting.result() is True
    with pytest.raises(RuntimeError, match="after shutdown"):
        threads.submit(closed.wait)
    transport.close()


def test_who_closes_does_not_wait_for_what_is_asked_beside(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[bool] = []
    transport = Transport(connect_timeout=3, read_timeout=10)
    monkeypatch.setattr(ThreadPoolExecutor, "shutdown", lambda _self, *, wait: waits.append(wait))

    transport.close()

    assert waits == [False]
