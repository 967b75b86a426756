"""One invocation: whatever happens comes out as a result; what is warm is built once and shared."""

from __future__ import annotations

import json
import threading
import uuid
from typing import Any

import pytest

from handler import runtime
from handler.errors import (
    ErrorCode,
    Forbidden,
    Misconfigured,
    Refused,
    SecretUnavailable,
    Throttled,
    Unauthenticated,
)
from handler.invocation import Invocation, Trigger
from handler.model.request import Batch, GoneServer, Ignored, Sweep, SweepBounds, Target, Work
from handler.model.result import Handled, ManyResult, Outcome, TargetResult, many, to_json, untargeted
from handler.model.values import epoch
from handler.runtime import Runtime
from handler.tracing import Span
from tests.embedded_cloud import Cloud, seed
from tests.unit.conftest import Deploy

HTTP = Invocation(Trigger.HTTP, "r-1")
ORPHAN = Target(volume_id=seed.ORPHAN_VOLUME, attachment_id=seed.ORPHAN_ATTACHMENT)
SECOND = Target(volume_id=seed.SECOND_ORPHAN_VOLUME, attachment_id=seed.SECOND_ORPHAN_ATTACHMENT)
LIVE = Target(volume_id=seed.LIVE_VOLUME, attachment_id=seed.LIVE_ATTACHMENT)
SWEEP = Sweep(sweep=SweepBounds(min_age_seconds=0))


def _lines(capsys: pytest.CaptureFixture[str], event: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return [line for line in lines if line["event"] == event]


def test_a_result_says_what_was_seen_and_done(cloud: Cloud, deploy: Deploy) -> None:
    result = deploy(cloud).carry_out([ORPHAN], Invocation(Trigger.TIMER, "r-7"))

    said = json.loads(to_json(result))
    assert len(said.pop("upstream_request_ids")) == 4
    assert 0 <= said.pop("duration_ms") < 10_000
    assert epoch(said["disk"].pop("attached_at")) is not None
    assert said == {
        "ok": True,
        "outcome": "detached",
        "changed": True,
        "dry_run": False,
        "volume_id": seed.ORPHAN_VOLUME,
        "attachment_id": seed.ORPHAN_ATTACHMENT,
        "remaining_attachments": 0,
        "server": {"id": seed.GONE_SERVER, "exists": False, "status": None, "checked": True},
        "volume_status": {"before": "in-use", "after": "available"},
        "disk": {"name": f"volume-{seed.ORPHAN_VOLUME[:8]}", "size_gb": 100, "device": "/dev/vdb"},
        "project_id": seed.PROJECT,
        "via": "os-detach",
        "job": None,
        "error": None,
        "request_id": "r-7",
        "trigger": "timer",
        "calls": 4,
    }


def test_an_event_that_is_none_of_our_business_asks_nobody(cloud: Cloud, deploy: Deploy) -> None:
    result = deploy(cloud).carry_out([Ignored("another operation")], HTTP)

    assert isinstance(result, TargetResult)
    assert (result.outcome, result.ok, result.changed, result.calls) == (Outcome.IGNORED, True, False, 0)
    assert cloud.calls == []


def test_several_works_are_joined_in_order(cloud: Cloud, deploy: Deploy) -> None:
    works: list[Work] = [
        LIVE,
        Batch(targets=[SECOND, LIVE]),
        Ignored("another operation"),
        GoneServer(server_id=seed.TWO_DISK_GONE_SERVER),
        ORPHAN,
    ]

    result = deploy(cloud).carry_out(works, HTTP)

    assert isinstance(result, ManyResult)
    assert [part.outcome.value for part in result.results] == [
        "refused",
        "detached",
        "refused",
        "ignored",
        "detached",
        "detached",
        "detached",
    ]
    assert result.summary == {"refused": 2, "detached": 4, "ignored": 1}
    assert (result.ok, result.complete, result.error) == (False, True, None)


def test_what_one_of_several_works_failed_by_is_the_whole_s_error(cloud: Cloud, deploy: Deploy) -> None:
    cloud.misbehave("compute", "GET", path_contains="/servers", status=500, times=None)

    result = deploy(cloud).carry_out([SWEEP, Ignored("another operation")], HTTP)

    assert isinstance(result, ManyResult)
    assert (result.ok, result.complete) == (False, False)
    assert result.error is not None
    assert (result.error.code, result.error.retryable) == (ErrorCode.LISTING_FAILED, True)


def test_what_a_sweep_among_several_works_scanned_is_kept(cloud: Cloud, deploy: Deploy) -> None:
    result = deploy(cloud).carry_out([Ignored("another operation"), SWEEP], HTTP)

    assert isinstance(result, ManyResult)
    assert result.scanned is not None
    assert result.scanned.candidates > 0


def test_a_sweep_that_has_no_reason_to_trust_its_lists_is_refused(cloud: Cloud, deploy: Deploy) -> None:
    cloud.misbehave("compute", "GET", path_contains="/servers", status=200, body={"servers": []}, times=None)

    result = deploy(cloud, DETACH_SWEEP_DRY_RUN="false").carry_out([SWEEP], HTTP)

    assert result.error is not None
    assert (result.error.code, result.error.retryable) == (ErrorCode.SWEEP_REFUSED, False)
    assert cloud.posts() == []


@pytest.mark.parametrize("work", [SWEEP, GoneServer(server_id=seed.GONE_SERVER)], ids=["sweep", "server"])
def test_forms_that_go_by_servers_need_a_compute_service(
    work: Sweep | GoneServer, cloud: Cloud, deploy: Deploy
) -> None:
    result = deploy(cloud, DETACH_SERVER_CHECK="off").carry_out([work], HTTP)

    assert result.error is not None
    assert (result.error.code, result.error.retryable) == (ErrorCode.CONFIGURATION, False)
    assert not any(call.service == "volume" for call in cloud.calls)


def test_a_bug_is_answered_without_its_text_and_logged_with_its_frames(
    cloud: Cloud, deploy: Deploy, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def buggy(*_: object) -> None:
        raise ZeroDivisionError("planted")

    monkeypatch.setattr(runtime, "carry_out", buggy)
    warm = deploy(cloud)
    monkeypatch.setattr(runtime, "runtime", lambda *_, **__: warm)

    result = runtime.handle(HTTP, lambda _: [ORPHAN], environment=dict, caller=None).result

    assert isinstance(result, TargetResult)
    assert result.error is not None
    assert (result.outcome, result.error.code, result.error.retryable) == ("failed", "internal", False)
    out = capsys.readouterr().out
    assert "planted" not in out + to_json(result)
    bug = next(json.loads(line) for line in out.splitlines() if "internal_error" in line)
    assert (bug["error"], bug["request_id"]) == ("ZeroDivisionError", "r-1")
    assert bug["traceback"][-1].endswith(" buggy")


def test_a_failure_that_nobody_took_is_the_result(
    cloud: Cloud, deploy: Deploy, monkeypatch: pytest.MonkeyPatch
) -> None:
    def throttled(*_: object) -> None:
        raise Throttled("Ask again later.", retry_after=3.0)

    monkeypatch.setattr(runtime, "carry_out", throttled)

    result = deploy(cloud).carry_out([ORPHAN], HTTP)

    assert isinstance(result, TargetResult)
    assert result.error is not None
    assert (result.outcome, result.error.code, result.error.retry_after) == ("failed", "throttled", 3.0)


def test_a_secret_that_is_not_there_is_secret_unavailable(cloud: Cloud, deploy: Deploy) -> None:
    result = deploy(cloud, DETACH_TOKEN_SECRET="file:/no/such/file").carry_out([ORPHAN], HTTP)

    assert result.error is not None
    assert result.error.code is ErrorCode.SECRET_UNAVAILABLE
    assert cloud.calls == []


def test_a_token_of_another_project_is_a_wrong_configuration(cloud: Cloud, deploy: Deploy) -> None:
    runtime = deploy(cloud, DETACH_PROJECT_ID=seed.OTHER_PROJECT)

    result = runtime.carry_out([ORPHAN], HTTP)

    assert result.error is not None
    assert result.error.code is ErrorCode.CONFIGURATION
    assert cloud.posts() == []


def test_endpoints_of_two_regions_are_a_wrong_configuration(cloud: Cloud, deploy: Deploy) -> None:
    """A server of one region looks gone in another."""
    cloud.compute_region = "RegionTwo"

    result = deploy(cloud).carry_out([ORPHAN], HTTP)

    assert result.error is not None
    assert result.error.code is ErrorCode.CONFIGURATION
    assert not any(call.service in {"volume", "compute"} for call in cloud.calls)


def test_an_invocation_has_no_more_time_than_the_platform_leaves(cloud: Cloud, deploy: Deploy) -> None:
    result = deploy(cloud).carry_out([ORPHAN], Invocation(Trigger.APIG, "r-1", seconds_left=0.0))

    assert result.error is not None
    assert result.error.code is ErrorCode.DEADLINE_EXCEEDED
    assert cloud.calls == []


def test_every_invocation_and_target_is_logged_once_with_what_came_of_it(
    cloud: Cloud, deploy: Deploy, capsys: pytest.CaptureFixture[str]
) -> None:
    deploy(cloud).carry_out([Batch(targets=[ORPHAN, LIVE])], HTTP)

    out = capsys.readouterr().out
    lines = [json.loads(line) for line in out.splitlines()]
    targets = {line["volume_id"]: line for line in lines if line["event"] == "target"}
    (invocation,) = [line for line in lines if line["event"] == "invocation"]
    assert {line["request_id"] for line in lines} == {"r-1"}
    cleared, refused = targets[seed.ORPHAN_VOLUME], targets[seed.LIVE_VOLUME]
    assert (cleared["level"], cleared["outcome"], cleared["changed"]) == ("INFO", "detached", True)
    assert (cleared["status_before"], cleared["status_after"]) == ("in-use", "available")
    assert (refused["level"], refused["code"], refused["server_id"]) == (
        "WARNING",
        "server_exists",
        seed.LIVE_SERVER,
    )
    assert (invocation["ok"], invocation["summary"]) == (False, {"detached": 1, "refused": 1})


def test_single_calls_are_logged_at_debug_with_their_request_ids(
    cloud: Cloud, deploy: Deploy, capsys: pytest.CaptureFixture[str]
) -> None:
    result = deploy(cloud, DETACH_LOG_LEVEL="DEBUG").carry_out([ORPHAN], HTTP)

    assert isinstance(result, TargetResult)
    calls = [line for line in _lines(capsys, "call") if line["service"] != "identity"]
    assert [(line["method"], line["service"], line["status"]) for line in calls] == [
        ("GET", "volume", 200),
        ("GET", "compute", 404),
        ("POST", "volume", 202),
        ("GET", "volume", 200),
    ]
    assert [line["upstream_request_id"] for line in calls] == list(result.upstream_request_ids)


def test_callers_are_let_in_by_their_key(cloud: Cloud, deploy: Deploy) -> None:
    guarded = deploy(
        cloud,
        DETACH_INVOKE_AUTH="bearer",
        DETACH_INVOKE_SECRET="env:PLANTED_KEY",
        PLANTED_KEY="sesame-open-the-door",
    )

    guarded.admit("Bearer sesame-open-the-door", HTTP)
    with pytest.raises(Unauthenticated):
        guarded.admit(None, HTTP)
    with pytest.raises(Forbidden):
        guarded.admit("Bearer sesame-shut-the-door", HTTP)


def test_nobody_is_let_in_where_there_is_no_key_to_check_by(cloud: Cloud, deploy: Deploy) -> None:
    with pytest.raises(Misconfigured, match="DETACH_INVOKE_SECRET"):
        deploy(cloud).admit("Bearer anything", HTTP)
    lost = deploy(cloud, DETACH_INVOKE_AUTH="bearer", DETACH_INVOKE_SECRET="env:NOT_THERE")
    with pytest.raises(SecretUnavailable):
        lost.admit("Bearer anything", HTTP)


def test_the_runtime_is_built_once_and_kept_warm(cloud: Cloud) -> None:
    environment = {**cloud.environment(), "DETACH_TOKEN_SECRET": "env:T", "DETACH_INVOKE_AUTH": "platform"}
    built: list[Runtime] = []

    threads = [threading.Thread(target=lambda: built.append(runtime.runtime(environment))) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len({id(runtime) for runtime in built}) == 1
    assert runtime.runtime({}) is built[0], "a deployment's settings don't change while it lives"
    assert runtime.runtime(environment, network=False) is not built[0]
    runtime.reset()
    assert runtime.runtime(environment) is not built[0]


def test_a_wrong_deployment_is_not_kept(monkeypatch: pytest.MonkeyPatch, cloud: Cloud) -> None:
    with pytest.raises(Misconfigured):
        runtime.runtime({})
    for name, value in cloud.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("DETACH_TOKEN_SECRET", "env:T")
    monkeypatch.setenv("DETACH_INVOKE_AUTH", "platform")

    assert runtime.runtime().settings.volume_endpoint == cloud.volume_endpoint


@pytest.mark.parametrize(
    ("work", "settings", "dry"),
    [
        ([ORPHAN._replace(dry_run=True)], {}, True),
        ([ORPHAN], {}, False),
        ([GoneServer(server_id=seed.GONE_SERVER, dry_run=True)], {}, True),
        ([Batch(targets=[ORPHAN, SECOND], dry_run=True)], {}, True),
        ([Batch(targets=[ORPHAN._replace(dry_run=True), SECOND])], {}, False),
        ([SWEEP], {}, True),
        ([SWEEP], {"DETACH_SWEEP_DRY_RUN": "false"}, False),
        ([Sweep(sweep=SweepBounds(dry_run=True))], {"DETACH_SWEEP_DRY_RUN": "false"}, True),
        ([SWEEP, ORPHAN], {}, False),
    ],
)
def test_what_is_stopped_as_a_whole_says_whether_it_was_a_dry_run(
    cloud: Cloud,
    deploy: Deploy,
    monkeypatch: pytest.MonkeyPatch,
    work: list[Work],
    settings: dict[str, str],
    dry: bool,
) -> None:
    def stop(*_arguments: object, **_named: object) -> None:
        raise Misconfigured("Not so.")

    monkeypatch.setattr("handler.runtime.carry_out", stop)
    result = deploy(cloud, **settings).carry_out(work, HTTP)
    assert isinstance(result, TargetResult)
    assert (result.outcome, result.dry_run) == (Outcome.FAILED, dry)


def test_two_invocations_whose_targets_name_their_servers_keep_their_connections(
    cloud: Cloud, deploy: Deploy, caplog: pytest.LogCaptureFixture
) -> None:
    """A connection more than are kept is closed after one answer, and the next one costs a handshake."""
    concurrency = 17
    warm = deploy(cloud, DETACH_CONCURRENCY=str(concurrency))
    all_out = threading.Barrier(2 * 2 * concurrency)
    cloud.hook(lambda call: all_out.wait(20) if call.service in {"volume", "compute"} else None)

    def look() -> None:
        absent = [str(uuid.uuid4()) for _ in range(concurrency)]
        result = warm.carry_out([Target(id_, server_id=id_) for id_ in absent], HTTP)
        assert isinstance(result, ManyResult)
        assert result.summary == {"volume_absent": concurrency}

    other = threading.Thread(target=look)
    other.start()
    look()
    other.join()

    assert not all_out.broken
    assert [record.message for record in caplog.records if record.name.startswith("urllib3")] == []


@pytest.mark.parametrize(
    ("code", "outcomes", "failed"),
    [
        (None, [Outcome.DETACHED], False),
        (None, [Outcome.DETACHED, Outcome.FAILED], True),
        (ErrorCode.SWEEP_REFUSED, [Outcome.REFUSED], False),
        (ErrorCode.SWEEP_REFUSED, [Outcome.REFUSED, Outcome.FAILED], True),
        (ErrorCode.LISTING_FAILED, [Outcome.DETACHED], True),
    ],
)
def test_what_failed_beside_a_refused_sweep_is_measured_as_failed(
    code: ErrorCode | None, outcomes: list[Outcome], failed: bool
) -> None:
    measured: list[dict[str, object]] = []

    class Seen(Span):
        def end(self, **facts: object) -> None:
            measured.append(facts)

    parts = [untargeted(outcome, None, HTTP) for outcome in outcomes]
    failure = Refused(code, "m") if code else None
    runtime.Measuring(HTTP._replace(span=Seen())).end(Handled(many(parts, HTTP, failure=failure)))

    assert [facts["failed"] for facts in measured] == [failed]
