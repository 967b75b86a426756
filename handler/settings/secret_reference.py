"""Where a secret is kept, as a setting says it: `STORE:NAME`."""

from __future__ import annotations

import re
from enum import Enum
from typing import NamedTuple

REFERENCE_FORMS = (
    "env:NAME, file:PATH, csms:NAME[@VERSION], vault:MOUNT/PATH[#FIELD] (vault:MOUNT//PATH where the mount "
    "has slashes), openstack: (or openstack:NAME) or context:"
)


class Store(str, Enum):
    """Where a secret is kept."""

    ENV = "env"
    FILE = "file"
    CSMS = "csms"
    VAULT = "vault"
    OPENSTACK = "openstack"
    CONTEXT = "context"


class SecretReference(NamedTuple):
    """A parsed secret reference.

    `name` is the variable, the path, the CSMS name, Vault's path below its `mount`, or the cloud of
    clouds.yaml (empty: whichever is meant there); `part` the CSMS version or Vault field.
    """

    store: Store
    name: str
    part: str | None = None
    mount: str | None = None


def read_reference(value: str) -> SecretReference | None:
    """What a setting says. Raises ValueError for what is none of `REFERENCE_FORMS`."""
    scheme, colon, rest = value.partition(":")
    store = Store(scheme)
    if not colon or (store is not Store.OPENSTACK and bool(rest) == (store is Store.CONTEXT)):
        raise ValueError("no reference")
    if store is Store.CSMS:
        rest, at, version = rest.partition("@")
        if not re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", rest) or (at and not re.fullmatch(r"[\w.-]+", version)):
            raise ValueError("no CSMS name")
        return SecretReference(store, rest, version or None)
    if store is Store.VAULT:
        rest, mark, field = rest.partition("#")
        mount, slash, path = rest.partition("//" if "//" in rest else "/")
        if not (slash and is_path(mount) and is_path(path)) or (mark and not field):
            raise ValueError("no mount and path")
        return SecretReference(store, path, field or None, mount)
    return SecretReference(store, rest)


def invoke_faults(reference: SecretReference | None) -> list[str]:
    """What is wrong with where the callers' keys are kept."""
    if reference is not None and reference.store in {Store.CONTEXT, Store.OPENSTACK}:
        return [f"DETACH_INVOKE_SECRET can't be {reference.store.value}:, which is for the cloud's token"]
    return []


def is_path(path: str) -> bool:
    """Whether a path of Vault's can stand in a URL: no empty segment, none that leads elsewhere."""
    odd = re.search(r"[\s?#%\\]", path)
    return not odd and all(part not in {"", ".", ".."} for part in path.split("/"))
