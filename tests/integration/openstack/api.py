"""A plain client of the real services: what it sends is written where it is sent, nothing is guarded."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import requests

if TYPE_CHECKING:
    from collections.abc import Mapping

_SECONDS = 60


class ApiError(Exception):
    """A service refused; ``status`` is its status code."""

    def __init__(self, method: str, url: str, answer: requests.Response) -> None:
        super().__init__(f"{method} {url}: {answer.status_code} {answer.text[:2000]}")
        self.status = answer.status_code


def answers(url: str) -> bool:
    """Say whether somebody there speaks HTTP and is not failing."""
    try:
        return requests.get(url, timeout=_SECONDS).status_code < 500
    except requests.ConnectionError:
        return False


@dataclass(frozen=True)
class Session:
    """A token, whose it is, and the endpoint that paths are added to."""

    endpoint: str
    token: str
    project_id: str
    user_id: str

    def at(self, endpoint: str) -> Session:
        return replace(self, endpoint=endpoint)

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> Any:
        return self._send("GET", path, None, headers)

    def post(self, path: str, document: Any = None, headers: Mapping[str, str] | None = None) -> Any:
        return self._send("POST", path, document, headers)

    def put(self, path: str, document: Any = None, headers: Mapping[str, str] | None = None) -> Any:
        return self._send("PUT", path, document, headers)

    def patch(self, path: str, document: Any) -> Any:
        return self._send("PATCH", path, document, None)

    def delete(self, path: str, headers: Mapping[str, str] | None = None) -> Any:
        return self._send("DELETE", path, None, headers)

    def _send(self, method: str, path: str, document: Any, headers: Mapping[str, str] | None) -> Any:
        url = self.endpoint + path
        answer = requests.request(
            *(method, url),
            json=document,
            headers={"X-Auth-Token": self.token, **(headers or {})},
            timeout=_SECONDS,
        )
        if answer.status_code >= 300:
            raise ApiError(method, url, answer)
        return answer.json() if answer.content else None


class Identity:
    """Keystone at one endpoint: turns passwords into sessions."""

    def __init__(self, endpoint: str) -> None:
        self._endpoint = endpoint

    def log_in(self, user: str, password: str, *, project: str) -> Session:
        """Have a token of a project issued, both in the default domain; its endpoint is Keystone's."""
        domain = {"id": "default"}
        who = {"user": {"name": user, "password": password, "domain": domain}}
        document = {
            "auth": {
                "identity": {"methods": ["password"], "password": who},
                "scope": {"project": {"name": project, "domain": domain}},
            }
        }
        url = f"{self._endpoint}/auth/tokens"
        answer = requests.post(url, json=document, timeout=_SECONDS)
        if answer.status_code != 201:
            raise ApiError("POST", url, answer)
        token = answer.json()["token"]
        return Session(
            self._endpoint, answer.headers["X-Subject-Token"], token["project"]["id"], token["user"]["id"]
        )
