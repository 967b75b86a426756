"""Mutants judged by tests that are imported and collected once: each in a process that is forked for it."""

from __future__ import annotations

import gc
import os
import pickle
import resource
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import coverage
import pytest
from _pytest.runner import runtestprotocol

from tests.mutation.operators import Mutant
from tests.mutation.patching import put_in_place
from tests.mutation.places import JUDGES, TOO_SLOW, path_of, source_of

_MEMORY = 8 * 1024**3  # bytes a mutant may take: some never end
_PATIENCE = 10.0  # seconds for a test at least; a mutant may wait for ever
_AROUND = 30  # lines before and behind a mutant: most often its function
_TIMES = 10  # as long as a test took may it take


@dataclass
class Observed:
    """One test: what it took (seconds) and which lines of each module it reached, without any mutant."""

    number: int
    name: str
    seconds: float = 0.0
    passed: bool = False
    reached: dict[str, frozenset[int]] = field(default_factory=dict)


@dataclass(frozen=True)
class Verdict:
    """What became of a mutant: the test that failed, None where none did; of how many, of all, how long."""

    killer: str | None
    asked: int
    able: int
    seconds: float


class Unfit(Exception):
    """The tests can't judge: one fails without any mutant."""


class Judges:
    """The tests, as pytest collected them, and what each of them reaches. Lives inside pytest's own run.

    Of those that reach a mutant the nearest `most` are asked. `kept` is a file for what was seen of the
    tests, of this very state of code and tests.
    """

    def __init__(
        self, items: Sequence[pytest.Item], modules: Sequence[str], *, most: int, kept: Path | None
    ) -> None:
        self._items = items
        self.most = most
        self._killers: list[tuple[str, int]] = []
        gc.freeze()  # what is there now stays shared between the forks
        if kept is not None and kept.exists():
            self.tests = pickle.loads(kept.read_bytes())  # noqa: S301 (our own)
            return
        self.tests = _forked(partial(_observe, items, modules))
        unsteady = [test.number for test in self.tests if not test.passed]
        again = _forked(lambda: [number for number in unsteady if not _passes(items[number])])
        if again:
            raise Unfit("without any mutant: " + ", ".join(items[number].nodeid for number in again))
        if kept is not None:
            kept.write_bytes(pickle.dumps(self.tests))

    def judge(self, mutant: Mutant, killer: str | None = None) -> Verdict:
        """Whether a test fails with it, `killer` asked first where it reaches it.

        A failure counts when it is seen twice, now or before: a busy machine fails some.
        """
        started = time.monotonic()
        able = sorted(self._ordered(mutant), key=lambda test: test.name != killer)
        asked = able[: self.most]
        source = source_of(mutant.module)
        left = asked
        while left:
            failed = _forked(partial(self._first_failed, mutant, source, left))
            if failed is None:
                break
            position = next(i for i, test in enumerate(left) if test.number == failed)
            again = partial(self._first_failed, mutant, source, [left[position]])
            if left[position].name == killer or _forked(again) is not None:
                self._killers.insert(0, (mutant.place, failed))
                return Verdict(left[position].name, len(asked), len(able), time.monotonic() - started)
            left = left[position + 1 :]
        return Verdict(None, len(asked), len(able), time.monotonic() - started)

    def _ordered(self, mutant: Mutant) -> list[Observed]:
        """The steady tests that reach it: first those that found others like it, then its module's own.

        One of each way through what stands around it comes before a second of any: what is alike finds the
        same. Of a table's element those come first whose name has it.
        """
        able = [
            test
            for test in self.tests
            if test.passed
            and (
                mutant.line in test.reached[mutant.module]
                or (mutant.operator == "element" and test.reached[mutant.module])
            )
        ]
        named = mutant.old.strip("\"'") if mutant.operator == "element" else ""
        able.sort(
            key=lambda test: (
                named not in test.name,
                _distance(test.name, mutant.module),
                test.seconds,
            )
        )
        here = [number for place, number in self._killers if place == mutant.place]
        near = [number for place, number in self._killers if place.startswith(f"{mutant.module}:")]
        known = {number: position for position, number in enumerate(dict.fromkeys([*here, *near]))}
        ways: Counter[frozenset[int]] = Counter()
        order: dict[int, tuple[int, int]] = {}
        for test in able:
            way = frozenset(line for line in test.reached[mutant.module] if abs(line - mutant.line) < _AROUND)
            order[test.number] = known.get(test.number, len(known)), ways[way]
            ways[way] += 1
        return sorted(able, key=lambda test: order[test.number])

    def _first_failed(self, mutant: Mutant, source: str, tests: Sequence[Observed]) -> int | None:
        put_in_place(mutant, source)
        for test in tests:
            _tell(test.number)
            signal.setitimer(signal.ITIMER_REAL, max(_PATIENCE, _TIMES * test.seconds))
            if not _passes(self._items[test.number]):
                return test.number
        return None


def run(
    work: Callable[[Judges], int],
    modules: Sequence[str],
    judges: Sequence[str] = JUDGES,
    *,
    most: int = sys.maxsize,
    kept: Path | None = None,
) -> int:
    """Collect the tests, then do the work with them. Its exit status, or pytest's where that fails."""
    plugin = _Work(work, partial(Judges, modules=modules, most=most, kept=kept))
    arguments = ["-p", "no:terminal", "-p", "no:cacheprovider", "-s", "--hypothesis-seed=0"]
    skipped = " and ".join(f"not {name}" for name in TOO_SLOW)
    status = pytest.main(
        ["-o", "addopts=--import-mode=importlib", *arguments, "-k", skipped, *judges], plugins=[plugin]
    )
    return plugin.status if plugin.status is not None else int(status) or 3


class _Work:
    """Stands in for the loop in which pytest runs what it collected."""

    def __init__(
        self, work: Callable[[Judges], int], judges: Callable[[Sequence[pytest.Item]], Judges]
    ) -> None:
        self._work = work
        self._judges = judges
        self.status: int | None = None

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        if session.testsfailed:
            raise session.Interrupted("the tests can't be collected")
        self.status = self._work(self._judges(session.items))
        return True


def _distance(test: str, module: str) -> int:
    """How far a test's file is from the one that mirrors the module."""
    *folders, name = module.removeprefix("handler.").split(".")
    folder = "/".join(["tests/unit", *folders, ""])
    return 0 if test.startswith(f"{folder}test_{name}.py") else 1 if test.startswith(folder) else 2


def _observe(items: Sequence[pytest.Item], modules: Sequence[str]) -> list[Observed]:
    paths = {module: str(path_of(module)) for module in modules}
    watch = coverage.Coverage(data_file=None, config_file=False, include=list(paths.values()), messages=False)
    watch.start()
    tests = [Observed(number, item.nodeid) for number, item in enumerate(items)]
    for test in tests:
        watch.switch_context(str(test.number))
        started = time.monotonic()
        test.passed = _passes(items[test.number])
        test.seconds = time.monotonic() - started
    watch.stop()
    data = watch.get_data()
    for module, path in paths.items():
        lines: dict[int, set[int]] = {}
        for line, contexts in data.contexts_by_lineno(path).items():
            for context in filter(None, contexts):
                lines.setdefault(int(context), set()).add(line)
        for test in tests:
            test.reached[module] = frozenset(lines.get(test.number, ()))
    return tests


def _passes(item: pytest.Item) -> bool:
    if not getattr(item, "_request", True):
        item._initrequest()  # type: ignore[attr-defined]
    return not any(report.failed for report in runtestprotocol(item, log=False, nextitem=None))


_told: Any = None


def _tell(number: int) -> None:
    """Say which test is under way: where it never ends, nobody can say so afterwards."""
    _told.seek(0)
    _told.write(number.to_bytes(4, "big"))


def _forked(work: Callable[[], Any]) -> Any:
    """What the work gives in a process of its own. Where that dies, the number of the test it died at."""
    global _told
    sys.stdout.flush()
    with os.fdopen(os.memfd_create("mutation"), "w+b", buffering=0) as _told:
        reading, writing = os.pipe()
        child = os.fork()
        if not child:
            os.close(reading)
            _alone(work, writing)
        os.close(writing)
        with os.fdopen(reading, "rb") as answer:
            said = answer.read()
        _, status = os.waitpid(child, 0)
        with suppress(ProcessLookupError):
            os.killpg(child, signal.SIGKILL)
        if status == 0:
            return pickle.loads(said)  # noqa: S301 (our own child's)
        _told.seek(0)
        number = _told.read(4)
    if not number:
        raise Unfit(f"a process ended with {status} before its first test:\n{said.decode(errors='replace')}")
    return int.from_bytes(number, "big")


def _alone(work: Callable[[], Any], writing: int) -> None:
    """Do the work and end at once, whatever threads there are."""
    os.setpgid(0, 0)
    silent = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(silent, number)
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    with os.fdopen(writing, "wb") as answer:
        try:
            answer.write(pickle.dumps(work()))
        except BaseException as failed:  # noqa: BLE001 (said by the parent)
            answer.write(repr(failed).encode())
            answer.flush()
            os._exit(1)
    os._exit(0)
