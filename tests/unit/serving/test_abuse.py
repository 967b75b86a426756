"""A short form of `make abuse`: many callers at once, each of whom withholds something."""

from __future__ import annotations

import asyncio

from tests.abuse.callers import HOLDERS, abuse
from tests.unit.serving.conftest import Served


def test_the_probe_is_answered_whatever_200_callers_withhold(served: Served) -> None:
    seen = asyncio.run(abuse(served.port, callers=200, seconds=12.0, within=5.0))
    assert seen.unanswered == 0
    assert len(seen.took) > 1
    # some were hung up on, and came again
    assert seen.connections > 200 + len(HOLDERS)
