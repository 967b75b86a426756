"""Long lists, page by page, by marker; the next page is on its way while this one is looked at.

Facts (recorded from a real Cinder and Nova): a cloud may give shorter pages than asked for, the `next` link
names an internal host and is there on a last page that is exactly full, and the marker is lost when what it
names is deleted in between (Cinder: 404, Nova: 400).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from handler.cloud.faults import failure
from handler.cloud.messages import Answer
from handler.errors import (
    DeadlineExceeded,
    Failure,
    ListingFailed,
    Misconfigured,
    PermissionDenied,
    TokenRejected,
)

PAGE = 1000
"""Records asked for at a time: the most that Cinder, Nova and EVS give."""

LARGEST_PAGE = 64 * 1024 * 1024
"""Bytes of a page at most: a thousand records of 64 KiB each."""

_MOST_LOST_MARKERS = 3
_MARKER = re.compile(rb"[?&]marker=([0-9A-Fa-f-]{32,36})")

_T = TypeVar("_T")

_HOPELESS = (TokenRejected, PermissionDenied, Misconfigured)  # every further call would meet the same


@dataclass(frozen=True)
class Listing(Generic[_T]):
    """A list at one service.

    `key` is its name in the answer, `fetch` asks for the page behind a marker, and `read` reads one record
    (it raises ValueError when it is none).
    """

    service: str
    key: str
    fetch: Callable[[str | None], Answer]
    read: Callable[[Any], _T]

    def pages(self, ahead: Executor) -> Iterator[list[_T]]:
        """The pages, each record once. Raises ListingFailed, or what makes every further call useless."""
        try:
            yield from self._pages(ahead)
        except DeadlineExceeded:
            raise DeadlineExceeded(
                f"The list of {self.key} doesn't fit into the time there is: nothing was judged by a part of "
                "it. Raise DETACH_TIMEOUT (and the platform's own limit)."
            ) from None
        except (ListingFailed, *_HOPELESS):
            raise
        except Failure as fault:
            raise self._failed(fault) from None

    def _pages(self, ahead: Executor) -> Iterator[list[_T]]:
        first = 0
        lost = 0
        before: list[str] = []  # ids of the page before, its last one first: markers to fall back to
        coming: Future[Answer] | None = None
        marker: str | None = None
        while True:
            answer = coming.result() if coming is not None else self.fetch(marker)
            coming = None
            if answer.status != 200:
                fault = failure(answer, self.service)
                lost += 1
                if marker is None or answer.status not in {400, 404} or isinstance(fault, _HOPELESS):
                    raise fault
                if lost > _MOST_LOST_MARKERS or len(before) < 2:
                    raise self._failed(fault)
                before = before[1:]
                marker = before[0]
                continue
            hinted = _hint(answer.body)
            if hinted is not None:
                coming = ahead.submit(self.fetch, hinted)
            ids, records, more = self._open(answer)
            seen = frozenset(before)
            if more and ids and seen.issuperset(ids):
                raise ListingFailed(f"The list of {self.key} repeats itself: the cloud ignores the marker.")
            yield [self._record(record) for id_, record in zip(ids, records, strict=True) if id_ not in seen]
            # Only a first page can't be compared with the first: there the page that was asked for stands in
            if not ids or (not more and len(ids) < (first or PAGE)):
                return
            first = first or len(ids)
            before = ids[::-1]
            marker = ids[-1]
            if coming is not None and marker != hinted:
                coming.cancel()
                coming = None

    def _open(self, answer: Answer) -> tuple[list[str], list[Any], bool]:
        try:
            body = json.loads(answer.body)
            records = body[self.key]
            ids = [_text(record["id"]) for record in records]
            return ids, records, bool(body.get(f"{self.key}_links"))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise ListingFailed(f"A page of the list of {self.key} can't be read. Ask again later.") from None

    def _record(self, record: Any) -> _T:
        try:
            return self.read(record)
        except ValueError:
            raise ListingFailed(f"A record in the list of {self.key} can't be read.") from None

    def _failed(self, fault: Failure) -> ListingFailed:
        failed = ListingFailed(
            f"A page of the list of {self.key} failed for good, so nothing was judged by it: {fault.message}",
            upstream=fault.upstream,
        )
        failed.retry_after = fault.retry_after
        return failed


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _hint(body: bytes) -> str | None:
    """The marker of the `next` link, found without parsing the page, so that the next can start at once."""
    found = None
    for match in _MARKER.finditer(body, max(0, body.rfind(b"_links"))):
        found = match
    return found[1].decode() if found else None
