"""The histories: a seed says all, nothing real is left under them, and they see what is wrong."""

from __future__ import annotations

import ast
import inspect
import json
import os
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

from tests.embedded_cloud import Cloud
from tests.histories import mutated
from tests.histories.__main__ import Run, failed_once
from tests.histories.history import play
from tests.histories.pools import Future, Pool, wait
from tests.histories.scheduler import Endless, Lock, Scheduler
from tests.histories.seams import _found, _stands, places, played, replaced
from tests.histories.truth import holders
from tests.mutation.places import ROOT

_MANAGED = {"Lock", "RLock", "local", "Event"}
"""What the function may have of threading: an event is only set and looked at."""


@pytest.mark.parametrize("seed", range(25))
def test_nothing_is_wrong(seed: int) -> None:
    assert play(seed).wrong == []


@pytest.mark.parametrize("seed", failed_once())
def test_what_was_wrong_once_is_not_any_more(seed: int) -> None:
    assert play(seed).wrong == []


def test_a_server_of_another_project_is_in_no_list_of_ours() -> None:
    cloud = Cloud(port=80)
    ours, others = cloud.add_server(), cloud.add_server()
    volume, moved = cloud.add_volume(attachments=[ours]), cloud.add_volume(attachments=[others])
    assert holders(cloud).keys() == {volume.id, moved.id}

    others.project_id = cloud.other_project_id

    assert holders(cloud) == {volume.id: frozenset({ours.id})}


def test_a_seed_says_all() -> None:
    program = (
        "import sys; from tests.histories.history import play; print([play(n).digest for n in (7, 281)])"
    )

    said = [
        subprocess.run(
            [sys.executable, "-c", program],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            encoding="utf-8",
            check=True,
            timeout=60,
        ).stdout
        for hash_seed in ("1", "2")
    ]

    assert said[0] == said[1]
    assert said[0] == f"{[play(seed).digest for seed in (7, 281)]}\n"
    assert play(7).digest != play(8).digest


def test_nothing_real_is_left() -> None:
    scheduler = Scheduler(Random(0))
    real = _stands(scheduler, lambda: None).keys()
    assert len(places()) > 30

    with replaced(scheduler, lambda: None, 0):
        left = [(str(holder), name) for holder, name in _found(real)]

    assert left == []
    assert [*_found(real)] == [*places()], "what was there is put back"


@pytest.mark.parametrize("module", played(), ids=lambda module: str(module.__name__))
def test_nobody_waits_for_what_no_scheduler_knows(module: object) -> None:
    tree = ast.parse(inspect.getsource(module))  # type: ignore[arg-type]
    used = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "threading"
    }
    waits = {
        name.name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in node.names
        if name.name in {"asyncio", "queue", "select", "selectors", "signal"}
    }
    locks = [
        node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id == "cached_property"
    ]

    assert used <= _MANAGED
    assert (waits, locks) == (set(), [])


@pytest.mark.parametrize("kind", ["a live server is taken for gone", "what passes by itself is settled"])
def test_a_rule_that_is_wrong_is_caught(kind: str) -> None:
    caught = mutated.tried(kind, most=60)

    assert caught.seed is not None
    assert caught.wrong
    assert play(caught.seed).wrong == [], "here the rule is right"


def test_there_are_ten_kinds_of_wrong_rules() -> None:
    assert len(mutated.KINDS) >= 10
    assert [mutated.mutant_of(*kind).key for kind in mutated.KINDS.values()] == [*mutated.KINDS.values()]


def test_a_run_goes_on_where_it_was(tmp_path: Path) -> None:
    kept = tmp_path / "kept.json"
    first = Run(3, kept)
    first.play()

    again, other = Run(5, kept), Run(5, None)
    assert (again.done, again.counts) == (3, first.counts)
    again.play()
    other.play()

    assert again.done == other.done == 5
    said = json.loads(kept.read_text(encoding="utf-8"))
    kept.write_text(json.dumps({**said, "code": "another"}), encoding="utf-8")
    assert Run(5, kept).done == 0, "of other code nothing is known"


def _scheduled(*works: object) -> Scheduler:
    scheduler = Scheduler(Random(1))
    for work in works:
        scheduler.spawn(lambda work=work: work(scheduler))  # type: ignore[misc]
    scheduler.run()
    return scheduler


def test_time_passes_only_while_all_wait() -> None:
    moments: list[float] = []

    def nap(scheduler: Scheduler) -> None:
        began = scheduler.time()
        scheduler.sleep(3600)
        moments.append(scheduler.time() - began)

    _scheduled(nap, nap)

    assert all(3600 <= moment < 3601 for moment in moments)
    assert len(moments) == 2


def test_who_waits_for_a_lock_waits_as_long_as_it_may() -> None:
    got: list[bool] = []

    def hold(scheduler: Scheduler) -> None:
        lock = Lock(scheduler)
        lock.acquire()
        scheduler.spawn(lambda: got.append(lock.acquire(timeout=5)))
        scheduler.spawn(lambda: got.append(lock.acquire(timeout=50)))
        scheduler.sleep(20)
        lock.release()

    _scheduled(hold)

    assert sorted(got) == [False, True]


def test_who_holds_a_lock_that_may_be_taken_again_takes_it_again() -> None:
    got: list[bool] = []

    def hold(scheduler: Scheduler) -> None:
        lock = Lock(scheduler, again=True)
        with lock, lock:
            scheduler.spawn(lambda: got.append(lock.acquire(timeout=1)))
            scheduler.sleep(5)
        scheduler.spawn(lambda: got.append(lock.acquire(timeout=1)))

    _scheduled(hold)

    assert got == [False, True]


def test_who_waits_for_nobody_is_said_to() -> None:
    def hold(scheduler: Scheduler) -> None:
        lock = Lock(scheduler)
        lock.acquire()
        lock.acquire()

    with pytest.raises(Endless):
        _scheduled(hold)


def test_what_a_task_dies_of_comes_out() -> None:
    def fail(_: Scheduler) -> None:
        raise LookupError("it")

    with pytest.raises(LookupError, match="it"):
        _scheduled(fail, lambda scheduler: scheduler.sleep(10))


def test_a_killed_process_does_nothing_more() -> None:
    done: list[str] = []

    def two_steps(scheduler: Scheduler) -> None:
        done.append("one")
        scheduler.sleep(10)
        done.append("two")

    def kill(scheduler: Scheduler) -> None:
        scheduler.spawn(lambda: two_steps(scheduler), owner="it")
        scheduler.sleep(5)
        scheduler.kill("it")
        scheduler.sleep(20)

    _scheduled(kill)

    assert done == ["one"]


def test_a_pool_does_so_many_at_once() -> None:
    at_once: list[int] = []
    results: list[list[int]] = []

    def work(scheduler: Scheduler) -> None:
        running = 0

        def one(number: int) -> int:
            nonlocal running
            running += 1
            at_once.append(running)
            scheduler.sleep(1)
            running -= 1
            return number

        with Pool(scheduler, 2) as pool:
            futures: list[Future] = [pool.submit(one, number) for number in range(4)]
            first = wait(scheduler, futures, return_when="FIRST_COMPLETED")
            assert 1 <= len(first.done) <= 2
            results.append([*pool.map(one, range(3))])
            results.append([future.result() for future in futures])

    _scheduled(work)

    assert results == [[0, 1, 2], [0, 1, 2, 3]]
    assert max(at_once) == 2
