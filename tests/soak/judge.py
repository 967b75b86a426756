"""What a soak has to have shown; each fault is found by a test in tests/unit/soak."""

from __future__ import annotations

import json
import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from tests.soak.load import Unanswered
from tests.soak.processes import Held

GROWTH = 2.0
"""MiB that the fitted line of memory may rise by, over the whole of the judged time."""

LATE = 5.0
"""Seconds before SIGTERM from which on a request may not have been begun (the machine may be busy)."""

MOST_KEPT = 64
"""Connections to the cloud that a server keeps."""


class Sample(NamedTuple):
    """Memory in MiB at a moment, in seconds."""

    at: float
    memory: float


@dataclass
class Life:
    """A server from its start to its end. Times are on the monotonic clock."""

    url: str
    began: float
    told_to_end: float | None = None
    took_to_end: float = 0.0
    exit_code: int | None = None
    left: tuple[int, ...] = ()
    memory: float = 0.0
    in_flight: int = 0


@dataclass
class Lines:
    """What the logs of all servers say."""

    changing: Counter[str] = field(default_factory=Counter)
    changed: Counter[str] = field(default_factory=Counter)
    too_early: int = 0
    bugs: list[str] = field(default_factory=list)
    leaks: int = 0
    events: Counter[str] = field(default_factory=Counter)

    def read(self, lines: Iterable[str], secret: str) -> None:
        """Take in one log. ``secret`` is what every secret begins with."""
        for text in lines:
            self.leaks += secret in text
            try:
                line = json.loads(text)
            except ValueError:
                if "Traceback" in text or "[ERROR]" in text or "[CRITICAL]" in text:
                    self.bugs.append(text.strip())
                continue
            self.events[line["event"]] += 1
            if line["event"] == "internal_error":
                self.bugs.append(text.strip())
            if line["event"] == "changing":
                self.changing[_about(line)] += 1
            elif line["event"] == "changed":
                self.changed[_about(line)] += 1
                self.too_early += self.changed[_about(line)] > self.changing[_about(line)]


def _about(line: dict[str, str]) -> str:
    return f"{line['call']} {line['volume_id']}"


@dataclass
class Seen:
    """All that a soak saw. ``changes`` are the calls to change something that reached the cloud, as in Lines.

    ``unanswered`` are the deliveries that got no answer.
    """

    sent: Counter[str]
    settled: Counter[str]
    kinds: Sequence[str]
    lost: list[str]
    unanswered: Sequence[Unanswered]
    lives: list[Life]
    samples: list[Sample]
    idle_before: Held
    idle_after: Held
    changes: Counter[str]
    lines: Lines
    faults: int
    asked: int
    secrets: int


def slope(samples: Sequence[Sample]) -> float:
    """MiB a minute, of the line fitted by least squares; 0 for fewer than two."""
    if len(samples) < 2:
        return 0.0
    fitted = statistics.linear_regression([one.at for one in samples], [one.memory for one in samples])
    return 60 * fitted.slope


def later_half(samples: Sequence[Sample]) -> list[Sample]:
    """Those that are judged: caches, pools and the allocator's arenas have filled by then."""
    middle = (samples[0].at + samples[-1].at) / 2 if samples else 0.0
    return [one for one in samples if one.at >= middle]


def growth(samples: Sequence[Sample]) -> float:
    """MiB by which the fitted line rises in the later half."""
    judged = later_half(samples)
    return slope(judged) * (judged[-1].at - judged[0].at) / 60 if judged else 0.0


def wrong(seen: Seen) -> list[str]:
    """What is wrong, in words; nothing when all is as it should be."""
    return [*_events(seen), *_ends(seen), *_held(seen), *_logged(seen)]


def _events(seen: Seen) -> Iterable[str]:
    yield from (f"lost: {one}" for one in seen.lost)
    unsettled = seen.sent - seen.settled
    if unsettled:
        yield f"not settled as they should: {dict(unsettled)}"
    missing = [kind for kind in seen.kinds if not seen.settled[kind]]
    if missing:
        yield f"never sent: {missing}"
    if not 0.05 < seen.faults / max(seen.asked, 1) < 0.15:
        yield f"{seen.faults} of {seen.asked} answers were bent, not a tenth"


def _ends(seen: Seen) -> Iterable[str]:
    for one in seen.unanswered:
        # The port may have been an earlier server's, too
        lives = [life for life in seen.lives if life.url == one.url and life.began <= one.failed_at]
        told = max(lives, key=lambda life: life.began).told_to_end if lives else None
        if one.begun:
            yield f"{one.url} was at work on a request when told to end, and gave no answer ({one.why})"
        elif told is None or one.failed_at < told or (one.sent_at is not None and one.sent_at < told - LATE):
            yield f"{one.url} gave no answer, and was not ending: {one}, told to end at {told}"
    for life in seen.lives:
        if life.exit_code != 0:
            yield f"{life.url} ended with {life.exit_code}"
        if life.left:
            yield f"{life.url} left processes behind: {life.left}"
        if not life.in_flight:
            yield f"{life.url} had nothing to do when it was told to end"


def _held(seen: Seen) -> Iterable[str]:
    grown = growth(seen.samples)
    if grown > GROWTH:
        judged = later_half(seen.samples)
        yield (
            f"memory grows: {slope(judged):+.2f} MiB a minute in the later half, "
            f"{grown:.1f} MiB in all (at most {GROWTH:g})"
        )
    lives = [Sample(life.began, life.memory) for life in seen.lives]
    if growth(lives) > GROWTH:
        yield f"each life ends with more memory: {growth(lives):.1f} MiB in the later half of the lives"
    before, after = seen.idle_before, seen.idle_after
    if after.threads > before.threads:
        yield f"threads are left: {before.threads}, then {after.threads}"
    if after.descriptors > before.descriptors:
        yield f"descriptors are left: {before.descriptors}, then {after.descriptors}"
    if after.kept > MOST_KEPT:
        yield f"{after.kept} connections to the cloud are kept"


def _logged(seen: Seen) -> Iterable[str]:
    lines = seen.lines
    for about in sorted(lines.changing | lines.changed | seen.changes):
        before, after, reached = lines.changing[about], lines.changed[about], seen.changes[about]
        if before != after or before < reached:
            yield f"{about}: {reached} calls, {before} lines before, {after} lines after"
    if lines.too_early:
        yield f"{lines.too_early} lines say that something changed, and none before them that it would"
    if not lines.changing:
        yield "nothing was cleared"
    if lines.leaks:
        yield f"{lines.leaks} lines hold a secret"
    yield from (f"in the log: {one}" for one in lines.bugs)
