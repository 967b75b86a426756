"""What is sent again, when, and how often."""

from __future__ import annotations

import email.utils
import time

import pytest
import requests
import responses
from responses.registries import OrderedRegistry

from handler.cloud.messages import Answer, Call
from handler.cloud.transport import Transport
from handler.errors import DeadlineExceeded, NoAnswer
from tests.unit.actions.answers import Clock, Signer
from tests.unit.contexts import call_context

URL = "https://volume.example/v2/thing"
GET = Call("volume", "GET", URL)
POST = Call("volume", "POST", URL, body=b"{}")
PASSING = (408, 425, 429, 502, 503, 504)


class Wire:
    """Answers in order, then what came of them."""

    def __init__(self, *said: int | Exception | tuple[int, dict[str, str]], seconds: float = 25.0) -> None:
        self.said = said
        self.clock = Clock()
        self.trace = call_context(seconds, self.clock)
        self.transport = Transport(connect_timeout=3, read_timeout=10, sleep=self.clock.sleep)

    def send(self, call: Call) -> Answer:
        with responses.RequestsMock(registry=OrderedRegistry, assert_all_requests_are_fired=True) as cloud:
            for said in self.said:
                if isinstance(said, Exception):
                    cloud.add(call.method, URL, body=said)
                else:
                    status, headers = said if isinstance(said, tuple) else (said, {})
                    cloud.add(call.method, URL, status=status, headers=headers)
            return self.transport.send(call, self.trace)


@pytest.mark.parametrize("status", PASSING)
def test_a_read_is_repeated_three_times(status: int) -> None:
    wire = Wire(status, status, status, status)

    assert wire.send(GET).status == status
    assert wire.trace.calls == 4


@pytest.mark.parametrize("status", PASSING)
def test_a_read_that_gets_through_at_last_is_not_repeated_further(status: int) -> None:
    assert Wire(status, requests.ConnectionError(), 200).send(GET).status == 200


@pytest.mark.parametrize("status", [200, 202, 301, 400, 401, 403, 404, 409, 413, 500, 501])
def test_no_other_answer_is_asked_for_again(status: int) -> None:
    wire = Wire(status)

    assert wire.send(GET).status == status
    assert wire.clock.slept == []


@pytest.mark.parametrize("status", [*PASSING, 500])
def test_a_post_is_never_repeated_after_an_answer(status: int) -> None:
    assert Wire((status, {"Retry-After": "1"})).send(POST).status == status


@pytest.mark.parametrize(
    "error", [requests.ConnectionError(), requests.ConnectTimeout(), requests.ReadTimeout()], ids=type
)
def test_a_post_is_never_repeated_without_an_answer(error: Exception) -> None:
    wire = Wire(error)

    with pytest.raises(NoAnswer):
        wire.send(POST)
    assert wire.trace.calls == 1


def test_the_pauses_grow_and_are_no_two_alike() -> None:
    waits = []
    for _ in range(20):
        wire = Wire(503, 503, 503, 503)
        wire.send(GET)
        waits.append(wire.clock.slept)

    for first, second, third in waits:
        assert 0 <= first <= 0.2
        assert 0.4 <= second <= 0.6
        assert 0.8 <= third <= 1.0
    assert len({tuple(pauses) for pauses in waits}) == len(waits), "many instances must not come back at once"


def test_not_even_the_first_repeat_comes_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("random.uniform", lambda _least, most: most)
    wire = Wire(503, 200)

    wire.send(GET)

    assert wire.clock.slept == [0.2]


@pytest.mark.parametrize("hint", ["3", "0"])
def test_the_cloud_s_hint_in_seconds_is_kept_to(hint: str) -> None:
    wire = Wire((429, {"Retry-After": hint}), 200)

    wire.send(GET)

    assert wire.clock.slept == [float(hint)]


def test_a_413_with_a_hint_is_a_limit_that_passes() -> None:
    wire = Wire((413, {"Retry-After": "3"}), 200)

    assert wire.send(GET).status == 200
    assert wire.clock.slept == [3.0]


def test_the_cloud_s_hint_as_a_date_is_kept_to() -> None:
    at = email.utils.formatdate(time.time() + 7, usegmt=True)
    wire = Wire((503, {"Retry-After": at}), 200)

    wire.send(GET)

    assert 4 <= wire.clock.slept[0] <= 7


@pytest.mark.parametrize("hint", ["-5", "soon", "1e3", "9" * 5000, ""])
def test_a_hint_that_can_t_be_read_is_left_alone(hint: str) -> None:
    wire = Wire((429, {"Retry-After": hint}), 200)

    assert wire.send(GET).status == 200
    assert 0 <= wire.clock.slept[0] <= 0.2


@pytest.mark.parametrize("hint", ["25", "100000", "9" * 400])
def test_a_hint_beyond_the_deadline_ends_the_repeating_and_is_handed_on_bounded(hint: str) -> None:
    wire = Wire((429, {"Retry-After": hint}))

    answer = wire.send(GET)

    assert answer.status == 429
    assert answer.retry_after is not None
    assert 25.0 <= answer.retry_after <= 86400.0, "a day at most"
    assert wire.clock.slept == []


def test_a_hint_of_a_date_gone_by_means_at_once() -> None:
    wire = Wire((429, {"Retry-After": "Mon, 23 Nov 2015 10:00:00 GMT"}), 200)

    wire.send(GET)

    assert wire.clock.slept == [0.0]


def test_no_pause_outlives_the_deadline() -> None:
    wire = Wire((503, {"Retry-After": "2"}), (503, {"Retry-After": "2"}), seconds=3.0)

    assert wire.send(GET).status == 503
    assert wire.clock.slept == [2.0]


def test_nothing_is_sent_once_time_is_up() -> None:
    wire = Wire(seconds=0.0)

    with pytest.raises(DeadlineExceeded, match="the call was not sent to the volume service"):
        wire.send(GET)
    assert wire.trace.calls == 0


@pytest.mark.parametrize("seconds", [9.9, 0.1])
def test_a_call_that_needs_more_time_than_is_left_is_not_sent(seconds: float) -> None:
    wire = Wire(seconds=seconds)

    with pytest.raises(DeadlineExceeded, match="Less time is left than one answer may take"):
        wire.send(Call("volume", "POST", URL, body=b"{}", needs=10.0))


def test_a_certificate_that_is_refused_is_not_tried_again() -> None:
    wire = Wire(requests.exceptions.SSLError(ValueError("CERTIFICATE_VERIFY_FAILED")))

    with pytest.raises(NoAnswer, match="DETACH_CA_BUNDLE") as raised:
        wire.send(GET)
    assert not raised.value.broken


def test_an_error_that_the_library_invents_is_no_answer_without_its_text() -> None:
    error = requests.exceptions.InvalidSchema("SOCKS via http://user:hunter2@proxy.example")
    wire = Wire(error, error, error, error)

    with pytest.raises(NoAnswer, match="InvalidSchema") as raised:
        wire.send(GET)
    assert "hunter2" not in str(raised.value)
    assert raised.value.__cause__ is None
    assert raised.value.__context__ is None


@pytest.mark.parametrize(("renews", "sent"), [(True, 2), (False, 1)])
def test_a_call_that_must_keep_its_token_leaves_under_no_other(*, renews: bool, sent: int) -> None:
    signer = Signer(renewals=1)
    with responses.RequestsMock(assert_all_requests_are_fired=True) as cloud:
        cloud.add("POST", URL, status=401)
        Transport(connect_timeout=3, read_timeout=10).send(
            POST._replace(renews=renews), call_context(), signer
        )
        assert len(cloud.calls) == sent
    assert signer.renewed == sent - 1
