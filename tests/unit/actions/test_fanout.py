"""A sweep that hands its candidates to an event broker."""

from __future__ import annotations

import json
import threading
import time
import uuid
from datetime import timedelta
from typing import Any

import pytest
from cloudevents.conversion import to_binary
from cloudevents.http import CloudEvent, from_http

from handler.actions.dispatch import carry_out
from handler.actions.project import Project
from handler.model.request import Target
from handler.model.result import ManyResult, Outcome
from handler.triggers.parse import read_work
from tests.embedded_cloud import Call, Cloud
from tests.unit.embedded_project import TOKEN_HEADER, EmbeddedProject


@pytest.fixture
def fanning(bare_cloud: Cloud, project: EmbeddedProject) -> EmbeddedProject:
    """A project with six orphans among ten attachments more, whose sweeps go to the cloud's own sink."""
    project.settings["DETACH_FANOUT_SINK"] = bare_cloud.sink_url
    project.add_held(10)
    for age in range(6):
        project.add_orphan(attached_at=timedelta(days=10 - age))
    return project


def sent(bare_cloud: Cloud) -> list[CloudEvent]:
    """The events that arrived at the sink, as the SDK of their receiver reads them."""
    calls = [call for call in bare_cloud.calls if call.service == "sink"]
    return [from_http(call.headers, call.raw) for call in calls]


def test_each_candidate_is_an_event_that_asks_for_form_one(
    bare_cloud: Cloud, fanning: EmbeddedProject
) -> None:
    result = fanning.sweep(fanning.services(DETACH_CONCURRENCY=1))

    assert result.ok
    assert result.complete
    assert result.summary == {"dispatched": 6}
    events = sent(bare_cloud)
    assert len(events) == 6
    for event, part in zip(events, result.results, strict=True):
        assert event["specversion"] == "1.0"
        assert event["type"] == "io.github.evs-detach.request"
        assert event["source"] == "/evs-detach/sweep"
        assert event["subject"] == part.volume_id
        assert event["datacontenttype"] == "application/json"
        assert event.get_data() == {
            "volume_id": part.volume_id,
            "attachment_id": part.attachment_id,
            "server_id": part.server.id,
            "dry_run": False,
        }
        work = read_work(event.get_data(), max_targets=1)
        assert isinstance(work, Target)
        assert part.outcome is Outcome.DISPATCHED
        assert part.changed is False
        assert part.calls == 3, "volume, server, and the sink"
        assert (part.server.exists, part.server.checked, part.via) == (False, True, None)
        assert (part.project_id, part.disk.device) == (bare_cloud.project_id, "/dev/vdb")
    assert not bare_cloud.posts()


def test_what_is_sent_can_be_carried_out(bare_cloud: Cloud, fanning: EmbeddedProject) -> None:
    fanning.sweep()

    works = [read_work(event.get_data(), max_targets=1) for event in sent(bare_cloud)]
    result = carry_out(works, fanning.services())

    assert isinstance(result, ManyResult)
    assert [part.outcome for part in result.results] == [Outcome.DETACHED] * 6


def test_each_candidate_is_looked_at_twice_as_by_a_dry_run(
    bare_cloud: Cloud, fanning: EmbeddedProject
) -> None:
    fanning.sweep()

    assert fanning.calls() == {"volume pages": 1, "server pages": 1, "looks": 12, "detaches": 6}
    assert {call.service for call in bare_cloud.calls if call.method == "POST"} == {"sink"}


def test_the_same_candidate_has_the_same_id_and_another_one_another(
    bare_cloud: Cloud, fanning: EmbeddedProject
) -> None:
    fanning.sweep()
    first = {event["subject"]: event["id"] for event in sent(bare_cloud)}
    bare_cloud.clear_calls()
    fanning.sweep()
    second = {event["subject"]: event["id"] for event in sent(bare_cloud)}
    bare_cloud.clear_calls()
    fanning.sweep(dry_run=True)
    dry = {event["subject"]: event["id"] for event in sent(bare_cloud)}

    assert first == second
    assert len(set(first.values())) == 6
    assert not set(first.values()) & set(dry.values())
    assert all(uuid.UUID(id_) for id_ in first.values())


@pytest.mark.parametrize(("setting", "event"), [("true", False), ("false", True)])
def test_a_dry_run_is_passed_on(
    bare_cloud: Cloud, fanning: EmbeddedProject, setting: str, event: bool
) -> None:
    result = fanning.sweep(fanning.services(DETACH_SWEEP_DRY_RUN=setting), dry_run=event)

    works = [read_work(found.get_data(), max_targets=1) for found in sent(bare_cloud)]
    assert [work.dry_run for work in works if isinstance(work, Target)] == [True] * 6
    assert all(part.dry_run for part in result.results)


def test_the_limit_counts_what_is_passed_on(bare_cloud: Cloud, fanning: EmbeddedProject) -> None:
    result = fanning.sweep(limit=2)

    assert result.summary == {"dispatched": 2}
    assert not result.complete
    assert result.scanned is not None
    assert result.scanned.skipped.over_limit == 4
    assert len(sent(bare_cloud)) == 2


def test_what_is_refused_is_reported_and_leaves_the_limit_to_others(
    bare_cloud: Cloud, fanning: EmbeddedProject
) -> None:
    held = bare_cloud.add_server(status="SOFT_DELETED")  # no list of servers shows it
    for _ in range(2):
        bare_cloud.add_volume(attachments=[held], attached_at=timedelta(days=20))

    result = fanning.sweep(fanning.services(DETACH_CONCURRENCY=1), limit=2)

    assert [part.outcome.value for part in result.results] == [
        "refused",
        "refused",
        "dispatched",
        "dispatched",
    ]
    refused = result.results[0]
    assert (refused.error and refused.error.code.value, refused.dry_run) == ("server_exists", False)
    assert (refused.server.id, refused.changed, result.ok) == (held.id, False, False)
    assert result.scanned is not None
    assert result.scanned.skipped.over_limit == 4
    assert {event["subject"] for event in sent(bare_cloud)} == {part.volume_id for part in result.results[2:]}


def test_what_went_since_the_lists_is_not_passed_on(bare_cloud: Cloud, fanning: EmbeddedProject) -> None:
    oldest = bare_cloud.volumes[10]

    def free_it(call: Call) -> None:
        if call.path.endswith(f"/volumes/{oldest.id}"):
            oldest.status = "available"
            oldest.attachments.clear()

    bare_cloud.hook(free_it)

    result = fanning.sweep(fanning.services(DETACH_CONCURRENCY=1), limit=1)

    assert [part.outcome.value for part in result.results] == ["already_detached", "dispatched"]
    assert oldest.id not in {event["subject"] for event in sent(bare_cloud)}


def test_what_can_not_be_judged_is_not_passed_on_and_told_by_the_list(
    bare_cloud: Cloud, fanning: EmbeddedProject
) -> None:
    bare_cloud.misbehave("volume", "GET", "/volumes/", times=None, after=1, status=403)

    result = fanning.sweep(limit=1)

    assert {part.error.code.value for part in result.results if part.error} == {"permission_denied"}
    assert len(result.results) == 6
    assert {(part.disk.device, part.changed) for part in result.results} == {("/dev/vdb", False)}
    assert sent(bare_cloud) == []


def test_a_distrusted_list_sends_nothing(bare_cloud: Cloud, project: EmbeddedProject) -> None:
    project.settings["DETACH_FANOUT_SINK"] = bare_cloud.sink_url
    project.add_orphan()

    result = project.sweep()

    assert result.error is not None
    assert result.error.code.value == "sweep_refused"
    assert sent(bare_cloud) == []


def test_the_sink_is_sent_no_credentials(bare_cloud: Cloud, fanning: EmbeddedProject) -> None:
    fanning.sweep()

    calls = [call for call in bare_cloud.calls if call.service == "sink"]
    assert len(calls) == 6
    for call in calls:
        assert not {TOKEN_HEADER.lower(), "authorization", "cookie"} & set(call.headers)
        assert fanning.token not in json.dumps(call.headers) + call.raw.decode()


@pytest.mark.parametrize("concurrency", [1, 3])
def test_no_more_are_under_way_than_allowed(
    bare_cloud: Cloud, fanning: EmbeddedProject, concurrency: int
) -> None:
    lock = threading.Lock()
    under_way: list[int] = [0, 0]

    def hook(call: Call) -> None:
        if call.service != "sink":
            return
        with lock:
            under_way[0] += 1
            under_way[1] = max(under_way)
        time.sleep(0.05)
        with lock:
            under_way[0] -= 1

    bare_cloud.hook(hook)

    fanning.sweep(fanning.services(DETACH_CONCURRENCY=concurrency))

    assert under_way[1] == concurrency


@pytest.mark.parametrize(
    ("status", "code", "retryable"),
    [
        (400, "upstream_rejected", False),
        (401, "upstream_rejected", False),
        (302, "upstream_rejected", False),
        (404, "upstream_rejected", False),
        (408, "throttled", True),
        (425, "throttled", True),
        (429, "throttled", True),
    ],
)
def test_a_sink_that_refuses_is_counted_per_candidate(
    bare_cloud: Cloud, fanning: EmbeddedProject, status: int, code: str, retryable: bool
) -> None:
    bare_cloud.misbehave("sink", times=2, status=status, headers={"Location": "/sink", "Retry-After": "9"})

    result = fanning.sweep(fanning.services(DETACH_CONCURRENCY=1))

    assert not result.ok
    assert result.error is None
    assert result.summary == {"failed": 2, "dispatched": 4}
    for part in result.results[:2]:
        assert part.error is not None
        assert (part.error.code.value, part.error.retryable) == (code, retryable)
        assert "DETACH_FANOUT_SINK" in part.error.message
        assert "DETACH_TOKEN_SECRET" not in part.error.message
        assert part.error.upstream is not None
        assert part.error.upstream.status == status
        assert part.error.retry_after == 9
        assert part.changed is (None if retryable else False), "what asks to wait may have passed it on"
    assert len(sent(bare_cloud)) == 6


@pytest.mark.parametrize("fault", [{"status": 503}, {"drop": "after"}, {"drop": "before"}])
def test_a_candidate_that_may_have_been_passed_on_counts(
    bare_cloud: Cloud, fanning: EmbeddedProject, fault: dict[str, Any]
) -> None:
    bare_cloud.misbehave("sink", times=None, **fault)

    result = fanning.sweep(limit=2)

    assert [(part.outcome, part.changed) for part in result.results] == [(Outcome.FAILED, None)] * 2
    assert {part.error.code.value for part in result.results if part.error} == {"upstream_unavailable"}
    assert result.scanned is not None
    assert result.scanned.skipped.over_limit == 4
    assert len([call for call in bare_cloud.calls if call.service == "sink"]) == 2  # each sent once


def test_a_bug_at_one_candidate_costs_only_that_one(
    fanning: EmbeddedProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing = iter([True])

    def broken(event: CloudEvent) -> Any:
        if next(failing, False):
            raise ZeroDivisionError
        return to_binary(event)

    monkeypatch.setattr("handler.actions.fanout.to_binary", broken)

    result = fanning.sweep()

    assert result.summary == {"failed": 1, "dispatched": 5}
    assert {part.error.code.value for part in result.results if part.error} == {"internal"}


def test_near_the_deadline_nothing_more_is_sent(bare_cloud: Cloud, fanning: EmbeddedProject) -> None:
    services: Project = fanning.services(seconds=4.0, DETACH_READ_TIMEOUT=2.5, DETACH_CONCURRENCY=1)
    bare_cloud.latency = 0.4

    result = fanning.sweep(services)

    assert result.ok
    assert not result.complete
    assert 0 < len(result.results) < 6
    assert result.scanned is not None
    assert result.scanned.skipped.over_limit == 0
