"""`env:NAME`: a secret in an environment variable."""

from __future__ import annotations

from collections.abc import Mapping

from handler.credentials.platform import Platform
from handler.errors import SecretUnavailable
from handler.settings import SecretReference
from handler.telemetry import Trace


class EnvStore:
    """Reads the variable each time, as it is then."""

    def __init__(self, setting: str, reference: SecretReference, environment: Mapping[str, str]) -> None:
        self._setting = setting
        self._name = reference.name
        self._environment = environment

    def read(self, _trace: Trace, _platform: Platform) -> str:
        """The variable's value. Raises SecretUnavailable."""
        value = self._environment.get(self._name)
        if value is None:
            raise SecretUnavailable(f"{self._setting} names an environment variable that is not set.")
        return value
