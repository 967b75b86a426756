"""Mutants that no test can find, each with the reason: they change nothing that anybody could see."""

from __future__ import annotations

EXPLAINED: dict[str, dict[str, str]] = {}
"""By place, then by change, why it is no gap. A change `*` stands for all in that place."""
