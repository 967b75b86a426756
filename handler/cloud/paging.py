"""Long lists, page by page, by marker; the next page is on its way while this one is looked at.

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
from typing import Any, Generic, TypeVar

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

PAGE = 1000
"""Records asked for at a time: the most that Cinder, Nova and EVS give."""

LARGEST_PAGE = 64 * 1024 * 1024
"""Bytes of a page at most: a thousand records of 64 KiB each."""

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
        self, ahead: Executor, told: Told = nobody, left_out: LeftOut | None = None
    ) -> Iterator[list[_T]]:
        """The pages, each record once. Raises ListingFailed, or what would fail again the same way.

        `told` is called with how many pages there are so far, and of how many, None where the cloud doesn't
        say how many records it has (EVS does). `left_out` is called with the id of a record that can't be
        read (None where that can't be read either); without it such a record is a ListingFailed.
        """
        try:
            yield from self._pages(ahead, told, left_out)
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

    def _pages(self, ahead: Executor, told: Told, left_out: LeftOut | None) -> Iterator[list[_T]]:
        page = SchemaValidator(record("count", f"{self.key}_links", **{self.key: self.wanted}))
        first = number = 0
        lost = 0
        markers: list[str] = []  # the last ids so far: what to go on from, the newest of them last
        seen: frozenset[str] = frozenset()
        coming: Future[Answer] | None = None
        while True:
            answer = coming.result() if coming is not None else self.fetch(markers[-1] if markers else None)
            coming = None
            if answer.status != 200:
                fault = failure(answer, self.service)
                if not markers or answer.status not in {400, 404} or isinstance(fault, _HOPELESS):
                    raise fault
                lost += 1
                markers.pop()  # where none is left, all that came is in `seen`: the list starts anew
                if lost > _MOST_LOST_MARKERS:
                    raise self._failed(fault)
                continue
            hinted = _hint(answer.body)
            if hinted is not None:
                coming = ahead.submit(self.fetch, hinted)
                time.sleep(_HEAD_START)
            ids, records, more, count = self._open(page, answer)
            # Only a first page can't be compared with the first: there the page that was asked for stands in
            last = not ids or (not more and len(ids) < (first or PAGE))
            again = len(seen.intersection(ids))  # a lost marker explains as many as were gone back
            if again > _MOST_LOST_MARKERS or (again == len(ids) and not last):
                raise ListingFailed(f"The list of {self.key} repeats itself: the cloud ignores the marker.")
            if not last and not any(ids):
                raise self._unreadable()  # nothing to go on from
            first = first or len(ids)
            number += 1
            told(number, max(number, -(-count // first)) if count and first else None)
            new = [pair for pair in zip(ids, records, strict=True) if pair[0] not in seen]
            yield [*self._read(new, left_out)]
            if last:
                return
            markers = [*markers, *filter(None, ids)][-1 - _MOST_LOST_MARKERS :]
            seen = frozenset(filter(None, ids)).union(markers)
            if coming is not None and markers[-1:] != [hinted]:
                coming.cancel()
                coming = None

    def _open(
        self, page: SchemaValidator, answer: Answer
    ) -> tuple[list[str | None], list[Any], bool, int | None]:
        """A page's ids (None where one can't be read), its records, whether more follow, of how many."""
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
