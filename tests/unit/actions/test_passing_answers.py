"""What passes by itself: throttling, a server that is just gone, time that a name's look-up took."""

from __future__ import annotations

import socket
import threading
import time
from datetime import timedelta
from typing import Any

import pytest

from handler.errors import ErrorCode
from tests.embedded_cloud import Call, Cloud, seed
from tests.unit.actions.at_the_cloud import LIVE, ORPHAN, one, said
from tests.unit.conftest import Deploy

pytestmark = pytest.mark.usefixtures("no_net_of_cinder_s")


@pytest.mark.parametrize("status", [408, 413, 425, 429])
@pytest.mark.parametrize("service", ["volume", "compute"])
def test_a_read_that_is_asked_to_wait_is_repeated(
    service: str, status: int, cloud: Cloud, deploy: Deploy
) -> None:
    body = {"overLimit": {"code": status, "message": "Slow down.", "retryAfter": "0"}}
    cloud.misbehave(service, "GET", status=status, body=body, headers={"Connection": "close"})

    assert said(one(deploy(cloud), ORPHAN)) == ("detached", None, True)


@pytest.mark.parametrize("status", [408, 413, 425, 429])
@pytest.mark.parametrize("acted", [True, False])
def test_a_call_that_is_asked_to_wait_is_looked_after_once_and_not_sent_again(
    acted: bool, status: int, cloud: Cloud, deploy: Deploy
) -> None:
    cloud.misbehave("volume", "POST", status=status, headers={"Retry-After": "3"}, act=acted, times=None)

    result = one(deploy(cloud), ORPHAN)

    assert said(result) == (("detached", None, True) if acted else ("failed", "throttled", None))
    assert len(cloud.posts()) == 1
    assert result.calls == 4
    if result.error:
        assert (result.error.retryable, result.error.retry_after) == (True, 3.0)


def test_a_throttled_cloud_s_hint_is_kept_from_its_body(cloud: Cloud, deploy: Deploy) -> None:
    body = {"overLimit": {"code": 413, "message": "Slow down.", "retryAfter": "60"}}
    cloud.misbehave("volume", "GET", status=413, body=body, times=None)

    result = one(deploy(cloud), ORPHAN)

    assert result.error is not None
    assert (result.error.code, result.error.retry_after) == (ErrorCode.THROTTLED, 60.0)


def test_a_server_that_is_shown_as_deleted_for_an_instant_is_asked_for_again_later(
    cloud: Cloud, deploy: Deploy
) -> None:
    cloud.deleted_shown = 60.0
    cloud.delete_server(seed.LIVE_SERVER)
    runtime = deploy(cloud)

    first = one(runtime, LIVE)
    cloud.deleted_shown = 0.0
    second = one(runtime, LIVE)

    assert said(first) == ("refused", "server_exists", False)
    assert first.error is not None
    assert first.error.retryable
    assert first.server.status == "DELETED"
    assert said(second) == ("detached", None, True)


def test_a_server_that_is_shown_as_deleted_for_hours_is_not_waited_for(cloud: Cloud, deploy: Deploy) -> None:
    cloud.deleted_shown = 86400.0
    cloud.delete_server(seed.LIVE_SERVER, at=timedelta(hours=2))

    result = one(deploy(cloud), LIVE)

    assert said(result) == ("refused", "server_exists", False)
    assert result.error is not None
    assert not result.error.retryable


def test_a_server_that_was_deleted_while_its_host_was_down_is_told_apart_by_its_record(
    cloud: Cloud, deploy: Deploy
) -> None:
    cloud.delete_server(seed.LIVE_SERVER, reaped=False)

    result = one(deploy(cloud, DETACH_SERVER_CHECK="recorded"), LIVE)

    assert said(result) == ("refused", "server_unknown", False)
    assert result.error is not None
    assert "deleted while its host did not answer; its guest may still run" in result.error.message
    assert said(one(deploy(cloud, DETACH_SERVER_CHECK="recorded"), ORPHAN)) == ("detached", None, True)


def test_no_post_leaves_after_a_look_up_of_its_host_took_the_time(
    cloud: Cloud, deploy: Deploy, monkeypatch: pytest.MonkeyPatch
) -> None:
    class SlowNames:
        """Stands for the module `time` in connection.py: the look-up after the server's takes 20 seconds."""

        late = 0.0

        def monotonic(self) -> float:
            return time.monotonic() + self.late

    names = SlowNames()
    original = socket.getaddrinfo
    server_seen = threading.Event()

    def look_up(host: str, *more: Any) -> Any:
        if server_seen.is_set() and len(more) < 5:
            names.late = 20.0
        return original(host, *more)

    def see(call: Call) -> None:
        if call.service == "compute":
            server_seen.set()

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    monkeypatch.setattr("handler.cloud.connection.time", names)
    cloud.hook(see)
    cloud.misbehave("volume", "GET", headers={"Connection": "close"}, times=None)
    by_name = cloud.volume_endpoint.replace("127.0.0.1", "localhost")

    result = one(deploy(cloud, DETACH_VOLUME_ENDPOINT=by_name), ORPHAN)

    assert names.late == 20.0, "the look-up has to be seen"
    assert said(result) == ("failed", "deadline_exceeded", False)
    assert cloud.posts() == []
