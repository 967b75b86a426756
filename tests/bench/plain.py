"""The handler that one would write by hand: the same calls on a requests.Session, and nothing is checked."""

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


def clear(volume_id: str, attachment_id: str, server_id: str) -> None:
    volume = f"{_VOLUMES}/{volume_id}"
    _session.get(volume, timeout=(3, 10))
    _session.get(f"{_SERVERS}/{server_id}", timeout=(3, 10))
    body = {"os-detach": {"attachment_id": attachment_id}}
    _session.post(f"{volume}/action", json=body, timeout=(3, 10))
    _session.get(volume, timeout=(3, 10))


def detach(request: Request) -> dict[str, bool]:
    asked = request.get_json()
    clear(asked["volume_id"], asked["attachment_id"], asked["server_id"])
    return {"ok": True}
