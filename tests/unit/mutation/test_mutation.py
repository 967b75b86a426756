"""The mutations: what is changed, by what name it is known, and that its survival or end is told rightly."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.mutation.__main__ import SEED, Kept, chosen, explained, missing
from tests.mutation.operators import Mutant, mutants_of
from tests.mutation.places import REQUIRED, ROOT, SWITCHED_ON, all_mutants, source_of

GROUPS = all_mutants()

SAMPLE = """
from functools import cached_property

COLOURS = frozenset({"red", "green"})


def larger(a, b):
    return a if a > b else b


def known(colour, *, strict):
    if strict and colour not in COLOURS:
        raise LookupError(colour)
    return colour in COLOURS


def counted(times):
    left, count = times, 0
    while left:
        left -= 1
        count += 1
    return count


class Once:
    def __init__(self):
        self.asked = 0

    @cached_property
    def answer(self):
        self.asked += 1
        return self.asked

    @staticmethod
    def even(number):
        return number % 2 == 0

class Twice(Once):
    def reset(self):
        super().__setattr__("asked", 0)


def never_asked(value):
    return not value
"""

JUDGE = """
import pytest
import sample
from sample import COLOURS, Once, Twice, counted, known, larger


def test_larger():
    assert (larger(1, 2), larger(2, 1), larger(1, 1)) == (2, 2, 1)


def test_known():
    assert known("red", strict=True) and known("green", strict=False) and not known("blue", strict=False)
    assert known("green", strict=True) and len(COLOURS) == len(sample.COLOURS)
    with pytest.raises(LookupError):
        known("blue", strict=True)


def test_counted():
    assert counted(3) == 3


def test_once():
    once = Once()
    assert (once.answer, once.answer, once.asked) == (1, 1, 1)
    assert Once.even(2) and not Once.even(3)


def test_twice():
    twice = Twice()
    assert twice.answer == 1
    twice.reset()
    assert twice.asked == 0
"""

CHAINED = ("0 <= a", "a < b", "0 > a < b", "0 < a < b", "0 <= a >= b", "0 <= a <= b")

SURVIVE = {
    ("sample:larger", "a > b -> (a >= b)"),  # of two equal ones either will do
    ("sample:never_asked", "not value -> (value)"),
}

PROGRAM = """
import json
import sys
from tests.mutation import running
from tests.mutation.operators import mutants_of
from tests.mutation.places import source_of

running._PATIENCE = 0.5

def work(judges):
    for mutant in mutants_of("sample", source_of("sample")):
        verdict = judges.judge(mutant)
        print(json.dumps([*mutant.key, verdict.killer, verdict.asked]))
        if mutant.change == "self.asked += 1 -> pass":
            first = ("test_sample.py::test_twice", "test_sample.py::test_once")
            print([judges.judge(mutant, name).killer for name in first] == [*first], file=sys.stderr)
    return 0

raise SystemExit(running.run(work, ["sample"], ["test_sample.py"]))
"""


def _judged(folder: Path, judge: str) -> subprocess.CompletedProcess[str]:
    (folder / "sample.py").write_text(SAMPLE, encoding="utf-8")
    (folder / "test_sample.py").write_text(judge, encoding="utf-8")
    return subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=folder,
        env={"PYTHONPATH": f"{folder}:{ROOT}", "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=100,
    )


def test_what_a_test_finds_is_killed_and_what_none_can_find_survives(tmp_path: Path) -> None:
    run = _judged(tmp_path, JUDGE)

    assert run.returncode == 0, run.stderr
    said = [json.loads(line) for line in run.stdout.splitlines()]
    survived = {(place, change) for place, change, killer, _ in said if killer is None}
    assert survived == SURVIVE
    killers = {change: killer for _, change, killer, _ in said if killer}
    assert killers["left -= 1 -> pass"] == "test_sample.py::test_counted", "one that never ends is ended"
    assert killers["cached_property -> property"] == "test_sample.py::test_once"
    assert killers['"red" -> *()'] == "test_sample.py::test_known"
    assert killers['super().__setattr__("asked", 0) -> pass'] == "test_sample.py::test_twice"
    asked = {place: number for place, _, _, number in said}
    assert (asked["sample:larger"], asked["sample:never_asked"]) == (1, 0), "only whose test reaches it"
    assert run.stderr == "True\n", "the one that is named is asked first"


def test_tests_that_fail_without_a_mutant_judge_nothing(tmp_path: Path) -> None:
    run = _judged(tmp_path, JUDGE.replace("counted(3) == 3", "counted(3) == 4"))

    assert run.returncode != 0
    assert "test_sample.py::test_counted" in run.stderr
    assert run.stdout == ""


def test_a_verdict_is_on_one_state_of_the_code_and_its_killer_is_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed, other = mutants_of("sample", SAMPLE)[:2]
    path = tmp_path / "made" / "verdicts.jsonl"
    Kept(path).add(killed, {"killer": "a test", "asked": 1, "able": 1, "seconds": 0.1})

    again = Kept(path)
    assert again.of(killed)["killer"] == "a test"
    assert (again.of(other), again.killer_of(other)) == (None, None)
    monkeypatch.setattr("tests.mutation.__main__._state", lambda: "another")
    later = Kept(path)
    assert later.of(killed) is None
    assert later.killer_of(killed) == "a test"
    later.add(killed, {"killer": None, "asked": 1, "able": 1, "seconds": 0.1})
    assert Kept(path).killer_of(killed) is None
    assert Kept(path).of(killed)["asked"] == 1


def test_a_mutant_keeps_its_name_wherever_its_line_goes() -> None:
    moved = "# more\n\n" + SAMPLE.replace("def known", "def before():\n    return 1\n\n\ndef known")

    assert [one.key for one in mutants_of("sample", moved)] == [
        one.key for one in mutants_of("sample", SAMPLE)
    ]
    assert {one.line for one in mutants_of("sample", moved)} != {
        one.line for one in mutants_of("sample", SAMPLE)
    }


@pytest.mark.parametrize(
    ("line", "changes"),
    [
        ("if a < b: raise", {"a < b -> True", "a < b -> False", "a < b -> (a <= b)"}),
        ("return a and not b", {"a and not b -> (a)", "a and not b -> (not b)", "not b -> (b)"}),
        ("return 0 <= a < b", {f"0 <= a < b -> ({other})" for other in CHAINED}),
        ("self.close(a)", {"self.close(a) -> pass"}),
        ("self.log.info(a < b)", set()),
        ("self.open = True", {"self.open = True -> pass", "True -> False"}),
        ("return min(a, b)", {"min -> max"}),
        ("return a.setdefault(b, a[0])", {"a.setdefault(b, a[0]) -> (a[0])"}),
        (
            "return time.monotonic() - a",
            {"time.monotonic -> time.time", "time.monotonic() - a -> (time.monotonic() + a)"},
        ),
        ("return f'{a if a else b}'", set()),
        ("return [a for a in b if a]", {"a -> True", "a -> False"}),
    ],
)
def test_the_operators(line: str, changes: set[str]) -> None:
    found = mutants_of("sample", f"def f(self, a, b):\n    {line}\n")

    assert {mutant.change for mutant in found} == changes


def test_a_type_s_other_name_is_left_alone() -> None:
    found = mutants_of("sample", 'KINDS = ("a", "b")\nBegin = Callable[[int, "str"], ("a", "b")]\n')

    assert {mutant.name for mutant in found} == {"KINDS"}


def test_a_mutant_shows_its_change_as_a_diff() -> None:
    (mutant,) = [one for one in mutants_of("sample", SAMPLE) if one.operator == "not" and "never" in one.name]

    assert mutant.applied(SAMPLE) == SAMPLE.replace("not value", "(value)")
    assert mutant.diff(SAMPLE).splitlines()[-2:] == ["-    return not value", "+    return (value)"]


@pytest.mark.parametrize("group", GROUPS)
def test_every_mutant_can_be_compiled_and_has_a_name_of_its_own(group: str) -> None:
    assert len({mutant.key for mutant in GROUPS[group]}) == len(GROUPS[group]) >= 15
    for mutant in GROUPS[group]:
        text = mutant.applied(source_of(mutant.module))
        compile(text, mutant.module, "exec")
        assert text != source_of(mutant.module)


def test_what_is_named_is_there() -> None:
    assert missing(GROUPS) == []
    assert sum(map(len, GROUPS.values())) > 150


def test_the_required_ones_are_among_the_few_and_each_group_is() -> None:
    few = chosen(GROUPS, SEED, 100)

    assert {mutant.key for _, mutant in few} >= set(REQUIRED)
    assert {group for group, _ in few} == GROUPS.keys() - SWITCHED_ON
    assert few == chosen(GROUPS, SEED, 100), "a seed says which"
    assert few != chosen(GROUPS, SEED + 1, 100)
    assert all(explained(mutant) is None for _, mutant in few)


def test_the_few_are_the_beginning_of_all() -> None:
    everything: list[tuple[str, Mutant]] = chosen(GROUPS, SEED, None)

    assert chosen(GROUPS, SEED, 100) == everything[:100]
    judged = sum(explained(mutant) is None for mutants in GROUPS.values() for mutant in mutants)
    assert len(everything) == judged
    late = [group in SWITCHED_ON for group, _ in everything]
    assert late == sorted(late), "what is off by default is judged last"
