"""What a result says of the disk itself, beside what became of its attachment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from handler.model.values import timestamp

if TYPE_CHECKING:
    from typing_extensions import Self

_LONGEST_NAME = 255  # letters: what Cinder's columns of names hold
_LARGEST = 2**31 - 1  # GB: what its column of sizes holds


@dataclass(frozen=True)
class Disk:
    """What is known of the disk itself; null where it is not.

    `size_gb` is in GB, as the cloud counts them. `device` and `attached_at` (RFC 3339, UTC) are those of the
    attachment.
    """

    name: str | None = None
    size_gb: int | None = None
    device: str | None = None
    attached_at: str | None = None

    @classmethod
    def seen(
        cls, name: str | None, size_gb: int | None, device: str | None = None, since: float | None = None
    ) -> Self:
        """What a record says, within what Cinder's columns hold. `since` is in epoch seconds."""
        size = size_gb if size_gb is not None and 0 <= size_gb <= _LARGEST else None
        return cls(_cut(name), size, _cut(device), None if since is None else timestamp(since))


def _cut(text: str | None) -> str | None:
    """A name of somebody else's choosing, as text that can be written: no half of a surrogate pair."""
    return text[:_LONGEST_NAME].encode("utf-8", "replace").decode() if text else None
