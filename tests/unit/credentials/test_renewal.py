"""One token for all threads, renewed by one of them, once, and never in a loop."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

from handler.credentials.single_flight import SingleFlight
from handler.credentials.token import SecretTokens
from handler.errors import (
    DeadlineExceeded,
    Failure,
    Misconfigured,
    SecretUnavailable,
    TokenRejected,
    UpstreamUnavailable,
)
from handler.invocation import Deadline
from tests.embedded_cloud import Cloud
from tests.unit.contexts import call_context
from tests.unit.credentials.deployment import Clock, Deployment, password
from tests.unit.credentials.threads import crowd, until

Deploy = Callable[[dict[str, str]], Deployment]


@pytest.fixture
def deployment(cloud: Cloud, deploy: Deploy) -> Deployment:
    """One who has tokens issued for the password of "robot", which is right."""
    cloud.add_user("robot", "pw")
    return deploy({**cloud.environment(), "DETACH_TOKEN_SECRET": "env:S", "S": password("pw")})


def refuse_all_tokens(cloud: Cloud) -> None:
    cloud.misbehave("volume", times=None, status=401)


# One renewal for all.


def test_fifty_threads_without_a_token_buy_one(cloud: Cloud, deployment: Deployment) -> None:
    assert crowd(50, lambda _: deployment.invoke()) == []
    assert cloud.tokens_issued == 1


def test_fifty_threads_with_an_expired_token_renew_it_once(cloud: Cloud, deployment: Deployment) -> None:
    deployment.invoke()
    cloud.expire_all_tokens()
    assert crowd(50, lambda _: deployment.invoke(calls=2)) == []
    assert cloud.tokens_issued == 2


def test_fifty_threads_with_a_bare_token_that_was_rotated_read_it_once(
    cloud: Cloud, deployment: Deployment, log: Callable[[], list[dict[str, Any]]]
) -> None:
    deployment.environment["S"] = cloud.token()
    deployment.invoke()
    cloud.expire_all_tokens()
    deployment.environment["S"] = cloud.token()
    assert crowd(50, lambda _: deployment.invoke()) == []
    assert len([line for line in log() if line["event"] == "secret_read"]) == 2


def test_a_token_that_another_thread_renewed_is_used_and_not_renewed_again(
    cloud: Cloud, deployment: Deployment
) -> None:
    auths = [deployment.auth() for _ in range(2)]
    refused = [auth(requests.Request("GET", cloud.url).prepare()) for auth in auths]
    assert [auth.renew(request) for auth, request in zip(auths, refused, strict=True)] == [True, True]
    assert cloud.tokens_issued == 2
    headers = {auth(requests.Request("GET", cloud.url).prepare()).headers["X-Auth-Token"] for auth in auths}
    assert len(headers) == 1
    assert headers != {refused[0].headers["X-Auth-Token"]}


def test_fifty_threads_that_can_not_buy_ask_twice_and_all_say_so(
    cloud: Cloud, deployment: Deployment
) -> None:
    cloud.misbehave("identity", times=None, status=503, delay=0.3)
    raised = crowd(50, lambda _: deployment.invoke())
    assert [type(error) for error in raised] == [UpstreamUnavailable] * 50
    assert len({id(error) for error in raised}) == 50
    # The first asks twice; whoever came too late to wait for it, does too
    assert len(cloud.calls) <= 6


def test_fifty_threads_that_can_not_renew_ask_twice_and_all_say_so(
    cloud: Cloud, deployment: Deployment
) -> None:
    deployment.invoke()
    cloud.expire_all_tokens()
    cloud.clear_calls()
    cloud.misbehave("identity", times=None, status=503, delay=0.3)
    raised = crowd(50, lambda _: deployment.invoke())
    assert [type(error) for error in raised] == [UpstreamUnavailable] * 50
    assert sum(call.service == "identity" for call in cloud.calls) <= 6


class Slow(dict[str, str]):
    """An environment that takes a while to read, so that a crowd gathers."""

    pause = 0.0

    def get(self, name: str, default: Any = None) -> Any:
        time.sleep(self.pause)
        return super().get(name, default)


def test_a_crowd_with_a_living_token_asks_a_service_that_is_down_together(
    cloud: Cloud, deploy: Deploy, clock: Clock
) -> None:
    cloud.add_user("robot", "pw")
    secret = {"DETACH_TOKEN_SECRET": "env:S", "S": password("pw")}
    environment = Slow({**cloud.environment(), **secret})
    deployment = deploy(environment)
    deployment.invoke()
    environment["S"] = password("new")
    environment.pause = 0.1
    clock.passes(deployment.settings.secret_ttl)
    cloud.clear_calls()
    cloud.misbehave("identity", times=None, status=503)
    assert crowd(5, lambda _: deployment.invoke()) == []
    assert sum(call.service == "identity" for call in cloud.calls) == 2  # a login is repeated once


def test_fifty_threads_whose_bare_token_is_refused_look_together_for_another(
    cloud: Cloud, deploy: Deploy, log: Callable[[], list[dict[str, Any]]]
) -> None:
    environment = Slow({**cloud.environment(), "DETACH_TOKEN_SECRET": "env:S", "S": cloud.token()})
    deployment = deploy(environment)
    deployment.invoke()
    cloud.expire_all_tokens()
    environment.pause = 0.3
    raised = crowd(50, lambda _: deployment.invoke())
    assert [type(error) for error in raised] == [TokenRejected] * 50
    # The first looks while the others gather; whoever came too late to wait for it, looks again
    assert len([line for line in log() if line["event"] == "secret_read"]) <= 4


# Waiting is bounded.


def test_whoever_waits_for_a_renewal_waits_no_longer_than_its_own_deadline(
    cloud: Cloud, deployment: Deployment
) -> None:
    cloud.misbehave("identity", delay=2)
    patient = threading.Thread(target=deployment.invoke)
    patient.start()
    until(lambda: bool(cloud.calls))
    started = time.monotonic()
    with pytest.raises(DeadlineExceeded, match="while another thread was getting the token"):
        deployment.invoke(seconds=0.2)
    assert time.monotonic() - started < 1.5
    patient.join(timeout=30)
    deployment.invoke()
    assert cloud.tokens_issued == 1


def test_whoever_has_a_good_token_waits_for_nobody(deployment: Deployment) -> None:
    deployment.invoke()
    tokens = deployment.credentials._tokens
    assert isinstance(tokens, SecretTokens)
    with tokens._flight.take(call_context().deadline):
        deployment.invoke(seconds=0.2)


def test_whose_own_time_was_up_says_nothing_about_the_others(cloud: Cloud, deployment: Deployment) -> None:
    cloud.misbehave("identity", delay=1, times=2)
    raised: list[BaseException] = []

    def hurry() -> None:
        try:
            deployment.invoke(seconds=0.4)
        except BaseException as error:  # noqa: BLE001 (handed to the test)
            raised.append(error)

    hurried = threading.Thread(target=hurry)
    hurried.start()
    until(lambda: bool(cloud.calls))
    deployment.invoke(seconds=20)
    hurried.join(timeout=30)
    assert len(raised) == 1


def test_a_living_token_is_not_held_up_by_a_slow_service(
    cloud: Cloud, deployment: Deployment, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("handler.credentials.token._HURRY", 0.2)
    deployment.invoke()
    cloud.misbehave("identity", times=None, delay=4)
    clock.passes(86400 - 300)
    started = time.monotonic()
    deployment.invoke()
    assert time.monotonic() - started < 3


def test_what_another_s_renewal_died_of_takes_no_living_token_away(
    deployment: Deployment, clock: Clock
) -> None:
    tokens = deployment.credentials._tokens
    assert isinstance(tokens, SecretTokens)
    waited = tokens._flight = _Waited()
    with pytest.raises(UpstreamUnavailable, match="said of another's"):
        deployment.invoke()
    waited.failure = None
    deployment.invoke()
    waited.failure = UpstreamUnavailable("said of another's")
    clock.passes(86400 - 300)
    deployment.invoke()


class _Waited(SingleFlight):
    """As it is for one who waited while another failed."""

    failure: Failure | None = UpstreamUnavailable("said of another's")

    @contextmanager
    def take(self, deadline: Deadline) -> Iterator[Failure | None]:
        with super().take(deadline):
            yield self.failure


def test_the_first_token_may_take_its_time(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("handler.credentials.token._HURRY", 0.0)
    deployment.invoke()


def test_a_failure_is_shared_with_those_who_waited_and_no_further() -> None:
    turn = SingleFlight()
    began, end = threading.Event(), threading.Event()

    def fail(number: int) -> None:
        with turn.take(call_context().deadline) as failure:
            if failure is not None:
                raise failure
            began.set()
            end.wait(timeout=20)
            raise UpstreamUnavailable(f"said by {number}")

    raised: list[BaseException] = []

    def waiter(number: int) -> None:
        try:
            fail(number)
        except UpstreamUnavailable as error:
            raised.append(error)

    threads = [threading.Thread(target=waiter, args=(number,)) for number in range(3)]
    threads[0].start()
    began.wait(timeout=20)
    for thread in threads[1:]:
        thread.start()
    time.sleep(0.2)
    end.set()
    for thread in threads:
        thread.join(timeout=20)
    assert [str(error) for error in raised] == ["said by 0"] * 3
    assert turn._failures == 1
    with turn.take(call_context().deadline) as failure:
        assert failure is None


# Never in a loop.


def test_a_refused_token_is_renewed_once_and_the_next_refusal_is_an_answer(
    cloud: Cloud, deployment: Deployment
) -> None:
    refuse_all_tokens(cloud)
    with pytest.raises(TokenRejected, match="also after renewal"):
        deployment.invoke()
    assert cloud.tokens_issued == 2
    assert sum(call.service == "volume" for call in cloud.calls) == 2


@pytest.mark.parametrize("code", ["EVS.0002", "Common.0013"])
def test_the_vendors_400s_are_refusals_too(cloud: Cloud, deployment: Deployment, code: str) -> None:
    cloud.misbehave("volume", status=400, body={"error": {"code": code, "message": "token"}})
    deployment.invoke()
    assert cloud.tokens_issued == 2


def test_an_invocation_renews_the_same_secrets_token_once(cloud: Cloud, deployment: Deployment) -> None:
    refuse_all_tokens(cloud)
    auth = deployment.auth()
    for _ in range(5):
        with pytest.raises(TokenRejected):
            deployment.read(auth)
    assert cloud.tokens_issued == 2


def test_an_invocation_renews_a_token_that_another_one_renewed(cloud: Cloud, deployment: Deployment) -> None:
    auth, other = deployment.auth(), deployment.auth()
    deployment.read(auth)
    for renewing in (auth, other, auth):
        cloud.expire_all_tokens()
        deployment.read(renewing)
    assert cloud.tokens_issued == 4


def test_an_invocation_goes_along_with_every_rotation(cloud: Cloud, deployment: Deployment) -> None:
    auth = deployment.auth()
    for number in range(4):
        deployment.read(auth)
        cloud.add_user("robot", f"pw{number}")
        deployment.environment["S"] = password(f"pw{number}")
        cloud.expire_all_tokens()
    deployment.read(auth)
    assert cloud.tokens_issued == 5


def test_refused_tokens_are_not_issued_for_ever_by_ever_new_invocations(
    cloud: Cloud, deployment: Deployment, clock: Clock
) -> None:
    refuse_all_tokens(cloud)
    for _ in range(10):
        auth = deployment.auth()
        for _ in range(3):
            with pytest.raises(TokenRejected):
                deployment.read(auth)
    assert cloud.tokens_issued == 6
    clock.passes(60)
    for _ in range(5):
        with pytest.raises(TokenRejected):
            deployment.invoke()
    assert cloud.tokens_issued == 7
    cloud.misbehaviour.clear()
    deployment.invoke()
    assert cloud.tokens_issued == 7


def test_a_clock_that_is_set_back_prolongs_no_rest_of_refused_tokens(
    cloud: Cloud, deployment: Deployment, clock: Clock
) -> None:
    refuse_all_tokens(cloud)
    for _ in range(7):
        with pytest.raises(TokenRejected):
            deployment.invoke()
    assert cloud.tokens_issued == 6
    clock.passes(-3600)
    with pytest.raises(TokenRejected):
        deployment.invoke()
    assert cloud.tokens_issued == 7


def test_another_secret_may_buy_although_the_tokens_of_the_last_were_refused(
    cloud: Cloud, deployment: Deployment
) -> None:
    refuse_all_tokens(cloud)
    for _ in range(7):
        with pytest.raises(TokenRejected):
            deployment.invoke()
    assert cloud.tokens_issued == 6
    cloud.add_user("robot", "new")
    deployment.environment["S"] = password("new")
    for _ in range(7):
        with pytest.raises(TokenRejected):
            deployment.invoke()
    assert cloud.tokens_issued == 12


def test_tokens_that_work_may_be_refused_as_often_as_it_comes(cloud: Cloud, deployment: Deployment) -> None:
    for _ in range(10):
        cloud.expire_all_tokens()
        deployment.invoke(calls=3)
    assert cloud.tokens_issued == 10


# Passwords that are refused.


def test_a_refused_password_is_not_sent_again_for_a_while(cloud: Cloud, deployment: Deployment) -> None:
    cloud.add_user("robot", "other")
    for _ in range(10):
        with pytest.raises(TokenRejected):
            deployment.invoke()
    assert len(cloud.calls) == 1
    with pytest.raises(TokenRejected, match=r"not tried again for 60 seconds.*a new one is tried at once"):
        deployment.invoke()


def test_a_password_that_stays_refused_does_not_lock_its_account(
    cloud: Cloud, deployment: Deployment, clock: Clock
) -> None:
    cloud.add_user("robot", "other")
    for _ in range(900):
        with pytest.raises(TokenRejected):
            deployment.invoke()
        clock.passes(1)
    assert [call.status for call in cloud.calls] == [401] * 4
    cloud.add_user("robot", "pw")
    clock.passes(480)
    deployment.invoke()


def test_a_clock_that_is_set_back_prolongs_no_pause(
    cloud: Cloud, deployment: Deployment, clock: Clock
) -> None:
    cloud.add_user("robot", "other")
    with pytest.raises(TokenRejected):
        deployment.invoke()
    cloud.add_user("robot", "pw")
    clock.passes(-3600)
    deployment.invoke()


def test_a_password_that_was_right_in_between_begins_anew(
    cloud: Cloud, deployment: Deployment, clock: Clock
) -> None:
    for right in (False, False, True, False):
        cloud.expire_all_tokens()
        cloud.add_user("robot", "pw" if right else "other")
        if right:
            deployment.invoke()
        else:
            with pytest.raises(TokenRejected, match="whether the account is locked"):
                deployment.invoke()
        clock.passes(120)
    with pytest.raises(TokenRejected, match="whether the account is locked"):
        deployment.invoke()


def test_a_mended_password_is_tried_at_once(cloud: Cloud, deployment: Deployment) -> None:
    cloud.add_user("robot", "right")
    with pytest.raises(TokenRejected):
        deployment.invoke()
    deployment.environment["S"] = password("right")
    deployment.invoke()
    assert [call.status for call in cloud.calls if call.service == "identity"] == [401, 201]


def test_a_password_that_was_rotated_in_the_meantime_is_read_before_giving_up(
    cloud: Cloud, deployment: Deployment, clock: Clock
) -> None:
    deployment.environment["DETACH_SECRET_TTL"] = "86400"
    deployment = Deployment(deployment.environment, clock)
    deployment.invoke()
    cloud.add_user("robot", "new")
    deployment.environment["S"] = password("new")
    clock.passes(86399)
    deployment.invoke()
    assert [call.status for call in cloud.calls if call.service == "identity"] == [201, 401, 201]
    deployment.transport.close()


def test_a_secret_that_runs_ahead_of_the_identity_service_costs_nothing(
    cloud: Cloud, deployment: Deployment, clock: Clock
) -> None:
    deployment.invoke()
    deployment.environment["S"] = password("not yet")
    clock.passes(300)
    deployment.invoke()
    cloud.add_user("robot", "not yet")
    clock.passes(60)
    deployment.invoke()
    assert [call.status for call in cloud.calls if call.service == "identity"] == [201, 401, 201]


def test_a_store_that_fails_during_a_renewal_is_the_failure(cloud: Cloud, deployment: Deployment) -> None:
    deployment.invoke()
    cloud.expire_all_tokens()
    secret = deployment.environment.pop("S")
    with pytest.raises(SecretUnavailable, match="not set"):
        deployment.invoke()
    deployment.environment["S"] = secret
    deployment.invoke()


def test_a_rotation_to_a_token_of_another_project_is_refused(cloud: Cloud, deployment: Deployment) -> None:
    deployment.environment["S"] = cloud.token()
    deployment.invoke()
    cloud.expire_all_tokens()
    deployment.environment["S"] = cloud.token(cloud.other_project_id)
    with pytest.raises(Misconfigured, match=f"is of project {cloud.other_project_id}"):
        deployment.invoke()


# Rotation under load.


class Load:
    """At least 200 invocations of four calls each in 16 threads, while the secret is rotated five times.

    No call meets two rotations, since a call is sent again only once.
    """

    def __init__(self, deployment: Deployment) -> None:
        self.deployment = deployment
        self.done: set[int] = set()
        self._begun: set[int] = set()
        self._rotated = False
        self._lock = threading.Lock()

    def run(self, rotate: Callable[[int], Callable[[], bool]]) -> list[BaseException]:
        """Give what was raised. `rotate` makes the n-th change, and says how to see that it was noticed."""
        return crowd(17, lambda number: self._rotations(rotate) if number == 16 else self._invocations())

    def _invocations(self) -> None:
        while (number := self._begin()) is not None:
            self.deployment.invoke(calls=4)
            with self._lock:
                self.done.add(number)

    def _begin(self) -> int | None:
        with self._lock:
            number = len(self._begun)
            if number >= 200 and self._rotated:
                return None
            self._begun.add(number)
            return number

    def _rotations(self, rotate: Callable[[int], Callable[[], bool]]) -> None:
        try:
            until(lambda: len(self.done) > 10)
            for number in range(1, 6):
                until(rotate(number))
                with self._lock:
                    begun = set(self._begun)
                until(lambda: begun <= self.done)  # noqa: B023 (called in this very turn)
        finally:
            self._rotated = True


@pytest.mark.parametrize("revoked", [False, True])
def test_no_invocation_fails_while_a_password_is_rotated_under_load(
    cloud: Cloud, deploy: Deploy, tmp_path: Path, *, revoked: bool
) -> None:
    """It is noticed by the secret's time, or by the refusal of the old token."""
    cloud.add_user("robot", "pw0")
    file = tmp_path / "secret"
    file.write_text(password("pw0"), encoding="utf-8")
    environment = {**cloud.environment(), "DETACH_TOKEN_SECRET": f"file:{file}"}
    deployment = deploy({**environment, "DETACH_SECRET_TTL": "86400" if revoked else "0"})

    def rotate(number: int) -> Callable[[], bool]:
        cloud.add_user("robot", f"pw{number}")
        fresh = tmp_path / "fresh"
        fresh.write_text(password(f"pw{number}"), encoding="utf-8")
        fresh.rename(file)
        if revoked:
            cloud.expire_all_tokens()
        return lambda: cloud.tokens_issued > number

    load = Load(deployment)
    assert load.run(rotate) == []
    assert len(load.done) >= 200
    assert cloud.tokens_issued == 1 + 5
    assert [call.status for call in cloud.calls if call.service == "identity"] == [201] * 6


def test_no_invocation_fails_while_a_bare_token_is_rotated_under_load(cloud: Cloud, deploy: Deploy) -> None:
    environment = {**cloud.environment(), "DETACH_TOKEN_SECRET": "env:S", "S": cloud.token()}
    deployment = deploy(environment)

    def rotate(_: int) -> Callable[[], bool]:
        old, environment["S"] = environment["S"], cloud.token()
        cloud.revoke(old)
        return lambda: any(
            call.headers.get("x-auth-token") == environment["S"] and call.service == "volume"
            for call in cloud.calls[-50:]
        )

    load = Load(deployment)
    assert load.run(rotate) == []
    assert len(load.done) >= 200
    assert [call.status for call in cloud.calls if call.service == "identity"] == [200] * 6


def test_the_log_of_a_renewal_is_the_invocations_log(
    cloud: Cloud, deployment: Deployment, log: Callable[[], list[dict[str, Any]]]
) -> None:
    auth = deployment.auth()
    own = call_context()
    refused = auth(requests.Request("GET", cloud.url).prepare())
    assert auth.renew(refused)
    assert own.calls == 0
    refusals = [line for line in log() if line["event"] == "token_refused"]
    assert [(line["level"], line["request_id"]) for line in refusals] == [
        ("WARNING", own.invocation.request_id)
    ]
