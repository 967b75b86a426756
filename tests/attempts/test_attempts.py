"""Hundreds of attempts at what is switched off or forbidden: not one record or disk changes.

At the embedded cloud, with Cinder's guard switched off: what keeps a disk is the function's own rule.
`--attempts N` takes N of each kind, spread evenly over the table.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from handler.invocation import Invocation, Trigger
from handler.runtime import Runtime
from handler.triggers.parse import read_work
from tests.attempts.scenes import ALLOWED, FORBIDDEN, Attempt, attempts
from tests.embedded_cloud import Cloud

OFF = [*attempts(FORBIDDEN), *attempts(ALLOWED)]
ON = [*attempts(FORBIDDEN)]
MOST = 300


def _spread(rows: list[Attempt], wanted: int) -> list[Attempt]:
    """So many rows, evenly over all; where more are wanted than there are, all of them again."""
    return [rows[index * len(rows) // wanted % len(rows)] for index in range(wanted)]


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    with Cloud() as cloud:
        cloud.asks_compute = False
        yield cloud


def _runtime(cloud: Cloud, word: str) -> Runtime:
    return Runtime(
        {
            **cloud.environment(),
            "DETACH_TOKEN_SECRET": "env:PLANTED_TOKEN",
            "PLANTED_TOKEN": cloud.token(),
            "DETACH_INVOKE_AUTH": "platform",
            "DETACH_LIVE": word,
            "DETACH_RECOVER": word,
            "DETACH_SWEEP_DRY_RUN": "false",
            "DETACH_SWEEP_MAX_FRACTION": "1",
            "DETACH_SWEEP_MIN_AGE_SECONDS": "0",
            "DETACH_LOG_LEVEL": "CRITICAL",
        }
    )


def _state(cloud: Cloud) -> tuple[Any, Any]:
    """All that matters of the world: each record with its entries, and who has which disk."""
    records = {
        volume.id: (volume.status, volume.updated_at, [entry.attachment_id for entry in volume.attachments])
        for volume in cloud.volumes
    }
    return records, {server.id: sorted(server.disks) for server in cloud.servers}


@pytest.mark.parametrize(("word", "rows"), [("off", OFF), ("on", ON)])
def test_not_one_record_or_disk_changes(
    cloud: Cloud, word: str, rows: list[Attempt], request: pytest.FixtureRequest
) -> None:
    runtime = _runtime(cloud, word)
    wanted = request.config.getoption("--attempts")
    changed: list[str] = []
    began = time.monotonic()
    for attempt in _spread(rows, wanted):
        cloud.world.clear()
        cloud.clear_calls()
        disk = attempt.stage(cloud)
        before = _state(cloud)
        work = read_work(attempt.form(disk, attempt.keys), max_targets=10)
        runtime.carry_out([work], Invocation(Trigger.HTTP, "attempt"))
        sent = [f"{call.method} {call.path}" for call in cloud.calls if call.method != "GET"]
        # Nova itself knows a root, and a member can't: there the call may be sent, and is refused
        if _state(cloud) != before or (sent and not attempt.name.startswith("root")):
            changed.append(f"{attempt.name}: {sent}")
    runtime.transport.close()
    print(f"{wanted} attempts, {word}: {len(changed)} changed, {time.monotonic() - began:.1f} s")
    assert changed == []


def test_what_is_tried_is_not_simply_impossible() -> None:
    """Each disk that is tried with both words off is freed with both on."""
    with Cloud() as cloud:
        cloud.asks_compute = False
        runtime = _runtime(cloud, "on")
        kept = []
        for what, stage in ALLOWED.items():
            cloud.world.clear()
            disk = stage(cloud)
            entries = cloud.volume(disk.volume_id).attachments
            ids = disk._asdict() if entries else {"volume_id": disk.volume_id}
            work = read_work({**ids, "recover": True, **({"live": True} if entries else {})}, max_targets=1)
            runtime.carry_out([work], Invocation(Trigger.HTTP, "attempt"))
            volume = cloud.volume(disk.volume_id)
            if volume.attachments or volume.status != "available":
                kept.append(what)
        runtime.transport.close()
    assert kept == []


def test_there_are_enough_of_them() -> None:
    assert len(OFF) >= MOST
    assert len(ON) >= MOST
