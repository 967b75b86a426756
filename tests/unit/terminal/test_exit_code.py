"""The exit codes: the table, what each result has, and which of several wins."""

from __future__ import annotations

import itertools

import click
import pytest

from handler.errors import ErrorCode
from handler.model.result import Outcome, Result, Scanned, Skipped
from handler.terminal.cli import cli
from handler.terminal.exit_code import PRECEDENCE, ExitCode, exit_code, first
from tests.unit.terminal.results import (
    FAILED,
    HALF_DONE,
    PASSING,
    REFUSED,
    UNCONFIRMED,
    UNDER_WAY,
    WOULD,
    many,
    one,
    refusal,
)

BY_LIMIT = Scanned(skipped=Skipped(over_limit=2))
INVALID = one(Outcome.FAILED, refusal(ErrorCode.INVALID_REQUEST), volume_id=None)

RESULTS: list[tuple[Result, int]] = [
    *((one(outcome), 0) for outcome in Outcome if outcome.ok),
    (many(), 0),
    (many(one(), one(Outcome.ALREADY_DETACHED)), 0),
    (many(one(), complete=False, scanned=BY_LIMIT), 0),
    (many(one(), complete=False, scanned=Scanned()), 1),
    (many(one(), complete=False), 1),
    (FAILED, 1),
    (UNCONFIRMED, 1),
    (UNDER_WAY, 1),
    (HALF_DONE, 1),
    (one(Outcome.REFUSED, refusal(ErrorCode.GUEST_REFUSED)), 3),
    (one(Outcome.REFUSED, refusal(ErrorCode.LIVE_EXPIRED)), 3),
    (one(Outcome.REFUSED, refusal(ErrorCode.VOLUME_HELD)), 3),
    (one(Outcome.REFUSED, refusal(ErrorCode.SERVER_BUSY, retryable=True)), 1),
    (PASSING, 1),
    (many(error=refusal(ErrorCode.LISTING_FAILED, retryable=True), complete=False), 1),
    (many(error=refusal(ErrorCode.PERMISSION_DENIED)), 1),
    (INVALID, 2),
    (REFUSED, 3),
    (many(REFUSED, error=refusal(ErrorCode.SWEEP_REFUSED)), 3),
    (many(one(), REFUSED), 3),
    (many(REFUSED, FAILED), 1),
    (many(INVALID, FAILED), 2),
]

LIMITED = many(one(), complete=False, scanned=BY_LIMIT)
LATE = many(one(), complete=False, scanned=Scanned())
UNLISTED = many(error=refusal(ErrorCode.LISTING_FAILED, retryable=True), complete=False)
HELD = many(REFUSED, error=refusal(ErrorCode.SWEEP_REFUSED))

TOGETHER: list[tuple[list[Result], int]] = [
    ([LIMITED, one()], 0),
    ([LIMITED, LIMITED], 0),
    ([LIMITED, LATE], 1),
    ([LATE, LIMITED], 1),
    ([LIMITED, many(one(), complete=False)], 1),
    ([HELD, one()], 3),
    ([HELD, UNLISTED], 1),
    ([one(), UNLISTED], 1),
    ([LIMITED, REFUSED], 3),
    ([LIMITED, HELD, INVALID], 2),
]


@pytest.mark.parametrize(("result", "code"), RESULTS)
def test_a_result_has_its_code(result: Result, code: int) -> None:
    assert exit_code(result) == code


@pytest.mark.parametrize("code", ErrorCode)
def test_every_error_that_is_not_for_good_is_1(code: ErrorCode) -> None:
    assert exit_code(one(Outcome.FAILED, refusal(code, retryable=True))) == 1


def test_what_a_dry_run_found_is_told_apart_only_when_asked_for() -> None:
    assert exit_code(many(WOULD)) == 0
    assert exit_code(many(WOULD), found=True) == 4
    assert exit_code(many(WOULD, REFUSED), found=True) == 3
    assert exit_code(many(one()), found=True) == 0


@pytest.mark.parametrize(("works", "code"), TOGETHER)
def test_what_came_together_has_the_first_of_each_ones_code(works: list[Result], code: int) -> None:
    for told in (BY_LIMIT, None):  # what is shown of the whole decides nothing
        assert exit_code(many(complete=False, scanned=told, works=tuple(works))) == code


def test_what_a_dry_run_passed_on_is_found() -> None:
    passed_on = one(Outcome.DISPATCHED, dry_run=True)
    assert exit_code(many(passed_on), found=True) == 4
    assert exit_code(many(works=(many(), passed_on)), found=True) == 4
    assert exit_code(many(passed_on)) == 0
    assert exit_code(many(one(Outcome.DISPATCHED)), found=True) == 0
    assert exit_code(many(one(dry_run=True)), found=True) == 0


def test_the_first_of_several_wins() -> None:
    assert [int(code) for code in PRECEDENCE] == [130, 2, 1, 3, 4, 0]
    assert set(PRECEDENCE) == set(ExitCode)
    for some in itertools.permutations(PRECEDENCE, 3):
        assert first(some) is min(some, key=PRECEDENCE.index)
    assert first([]) is ExitCode.DONE


def test_the_help_has_them_all() -> None:
    lines = cli.get_help(click.Context(cli)).splitlines()
    for code in PRECEDENCE:
        assert f"  {code.value:3}  {code.meaning}" in lines
