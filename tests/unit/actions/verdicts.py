"""How a row of step 4 can end, whatever is taken for proof."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tests.unit.actions.answers import FREE, IN_USE, THE_VOLUME, Row, Said, get, post


def clears(name: str, answers: Sequence[Said], *, check: str = "gone", seen: Any = (False, None)) -> Row:
    return Row(
        name,
        [get(THE_VOLUME, 200, IN_USE), *answers, post(202), get(THE_VOLUME, 200, FREE)],
        "detached",
        changed=True,
        remaining=0,
        server=seen,
        status=("in-use", "available"),
        check=check,
    )


def keeps(
    name: str,
    answers: Sequence[Said],
    outcome: str,
    code: str,
    *,
    seen: Any = (None, None),
    looked: Any = IN_USE,
    **more: Any,
) -> Row:
    return Row(
        name,
        [get(THE_VOLUME, 200, looked), *answers],
        outcome,
        code,
        remaining=1,
        server=seen,
        status=("in-use", "in-use"),
        **more,
    )


def exists(name: str, answers: Sequence[Said], status: str | None, **more: Any) -> Row:
    return keeps(name, answers, "refused", "server_exists", seen=(True, status), **more)


def unknown(name: str, answers: Sequence[Said], **more: Any) -> Row:
    return keeps(name, answers, "refused", "server_unknown", **more)
