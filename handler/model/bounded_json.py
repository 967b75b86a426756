"""JSON from outside, parsed only where its nesting is bounded.

How deep the parser itself goes before it gives up differs by Python and by what is left of the stack: so the
depth is judged before anything is parsed, and the verdict is the same everywhere.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

Pairs = Callable[[list[tuple[str, Any]]], Any]
"""What makes something of an object's keys and values, in their order."""

MAX_DEPTH = 64
"""Objects and arrays inside each other at most. No request, envelope or answer of a cloud comes near it."""

_OPENING = b"[{"
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


class TooDeep(ValueError):
    """The text is nested deeper than MAX_DEPTH."""


def loads(content: str | bytes, *, object_pairs_hook: Pairs | None = None, **hooks: Any) -> Any:
    """Parse JSON as `json.loads` does, with its hooks; bytes must be UTF-8. Raises TooDeep or ValueError.

    Where no hook takes the pairs, an object that has a key twice is no JSON: which of the two is meant
    differs by parser (RFC 8259, 4).
    """
    text = content if isinstance(content, str) else content.decode("utf-8-sig", "surrogatepass")
    if _too_deep(text):
        raise TooDeep
    return json.loads(text, object_pairs_hook=object_pairs_hook or _once, **hooks)


def loads_leniently(content: bytes) -> Any:
    """Parse a record of somebody else's making, in which one text is no reason to read nothing.

    Bytes that are no UTF-8 are replaced and control characters in texts are taken. Raises TooDeep or
    ValueError. What an answer proves is read by `loads`.
    """
    return loads(content.decode("utf-8-sig", "replace"), strict=False)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key comes twice")
    return found


def _too_deep(text: str) -> bool:
    if text.count("[") + text.count("{") <= MAX_DEPTH:
        return False
    # Without escapes, every other piece between two quotation marks is outside of strings. Where the text is
    # no JSON this may go wrong, but only behind the place where the parser stops.
    outside = "".join(text.replace("\\\\", "").replace('\\"', "").split('"')[::2])
    depth = 0
    for bracket in outside.encode(errors="replace").translate(None, _NO_BRACKETS):
        depth += 1 if bracket in _OPENING else -1
        if depth > MAX_DEPTH:
            return True
    return False
