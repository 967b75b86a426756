"""`openstack:`, `openstack:NAME`: what OpenStack's own clients log in with, from `OS_*` and clouds.yaml.

Facts: Keystone's plugins as keystoneauth1 documents them: an id counts more than a name, a project without a
domain of its own is of `default_domain_id` or `default_domain_name`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from handler.errors import Misconfigured
from handler.invocation import CallContext
from handler.model.addresses import is_loopback
from handler.settings import Settings
from handler.settings.openstack import LoadedCloud, load_cloud
from handler.settings.secret_reference import SecretReference


class OpenStackStore:
    """Reads variables and files each time, as they are then; where the cloud is must stay the same."""

    def __init__(
        self, setting: str, reference: SecretReference, settings: Settings, environment: Mapping[str, str]
    ) -> None:
        self._setting = setting
        self._place = settings.openstack
        http_hosts = settings.http_hosts
        # Not the environment itself, in which every secret of the process may be
        self._load: Callable[[], LoadedCloud] = lambda: load_cloud(
            environment, reference.name, http_for=lambda host: is_loopback(host) or host in http_hosts
        )

    def read(self, _context: CallContext) -> str:
        """The credentials, as the JSON that any other secret may be. Raises Misconfigured."""
        cloud = self._load()
        if cloud.place != self._place:  # a new password must not go to the old cloud
            raise Misconfigured(
                f"What {self._setting} names says another address, region or certificate than when this "
                "process began: start it anew."
            )
        return json.dumps(dict(_content(cloud)))


def _content(cloud: LoadedCloud) -> Iterator[tuple[str, str]]:
    if cloud.kind == "token":
        yield "token", _required(cloud, "token")
        yield from _project(cloud)
    elif cloud.kind == "password":
        yield from _user(cloud)
        yield "password", _required(cloud, "password")
        yield from _project(cloud)
    else:
        if dict(_project(cloud)):
            raise Misconfigured(
                "An application credential has a project of its own: take project_id, project_name (and "
                "OS_PROJECT_ID, OS_PROJECT_NAME) away beside it."
            )
        yield "application_credential_secret", _required(cloud, "application_credential_secret")
        if _text(cloud, "application_credential_id"):
            yield "application_credential_id", _required(cloud, "application_credential_id")
        else:
            yield "application_credential_name", _required(cloud, "application_credential_name")
            yield from _user(cloud)


def _user(cloud: LoadedCloud) -> Iterator[tuple[str, str]]:
    user_id = _text(cloud, "user_id")
    if user_id:
        yield "user_id", user_id
        return
    yield "username", _required(cloud, "username")
    domain = dict(_domain(cloud, "user", "domain"))
    if not domain:
        raise Misconfigured("user_domain_id or user_domain_name is missing (OS_USER_DOMAIN_NAME).")
    yield from domain.items()


def _project(cloud: LoadedCloud) -> Iterator[tuple[str, str]]:
    project_id, name = _text(cloud, "project_id"), _text(cloud, "project_name")
    if project_id:
        yield "project_id", project_id
    elif name:
        yield "project_name", name
        domain = dict(_domain(cloud, "project", "project_domain"))
        if not domain:
            raise Misconfigured(
                "project_domain_id or project_domain_name is missing (OS_PROJECT_DOMAIN_NAME)."
            )
        yield from domain.items()


def _domain(cloud: LoadedCloud, whose: str, key: str) -> Iterator[tuple[str, str]]:
    for prefix in (whose, "default"):
        for how, ending in (("id", "_id"), ("name", "")):
            value = _text(cloud, f"{prefix}_domain_{how}")
            if value:
                yield f"{key}{ending}", value
                return
    if cloud.default_domain_id:
        yield f"{key}_id", cloud.default_domain_id


def _text(cloud: LoadedCloud, name: str) -> str | None:
    value: Any = cloud.auth.get(name)
    if value is not None and not isinstance(value, str):
        raise Misconfigured(f"{name} is no text in clouds.yaml: put it into quotes.")
    return value or None


def _required(cloud: LoadedCloud, name: str) -> str:
    value = _text(cloud, name)
    if value is None:
        raise Misconfigured(f"{name} is missing (OS_{name.upper()}).")
    return value
