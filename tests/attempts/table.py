"""What is attempted: disks that may not be touched, and how somebody asks for them all the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any, NamedTuple

from tests.contract.lab import Disk
from tests.contract.scenes import SCENES

LIVE = ("ACTIVE", "SHUTOFF", "L12, its server has it")
"""Scenes whose disk is detached where `live` is switched on and asked for."""

STUCK = tuple(f"N{number}, nobody has it" for number in (1, 2, 4, 5, 6, 7, 8, 9, 10, 11))
"""Scenes whose record is freed where `recover` is switched on and asked for."""

PLAIN = ("N16, nobody has it",)
"""What the rule clears whatever is switched on."""

CELL_DOWN = "N6, nobody has it, a cell is down"
"""The embedded cloud only: a real one would need a second cell."""

FORBIDDEN = tuple(name for name in SCENES if name not in {*LIVE, *STUCK, *PLAIN})
"""What nothing frees, whatever is switched on."""


class Kind(NamedTuple):
    """What is switched on, and the scenes that are forbidden then."""

    settings: dict[str, str]
    scenes: tuple[str, ...]


KINDS = {
    "off": Kind({}, (*FORBIDDEN, *LIVE, *STUCK)),
    "live": Kind({"DETACH_LIVE": "on"}, (*FORBIDDEN, *STUCK)),
    "recover": Kind({"DETACH_RECOVER": "on"}, (*FORBIDDEN, *LIVE)),
    "both": Kind({"DETACH_LIVE": "on", "DETACH_RECOVER": "on"}, FORBIDDEN),
}


class Attempt(NamedTuple):
    """One attempt: what is switched on, what it is about, and what is sent for it."""

    kind: str
    scene: str
    form: str
    keys: tuple[str, ...]

    @property
    def name(self) -> str:
        """What it is called where it is kept that it was made."""
        return f"{self.kind}: {self.scene}: {self.form}, {'+'.join(self.keys)}"

    def work(self, disk: Disk) -> dict[str, Any]:
        """What is sent."""
        return _FORMS[self.form](disk, dict.fromkeys(self.keys, True))


def _one(disk: Disk, keys: dict[str, Any]) -> dict[str, Any]:
    return {"volume_id": disk.volume_id, **keys}


def _all_ids(disk: Disk, keys: dict[str, Any]) -> dict[str, Any]:
    """One that has no attachment is asked for by ids that it might have had."""
    server_id = disk.server_id if disk.links and disk.links[0].server_id else _NOBODY
    attachment_id = disk.attachment_id if disk.links else _NOBODY
    return {"volume_id": disk.volume_id, "attachment_id": attachment_id, "server_id": server_id, **keys}


def _batch(disk: Disk, keys: dict[str, Any]) -> dict[str, Any]:
    return {"targets": [_all_ids(disk, keys)]}


def _sweep(_disk: Disk, keys: dict[str, Any]) -> dict[str, Any]:
    return {"sweep": {"recover": keys.get("recover", False), "min_age_seconds": 0}}


_NOBODY = "11111111-1111-4111-8111-111111111111"
_FORMS: dict[str, Callable[[Disk, dict[str, Any]], dict[str, Any]]] = {
    "volume only": _one,
    "all ids": _all_ids,
    "batch": _batch,
    "sweep": _sweep,
}
_ASKED = (("live",), ("recover",), ("live", "recover"))
_WAYS = (
    *(("all ids", keys) for keys in _ASKED),
    ("volume only", ("recover",)),
    *(("batch", keys) for keys in _ASKED),
    ("sweep", ("recover",)),
)


def attempts(kind: str, *further: str) -> Iterator[Attempt]:
    """Every scene of a kind, and further ones, in every way that it can be asked for."""
    for scene, (form, keys) in product((*KINDS[kind].scenes, *further), _WAYS):
        yield Attempt(kind, scene, form, keys)


def spread(rows: list[Attempt], wanted: int) -> list[Attempt]:
    """So many rows at most, evenly over all."""
    count = min(wanted, len(rows))
    return [rows[index * len(rows) // count] for index in range(count)]
