"""Long lists, page by page, by marker; the next page is on its way while this one is looked at.

See `handler.cloud.side_by_side` for what goes by offset.

Facts (recorded from a real Cinder and Nova): a cloud may give shorter pages than asked for, the `next` link
names an internal host and is there on a last page that is exactly full, and the marker is lost when what it
names is deleted in between (Cinder: 404, Nova: 400).
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from pydantic_core import CoreSchema, SchemaValidator
from pydantic_core.core_schema import any_schema, list_schema, typed_dict_field, typed_dict_schema

from handler.cloud.faults import failure
from handler.cloud.messages import Answer
from handler.errors import (
    DeadlineExceeded,
    Failure,
    ListingFailed,
    Misconfigured,
    PermissionDenied,
    SecretUnavailable,
    TokenRejected,
)
from handler.invocation import Deadline
from handler.model.bounded_json import loads_leniently

if TYPE_CHECKING:
    from handler.cloud.side_by_side import Beside

PAGE = 1000
"""Records asked for at a time: the most that Cinder, Nova and EVS give."""

LARGEST_PAGE = 64 * 1024 * 1024
"""Bytes of a page at most: a thousand records of 64 KiB each."""

LONG = 8
"""Pages that are read by marker before any is asked for beside another: of a shorter list none is in vain."""

_MOST_LOST_MARKERS = 3
# Seconds for the thread that fetches ahead to send its request. Reading a page keeps the interpreter
# busy: without them every request would go out that much later.
_HEAD_START = 0.001
_ID = re.compile(r"[0-9A-Za-z:{}-]{32,64}")
_MARKER = re.compile(rb"[?&]marker=([0-9A-Fa-f-]{32,36})")

_T = TypeVar("_T")

Told = Callable[[int, int | None], None]
LeftOut = Callable[[str | None], None]


def nobody(_number: int, _of: int | None) -> None:
    """Nobody follows."""


def record(*names: str, **lists: CoreSchema) -> CoreSchema:
    """What is wanted of a record: these fields as they come, and these lists of records.

    The rest of a page never becomes an object: that is half of what reading one costs, in time and memory.
    """
    fields = {name: typed_dict_field(any_schema(), required=False) for name in names}
    for name, of in lists.items():
        fields[name] = typed_dict_field(list_schema(of), required=False)
    return typed_dict_schema(fields)


# What every further call would meet, whatever page it asks for
_HOPELESS = (TokenRejected, PermissionDenied, Misconfigured, SecretUnavailable)


@dataclass(frozen=True)
class Listing(Generic[_T]):
    """A list at one service.

    `key` is its name in the answer, `wanted` what of a record is wanted (its id at least), `read` reads such
    a record (ValueError when it is not one), `fetch` asks for the page behind a marker, and `deadline`
    bounds every call of it.
    """

    service: str
    key: str
    wanted: CoreSchema
    read: Callable[[Any], _T]
    fetch: Callable[[str | None], Answer]
    deadline: Deadline

    def pages(
        self,
        ahead: Executor,
        told: Told = nobody,
        left_out: LeftOut | None = None,
        beside: Beside | None = None,
    ) -> Iterator[list[_T]]:
        """The pages, each record once. Raises ListingFailed, or what would fail again the same way.

        `told` is called with how many pages there are so far, and of how many, None where the cloud doesn't
        say how many records it has (EVS does). `left_out` is called with the id of a record that can't be
        read (None where that can't be read either); without it such a record is a ListingFailed. `beside`
        has pages asked for side by side.
        """
        try:
            yield from self._pages(ahead, told, left_out, beside)
        except (ListingFailed, *_HOPELESS):
            raise
        except Failure as fault:
            # A call that the deadline cut short fails by its own time-out: the cause is the same
            if isinstance(fault, DeadlineExceeded) or self.deadline.expired:
                raise DeadlineExceeded(
                    f"The list of {self.key} doesn't fit into the time there is: nothing was judged by a "
                    "part of it. Raise DETACH_TIMEOUT (and the platform's own limit)."
                ) from None
            if not fault.retryable:
                raise  # the same wrong address is the same failure, whatever is asked for there
            raise self._failed(fault) from None

    def _pages(
        self, ahead: Executor, told: Told, left_out: LeftOut | None, beside: Beside | None
    ) -> Iterator[list[_T]]:
        page = SchemaValidator(record("count", f"{self.key}_links", **{self.key: self.wanted}))
        far = _Far(told)
        lost = 0
        markers: list[str] = []  # the last ids so far: what to go on from, the newest of them last
        seen: frozenset[str] = frozenset()
        coming: Future[Answer] | None = None
        while True:
            answer = coming.result() if coming is not None else self.fetch(markers[-1] if markers else None)
            coming = None
            if answer.status != 200:
                lost += 1
                self._require_lost(answer, markers, lost)
                markers.pop()  # where none is left, all that came is in `seen`: the list starts anew
                continue
            behind = beside if beside is not None and far.is_long and beside.most() > 1 else None
            hinted = None if behind else _hint(answer.body)
            if hinted is not None:
                coming = ahead.submit(self.fetch, hinted)
                time.sleep(_HEAD_START)
            ids, records, more, count = self._open(page, answer)
            del answer  # megabytes
            # Only a first page can't be compared with the first: there the page that was asked for stands in
            last = not ids or (not more and len(ids) < (far.first or PAGE))
            again = len(seen.intersection(ids))  # a lost marker explains as many as were gone back
            if again > _MOST_LOST_MARKERS or (again == len(ids) and not last):
                raise ListingFailed(f"The list of {self.key} repeats itself: the cloud ignores the marker.")
            if not last and not any(ids):
                raise self._unreadable()  # nothing to go on from
            new = [pair for pair in zip(ids, records, strict=True) if pair[0] not in seen]
            far.went(ids, len(new), count)
            found = [*self._read(new, left_out)]
            del records, new
            yield found
            del found
            if last:
                return
            if behind is not None:
                yield from self._at_once(page, far, ahead, left_out, behind)
                beside, ids = None, far.ids
            markers = [*markers, *filter(None, ids)][-1 - _MOST_LOST_MARKERS :]
            seen = frozenset(filter(None, ids)).union(markers)
            if coming is not None and markers[-1:] != [hinted]:
                coming.cancel()
                coming = None

    def _require_lost(self, answer: Answer, markers: list[str], lost: int) -> None:
        """Raise what an answer other than 200 says, unless it is that a marker is lost, and not too often."""
        fault = failure(answer, self.service)
        if not markers or answer.status not in {400, 404} or isinstance(fault, _HOPELESS):
            raise fault
        if lost > _MOST_LOST_MARKERS:
            raise self._failed(fault)

    def _at_once(
        self, page: SchemaValidator, far: _Far, ahead: Executor, left_out: LeftOut | None, beside: Beside
    ) -> Iterator[list[_T]]:
        """The pages from here on, side by side, as far as they join. That the list ends is told by marker."""
        from handler.cloud.side_by_side import Window, joins  # noqa: PLC0415 (few lists are so long)

        window = Window(beside.fetch, ahead, beside.most, page=far.first, listed=far.listed, count=far.count)
        try:
            while (answer := window.take()) is not None:
                try:
                    ids, records, more, count = self._open(page, answer)
                except ListingFailed:
                    break  # by marker it is found out whether it is that page
                known = joins(ids, far.ids)
                last = not more and len(ids) < far.first
                if known is None or not (last or any(ids[known:])):
                    break
                new = [*zip(ids[known:], records[known:], strict=True)]
                far.went(ids, len(new), count)
                yield [*self._read(new, left_out)]
                if last:
                    return
            if not window.at_end:
                beside.unsure()
        finally:
            window.close()

    def _open(
        self, page: SchemaValidator, answer: Answer
    ) -> tuple[list[str | None], list[Any], bool, int | None]:
        """A page's ids (None where one can't be read), its records, whether more follow, of how many."""
        if answer.kept:
            raise ListingFailed(
                f"A page of the list of {self.key} is one that a cache kept (Age), though it was asked not "
                "to: nothing was judged by it. Check what stands between."
            )
        try:
            body = _parsed(page, answer.body)
            records = body[self.key]
            ids = [_id(record) for record in records]
            count = body.get("count")
            return ids, records, bool(body.get(f"{self.key}_links")), count if type(count) is int else None
        except (ValueError, KeyError, TypeError, AttributeError):
            raise self._unreadable() from None

    def _unreadable(self) -> ListingFailed:
        return ListingFailed(f"A page of the list of {self.key} can't be read. Ask again later.")

    def _read(self, records: list[tuple[str | None, Any]], left_out: LeftOut | None) -> Iterator[_T]:
        for id_, found in records:
            try:
                read = self.read(found)
            except (ValueError, KeyError, TypeError, AttributeError):
                if left_out is None:
                    raise ListingFailed(
                        f"A record in the list of {self.key} can't be read ({id_ or 'nor its id'}): nothing "
                        "was judged by the list. A cloud administrator has to look at that record."
                    ) from None
                left_out(id_)
            else:
                yield read

    def _failed(self, fault: Failure) -> ListingFailed:
        failed = ListingFailed(
            f"A page of the list of {self.key} can't be had: nothing was judged by the rest. {fault.message}",
            upstream=fault.upstream,
        )
        failed.retry_after = fault.retry_after
        return failed


class _Far:
    """How far a list was read: pages, records (`listed`), the last page's ids, how long the first one was.

    `count` is how many records the list has, None where the cloud doesn't say.
    """

    def __init__(self, told: Told) -> None:
        self._told = told
        self.first = self.pages = self.listed = 0
        self.ids: list[str | None] = []
        self.count: int | None = None

    @property
    def is_long(self) -> bool:
        """Whether the rest may be asked for side by side, once the page that is here is read."""
        return self.pages >= LONG - 1 and self.first > 1

    def went(self, ids: list[str | None], new: int, count: int | None) -> None:
        """Note a page, with so many records that weren't there before."""
        self.first = self.first or len(ids)
        self.pages += 1
        self.listed += new
        self.ids, self.count = ids, count
        of = max(self.pages, -(-count // self.first)) if count and self.first else None
        self._told(self.pages, of)


def _parsed(page: SchemaValidator, body: bytes) -> Any:
    """A page's JSON. The strict parser is the fast one; what we don't use must not spoil a page for it."""
    try:
        return page.validate_json(body)
    except ValueError:
        # A byte order mark, half of a surrogate pair in a name, a record of another shape
        return loads_leniently(body)


def _id(record: object) -> str | None:
    """The record's id as the cloud spells it, if it can be a marker."""
    id_ = record.get("id") if isinstance(record, dict) else None
    return id_ if isinstance(id_, str) and _ID.fullmatch(id_) else None


def _hint(body: bytes) -> str | None:
    """The marker of the `next` link, found without parsing the page, so that the next can start at once."""
    found = None
    for match in _MARKER.finditer(body, max(0, body.rfind(b"_links"))):
        found = match
    return found[1].decode() if found else None
