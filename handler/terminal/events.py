"""What a command carries out: the forms of its options, or events in files."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from handler.model.request import Work
from handler.settings import Settings
from handler.triggers import functiongraph as envelopes
from handler.triggers.parse import parse_json, read_work


class Event(NamedTuple):
    """One event, under the name that its result is shown by. `read` may raise InvalidRequest."""

    title: str | None
    read: Callable[[Settings], Sequence[Work]]


def from_options(form: dict[str, object]) -> Event:
    """The event that a command's options make. Raises InvalidRequest, before anything is asked."""
    work = read_work(form, max_targets=1)
    return Event(None, lambda _settings: [work])


def read_files(names: Iterable[str]) -> list[Event]:
    """The events in files, - for standard input; all are read before the first is carried out. OSError."""
    return [
        _event(name, sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()) for name in names
    ]


def _event(name: str, content: bytes) -> Event:
    return Event(
        name,
        lambda settings: envelopes.read(
            parse_json(content), max_targets=settings.max_targets, max_body_bytes=settings.max_body_bytes
        ),
    )
