"""What a command carries out: the forms of its options, or events in files."""

from __future__ import annotations

import errno
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from handler.errors import InvalidRequest
from handler.model.request import Work
from handler.runtime import is_dry
from handler.settings import Settings
from handler.triggers import functiongraph as envelopes
from handler.triggers.parse import parse_json, read_work

_MOST = 1 << 30
"""Targets and bytes: what a person gave is read whole to see whether it says that it is a dry run."""


class Event(NamedTuple):
    """One event, under the name that its result is shown by. `read` may raise a Failure.

    `says_dry`: whether it says of itself that it is a dry run, whatever the settings.
    """

    title: str | None
    read: Callable[[Settings], Sequence[Work]]
    says_dry: Callable[[], bool]


def from_options(form: dict[str, object]) -> Event:
    """The event that a command's options make. Raises InvalidRequest, before anything is asked."""
    work = read_work(form, max_targets=1)
    return Event(None, lambda _settings: [work], lambda: is_dry([work], sweeps_are_dry=False))


def read_files(names: Iterable[str]) -> list[Event]:
    """The events in files, - for standard input; all are read before the first is carried out. OSError."""
    return [_event(name, _standard_input() if name == "-" else Path(name).read_bytes()) for name in names]


def _standard_input() -> bytes:
    if sys.stdin is None:
        raise OSError(errno.EBADF, "it is closed", "Standard input")
    try:
        return sys.stdin.buffer.read()
    except OSError as error:
        raise OSError(error.errno, error.strerror, "Standard input") from error


def _event(name: str, content: bytes) -> Event:
    def read(max_targets: int, max_body_bytes: int) -> Sequence[Work]:
        return envelopes.read(parse_json(content), max_targets=max_targets, max_body_bytes=max_body_bytes)

    def says_dry() -> bool:
        try:
            return is_dry(read(_MOST, _MOST), sweeps_are_dry=False)
        except InvalidRequest:
            return False

    return Event(name, lambda settings: read(settings.max_targets, settings.max_body_bytes), says_dry)
