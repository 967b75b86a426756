"""Two hundred attempts, in every form, at disks whose servers live: none is ever cleared."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import pytest

from tests.contract.test_one import HELD

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.contract.case import Case
    from tests.contract.lab import Disk

ATTEMPTS = 200


def _attempts(disk: Disk, other: Disk) -> Iterator[Any]:
    """Every form that names the disk, for ever."""
    volume, attachment, server = disk.volume_id, disk.attachment_id, disk.server_id
    while True:
        yield {"volume_id": volume, "attachment_id": attachment, "server_id": server}
        yield {"volume_id": volume, "attachment_id": attachment}
        yield {"volume_id": volume}
        yield {"volume_id": volume.upper(), "attachment_id": attachment.upper(), "server_id": server.upper()}
        yield {"volume_id": volume.replace("-", ""), "attachment_id": attachment.replace("-", "")}
        yield {"volume_id": f"urn:uuid:{volume}", "server_id": f"{{{server}}}"}
        yield {"volume_id": volume, "attachment_id": str(uuid.uuid4())}
        yield {"volume_id": volume, "attachment_id": other.attachment_id}
        yield {"volume_id": volume, "attachment_id": volume}
        yield {"volume_id": volume, "attachment_id": None}
        yield {"volume_id": volume, "server_id": str(uuid.uuid4())}
        yield {"volume_id": volume, "server_id": other.server_id}
        yield {"volume_id": volume, "attachment_id": attachment, "dry_run": False}
        yield {"targets": [{"volume_id": volume}, {"volume_id": volume, "attachment_id": attachment}]}
        yield {"targets": [{"volume_id": volume}] * 5, "dry_run": False}
        yield {"targets": [{"volume_id": other.volume_id}, {"volume_id": volume, "server_id": server}]}
        yield {"server_id": server}
        yield {"server_id": server.upper(), "dry_run": False}
        yield {"sweep": {"dry_run": False, "min_age_seconds": 0, "limit": 100}}
        yield {"sweep": {"server_ids": [server], "volume_ids": [volume]}}


@pytest.mark.parametrize("check", ["gone", "recorded", "not-held"])
def test_two_hundred_attempts_leave_a_running_and_a_stopped_servers_disk_alone(
    case_alone: Case, check: str
) -> None:
    case = case_alone
    case.settings = {
        "DETACH_SERVER_CHECK": check,
        "DETACH_SWEEP_DRY_RUN": "false",
        "DETACH_SWEEP_MIN_AGE_SECONDS": "0",
        "DETACH_SWEEP_MAX_FRACTION": "1",
    }
    running, stopped = case.at_live_server(), case.at_stopped_server()
    before = {disk.volume_id: case.lab.look(disk.volume_id) for disk in (running, stopped)}
    attempts = zip(_attempts(running, stopped), _attempts(stopped, running), strict=False)
    outcomes: set[str] = set()
    for _, works in zip(range(ATTEMPTS // 2), attempts, strict=False):
        for work in works:
            answer = case.try_out(work)
            outcomes |= {result["outcome"] for result in answer.results}
            assert all(result["changed"] is False for result in answer.results), (work, answer.document)
    assert outcomes == {"refused", "failed", "already_detached"}
    case.steps.append(f"{ATTEMPTS} attempts: nothing changed")
    assert {volume_id: case.lab.look(volume_id) for volume_id in before} == before
    for disk in (running, stopped):
        assert case.lab.held(disk.server_id) == [disk.volume_id]
    last = {"targets": [{"volume_id": running.volume_id}, {"volume_id": stopped.volume_id}]}
    case.ask(last, "409 refused server_exists x2", (running, HELD, HELD), (stopped, HELD, HELD))
