"""How the identity service shows a token, its project and the catalogue of services."""

from __future__ import annotations

import base64
import uuid
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.embedded_cloud.behaviour import Behaviour
    from tests.embedded_cloud.identity import Project, Token


def shown(token: Token, project: Project | None, ends_at: float | None = None) -> dict[str, Any]:
    user_domain = {"id": _domain_id(token.domain), "name": token.domain}
    user = {"domain": user_domain, "id": token.user_id, "name": token.user_name}
    content: dict[str, Any] = {
        "methods": token.methods,
        "user": {**user, "password_expires_at": None if ends_at is None else moment(ends_at)},
        "audit_ids": [base64.urlsafe_b64encode(uuid.UUID(token.user_id).bytes).decode().rstrip("=")],
        "expires_at": moment(token.expires_at),
        "issued_at": moment(token.issued_at),
    }
    if token.credential is not None:
        credential_id, name = token.credential
        content["application_credential"] = {"id": credential_id, "name": name, "restricted": True}
    if project is not None:
        domain = {"id": _domain_id(project.domain), "name": project.domain}
        content |= {
            "project": {"domain": domain, "id": project.id, "name": project.name},
            "is_domain": False,
            "roles": [{"id": uuid.uuid5(uuid.NAMESPACE_DNS, token.role).hex, "name": token.role}],
        }
    return content


def catalogue(base_url: str, project_id: str, behaviour: Behaviour) -> list[dict[str, Any]]:
    volume, compute = behaviour.volume_region, behaviour.compute_region
    v2, v3 = (f"{base_url}/volume/{version}/{project_id}" for version in ("v2", "v3"))
    rows = [
        ("volumev2", "cinderv2", volume, v2),
        ("volumev3", "cinderv3", volume, v3),
        ("block-storage", "cinder", volume, v3),
        ("compute", "nova", compute, f"{base_url}/compute/v2.1"),
        ("identity", "keystone", compute, f"{base_url}/identity"),
    ]
    return [
        {
            "endpoints": [
                {
                    "id": uuid.uuid5(uuid.NAMESPACE_URL, f"{kind} {interface}").hex,
                    "interface": interface,
                    "region_id": region,
                    "url": url,
                    "region": region,
                }
                for interface in ("public", "internal")
            ],
            "id": uuid.uuid5(uuid.NAMESPACE_URL, kind).hex,
            "type": kind,
            "name": name,
        }
        for kind, name, region, url in rows
    ]


def _domain_id(name: str) -> str:
    return "default" if name == "Default" else name


def moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
