"""Lists, page by page: limit, marker, filters, order and the link to the next page."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, TypeVar
from urllib.parse import urlencode

from tests.embedded_cloud.world import Shelf


class _Listed(Protocol):
    id: str
    key: tuple[str, str]


T = TypeVar("T", bound=_Listed)


def newest_first(
    shelf: Shelf, things: Mapping[str, T], marker: T | None, limit: int, keep: Callable[[T], bool]
) -> list[T]:
    """Give up to ``limit`` things that pass, from the marker (exclusive) to the oldest."""
    found: list[T] = []
    position = len(shelf.keys) if marker is None else shelf.before(marker.key)
    while position > 0 and len(found) < limit:
        position -= 1
        thing = things[shelf.keys[position][1]]
        if keep(thing):
            found.append(thing)
    return found


def in_order(
    shelf: Shelf,
    things: Mapping[str, T],
    marker: T | None,
    limit: int,
    keep: Callable[[T], bool],
    order: Sequence[tuple[str, bool]],
) -> list[T]:
    """As newest_first, in an order of the client's: (attribute, descending) by rank."""
    rows = [things[key[1]] for key in reversed(shelf.keys)]
    for attribute, descending in reversed(order):
        rows.sort(key=lambda thing: (getattr(thing, attribute) or "", thing.id), reverse=descending)
    start = 0 if marker is None else rows.index(marker) + 1
    return [thing for thing in rows[start:] if keep(thing)][:limit]


def order_of(query: Mapping[str, str], known: Mapping[str, str]) -> list[tuple[str, bool]]:
    """Read sort, or sort_key and sort_dir; the known names lead to attributes, others are left out."""
    if "sort" in query:
        asked = [part.partition(":")[::2] for part in query["sort"].split(",")]
    elif "sort_key" in query or "sort_dir" in query:
        asked = [(query.get("sort_key", "created_at"), query.get("sort_dir", "desc"))]
    else:
        return []
    return [(known[key.strip()], way.strip() != "asc") for key, way in asked if key.strip() in known]


def next_link(base: str, query: Mapping[str, str], last_id: str) -> dict[str, str]:
    params = {name: value for name, value in query.items() if name != "marker"} | {"marker": last_id}
    return {"rel": "next", "href": f"{base}?{urlencode(params)}"}
