"""`env:NAME`: a secret in an environment variable."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from handler.errors import SecretUnavailable
from handler.invocation import CallContext
from handler.settings.secret_reference import SecretReference


class EnvStore:
    """Reads the variable each time, as it is then."""

    def __init__(self, setting: str, reference: SecretReference, environment: Mapping[str, str]) -> None:
        self._setting = setting
        # Not the environment itself, in which every secret of the process may be
        self._value: Callable[[], str | None] = lambda: environment.get(reference.name)

    def read(self, _context: CallContext) -> str:
        """The variable's value. Raises SecretUnavailable."""
        value = self._value()
        if value is None:
            raise SecretUnavailable(f"{self._setting} names an environment variable that is not set.")
        return value
