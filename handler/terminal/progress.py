"""A bar that moves while lists are read and targets are judged, where a person looks."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from types import TracebackType
from typing import TYPE_CHECKING, TextIO

from click import progressbar

from handler.model.result import Findings, Scanned, TargetResult

if TYPE_CHECKING:
    from typing_extensions import Self

_LABEL_WIDTH = 44  # letters: a label that changes its length makes the bar jump


class Follower:
    """Follows an invocation, and draws the bar. See handler.actions.observer.Observer."""

    def __init__(self, stream: TextIO, *, hidden: bool) -> None:
        self._pages: dict[str, tuple[int, int | None]] = {}
        self._since: float | None = None
        self._lock = threading.Lock()
        # Of unknown length until the lists are read, or the cloud says how long they are
        self._bar = progressbar(
            _nothing(), label=_label("reading"), file=stream, hidden=hidden, width=0, show_eta=False
        )

    def __enter__(self) -> Self:
        self._bar.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, context: TracebackType | None
    ) -> None:
        self._bar.__exit__(kind, error, context)

    def page(self, of: str, number: int, most: int | None) -> None:
        """A page of a list is read."""
        with self._lock:
            self._pages[of] = (number, most)
            read = [
                f"{done}{f'/{all_}' if all_ else ''} of {what}"
                for what, (done, all_) in sorted(self._pages.items(), reverse=True)
            ]
            self._bar.label = _label(f"pages: {', '.join(read)}")
            self._bar.update(1)

    def listed(self, scanned: Scanned | None, to_do: int) -> None:
        """The lists are read: from here on it is known how much there is to do."""
        with self._lock:
            found = to_do if scanned is None else scanned.candidates + (scanned.stuck or 0)
            self._bar.label = _label(f"{found} found, {to_do} to judge")
            self._bar.length, self._bar.pos = max(to_do, 1), 0
            self._bar.update(0 if to_do else 1)

    def followed(self, found: Findings) -> None:
        """A live server's detach is under way."""
        with self._lock:
            self._since = self._since or time.monotonic()
            seconds = int(time.monotonic() - self._since)
            job = f"job {found.job.state}, " if found.job is not None else ""
            self._bar.label = _label(f"{job}disk {found.volume_status.after or 'gone'}, {seconds} s")
            self._bar.length = None
            self._bar.update(1)

    def judged(self, result: TargetResult) -> None:
        """A target is done with."""
        del result
        with self._lock:
            self._bar.update(1)


def _nothing() -> Iterator[None]:
    yield from ()


def _label(text: str) -> str:
    return text.ljust(_LABEL_WIDTH)
