"""Opens the store that a reference names, and keeps what was read there for a while."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from handler.cloud.transport import Transport
from handler.credentials.content import is_text
from handler.credentials.env import EnvStore
from handler.credentials.file import LARGEST_FILE, FileStore
from handler.credentials.platform import Platform, runtime_project
from handler.errors import Misconfigured, SecretUnavailable
from handler.secret import Secret
from handler.settings import SecretReference, Settings, Store
from handler.telemetry import Event, Trace


class SecretStore(Protocol):
    """Where a secret is kept."""

    def read(self, trace: Trace, platform: Platform) -> str:
        """The secret's text as it is now. Raises SecretUnavailable, retryable when it is an outage."""
        ...


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
        from handler.credentials.csms import CsmsStore  # noqa: PLC0415

        return CsmsStore(setting, reference, settings, transport, runtime_project(environment))
    if reference.store is Store.VAULT:
        from handler.credentials.vault import SERVICE_ACCOUNT, VaultStore  # noqa: PLC0415

        return VaultStore(setting, reference, settings.vault, transport, clock, SERVICE_ACCOUNT)
    raise Misconfigured(f"{setting} can't be context:.")


class KeptSecret:
    """A secret's text, read anew when its time is over or on demand. One thread at a time: see `Turn`."""

    def __init__(
        self,
        setting: str,
        reference: SecretReference,
        store: SecretStore,
        ttl: float,
        clock: Callable[[], float],
    ) -> None:
        self.setting = setting
        self._kind = reference.store
        self._store = store
        self._ttl = ttl
        self._clock = clock
        self._text: Secret | None = None
        self._since = 0.0
        self._kept_for = ttl

    @property
    def fresh(self) -> bool:
        """Whether what was read is still within its time. A clock that was set back doesn't prolong it."""
        return self._text is not None and 0 <= self._clock() - self._since < self._kept_for

    def current(self, trace: Trace, platform: Platform) -> Secret:
        """The text, read if it is not fresh."""
        text = self._text
        return text if text is not None and self.fresh else self.anew(trace, platform)

    def anew(self, trace: Trace, platform: Platform) -> Secret:
        """The text as the store has it now."""
        text = self._store.read(trace, platform).strip()
        if not text:
            raise SecretUnavailable(f"The secret that {self.setting} names is empty.")
        if len(text) > LARGEST_FILE or not is_text(text):
            raise SecretUnavailable(
                f"The secret that {self.setting} names is not UTF-8 of at most {LARGEST_FILE} characters."
            )
        secret = Secret(text)
        trace.log.info(
            Event.SECRET_READ, setting=self.setting, store=self._kind.value, changed=secret != self._text
        )
        self._text = secret
        self._since = self._clock()
        self._kept_for = self._ttl
        return secret

    def hold(self, seconds: float) -> None:
        """Take what was read last for fresh for so long from now."""
        self._since = self._clock()
        self._kept_for = seconds
