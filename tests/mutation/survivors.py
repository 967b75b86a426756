"""Mutants that no test can find, each with the reason: they change nothing that anybody could see."""

from __future__ import annotations

_LOOKED_AT_AGAIN = "the same is looked at again behind the lock: without it only the lock is waited for"

EXPLAINED: dict[str, dict[str, str]] = {
    "handler.actions.belonging:Belonging.witness": {
        "self._servers is None or endpoints.witness is not None -> (self._servers is None)": _LOOKED_AT_AGAIN,
    },
}
"""By place, then by change, why it is no gap. A change `*` stands for all in that place."""
