from __future__ import annotations

from handler.invocation import Deadline
from tests.unit.actions.answers import Clock
from tests.unit.contexts import call_context


def test_a_deadline_counts_down_to_nothing_and_not_below() -> None:
    clock = Clock()
    deadline = Deadline.after(2.0, clock)

    seen = []
    for _ in range(4):
        seen.append((deadline.remaining(), deadline.expired))
        clock.sleep(1.0)

    assert seen == [(2.0, False), (1.0, False), (0.0, True), (0.0, True)]


def test_the_sooner_of_two_deadlines_holds() -> None:
    clock = Clock()
    deadline = Deadline.after(5.0, clock)

    assert deadline.sooner(3.0).remaining() == 3.0
    assert deadline.sooner(30.0).remaining() == 5.0


def test_a_context_within_a_time_has_its_own_deadline_back_afterwards() -> None:
    clock = Clock()
    context = call_context(5.0, clock)
    whole = context.deadline

    try:
        with context.within(1.0) as until:
            assert context.deadline is until
            assert until.remaining() == 1.0
            raise KeyError
    except KeyError:
        pass

    assert context.deadline is whole
