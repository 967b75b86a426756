"""What people, operators and faults do at a real cloud: by its APIs, and where there is none, by SQL."""

from __future__ import annotations

import contextlib
import os
import signal
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tests.contract.lab import Disk, Link
from tests.contract.patience import wait
from tests.integration.openstack.catalogue import IMAGE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.contract.faults import BuildStage, EntryState
    from tests.contract.real import RealLab
    from tests.integration.openstack import OpenStack

_CONNECTOR = {"host": "rig", "ip": "127.0.0.1", "initiator": "iqn.2026-01.example:rig", "os_type": "linux"}
_ATTACHMENTS = {"OpenStack-API-Version": "volume 3.44"}
_VM_STATES = {"ACTIVE": "active", "SHELVED": "shelved", "VERIFY_RESIZE": "resized"}
_LONG_AGO = "UTC_TIMESTAMP() - INTERVAL 3 HOUR"


class RealFaults:
    def __init__(self, lab: RealLab, cloud: OpenStack) -> None:
        self._lab, self._cloud = lab, cloud
        self._compute = cloud.admin().at(cloud.compute)

    # Servers and their hosts.

    def plug(self, disk: Disk, server_id: str, *, delete_on_termination: bool = False) -> Disk:
        project_id = self._lab.servers[server_id]
        known = len(self._lab.look(disk.volume_id).links)
        self._lab.plug(project_id, disk.volume_id, server_id, delete_on_termination=delete_on_termination)
        self._lab.await_links(disk.volume_id, known + 1)
        return self._seen(disk)

    def start_from_disk(self, project_id: str) -> Disk:
        disk = self._lab.disk(project_id)
        self._lab.volumes(project_id).post(
            f"/volumes/{disk.volume_id}/action", {"os-set_bootable": {"bootable": True}}
        )
        self._lab.start(project_id, [_device(disk, 0)], "ACTIVE")
        return self._seen(disk)

    @contextlib.contextmanager
    def building(self, project_id: str, stage: BuildStage) -> Iterator[Disk]:
        disk = self._lab.disk(project_id)
        image = {"boot_index": 0, "uuid": IMAGE, "source_type": "image", "destination_type": "local"}
        with contextlib.ExitStack() as until:
            if stage == "spawning":
                until.enter_context(self._cloud.hypervisor(spawn={"waits": True}))
            else:
                until.enter_context(self._asleep("nova-scheduler"))
            server_id = self._lab.begin(project_id, [image, _device(disk, -1)])

            def there() -> bool:
                return self._lab.task(server_id) == stage

            wait(f"the server to be {stage}", there)
            yield replace(self._seen(disk), others=(server_id,))
        self._lab.await_status(server_id, "ACTIVE")

    def admin_action(self, server_id: str, name: str, arguments: object = None) -> None:
        self._compute.post(f"/servers/{server_id}/action", {name: arguments})

    def write_server(self, server_id: str, status: str, task_state: str | None = None) -> None:
        task = "NULL" if task_state is None else f"'{task_state}'"
        values = f"vm_state = '{_VM_STATES[status]}', task_state = {task}"
        self._cloud.sql(f"UPDATE instances SET {values} WHERE uuid = '{server_id}'", "nova")  # noqa: S608

    @contextlib.contextmanager
    def host(self, state: str) -> Iterator[None]:
        if state == "silent":
            with self._asleep("nova-compute"):
                yield
            return
        version = {"OpenStack-API-Version": "compute 2.53"}
        [service] = self._compute.get("/os-services?binary=nova-compute", version)["services"]
        path = f"/os-services/{service['id']}"
        self._compute.put(path, {"forced_down": True}, version)
        try:
            yield
        finally:
            self._compute.put(path, {"forced_down": False}, version)

    @contextlib.contextmanager
    def _asleep(self, name: str) -> Iterator[None]:
        """Stop one of the cloud's processes with its workers; what it is sent waits for it."""
        leader = self._cloud.process(name)
        os.killpg(leader, signal.SIGSTOP)
        try:
            yield
        finally:
            os.killpg(leader, signal.SIGCONT)

    def age_server(self, server_id: str) -> None:
        change = "created_at = UTC_TIMESTAMP() - INTERVAL 9 HOUR"
        self._cloud.sql(f"UPDATE instances SET {change} WHERE uuid = '{server_id}'", "nova")  # noqa: S608

    # Records.

    def entry(self, disk: Disk, server_id: str | None, *, connected: bool) -> Disk:
        wanted: dict[str, Any] = {"volume_uuid": disk.volume_id}
        if server_id is not None:
            wanted["instance_uuid"] = server_id
        if connected:
            wanted["connector"] = _CONNECTOR
        volumes = self._lab.volumes(self._project(disk))
        volumes.post("/attachments", {"attachment": wanted}, _ATTACHMENTS)
        return self._seen(disk)

    def write_record(
        self, disk: Disk, status: str, attach_status: str, entry: EntryState | None = None
    ) -> None:
        self._write(disk, "volumes", f"status = '{status}', attach_status = '{attach_status}'")
        if entry is not None:
            self._write(disk, "volume_attachment", f"attach_status = '{entry}'")

    def write_entry(self, link: Link, entry: EntryState) -> None:
        where = f"id = '{link.attachment_id}'"
        change = f"UPDATE volume_attachment SET attach_status = '{entry}' WHERE {where}"  # noqa: S608
        self._cloud.sql(change, "cinder")

    @contextlib.contextmanager
    def lose_entries(self, disk: Disk) -> Iterator[None]:
        lost = [link.attachment_id for link in self._lab.links(disk.volume_id)]
        self._write(disk, "volume_attachment", "deleted = 1")
        try:
            yield
        finally:
            for entry in lost:
                change = f"UPDATE volume_attachment SET deleted = 0 WHERE id = '{entry}'"  # noqa: S608
                self._cloud.sql(change, "cinder")

    def rename_entries(self, disk: Disk, server_id: str | None) -> None:
        name = "NULL" if server_id is None else f"'{server_id}'"
        self._write(disk, "volume_attachment", f"instance_uuid = {name}")

    @contextlib.contextmanager
    def lose_record(self, disk: Disk) -> Iterator[None]:
        self._write(disk, "volumes", "deleted = 1")
        try:
            yield
        finally:
            self._write(disk, "volumes", "deleted = 0", deleted=1)

    def age(self, disk: Disk) -> None:
        self._write(disk, "volumes", f"updated_at = {_LONG_AGO}")
        self._write(disk, "volume_attachment", f"updated_at = {_LONG_AGO}, attach_time = {_LONG_AGO}")

    def free(self, disk: Disk) -> None:
        """The administrator's one call that asks nobody and drops all entries."""
        free = {"status": "available", "attach_status": "detached"}
        self._lab.admin.post(f"/volumes/{disk.volume_id}/action", {"os-reset_status": free})

    def _write(self, disk: Disk, table: str, values: str, deleted: int = 0) -> None:
        name = "id" if table == "volumes" else "volume_id"
        where = f"{name} = '{disk.volume_id}' AND deleted = {deleted}"
        self._cloud.sql(f"UPDATE {table} SET {values} WHERE {where}", "cinder")  # noqa: S608 (ids of ours)

    def _project(self, disk: Disk) -> str:
        volume = self._lab.admin.get(f"/volumes/{disk.volume_id}")["volume"]
        project_id: str = volume["os-vol-tenant-attr:tenant_id"]
        return project_id

    def _seen(self, disk: Disk) -> Disk:
        return replace(disk, links=self._lab.links(disk.volume_id))


def _device(disk: Disk, boot_index: int) -> dict[str, Any]:
    where = {"source_type": "volume", "destination_type": "volume", "boot_index": boot_index}
    return {"uuid": disk.volume_id, **where}
