"""Attempts at what is switched off or forbidden, a few of hundreds: `make attempts` has them all."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest

from tests.attempts.__main__ import chosen
from tests.attempts.making import Attempts
from tests.attempts.table import KINDS, LIVE, STUCK, attempts
from tests.contract import test_live, test_recover

if TYPE_CHECKING:
    from tests.contract.case import Case

EACH = 15
MOST = 300


def test_sixty_attempts_change_nothing(case_alone: Case) -> None:
    with contextlib.closing(Attempts(case_alone.home)) as project:
        made = list(project.make(chosen("real", EACH)))
    assert [one for one in made if not one.harmless] == []
    case_alone.steps.append(f"{len(made)} attempts: nothing changed")


@pytest.mark.parametrize("kind", KINDS)
def test_there_are_enough_of_them(kind: str) -> None:
    assert len({attempt.name for attempt in attempts(kind)}) >= MOST


def test_what_is_tried_is_not_simply_impossible() -> None:
    """What is left alone while it is switched off is freed where it is on, at both clouds."""
    freed = {scene for scene, row in test_live.ROWS.items() if row[0] == "200 detached"}
    freed |= {scene for scene, said in test_recover.ROWS.items() if said == test_recover.RECOVERED}
    assert freed == {*LIVE[:2], *STUCK}
