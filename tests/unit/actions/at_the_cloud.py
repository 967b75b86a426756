"""One target through the whole rule at an embedded cloud, and what came of it."""

from __future__ import annotations

from handler.invocation import Invocation, Trigger
from handler.model.request import Target
from handler.model.result import TargetResult
from handler.runtime import Runtime
from tests.embedded_cloud import Cloud, seed

ORPHAN = Target(volume_id=seed.ORPHAN_VOLUME, attachment_id=seed.ORPHAN_ATTACHMENT)
LIVE = Target(volume_id=seed.LIVE_VOLUME, attachment_id=seed.LIVE_ATTACHMENT)
SECOND_ORPHAN = Target(volume_id=seed.SECOND_ORPHAN_VOLUME, attachment_id=seed.SECOND_ORPHAN_ATTACHMENT)


def one(runtime: Runtime, target: Target) -> TargetResult:
    result = runtime.carry_out([target], Invocation(Trigger.HTTP, "r-1"))
    assert isinstance(result, TargetResult)
    return result


def said(result: TargetResult) -> tuple[str, str | None, bool | None]:
    return result.outcome.value, result.error.code.value if result.error else None, result.changed


def is_held(cloud: Cloud, target: Target) -> bool:
    return len(cloud.volume(target.volume_id).attachments) == 1
