"""Where the real cloud lives on this machine: one folder, and nothing beside it."""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path
from typing import TYPE_CHECKING

from tests.integration.openstack.trouble import RigError

if TYPE_CHECKING:
    from collections.abc import Iterator

# A Unix socket's path holds 107 bytes; the database's is the longest name below the run folder.
_LONGEST = 107 - len("/run-4194304-1234567890/mariadb.sock")


def cache_folder() -> Path:
    """Give ``$EVS_DETACH_CACHE``, else ``evs-detach`` in the user's cache folder; it is made when missing."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = Path(os.environ.get("EVS_DETACH_CACHE") or home / "evs-detach").absolute()
    if len(os.fsencode(folder)) > _LONGEST:
        raise RigError(f"the cache folder's path is longer than {_LONGEST} bytes; set EVS_DETACH_CACHE")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextlib.contextmanager
def sole_use(cache: Path) -> Iterator[None]:
    """Wait until nobody else installs, starts or stops in this cache."""
    with (cache / "lock").open("w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
