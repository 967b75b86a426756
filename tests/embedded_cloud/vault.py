"""A HashiCorp Vault (or OpenBao): KV version 2, Kubernetes login, health."""

from __future__ import annotations

import secrets
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.embedded_cloud.messages import Answer, Call, json_answer

if TYPE_CHECKING:
    from tests.embedded_cloud.behaviour import Behaviour

_WRONG_PATH = (
    "Invalid path for a versioned K/V secrets engine. See the API docs for the appropriate API endpoints to "
    "use. If using the Vault CLI, use 'vault kv get' for this operation."
)


@dataclass(slots=True)
class _Version:
    data: dict[str, Any]
    created: str
    deleted: str = ""
    destroyed: bool = False


class Vault:
    """Answers calls below ``/vault``.

    tokens  valid client tokens and when each expires, on the cloud's clock
    roles   for the Kubernetes login: which service account token a role takes
    denied  ``MOUNT/PATH`` that no policy allows
    kubernetes_mount  where the Kubernetes login is mounted
    active  where the active node is, for a standby that doesn't forward; None for the active node itself
    """

    def __init__(self, behaviour: Behaviour) -> None:
        self.behaviour = behaviour
        self.sealed = False
        self.kubernetes_mount = "kubernetes"
        self.active: str | None = None
        self.tokens: dict[str, float] = {}
        self.roles: dict[str, str] = {}
        self.denied: set[str] = set()
        self.lease_seconds = 3600
        self.secrets: dict[tuple[str, str, str], list[_Version]] = {}

    def add_token(self, token: str | None = None, expires_in: float = 3600) -> str:
        text = token or f"hvs.{secrets.token_urlsafe(70)}"
        self.tokens[text] = self.behaviour.now() + expires_in
        return text

    def put(self, mount: str, path: str, data: dict[str, Any], *, namespace: str = "") -> int:
        """Write a new version and give its number."""
        versions = self.secrets.setdefault((namespace, mount.strip("/"), path), [])
        versions.append(_Version(dict(data), self.behaviour.stamp() + "000Z"))
        return len(versions)

    def delete(
        self, mount: str, path: str, version: int | None = None, *, destroy: bool = False, namespace: str = ""
    ) -> None:
        """Delete a version (the latest unless named), as ``vault kv delete`` or ``destroy`` do."""
        versions = self.secrets[namespace, mount.strip("/"), path]
        chosen = versions[(version or len(versions)) - 1]
        chosen.deleted, chosen.destroyed = self.behaviour.stamp() + "000Z", destroy

    def answer(self, call: Call) -> Answer:
        answer = self._route(call)
        answer.headers.append(("Cache-Control", "no-store"))
        return answer

    def _route(self, call: Call) -> Answer:
        path = call.tail.removeprefix("/v1/")
        if path in {"sys/health", "sys/seal-status"}:
            status = 503 if self.sealed and path == "sys/health" else 200
            state = {"initialized": True, "sealed": self.sealed, "standby": False, "version": "1.18.3"}
            return json_answer(status, state)
        if self.active is not None:
            return Answer(307, b"", [("Location", f"{self.active}{call.tail}")])
        if self.sealed:
            return _errors(503, "Vault is sealed")
        namespace = call.headers.get("x-vault-namespace", "").strip("/")
        if path == f"auth/{self.kubernetes_mount}/login" and call.method in {"POST", "PUT"}:
            return self._login(call.body)
        token = call.headers.get("x-vault-token")
        if not token:
            return _errors(403, "permission denied")
        if self.tokens.get(token, 0) <= self.behaviour.now():
            return _errors(403, "2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n")
        return self._read(path, namespace, call)

    def _read(self, path: str, namespace: str, call: Call) -> Answer:
        mounts = {key[1] for key in self.secrets if key[0] == namespace} or {"secret"}
        mount = next((m for m in sorted(mounts, key=len, reverse=True) if path.startswith(m + "/")), None)
        if mount is None:
            return _errors(404, f'no handler for route "{path}". route entry not found.')
        kind, _, name = path.removeprefix(mount + "/").partition("/")
        if kind != "data" or not name:
            return json_answer(404, {**_envelope(None), "warnings": [_WRONG_PATH]})
        if f"{mount}/{name}" in self.denied or call.method != "GET":
            return _errors(403, "1 error occurred:\n\t* permission denied\n\n")
        versions = self.secrets.get((namespace, mount, name))
        if not versions:
            return json_answer(404, {"errors": []})
        asked = call.query.get("version", "0")
        if not asked.isdigit():
            return _errors(
                400, f'Field validation failed: error converting input {asked} for field "version"'
            )
        number = int(asked) or len(versions)
        if number > len(versions):
            return json_answer(404, {"errors": []})
        version = versions[number - 1]
        metadata = {
            "created_time": version.created,
            "custom_metadata": None,
            "deletion_time": version.deleted,
            "destroyed": version.destroyed,
            "version": number,
        }
        data = None if version.deleted else version.data
        return json_answer(404 if version.deleted else 200, _envelope({"data": data, "metadata": metadata}))

    def _login(self, body: Any) -> Answer:
        role = body.get("role") if isinstance(body, dict) else None
        jwt = body.get("jwt") if isinstance(body, dict) else None
        if not role:
            return _errors(400, "missing role")
        if not jwt:
            return _errors(400, "missing jwt")
        if role not in self.roles:
            return _errors(400, f'invalid role name "{role}"')
        if jwt != self.roles[role]:
            return _errors(403, "permission denied")
        auth = {
            "client_token": self.add_token(expires_in=self.lease_seconds),
            "accessor": secrets.token_urlsafe(18),
            "policies": ["default", role],
            "token_policies": ["default", role],
            "metadata": {"role": role},
            "lease_duration": self.lease_seconds,
            "renewable": True,
            "entity_id": str(uuid.uuid4()),
            "token_type": "service",
            "orphan": True,
        }
        return json_answer(200, {**_envelope(None), "auth": auth, "mount_type": ""})


def _envelope(data: Any) -> dict[str, Any]:
    return {
        "request_id": str(uuid.uuid4()),
        "lease_id": "",
        "renewable": False,
        "lease_duration": 0,
        "data": data,
        "wrap_info": None,
        "warnings": None,
        "auth": None,
        "mount_type": "kv",
    }


def _errors(status: int, *messages: str) -> Answer:
    return json_answer(status, {"errors": list(messages)})
