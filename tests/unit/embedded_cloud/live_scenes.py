"""Stages what the rows of live_detach.md are about: a server with a disk, and who asks for its detach."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.embedded_cloud import lifecycle
from tests.unit.embedded_cloud.client import ask, servers

if TYPE_CHECKING:
    import requests

    from tests.embedded_cloud import Cloud, Server, Volume

ADMIN_PROJECT = "ad" * 16
_STATES = "error maintenance reserved attaching uploading extending detaching error_detaching available"


@dataclass(slots=True)
class Scene:
    """A server with a disk, and how its detach is asked for; ``asked`` are the ids as they are sent."""

    cloud: Cloud
    server: Server
    volume: Volume
    role: str = "member"
    version: str | None = None
    path_project: str | None = None
    token_project: str | None = None
    asked: dict[str, str] = field(default_factory=dict)
    bad_token: bool = False

    def delete(self) -> requests.Response:
        cloud = self.cloud
        project = self.token_project or (ADMIN_PROJECT if self.role == "admin" else cloud.project_id)
        token = "not-a-token" if self.bad_token else cloud.token(project, role=self.role)
        headers = {"X-OpenStack-Nova-API-Version": self.version} if self.version else {}
        path = f"/{self.named('S')}/os-volume_attachments/{self.named('V')}"
        return ask(
            cloud, "DELETE", servers(cloud, path, self.path_project or project), token, headers=headers
        )

    def named(self, name: str) -> str:
        return self.asked.get(name, {"S": self.server.id, "V": self.volume.id}[name])

    def then(self) -> str:
        found = self.cloud.world.volumes.get(self.volume.id)
        record = f"{found.status} {len(found.attachments)}" if found else "absent"
        held = self.volume.id in self.server.known_disks
        return f"{record}, {'held' if held else 'gone'}"


def staged(cloud: Cloud, case: str) -> Scene:
    """Stage a row's case, told by its words; those after a comma are about the same server and disk."""
    words = [word.strip() for word in case.removesuffix(" (db)").replace(" (db)", "").split(",")]
    server = cloud.add_server()
    on_termination = "delete_on_termination" in words
    volume = cloud.add_volume(
        attachments=[server], root=words[0] == "root volume", delete_on_termination=on_termination
    )
    scene = Scene(cloud, server, volume)
    for word in words:
        if re.fullmatch(r"2\.\d+", word):
            scene.version = word
        elif word == "admin":
            scene.role = "admin"
        elif word.isupper():
            _in_state(scene, word)
        elif word != "delete_on_termination":
            _stage(scene, word)
    return scene


def _in_state(scene: Scene, status: str) -> None:
    if status == "SHELVED_OFFLOADED":
        path = servers(scene.cloud, f"/{scene.server.id}/action")
        assert ask(scene.cloud, "POST", path, scene.cloud.token(), json={"shelve": None}).status_code == 202
    scene.server.status = status
    if status == "BUILD":
        scene.volume.status = scene.volume.attach_status = "reserved"
        scene.volume.attachments[0].status = "reserved"


def _stage(scene: Scene, word: str) -> None:
    cloud, server, volume = scene.cloud, scene.server, scene.volume
    first, _, last = word.partition(" ")
    if first == "task" or word == "scheduling":
        server.task_state = last or word
    elif word == "spawning":
        lifecycle.place(cloud.world, server)  # its disks are attached by then
    elif first == "volume" and last in _STATES.split():
        volume.status = last
    elif first == "locked":
        server.locked_by = "admin" if last == "by the admin" else "owner"
    elif first == "host":
        cloud.host(server.host).state = "silent" if last == "just ended" else "down"
    elif first in {"V", "S"} or word == "the attachment's id":
        _misnamed(scene, word)
    else:
        _placed(scene, word)


def _misnamed(scene: Scene, word: str) -> None:
    cloud, server, volume = scene.cloud, scene.server, scene.volume
    match word:
        case "V is nowhere attached":
            scene.volume = cloud.add_volume()
        case "V is attached to another server":
            scene.volume = cloud.add_volume(attachments=[cloud.add_server()])
        case "V unknown":
            cloud.delete_volume(volume.id)
        case "V not a uuid":
            scene.asked["V"] = "not-a-uuid"
        case "V without hyphens":
            scene.asked["V"] = volume.id.replace("-", "")
        case "V of another project":
            theirs = cloud.add_server(project_id=cloud.other_project_id)
            scene.asked["V"] = cloud.add_volume(attachments=[theirs], project_id=cloud.other_project_id).id
        case "the attachment's id":
            scene.asked["V"] = volume.attachments[0].attachment_id
        case "S not a uuid":
            scene.asked["S"] = "not-a-uuid"
        case "S without hyphens":
            scene.asked["S"] = server.id.replace("-", "")
        case "S in upper case":
            scene.asked["S"] = server.id.upper()
        case _:
            raise ValueError(word)


def _placed(scene: Scene, word: str) -> None:
    cloud, server, volume = scene.cloud, scene.server, scene.volume
    match word:
        case "server deleted" | "server never known":
            cloud.delete_server(server.id, purge=word == "server never known")
        case "the same DELETE after it is done":
            assert scene.delete().status_code == 202
            cloud.volume(volume.id)
        case "the same DELETE while it is under way":
            cloud.jobs.course.guest = 60
            assert scene.delete().status_code == 202
        case "the record of V is gone":
            cloud.delete_volume(volume.id, held=True)
        case "another project's token and path":
            scene.token_project = cloud.other_project_id
        case "another project in the path":
            scene.path_project = cloud.other_project_id
        case "role reader":
            scene.role = "reader"
        case "data volume of a server booted from a volume":
            cloud.add_volume(attachments=[server], root=True)
        case "its entry lost":
            volume.attachments.clear()
        case "Nova lost the disk":
            del server.disks[volume.id]
        case "multiattach":
            volume.multiattach = True
            cloud.attach(volume, cloud.add_server())
        case "under way at the other server":
            cloud.jobs.course.guest = 60
            other = next(one for one in cloud.servers if one is not server)
            assert Scene(cloud, other, volume).delete().status_code == 202
        case "reserved for a gone server":
            del next(one for one in cloud.servers if one is not server).disks[volume.id]
            volume.attachments[1].status = "reserved"
            volume.status = "reserved"
        case "an attach under way":
            volume.attachments[0].status = "attaching"
            volume.status = volume.attach_status = "attaching"
        case "bad token":
            scene.bad_token = True
        case "root volume" | "no task" | "in-use":
            pass
        case _:
            raise ValueError(word)
