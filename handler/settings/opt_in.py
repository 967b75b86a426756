"""What the function does only where it is switched on: a live server's disk, and records that are stuck.

Each is asked for twice: by its setting here, and by a key of the event.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from handler.settings.environment import EnvironmentReader

LEAST_RECOVER_AFTER = 900
"""Seconds. A reservation or an attach that is under way is over long before."""


class LiveMode(str, Enum):
    """Whether a live server's disk may be detached (`DETACH_LIVE`)."""

    OFF = "off"
    ON = "on"
    ADMIN = "admin"
    """By a token that may walk over a server's lock, too: then the lock is looked at first."""


class LiveApi(str, Enum):
    """Which API is sent the detach of a live server's disk (`DETACH_LIVE_API`)."""

    NOVA = "nova"
    ECS = "ecs"


class RecoverMode(str, Enum):
    """Whether stuck records may be freed (`DETACH_RECOVER`)."""

    OFF = "off"
    ON = "on"
    UNLISTED = "unlisted"
    """Where the compute service can't tell that a cell is down: the operator knows that all are up."""


class LiveSettings(NamedTuple):
    """`api` is None where the compute service's host decides: ECS for the vendor's, else Nova."""

    mode: LiveMode = LiveMode.OFF
    api: LiveApi | None = None

    @property
    def on(self) -> bool:
        """Whether a live server's disk may be detached at all."""
        return self.mode is not LiveMode.OFF


class RecoverSettings(NamedTuple):
    """`after` is for how many seconds a record must have been as it is, to count as stuck."""

    mode: RecoverMode = RecoverMode.OFF
    after: int = 3600

    @property
    def on(self) -> bool:
        """Whether a stuck record may be freed at all."""
        return self.mode is not RecoverMode.OFF


def read_live(read: EnvironmentReader) -> LiveSettings:
    """Read DETACH_LIVE and DETACH_LIVE_API."""
    return LiveSettings(
        read.parsed("DETACH_LIVE", LiveMode.OFF, LiveMode, "off, on or admin"),
        read.parsed("DETACH_LIVE_API", None, LiveApi, "nova or ecs"),
    )


def read_recover(read: EnvironmentReader) -> RecoverSettings:
    """Read DETACH_RECOVER and DETACH_RECOVER_AFTER."""
    return RecoverSettings(
        read.parsed("DETACH_RECOVER", RecoverMode.OFF, RecoverMode, "off, on or unlisted"),
        read.whole("DETACH_RECOVER_AFTER", 3600, LEAST_RECOVER_AFTER, 10**9),
    )
