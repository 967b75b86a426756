"""The rows of each part: what is measured of ours and of what it is compared with, and the bounds."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from tests.bench import calls, chain, peers, serving, start, sweeping
from tests.bench import memory as functions_memory
from tests.bench.processes import instructions, run
from tests.bench.table import Row

_MIB = 1024 * 1024
_MANY = 100_000
_OF_A_FUNCTION = 10_000
_MOST_OF_A_FUNCTION = 110 * _MIB
"""What a function of 128 MiB may take."""

_MOST_MEMORY = 350 * _MIB
"""What a sweep of a million volumes may take."""


@dataclass(frozen=True)
class Effort:
    """How much is measured. Seconds are of one round of load."""

    tries: int = 9
    starts: int = 41
    rounds: int = 15
    targets: int = 100
    seconds: float = 3.0
    turns: int = 7
    volumes: int = 100_000
    sweeps: int = 3
    growth: Sequence[int] = (100, 1_000, 10_000, 100_000, 1_000_000)


QUICK = Effort(
    tries=1,
    starts=15,
    rounds=5,
    targets=40,
    seconds=1.0,
    turns=3,
    volumes=10_000,
    sweeps=1,
    growth=(100, 1_000, 10_000),
)


def waited(_url: str, effort: Effort) -> Iterator[Row]:
    found = {
        who: {name: median(seconds) for name, seconds in cases.items()}
        for who, cases in chain.measure(effort.tries).items()
    }
    for case in chain.CASES:
        seconds = found[peers.OURS][case.name]
        hang = f"{case.physical} that hang on each other"
        yield Row(f"(h) {case.what}", _s(seconds), hang, seconds / chain.LATENCY, case.at_most)
        for who, cases in found.items():
            if who != peers.OURS and case.name in cases:
                its = cases[case.name]
                waits = its / chain.LATENCY
                compared = f"{_s(its)}  {who}"
                yield Row(f"    {case.what}", _s(seconds), compared, seconds / its, other=waits)


def start_up(url: str, effort: Effort) -> Iterator[Row]:
    needed = run(["-m", "tests.bench.start", "needs", url]).splitlines()[-1].split()[1:]
    contenders = {
        "ours": [start.OURS, *needed],
        "bare": [start.BARE],
        "without stores": [start.OURS, *needed, *(f"-{store}" for store in start.STORES)],
        "with stores": [start.OURS, *needed, *start.STORES],
        peers.CINDERCLIENT: [start.OTHER, "cinderclient.client"],
        peers.SDK: [start.OTHER, "openstack.connection", *start.SDK_SERVICES],
        peers.HUAWEICLOUD: [start.OTHER, *start.HUAWEICLOUD],
    }
    contenders = {name: words for name, words in contenders.items() if peers.installed(name)}
    taken: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(effort.starts + 1):
        for name, words in contenders.items():
            taken[name].append(float(run(["-m", "tests.bench.start", *words])))
    medians = {name: median(each[1:]) for name, each in taken.items()}  # the first one writes the bytecode

    def row(what: str, other: str, *, named: str, at_most: float | None = None) -> Row:
        ratio = medians["ours"] / medians[other]
        return Row(what, _ms(medians["ours"]), f"{_ms(medians[other])}  {named}", ratio, at_most)

    libraries = "functions_framework, requests, pydantic"
    yield row("(a) start-up", "bare", named=libraries, at_most=1.03)
    counts = {
        name: instructions(["-m", "tests.bench.start", *words])
        for name, words in {**contenders, "nothing": [start.OTHER]}.items()
        if name in {"ours", "bare", "nothing"}
    }
    yield from _counted("(a) its instructions", counts, {"bare": libraries}, at_most=1.0)
    for peer in filter(contenders.__contains__, peers.MODULES):
        yield row("    start-up", peer, named=f"import of {peer}")
    yield row("(f) unused secret stores", "without stores", named="csms: and vault: taken away", at_most=1.05)
    yield row("    unused secret stores", "with stores", named="both imported")


def _counted(
    what: str, counts: Mapping[str, int | None], others: Mapping[str, str], at_most: float
) -> Iterator[Row]:
    """Rows of instructions, what `nothing` takes taken off. None where they can't be counted here."""
    counted = {name: count for name, count in counts.items() if count is not None}
    if len(counted) < len(counts):
        return
    nothing = counted["nothing"]
    ours = counted["ours"] - nothing
    for name, named in others.items():
        its = counted[name] - nothing
        yield Row(what, f"{ours / 1e6:.1f} M", f"{its / 1e6:.1f} M  {named}", ours / its, at_most)


def four_calls(url: str, effort: Effort) -> Iterator[Row]:
    words = ["-m", "tests.bench.calls", url, str(effort.rounds), str(effort.targets)]
    measured = {name: calls.Taken(**each) for name, each in json.loads(run(words)).items()}
    ours = measured[peers.OURS]
    for name, its in measured.items():
        if name == peers.OURS:
            continue
        bound = 0.5 if name == peers.REQUESTS else None
        named = "requests.Session" if name == peers.REQUESTS else name
        for what, mine, other in (
            ("four calls", ours.wall, its.wall),
            ("their processor time", ours.cpu, its.cpu),
        ):
            mark = "(b)" if bound else "   "
            me, it = median(mine) * 1000, median(other) * 1000
            yield Row(f"{mark} {what}", _ms(me), f"{_ms(it)}  {named}", me / it, bound)
    counts = {
        name: _by_difference(["-m", "tests.bench.calls", url, "0"], 20, 120, contender)
        for name, contender in (("ours", peers.OURS), ("requests", peers.REQUESTS))
    }
    others = {"requests": "requests.Session"}
    yield from _counted("(b) their instructions", {**counts, "nothing": 0}, others, at_most=0.5)


def _by_difference(words: Sequence[str], few: int, many: int, contender: str) -> int | None:
    """Instructions of one target, whatever had to be done before the first."""
    counts = [instructions([*words, str(targets), contender]) for targets in (few, many)]
    low, high = counts
    return None if low is None or high is None else (high - low) // (many - few)


def served(url: str, effort: Effort) -> Iterator[Row]:
    found = serving.measure(url, effort.turns, effort.seconds)
    ours, plain, parsed = (found[source] for source in (serving.OURS, serving.PLAIN, serving.PARSED))
    for what, other, named, at_least in (
        ("(c) requests per second", plain, "by hand", 2.0),
        ("    requests per second", parsed, "by hand, with pydantic", None),
        ("    requests per second", found[serving.NOTHING], "a handler that does nothing", None),
    ):
        rate, its = median(ours.rates), median(other.rates)
        yield Row(what, f"{rate:.0f} /s", f"{its:.0f} /s  {named}", rate / its, at_least=at_least)
    for other, named in ((plain, "by hand"), (found[serving.NOTHING], "a handler that does nothing")):
        mine, its = median(ours.cpu) * 1000, median(other.cpu) * 1000
        what = "    processor time of a request"
        yield Row(what, _ms(mine), f"{_ms(its)}  {named}", mine / its)
    for what, other, named, at_most in (
        ("(d) peak memory", plain, "by hand", 1.10),
        ("(d) peak memory", parsed, "by hand, with pydantic", 1.0),
    ):
        yield Row(what, _mib(ours.peak), f"{_mib(other.peak)}  {named}", ours.peak / other.peak, at_most)


def sweep(_url: str, effort: Effort) -> Iterator[Row]:
    small = sweeping.measure(1_000, 8)
    bound = 1.2 if effort.volumes >= _MANY else None  # of fewer, what comes before the lists tells
    for orphans, at_most in ((8, bound), (512, None)):
        runs = [sweeping.measure(effort.volumes, orphans) for _ in range(effort.sweeps)]
        large = sorted(runs, key=lambda one: one.seconds)[len(runs) // 2]
        what = f"{'(e)' if orphans == 8 else '   '} sweep of {effort.volumes:,} volumes, {orphans} orphans"
        ideal = f"{_s(large.ideal)}  {large.chain} pages of servers in a row, 20 ms each"
        if orphans > sweeping.CONCURRENCY:
            ideal += f", and {sweeping.IN_A_ROW} answers for {sweeping.CONCURRENCY} at once"
        yield Row(what, f"{large.seconds:.2f} s", ideal, large.seconds / large.ideal, at_most)
    slow = sweeping.measure(effort.volumes, 8, sweeping.SLOW)
    in_a_row = slow.chain * sweeping.SLOW
    what = f"    {effort.volumes:,} volumes whose pages take 100 ms"
    yield Row(what, _s(slow.seconds), f"{_s(in_a_row)}  its pages in a row", slow.seconds / in_a_row)
    peaks = large.peak / small.peak
    yield Row("    its peak memory", _mib(large.peak), f"{_mib(small.peak)}  1,000 volumes", peaks, 1.5)


def growth(_url: str, effort: Effort) -> Iterator[Row]:
    """From 100 volumes to the largest, each ten times the one before; kept for the plot."""
    points = [sweeping.measure(volumes, 8) for volumes in effort.growth]
    print(f"written: {sweeping.write_growth(points)}", file=sys.stderr)
    for point in points:
        found = f"    sweep of {point.volumes:,} volumes"
        yield Row(found, f"{point.seconds:.2f} s", f"{point.ideal:.2f} s", point.seconds / point.ideal)
    largest = points[-1]
    what = f"(i) peak memory, {largest.volumes:,} volumes"
    yield Row(what, _mib(largest.peak), _mib(_MOST_MEMORY), largest.peak / _MOST_MEMORY, 1.0)
    refused = sweeping.measure_refused(largest.volumes)
    what = f"(i) peak memory, {largest.volumes:,} that all look orphaned"
    yield Row(what, _mib(refused), _mib(_MOST_MEMORY), refused / _MOST_MEMORY, 1.0)


def memory(_url: str, _effort: Effort) -> Iterator[Row]:
    """What is billed, or ends it: for functions of 128 MiB."""
    for where, found in (
        ("served", functions_memory.served(_OF_A_FUNCTION)),
        ("FunctionGraph's entry point", functions_memory.called(_OF_A_FUNCTION)),
    ):
        for name, what in (("event", "one cold event"), ("sweep", f"a sweep of {_OF_A_FUNCTION:,}")):
            ratio = found[name] / _MOST_OF_A_FUNCTION
            yield Row(
                f"(j) peak of {what}, {where}", _mib(found[name]), _mib(_MOST_OF_A_FUNCTION), ratio, 1.0
            )


def whole_cloud(_url: str, effort: Effort) -> Iterator[Row]:
    orphans, projects = 500, max(2, effort.volumes // 50)
    alone = sweeping.measure_projects(effort.volumes, orphans, 1)
    all_of_it = sweeping.measure_projects(effort.volumes, orphans, projects)
    what = f"(g) sweep of {effort.volumes:,} volumes in {projects:,} projects"
    calls = all_of_it.calls / alone.calls
    yield Row(what, f"{all_of_it.calls} calls", f"{alone.calls} calls  in one project", calls, 1.02)
    peaks = all_of_it.peak / alone.peak
    yield Row("    its peak memory", _mib(all_of_it.peak), f"{_mib(alone.peak)}  one project", peaks, 1.1)
    seconds = f"{alone.seconds:.2f} s  one project"
    yield Row("    its time", f"{all_of_it.seconds:.2f} s", seconds, all_of_it.seconds / alone.seconds)


PARTS: Mapping[str, Callable[[str, Effort], Iterator[Row]]] = {
    "chain": waited,
    "start": start_up,
    "calls": four_calls,
    "served": served,
    "sweep": sweep,
    "growth": growth,
    "memory": memory,
    "cloud": whole_cloud,
}


def _ms(milliseconds: float) -> str:
    return f"{milliseconds:.2f} ms" if milliseconds < 10 else f"{milliseconds:.0f} ms"


def _s(seconds: float) -> str:
    return f"{seconds:.2f} s"


def _mib(size: int) -> str:
    return f"{size / _MIB:.1f} MiB"
