"""A plain client of the embedded cloud, for its own tests."""

from __future__ import annotations

from typing import Any

import requests

from tests.embedded_cloud import Cloud


def ask(
    cloud: Cloud,
    method: str,
    path: str,
    token: str | None = None,
    *,
    headers: dict[str, str] | None = None,
    json: Any = None,
    data: str | bytes | None = None,
    params: dict[str, str] | None = None,
    timeout: float = 10,
) -> requests.Response:
    """Send one call on a connection of its own. ``token`` None sends no token at all."""
    sent = dict(headers or {})
    if token is not None:
        sent["X-Auth-Token"] = token
    return requests.request(
        method,
        cloud.url + path,
        headers=sent,
        json=json,
        data=data,
        params=params,
        timeout=timeout,
        allow_redirects=False,
    )


def volumes(cloud: Cloud, path: str = "", project_id: str | None = None) -> str:
    return f"/volume/v2/{project_id or cloud.project_id}/volumes{path}"


def servers(cloud: Cloud, path: str = "", project_id: str | None = None) -> str:
    return f"/compute/v2.1/{project_id or cloud.project_id}/servers{path}"


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self.seconds = 1_800_000_000.0
        cloud.now = lambda: self.seconds

    def after(self, seconds: float) -> None:
        self.seconds += seconds
        self.cloud.world.settle()
