"""How far a deployment looks: one project, or a whole OpenStack cloud (`DETACH_SCOPE`)."""

from __future__ import annotations

from enum import Enum
from typing import Protocol

from handler.settings.opt_in import LiveSettings, RecoverSettings
from handler.settings.regions import vendor_host
from handler.settings.secret_reference import SecretReference, Store


class Scope(str, Enum):
    """Whose volumes and servers are looked at (`DETACH_SCOPE`)."""

    PROJECT = "project"
    CLOUD = "cloud"
    """Everybody's, with an administrator's token that is seen to be shown everything."""


VENDOR = "DETACH_SCOPE=cloud is for OpenStack's own services: the vendor shows one project at a time"
"""Said before anything is asked, to whoever names a host of the vendor's.

Under another name it shows its token no other project, which is what stops it there
(`handler.actions.sight`).
"""


class _Settings(Protocol):
    @property
    def scope(self) -> Scope: ...
    @property
    def live(self) -> LiveSettings: ...
    @property
    def recover(self) -> RecoverSettings: ...
    @property
    def server_check(self) -> Enum: ...
    @property
    def volume_endpoint(self) -> str | None: ...
    @property
    def compute_endpoint(self) -> str | None: ...
    @property
    def domain(self) -> str | None: ...


def scope_faults(settings: _Settings, token_secret: SecretReference | None) -> list[str]:
    """What can't be combined with a whole cloud. What is off in a scope of one project is nobody's fault."""
    if settings.scope is Scope.PROJECT:
        return []
    of_context = token_secret is not None and token_secret.store is Store.CONTEXT
    wrong = {
        "DETACH_LIVE must be off": settings.live.on,
        "DETACH_RECOVER must be off": settings.recover.on,
        "DETACH_SERVER_CHECK must not be off": settings.server_check.value == "off",
        "DETACH_TOKEN_SECRET must not be context:": of_context,
    }
    endpoints = (settings.volume_endpoint, settings.compute_endpoint)
    of_vendor = any(vendor_host(endpoint or "", settings.domain) for endpoint in endpoints)
    return [f"{what} with DETACH_SCOPE=cloud" for what, so in wrong.items() if so] + [VENDOR] * of_vendor
