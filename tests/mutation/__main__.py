"""Judge the mutants: `python -m tests.mutation [--group NAME] [--only PLACE] [--seed N] [--most N] [--list]`.

What was judged is kept in build/mutants/: the same command goes on where it was ended, as long as neither
code nor tests changed. Where they did, the test that found a mutant before is asked first. Ends with 1 where
a mutant survives that tests/mutation/survivors.py doesn't explain, or where that page or the list of required
ones names a mutant that is not there any more.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from functools import partial
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any

from tests.mutation.operators import Mutant
from tests.mutation.places import GROUPS, REQUIRED, ROOT, SWITCHED_ON, all_mutants, source_of
from tests.mutation.running import Judges, run
from tests.mutation.survivors import EXPLAINED

SEED = 11
KEPT = ROOT / "build" / "mutants"


def explained(mutant: Mutant) -> str | None:
    """Why this one may survive; None where it may not."""
    reasons = EXPLAINED.get(mutant.place, {})
    return reasons.get(mutant.change) or reasons.get("*")


def missing(groups: dict[str, list[Mutant]]) -> list[str]:
    """What is named and is not there: code moved on, and its name has to follow."""
    keys = {mutant.key for mutants in groups.values() for mutant in mutants}
    places = {place for place, _ in keys}
    named = [*REQUIRED, *((place, change) for place, changes in EXPLAINED.items() for change in changes)]
    gone = [key for key in named if key not in keys and not (key[1] == "*" and key[0] in places)]
    return [f"{place} | {change}" for place, change in gone]


def chosen(groups: dict[str, list[Mutant]], seed: int, most: int | None) -> list[tuple[str, Mutant]]:
    """Those to judge, in their order: the required ones, then of each group in turn, as the seed has it.

    The groups of what is off by default are last.
    """
    first: list[tuple[str, Mutant]] = []
    shuffled: dict[bool, list[list[tuple[str, Mutant]]]] = {False: [], True: []}
    for group, mutants in groups.items():
        judged = [(group, mutant) for mutant in mutants if explained(mutant) is None]
        first += [one for one in judged if one[1].key in REQUIRED]
        rest = [one for one in judged if one[1].key not in REQUIRED]
        shuffled[group in SWITCHED_ON].append(sorted(rest, key=lambda one: _lot(seed, one[1])))
    turns = chain.from_iterable(chain(zip_longest(*shuffled[False]), zip_longest(*shuffled[True])))
    return [*first, *(one for one in turns if one is not None)][:most]


def _lot(seed: int, mutant: Mutant) -> bytes:
    """Each draws its own, so that others which come or go move none."""
    return hashlib.sha256(repr((seed, mutant.key)).encode()).digest()


def judge(
    chosen: Iterable[tuple[str, Mutant]], judges: Judges, kept: Kept
) -> Iterator[tuple[str, Mutant, Any]]:
    """Each with its verdict, from the file where it is there."""
    for group, mutant in chosen:
        said = kept.of(mutant)
        if said is None or (said["killer"] is None and said["asked"] < min(said["able"], judges.most)):
            verdict = judges.judge(mutant, kept.killer_of(mutant))
            said = {**asdict(verdict), "seconds": round(verdict.seconds, 2)}
            kept.add(mutant, said)
        yield group, mutant, said


class Kept:
    """The verdicts, a line each, with the state of code and tests that each is on."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._state = _state()
        file.parent.mkdir(parents=True, exist_ok=True)
        lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
        said = [json.loads(line) for line in lines]
        self._verdicts = {(line["place"], line["change"]): line for line in said}

    def of(self, mutant: Mutant) -> Any:
        """What was said of it on this state, None where nothing was."""
        said = self._verdicts.get(mutant.key)
        return said if said is not None and said["state"] == self._state else None

    def killer_of(self, mutant: Mutant) -> str | None:
        """The test that found it when it was judged last, on whatever state."""
        said = self._verdicts.get(mutant.key)
        return said["killer"] if said is not None else None

    def add(self, mutant: Mutant, said: dict[str, Any]) -> None:
        """Write it down at once."""
        line = {"state": self._state, "place": mutant.place, "change": mutant.change, **said}
        with self._file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


def _state() -> str:
    files = sorted(path for top in ("handler", "tests") for path in (ROOT / top).rglob("*.py"))
    files = [path for path in files if path.parent != Path(__file__).parent]
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()


def _work(
    judges: Judges, kept: Kept, groups: dict[str, list[Mutant]], wanted: list[tuple[str, Mutant]]
) -> int:
    started = time.monotonic()
    print(f"{len(judges.tests)} tests pass without any mutant; {len(wanted)} mutants", flush=True)
    count: Counter[tuple[str, str]] = Counter()
    for group, mutant, said in judge(wanted, judges, kept):
        word = "killed" if said["killer"] else "survived"
        count[group, word] += 1
        if word == "survived":
            print(f"SURVIVED {mutant.operator}: {mutant.place} | {mutant.change} ({said['asked']} tests)")
            print(mutant.diff(source_of(mutant.module)), flush=True)
    print(f"{'group':<20}{'mutants':>8}{'judged':>8}{'killed':>8}{'survived':>9}{'explained':>10}")
    for group, mutants in groups.items():
        killed, survived = count[group, "killed"], count[group, "survived"]
        reasons = sum(explained(mutant) is not None for mutant in mutants)
        print(f"{group:<20}{len(mutants):>8}{killed + survived:>8}{killed:>8}{survived:>9}{reasons:>10}")
    print(f"{time.monotonic() - started:.0f} s")
    return 1 if any(word == "survived" for _, word in count) else 0


def main() -> int:
    """See the module."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("--seed", type=int, default=SEED, help="the order in which they are judged")
    parser.add_argument("--most", type=int, help="how many at most; all by default")
    parser.add_argument("--group", choices=GROUPS, action="append", help="these groups only")
    parser.add_argument(
        "--only", default="", help="how their places begin: handler.actions.clear:Clearing._look"
    )
    parser.add_argument(
        "--tests", type=int, default=sys.maxsize, help="how many tests at most for one, the nearest first"
    )
    parser.add_argument("--list", action="store_true", help="name them and judge none")
    said = parser.parse_args()
    groups = all_mutants()
    if gone := missing(groups):
        print("named, but not there:", *gone, sep="\n  ")
        return 1
    wanted = [
        (group, mutant)
        for group, mutant in chosen(groups, said.seed, None)
        if group in (said.group or groups) and mutant.place.startswith(said.only)
    ][: said.most]
    if said.list:
        for group, mutant in wanted:
            print(f"{group}: {mutant.place} | {mutant.change}")
        return 0
    kept = Kept(KEPT / "verdicts.jsonl")
    modules = [module for group in GROUPS.values() for module in group]
    work = partial(_work, kept=kept, groups=groups, wanted=wanted)
    return run(work, modules, most=said.tests, kept=KEPT / f"{_state()}.tests")


if __name__ == "__main__":
    sys.exit(main())
