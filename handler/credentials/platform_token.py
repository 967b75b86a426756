"""What the platform itself hands over with each invocation: on FunctionGraph its token and project."""

from __future__ import annotations

from collections.abc import Mapping

from handler.credentials.secret_content import as_token
from handler.errors import Misconfigured, SecretUnavailable
from handler.invocation import Platform
from handler.model.values import is_project
from handler.secret import Secret


def platform_token(platform: Platform, setting: str) -> Secret:
    """The platform's token, for the setting that wants it. The platform writes an absent one as "null"."""
    if platform.token is None or platform.token.reveal().strip() in {"", "null"}:
        raise SecretUnavailable(
            f"{setting} needs the platform's token, and the platform gave none: set an agency for the "
            "function, and for a container pass it on in the headers (enable_auth_in_header)."
        )
    return as_token(platform.token.reveal().strip(), "The platform's token")


def platform_project(platform: Platform, runtime: str | None) -> str | None:
    """The function's own project: by RUNTIME_PROJECT_ID, which no caller can forge, else as handed in."""
    for value in (runtime, platform.project_id):
        if value and value.strip() not in {"", "null"}:
            if not is_project(value.strip()):
                raise Misconfigured("The platform's project id is not valid.")
            return value.strip()
    return None


def runtime_project(environment: Mapping[str, str]) -> str | None:
    """The function's own project by the environment that the platform makes."""
    return environment.get("RUNTIME_PROJECT_ID")
