"""What is read of jobs, actions and disks while a live disk is detached: what can't be read is none."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any, cast

import pytest

from handler.cloud.detaching import (
    Detach,
    DetachApi,
    DetachCall,
    EcsDetach,
    JobState,
    NovaDetach,
    shown_as_data,
)
from handler.cloud.messages import Answer
from handler.cloud.servers import HeldDisk, Servers
from handler.cloud.service import Service
from handler.errors import Failure, UpstreamRejected, UpstreamUnavailable
from handler.model.values import epoch
from tests.unit.contexts import call_context

SERVER, VOLUME = "4ccff8d2-b7f6-4252-942f-a9bc86113bd4", "a865b938-d39c-47e6-828f-744f5b818230"
JOB = "req-7f8e8bb4-2a2e-4d6e-9f3a-3a0f5c3b9c11"
ECS_JOB = "ff8080828944ccd4018944d1c7ee0017"
ACTION: dict[str, Any] = {
    "instance_uuid": SERVER,
    "request_id": JOB,
    "action": "detach_volume",
    "start_time": "2026-12-01T09:30:00.000000",
    "events": [{"event": "compute_detach_volume", "result": "Success"}],
}
DISK = {"serverId": SERVER, "volumeId": VOLUME, "bootIndex": 1, "device": "/dev/vdb"}


class _Saying(Service):
    """A compute service that answers each question with this."""

    name = "compute"
    read_timeout = 7.0

    def __init__(self, *said: Answer | Failure) -> None:
        self._said = [*said]
        self.asked: list[tuple[tuple[object, ...], dict[str, Any]]] = []

    def ask(self, *what: Any, **options: Any) -> Answer:
        self.asked.append((what, options))
        said = self._said.pop(0) if len(self._said) > 1 else self._said[0]
        if isinstance(said, Failure):
            raise said
        return said


def servers(*said: Answer | Failure) -> Servers:
    return cast("Servers", _Saying(*said))


def answered(body: Any, status: int = 200) -> Answer:
    return Answer(status, {"OpenStack-API-Version": "compute 2.51"}, json.dumps(body).encode(), None)


@pytest.mark.parametrize(
    ("status", "state"), [(200, JobState.DONE), (203, JobState.UNKNOWN), (404, JobState.UNKNOWN)]
)
def test_an_action_is_believed_of_a_200_alone(status: int, state: JobState) -> None:
    nova = NovaDetach(servers(answered({"instanceAction": ACTION}, status)), vendor=False)

    assert nova.state(SERVER, JOB, call_context()) is state


@pytest.mark.parametrize(
    ("changed", "states"),
    [
        ({}, [JobState.DONE]),
        ({"start_time": "some day"}, [JobState.UNKNOWN]),
        ({"start_time": "2025-12-01T09:30:00.000000"}, []),
        ({"start_time": "2025-12-01T09:30:00.000000", "request_id": 7}, []),
        ({"action": "attach_volume", "start_time": "some day"}, []),
        ({"request_id": "../servers"}, [JobState.UNKNOWN]),
        ({"request_id": 7}, [JobState.UNKNOWN]),
        ({"instance_uuid": VOLUME}, [JobState.UNKNOWN]),
        ({"instance_uuid": None}, [JobState.UNKNOWN]),
    ],
)
def test_a_server_s_detaches_are_known_all_or_none(changed: dict[str, Any], states: list[JobState]) -> None:
    listed = answered({"instanceActions": [{**ACTION, **changed}]})
    service = _Saying(listed, answered({"instanceAction": ACTION}))
    nova = NovaDetach(cast("Servers", service), vendor=False)

    assert [one.state for one in nova.detaches(SERVER, 1_780_000_000.0, call_context(), clock=None)] == states
    assert len(service.asked) == 1 + (states == [JobState.DONE]), "by no id that is no plain one"


def _event(event: str, result: str | None) -> dict[str, Any]:
    return {"event": event, "result": result}


@pytest.mark.parametrize(
    ("changed", "state"),
    [
        ({"instance_uuid": VOLUME}, JobState.UNKNOWN),
        ({"request_id": f"{JOB}1"}, JobState.UNKNOWN),
        ({"action": "attach_volume"}, JobState.UNKNOWN),
        ({"events": []}, JobState.QUEUED),
        ({"events": [_event("compute_attach_volume", "Error")]}, JobState.QUEUED),
        ({"events": [_event("compute_detach_volume", None)]}, JobState.RUNNING),
        ({"events": [_event("compute_detach_volume", "Error")]}, JobState.FAILED),
        ({"events": [_event("compute_detach_volume", "Odd")]}, JobState.UNKNOWN),
        ({"events": [_event("compute_detach_volume", "Success"), _event("x", "Odd")]}, JobState.DONE),
        ({"events": [_event("api_detach_volume", "Success")]}, JobState.DONE),
        (
            {"events": [_event("compute_detach_volume", "Success"), _event("api_detach_volume", None)]},
            JobState.RUNNING,
        ),
        (
            {"events": [_event("compute_detach_volume", "Success"), _event("api_detach_volume", "Error")]},
            JobState.FAILED,
        ),
        ({"events": [{"event": "compute_detach_volume"}]}, JobState.UNKNOWN),
        ({"events": None}, JobState.UNKNOWN),
        ({"instance_uuid": 7}, JobState.UNKNOWN),
    ],
)
def test_an_action_is_as_far_as_its_events(changed: dict[str, Any], state: JobState) -> None:
    nova = NovaDetach(servers(answered({"instanceAction": {**ACTION, **changed}})), vendor=False)

    assert nova.state(SERVER, JOB, call_context()) is state


@pytest.mark.parametrize("body", [None, [], {}, {"instanceAction": 7}, {"instanceActions": 7}])
def test_a_body_of_another_shape_is_no_action_and_no_list(body: Any) -> None:
    nova = NovaDetach(servers(answered(body)), vendor=False)

    assert nova.state(SERVER, JOB, call_context()) is JobState.UNKNOWN
    assert nova.detaches(SERVER, 7.0, call_context(), clock=None) == [Detach(7.0, JobState.UNKNOWN)]
    assert EcsDetach(servers(answered(body))).state(SERVER, ECS_JOB, call_context()) is JobState.UNKNOWN


@pytest.mark.parametrize(("number", "states"), [(20, [JobState.DONE] * 20), (21, [JobState.UNKNOWN])])
def test_so_many_detaches_are_read_one_by_one(number: int, states: list[JobState]) -> None:
    listed = answered({"instanceActions": [ACTION] * number})
    nova = NovaDetach(servers(listed, answered({"instanceAction": ACTION})), vendor=False)

    assert [one.state for one in nova.detaches(SERVER, 0.0, call_context(), clock=None)] == states


@pytest.mark.parametrize("status", [203, 404])
def test_a_list_of_detaches_is_believed_of_a_200_alone(status: int) -> None:
    nova = NovaDetach(servers(answered({"instanceActions": [ACTION]}, status)), vendor=False)

    with pytest.raises(Failure):
        nova.detaches(SERVER, 0.0, call_context(), clock=None)


@pytest.mark.parametrize("request_id", [JOB, None, "../servers", f"{JOB}/.."])
def test_nova_s_job_is_the_call_s_plain_request_id(request_id: str | None) -> None:
    answer = answered({})._replace(request_id=request_id)

    assert NovaDetach(servers(answer), vendor=False).job_of(answer) == (JOB if request_id == JOB else None)


@pytest.mark.parametrize(
    ("vendor", "of_nova", "device", "data"),
    [
        (False, True, "/dev/vda", True),
        (False, False, "/dev/vda", False),
        (False, False, "/dev/vdb", True),
        (True, False, "/dev/vda", False),
        (True, True, "/dev/vda", False),
        (True, True, "/dev/vdb", True),
    ],
)
def test_whoever_is_not_known_to_refuse_a_root_is_asked_whether_it_is_one(
    vendor: bool, of_nova: bool, device: str, data: bool
) -> None:
    service = _Saying(answered({"volumeAttachment": {**DISK, "device": device}}))
    nova = NovaDetach(cast("Servers", service), vendor=vendor)

    assert nova.is_data_disk(SERVER, VOLUME, HeldDisk(of_nova=of_nova), call_context()) is data
    assert bool(service.asked) is (vendor or not of_nova)


def test_ecs_is_always_asked() -> None:
    root = servers(answered({"volumeAttachment": {**DISK, "device": "/dev/vda"}}))

    assert not EcsDetach(root).is_data_disk(SERVER, VOLUME, HeldDisk(of_nova=True), call_context())


@pytest.mark.parametrize("api", [partial(NovaDetach, vendor=False), EcsDetach])
def test_a_detach_is_sent_once_under_the_token_that_was_judged(api: Callable[[Servers], DetachApi]) -> None:
    service = _Saying(answered({}))
    api(cast("Servers", service)).send(DetachCall(SERVER, VOLUME, "an entry", "a proof"), call_context())

    (((method, path, *_), options),) = service.asked
    assert method == "DELETE"
    assert str(path).endswith(f"/{SERVER}/{str(path).split('/')[2]}/{VOLUME}")
    assert (options["renews"], options["needs"]) == (False, service.read_timeout)
    assert {SERVER, VOLUME, "an entry", "a proof"} < {*options["changes"].values()}


def test_a_detach_that_began_at_that_very_moment_is_one() -> None:
    listed, since = answered({"instanceActions": [ACTION]}), epoch(ACTION["start_time"])
    assert since is not None

    def found(moment: float) -> list[Detach]:
        nova = NovaDetach(servers(listed, answered({"instanceAction": ACTION})), vendor=False)
        return nova.detaches(SERVER, moment, call_context(), clock=None)

    assert (found(since), found(since + 1)) == ([Detach(since, JobState.DONE)], [])


@pytest.mark.parametrize(
    ("date", "clock", "found"),
    [
        ("Tue, 01 Dec 2026 09:31:00 GMT", 160.0, True),
        ("Tue, 01 Dec 2026 09:31:00 GMT", 159.0, False),
        ("Tue, 01 Dec 2026 09:31:00 GMT", 60.0, False),
        ("Tue, 01 Dec 2026 09:31:00 GMT", None, False),
        ("Tue, 01 Dec 2026 09:31:00", 160.0, False),
        (None, 160.0, False),
    ],
)
def test_by_so_much_as_this_clock_is_behind_earlier_detaches_count(
    date: str | None, clock: float | None, found: bool
) -> None:
    """By the other clock the detach began 100 s too early; `clock` is in seconds after it began."""
    began = epoch(ACTION["start_time"])
    assert began is not None
    headers = {"Date": date} if date else {}
    listed = answered({"instanceActions": [ACTION]})
    listed = listed._replace(headers={**listed.headers, **headers})
    nova = NovaDetach(servers(listed, answered({"instanceAction": ACTION})), vendor=False)

    read_at = None if clock is None else began + clock
    assert bool(nova.detaches(SERVER, began + 100, call_context(), clock=read_at)) is found


def test_a_clock_that_is_ahead_takes_none_away() -> None:
    began = epoch(ACTION["start_time"])
    assert began is not None
    listed = answered({"instanceActions": [ACTION]})
    listed = listed._replace(headers={**listed.headers, "Date": "Tue, 01 Dec 2026 09:31:00 GMT"})
    nova = NovaDetach(servers(listed, answered({"instanceAction": ACTION})), vendor=False)

    assert nova.detaches(SERVER, began, call_context(), clock=began)


@pytest.mark.parametrize(
    ("body", "job"),
    [
        ({"job_id": ECS_JOB}, ECS_JOB),
        ({"job_id": 7}, None),
        ({"job_id": "../jobs"}, None),
        ({"job_id": None}, None),
        ({}, None),
        ([], None),
    ],
)
def test_a_job_is_known_by_a_plain_id(body: Any, job: str | None) -> None:
    assert EcsDetach(servers(answered({}))).job_of(answered(body)) == job


@pytest.mark.parametrize(
    ("changed", "status", "state"),
    [
        ({}, 200, JobState.DONE),
        ({"status": "INIT"}, 200, JobState.QUEUED),
        ({"status": "RUNNING"}, 200, JobState.RUNNING),
        ({"status": "FAIL"}, 200, JobState.FAILED),
        ({"status": "success"}, 200, JobState.UNKNOWN),
        ({"status": []}, 200, JobState.UNKNOWN),
        ({}, 203, JobState.UNKNOWN),
        ({}, 404, JobState.UNKNOWN),
        ({"job_id": f"{ECS_JOB}8"}, 200, JobState.UNKNOWN),
        ({"job_id": None}, 200, JobState.UNKNOWN),
        ({"entities": {"server_id": VOLUME}}, 200, JobState.UNKNOWN),
        ({"entities": {"server_id": 7}}, 200, JobState.UNKNOWN),
        ({"entities": {"server_id": SERVER.upper()}}, 200, JobState.DONE),
        ({"entities": {}}, 200, JobState.DONE),
        ({"entities": None}, 200, JobState.DONE),
        ({"entities": [SERVER]}, 200, JobState.UNKNOWN),
    ],
)
def test_a_job_about_another_server_or_another_job_is_none_of_ours(
    changed: dict[str, Any], status: int, state: JobState
) -> None:
    job = {"job_id": ECS_JOB, "status": "SUCCESS", "entities": {"server_id": SERVER}, **changed}

    assert EcsDetach(servers(answered(job, status))).state(SERVER, ECS_JOB, call_context()) is state


@pytest.mark.parametrize(
    ("changed", "data"),
    [
        ({}, True),
        ({"bootIndex": 0}, False),
        ({"bootIndex": True}, False),
        ({"bootIndex": False}, False),
        ({"bootIndex": "1"}, False),
        ({"bootIndex": None}, False),
        ({"device": "/dev/vda"}, False),
        ({"device": "/dev/sda"}, False),
        ({"device": "vdb"}, False),
        ({"device": None}, False),
        ({"serverId": VOLUME}, False),
        ({"volumeId": SERVER}, False),
        ({"volumeId": None}, False),
    ],
)
def test_a_disk_is_no_root_by_its_number_and_its_device(changed: dict[str, Any], *, data: bool) -> None:
    shown = {"volumeAttachment": {**DISK, **changed}}

    assert shown_as_data(servers(answered(shown)), SERVER, VOLUME, call_context()) is data
    assert not shown_as_data(servers(answered(shown, 203)), SERVER, VOLUME, call_context())


def test_what_passes_is_asked_again_and_what_stays_shows_nothing() -> None:
    refused = servers(UpstreamRejected("planted"))
    assert not shown_as_data(refused, SERVER, VOLUME, call_context())
    with pytest.raises(UpstreamUnavailable, match="planted"):
        shown_as_data(servers(UpstreamUnavailable("planted")), SERVER, VOLUME, call_context())
