"""The exit codes of the command, as one table, and which of them a result has."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing_extensions import Self

    from handler.model.result import Error, ManyResult, Result, Scanned, TargetResult


class ExitCode(IntEnum):
    """How a command ended, the first that holds in the order of `PRECEDENCE`."""

    meaning: str

    def __new__(cls, value: int, meaning: str = "") -> Self:
        """A member, which is its number."""
        code = int.__new__(cls, value)
        code._value_ = value
        code.meaning = meaning
        return code

    DONE = 0, "nothing left to do, done, or a dry run shown; a sweep that its limit ended, too"
    FAILED = 1, "failed, not confirmed, refused for now, out of time, not usable (check), no report written"
    USAGE = 2, "wrong usage, an event file that is not valid included"
    REFUSED = 3, "refused by a safety rule, or held back by a setting"
    FOUND = 4, "only with --exit-code: a dry run found something to clear"
    INTERRUPTED = 130, "interrupted, or asked and told no"


PRECEDENCE = (
    ExitCode.INTERRUPTED,
    ExitCode.USAGE,
    ExitCode.FAILED,
    ExitCode.REFUSED,
    ExitCode.FOUND,
    ExitCode.DONE,
)
"""Of several codes that hold at once, the first of these is the command's."""


def first(codes: Iterable[ExitCode]) -> ExitCode:
    """The one of several codes that the command ends with."""
    return min(codes, key=PRECEDENCE.index, default=ExitCode.DONE)


def exit_code(result: Result, *, found: bool = False) -> ExitCode:
    """The code of a result. `found`: a dry run that found something to clear is told apart."""
    from handler.model.result import ManyResult  # noqa: PLC0415 (the table alone is for --help)

    if isinstance(result, ManyResult):
        return first(_of_many(result, found))
    return _of_one(result, found)


def _of_many(result: ManyResult, found: bool) -> Iterator[ExitCode]:
    for part in result.works or result.results:
        yield exit_code(part, found=found)
    if result.works:
        return
    if result.error is not None:
        yield _of_error(result.error)
    if not result.complete and not ended_by_limit(result):
        yield ExitCode.FAILED


def ended_by_limit(work: Result) -> bool:
    """Whether one work's result is that of a sweep that its limit ended."""
    scanned: Scanned | None = getattr(work, "scanned", None)  # targets have none
    return scanned is not None and scanned.skipped.over_limit > 0


def _of_one(result: TargetResult, found: bool) -> ExitCode:
    from handler.model.result import Outcome  # noqa: PLC0415 (the table alone is for --help)

    if result.error is not None:
        return _of_error(result.error)
    passed_on = result.outcome is Outcome.DISPATCHED and result.dry_run
    found = found and (passed_on or result.outcome is Outcome.WOULD_DETACH)
    return ExitCode.FOUND if found else ExitCode.DONE


def _of_error(error: Error) -> ExitCode:
    """By the code's status: 4xx of the caller's own making, and 409, which is a safety rule's."""
    if error.retryable:
        return ExitCode.FAILED
    if error.code.http == 409:
        return ExitCode.REFUSED
    return ExitCode.USAGE if error.code.http == 400 else ExitCode.FAILED
