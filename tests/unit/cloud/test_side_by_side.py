"""A list's pages side by side, by offset: nothing is lost or doubled that by marker isn't."""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from random import Random
from typing import Any

import pytest

from handler.cloud.messages import Answer
from handler.cloud.paging import LONG, Listing, record
from handler.cloud.side_by_side import Beside, Window, joins
from handler.errors import Failure, ListingFailed, NoAnswer, TokenRejected
from handler.invocation import Deadline
from tests.embedded_cloud import Cloud
from tests.unit.embedded_project import EmbeddedProject

PAGE = 192
OVERLAP = 3
STEP = PAGE - OVERLAP


def ids_of(count: int, start: int = 0) -> list[str]:
    return [str(uuid.UUID(int=number)) for number in range(start, start + count)]


class MovingList:
    """A list of things, by marker and by offset as Cinder gives it. It may move at each call."""

    def __init__(self, count: int) -> None:
        self.ids = ids_of(count)
        self.move: Callable[[], None] = lambda: None
        self.bend: Callable[[int, list[str]], Answer | list[str]] = lambda _offset, page: page
        self.count: int | None = None
        self.links = True
        self.offsets: list[int] = []
        self.markers: list[str | None] = []
        self.unsure = 0
        self._lock = threading.Lock()

    def by_marker(self, marker: str | None) -> Answer:
        with self._lock:
            self.move()
            self.markers.append(marker)
            if marker is not None and marker not in self.ids:
                return Answer(404, {}, b'{"itemNotFound": {"code": 404, "message": "No."}}', None, ())
            start = 0 if marker is None else self.ids.index(marker) + 1
            return self._answer(self.ids[start : start + PAGE])

    def by_offset(self, offset: int) -> Answer:
        with self._lock:
            self.move()
            self.offsets.append(offset)
            page = self.bend(offset, self.ids[offset : offset + PAGE])
            return page if isinstance(page, Answer) else self._answer(page)

    def _answer(self, page: list[str]) -> Answer:
        body: dict[str, object] = {"things": [{"id": id_} for id_ in page]}
        if len(page) == PAGE and (self.links or len(self.markers) == 1):
            body["things_links"] = [{"rel": "next", "href": f"http://internal/things?marker={page[-1]}"}]
        if self.count is not None:
            body["count"] = self.count
        return Answer(200, {}, json.dumps(body).encode(), None, ())

    def read(self, most: Callable[[], int] = lambda: 4) -> list[str]:
        def note() -> None:
            self.unsure += 1

        listing = Listing(
            "volume",
            "things",
            record("id"),
            lambda found: str(found["id"]),
            self.by_marker,
            Deadline.after(60),
        )
        with ThreadPoolExecutor(5) as ahead:
            pages = listing.pages(ahead, beside=Beside(self.by_offset, most, note))
            return [id_ for page in pages for id_ in page]


# A list that stands still.


@pytest.mark.parametrize(
    "count",
    [
        0,
        1,
        LONG * PAGE - 1,
        LONG * PAGE,
        LONG * PAGE + 1,
        LONG * PAGE + STEP,
        20 * PAGE,
        8 * PAGE + 12 * STEP + 1,
    ],
)
def test_every_record_comes_once_and_in_order(count: int) -> None:
    things = MovingList(count)

    assert things.read() == things.ids
    assert things.unsure == 0
    assert len(things.markers) == (count // PAGE + 1 if count < LONG * PAGE else LONG + 1)


def test_of_a_short_list_nothing_is_asked_for_in_vain() -> None:
    things = MovingList(LONG * PAGE - 1)

    things.read()

    assert things.offsets == []


def test_of_a_long_list_fewer_are_asked_for_in_vain_than_at_once() -> None:
    things = MovingList(30 * PAGE)

    things.read()

    needed = -(-(22 * PAGE) // STEP)
    assert needed <= len(things.offsets) <= needed + 4
    assert sorted(things.offsets)[:3] == [LONG * PAGE - OVERLAP + turn * STEP for turn in range(3)]


def test_where_the_cloud_counts_nothing_is_asked_for_behind_the_end() -> None:
    things = MovingList(30 * PAGE)
    things.count = 30 * PAGE

    assert things.read() == things.ids
    assert max(things.offsets) < 30 * PAGE
    assert things.unsure == 0


@pytest.mark.parametrize("counted", [0, 9 * PAGE, 10**9])
def test_a_count_that_is_wrong_loses_nothing(counted: int) -> None:
    things = MovingList(20 * PAGE)
    things.count = counted

    assert things.read() == things.ids
    assert things.unsure == 0, "by the cloud's own count it was read to its end"


def test_full_pages_without_a_link_are_read_on_side_by_side() -> None:
    things = MovingList(20 * PAGE)
    things.links = False

    assert things.read() == things.ids
    assert things.unsure == 0
    assert len(things.offsets) >= 12


def test_records_whose_ids_can_be_no_markers_end_nothing() -> None:
    things = MovingList(20 * PAGE)
    for place in (3 * PAGE + 5, 10 * PAGE + 7):
        things.ids[place] = "no marker"

    assert things.read() == things.ids
    assert things.unsure == 0
    assert "no marker" not in things.markers


def test_nobody_is_asked_side_by_side_while_nothing_waits_for_it() -> None:
    things = MovingList(20 * PAGE)

    assert things.read(lambda: 1) == things.ids
    assert things.offsets == []


def test_it_may_begin_later_and_slow_down() -> None:
    things = MovingList(30 * PAGE)
    turns = iter([1] * 5 + [4] * 6 + [1] * 1000)

    assert things.read(lambda: next(turns)) == things.ids
    assert LONG < len(things.markers) < 20
    assert things.unsure == 0


# One that moves.


@pytest.mark.parametrize("seed", range(40))
def test_what_is_there_all_the_time_is_listed_once_however_the_list_moves(seed: int) -> None:
    random = Random(seed)
    things = MovingList(25 * PAGE)
    made = iter(ids_of(10_000, 10**6))
    always, gone = set(things.ids), set()
    most = random.choice([1, 2, 5, 40])

    def move() -> None:
        for _ in range(random.randrange(most + 1)):
            if random.random() < 0.5:
                things.ids.insert(random.choice([0, random.randrange(len(things.ids))]), next(made))
            else:
                gone.add(things.ids.pop(random.randrange(len(things.ids))))

    things.move = move
    read = things.read()

    assert len(read) == len(set(read))
    assert always - gone <= set(read)


def _lose(things: MovingList, count: int) -> None:
    """Have so many records go just before the third page by offset is given."""

    def bend(offset: int, page: list[str]) -> list[str]:
        if len(things.offsets) == 3:
            del things.ids[:count]
            return things.ids[offset : offset + PAGE]
        return page

    things.bend = bend


@pytest.mark.parametrize("at_the_border", [1, OVERLAP - 1])
def test_few_that_go_at_the_border_of_two_pages_are_made_up_for(at_the_border: int) -> None:
    things = MovingList(20 * PAGE)
    every = [*things.ids]
    _lose(things, at_the_border)

    assert things.read(lambda: 2) == every
    assert things.unsure == 0


def test_many_that_go_have_the_rest_read_by_marker() -> None:
    things = MovingList(20 * PAGE)
    every = [*things.ids]
    _lose(things, OVERLAP)

    assert things.read(lambda: 2) == every
    assert things.unsure == 1
    assert len(things.markers) > LONG + 5


def test_those_that_come_to_be_listed_are_not_listed_twice() -> None:
    things = MovingList(20 * PAGE)
    every = [*things.ids]
    made = iter(ids_of(10_000, 10**6))
    things.move = lambda: things.ids.insert(0, next(made)) if len(things.markers) >= LONG else None

    read = things.read()

    assert read == every
    assert things.unsure == 0


# A cloud that doesn't do as it is asked.


REFUSED = Answer(400, {}, b'{"badRequest": {"code": 400, "message": "offset"}}', None, ())


THIRD = LONG * PAGE - OVERLAP + 2 * STEP
"""Where the third page by offset begins."""

Bend = Callable[[list[str], int], "Answer | list[str]"]

ALL_PAGES: dict[str, Bend] = {
    "the offset is ignored": lambda ids, _: ids[:PAGE],
    "the offset is a page's number": lambda _ids, _: [],
    "the offset is refused": lambda _ids, _: REFUSED,
    "no page can be read": lambda _ids, _: Answer(200, {}, b"<html>", None, ()),
    "the page before comes again and again": lambda ids, _: ids[(LONG - 1) * PAGE :][:PAGE],
}
ONE_PAGE: dict[str, Bend] = {
    "it is refused": lambda _ids, _: REFUSED,
    "it can't be read": lambda _ids, _: Answer(200, {}, b"<html>", None, ()),
    "it comes twice": lambda ids, at: ids[at - STEP :][:PAGE],
    "the next one comes": lambda ids, at: ids[at + STEP :][:PAGE],
    "it is short": lambda ids, at: ids[at:][: PAGE // 2],
    "it is empty": lambda _ids, _: [],
    "it has too many of the page before": lambda ids, at: [*ids[at - 9 : at][::-1], *ids[at:][: PAGE - 9]],
}


@pytest.mark.parametrize("name", [*ALL_PAGES, *ONE_PAGE])
def test_a_page_that_does_not_join_has_the_rest_read_by_marker(name: str) -> None:
    things = MovingList(20 * PAGE + 5)
    bend = ALL_PAGES.get(name) or ONE_PAGE[name]
    things.bend = lambda at, page: bend(things.ids, at) if at == THIRD or name in ALL_PAGES else page

    read = things.read()

    assert sorted(read) == sorted(things.ids)
    assert things.unsure == (name != "it is short")
    assert len(things.offsets) <= 8
    assert len(things.markers) > LONG + 5


def test_a_shorter_page_with_a_link_is_not_the_last() -> None:
    things = MovingList(20 * PAGE)

    def bend(offset: int, page: list[str]) -> Answer | list[str]:
        body = {
            "things": [{"id": id_} for id_ in page[:-1]],
            "things_links": [{"rel": "next", "href": "/things"}],
        }
        return Answer(200, {}, json.dumps(body).encode(), None, ()) if offset == THIRD else page

    things.bend = bend

    assert things.read() == things.ids
    assert (things.unsure, len(things.markers)) == (0, LONG + 1)


def test_after_a_short_page_with_a_link_the_rest_is_read_by_marker() -> None:
    things = MovingList(20 * PAGE)

    def cut(offset: int, page: list[str]) -> Answer | list[str]:
        if offset != THIRD:
            return page
        link = [{"rel": "next", "href": f"http://internal/things?marker={page[9]}"}]
        body = {"things": [{"id": id_} for id_ in page[:10]], "things_links": link}
        return Answer(200, {}, json.dumps(body).encode(), None, ())

    things.bend = cut

    assert things.read() == things.ids
    assert things.unsure == 1


def test_a_full_page_without_a_link_is_not_the_last() -> None:
    things = MovingList(20 * PAGE)

    def bend(_offset: int, page: list[str]) -> Answer:
        return Answer(200, {}, json.dumps({"things": [{"id": id_} for id_ in page]}).encode(), None, ())

    things.bend = bend

    assert things.read() == things.ids
    assert (things.unsure, len(things.markers)) == (0, LONG + 1)


def test_a_first_page_that_can_t_be_read_has_the_rest_read_by_marker() -> None:
    things = MovingList(20 * PAGE)
    things.bend = lambda _offset, _page: Answer(200, {}, b"<html>", None, ())

    assert things.read() == things.ids
    assert things.unsure == 1


def test_a_list_whose_order_changes_is_not_believed() -> None:
    things = MovingList(20 * PAGE + 5)
    things.bend = lambda at, page: [*page[:OVERLAP], *page[OVERLAP:][::-1]] if at == THIRD else page

    with pytest.raises(ListingFailed):
        things.read()


@pytest.mark.parametrize("fault", [NoAnswer("No answer.", broken=True), TokenRejected("No.")])
def test_a_page_that_fails_is_asked_for_by_marker(fault: Failure) -> None:
    things = MovingList(20 * PAGE)

    def fail(_offset: int, _page: list[str]) -> Answer:
        raise fault

    things.bend = fail

    assert things.read() == things.ids
    assert things.unsure == 1


class _Noting(Executor):
    """Begins nothing."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, Future[Any]]] = []

    def submit(self, _fetch: Any, offset: int) -> Future[Any]:  # type: ignore[override]
        self.asked.append((offset, Future()))
        return self.asked[-1][1]


def test_so_many_are_on_their_way_as_may_be_and_what_is_not_begun_is_dropped() -> None:
    threads = _Noting()
    window = Window(lambda _: REFUSED, threads, lambda: 3, page=PAGE, listed=8 * PAGE, count=None)
    first = 8 * PAGE - OVERLAP
    assert [offset for offset, _ in threads.asked] == [first, first + STEP, first + 2 * STEP]

    threads.asked[0][1].set_result(REFUSED)
    assert window.take() is None
    assert [offset for offset, _ in threads.asked[3:]] == [first + 3 * STEP]
    window.close()
    assert [coming.cancelled() for _, coming in threads.asked] == [False, True, True, True]


def test_nothing_is_asked_for_at_what_the_cloud_counts_as_the_end() -> None:
    threads = _Noting()
    first = 8 * PAGE - OVERLAP
    Window(lambda _: REFUSED, threads, lambda: 3, page=PAGE, listed=8 * PAGE, count=first + STEP)

    assert [offset for offset, _ in threads.asked] == [first]


def test_joins_by_the_last_id_of_the_page_before() -> None:
    a, b, c, d, e, f, g = ids_of(7)

    assert joins([c, d, e], [a, b, c]) == 1
    assert joins([b, c, d], [a, b, c]) == 2
    assert joins([e, b, c, d], [a, b, c]) == 3, "one that came to be listed"
    assert joins([d, e, f, c, g], [a, b, c]) == 4, "as many as may"
    assert joins([d, e, f, g, c], [a, b, c]) is None, "too many that did"
    assert joins([c, b, d], [a, b, c]) is None, "one of the page before comes again"
    assert joins([b, a, c, d], [a, b, c]) is None, "another order"
    assert joins([d, e], [a, b, c]) is None
    assert joins([c, d], []) is None
    assert joins([None, d], [a, None]) is None


class Threads(Executor):
    """Does what it is given at once, or never."""

    def __init__(self) -> None:
        self.waiting: list[Future[Answer]] = []
        self.at_once = True

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        if self.at_once:
            future.set_result(fn(*args, **kwargs))
        self.waiting.append(future)
        return future


PAGE_OF_ONE = Answer(200, {}, b'{"things": []}', None, ())


def test_as_many_pages_are_on_their_way_as_may_be_while_one_is_read() -> None:
    asked: list[int] = []

    def fetch(offset: int) -> Answer:
        asked.append(offset)
        return PAGE_OF_ONE

    window = Window(fetch, Threads(), lambda: 3, page=100, listed=800, count=None)

    assert window.take() is PAGE_OF_ONE
    assert asked == [799, 898, 997, 1096]


def test_nothing_is_asked_for_where_the_count_ends() -> None:
    asked: list[int] = []

    def fetch(offset: int) -> Answer:
        asked.append(offset)
        return PAGE_OF_ONE

    window = Window(fetch, Threads(), lambda: 3, page=100, listed=800, count=898)

    assert [window.take(), window.take()] == [PAGE_OF_ONE, None]
    assert asked == [799]
    assert window.at_end


def test_an_answer_that_refuses_is_no_page() -> None:
    window = Window(lambda _: REFUSED, Threads(), lambda: 1, page=100, listed=800, count=None)

    assert window.take() is None
    assert not window.at_end


def test_what_is_not_on_its_way_yet_is_dropped() -> None:
    threads = Threads()
    window = Window(lambda _: PAGE_OF_ONE, threads, lambda: 3, page=100, listed=800, count=None)
    window.take()
    threads.at_once = False
    threads.waiting.clear()
    window.take()

    window.close()

    assert [future.cancelled() for future in threads.waiting] == [True]


# At a sweep.


def test_a_sweep_whose_volumes_are_behind_asks_for_them_side_by_side(
    bare_cloud: Cloud, project: EmbeddedProject
) -> None:
    bare_cloud.populate(400, 40, 6)
    bare_cloud.page_cap = 20

    result = project.sweep(dry_run=False)

    assert result.summary == {"detached": 6}
    assert result.scanned is not None
    assert (result.scanned.volumes, result.scanned.servers) == (400, 40)
    offsets = [call.query["offset"] for call in bare_cloud.calls if "offset" in call.query]
    assert len(offsets) >= 10


def test_a_sweep_that_does_one_thing_at_a_time_asks_for_one_page_at_a_time(
    bare_cloud: Cloud, project: EmbeddedProject
) -> None:
    bare_cloud.populate(400, 40, 6)
    bare_cloud.page_cap = 20

    result = project.sweep(project.services(DETACH_CONCURRENCY=1), dry_run=False)

    assert result.summary == {"detached": 6}
    assert [call for call in bare_cloud.calls if "offset" in call.query] == []
