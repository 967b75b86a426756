"""Every change is on record before it is made and after; the cloud's words make no line long."""

from __future__ import annotations

import io
import json
import logging
from typing import Any

import pytest

from handler import telemetry
from handler.model.request import Target
from handler.model.result import Outcome, to_json
from tests.embedded_cloud import Cloud, seed
from tests.unit.actions.at_the_cloud import LIVE, ORPHAN, one, said
from tests.unit.conftest import Deploy

pytestmark = pytest.mark.usefixtures("no_net_of_cinder_s")


class _Log(io.StringIO):
    def lines(self, *events: str) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in self.getvalue().splitlines()]
        return [line for line in lines if line["event"] in events]


@pytest.mark.parametrize("level", ["DEBUG", "INFO", "ERROR", "CRITICAL"])
def test_every_change_is_on_record_before_it_is_made_and_after(
    level: str, cloud: Cloud, deploy: Deploy
) -> None:
    runtime, log = deploy(cloud, DETACH_LOG_LEVEL=level), _Log()
    telemetry.configure(level, log)
    before: list[dict[str, Any]] = []
    cloud.hook(
        lambda call: before.extend(log.lines("changing", "changed")) if call.method == "POST" else None
    )

    assert one(runtime, ORPHAN).changed is True

    ids = {
        "call": "os-detach",
        "volume_id": seed.ORPHAN_VOLUME,
        "attachment_id": seed.ORPHAN_ATTACHMENT,
        "server_id": seed.GONE_SERVER,
        "proof": "gone",
        "request_id": "r-1",
    }
    assert [line["event"] for line in before] == ["changing"]
    assert ids.items() <= before[0].items()
    (changed,) = log.lines("changed")
    assert {**ids, "status": 202, "sent": True}.items() <= changed.items()
    assert changed["upstream_request_id"].startswith("req-")
    assert 0 <= changed["duration_ms"] <= 25_000, "within the invocation's own time"


@pytest.mark.parametrize(
    ("check", "target", "proof"),
    [
        ("gone", ORPHAN, "gone"),
        ("recorded", ORPHAN, "recorded"),
        ("not-held", Target(volume_id=seed.FORGOTTEN_VOLUME), "not-held"),
        ("off", ORPHAN, "off"),
    ],
)
def test_the_record_of_a_change_says_which_proofis_held(
    check: str, target: Target, proof: str, cloud: Cloud, deploy: Deploy
) -> None:
    runtime, log = deploy(cloud, DETACH_SERVER_CHECK=check), _Log()
    telemetry.configure("CRITICAL", log)

    assert one(runtime, target).changed is True
    assert [line["proof"] for line in log.lines("changing", "changed")] == [proof, proof]


@pytest.mark.usefixtures("short_looks")
@pytest.mark.parametrize(
    ("trouble", "status", "posts"),
    [({"drop": "before"}, None, 2), ({"status": 500}, 500, 2), ({"status": 409}, 409, 1)],
)
def test_a_change_that_was_not_made_is_on_record_too(
    trouble: dict[str, Any], status: int | None, posts: int, cloud: Cloud, deploy: Deploy
) -> None:
    cloud.misbehave("volume", "POST", times=None, **trouble)
    runtime, log = deploy(cloud), _Log()
    telemetry.configure("CRITICAL", log)

    one(runtime, ORPHAN)

    assert [line["event"] for line in log.lines("changing", "changed")] == ["changing", "changed"] * posts
    assert {line["status"] for line in log.lines("changed")} == {status}


def test_nothing_is_on_record_as_changing_where_nothing_is_sent(cloud: Cloud, deploy: Deploy) -> None:
    runtime, log = deploy(cloud), _Log()
    telemetry.configure("CRITICAL", log)

    one(runtime, LIVE)
    one(runtime, ORPHAN._replace(dry_run=True))

    assert log.getvalue() == ""


class _Broken(io.StringIO):
    def write(self, _text: str) -> int:
        raise self.error

    error: Exception = OSError(28, "No space left on device")


@pytest.mark.parametrize(
    "error", [OSError(28, "No space left"), ValueError("closed"), BrokenPipeError()], ids=str
)
@pytest.mark.parametrize("stderr_works", [True, False])
def test_a_log_that_can_t_be_written_stops_nothing(
    stderr_works: bool, error: Exception, cloud: Cloud, deploy: Deploy, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime, log = deploy(cloud, DETACH_LOG_LEVEL="DEBUG"), _Broken()
    log.error = error
    telemetry.configure("DEBUG", log)
    if not stderr_works:
        closed = _Broken()
        closed.error = ValueError("I/O operation on closed file")  # which logging itself lets through
        monkeypatch.setattr("sys.stderr", closed)

    assert said(one(runtime, ORPHAN)) == ("detached", None, True)
    logging.getLogger("evs_detach").handlers.clear()


@pytest.mark.parametrize("status", ["<script>", "a b", "x" * 5000, "in-use\n", "=1+1"])
def test_a_status_that_is_no_plain_word_comes_out_nowhere(
    status: str, cloud: Cloud, deploy: Deploy, capsys: pytest.CaptureFixture[str]
) -> None:
    cloud.volume(seed.ORPHAN_VOLUME).status = status
    cloud.server(seed.LIVE_SERVER).status = status
    runtime = deploy(cloud, DETACH_LOG_LEVEL="DEBUG")

    volume, server = one(runtime, ORPHAN), one(runtime, LIVE)

    assert (volume.outcome, volume.volume_status.before) == (Outcome.REFUSED, "unreadable")
    assert (server.outcome, server.server.status) == (Outcome.REFUSED, "unreadable")
    shown = to_json(volume) + to_json(server) + capsys.readouterr().out
    assert status not in shown
    assert json.dumps(status)[1:-1] not in shown


@pytest.mark.usefixtures("short_looks")
def test_a_chatty_cloud_makes_no_result_longer_than_it_should_be(cloud: Cloud, deploy: Deploy) -> None:
    cloud.settle_delay = 3600
    long = "x" * 100_000
    cloud.misbehave(
        "volume",
        "POST",
        status=500,
        times=None,
        body={long: {"code": long, "message": long}},
        headers={"X-Openstack-Request-Id": "x" * 2000},
    )

    result = one(deploy(cloud), ORPHAN)

    assert result.outcome is Outcome.FAILED
    assert len(to_json(result)) < 4000
