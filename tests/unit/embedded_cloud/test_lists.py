"""Lists of volumes and servers: pages, markers, links, filters, order."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.embedded_cloud import Cloud
from tests.unit.embedded_cloud.client import ask, servers, volumes

Fill = Callable[[Cloud, int], list[str]]


def _volumes(cloud: Cloud, count: int) -> list[str]:
    return [cloud.add_volume().id for _ in range(count)][::-1]


def _servers(cloud: Cloud, count: int) -> list[str]:
    return [cloud.add_server().id for _ in range(count)][::-1]


BOTH = pytest.mark.parametrize(
    ("kind", "path", "fill"),
    [
        ("volumes", volumes, _volumes),
        ("servers", servers, _servers),
    ],
    ids=["volumes", "servers"],
)
Path = Callable[[Cloud, str], str]


def _list(cloud: Cloud, path: str, **params: str) -> dict[str, Any]:
    answer = ask(cloud, "GET", path, cloud.token(), params=params)
    assert answer.status_code == 200, answer.text
    content: dict[str, Any] = answer.json()
    return content


@BOTH
@pytest.mark.parametrize("detail", ["", "/detail"])
def test_pages_by_marker_give_each_thing_once_newest_first(
    cloud: Cloud, kind: str, path: Path, fill: Fill, detail: str
) -> None:
    ids = fill(cloud, 7)
    found: list[str] = []
    marker: dict[str, str] = {}
    pages = 0
    while True:
        content = _list(cloud, path(cloud, detail), limit="3", **marker)
        pages += 1
        found += [thing["id"] for thing in content[kind]]
        if f"{kind}_links" not in content:
            break
        [link] = content[f"{kind}_links"]
        query = parse_qs(urlsplit(link["href"]).query)
        assert (link["rel"], query) == ("next", {"limit": ["3"], "marker": [found[-1]]})
        marker = {"marker": found[-1]}
    assert (found, pages) == (ids, 3)


@BOTH
def test_a_next_link_is_given_too_when_the_page_was_exactly_the_last(
    cloud: Cloud, kind: str, path: Path, fill: Fill
) -> None:
    ids = fill(cloud, 2)

    content = _list(cloud, path(cloud, ""), limit="2")
    after = _list(cloud, path(cloud, ""), limit="2", marker=ids[-1])

    assert f"{kind}_links" in content
    assert after == {kind: []}


def test_the_volumes_next_link_names_an_internal_host_and_v3(cloud: Cloud) -> None:
    cloud.add_volume(attachments=[None])

    content = _list(cloud, volumes(cloud, "/detail"), limit="1", status="in-use")

    link = urlsplit(content["volumes_links"][0]["href"])
    assert link.netloc == "volume.localdomain.com:8776"
    assert link.path == f"/v3/{cloud.project_id}/volumes/detail"
    assert parse_qs(link.query)["status"] == ["in-use"]


@BOTH
def test_no_page_is_longer_than_the_cloud_allows(cloud: Cloud, kind: str, path: Path, fill: Fill) -> None:
    ids = fill(cloud, 1003)

    whole = _list(cloud, path(cloud, ""))
    rest = _list(cloud, path(cloud, ""), marker=ids[999])

    assert [len(content[kind]) for content in (whole, rest)] == [1000, 3]
    assert f"{kind}_links" in whole
    assert f"{kind}_links" not in rest
    cloud.page_cap = 400
    assert len(_list(cloud, path(cloud, ""), limit="1000")[kind]) == 400


@BOTH
def test_a_limit_of_nothing_gives_nothing(cloud: Cloud, kind: str, path: Path, fill: Fill) -> None:
    fill(cloud, 2)

    assert _list(cloud, path(cloud, ""), limit="0") == {kind: []}


@BOTH
def test_another_projects_things_are_not_listed(cloud: Cloud, kind: str, path: Path, fill: Fill) -> None:
    ids = fill(cloud, 1)
    cloud.add_volume(project_id=cloud.other_project_id)
    cloud.add_server(project_id=cloud.other_project_id)

    assert [thing["id"] for thing in _list(cloud, path(cloud, ""))[kind]] == ids


def test_a_lost_volume_marker_looks_like_a_missing_volume(cloud: Cloud) -> None:
    lost = cloud.add_volume().id
    cloud.delete_volume(lost)

    answer = ask(cloud, "GET", volumes(cloud, "/detail"), cloud.token(), params={"marker": lost})

    assert answer.status_code == 404
    assert answer.json() == {"itemNotFound": {"code": 404, "message": f"Volume {lost} could not be found."}}


def test_a_marker_that_no_longer_passes_the_filter_still_holds_its_place(cloud: Cloud) -> None:
    made = [cloud.add_volume(attachments=[None]) for _ in range(3)]
    made[1].status = "available"

    content = _list(cloud, volumes(cloud, "/detail"), status="in-use", marker=made[1].id)

    assert [volume["id"] for volume in content["volumes"]] == [made[0].id]


def test_a_lost_server_marker_is_a_bad_request(cloud: Cloud) -> None:
    server = cloud.add_server()
    cloud.delete_server(server.id, purge=True)

    answer = ask(cloud, "GET", servers(cloud), cloud.token(), params={"marker": server.id})

    assert answer.status_code == 400
    assert answer.json() == {"badRequest": {"code": 400, "message": f"marker [{server.id}] not found"}}


@BOTH
@pytest.mark.parametrize("limit", ["many", "-1"])
def test_an_impossible_limit_is_refused(cloud: Cloud, kind: str, path: Path, fill: Fill, limit: str) -> None:
    fill(cloud, 1)

    answer = ask(cloud, "GET", path(cloud, ""), cloud.token(), params={"limit": limit})

    assert answer.status_code == 400
    assert list(answer.json()) == ["badRequest"], kind


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"status": "in-use"}, [2]),
        ({"status": "available"}, [1, 0]),
        ({"name": "data"}, [1]),
        ({"metadata": "{'tier': 'gold'}"}, [0]),
        ({"unheard-of": "x"}, [2, 1, 0]),
        ({"sort": "created_at:asc"}, [0, 1, 2]),
        ({"sort_key": "size", "sort_dir": "desc"}, [1, 2, 0]),
        ({"sort": "created_at:asc", "limit": "1", "marker": "0"}, [1]),
        ({"limit": "1", "offset": "1"}, [1]),
    ],
    ids=str,
)
def test_volumes_are_filtered_and_ordered(cloud: Cloud, query: dict[str, str], expected: list[int]) -> None:
    made = [
        cloud.add_volume(metadata={"tier": "gold", "a": "b"}, size=1),
        cloud.add_volume(name="data", size=30),
        cloud.add_volume(attachments=[None], size=2),
    ]
    if "marker" in query:
        query = query | {"marker": made[int(query["marker"])].id}

    content = _list(cloud, volumes(cloud, "/detail"), **query)

    assert [volume["id"] for volume in content["volumes"]] == [made[number].id for number in expected]


def test_cinder_ignores_the_server_filter_and_evs_does_not(cloud: Cloud, huawei: Cloud) -> None:
    for one, count in ((cloud, 2), (huawei, 1)):
        server = one.add_server()
        one.add_volume(attachments=[server])
        one.add_volume()
        assert len(_list(one, volumes(one, "/detail"), server_id=server.id)["volumes"]) == count
    cloud.ignore_filters = {"status"}
    assert len(_list(cloud, volumes(cloud), status="in-use")["volumes"]) == 2


def test_servers_are_filtered(cloud: Cloud) -> None:
    running, stopped = cloud.add_server(name="web-1"), cloud.add_server(status="SHUTOFF", name="db-1")
    gone = cloud.add_server()
    cloud.add_volume(attachments=[gone])
    cloud.delete_server(gone.id)

    def found(**query: str) -> list[str]:
        return [server["id"] for server in _list(cloud, servers(cloud, "/detail"), **query)["servers"]]

    assert found(status="ACTIVE") == [running.id]
    assert found(name="db") == [stopped.id]
    assert found() == [stopped.id, running.id]
    assert found(**{"changes-since": "2000-01-01T00:00:00Z"}) == [gone.id, stopped.id, running.id]
    [deleted] = [
        server
        for server in _list(cloud, servers(cloud, "/detail"), **{"changes-since": "2000-01-01T00:00:00Z"})[
            "servers"
        ]
        if server["id"] == gone.id
    ]
    assert deleted["status"] == "DELETED"
    assert deleted["OS-SRV-USG:terminated_at"] == gone.deleted_at
    assert deleted["os-extended-volumes:volumes_attached"] == []


def test_a_list_shows_what_has_just_changed(cloud: Cloud) -> None:
    volume = cloud.add_volume(attachments=[None])
    _list(cloud, volumes(cloud, "/detail"))

    volume.status = 'error"quoted'
    volume.attachments[0].server_id = str(uuid.uuid4())
    volume.metadata["k"] = "v"
    [shown] = _list(cloud, volumes(cloud, "/detail"))["volumes"]

    assert (shown["status"], shown["metadata"]) == ('error"quoted', {"k": "v"})
    assert shown["attachments"][0]["server_id"] == volume.attachments[0].server_id


def test_a_large_cloud_is_paged_whole(cloud: Cloud) -> None:
    cloud.populate(3000, 2500, 40)
    ids: set[str] = set()
    held: set[str] = set()
    for kind, path, count in (
        ("servers", servers(cloud), 2500),
        ("volumes", volumes(cloud, "/detail"), 3000),
    ):
        seen: list[dict[str, Any]] = []
        while rows := _list(cloud, path, **({"marker": seen[-1]["id"]} if seen else {}))[kind]:
            seen += rows
        assert len({row["id"] for row in seen}) == len(seen) == count
        if kind == "servers":
            ids = {row["id"] for row in seen}
        else:
            held = {row["attachments"][0]["server_id"] for row in seen}
    assert len(held - ids) == 40
