"""A long list's pages asked for side by side, by offset, where the list would else be waited for.

Cinder and EVS take an `offset` (Cinder's `api/common.py`; the vendor's page "Querying Details About All
Disks"), Nova doesn't. By offset alone a list that moves loses what slides over the border of two pages. So
pages overlap, and each has to show where the one before ended: what follows there is what the service would
have given behind that marker. A page that doesn't, or no answer at all, ends it: from the last id on the list
is read by marker, which is surer.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from typing import NamedTuple

from handler.cloud.messages import Answer
from handler.errors import Failure

_OVERLAP = 64  # one record in so many
_MOST_STRANGERS = 3  # records that came to be listed where a page overlaps


class Beside(NamedTuple):
    """How a list is asked for side by side.

    `fetch` asks for the page at an offset, `most` says how many may be on their way at this moment, and
    `unsure` is called when it is given up.
    """

    fetch: Callable[[int], Answer]
    most: Callable[[], int]
    unsure: Callable[[], None]


class Window:
    """The pages that are on their way, in the order of the list, and how much they overlap."""

    def __init__(
        self,
        fetch: Callable[[int], Answer],
        threads: Executor,
        most: Callable[[], int],
        *,
        page: int,
        listed: int,
        count: int | None,
    ) -> None:
        """`page` is how many records one has; `listed` were read, of `count` (None: it isn't said)."""
        overlap = max(1, page // _OVERLAP)
        self._fetch = fetch
        self._threads = threads
        self._most = most
        self._step = max(1, page - overlap)
        self._next = listed - overlap
        self._count = count
        self._coming: deque[Future[Answer]] = deque()
        self.at_end = False  # nothing is left to be asked for, by the cloud's own count
        self._fill()

    def take(self) -> Answer | None:
        """The next page that there is; None where that failed: by marker it is found out why."""
        if not self._coming:
            self.at_end = True
            return None
        try:
            answer = self._coming.popleft().result()
        except Failure:
            return None
        self._fill()
        return answer if answer.status == 200 else None

    def close(self) -> None:
        """Drop what is not on its way yet."""
        for coming in self._coming:
            coming.cancel()

    def _fill(self) -> None:
        most = max(1, self._most())
        while len(self._coming) < most and (self._count is None or self._next < self._count):
            self._coming.append(self._threads.submit(self._fetch, self._next))
            self._next += self._step


def joins(ids: Sequence[str | None], former: Sequence[str | None]) -> int | None:
    """How many of a page's ids are up to the last one of the page before. None where they don't join."""
    if not former or former[-1] is None or former[-1] not in ids:
        return None
    known = ids.index(former[-1]) + 1
    places = {id_: place for place, id_ in enumerate(former)}
    again = [places[id_] for id_ in ids[:known] if id_ in places]
    if known - len(again) > _MOST_STRANGERS or again != sorted(set(again)):
        return None
    return known if places.keys().isdisjoint(ids[known:]) else None
