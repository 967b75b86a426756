"""Long lists: pages, markers, ends, and what a cloud may do wrong with them."""

from __future__ import annotations

import itertools
import json
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import responses
from requests.models import PreparedRequest

from handler.cloud.messages import Answer
from handler.cloud.paging import Listing, record
from handler.errors import (
    DeadlineExceeded,
    Failure,
    ListingFailed,
    Misconfigured,
    PermissionDenied,
    SecretUnavailable,
    TokenRejected,
    UpstreamRejected,
)
from handler.invocation import Deadline
from tests.embedded_cloud import Call, Cloud
from tests.unit.embedded_project import EmbeddedProject

Given = tuple[int, dict[str, str], str]


def listed_servers(project: EmbeddedProject, seconds: float = 25.0) -> list[str]:
    services = project.services(seconds)
    assert services.servers is not None
    with ThreadPoolExecutor(1) as ahead:
        return [
            id_ for page in services.servers.list(services.context.separate()).pages(ahead) for id_ in page
        ]


def listed_volumes(project: EmbeddedProject) -> list[str]:
    services = project.services()
    with ThreadPoolExecutor(1) as ahead:
        pages = services.volumes.list(services.context.separate(), {"status": "in-use"}).pages(ahead)
        return [volume.id for page in pages for volume in page]


def page(ids: list[str], *, more: bool, link: str | None = None) -> Given:
    body: dict[str, Any] = {"servers": [{"id": id_} for id_ in ids]}
    if more:
        body["servers_links"] = [{"rel": "next", "href": f"http://internal/servers?marker={link or ids[-1]}"}]
    return 200, {}, json.dumps(body)


def ids_of(count: int, start: int = 0) -> list[str]:
    return [str(uuid.UUID(int=number)) for number in range(start, start + count)]


@pytest.fixture
def strange(
    project: EmbeddedProject,
) -> Iterator[Callable[[Callable[[str | None], Given]], list[str | None]]]:
    """A compute service whose pages come from a function of the marker. Gives the markers asked for."""
    with responses.RequestsMock() as stand_in:

        def serve(answer: Callable[[str | None], Given]) -> list[str | None]:
            asked: list[str | None] = []

            def reply(request: PreparedRequest) -> Given:
                query = parse_qs(urlsplit(str(request.url)).query)
                assert query["limit"] == ["1000"]
                asked.append(query.get("marker", [None])[0])
                return answer(asked[-1])

            stand_in.add_callback(
                responses.GET, f"{project.cloud.compute_endpoint}/{project.cloud.project_id}/servers", reply
            )
            return asked

        yield serve


Strange = Callable[[Callable[[str | None], Given]], list[str | None]]


# How it goes on.


def test_every_record_comes_once_and_in_order(bare_cloud: Cloud, project: EmbeddedProject) -> None:
    bare_cloud.page_cap = 5
    servers = [bare_cloud.add_server().id for _ in range(23)]

    assert listed_servers(project) == servers[::-1]


def test_the_next_page_is_fetched_while_the_last_one_is_looked_at(
    bare_cloud: Cloud, project: EmbeddedProject
) -> None:
    bare_cloud.populate(0, 30, 0)
    bare_cloud.page_cap = 10
    services = project.services()
    assert services.servers is not None
    with ThreadPoolExecutor(1) as ahead:
        pages = services.servers.list(services.context.separate()).pages(ahead)
        next(pages)
        until = time.monotonic() + 5
        while len(bare_cloud.calls) < 2 and time.monotonic() < until:
            time.sleep(0.01)
        assert len(bare_cloud.calls) == 2
        assert [len(rest) for rest in pages] == [10, 10, 0]


def test_the_next_link_is_never_followed_to_its_host(bare_cloud: Cloud, project: EmbeddedProject) -> None:
    bare_cloud.populate(0, 12, 0)
    bare_cloud.page_cap = 5

    assert len(listed_servers(project)) == 12  # the links name a host that doesn't exist


def test_a_link_to_somewhere_else_is_no_marker(strange: Strange, project: EmbeddedProject) -> None:
    first, second = ids_of(3), ids_of(2, 3)

    def answer(marker: str | None) -> Given:
        if marker is None:
            return page(first, more=True, link=ids_of(1, 99)[0])
        return page(second if marker == first[-1] else [], more=False)

    asked = strange(answer)

    assert listed_servers(project) == first + second
    assert asked[-1] == first[-1]


def test_full_pages_without_any_link_are_read_on(strange: Strange, project: EmbeddedProject) -> None:
    every = ids_of(2500)

    def answer(marker: str | None) -> Given:
        start = 0 if marker is None else every.index(marker) + 1
        return page(every[start : start + 1000], more=False)

    asked = strange(answer)

    assert listed_servers(project) == every
    assert len(asked) == 3


def test_a_shorter_page_with_a_link_is_not_the_last(strange: Strange, project: EmbeddedProject) -> None:
    every = ids_of(9)
    sizes = {None: 4, every[3]: 2, every[5]: 3}

    def answer(marker: str | None) -> Given:
        start = 0 if marker is None else every.index(marker) + 1
        ids = every[start : start + sizes.get(marker, 0)]
        return page(ids, more=bool(ids) and ids[-1] != every[-1])

    asked = strange(answer)

    assert listed_servers(project) == every
    assert asked == [None, every[3], every[5]], "the last is shorter than the first"


def test_a_page_of_the_first_ones_length_without_a_link_may_not_be_the_last(
    strange: Strange, project: EmbeddedProject
) -> None:
    every = ids_of(8)

    def answer(marker: str | None) -> Given:
        start = 0 if marker is None else every.index(marker) + 1
        return page(every[start : start + 3], more=marker is None)

    asked = strange(answer)

    assert listed_servers(project) == every
    assert asked == [None, every[2], every[5]]


def test_a_page_with_nothing_on_it_is_the_last_whatever_links_to_more(
    strange: Strange, project: EmbeddedProject
) -> None:
    every = ids_of(3)
    asked = strange(lambda marker: page([] if marker else every, more=True, link=every[-1]))

    assert listed_servers(project) == every
    assert asked == [None, every[-1], every[-1]]


@pytest.mark.parametrize(
    ("count", "of"),
    [
        (5, [3, 3, 3]),
        (1, [1, 2, 3]),
        (0, [None] * 3),
        (None, [None] * 3),
        ("5", [None] * 3),
        (True, [None] * 3),
    ],
)
def test_who_follows_a_list_is_told_the_pages_so_far_and_of_how_many(
    strange: Strange, project: EmbeddedProject, count: object, of: list[int | None]
) -> None:
    every = ids_of(5)

    def answer(marker: str | None) -> Given:
        start = 0 if marker is None else every.index(marker) + 1
        status, headers, body = page(every[start : start + 2], more=start < 4)
        return status, headers, json.dumps({**json.loads(body), "count": count})

    strange(answer)
    told: list[tuple[int, int | None]] = []
    services = project.services()
    assert services.servers is not None
    with ThreadPoolExecutor(1) as ahead:
        pages = services.servers.list(services.context.separate())
        list(pages.pages(ahead, lambda number, whole: told.append((number, whole))))

    assert told == list(zip((1, 2, 3), of, strict=True))


def test_of_a_list_with_nothing_in_it_no_number_of_pages_is_told(
    strange: Strange, project: EmbeddedProject
) -> None:
    strange(lambda _: (200, {}, '{"servers": [], "count": 5}'))
    told: list[tuple[int, int | None]] = []
    services = project.services()
    assert services.servers is not None
    with ThreadPoolExecutor(1) as ahead:
        pages = services.servers.list(services.context.separate())
        list(pages.pages(ahead, lambda number, whole: told.append((number, whole))))

    assert told == [(1, None)]


# Markers that are lost.


def vanish(bare_cloud: Cloud, kind: str, times: int) -> list[str]:
    """Let the marker of a list vanish just before it is used, so many times. Gives what vanished."""
    gone: list[str] = []

    def hook(call: Call) -> None:
        marker = call.query.get("marker")
        if not call.path.endswith(kind) or marker is None or len(gone) >= times:
            return
        gone.append(marker)
        if kind == "/servers":
            bare_cloud.delete_server(marker, purge=True)  # a deleted one holds its place until it is purged
        else:
            bare_cloud.delete_volume(marker)

    bare_cloud.hook(hook)
    return gone


@pytest.mark.parametrize("cap", [1, 2, 4, 10])
@pytest.mark.parametrize("times", [1, 2, 3])
def test_a_lost_server_is_gone_on_from_the_last_that_still_works(
    bare_cloud: Cloud, project: EmbeddedProject, cap: int, times: int
) -> None:
    bare_cloud.populate(0, 30, 0)
    bare_cloud.page_cap = cap
    every = [server.id for server in bare_cloud.servers][::-1]
    gone = vanish(bare_cloud, "/servers", times)

    assert listed_servers(project) == every
    assert len(gone) == times


def test_a_lost_volume_is_gone_on_from_the_last_that_still_works(
    bare_cloud: Cloud, project: EmbeddedProject
) -> None:
    bare_cloud.page_cap = 4
    every = project.add_held(13)[::-1]
    gone = vanish(bare_cloud, "/volumes/detail", 3)

    assert listed_volumes(project) == every
    assert len(gone) == 3
    assert [call.status for call in bare_cloud.calls].count(404) == 3


@pytest.mark.parametrize("times", [1, 2, 3])
def test_a_marker_that_is_lost_for_a_moment_gives_no_record_twice(
    bare_cloud: Cloud, project: EmbeddedProject, times: int
) -> None:
    bare_cloud.populate(0, 12, 0)
    bare_cloud.page_cap = 4
    every = [server.id for server in bare_cloud.servers][::-1]
    flapping = {"message": "flapping"}
    bare_cloud.misbehave("compute", "GET", "/servers", times, 1, status=404, body=flapping)

    assert listed_servers(project) == every


def test_an_answer_that_says_nothing_of_a_marker_is_no_lost_one(
    bare_cloud: Cloud, project: EmbeddedProject
) -> None:
    bare_cloud.populate(0, 12, 0)
    bare_cloud.page_cap = 4
    bare_cloud.misbehave("compute", "GET", "/servers", None, 1, status=409, body={"message": "busy"})

    with pytest.raises(Failure):
        listed_servers(project)

    assert len(bare_cloud.calls) == 2


def test_a_marker_is_lost_three_times_at_most(bare_cloud: Cloud, project: EmbeddedProject) -> None:
    bare_cloud.populate(0, 30, 0)
    bare_cloud.page_cap = 10
    vanish(bare_cloud, "/servers", 4)

    with pytest.raises(ListingFailed) as failed:
        listed_servers(project)

    assert failed.value.upstream is not None
    assert failed.value.upstream.status == 400
    assert len(bare_cloud.calls) == 5


def test_three_markers_that_come_back_give_no_record_twice(
    strange: Strange, project: EmbeddedProject
) -> None:
    every, refused = ids_of(6), [3]

    def answer(marker: str | None) -> Given:
        start = 0 if marker is None else every.index(marker) + 1
        if start >= 4 and refused[0]:
            refused[0] -= 1
            return 404, {}, "{}"
        if start in {2, 3} and 0 < refused[0] < 3:
            refused[0] -= 1
            return 404, {}, "{}"
        return page(every[start : start + 4], more=start + 4 < len(every))

    strange(answer)

    assert listed_servers(project) == every
    assert refused == [0]


def test_a_refusal_that_is_about_no_marker_loses_none(bare_cloud: Cloud, project: EmbeddedProject) -> None:
    bare_cloud.populate(0, 12, 0)
    bare_cloud.page_cap = 4
    bare_cloud.misbehave("compute", "GET", "/servers", status=409, body={"message": "No."}, after=1)

    with pytest.raises(UpstreamRejected):
        listed_servers(project)


def test_an_id_that_is_no_plain_one_is_no_marker() -> None:
    first, odd = ids_of(2), "../../v3/" + "0" * 32
    asked: list[str | None] = []
    left_out: list[str | None] = []

    def fetch(marker: str | None) -> Answer:
        asked.append(marker)
        things: list[Any] = [*({"id": id_} for id_ in [*first, odd]), 7] if marker is None else []
        body = {"things": things, "things_links": [{"rel": "next"}]}
        return Answer(200, {}, json.dumps(body).encode(), None)

    def read(found: dict[str, str]) -> str:
        return str(uuid.UUID(found["id"]))

    listing = Listing("volume", "things", record("id"), read, fetch, Deadline.after(60))
    with ThreadPoolExecutor(1) as ahead:
        read_so = [*listing.pages(ahead, left_out=left_out.append)]

    assert read_so == [first, []]
    assert (asked, left_out) == ([None, first[1]], [None, None])


def test_a_list_that_fails_at_its_start_has_lost_no_marker(
    bare_cloud: Cloud, project: EmbeddedProject
) -> None:
    """It is the endpoint that is wrong, and that is the same failure in every form."""
    bare_cloud.misbehave("compute", "GET", status=404, body={"itemNotFound": {"code": 404, "message": "No."}})

    with pytest.raises(UpstreamRejected):
        listed_servers(project)

    assert len(bare_cloud.calls) == 1


# A cloud that can't be gone on with.


@pytest.mark.parametrize("more", [True, False])
def test_a_cloud_that_ignores_the_marker_is_found_out(
    strange: Strange, project: EmbeddedProject, more: bool
) -> None:
    asked = strange(lambda _marker: page(ids_of(1000), more=more))

    with pytest.raises(ListingFailed, match="ignores the marker"):
        listed_servers(project)

    assert len(asked) <= 3


def test_a_cloud_that_ignores_the_marker_is_found_out_by_short_pages_too(
    strange: Strange, project: EmbeddedProject
) -> None:
    asked = strange(lambda _marker: page(ids_of(2), more=True))

    with pytest.raises(ListingFailed, match="ignores the marker"):
        listed_servers(project)

    assert len(asked) <= 3


def test_it_is_found_out_even_while_servers_are_made(strange: Strange, project: EmbeddedProject) -> None:
    made = itertools.count(2000)
    asked = strange(lambda _marker: page([*ids_of(1, next(made)), *ids_of(999)], more=True))

    with pytest.raises(ListingFailed, match="ignores the marker"):
        listed_servers(project)

    assert len(asked) <= 3


@pytest.mark.parametrize("service", ["compute", "volume"])
def test_a_page_that_fails_for_good_ends_the_list(
    bare_cloud: Cloud, project: EmbeddedProject, service: str
) -> None:
    bare_cloud.populate(6, 6, 0)
    bare_cloud.page_cap = 2
    bare_cloud.misbehave(service, "GET", times=None, after=1, status=503, headers={"Retry-After": "7"})

    with pytest.raises(ListingFailed) as failed:
        listed_servers(project) if service == "compute" else listed_volumes(project)

    assert failed.value.retryable
    assert failed.value.retry_after == 7
    assert "can't be had" in failed.value.message


def test_a_page_that_fails_now_and_then_is_asked_for_again(
    bare_cloud: Cloud, project: EmbeddedProject
) -> None:
    bare_cloud.populate(0, 6, 0)
    bare_cloud.page_cap = 2
    bare_cloud.misbehave("compute", "GET", times=2, after=1, status=503)
    bare_cloud.misbehave("compute", "GET", times=1, after=2, drop="after")

    assert len(listed_servers(project)) == 6


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (401, {"error": {"code": 401, "message": "The request requires authentication."}}, TokenRejected),
        (403, {"forbidden": {"code": 403, "message": "Policy doesn't allow it."}}, PermissionDenied),
        (400, {"badRequest": {"code": 400, "message": "Malformed request url"}}, Misconfigured),
    ],
)
def test_what_every_page_would_meet_is_said_as_what_it_is(
    bare_cloud: Cloud, project: EmbeddedProject, status: int, body: object, kind: type[Failure]
) -> None:
    bare_cloud.populate(0, 6, 0)
    bare_cloud.page_cap = 2
    bare_cloud.misbehave("compute", "GET", times=None, after=1, status=status, body=body)

    with pytest.raises(kind):
        listed_servers(project)

    assert len(bare_cloud.calls) == 2


def test_a_secret_that_cannot_be_had_is_no_failed_page(
    project: EmbeddedProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    def locked(*_: object) -> PreparedRequest:
        raise SecretUnavailable("The store is sealed.", retryable=True)

    monkeypatch.setattr("tests.unit.embedded_project.FixedToken.__call__", locked)

    with pytest.raises(SecretUnavailable):
        listed_servers(project)


@pytest.mark.parametrize(
    "body",
    [
        "<html>maintenance</html>",
        "",
        "[]",
        "null",
        '"servers"',
        "{}",
        '{"servers": null}',
        '{"servers": {"id": "x"}}',
        '{"servers": [1]}',
        '{"servers": [{}]}',
        '{"servers": [{"id": null}]}',
        '{"servers": [{"id": 7}]}',
        '{"servers": [{"id": "no id"}]}',
        '{"servers": [{"id": "00000000-0000-0000-0000-000000000001"}, []]}',
        '{"servers": [' + "[" * 5000,
        '{"servers": [' + "[" * 5000 + "]" * 5000 + "]}",
        b'{"servers": [{"id": "\xff\xfe"}]}',
        '{"servers": [{"id": "00000000-0000-0000-0000-00000000',
    ],
)
def test_a_page_that_cannot_be_read_ends_the_list(
    bare_cloud: Cloud, project: EmbeddedProject, body: str | bytes
) -> None:
    bare_cloud.misbehave("compute", "GET", status=200, body=body)

    with pytest.raises(ListingFailed):
        listed_servers(project)


@pytest.mark.parametrize(
    "record",
    [
        {"status": "in-use", "attachments": []},
        {"id": "no id", "status": "in-use", "attachments": []},
        {"id": ids_of(1)[0], "attachments": []},
        {"id": ids_of(1)[0], "status": 7, "attachments": []},
        {"id": ids_of(1)[0], "status": "in-use"},
        {"id": ids_of(1)[0], "status": "in-use", "attachments": None},
        {"id": ids_of(1)[0], "status": "in-use", "attachments": ["vdb"]},
    ],
)
def test_a_volume_that_cannot_be_read_ends_the_list(
    bare_cloud: Cloud, project: EmbeddedProject, record: dict[str, Any]
) -> None:
    bare_cloud.misbehave("volume", "GET", status=200, body={"volumes": [record]})

    with pytest.raises(ListingFailed):
        listed_volumes(project)


def test_a_page_larger_than_any_page_is_not_read(
    bare_cloud: Cloud, project: EmbeddedProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("handler.cloud.servers.LARGEST_PAGE", 100_000)
    bare_cloud.add_server()
    bare_cloud.misbehave("compute", "GET", huge=200_000)

    with pytest.raises(ListingFailed, match="100000 bytes"):
        listed_servers(project)


def test_a_large_page_is_read(bare_cloud: Cloud, project: EmbeddedProject) -> None:
    text = "x" * 60_000
    for _ in range(100):
        bare_cloud.add_volume(status="in-use", metadata={"note": text})

    assert len(listed_volumes(project)) == 100


# Time.


@pytest.mark.parametrize("latency", [0.15, 5.0])
def test_a_list_that_does_not_fit_into_its_time_says_what_to_raise(
    bare_cloud: Cloud, project: EmbeddedProject, latency: float
) -> None:
    bare_cloud.populate(0, 40, 0)
    bare_cloud.page_cap = 2
    bare_cloud.latency = latency
    started = time.monotonic()

    with pytest.raises(DeadlineExceeded, match="DETACH_TIMEOUT"):
        listed_servers(project, seconds=0.5)

    assert time.monotonic() - started < 3
