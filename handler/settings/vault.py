"""How Vault or OpenBao is reached, under the names that its own tools use."""

from __future__ import annotations

from typing import NamedTuple

from handler.secret import Secret
from handler.settings.environment import EnvironmentReader
from handler.settings.secret_reference import is_path
from handler.settings.trust import Trust, at


class VaultSettings(NamedTuple):
    """How to reach Vault or OpenBao, under the names that its own tools use."""

    address: str | None = None
    token: Secret | None = None
    token_file: str | None = None
    role: str | None = None
    kubernetes_mount: str = "kubernetes"
    namespace: str | None = None
    trust: Trust | None = None


def _mount(value: str) -> str:
    if not is_path(value.strip("/")):
        raise ValueError
    return value.strip("/")


def read_vault(read: EnvironmentReader) -> VaultSettings:
    """Read the settings that begin with VAULT_."""
    token = read.text("VAULT_TOKEN")
    return VaultSettings(
        address=read.url("VAULT_ADDR", None),
        token=Secret(token) if token else None,
        token_file=read.text("VAULT_TOKEN_FILE"),
        role=read.text("VAULT_ROLE"),
        kubernetes_mount=read.parsed(
            "VAULT_K8S_MOUNT", "kubernetes", _mount, "the path where the auth method is mounted"
        ),
        namespace=read.text("VAULT_NAMESPACE"),
        trust=at(read.file("VAULT_CACERT")) if read.text("VAULT_CACERT") else None,
    )
