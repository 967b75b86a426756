"""What changes a record is sent once, and only when it is known to be right. Against the embedded cloud."""

from __future__ import annotations

import pytest

from handler.actions.os_detach import CONFIRM_WITHIN, unseen
from handler.errors import ErrorCode, Failure, Throttled, UpstreamRejected, UpstreamUnavailable
from handler.invocation import Invocation, Trigger
from handler.model.request import Target
from handler.model.result import Outcome, TargetResult
from handler.runtime import Runtime
from tests.embedded_cloud import Cloud, seed
from tests.unit.conftest import Deploy

ORPHAN = Target(volume_id=seed.ORPHAN_VOLUME, attachment_id=seed.ORPHAN_ATTACHMENT)


def _clear(runtime: Runtime, target: Target = ORPHAN, seconds_left: float | None = None) -> TargetResult:
    result = runtime.carry_out([target], Invocation(Trigger.HTTP, "r-1", seconds_left))
    assert isinstance(result, TargetResult)
    return result


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A record that stays is looked at once, which may take as long as ever."""
    monkeypatch.setattr("handler.actions.os_detach.FIRST_PAUSE", CONFIRM_WITHIN)


def test_who_asks_twice_is_told_that_it_is_done_and_nothing_is_sent(cloud: Cloud, deploy: Deploy) -> None:
    runtime = deploy(cloud)

    first, second = _clear(runtime), _clear(runtime)

    assert (first.outcome, first.changed, first.calls) == (Outcome.DETACHED, True, 4)
    assert (second.outcome, second.changed, second.calls) == (Outcome.ALREADY_DETACHED, False, 1)
    assert len(cloud.posts()) == 1


@pytest.mark.parametrize("check", ["gone", "recorded", "not-held"])
@pytest.mark.parametrize("state", ["LIVE", "STOPPED", "SHELVED", "SOFT_DELETED", "DELETING"])
def test_no_post_is_sent_while_the_server_exists(
    state: str, check: str, cloud: Cloud, deploy: Deploy
) -> None:
    target = Target(
        volume_id=getattr(seed, f"{state}_VOLUME"), attachment_id=getattr(seed, f"{state}_ATTACHMENT")
    )
    cloud.asks_compute = False  # a cloud without Cinder's own net would clear it

    result = _clear(deploy(cloud, DETACH_SERVER_CHECK=check), target)

    assert (result.outcome, result.changed, result.server.exists) == (Outcome.REFUSED, False, True)
    assert result.error is not None
    assert result.error.code is ErrorCode.SERVER_EXISTS
    assert result.error.retryable is (state == "DELETING")
    assert cloud.posts() == []
    volume = cloud.volume(target.volume_id)
    assert volume is not None
    assert (volume.status, len(volume.attachments)) == ("in-use", 1)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (404, {"error_code": "APIGW.0101", "error_msg": "The API does not exist"}),
        (404, {"message": "The resource could not be found.<br /><br />\n\n\n", "code": "404 Not Found"}),
        (404, "<html><title>404 Not Found</title></html>"),
        (404, ""),
        (200, {"server": {"id": seed.LIVE_SERVER, "status": "ACTIVE"}}),
        (200, "<html>Welcome</html>"),
    ],
    ids=["gateway", "router", "web page", "empty", "another server", "captive portal"],
)
def test_no_post_is_sent_after_a_look_up_that_proves_nothing(
    status: int, body: object, cloud: Cloud, deploy: Deploy
) -> None:
    cloud.misbehave("compute", "GET", status=status, body=body, times=None)

    result = _clear(deploy(cloud))

    assert (result.outcome, result.changed) == (Outcome.REFUSED, False)
    assert result.error is not None
    assert result.error.code is ErrorCode.SERVER_UNKNOWN
    assert cloud.posts() == []


def test_no_post_is_sent_when_the_compute_service_is_down(cloud: Cloud, deploy: Deploy) -> None:
    cloud.compute_down = True

    result = _clear(deploy(cloud))

    assert (result.outcome, result.changed) == (Outcome.FAILED, False)
    assert result.error is not None
    assert (result.error.code, result.error.retryable) == (ErrorCode.UPSTREAM_UNAVAILABLE, True)
    assert cloud.posts() == []


def test_a_post_that_is_answered_500_after_it_took_effect_is_sent_once(cloud: Cloud, deploy: Deploy) -> None:
    rule = cloud.misbehave("volume", "POST", status=500, act=True)

    result = _clear(deploy(cloud))

    assert (result.outcome, result.changed) == (Outcome.DETACHED, True)
    assert (len(cloud.posts()), rule.hits) == (1, 1)


def test_a_post_whose_connection_drops_after_its_effect_is_sent_once(cloud: Cloud, deploy: Deploy) -> None:
    rule = cloud.misbehave("volume", "POST", drop="after")

    result = _clear(deploy(cloud))

    assert (result.outcome, result.changed) == (Outcome.DETACHED, True)
    assert (len(cloud.posts()), rule.hits) == (1, 1)


@pytest.mark.usefixtures("impatient")
def test_a_post_that_took_effect_after_its_time_is_sent_once(cloud: Cloud, deploy: Deploy) -> None:
    cloud.misbehave("volume", "POST", delay=0.8)

    result = _clear(deploy(cloud, DETACH_READ_TIMEOUT="0.4"))

    assert (result.outcome, result.changed) == (Outcome.DETACHED, True)
    assert len(cloud.posts()) == 1


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("trouble", [{"drop": "before"}, {"status": 500}, {"status": 503}], ids=str)
def test_a_post_that_was_lost_before_it_took_effect_is_sent_once_more(
    trouble: dict[str, object], cloud: Cloud, deploy: Deploy
) -> None:
    cloud.misbehave("volume", "POST", **trouble)  # type: ignore[arg-type]  # one of its parameters each

    result = _clear(deploy(cloud))

    assert (result.outcome, result.changed) == (Outcome.DETACHED, True)
    assert len(cloud.posts()) == 2


@pytest.mark.usefixtures("impatient")
def test_no_third_post_is_ever_sent(cloud: Cloud, deploy: Deploy) -> None:
    cloud.misbehave("volume", "POST", status=500, times=None)

    result = _clear(deploy(cloud))

    assert (result.outcome, result.changed) == (Outcome.FAILED, None)
    assert len(cloud.posts()) == 2


@pytest.mark.usefixtures("impatient")
def test_an_accepted_call_without_effect_is_unconfirmed_and_sent_once(cloud: Cloud, deploy: Deploy) -> None:
    cloud.settle_delay = 3600

    result = _clear(deploy(cloud))

    assert (result.outcome, result.changed) == (Outcome.UNCONFIRMED, None)
    assert len(cloud.posts()) == 1


def test_an_effect_that_takes_a_moment_is_waited_for(cloud: Cloud, deploy: Deploy) -> None:
    cloud.settle_delay = 0.5

    result = _clear(deploy(cloud))

    assert (result.outcome, result.volume_status.after) == (Outcome.DETACHED, "available")
    assert len(cloud.posts()) == 1
    assert CONFIRM_WITHIN == 8.0


@pytest.mark.parametrize("left", [9.5, 1.0])
def test_no_post_is_sent_when_less_time_is_left_than_a_read_may_take(
    left: float, cloud: Cloud, deploy: Deploy
) -> None:
    result = _clear(deploy(cloud), seconds_left=left)

    assert (result.outcome, result.changed, result.calls) == (Outcome.FAILED, False, 2)
    assert result.error is not None
    assert (result.error.code, result.error.retryable) == (ErrorCode.DEADLINE_EXCEEDED, True)
    assert cloud.posts() == []


def test_a_dry_run_sends_no_post(cloud: Cloud, deploy: Deploy) -> None:
    result = _clear(deploy(cloud), ORPHAN._replace(dry_run=True))

    assert (result.outcome, result.changed, result.dry_run) == (Outcome.WOULD_DETACH, False, True)
    assert cloud.posts() == []


def test_an_expired_token_in_the_middle_is_renewed_and_the_post_sent_once(
    cloud: Cloud, deploy: Deploy
) -> None:
    secret = f'{{"username": "{seed.DETACHER}", "password": "{seed.DETACHER_PASSWORD}", "domain": "Default"}}'
    runtime = deploy(cloud, DETACH_TOKEN_SECRET="env:PLANTED_USER", PLANTED_USER=secret)
    calls = iter(range(100))
    cloud.hook(lambda call: call.service == "volume" and next(calls) == 1 and cloud.expire_all_tokens())

    result = _clear(runtime)

    assert (result.outcome, result.changed) == (Outcome.DETACHED, True)
    assert [call.status for call in cloud.posts()] == [401, 202]
    assert cloud.tokens_issued == 2


def test_a_server_that_is_gone_to_nobody_s_record_is_cleared_by_gone_and_not_by_recorded(
    cloud: Cloud, deploy: Deploy
) -> None:
    purged = Target(volume_id=seed.PURGED_VOLUME, attachment_id=seed.PURGED_ATTACHMENT)

    refused = _clear(deploy(cloud, DETACH_SERVER_CHECK="recorded"), purged)

    assert (refused.outcome, refused.error and refused.error.code) == ("refused", "server_unknown")
    assert cloud.posts() == []
    assert _clear(deploy(cloud, DETACH_SERVER_CHECK="recorded")).outcome is Outcome.DETACHED
    assert _clear(deploy(cloud), purged).outcome is Outcome.DETACHED


def test_a_record_that_the_compute_side_forgot_is_cleared_by_not_held_only(
    cloud: Cloud, deploy: Deploy
) -> None:
    forgotten = Target(volume_id=seed.FORGOTTEN_VOLUME, attachment_id=seed.FORGOTTEN_ATTACHMENT)

    refused = _clear(deploy(cloud), forgotten)
    cleared = _clear(deploy(cloud, DETACH_SERVER_CHECK="not-held"), forgotten)

    assert (refused.outcome, refused.error and refused.error.code) == ("refused", "server_exists")
    assert (cleared.outcome, cleared.server.exists, cleared.server.status) == ("detached", True, "SHUTOFF")


@pytest.mark.parametrize(
    ("fault", "blind", "code"),
    [
        (Throttled("Slow."), UpstreamUnavailable("No."), ErrorCode.THROTTLED),
        (UpstreamRejected("Never."), UpstreamRejected("No."), ErrorCode.UPSTREAM_REJECTED),
        (UpstreamRejected("Never."), UpstreamUnavailable("No."), ErrorCode.UPSTREAM_UNAVAILABLE),
        (None, UpstreamUnavailable("No."), ErrorCode.NOT_CONFIRMED),
    ],
)
def test_a_refusal_is_final_once_the_record_is_seen(
    fault: Failure | None, blind: Failure, code: ErrorCode
) -> None:
    said = unseen(fault, blind)

    assert said.code is code
    assert said.retryable is (fault is None or fault.retryable or blind.retryable)
