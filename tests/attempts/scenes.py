"""Disks that may not be touched, and how somebody asks for them all the same."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from itertools import product
from typing import Any, NamedTuple

from tests.embedded_cloud import Attachment, Cloud, Server, Volume, lifecycle, stuck


class Disk(NamedTuple):
    """A disk and what names it."""

    volume_id: str
    attachment_id: str
    server_id: str


Stage = Callable[[Cloud], Disk]


def _named(volume: Volume, server_id: str, attachment_id: str | None = None) -> Disk:
    found = attachment_id or (
        volume.attachments[0].attachment_id if volume.attachments else str(uuid.uuid4())
    )
    return Disk(volume.id, found, server_id)


def _held(cloud: Cloud, status: str = "ACTIVE", **about: Any) -> tuple[Server, Volume]:
    server = cloud.add_server(status=status)
    return server, cloud.add_volume(attachments=[server], **about)


def _server(status: str = "ACTIVE", **state: Any) -> Stage:
    def stage(cloud: Cloud) -> Disk:
        server, volume = _held(cloud, status)
        for name, value in state.items():
            setattr(server, name, value)
        return _named(volume, server.id)

    return stage


def _record(status: str) -> Stage:
    def stage(cloud: Cloud) -> Disk:
        server, volume = _held(cloud)
        volume.status = status
        return _named(volume, server.id)

    return stage


def _stuck(row: str) -> Stage:
    def stage(cloud: Cloud) -> Disk:
        planted = stuck.plant(cloud.world, row)
        return Disk(planted.volume.id, planted.attachment_id, planted.server_id)

    return stage


def _root(status: str) -> Stage:
    def stage(cloud: Cloud) -> Disk:
        server, volume = _held(cloud, status, root=True)
        return _named(volume, server.id)

    return stage


def _shelved(cloud: Cloud) -> Disk:
    server, volume = _held(cloud, delete_on_termination=True)
    lifecycle.reserve_disks(cloud.world, server)
    server.status = "SHELVED_OFFLOADED"
    volume.updated_at = cloud.stamp("2026-01-01T00:00:00")
    return _named(volume, server.id)


def _building(cloud: Cloud) -> Disk:
    volume = cloud.add_volume()
    server = lifecycle.build(cloud.world, [volume])
    volume.updated_at = cloud.stamp("2026-01-01T00:00:00")
    return _named(volume, server.id)


def _elsewhere(row: str) -> Stage:
    """The record's server is gone, or it names none: another one has the disk."""

    def stage(cloud: Cloud) -> Disk:
        planted = stuck.plant(cloud.world, row)
        holder, other = _held(cloud)
        holder.disks[planted.volume.id] = holder.disks.pop(other.id)
        return Disk(planted.volume.id, planted.attachment_id, planted.server_id)

    return stage


def _cell_down(cloud: Cloud) -> Disk:
    planted = stuck.plant(cloud.world, "N6")
    cloud.add_server(host="far")
    cloud.host("far").cell = "cell2"
    cloud.cells_down.add("cell2")
    return Disk(planted.volume.id, planted.attachment_id, planted.server_id)


def _of_a_host(status: Any) -> Stage:
    def stage(cloud: Cloud) -> Disk:
        planted = stuck.plant(cloud.world, "N5")
        entry = Attachment(str(uuid.uuid4()), None, "/dev/vdz", None, None, False, status)
        planted.volume.attachments[:] = [entry]
        return Disk(planted.volume.id, entry.attachment_id, planted.server_id)

    return stage


FORBIDDEN: dict[str, Stage] = {
    "root, running": _root("ACTIVE"),
    "root, stopped": _root("SHUTOFF"),
    "locked by its owner": _server(locked_by="owner"),
    "locked by an administrator": _server(locked_by="admin"),
    **{
        f"server {status}": _server(status)
        for status in ("PAUSED", "SUSPENDED", "RESCUE", "ERROR", "SHELVED")
    },
    **{f"task {task}": _server(task_state=task) for task in ("deleting", "powering-off", "migrating")},
    "shelved, its disk to be deleted with it": _shelved,
    "being built": _building,
    **{f"record {status}": _record(status) for status in ("maintenance", "error", "extending", "uploading")},
    **{f"{row}: a live server has it": _stuck(row) for row in ("L1", "L2", "L4", "L5", "L6", "L7", "L8")},
    **{f"{row}: a decision": _stuck(row) for row in ("N3", "N12", "N13", "N14", "N15")},
    **{f"{row}: another server has it": _elsewhere(row) for row in ("N1", "N2", "N4", "N5", "N6", "N8")},
    **{f"{status} by a host": _of_a_host(status) for status in ("attached", "attaching", "reserved")},
    "a cell is down": _cell_down,
}
"""What no rule frees, whatever is switched on."""

ALLOWED: dict[str, Stage] = {
    "a disk of a running server": _server(),
    "a disk of a stopped server": _server("SHUTOFF"),
    **{
        f"{row}: nobody has it": _stuck(row)
        for row in ("N1", "N2", "N4", "N5", "N6", "N7", "N8", "N9", "N10")
    },
    "N11: nobody has it": _stuck("N11"),
}
"""What is freed where it is switched on and asked for."""


def _one(disk: Disk, keys: dict[str, Any]) -> dict[str, Any]:
    return {"volume_id": disk.volume_id, **keys}


def _all_ids(disk: Disk, keys: dict[str, Any]) -> dict[str, Any]:
    return {**disk._asdict(), **keys}


def _batch(disk: Disk, keys: dict[str, Any]) -> dict[str, Any]:
    return {"targets": [_all_ids(disk, keys)]}


def _sweep(_disk: Disk, keys: dict[str, Any]) -> dict[str, Any]:
    return {"sweep": {"recover": keys.get("recover", False), "min_age_seconds": 0}}


Form = Callable[[Disk, dict[str, Any]], dict[str, Any]]


class Attempt(NamedTuple):
    """One attempt: what it is about, and what is sent for it."""

    name: str
    stage: Stage
    form: Form
    keys: dict[str, Any]


_WAYS: dict[str, tuple[Form, tuple[dict[str, Any], ...]]] = {
    "volume only": (_one, ({"recover": True},)),
    "all ids": (_all_ids, ({"live": True}, {"recover": True}, {"live": True, "recover": True})),
    "batch": (_batch, ({"live": True}, {"recover": True}, {"live": True, "recover": True})),
    "sweep": (_sweep, ({"recover": True},)),
}


def attempts(stages: dict[str, Stage]) -> Iterator[Attempt]:
    """Every disk, in every way that it can be asked for."""
    for way, (form, many) in _WAYS.items():
        for keys, (what, stage) in product(many, stages.items()):
            name = f"{what}, {way}, {'+'.join(keys)}"
            yield Attempt(name, stage, form, keys)
