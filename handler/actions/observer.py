"""Who follows what an invocation does while it does it."""

from __future__ import annotations

from typing import Protocol

from handler.model.result import Findings, Scanned, TargetResult


class Observer(Protocol):
    """Who wants to follow what takes long: the terminal. May be told by several threads."""

    def page(self, of: str, number: int, most: int | None) -> None:
        """So many pages of a list are read, of so many where the cloud says. `of` is what it lists."""
        ...

    def listed(self, scanned: Scanned | None, to_do: int) -> None:
        """All lists are read; so many targets are to be looked at. `scanned` is what a sweep found."""
        ...

    def followed(self, found: Findings) -> None:
        """A live server's detach that is under way was looked at: its record and its job are in `found`."""
        ...

    def judged(self, result: TargetResult) -> None:
        """A target is done with."""
        ...
