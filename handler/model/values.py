"""How single values are read: ids, project ids, and moments in time. One way for each."""

from __future__ import annotations

import re
import uuid
from datetime import datetime, timezone

_CANONICAL = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


_PROJECT = re.compile(r"[0-9A-Fa-f]{32}|[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}")


def canonical(spelling: str) -> str:
    """A UUID in its canonical form, lower case with hyphens, from any spelling that `uuid.UUID` takes.

    Raises ValueError for anything else.
    """
    if _CANONICAL.fullmatch(spelling):  # as clouds write it: a long listing is full of them
        return spelling
    return str(uuid.UUID(spelling))


def project_uuid(spelling: str) -> uuid.UUID | None:
    """The project id that a text looks like: 32 hex digits, or a UUID with its hyphens. None for a name."""
    return uuid.UUID(spelling) if _PROJECT.fullmatch(spelling) else None


def same_project(one: str, other: str) -> bool:
    """Whether two spellings are of one project."""
    return one == other or (project_uuid(one) is not None and project_uuid(one) == project_uuid(other))


def is_project(value: str) -> bool:
    """Whether a project id can stand in a path."""
    plain = value.replace("-", "").replace("_", "")
    return len(value) <= 64 and plain.isascii() and plain.isalnum()


def epoch(moment: str | None) -> float | None:
    """Seconds since 1970 of a moment as the cloud writes it (UTC, most often without saying so).

    None where there is none that can be read.
    """
    try:
        parsed = datetime.fromisoformat((moment or "").replace("Z", "+00:00"))
    except ValueError:
        return None
    return (parsed if parsed.tzinfo else parsed.replace(tzinfo=timezone.utc)).timestamp()
