"""The embedded cloud as a lab."""

from __future__ import annotations

import contextlib
import math
import uuid
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

from tests.contract.embedded_faults import EmbeddedFaults, as_disk
from tests.contract.lab import LISTER, PARTIAL, SINGLE_VIEWER, VOLUME_LISTER, Disk, User
from tests.contract.observer import Observer
from tests.embedded_cloud import Attachment, Cloud
from tests.embedded_cloud.detach_job import Course
from tests.integration.openstack.api import Session

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.contract.faults import Faults

_NOW = timedelta()
_ADMIN_PROJECT = uuid.UUID(int=1).hex


class EmbeddedLab:
    """Makes the states directly: the embedded cloud has no API for what an operator does."""

    name = "embedded"
    region = "RegionOne"

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        token = cloud.token(project_id=_ADMIN_PROJECT, role="admin", user="admin")
        volume = cloud.volume_endpoint.replace("/v2", "/v3")
        admin = Session(f"{volume}/{_ADMIN_PROJECT}", token, _ADMIN_PROJECT, "admin")
        observer = Observer(admin, admin.at(cloud.compute_endpoint))
        self.look = observer.look
        self.held = observer.held
        self.entries = observer.entries
        policies = cloud.policies
        policies.compute_admins |= {SINGLE_VIEWER, VOLUME_LISTER}
        policies.filters_servers |= {SINGLE_VIEWER, VOLUME_LISTER}
        policies.lists_all_servers |= {LISTER, VOLUME_LISTER}
        policies.volume_admins |= set(PARTIAL)
        policies.shows_volumes |= {LISTER, SINGLE_VIEWER}
        self.holds = observer.holds
        self.links = observer.links
        self._compute = Session(cloud.compute_endpoint, token, _ADMIN_PROJECT, "admin")
        self.faults: Faults = EmbeddedFaults(cloud, self._compute)

    def project(self) -> str:
        return uuid.uuid4().hex

    def environment(self, project_id: str) -> dict[str, str]:
        return {**self._cloud.environment(), "DETACH_PROJECT_ID": project_id}

    def user(self, project_id: str, role: str = "member") -> User:
        name, password = f"user-{uuid.uuid4().hex[:8]}", uuid.uuid4().hex
        self._cloud.add_user(name, password, projects=[project_id], role=role)
        return User(name, password, project_id, self._cloud.identity.projects[project_id].name)

    def application_credential(self, project_id: str) -> tuple[str, str]:
        return self._cloud.add_application_credential(project_id)

    def token(self, project_id: str, role: str = "member") -> str:
        return self._cloud.token(project_id, role)

    def expired_token(self, project_id: str) -> str:
        return self._cloud.token(project_id, expires_in=-1)

    def revoke(self, token: str) -> None:
        self._cloud.revoke(token)

    def revoke_all(self, user: User) -> None:
        for token in list(self._cloud.identity.tokens.values()):
            if token.user_name == user.name:
                self._cloud.revoke(token.text)

    @contextlib.contextmanager
    def fleeting(self) -> Iterator[dict[str, str]]:
        lifetime, self._cloud.identity.lifetime = self._cloud.identity.lifetime, 2
        try:
            yield {}
        finally:
            self._cloud.identity.lifetime = lifetime

    def boot(self, project_id: str) -> str:
        return self._cloud.add_server(project_id=project_id).id

    def stop(self, server_id: str) -> None:
        self._cloud.server(server_id).status = "SHUTOFF"

    def soft_delete(self, server_id: str) -> None:
        self._cloud.server(server_id).status = "SOFT_DELETED"

    def delete(self, server_id: str) -> None:
        self._compute.delete(f"/servers/{server_id}")

    def vanish(self, server_id: str) -> None:
        self._cloud.delete_server(server_id)

    def forget(self, server_id: str, volume_id: str) -> None:
        del self._cloud.server(server_id).disks[volume_id]

    def send(self, server_id: str, action: str, status: str) -> None:
        token = self._cloud.token(self._cloud.server(server_id).project_id)
        replace(self._compute, token=token).post(f"/servers/{server_id}/action", {action: None})
        assert self._cloud.server(server_id).status == status

    @contextlib.contextmanager
    def hypervisor(self, *, waits: bool = False, fails: str | None = None) -> Iterator[None]:
        usual = self._cloud.jobs.course
        told = Course(guest=math.inf if waits else 0, ends=cast("Any", fails or "done"))
        self._cloud.jobs.course = told
        try:
            yield
        finally:
            self._cloud.jobs.course, told.guest = usual, 0

    @contextlib.contextmanager
    def cell_down(self, project_id: str) -> Iterator[None]:
        """Have a cell be down that has a server of the project: a real cloud would need a second one."""
        server = self._cloud.add_server(project_id=project_id, host="far")
        self._cloud.host("far").cell = "cell2"
        self._cloud.cells_down.add("cell2")
        try:
            yield
        finally:
            self._cloud.cells_down.clear()
            self._cloud.delete_server(server.id)

    def disk(self, project_id: str, *server_ids: str) -> Disk:
        return as_disk(self._cloud.add_volume(project_id=project_id, attachments=server_ids, created_at=_NOW))

    def recorded_disk(self, project_id: str, server_id: str | None, *, connected: bool = True) -> Disk:
        host = "some-host" if server_id is None else None
        stamp = self._cloud.stamp(_NOW)
        link = Attachment(str(uuid.uuid4()), server_id, "/dev/vdb", stamp, host, connected)
        return as_disk(
            self._cloud.add_volume(
                project_id=project_id, attachments=[link], created_at=_NOW, known_to_compute=False
            )
        )

    def reserve(self, disk: Disk) -> None:
        self.set_status(disk, "attaching")

    def set_status(self, disk: Disk, status: str) -> None:
        volume = self._cloud.volume(disk.volume_id)
        volume.status, volume.updated_at = status, self._cloud.stamp(_NOW)

    def delete_volume(self, disk: Disk) -> None:
        self._cloud.delete_volume(disk.volume_id)
