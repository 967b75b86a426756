"""Nova's own fake hypervisor, which can be told to wait or to fail.

What it is told is in the file that $RIG_HYPERVISOR names, read at each call: by the point ("spawn",
"attach", "detach", "entry") whether it waits until it is told otherwise, and the way in which it fails.
"entry" is Nova's call of Cinder to delete an attachment, once the guest has let go.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

from cinderclient import exceptions as cinder_exception  # type: ignore[import-not-found]
from nova import exception  # type: ignore[import-not-found]
from nova.virt import fake  # type: ignore[import-not-found]
from nova.volume import cinder  # type: ignore[import-not-found]

_TOLD = Path(os.environ["RIG_HYPERVISOR"])


def _told(point: str) -> dict[str, Any]:
    try:
        wish: dict[str, Any] = json.loads(_TOLD.read_text(encoding="utf-8")).get(point, {})
    except FileNotFoundError:
        return {}
    return wish


def _obey(point: str) -> None:
    while _told(point).get("waits"):
        time.sleep(0.1)
    match _told(point).get("fails"):
        case "guest":
            raise exception.DeviceDetachFailed(
                device="vdb", reason="the rig was told that the guest keeps it"
            )
        case "cinder":
            raise cinder_exception.ClientException(500, "the rig was told that Cinder fails")
        case "error":
            raise RuntimeError("the rig was told that the hypervisor fails")


class ToldDriver(fake.FakeDriverWithoutFakeNodes):  # type: ignore[misc]
    """Does what it is told, and then what Nova's fake driver does."""

    def spawn(self, *arguments: Any, **options: Any) -> None:
        _obey("spawn")
        super().spawn(*arguments, **options)

    def attach_volume(self, *arguments: Any, **options: Any) -> None:
        _obey("attach")
        super().attach_volume(*arguments, **options)

    def detach_volume(self, *arguments: Any, **options: Any) -> None:
        _obey("detach")
        super().detach_volume(*arguments, **options)


_delete = cinder.API.attachment_delete


def _attachment_delete(*arguments: Any, **options: Any) -> Any:
    _obey("entry")
    return _delete(*arguments, **options)


cinder.API.attachment_delete = _attachment_delete
