"""One line of what a check found, and its words."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from handler.errors import Failure, Upstream

Fact = str | int | bool | list[str] | None


class State(str, Enum):
    """What a check found: all well, something to know, something that keeps the function from its work."""

    OK = "ok"
    NOTE = "note"
    BAD = "bad"


@dataclass(frozen=True)
class Check:
    """One line of what was found. `facts` are its values by name; `upstream` is what the cloud said."""

    name: str
    state: State
    message: str
    facts: dict[str, Fact] = field(default_factory=dict)
    upstream: Upstream | None = None


def failed(name: str, fault: Failure, **facts: Fact) -> Check:
    """A check that a failure ended."""
    return Check(name, State.BAD, fault.message, {"code": fault.code.value, **facts}, fault.upstream)


def sentence(parts: list[str]) -> str:
    """The parts as one sentence."""
    said = "; ".join(parts)
    return f"{said[:1].upper()}{said[1:]}."
