"""The context of calls that a test makes without an entry point."""

from __future__ import annotations

import time

from handler.invocation import NO_PLATFORM, CallContext, Clock, Deadline, Invocation, Platform, Trigger


def call_context(
    seconds: float = 20.0,
    clock: Clock = time.monotonic,
    *,
    platform: Platform = NO_PLATFORM,
    request_id: str = "request-of-the-tests",
    trigger: Trigger = Trigger.TERMINAL,
) -> CallContext:
    """One whose calls end within so many seconds of this clock."""
    invocation = Invocation(trigger, request_id, platform=platform)
    return CallContext(invocation, Deadline.after(seconds, clock), invocation.log)
