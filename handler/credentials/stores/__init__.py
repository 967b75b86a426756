"""Where secrets are kept: one store a module. `open_store` opens the one that a reference names."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from handler.cloud.transport import Transport
from handler.credentials.ending import Ending
from handler.credentials.platform_token import runtime_project
from handler.credentials.stores.base import SecretStore
from handler.credentials.stores.env import EnvStore
from handler.credentials.stores.file import FileStore
from handler.errors import Misconfigured
from handler.settings import Settings
from handler.settings.secret_reference import SecretReference, Store

LOCAL_STORES = frozenset({Store.ENV, Store.FILE, Store.OPENSTACK})
"""Those that nobody has to be asked for."""


def open_store(
    setting: str,
    reference: SecretReference,
    settings: Settings,
    transport: Transport,
    environment: Mapping[str, str],
    clock: Callable[[], float],
) -> SecretStore:
    """The store of the reference that a setting holds. Only the store in use is imported."""
    if reference.store is Store.ENV:
        return EnvStore(setting, reference, environment)
    if reference.store is Store.FILE:
        return FileStore(setting, reference)
    if reference.store is Store.CSMS:
        from handler.credentials.stores.csms import CsmsStore  # noqa: PLC0415

        ending = Ending(setting, clock)
        return CsmsStore(setting, reference, settings, transport, runtime_project(environment), ending)
    if reference.store is Store.VAULT:
        from handler.credentials.stores.vault import SERVICE_ACCOUNT, VaultStore  # noqa: PLC0415

        return VaultStore(setting, reference, settings.vault, transport, clock, SERVICE_ACCOUNT)
    if reference.store is Store.OPENSTACK:
        from handler.credentials.stores.openstack import OpenStackStore  # noqa: PLC0415

        return OpenStackStore(setting, reference, settings, environment)
    raise Misconfigured(f"{setting} can't be context:.")
