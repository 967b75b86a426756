"""How soft-deleted and deleted servers are listed: a real Nova was recorded to hide them mostly."""

from __future__ import annotations

from typing import Any

import pytest

from tests.embedded_cloud import Cloud
from tests.unit.embedded_cloud.client import ask, servers

EVER = {"changes-since": "1970-01-01T00:00:00Z"}
ADMIN_PROJECT = "ad" * 16


class World:
    """A server that lives, one that is soft-deleted and has a disk, and one that is gone."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self.soft = cloud.add_server(status="SOFT_DELETED", name="SOFT")
        self.disk = cloud.add_volume(attachments=[self.soft])
        self.gone = cloud.add_server(name="GONE")
        cloud.delete_server(self.gone.id)
        self.live = cloud.add_server(name="LIVE")

    def asked(self, query: dict[str, str], version: str = "2.1", role: str = "member") -> Any:
        query = {name: self.soft.id if value == "SOFT" else value for name, value in query.items()}
        headers = {"X-OpenStack-Nova-API-Version": version}
        token = self.cloud.token(role=role)
        return ask(self.cloud, "GET", servers(self.cloud, "/detail"), token, headers=headers, params=query)


@pytest.fixture
def world(cloud: Cloud) -> World:
    return World(cloud)


LISTS: list[tuple[dict[str, str], list[str]]] = [
    ({}, ["LIVE"]),
    ({"limit": "1000"}, ["LIVE"]),
    ({"status": "SOFT_DELETED"}, []),
    ({"status": "soft_deleted"}, []),
    ({"deleted": "true"}, ["LIVE"]),
    ({"soft_deleted": "true"}, ["LIVE"]),
    ({"uuid": "SOFT"}, ["LIVE"]),
    ({"name": "SOFT"}, []),
    (EVER, ["LIVE", "GONE", "SOFT"]),
    ({**EVER, "deleted": "false"}, ["LIVE", "GONE", "SOFT"]),
    ({**EVER, "status": "SOFT_DELETED"}, ["SOFT"]),
    ({**EVER, "status": "ACTIVE"}, ["LIVE"]),
    ({"marker": "SOFT"}, []),
]


@pytest.mark.parametrize(("query", "names"), LISTS, ids=str)
@pytest.mark.parametrize("version", ["2.1", "2.69"])
@pytest.mark.parametrize("role", ["member", "reader"])
def test_they_are_listed_only_among_what_has_changed(
    world: World, query: dict[str, str], names: list[str], version: str, role: str
) -> None:
    answer = world.asked(query, version, role)

    assert [row["name"] for row in answer.json()["servers"]] == names


def test_a_soft_deleted_server_is_listed_with_its_disks_and_in_pages(world: World) -> None:
    more = world.cloud.add_server(status="SOFT_DELETED", name="MORE")
    query = {**EVER, "status": "SOFT_DELETED", "limit": "1"}

    first = world.asked(query).json()
    second = world.asked({**query, "marker": more.id}).json()

    assert [row["name"] for row in first["servers"]] == ["MORE"]
    assert first["servers_links"][0]["href"].endswith(f"&marker={more.id}")
    [row] = second["servers"]
    assert (row["name"], row["status"], row["OS-EXT-STS:vm_state"]) == ("SOFT", "SOFT_DELETED", "soft-delete")
    assert row["os-extended-volumes:volumes_attached"] == [{"id": world.disk.id}]
    assert world.asked({**query, "marker": world.soft.id}).json() == {"servers": []}


@pytest.mark.parametrize("more", [{}, EVER], ids=str)
def test_a_member_may_not_ask_for_deleted_servers_by_their_status(world: World, more: dict[str, str]) -> None:
    answer = world.asked({"status": "DELETED", **more})

    message = "Only administrators may list deleted instances"
    assert (answer.status_code, answer.json()) == (403, {"forbidden": {"code": 403, "message": message}})


@pytest.mark.parametrize("status", ["UNKNOWN", "NONSENSE"])
def test_a_status_that_there_is_not_matches_nothing_and_then_is_refused(world: World, status: str) -> None:
    old, new = world.asked({"status": status}), world.asked({"status": status}, "2.69")

    assert old.json() == {"servers": []}
    assert (new.status_code, new.json()["badRequest"]["message"]) == (400, "Invalid status value")


def test_all_projects_are_for_administrators(world: World) -> None:
    world.cloud.add_server(project_id=world.cloud.other_project_id, name="THEIRS")
    token = world.cloud.token(ADMIN_PROJECT, role="admin")
    path = servers(world.cloud, "/detail", ADMIN_PROJECT)

    def names(**query: str) -> list[str]:
        answer = ask(world.cloud, "GET", path, token, params=query)
        return [row["name"] for row in answer.json()["servers"]]

    assert world.asked({"all_tenants": "1"}).status_code == 403
    assert names() == []
    assert names(all_tenants="1") == ["THEIRS", "LIVE"]
    assert names(all_tenants="1", uuid=world.live.id) == ["LIVE"]


def test_a_cell_that_is_down_hides_a_server_from_who_asks_by_its_id(world: World) -> None:
    world.cloud.cells_down.add("cell1")
    token = world.cloud.token(ADMIN_PROJECT, role="admin")
    path = servers(world.cloud, "/detail", ADMIN_PROJECT)
    headers = {"X-OpenStack-Nova-API-Version": "2.69"}

    def rows(**query: str) -> list[str]:
        answer = ask(world.cloud, "GET", path, token, headers=headers, params=query)
        return [row["status"] for row in answer.json()["servers"]]

    assert rows(all_tenants="1") == ["UNKNOWN"]
    assert rows(all_tenants="1", uuid=world.live.id) == []
    assert rows(all_tenants="1", deleted="false") == []
