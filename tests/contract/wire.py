"""A plain client of the services, for cases with no function between."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import requests

if TYPE_CHECKING:
    from tests.contract.case import Case
    from tests.contract.lab import Disk

_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|[0-9a-f]{32}", re.IGNORECASE)


@dataclass
class Wire:
    """Calls the services as one of the project's users; what they say goes to the table, ids left out.

    ``steps``: where it goes instead of the case's own.
    """

    case: Case
    token: str
    steps: list[str] | None = None

    def volumes(self, path: str, body: Any = None, project: str | None = None) -> requests.Response:
        return self._send("DETACH_VOLUME_ENDPOINT", f"/{project or self.case.project_id}/volumes{path}", body)

    def servers(self, path: str, project: str | None = None, version: str | None = None) -> requests.Response:
        where = f"/{project or self.case.project_id}/servers{path}"
        return self._send("DETACH_COMPUTE_ENDPOINT", where, None, version)

    def take(self, disk: Disk, version: str | None = None, server_id: str | None = None) -> requests.Response:
        """Ask the compute service to detach a disk from its server."""
        where = f"/servers/{server_id or disk.server_id}/os-volume_attachments/{disk.volume_id}"
        path = f"/{self.case.project_id}{where}"
        return self._send("DETACH_COMPUTE_ENDPOINT", path, None, version, "DELETE")

    def get(self, path: str, version: str | None = None, method: str = "GET") -> requests.Response:
        """Call the compute service at any path."""
        return self._send("DETACH_COMPUTE_ENDPOINT", path, None, version, method)

    def act(self, disk: Disk, action: str, arguments: Any = None) -> requests.Response:
        """Do something to a volume's record."""
        return self.volumes(f"/{disk.volume_id}/action", {action: {} if arguments is None else arguments})

    def entries(self, path: str = "", body: Any = None, method: str | None = None) -> requests.Response:
        """Call the attachments API, which is told from 3.27 on, here by 3.44."""
        url = self.case.lab.environment(self.case.project_id)["DETACH_VOLUME_ENDPOINT"]
        headers = {"X-Auth-Token": self.token, "OpenStack-API-Version": "volume 3.44"}
        url = f"{url.rpartition('/')[0]}/v3/{self.case.project_id}/attachments{path}"
        method = method or ("GET" if body is None else "POST")
        return self._told(requests.request(method, url, json=body, headers=headers, timeout=60))

    def detach(self, disk: Disk, arguments: Any, *looks: str) -> requests.Response:
        """Send os-detach; ``looks`` are the volume's states before and after."""
        before, after = looks
        assert str(self.case.lab.look(disk.volume_id)) == before
        answer = self.volumes(f"/{disk.volume_id}/action", {"os-detach": arguments})
        assert str(self.case.lab.look(disk.volume_id)) == after
        return answer

    def _send(
        self, service: str, path: str, body: Any, version: str | None = None, method: str | None = None
    ) -> requests.Response:
        headers = {"X-Auth-Token": self.token}
        if version:
            headers["OpenStack-API-Version"] = f"compute {version}"
        url = self.case.lab.environment(self.case.project_id)[service] + path
        method = method or ("GET" if body is None else "POST")
        return self._told(requests.request(method, url, json=body, headers=headers, timeout=60))

    def _told(self, answer: requests.Response) -> requests.Response:
        steps = self.case.steps if self.steps is None else self.steps
        steps.append(f"{answer.status_code} {self._plain(answer)}".strip())
        return answer

    @staticmethod
    def _plain(answer: requests.Response) -> str:
        """Tell an error in full and a record by its keys."""
        if answer.status_code >= 400:
            return _ID.sub("ID", " ".join(answer.text.split()))
        document = answer.json() if answer.content else {}
        return "; ".join(f"{key}: {shape(value)}" for key, value in document.items())


def shape(value: Any) -> str:
    if isinstance(value, list):
        return f"[{shape(value[0]) if value else ''}]"
    return ", ".join(sorted(value)) if isinstance(value, dict) else str(value)
