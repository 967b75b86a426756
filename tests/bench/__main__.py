"""All benches in one run, as a table: ``python -m tests.bench [--quick] [PART…]``.

What is compared is measured in turns, in one run, on one machine: only the ratios mean something. Ends with 1
where a bound is missed. The machine may have been busy: no test asks for it.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from tests.bench import calls, serving, start, sweeping
from tests.bench.processes import first_line, program, run
from tests.bench.table import Row, show

_MIB = 1024 * 1024


@dataclass(frozen=True)
class Effort:
    """How much is measured. Seconds are of one round of load."""

    starts: int = 31
    rounds: int = 15
    targets: int = 100
    seconds: float = 3.0
    turns: int = 7
    volumes: int = 100_000
    sweeps: int = 3


QUICK = Effort(starts=15, rounds=5, targets=40, seconds=1.0, turns=3, volumes=10_000, sweeps=1)


def start_up(url: str, effort: Effort) -> Iterator[Row]:
    needed = run(["-m", "tests.bench.start", "needs", url]).splitlines()[-1].split()[1:]
    contenders = {
        "ours": [start.OURS, *needed],
        "bare": [start.BARE],
        "without stores": [start.OURS, *needed, *(f"-{store}" for store in start.STORES)],
        "with stores": [start.OURS, *needed, *start.STORES],
        "cinderclient": [start.OTHER, "cinderclient.client"],
        "openstacksdk": [start.OTHER, "openstack.connection", *start.SDK_SERVICES],
    }
    taken: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(effort.starts + 1):
        for name, words in contenders.items():
            taken[name].append(float(run(["-m", "tests.bench.start", *words])))
    medians = {name: median(each[1:]) for name, each in taken.items()}  # the first one writes the bytecode

    def row(what: str, other: str, *, named: str, at_most: float | None = None) -> Row:
        ratio = medians["ours"] / medians[other]
        return Row(what, _ms(medians["ours"]), f"{_ms(medians[other])}  {named}", ratio, at_most)

    yield row("(a) start-up", "bare", named="functions_framework, requests, pydantic", at_most=1.03)
    yield row("    start-up", "cinderclient", named="import of cinderclient")
    yield row("    start-up", "openstacksdk", named="import of openstacksdk")
    yield row("(f) unused secret stores", "without stores", named="csms: and vault: taken away", at_most=1.05)
    yield row("    unused secret stores", "with stores", named="both imported")


def four_calls(url: str, effort: Effort) -> Iterator[Row]:
    words = ["-m", "tests.bench.calls", url, str(effort.rounds), str(effort.targets)]
    medians = {name: median(each) * 1000 for name, each in json.loads(run(words)).items()}
    bounds = {calls.REQUESTS: 0.75}
    for name in (calls.REQUESTS, calls.CINDERCLIENT, calls.SDK):
        what = "(b) four calls" if name in bounds else "    four calls"
        ours, other = medians[calls.OURS], medians[name]
        named = "requests.Session" if name == calls.REQUESTS else name
        yield Row(what, _ms(ours), f"{_ms(other)}  {named}", ours / other, bounds.get(name))


def served(url: str, effort: Effort) -> Iterator[Row]:
    found = serving.measure(url, effort.turns, effort.seconds)
    ours, plain, parsed = (found[source] for source in (serving.OURS, serving.PLAIN, serving.PARSED))
    for what, other, named, at_least in (
        ("(c) requests per second", plain, "by hand", 1.2),
        ("    requests per second", parsed, "by hand, with pydantic", None),
    ):
        rate, its = median(ours.rates), median(other.rates)
        yield Row(what, f"{rate:.0f} /s", f"{its:.0f} /s  {named}", rate / its, at_least=at_least)
    for what, other, named, at_most in (
        ("(d) peak memory", plain, "by hand", 1.10),
        ("    peak memory", parsed, "by hand, with pydantic", None),
    ):
        yield Row(what, _mib(ours.peak), f"{_mib(other.peak)}  {named}", ours.peak / other.peak, at_most)


def sweep(_url: str, effort: Effort) -> Iterator[Row]:
    small = sweeping.measure(1_000, 5)
    runs = [sweeping.measure(effort.volumes, 500) for _ in range(effort.sweeps)]
    large = sorted(runs, key=lambda one: one.seconds)[len(runs) // 2]
    what = f"(e) sweep of {effort.volumes:,} volumes"
    ideal = f"{large.ideal:.2f} s  {large.calls} calls of 20 ms, {sweeping.CONCURRENCY} at once"
    yield Row(what, f"{large.seconds:.2f} s", ideal, large.seconds / large.ideal, 1.5)
    peaks = large.peak / small.peak
    yield Row("    its peak memory", _mib(large.peak), f"{_mib(small.peak)}  1,000 volumes", peaks, 1.5)


def whole_cloud(_url: str, effort: Effort) -> Iterator[Row]:
    orphans, projects = 500, max(2, effort.volumes // 50)
    alone = sweeping.measure(effort.volumes, orphans)
    all_of_it = sweeping.measure(effort.volumes, orphans, projects)
    what = f"(g) sweep of {effort.volumes:,} volumes in {projects:,} projects"
    calls = all_of_it.calls / alone.calls
    yield Row(what, f"{all_of_it.calls} calls", f"{alone.calls} calls  in one project", calls, 1.02)
    peaks = all_of_it.peak / alone.peak
    yield Row("    its peak memory", _mib(all_of_it.peak), f"{_mib(alone.peak)}  one project", peaks, 1.1)
    seconds = f"{alone.seconds:.2f} s  one project"
    yield Row("    its time", f"{all_of_it.seconds:.2f} s", seconds, all_of_it.seconds / alone.seconds)


PARTS: Mapping[str, Callable[[str, Effort], Iterator[Row]]] = {
    "start": start_up,
    "calls": four_calls,
    "served": served,
    "sweep": sweep,
    "cloud": whole_cloud,
}


def _ms(milliseconds: float) -> str:
    return f"{milliseconds:.2f} ms" if milliseconds < 10 else f"{milliseconds:.0f} ms"


def _mib(size: int) -> str:
    return f"{size / _MIB:.1f} MiB"


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds: a first impression")
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)} (default: all)")
    options = parser.parse_args(arguments)
    unknown = set(options.parts) - set(PARTS)
    if unknown:
        parser.error(f"there is no part {', '.join(sorted(unknown))}")
    effort = QUICK if options.quick else Effort()
    rows: list[Row] = []
    with program("-m", "tests.bench.stub") as stub:
        url = f"http://127.0.0.1:{first_line(stub)}"
        for name in options.parts or PARTS:
            print(f"{name} …", file=sys.stderr, flush=True)
            rows += PARTS[name](url, effort)
    print(show(rows))
    return int(any(row.missed for row in rows))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
