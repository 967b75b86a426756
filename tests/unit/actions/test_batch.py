"""Several targets: side by side, in order, each on its own, in one deadline. Against the embedded cloud."""

from __future__ import annotations

import threading
import time
import uuid
from collections import Counter
from collections.abc import Sequence
from itertools import count
from types import SimpleNamespace

import pytest

from handler.actions import clear
from handler.actions.batch import clear_one
from handler.errors import ErrorCode
from handler.invocation import Invocation, Trigger
from handler.model.request import Batch, Target, Work, read_form
from handler.model.result import ManyResult, Outcome, TargetResult
from handler.runtime import Runtime
from tests.embedded_cloud import Attachment, Call, Cloud, seed
from tests.unit.conftest import Deploy
from tests.unit.contexts import call_context

ORPHANS = [
    Target(volume_id=volume_id, attachment_id=attachment_id) for volume_id, attachment_id, _ in seed._ORPHANS
]
LIVE = Target(volume_id=seed.LIVE_VOLUME, attachment_id=seed.LIVE_ATTACHMENT)
ABSENT = Target(volume_id=seed.ABSENT_VOLUME, attachment_id=seed.ABSENT_ATTACHMENT)


def _do(runtime: Runtime, work: Sequence[Work], seconds_left: float | None = None) -> ManyResult:
    result = runtime.carry_out(work, Invocation(Trigger.HTTP, "r-1", seconds_left))
    assert isinstance(result, ManyResult)
    return result


def _batch(
    runtime: Runtime, *targets: Target, dry_run: bool = False, left: float | None = None
) -> ManyResult:
    return _do(runtime, [Batch(targets=list(targets), dry_run=dry_run)], left)


def _outcomes(result: ManyResult) -> list[str]:
    return [part.outcome.value for part in result.results]


def _shared(cloud: Cloud, held: int) -> tuple[str, list[str]]:
    """A volume that so many servers held, all of them gone; its id, and its attachments'."""
    attachments = [
        Attachment(str(uuid.uuid4()), str(uuid.uuid4()), "/dev/vdb", cloud.stamp(), connected=True)
        for _ in range(held)
    ]
    volume = cloud.add_volume(attachments=attachments, size=1)
    return volume.id, [attachment.attachment_id for attachment in attachments]


class Crowd:
    """Counts the calls that are under way at once, in all and at one volume."""

    def __init__(self, cloud: Cloud, pause: float = 0.03) -> None:
        self.most = 0
        self.most_at_one_volume = 0
        self._now: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._pause = pause
        cloud.hook(self._meet)

    def _meet(self, call: Call) -> None:
        if call.service != "volume":
            return
        where = call.path.split("/volumes/")[1].split("/")[0]
        with self._lock:
            self._now[where] += 1
            self.most = max(self.most, self._now.total())
            self.most_at_one_volume = max(self.most_at_one_volume, self._now[where])
        time.sleep(self._pause)
        with self._lock:
            self._now[where] -= 1


def test_each_target_is_done_on_its_own_and_answered_in_its_place(cloud: Cloud, deploy: Deploy) -> None:
    asked = [ORPHANS[0], LIVE, ORPHANS[1], ABSENT, ORPHANS[2]]

    result = _batch(deploy(cloud), *asked)

    assert [part.volume_id for part in result.results] == [target.volume_id for target in asked]
    assert _outcomes(result) == ["detached", "refused", "detached", "volume_absent", "detached"]
    assert result.summary == {"detached": 3, "refused": 1, "volume_absent": 1}
    assert (result.ok, result.complete, result.error, result.scanned) == (False, True, None, None)
    assert {part.request_id for part in result.results} == {result.request_id} == {"r-1"}


@pytest.mark.parametrize(("concurrency", "expected"), [("1", 1), ("3", 3)])
def test_no_more_volumes_are_worked_at_than_are_allowed(
    concurrency: str, expected: int, cloud: Cloud, deploy: Deploy
) -> None:
    crowd = Crowd(cloud)

    result = _batch(deploy(cloud, DETACH_CONCURRENCY=concurrency), *ORPHANS)

    assert result.ok
    assert crowd.most <= expected
    assert (crowd.most > 1) is (expected > 1)


def test_what_runs_side_by_side_takes_less_time_than_one_after_the_other(
    cloud: Cloud, deploy: Deploy
) -> None:
    cloud.latency = 0.05
    started = time.monotonic()
    _batch(deploy(cloud, DETACH_CONCURRENCY="8"), *ORPHANS[:8])
    took = time.monotonic() - started

    assert took < 8 * 4 * 0.05


def test_the_targets_of_one_volume_are_done_one_after_the_other(cloud: Cloud, deploy: Deploy) -> None:
    volume_id, attachment_ids = _shared(cloud, 4)
    crowd = Crowd(cloud, pause=0.01)

    result = _batch(
        deploy(cloud),
        *(Target(volume_id=volume_id, attachment_id=attachment_id) for attachment_id in attachment_ids),
        *ORPHANS[:2],
    )

    assert _outcomes(result) == ["detached"] * 6
    assert [part.remaining_attachments for part in result.results[:4]] == [3, 2, 1, 0]
    assert [part.calls for part in result.results] == [4] * 6
    assert crowd.most_at_one_volume == 1


def test_the_same_target_twice_is_done_once_and_answered_twice(cloud: Cloud, deploy: Deploy) -> None:
    spelled = read_form(
        Target,
        {
            "volume_id": seed.ORPHAN_VOLUME.upper(),
            "attachment_id": f"{{{seed.ORPHAN_ATTACHMENT.replace('-', '')}}}",
        },
    )

    result = _batch(deploy(cloud), ORPHANS[0], ORPHANS[1], spelled, ORPHANS[0])

    assert _outcomes(result) == ["detached"] * 4
    assert result.results[0] == result.results[2] == result.results[3]
    assert len(cloud.posts()) == 2


def test_a_dry_run_and_the_real_thing_are_not_the_same_target(cloud: Cloud, deploy: Deploy) -> None:
    dry = ORPHANS[0]._replace(dry_run=True)

    result = _batch(deploy(cloud), dry, ORPHANS[0], dry)

    assert _outcomes(result) == ["would_detach", "detached", "would_detach"]


def test_a_dry_run_of_the_batch_is_one_of_each_target(cloud: Cloud, deploy: Deploy) -> None:
    result = _batch(deploy(cloud), *ORPHANS[:2], LIVE, dry_run=True)

    assert _outcomes(result) == ["would_detach", "would_detach", "refused"]
    assert {part.dry_run for part in result.results} == {True}
    assert cloud.posts() == []


def test_a_target_without_attachment_id_means_what_there_was_before_the_first(
    cloud: Cloud, deploy: Deploy
) -> None:
    """After the first of two is cleared, the other would be "the only one": nobody asked for that."""
    volume_id, (first, second) = _shared(cloud, 2)
    by_id, by_volume = Target(volume_id=volume_id, attachment_id=first), Target(volume_id=volume_id)

    result = _batch(deploy(cloud), by_id, by_volume)

    assert _outcomes(result) == ["detached", "refused"]
    error = result.results[1].error
    assert error is not None
    assert error.code is ErrorCode.ATTACHMENT_REQUIRED
    volume = cloud.volume(volume_id)
    assert volume is not None
    assert [attachment.attachment_id for attachment in volume.attachments] == [second]


@pytest.mark.parametrize("with_id_first", [True, False])
def test_the_only_attachment_named_by_id_and_by_volume_is_one_target(
    with_id_first: bool, cloud: Cloud, deploy: Deploy
) -> None:
    by_volume = Target(volume_id=seed.ORPHAN_VOLUME)
    asked = [ORPHANS[0], by_volume] if with_id_first else [by_volume, ORPHANS[0]]

    result = _batch(deploy(cloud), *asked)

    assert _outcomes(result) == ["detached", "detached"]
    assert result.results[0] == result.results[1]
    assert result.results[0].attachment_id == seed.ORPHAN_ATTACHMENT
    assert len(cloud.posts()) == 1


def test_the_calls_that_found_out_which_attachment_is_meant_are_counted(cloud: Cloud, deploy: Deploy) -> None:
    guarded = Target(volume_id=seed.ORPHAN_VOLUME, server_id=seed.LIVE_SERVER)

    result = _batch(deploy(cloud), Target(volume_id=seed.ORPHAN_VOLUME), guarded)

    assert _outcomes(result) == ["detached", "refused"]
    assert [part.calls for part in result.results] == [5, 1]
    assert sum(call.service in {"volume", "compute"} for call in cloud.calls) == 6


def test_a_volume_s_only_target_is_not_looked_for_first(cloud: Cloud, deploy: Deploy) -> None:
    result = _batch(deploy(cloud), Target(volume_id=seed.ORPHAN_VOLUME))

    assert [(part.outcome, part.calls) for part in result.results] == [(Outcome.DETACHED, 4)]


@pytest.mark.parametrize(
    ("volume_id", "outcome"),
    [
        (seed.AVAILABLE_VOLUME, "already_detached"),
        (seed.ABSENT_VOLUME, "volume_absent"),
        (seed.MULTI_VOLUME, "refused"),
    ],
)
def test_a_target_that_ends_while_its_attachment_is_looked_for_is_answered(
    volume_id: str, outcome: str, cloud: Cloud, deploy: Deploy
) -> None:
    by_volume = Target(volume_id=volume_id)
    other = Target(volume_id=volume_id, attachment_id=str(uuid.uuid4()), dry_run=True)

    result = _batch(deploy(cloud), by_volume, other)

    assert result.results[0].outcome.value == outcome
    assert len(result.results) == 2


def test_what_each_target_took_is_told_by_a_clock_that_nobody_sets(
    cloud: Cloud, deploy: Deploy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("handler.actions.batch.time", SimpleNamespace(monotonic=count(7.0, 0.25).__next__))
    absent = Target(volume_id=seed.ABSENT_VOLUME)

    result = _batch(deploy(cloud), absent, ABSENT)

    assert _outcomes(result) == ["volume_absent"] * 2
    assert [part.duration_ms for part in result.results] == [250, 250]


def test_a_failure_at_one_volume_stops_no_other(cloud: Cloud, deploy: Deploy) -> None:
    cloud.misbehave("volume", "GET", path_contains=seed.ORPHAN_VOLUME, status=500, times=None)

    result = _batch(deploy(cloud), Target(volume_id=seed.ORPHAN_VOLUME), *ORPHANS[:3])

    assert _outcomes(result) == ["failed", "failed", "detached", "detached"]


@pytest.mark.parametrize("where", ["find_attachment", "require_in_use"])
def test_a_bug_at_one_volume_stops_no_other(
    where: str, cloud: Cloud, deploy: Deploy, monkeypatch: pytest.MonkeyPatch
) -> None:
    sound = getattr(clear, where)

    def buggy(volume: object, *rest: object) -> object:
        if getattr(volume, "id", None) == seed.ORPHAN_VOLUME:
            raise ZeroDivisionError("planted-secret")
        return sound(volume, *rest)

    monkeypatch.setattr(clear, where, buggy)

    result = _batch(deploy(cloud), Target(volume_id=seed.ORPHAN_VOLUME), *ORPHANS[:3])

    assert _outcomes(result) == ["failed", "failed", "detached", "detached"]
    for part in result.results[:2]:
        assert part.error is not None
        assert (part.error.code, part.error.retryable, part.changed) == (ErrorCode.INTERNAL, False, False)
        assert "planted-secret" not in part.error.message


def test_a_target_that_was_not_begun_in_time_is_left_and_the_answer_incomplete(
    cloud: Cloud, deploy: Deploy
) -> None:
    cloud.latency = 0.12
    runtime = deploy(cloud, DETACH_CONCURRENCY="1", DETACH_READ_TIMEOUT="0.3")

    result = _batch(runtime, *ORPHANS[:6], left=1.5)

    assert (result.ok, result.complete) == (False, False)
    first, *_, last = result.results
    assert (first.outcome, first.changed) == (Outcome.DETACHED, True)
    assert (last.outcome, last.changed, last.calls) == (Outcome.FAILED, False, 0)
    assert last.error is not None
    assert (last.error.code, last.error.retryable) == (ErrorCode.DEADLINE_EXCEEDED, True)
    assert len(result.results) == 6
    assert len(cloud.posts()) == sum(part.changed is not False for part in result.results)


def test_without_time_nothing_is_begun(cloud: Cloud, deploy: Deploy) -> None:
    result = _batch(deploy(cloud), *ORPHANS[:3], Target(volume_id=seed.ORPHAN_VOLUME), left=0.0)

    assert _outcomes(result) == ["failed"] * 4
    assert not result.complete
    assert {part.error and part.error.code for part in result.results} == {ErrorCode.DEADLINE_EXCEEDED}
    assert {part.calls for part in result.results} == {0}
    assert cloud.posts() == []


def test_a_target_whose_time_is_up_is_not_begun(cloud: Cloud, deploy: Deploy) -> None:
    clearing = deploy(cloud).project(call_context()).clearing()
    cloud.clear_calls()

    result = clear_one(clearing, ORPHANS[0], call_context(0.0))

    assert result.error is not None
    assert result.error.message.startswith("Time was up before this target was begun")
    assert cloud.calls == []


def test_a_token_that_can_t_be_had_fails_each_target(cloud: Cloud, deploy: Deploy) -> None:
    runtime = deploy(cloud, DETACH_TOKEN_SECRET="env:NOT_THERE")

    result = _batch(runtime, *ORPHANS[:2])
    single = runtime.carry_out([ORPHANS[0]], Invocation(Trigger.HTTP, "r-1"))

    assert _outcomes(result) == ["failed", "failed"]
    assert isinstance(single, TargetResult)
    for part in (*result.results, single):
        assert part.error is not None
        assert (part.error.code, part.changed, part.calls) == (ErrorCode.SECRET_UNAVAILABLE, False, 0)
        assert part.volume_id is not None
    assert cloud.posts() == []


def test_fifty_invocations_at_once_share_one_function(cloud: Cloud, deploy: Deploy) -> None:
    runtime = deploy(cloud)
    results: list[TargetResult | ManyResult] = []

    def call(target: Target) -> None:
        results.append(runtime.carry_out([target], Invocation(Trigger.HTTP, str(uuid.uuid4()))))

    threads = [threading.Thread(target=call, args=(ORPHANS[number % 5],)) for number in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    outcomes = Counter(part.outcome for part in results if isinstance(part, TargetResult))
    assert outcomes.total() == 50
    assert outcomes.keys() <= {Outcome.DETACHED, Outcome.ALREADY_DETACHED}
    assert outcomes[Outcome.DETACHED] >= 5
    assert len({part.request_id for part in results}) == 50
    assert {volume.status for volume in cloud.volumes if volume.id in {t.volume_id for t in ORPHANS[:5]}} == {
        "available"
    }
