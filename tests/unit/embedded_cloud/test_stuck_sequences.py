"""Ways out of stuck records, and ways into worse ones, call after call as a real cloud was recorded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from tests.embedded_cloud import Attachment, Cloud, lifecycle, stuck
from tests.embedded_cloud.detach_job import Course
from tests.unit.embedded_cloud.client import Clock, ask, servers, volumes

if TYPE_CHECKING:
    import requests

FREE, IN_USE = "available/detached []", "in-use/attached [attached]"


@dataclass(slots=True)
class Play:
    """A stuck volume, and a member who acts on it by the names of the calls."""

    cloud: Cloud
    it: stuck.Stuck

    def does(self, call: str) -> tuple[int, str]:
        """Make a call; give its status and what the volume is like then."""
        answer = self._sent(call)
        self.cloud.world.settle()
        return answer.status_code, self.state()

    def state(self) -> str:
        volume = self.cloud.world.volumes.get(self.it.volume.id)
        if volume is None:
            return "absent"
        entries = ", ".join(entry.status for entry in volume.attachments)
        return f"{volume.status}/{volume.attach_status} [{entries}]"

    @property
    def held(self) -> bool:
        return self.it.volume.id in self.cloud.server(self.it.server_id).known_disks

    def _sent(self, call: str) -> requests.Response:
        cloud, token = self.cloud, self.cloud.token()
        path = volumes(cloud, f"/{self.it.volume.id}")
        match call:
            case "DELETE volume":
                return ask(cloud, "DELETE", path, token)
            case "DELETE at Nova" | "DELETE at Nova 2.20":
                disk = servers(cloud, f"/{self.it.server_id}/os-volume_attachments/{self.it.volume.id}")
                headers = {"X-OpenStack-Nova-API-Version": "2.20"} if "2.20" in call else {}
                return ask(cloud, "DELETE", disk, token, headers=headers)
            case "os-complete" | "DELETE entry":
                return self._entry(call)
            case "unshelve":
                action = servers(cloud, f"/{self.it.server_id}/action")
                return ask(cloud, "POST", action, token, json={"unshelve": None})
        name, _, exact = call.partition(" ")
        arguments = {"attachment_id": self.it.attachment_id} if exact else {}
        return ask(cloud, "POST", f"{path}/action", token, json={name: arguments})

    def _entry(self, call: str) -> requests.Response:
        path = f"/volume/v3/{self.cloud.project_id}/attachments/{self.it.attachment_id}"
        headers = {"OpenStack-API-Version": "volume 3.44"}
        if call == "DELETE entry":
            return ask(self.cloud, "DELETE", path, self.cloud.token(), headers=headers)
        body: Any = {"os-complete": {}}
        return ask(self.cloud, "POST", f"{path}/action", self.cloud.token(), headers=headers, json=body)


def _at(cloud: Cloud, row: str) -> Play:
    return Play(cloud, stuck.plant(cloud.world, row))


_NO_ENTRY = "detaching/attached []"
SEQUENCES: dict[str, tuple[str, list[tuple[str, int, str]]]] = {
    "L3, the regular way out": (
        "L3",
        [("os-roll_detaching", 202, IN_USE), ("DELETE at Nova", 202, FREE)],
    ),
    "L7, the safe order": (
        "L7",
        [("DELETE at Nova", 202, _NO_ENTRY), ("os-detach", 202, FREE)],
    ),
    "L4, by a roll-back": (
        "L4",
        [
            ("os-roll_detaching", 202, "in-use/attached []"),
            ("DELETE at Nova", 202, _NO_ENTRY),
            ("os-detach", 202, FREE),
        ],
    ),
    "L2, after a reservation was taken back": (
        "L2",
        [
            ("os-unreserve", 202, "in-use/attaching [attaching]"),
            ("DELETE at Nova", 400, "in-use/attaching [attaching]"),
            ("os-complete", 204, IN_USE),
            ("DELETE at Nova", 202, FREE),
        ],
    ),
    "L7, cleared and deleted under the guest": (
        "L7",
        [("os-detach", 202, FREE), ("DELETE volume", 202, "absent"), ("DELETE at Nova", 404, "absent")],
    ),
    "L9, deleted under the guest": ("L9", [("DELETE volume", 202, "absent")]),
    "L8, not deleted": ("L8", [("DELETE volume", 400, "available/attached [attached]")]),
    "L1, not deleted": ("L1", [("DELETE volume", 400, "reserved/reserved [reserved]")]),
    **{
        f"{row}, by os-complete": (row, [("os-complete", 204, IN_USE), ("DELETE at Nova", 202, FREE)])
        for row in ("L5", "L8", "L10", "L11")
    },
}


@pytest.mark.parametrize("case", SEQUENCES)
def test_calls_in_a_row_answer_as_recorded(cloud: Cloud, case: str) -> None:
    row, calls = SEQUENCES[case]
    play = _at(cloud, row)

    answered = [(call, *play.does(call)) for call, _, _ in calls]

    assert answered == calls
    freed_by_nova = any(call == "DELETE at Nova" and status == 202 for call, status, _ in calls)
    assert play.held is not freed_by_nova


def test_a_shelved_server_whose_reservation_was_cleared_can_not_come_back(cloud: Cloud) -> None:
    play = _at(cloud, "L1")
    server = cloud.server(play.it.server_id)

    assert play.does("os-detach exact") == (202, FREE)
    assert play.does("unshelve") == (202, FREE)
    assert (server.status, server.actions[0].message) == ("SHELVED_OFFLOADED", "Error")
    assert play.does("DELETE at Nova 2.20") == (202, FREE)
    assert play.does("unshelve") == (202, FREE)
    assert (server.status, server.disks) == ("ACTIVE", {})


def test_an_attach_that_is_really_under_way_is_guarded(cloud: Cloud) -> None:
    play = _at(cloud, "L2")

    statuses = [play.does(call)[0] for call in ("os-detach exact", "os-detach", "DELETE entry")]

    assert statuses == [409, 409, 409]
    assert play.does("os-unreserve") == (202, "in-use/attaching [attaching]")
    assert play.does("os-complete") == (204, IN_USE)


def test_a_detach_that_is_really_under_way_goes_on_though_it_was_rolled_back(
    cloud: Cloud, clock: Clock
) -> None:
    cloud.jobs.course = Course(guest=60)
    play = _at(cloud, "L12")

    assert play.does("DELETE at Nova") == (202, "detaching/attached [attached]")
    assert play.does("os-roll_detaching") == (202, IN_USE)
    clock.after(60)
    assert (play.state(), play.held) == (FREE, False)


@pytest.mark.parametrize("row", ["L3", "L5", "L7", "L10"])
def test_a_servers_deletion_clears_its_entries_whatever_the_status(cloud: Cloud, row: str) -> None:
    play = _at(cloud, row)
    path = servers(cloud, f"/{play.it.server_id}")

    assert ask(cloud, "DELETE", path, cloud.token()).status_code == 204
    cloud.world.settle()

    assert play.state() == ("in-use/attached []" if row == "L7" else FREE)


def test_a_disk_whose_record_is_free_is_not_given_to_a_second_server(cloud: Cloud) -> None:
    play = _at(cloud, "L9")
    path = servers(cloud, f"/{cloud.add_server().id}/os-volume_attachments")
    body = {"volumeAttachment": {"volumeId": play.it.volume.id}}

    answer = ask(cloud, "POST", path, cloud.token(), json=body)

    held_by = f"volume {play.it.volume.id} is already attached to instances: {play.it.server_id}"
    message = f"Invalid volume: {held_by}"
    assert (answer.status_code, answer.json()) == (400, {"badRequest": {"code": 400, "message": message}})


def test_a_free_disk_is_attached(cloud: Cloud) -> None:
    volume, server = cloud.add_volume(), cloud.add_server()
    path = servers(cloud, f"/{server.id}/os-volume_attachments")
    body: dict[str, Any] = {"volumeAttachment": {"volumeId": volume.id}}

    answer = ask(cloud, "POST", path, cloud.token(), json=body)
    again = ask(cloud, "POST", path, cloud.token(), json=body)

    assert (answer.status_code, again.status_code) == (200, 400)
    assert answer.json()["volumeAttachment"]["serverId"] == server.id
    assert (volume.status, volume.attachments[0].server_id) == ("in-use", server.id)
    assert server.disks[volume.id].attachment_id == volume.attachments[0].attachment_id


def test_only_a_scan_tells_who_has_a_disk_without_an_entry(cloud: Cloud) -> None:
    play = _at(cloud, "L7")
    cloud.add_server()
    headers = {"X-OpenStack-Nova-API-Version": "2.9"}

    listed = ask(cloud, "GET", servers(cloud, "/detail"), cloud.token(), headers=headers).json()["servers"]

    wanted = {"id": play.it.volume.id, "delete_on_termination": False}
    holders = [row["id"] for row in listed if wanted in row["os-extended-volumes:volumes_attached"]]
    assert holders == [play.it.server_id]
    assert all(row["locked"] is False for row in listed)


# Volumes of several servers.


def _shared(cloud: Cloud, status: str, second: Any = "attached") -> Play:
    play = _at(cloud, "L12")
    link = Attachment(f"{'0' * 8}-0000-4000-8000-{'0' * 12}", "gone", "/dev/vdc", None, status=second)
    link.connected = second != "reserved"
    play.it.volume.attachments.append(link)
    play.it.volume.status, play.it.volume.multiattach = status, True
    return Play(cloud, stuck.Stuck(play.it.volume, play.it.server_id, link.attachment_id))


def test_clearing_one_entry_loses_the_mark_of_the_other(cloud: Cloud) -> None:
    play = _shared(cloud, "detaching")

    assert play.does("os-detach exact") == (202, IN_USE)


def test_a_reservation_of_a_server_that_is_gone_holds_up_the_other(cloud: Cloud) -> None:
    play = _shared(cloud, "reserved", "reserved")

    assert play.does("DELETE at Nova")[0] == 400
    assert play.does("DELETE entry") == (200, IN_USE)
    assert play.does("DELETE at Nova") == (202, FREE)


def test_a_volume_with_a_reservation_beside_its_attachment_is_in_use_once_that_is_gone(cloud: Cloud) -> None:
    """The record follows from the entries that are left, here a reservation alone."""
    play = _shared(cloud, "in-use", "reserved")

    assert play.does("DELETE at Nova") == (202, "reserved/reserved [reserved]")


def test_a_reservation_comes_before_an_attachment_that_failed(cloud: Cloud) -> None:
    """Entries that failed don't count, so that a volume can be available and have one."""
    play = _shared(cloud, "in-use", "error_attaching")

    assert play.does("DELETE at Nova") == (202, "available/detached [error_attaching]")


def test_a_server_that_is_being_built_holds_a_reservation_only(cloud: Cloud) -> None:
    volume = cloud.add_volume()
    server = lifecycle.build(cloud.world, [volume])
    play = Play(cloud, stuck.Stuck(volume, server.id, volume.attachments[0].attachment_id))

    assert (play.state(), play.held) == ("reserved/detached [reserved]", False)
    assert play.does("os-unreserve") == (202, "reserved/detached [reserved]")
    assert play.does("os-detach exact") == (202, FREE)
