"""The line `run`: how one sweep ended, with all its counts, so that one line is enough to judge it by."""

from __future__ import annotations

import time
from typing import Any

from handler.invocation import CallContext
from handler.model.result import ManyResult, Outcome
from handler.telemetry import Event

_COUNTED = tuple(outcome for outcome in Outcome if outcome is not Outcome.IGNORED)  # a sweep ignores nothing


class RunLine:
    """Made as a sweep begins, told what its lists say, written as it ends. What it never learns is null."""

    def __init__(self, context: CallContext) -> None:
        self._log = context.log
        self._began = time.monotonic()
        self._told: dict[str, Any] = dict.fromkeys(
            (
                "dry_run",
                "limit",
                "volumes",
                "servers",
                "attachments",
                "candidates",
                "stuck",
                "too_young",
                "filtered",
                "unreadable",
            )
        )

    def tell(self, **counts: Any) -> None:
        """Note what the sweep goes by."""
        self._told.update(counts)

    def write(self, result: ManyResult) -> None:
        """Write it. `cleared` counts records seen changed; each outcome is counted under its own name.

        Its level is about the sweep as a whole: what became of single targets, their own lines say.
        """
        error = result.error
        counted: dict[str, Any] = {
            outcome.value: result.summary.get(outcome.value, 0) for outcome in _COUNTED
        }
        write = self._log.ended(error, ok=error is None)
        write(
            Event.RUN,
            ok=result.ok,
            code=error.code.value if error else None,
            message=error.message if error else None,
            complete=result.complete,
            **self._told,
            over_limit=result.scanned.skipped.over_limit if result.scanned else None,
            cleared=sum(part.changed is True for part in result.results),
            **counted,
            duration_ms=round((time.monotonic() - self._began) * 1000),
        )
