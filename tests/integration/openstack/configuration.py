"""The services' configuration files: their defaults (policies among them) but for what a rig needs.

Three roles more are told apart by policy: see POLICIES.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.integration.openstack.foundation import Broker, Database
    from tests.integration.openstack.install import Software

REGION = "rig"
SERVICE_USER = "service"
VOLUME_TYPE = "keepless"
HYPERVISOR = "hypervisor.json"  # what the hypervisor is told, in the run folder
TOKEN_CACHE_SECONDS = 2  # the services' own default is 300: a revoked token is good for so long

LISTER, SINGLE_VIEWER, VOLUME_LISTER = "lister", "single_viewer", "volume_lister"
"""Roles that see a part of all projects: Nova's lists, single servers, all but single volumes."""

_MEMBERS_VOLUME = "(role:reader and project_id:%(project_id)s)"
# What these roles may besides the services' own policies; for everybody else these say the same
POLICIES = {
    "nova": {
        "context_is_admin": f"role:admin or role:{SINGLE_VIEWER} or role:{VOLUME_LISTER}",
        "os_compute_api:servers:index:get_all_tenants": (
            f"role:admin or role:{LISTER} or role:{VOLUME_LISTER}"
        ),
        "os_compute_api:servers:detail:get_all_tenants": (
            f"role:admin or role:{LISTER} or role:{VOLUME_LISTER}"
        ),
    },
    "cinder": {
        "context_is_admin": f"role:admin or role:{LISTER} or role:{SINGLE_VIEWER} or role:{VOLUME_LISTER}",
        "volume:get": f"role:admin or role:{LISTER} or role:{SINGLE_VIEWER} or {_MEMBERS_VOLUME}",
    },
}

Sections = dict[str, dict[str, object]]


@dataclass(frozen=True)
class Site:
    """What the files speak of: folders, ports of 127.0.0.1 by name, the password of services and admin."""

    software: Software
    folder: Path
    ports: Mapping[str, int]
    password: str
    database: Database
    broker: Broker

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.ports[name]}"

    @property
    def identity(self) -> str:
        return f"{self.url('keystone')}/v3"

    @property
    def volume(self) -> str:
        return f"{self.url('cinder')}/v3"

    @property
    def compute(self) -> str:
        return f"{self.url('nova')}/v2.1"

    def file(self, name: str) -> Path:
        return self.folder / "etc" / f"{name}.conf"


def write_all(site: Site) -> None:
    site.file("keystone").parent.mkdir()
    for name, sections in (
        ("keystone", _keystone(site)),
        ("fleeting", _fleeting(site)),
        ("placement", _placement(site)),
        ("cinder", _cinder(site)),
        ("nova", _nova(site)),
    ):
        site.file(name).write_text(_ini(sections), encoding="utf-8")
    for name, rules in POLICIES.items():
        _policy_file(site, name).write_text(json.dumps(rules), encoding="utf-8")  # JSON is YAML, too


def _policy_file(site: Site, name: str) -> Path:
    return site.file(name).with_name(f"{name}-policy.yaml")


def _ini(sections: Sections) -> str:
    lines: list[str] = []
    for section, options in sections.items():
        lines.append(f"[{section}]")
        # oslo.config takes a dollar for a reference to another option.
        lines += [f"{key} = {str(value).replace('$', '$$')}" for key, value in options.items()]
    return "\n".join(lines) + "\n"


def _state(site: Site, name: str) -> Path:
    folder = site.folder / name
    folder.mkdir(exist_ok=True)
    return folder


def _credentials(site: Site) -> dict[str, object]:
    """The service user, as keystoneauth's ``password`` wants it."""
    return {
        "auth_type": "password",
        "auth_url": site.identity,
        "username": SERVICE_USER,
        "password": site.password,
        "project_name": SERVICE_USER,
        "user_domain_id": "default",
        "project_domain_id": "default",
        "region_name": REGION,
    }


def _guard(site: Site) -> dict[str, object]:
    """How a service checks tokens: what Keystone said of one is believed for TOKEN_CACHE_SECONDS."""
    return {
        **_credentials(site),
        "www_authenticate_uri": site.identity,
        "token_cache_time": TOKEN_CACHE_SECONDS,
        "service_token_roles": "service",
        "service_token_roles_required": True,
    }


def _messages() -> Sections:
    return {
        "oslo_messaging_rabbit": {"rabbit_quorum_queue": False, "rabbit_ha_queues": False},
        "oslo_messaging_notifications": {"driver": "noop"},
    }


def _keystone(site: Site) -> Sections:
    keys = _state(site, "keystone")
    return {
        "database": {"connection": site.database.url("keystone")},
        "token": {"provider": "fernet"},
        "fernet_tokens": {"key_repository": keys / "fernet"},
        "fernet_receipts": {"key_repository": keys / "fernet"},
        "credential": {"key_repository": keys / "credential"},
        # The least work that bcrypt allows: no password here is worth more.
        "identity": {"password_hash_rounds": 4},
    }


def _fleeting(site: Site) -> Sections:
    """Keystone once more, on the same records: tokens issued here live two seconds, and count everywhere."""
    return {**_keystone(site), "token": {"provider": "fernet", "expiration": 2}}


def _placement(site: Site) -> Sections:
    return {
        "placement_database": {"connection": site.database.url("placement")},
        "api": {"auth_strategy": "keystone"},
        "keystone_authtoken": _guard(site),
    }


def _cinder(site: Site) -> Sections:
    state = _state(site, "cinder")
    return {
        "DEFAULT": {
            "api_paste_config": site.software.environment / "etc/cinder/api-paste.ini",
            "auth_strategy": "keystone",
            "default_volume_type": VOLUME_TYPE,
            "enabled_backends": VOLUME_TYPE,
            "glance_api_servers": f"{site.url('standins')}/image",
            "host": REGION,
            "my_ip": "127.0.0.1",
            "rootwrap_config": site.software.environment / "etc/cinder/rootwrap.conf",
            "state_path": state,
            "transport_url": site.broker.url,
        },
        VOLUME_TYPE: {"volume_backend_name": VOLUME_TYPE, "volume_driver": "keepless.KeeplessDriver"},
        "database": {"connection": site.database.url("cinder")},
        "coordination": {"backend_url": f"file://{state}"},
        "oslo_concurrency": {"lock_path": state},
        "keystone_authtoken": _guard(site),
        "service_user": {**_credentials(site), "send_service_user_token": True},
        "nova": {**_credentials(site), "interface": "public"},
        "oslo_policy": {"policy_file": _policy_file(site, "cinder")},
        **_messages(),
    }


def _nova(site: Site) -> Sections:
    state = _state(site, "nova")
    return {
        "DEFAULT": {
            "compute_driver": "hypervisor.ToldDriver",
            "host": REGION,
            "my_ip": "127.0.0.1",
            # A deleted server can be restored for an hour, unless it is deleted by force.
            "reclaim_instance_interval": 3600,
            "rootwrap_config": site.software.environment / "etc/nova/rootwrap.conf",
            "running_deleted_instance_action": "noop",
            "state_path": state,
            "sync_power_state_interval": -1,
            "transport_url": site.broker.url,
        },
        "api_database": {"connection": site.database.url("nova_api")},
        "database": {"connection": site.database.url("nova")},
        "oslo_concurrency": {"lock_path": state},
        "keystone_authtoken": _guard(site),
        "service_user": {**_credentials(site), "send_service_user_token": True},
        "placement": _credentials(site),
        "cinder": {
            **_credentials(site),
            "catalog_info": "volumev3:cinderv3:publicURL",
            "os_region_name": REGION,
        },
        "neutron": {**_credentials(site), "endpoint_override": f"{site.url('standins')}/network"},
        "glance": {**_credentials(site), "endpoint_override": f"{site.url('standins')}/image"},
        "oslo_policy": {"policy_file": _policy_file(site, "nova")},
        "wsgi": {"api_paste_config": site.software.environment / "etc/nova/api-paste.ini"},
        "quota": {"cores": -1, "instances": -1, "ram": -1},
        "conductor": {"workers": 1},
        "scheduler": {"workers": 1},
        "vnc": {"enabled": False},
        **_messages(),
    }
