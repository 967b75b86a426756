"""Huawei Cloud's secret store (CSMS, served by the KMS host).

Bodies as the vendor's API pages give them; error codes from "Error Code" of the DEW API reference, which
answers a missing secret with 400. The code for a disabled secret is not documented where we could read it.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.embedded_cloud.messages import Answer, Call, json_answer
from tests.embedded_cloud.refusal import gateway_fault

if TYPE_CHECKING:
    from tests.embedded_cloud.behaviour import Behaviour
    from tests.embedded_cloud.identity import Identity

_ROUTE = re.compile(r"/v1/([^/]+)/secrets/([^/]+)(?:/versions/([^/]+))?")


@dataclass(slots=True)
class _Version:
    id: str
    value: dict[str, str]
    created: int
    expire_time: int | None = None


@dataclass(slots=True)
class _Secret:
    state: str = "ENABLED"
    versions: list[_Version] = field(default_factory=list)


class Csms:
    """Answers calls below ``/kms``."""

    def __init__(self, behaviour: Behaviour, identity: Identity) -> None:
        self.behaviour = behaviour
        self.identity = identity
        self.secrets: dict[tuple[str, str], _Secret] = {}

    def put(
        self,
        name: str,
        value: str | bytes,
        binary: bool = False,
        version: str | None = None,
        state: str = "ENABLED",
        *,
        project_id: str | None = None,
        expire_time: int | None = None,
    ) -> str:
        """Add a version, which becomes the latest, and set the secret's state; give the version's id."""
        secret = self.secrets.setdefault((project_id or self.identity.project_id, name), _Secret())
        secret.state = state
        text = value if isinstance(value, bytes) else value.encode()
        content = (
            {"secret_binary": base64.b64encode(text).decode()} if binary else {"secret_string": text.decode()}
        )
        made = _Version(
            version or f"v{len(secret.versions) + 1}", content, int(self.behaviour.now()), expire_time
        )
        secret.versions = [v for v in secret.versions if v.id != made.id] + [made]
        return made.id

    def answer(self, call: Call) -> Answer:
        token, why = self.identity.judge(call)
        if token is None:
            detail = {"absent": "x-auth-token not found", "expired": "token expires"}
            message = detail.get(why, "decrypt token fail")
            return gateway_fault(401, "APIGW.0301", f"Incorrect IAM authentication information: {message}")
        route = _ROUTE.fullmatch(call.tail)
        if route is None or call.method != "GET":
            message = "The API does not exist or has not been published in the environment"
            return gateway_fault(404, "APIGW.0101", message)
        project_id, name, version = route.groups()
        if token.project_id != project_id or token.role == "reader":
            return _fault(403, "CSMS.0403", "The user has no permission to perform this operation.")
        secret = self.secrets.get((project_id, name))
        if secret is None:
            return _fault(400, "CSMS.0106", "The secret name not found in the db.")
        if version is None:
            return json_answer(200, {"secret": {"name": name, "state": secret.state, "auto_rotation": False}})
        if secret.state == "PENDING_DELETE":
            return _fault(400, "CSMS.0103", "The secret is in the scheduled deletion state.")
        if secret.state != "ENABLED":
            return _fault(400, "CSMS.0102", f"The secret is in the {secret.state.lower()} state.")
        found = secret.versions[-1] if version == "latest" else None
        found = found or next((v for v in secret.versions if v.id == version), None)
        if found is None:
            return _fault(400, "CSMS.0005", "The resource does not exist.")
        return json_answer(200, {"version": _view(name, secret, found)})


def _view(name: str, secret: _Secret, version: _Version) -> dict[str, Any]:
    stages = ["SYSCURRENT"] if version is secret.versions[-1] else []
    if len(secret.versions) > 1 and version is secret.versions[-2]:
        stages = ["SYSPREVIOUS"]
    metadata = {
        "id": version.id,
        "create_time": version.created,
        "expire_time": version.expire_time,
        "kms_key_id": "0b0ec2c4-1d5b-4a3a-9c51-3b3d5f0a8e77",
        "secret_name": name,
        "version_stages": stages,
    }
    return {"version_metadata": metadata, **version.value}


def _fault(status: int, code: str, message: str) -> Answer:
    return json_answer(status, {"error": {"error_code": code, "error_msg": message}})
