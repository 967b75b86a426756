"""What befalls the token on a target's way is told from what befalls the target."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
import responses
from requests.models import PreparedRequest
from responses.registries import OrderedRegistry

from handler.actions.batch import clear_one
from handler.errors import (
    DeadlineExceeded,
    ErrorCode,
    Failure,
    NoAnswer,
    SecretUnavailable,
    TokenRejected,
    UpstreamUnavailable,
)
from handler.model.request import Target
from handler.model.result import Outcome, TargetResult
from tests.unit.actions.answers import (
    ATTACHMENT,
    FREE,
    IN_USE,
    NOVA_GONE,
    THE_ACTION,
    THE_SERVER,
    THE_VOLUME,
    VOLUME,
    Clock,
    Said,
    Signer,
    clearing,
    dies,
    get,
    post,
    services_of,
    stub,
)
from tests.unit.actions.rows_detach import LOOKS

_START = [get(THE_VOLUME, 200, IN_USE), get(THE_SERVER, 404, NOVA_GONE)]
_FAILURES: list[Failure] = [
    NoAnswer("The identity service did not answer in time.", broken=False),
    UpstreamUnavailable("The identity service sent an answer that can't be read."),
    SecretUnavailable("The store is sealed.", retryable=True),
    TokenRejected("The identity service refused what the secret holds."),
    DeadlineExceeded("Time was up while another thread was getting the token."),
]


@dataclass
class Troubled(Signer):
    """Fails at the sign or the renewal with a number; until then it signs, and renews, as it should."""

    failure: Failure | None = None
    fails_to_sign: int = 0
    fails_to_renew: int = 0
    renewal: Callable[[], None] | None = None
    signed: int = field(default=0, init=False)
    asked: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        super().__init__(renewals=2)

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        self.signed += 1
        if self.failure is not None and self.signed == self.fails_to_sign:
            raise self.failure
        return super().__call__(request)

    def renew(self, refused: PreparedRequest) -> bool:
        self.asked += 1
        if self.failure is not None and self.asked == self.fails_to_renew:
            raise self.failure
        if self.renewal is not None:
            self.renewal()
        return super().renew(refused)


def _clear(signer: Signer, answers: list[Said], clock: Clock | None = None) -> TargetResult:
    clock = clock or Clock()
    with responses.RequestsMock(registry=OrderedRegistry, assert_all_requests_are_fired=True) as cloud:
        for number, said in enumerate(answers):
            stub(cloud, said, number)
        services = services_of(clock, signer)
        target = Target(volume_id=VOLUME, attachment_id=ATTACHMENT)
        return clear_one(clearing(services, clock), target, services.context)


@pytest.mark.parametrize("failure", _FAILURES, ids=lambda failure: type(failure).__name__)
def test_a_token_that_can_t_be_had_for_the_post_leaves_all_unchanged(failure: Failure) -> None:
    result = _clear(Troubled(failure=failure, fails_to_sign=3), _START)

    assert (result.outcome, result.changed) == (Outcome.FAILED, False)
    assert result.error is not None
    assert (result.error.code, result.error.message) == (failure.code, failure.message)


@pytest.mark.parametrize("failure", _FAILURES, ids=lambda failure: type(failure).__name__)
def test_a_post_whose_token_was_refused_and_can_t_be_renewed_changed_nothing(failure: Failure) -> None:
    result = _clear(Troubled(failure=failure, fails_to_renew=1), [*_START, post(401)])

    assert (result.outcome, result.changed) == (Outcome.FAILED, False)
    assert result.error is not None
    assert (result.error.code, result.error.message) == (failure.code, failure.message)


@pytest.mark.parametrize("failure", _FAILURES[:-1], ids=lambda failure: type(failure).__name__)
def test_no_token_for_a_second_post_leaves_unknown_what_the_first_one_did(failure: Failure) -> None:
    looks = [get(THE_VOLUME, 200, IN_USE)] * LOOKS

    result = _clear(Troubled(failure=failure, fails_to_sign=4 + LOOKS), [*_START, dies(THE_ACTION), *looks])

    assert (result.outcome, result.changed) == (Outcome.FAILED, None)
    assert result.error is not None
    assert result.error.code is failure.code


def test_a_renewal_that_took_too_long_leaves_no_time_for_the_post() -> None:
    clock = Clock()
    signer = Troubled(renewal=lambda: clock.sleep(15.5))

    result = _clear(signer, [*_START, post(401)], clock)

    assert (result.outcome, result.changed) == (Outcome.FAILED, False)
    assert result.error is not None
    assert result.error.code is ErrorCode.DEADLINE_EXCEEDED


def test_the_look_after_a_post_renews_the_token_too() -> None:
    result = _clear(Troubled(), [*_START, post(202), get(THE_VOLUME, 401), get(THE_VOLUME, 200, FREE)])

    assert (result.outcome, result.changed, result.calls) == (Outcome.DETACHED, True, 5)


_ERRED = {"computeFault": {"code": 500, "message": "The server has either erred or is incapable."}}


def _delegated() -> Troubled:
    signer = Troubled()
    signer.delegated = True
    return signer


def test_a_500_to_a_delegated_token_is_told_as_what_it_is_and_not_repeated() -> None:
    still = get(THE_VOLUME, 200, IN_USE)
    result = _clear(_delegated(), [*_START, post(500, _ERRED), still])
    assert (result.outcome, result.changed) == (Outcome.FAILED, None)
    assert result.error is not None
    assert (result.error.code, result.error.retryable) == (ErrorCode.CONFIGURATION, False)
    assert "Use a password" in result.error.message
    assert result.error.upstream is not None
    assert result.error.upstream.status == 500


def test_a_500_to_a_delegated_token_that_cleared_the_record_all_the_same_is_seen() -> None:
    result = _clear(_delegated(), [*_START, post(500, _ERRED), get(THE_VOLUME, 200, FREE)])
    assert (result.outcome, result.changed, result.error) == (Outcome.DETACHED, True, None)


@pytest.mark.parametrize("status", [502, 503])
def test_another_5xx_to_a_delegated_token_is_followed_as_ever(status: int) -> None:
    result = _clear(_delegated(), [*_START, post(status), get(THE_VOLUME, 200, FREE)])
    assert (result.outcome, result.changed) == (Outcome.DETACHED, True)
