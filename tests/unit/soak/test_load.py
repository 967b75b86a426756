"""The soak's load: what became of an event's records is looked at, whatever the function says."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from random import Random
from typing import Any

import pytest

from tests.embedded_cloud import Cloud
from tests.soak import load as loads
from tests.soak.events import Event, Events
from tests.soak.load import Load, Sending, read
from tests.soak.run import Every

URL = "http://function"
DONE = {"ok": True, "outcome": "detached", "error": None}
LATER = {"ok": False, "outcome": "failed", "error": {"code": "throttled", "retryable": True}}
REFUSED = {"ok": False, "outcome": "refused", "error": {"code": "server_exists", "retryable": False}}


def _nothing() -> None:
    pass


class Function:
    """Answers what it is told to, and does that to the cloud."""

    def __init__(self, load: Load) -> None:
        self.load = load
        self.told: list[tuple[int, Any, Callable[[], None]]] = []

    def exchange(self, sending: Sending) -> tuple[int, bytes]:
        status, result, do = self.told.pop(0)
        sending.sent_at = 1.0
        do()
        if not status:
            raise ConnectionResetError
        return status, json.dumps(result).encode()

    def answers(self, status: int, result: Any, do: Callable[[], None] = _nothing) -> None:
        self.told.append((status, result, do))

    def clears(self, *volume_ids: str) -> Callable[[], None]:
        world = self.load.cloud.world

        def clear() -> None:
            for volume_id in volume_ids:
                volume = world.volume(volume_id)
                world.detach(volume, volume.attachments[0].attachment_id)

        return clear


@pytest.fixture
def function(monkeypatch: pytest.MonkeyPatch) -> Function:
    monkeypatch.setattr(loads, "_AGAIN", 0.0)
    monkeypatch.setattr(loads, "_ATTEMPTS", 3)
    cloud = Cloud()
    function = Function(Load(cloud, Events(cloud, Random(1)), lambda: [URL], lambda: "key", Random(1)))

    def exchange(sending: Sending, _event: Event, _key: str) -> tuple[int, bytes]:
        return function.exchange(sending)

    monkeypatch.setattr(Sending, "exchange", exchange)
    return function


def _event(function: Function, kind: str) -> Event:
    return function.load.events.made(kind)


def test_what_is_done_is_settled(function: Function) -> None:
    event = _event(function, "http, one")
    function.answers(200, DONE, function.clears(*event.frees))

    function.load.carry_through(event)

    assert function.load.lost == []
    assert function.load.settled == {"http, one": 1}


def test_it_is_delivered_again_until_it_is_settled(function: Function) -> None:
    event = _event(function, "http, one")
    function.answers(503, LATER)
    function.answers(0, None)
    function.answers(200, DONE, function.clears(*event.frees))

    function.load.carry_through(event)

    assert function.load.lost == []
    assert [(one.url, one.sent_at, one.why) for one in function.load.unanswered] == [
        (URL, 1.0, "ConnectionResetError()")
    ]
    assert function.load.answers == {"http 503": 1, "http 200": 1}


@pytest.mark.parametrize("kind", ["http, one", "cloudevent, binary", "smn", "timer, one", "eventgrid"])
def test_what_is_said_and_not_done_is_lost(function: Function, kind: str) -> None:
    event = _event(function, kind)
    function.answers(200, DONE)

    function.load.carry_through(event)

    assert f"{event.frees[0]} is not free" in function.load.lost[0]
    assert function.load.settled == {}


def test_a_sweep_goes_on_with_its_next_run_but_not_for_ever(function: Function) -> None:
    event = _event(function, "http, sweep")
    for _ in range(3):
        function.answers(200, {**DONE, "results": []})

    function.load.carry_through(event)

    assert "never settled" in function.load.lost[0]
    assert function.told == []


@pytest.mark.parametrize("kind", ["http, a disk that a server has", "http, dry run", "smn, two records"])
def test_what_is_taken_is_found(function: Function, kind: str) -> None:
    event = _event(function, kind)
    function.answers(200, REFUSED, function.clears(*event.frees, *event.keeps))

    function.load.carry_through(event)

    assert f"{event.keeps[0]} was taken" in function.load.lost[0]


def test_an_answer_that_nobody_should_get_is_found(function: Function) -> None:
    event = _event(function, "http, one")
    result = {**DONE, "error": {"code": "internal", "retryable": False}}
    function.answers(500, result, function.clears(*event.frees))

    function.load.carry_through(event)

    assert "answered {'internal'}" in function.load.lost[0]


def test_a_gateways_answer_is_inside_of_it(function: Function) -> None:
    event = _event(function, "apig")

    answer = read(event, 200, json.dumps({"statusCode": 503, "body": json.dumps(LATER)}).encode())

    assert (answer.status, answer.settled) == (503, False)


def test_the_cloud_stays_as_large_as_it_is(function: Function) -> None:
    """A sweep reads all of it: what grew with it would look like a leak."""
    load = function.load
    before = [len(load.cloud.volumes), len(load.cloud.servers)]
    for kind in load.events.kinds:
        load.events.clear_away(load.events.made(kind))

    assert [len(load.cloud.volumes), len(load.cloud.servers)] == before
    assert len(load.events.kinds) > 25


def test_two_of_a_kind_are_never_closer_than_their_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long what lies between takes: two new keys at once would shut out who has the one before."""
    clock = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    keys, restarts = Every(7.0), Every(60.0, at_once=True)

    assert (keys.due(), restarts.due(), restarts.due()) == (False, True, False)
    clock[0] = 20.0
    assert (keys.due(), keys.due()) == (True, False)
    clock[0] = 26.9
    assert not keys.due()
