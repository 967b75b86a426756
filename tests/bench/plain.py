"""The handler that one would write by hand: the same four calls on a requests.Session, and nothing is checked."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import requests

if TYPE_CHECKING:
    from flask import Request

_VOLUMES = f"{os.environ['DETACH_VOLUME_ENDPOINT']}/{os.environ['DETACH_PROJECT_ID']}/volumes"
_SERVERS = f"{os.environ['DETACH_COMPUTE_ENDPOINT']}/{os.environ['DETACH_PROJECT_ID']}/servers"

_session = requests.Session()
_session.headers["X-Auth-Token"] = os.environ["BENCH_TOKEN"]


def detach(request: Request) -> dict[str, bool]:
    asked = request.get_json()
    volume = f"{_VOLUMES}/{asked['volume_id']}"
    _session.get(volume, timeout=(3, 10))
    _session.get(f"{_SERVERS}/{asked['server_id']}", timeout=(3, 10))
    body = {"os-detach": {"attachment_id": asked["attachment_id"]}}
    _session.post(f"{volume}/action", json=body, timeout=(3, 10))
    _session.get(volume, timeout=(3, 10))
    return {"ok": True}
