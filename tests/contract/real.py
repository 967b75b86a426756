"""A real Keystone, Cinder and Nova as a lab: every state made through their APIs, where there is one."""

from __future__ import annotations

import contextlib
import secrets
import time
from typing import TYPE_CHECKING, Any

from tests.contract.lab import ABSENT, PARTIAL, Disk, User
from tests.contract.observer import Observer
from tests.contract.patience import wait
from tests.contract.real_faults import RealFaults
from tests.integration.openstack.api import ApiError, Identity, Session
from tests.integration.openstack.catalogue import FLAVOUR, IMAGE, SHARED_TYPE
from tests.integration.openstack.configuration import REGION, TOKEN_CACHE_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.contract.faults import Faults
    from tests.integration.openstack import OpenStack

_UNNOTICED = TOKEN_CACHE_SECONDS + 0.2  # seconds until every service has noticed a revocation
_UNKNOWN = {"error_detaching", "error_attaching"}  # to os-reset_status
_CONNECTOR = {"host": "rig", "ip": "127.0.0.1", "initiator": "iqn.2026-01.example:rig", "os_type": "linux"}


class RealLab:
    """Works as a member of each project, and as administrator where a member may not."""

    name = "real"
    region = REGION

    def __init__(self, cloud: OpenStack) -> None:
        self._cloud = cloud
        self._keystone = cloud.admin()
        admin = self._keystone.at(f"{cloud.volume}/{self._keystone.project_id}")
        self.admin = admin
        observer = Observer(admin, self._keystone.at(cloud.compute))
        self.look = observer.look
        self.held = observer.held
        self.entries = observer.entries
        self.links = observer.links
        self.holds = observer.holds
        self.faults: Faults = RealFaults(self, cloud)
        self._roles = {role["name"]: role["id"] for role in self._keystone.get("/roles")["roles"]}
        self._project_names: dict[str, str] = {}
        self._members: dict[str, Session] = {}
        self.servers: dict[str, str] = {}

    def project(self) -> str:
        name = f"project-{secrets.token_hex(4)}"
        project_id: str = self._keystone.post("/projects", {"project": {"name": name}})["project"]["id"]
        self._project_names[project_id] = name
        return project_id

    def environment(self, project_id: str) -> dict[str, str]:
        return {
            "DETACH_PROJECT_ID": project_id,
            "DETACH_VOLUME_ENDPOINT": self._cloud.volume,
            "DETACH_COMPUTE_ENDPOINT": self._cloud.compute,
            "DETACH_IDENTITY_ENDPOINT": self._cloud.identity,
        }

    # Whose calls they are.

    def user(self, project_id: str, role: str = "member") -> User:
        name, password = f"user-{secrets.token_hex(4)}", secrets.token_hex(16)
        user = self._keystone.post("/users", {"user": {"name": name, "password": password}})["user"]
        granted = (role, "member") if role in PARTIAL else (role,)
        for name_of_role in granted:
            path = f"/projects/{project_id}/users/{user['id']}/roles/{self._role(name_of_role)}"
            self._keystone.put(path)
        return User(name, password, project_id, self._project_names[project_id])

    def _role(self, name: str) -> str:
        if name not in self._roles:
            self._roles[name] = self._keystone.post("/roles", {"role": {"name": name}})["role"]["id"]
        role_id: str = self._roles[name]
        return role_id

    def _log_in(self, user: User, endpoint: str | None = None) -> Session:
        identity = Identity(endpoint or self._cloud.identity)
        return identity.log_in(user.name, user.password, project=user.project_name)

    def application_credential(self, project_id: str) -> tuple[str, str]:
        member = self._log_in(self.user(project_id))
        made = member.post(
            f"/users/{member.user_id}/application_credentials", {"application_credential": {"name": "rig"}}
        )["application_credential"]
        return made["id"], made["secret"]

    def token(self, project_id: str, role: str = "member") -> str:
        return self._log_in(self.user(project_id, role)).token

    def expired_token(self, project_id: str) -> str:
        session = self._log_in(self.user(project_id), self._cloud.fleeting)
        wait("the token to expire", lambda: not self._counts(session.token))
        return session.token

    def _counts(self, token: str) -> bool:
        try:
            self._keystone.get("/auth/tokens?nocatalog", {"X-Subject-Token": token})
        except ApiError as error:
            if error.status != 404:
                raise
            return False
        return True

    def revoke(self, token: str) -> None:
        self._keystone.delete("/auth/tokens", {"X-Subject-Token": token})
        time.sleep(_UNNOTICED)

    def revoke_all(self, user: User) -> None:
        """Disable the user, which revokes every token, and enable it again.

        Keystone counts whole seconds: a token issued in the second of the revocation would be revoked too.
        """
        [found] = self._keystone.get(f"/users?name={user.name}")["users"]
        for enabled in (False, True):
            self._keystone.patch(f"/users/{found['id']}", {"user": {"enabled": enabled}})
        time.sleep(_UNNOTICED)

    @contextlib.contextmanager
    def fleeting(self) -> Iterator[dict[str, str]]:
        yield {"DETACH_IDENTITY_ENDPOINT": self._cloud.fleeting}

    def member(self, project_id: str) -> Session:
        """Give the session of the member who makes the project's things, at the compute service."""
        if project_id not in self._members:
            self._members[project_id] = self._log_in(self.user(project_id)).at(self._cloud.compute)
        return self._members[project_id]

    def volumes(self, project_id: str) -> Session:
        return self.member(project_id).at(f"{self._cloud.volume}/{project_id}")

    # Servers.

    def boot(self, project_id: str) -> str:
        return self.start(project_id, None, "ACTIVE")

    def start(self, project_id: str, devices: list[dict[str, Any]] | None, status: str) -> str:
        """Make a server, of an image unless its devices are given, and wait until it has a status."""
        server_id = self.begin(project_id, devices)
        self.await_status(server_id, status)
        return server_id

    def begin(self, project_id: str, devices: list[dict[str, Any]] | None) -> str:
        server: dict[str, Any] = {"name": "rig", "flavorRef": FLAVOUR, "networks": "none"}
        server |= {"imageRef": IMAGE} if devices is None else {"block_device_mapping_v2": devices}
        if devices and devices[0]["source_type"] == "image":
            server["imageRef"] = IMAGE
        headers = {"OpenStack-API-Version": "compute 2.37"}
        compute = self.member(project_id)
        server_id: str = compute.post("/servers", {"server": server}, headers)["server"]["id"]
        self.servers[server_id] = project_id
        return server_id

    def task(self, server_id: str) -> str | None:
        """Tell what is being done to a server."""
        server = self.member(self.servers[server_id]).get(f"/servers/{server_id}")["server"]
        task: str | None = server["OS-EXT-STS:task_state"]
        return task

    def stop(self, server_id: str) -> None:
        self._act(server_id, {"os-stop": None})
        self.await_status(server_id, "SHUTOFF")

    def soft_delete(self, server_id: str) -> None:
        self.member(self.servers[server_id]).delete(f"/servers/{server_id}")
        self.await_status(server_id, "SOFT_DELETED")

    def delete(self, server_id: str) -> None:
        self._act(server_id, {"forceDelete": None})

    def vanish(self, server_id: str) -> None:
        self._unlist(f"instance_uuid = '{server_id}'")
        self.delete(server_id)
        wait("the server to vanish", lambda: self._status(server_id) is None)
        del self.servers[server_id]

    def forget(self, server_id: str, volume_id: str) -> None:
        self._unlist(f"instance_uuid = '{server_id}' AND volume_id = '{volume_id}'")

    def send(self, server_id: str, action: str, status: str) -> None:
        self._act(server_id, {action: None})
        self.await_status(server_id, status)

    @contextlib.contextmanager
    def hypervisor(self, *, waits: bool = False, fails: str | None = None) -> Iterator[None]:
        point = "entry" if fails == "cinder" else "detach"
        with self._cloud.hypervisor(**{point: {"waits": waits, "fails": fails}}):
            yield

    def _unlist(self, which: str) -> None:
        """Take volumes off Nova's lists: no API does it without telling Cinder."""
        self._cloud.sql(f"DELETE FROM block_device_mapping WHERE {which}", "nova")  # noqa: S608 (ids of ours)

    def _act(self, server_id: str, action: dict[str, Any]) -> None:
        self.member(self.servers[server_id]).post(f"/servers/{server_id}/action", action)

    def _status(self, server_id: str) -> str | None:
        try:
            server = self.member(self.servers[server_id]).get(f"/servers/{server_id}")["server"]
        except ApiError as error:
            if error.status != 404:
                raise
            return None
        assert server["status"] != "ERROR", server.get("fault")
        status: str = "" if server["OS-EXT-STS:task_state"] else server["status"]
        return status

    def await_status(self, server_id: str, status: str) -> None:
        wait(f"the server to be {status}", lambda: self._status(server_id) == status)

    # Volumes.

    def disk(self, project_id: str, *server_ids: str) -> Disk:
        volume_id = self._make(project_id, shared=len(server_ids) > 1)
        for number, server_id in enumerate(server_ids, 1):
            if server_id in self.servers:
                self.plug(project_id, volume_id, server_id)
            else:
                self._record(project_id, volume_id, server_id)
            self.await_links(volume_id, number)
        links = self.look(volume_id).links
        return Disk(volume_id, tuple(sorted(links, key=lambda link: server_ids.index(str(link.server_id)))))

    def recorded_disk(self, project_id: str, server_id: str | None, *, connected: bool = True) -> Disk:
        volume_id = self._make(project_id)
        if connected:
            self._record(project_id, volume_id, server_id)
        else:
            who = {"host_name": "some-host"} if server_id is None else {"instance_uuid": server_id}
            action = f"/volumes/{volume_id}/action"
            volumes = self.volumes(project_id)
            volumes.post(action, {"os-reserve": None})
            volumes.post(action, {"os-attach": {**who, "mountpoint": "/dev/vdb"}})
        self.await_links(volume_id, 1)
        return Disk(volume_id, self.look(volume_id).links)

    def _make(self, project_id: str, *, shared: bool = False) -> str:
        volume: dict[str, Any] = {"size": 1, **({"volume_type": SHARED_TYPE} if shared else {})}
        volume_id: str = self.volumes(project_id).post("/volumes", {"volume": volume})["volume"]["id"]
        wait("the volume", lambda: self.look(volume_id).status == "available")
        return volume_id

    def plug(
        self, project_id: str, volume_id: str, server_id: str, *, delete_on_termination: bool = False
    ) -> None:
        """Attach through Nova, which takes all that is wanted here from 2.79 on."""
        wanted: dict[str, Any] = {"volumeId": volume_id}
        if delete_on_termination:
            wanted["delete_on_termination"] = True
        self.member(project_id).post(
            f"/servers/{server_id}/os-volume_attachments",
            {"volumeAttachment": wanted},
            {"OpenStack-API-Version": "compute 2.79"},
        )

    def _record(self, project_id: str, volume_id: str, server_id: str | None) -> None:
        """Attach at Cinder alone, by the calls that Nova makes."""
        volumes, version = self.volumes(project_id), {"OpenStack-API-Version": "volume 3.44"}
        wanted = {"volume_uuid": volume_id, "instance_uuid": server_id, "connector": _CONNECTOR}
        made = volumes.post("/attachments", {"attachment": wanted}, version)["attachment"]["id"]
        volumes.post(f"/attachments/{made}/action", {"os-complete": {}}, version)

    def await_links(self, volume_id: str, count: int) -> None:
        def there() -> bool:
            record = self.look(volume_id)
            return record.status == "in-use" and len(record.links) == count

        wait("the attachment", there)

    def reserve(self, disk: Disk) -> None:
        self.admin.post(f"/volumes/{disk.volume_id}/action", {"os-reserve": None})

    def set_status(self, disk: Disk, status: str) -> None:
        if status in _UNKNOWN:
            change = f"UPDATE volumes SET status = '{status}' WHERE id = '{disk.volume_id}'"  # noqa: S608
            self._cloud.sql(change, "cinder")
        else:
            self.admin.post(f"/volumes/{disk.volume_id}/action", {"os-reset_status": {"status": status}})

    def delete_volume(self, disk: Disk) -> None:
        self.admin.delete(f"/volumes/{disk.volume_id}")
        wait("the volume to go", lambda: self.look(disk.volume_id) == ABSENT)
