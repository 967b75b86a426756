"""The deployment's settings: read once, checked whole, frozen. The README's table explains each."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from enum import Enum
from typing import NamedTuple
from urllib.parse import urlsplit

from handler.environment import EnvironmentReader
from handler.errors import Misconfigured
from handler.model.values import project_uuid
from handler.secret import Secret

_VENDOR_HOST = re.compile(r"[a-z0-9-]+\.([a-z0-9-]+)\.myhuaweicloud\.[a-z]+")


class ServerCheck(str, Enum):
    """What counts as proof that a server is gone (`DETACH_SERVER_CHECK`)."""

    GONE = "gone"
    RECORDED = "recorded"
    NOT_HELD = "not-held"
    OFF = "off"


class InvokeAuth(str, Enum):
    """Who checks the callers (`DETACH_INVOKE_AUTH`): we, or the host in front."""

    BEARER = "bearer"
    PLATFORM = "platform"


class Store(str, Enum):
    """Where a secret is kept."""

    ENV = "env"
    FILE = "file"
    CSMS = "csms"
    VAULT = "vault"
    CONTEXT = "context"


class SecretReference(NamedTuple):
    """A parsed secret reference.

    `name` is the variable, the path, the CSMS name, or MOUNT/PATH; `part` the CSMS version or Vault field.
    """

    store: Store
    name: str
    part: str | None = None


class VaultSettings(NamedTuple):
    """How to reach Vault or OpenBao, under the names that its own tools use."""

    address: str | None = None
    token: Secret | None = None
    token_file: str | None = None
    role: str | None = None
    namespace: str | None = None


class SweepSettings(NamedTuple):
    """The bounds of a sweep. An event can only be more careful."""

    dry_run: bool = True
    limit: int = 20
    min_age_seconds: int = 900
    max_fraction: float = 0.5


class Settings(NamedTuple):
    """All settings of one deployment. Times are seconds. Endpoints end without a slash."""

    region: str | None
    project_id: str | None
    volume_endpoint: str
    compute_endpoint: str | None
    identity_endpoint: str | None
    csms_endpoint: str | None
    token_secret: SecretReference
    invoke_auth: InvokeAuth
    invoke_secret: SecretReference | None
    vault: VaultSettings
    secret_ttl: float
    server_check: ServerCheck
    timeout: float
    connect_timeout: float
    read_timeout: float
    max_targets: int
    max_body_bytes: int
    concurrency: int
    sweep: SweepSettings
    fanout_sink: str | None
    ca_bundle: str | None
    log_level: str


NAMES = (
    "DETACH_REGION",
    "DETACH_PROJECT_ID",
    "DETACH_VOLUME_ENDPOINT",
    "DETACH_COMPUTE_ENDPOINT",
    "DETACH_IDENTITY_ENDPOINT",
    "DETACH_TOKEN_SECRET",
    "DETACH_CSMS_ENDPOINT",
    "VAULT_ADDR",
    "VAULT_TOKEN",
    "VAULT_TOKEN_FILE",
    "VAULT_ROLE",
    "VAULT_NAMESPACE",
    "DETACH_SECRET_TTL",
    "DETACH_SERVER_CHECK",
    "DETACH_TIMEOUT",
    "DETACH_CONNECT_TIMEOUT",
    "DETACH_READ_TIMEOUT",
    "DETACH_MAX_TARGETS",
    "DETACH_MAX_BODY_BYTES",
    "DETACH_CONCURRENCY",
    "DETACH_SWEEP_DRY_RUN",
    "DETACH_SWEEP_LIMIT",
    "DETACH_SWEEP_MIN_AGE_SECONDS",
    "DETACH_SWEEP_MAX_FRACTION",
    "DETACH_FANOUT_SINK",
    "DETACH_INVOKE_AUTH",
    "DETACH_INVOKE_SECRET",
    "DETACH_CA_BUNDLE",
    "DETACH_ALLOW_HTTP",
    "DETACH_LOG_LEVEL",
)
"""Every setting there is, in the order of the README's table."""


_FORMS = "env:NAME, file:PATH, csms:NAME[@VERSION], vault:MOUNT/PATH[#FIELD] or context:"


def _reference(value: str) -> SecretReference | None:
    scheme, colon, rest = value.partition(":")
    store = Store(scheme)
    if not colon or bool(rest) == (store is Store.CONTEXT):
        raise ValueError
    if store is Store.CSMS:
        rest, at, version = rest.partition("@")
        if not re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", rest) or (at and not re.fullmatch(r"[\w.-]+", version)):
            raise ValueError
        return SecretReference(store, rest, version or None)
    if store is Store.VAULT:
        rest, mark, part = rest.partition("#")
        mount, slash, path = rest.partition("/")
        if not (mount and slash and path) or (mark and not part) or re.search(r"[\s?%]|\.\.|//", rest):
            raise ValueError
        return SecretReference(store, rest, part or None)
    return SecretReference(store, rest)


def _readable(value: str) -> str | None:
    if not os.access(value, os.R_OK):
        raise ValueError
    return value


def _project(value: str) -> str | None:
    if project_uuid(value) is None:
        raise ValueError
    return value.lower()


def _region(value: str) -> str | None:
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,62}", value):
        raise ValueError
    return value


def _level(value: str) -> str:
    if value.upper() not in {"DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"}:
        raise ValueError
    return value.upper()


def read_settings(environment: Mapping[str, str], *, network: bool = True) -> Settings:
    """Read and check all settings.

    `network` says that callers reach this door over a network, so that someone must check them. Raises
    Misconfigured that names every setting that is missing or wrong, and never shows a value.
    """
    read = EnvironmentReader(environment)
    region = read.parsed("DETACH_REGION", None, _region, "a region's id, such as eu-west-101")

    def vendor(service: str, version: str) -> str | None:
        return f"https://{service}.{region}.myhuaweicloud.com{version}" if region else None

    volume_endpoint = read.url("DETACH_VOLUME_ENDPOINT", vendor("evs", "/v2"))
    compute_endpoint = read.url("DETACH_COMPUTE_ENDPOINT", vendor("ecs", "/v2.1"))
    identity_endpoint = read.url("DETACH_IDENTITY_ENDPOINT", vendor("iam", "/v3"))
    csms_endpoint = read.url("DETACH_CSMS_ENDPOINT", vendor("kms", ""))
    token_secret = read.parsed("DETACH_TOKEN_SECRET", None, _reference, _FORMS)
    invoke_secret = read.parsed("DETACH_INVOKE_SECRET", None, _reference, _FORMS)
    vault_token = read.text("VAULT_TOKEN")
    timeout = read.number("DETACH_TIMEOUT", 25.0, 0.1, 259200.0)
    settings = Settings(
        region=region,
        project_id=read.parsed("DETACH_PROJECT_ID", None, _project, "32 hex digits or a UUID"),
        volume_endpoint=volume_endpoint or "",
        compute_endpoint=compute_endpoint,
        identity_endpoint=identity_endpoint,
        csms_endpoint=csms_endpoint,
        token_secret=token_secret or SecretReference(Store.CONTEXT, ""),
        invoke_auth=read.parsed("DETACH_INVOKE_AUTH", InvokeAuth.BEARER, InvokeAuth, "bearer or platform"),
        invoke_secret=invoke_secret,
        vault=VaultSettings(
            address=read.url("VAULT_ADDR", None),
            token=Secret(vault_token) if vault_token else None,
            token_file=read.text("VAULT_TOKEN_FILE"),
            role=read.text("VAULT_ROLE"),
            namespace=read.text("VAULT_NAMESPACE"),
        ),
        secret_ttl=read.number("DETACH_SECRET_TTL", 300.0, 0.0, 86400.0),
        server_check=read.parsed(
            "DETACH_SERVER_CHECK", ServerCheck.GONE, ServerCheck, "gone, recorded, not-held or off"
        ),
        timeout=timeout,
        connect_timeout=read.number("DETACH_CONNECT_TIMEOUT", 3.0, 0.05, 300.0),
        # No clearing starts with less time left than one read may take: the default yields.
        read_timeout=read.number("DETACH_READ_TIMEOUT", min(10.0, timeout * 0.4), 0.05, 3600.0),
        max_targets=read.whole("DETACH_MAX_TARGETS", 100, 1, 10_000),
        max_body_bytes=read.whole("DETACH_MAX_BODY_BYTES", 262_144, 256, 6 * 1024 * 1024),
        concurrency=read.whole("DETACH_CONCURRENCY", 8, 1, 64),
        sweep=SweepSettings(
            dry_run=read.flag("DETACH_SWEEP_DRY_RUN", default=True),
            limit=read.whole("DETACH_SWEEP_LIMIT", 20, 0, 1_000_000),
            min_age_seconds=read.whole("DETACH_SWEEP_MIN_AGE_SECONDS", 900, 0, 10**9),
            max_fraction=read.number("DETACH_SWEEP_MAX_FRACTION", 0.5, 0.0, 1.0),
        ),
        fanout_sink=read.url("DETACH_FANOUT_SINK", None, http=True),
        ca_bundle=read.parsed("DETACH_CA_BUNDLE", None, _readable, "a file (or folder) that can be read"),
        log_level=read.parsed("DETACH_LOG_LEVEL", "INFO", _level, "DEBUG, INFO, WARNING, ERROR or CRITICAL"),
    )
    faults = (
        read.faults + _missing(read, settings, network) + _contradictions(settings) + _misspelt(environment)
    )
    if faults:
        raise Misconfigured("The deployment's settings are wrong: " + "; ".join(faults) + ".")
    return settings


def _missing(read: EnvironmentReader, settings: Settings, network: bool) -> list[str]:
    """Settings that must be there, given the others. One that is there but wrong is named elsewhere."""
    faults = []

    def need(name: str, value: object, why: str) -> None:
        if not value and read.text(name) is None:
            faults.append(f"{name} is missing ({why})")

    need("DETACH_VOLUME_ENDPOINT", settings.volume_endpoint, "or set DETACH_REGION")
    if settings.server_check is not ServerCheck.OFF:
        need("DETACH_COMPUTE_ENDPOINT", settings.compute_endpoint, "or set DETACH_REGION")
    need("DETACH_TOKEN_SECRET", None, "where the token, or what buys one, is kept")
    if network and settings.invoke_auth is InvokeAuth.BEARER:
        need("DETACH_INVOKE_SECRET", None, "the callers' key, for DETACH_INVOKE_AUTH=bearer")
    stores = {reference.store for reference in (settings.token_secret, settings.invoke_secret) if reference}
    if Store.CSMS in stores:
        need("DETACH_CSMS_ENDPOINT", settings.csms_endpoint, "or set DETACH_REGION")
    if Store.VAULT in stores:
        need("VAULT_ADDR", settings.vault.address, "for a vault: secret")
        if not (settings.vault.token or settings.vault.token_file or settings.vault.role):
            faults.append("VAULT_TOKEN, VAULT_TOKEN_FILE or VAULT_ROLE is missing (for a vault: secret)")
    return faults


def _contradictions(settings: Settings) -> list[str]:
    """Settings that are good each but not together."""
    faults = []
    endpoints = {
        "DETACH_VOLUME_ENDPOINT": settings.volume_endpoint,
        "DETACH_COMPUTE_ENDPOINT": settings.compute_endpoint,
        "DETACH_IDENTITY_ENDPOINT": settings.identity_endpoint,
        "DETACH_CSMS_ENDPOINT": settings.csms_endpoint,
    }
    regions = {}
    for name, endpoint in endpoints.items():
        host = _VENDOR_HOST.fullmatch((urlsplit(endpoint or "").hostname or "").lower())
        if host:
            regions[name] = host[1]
    if settings.region:
        faults += [
            f"{name} is of another region than DETACH_REGION"
            for name, region in regions.items()
            if region != settings.region
        ]
    elif len(set(regions.values())) > 1:
        faults.append(f"{' and '.join(regions)} are not of one region")
    if settings.read_timeout >= settings.timeout:
        faults.append("DETACH_READ_TIMEOUT must be less than DETACH_TIMEOUT, or no clearing could ever start")
    if settings.invoke_secret and settings.invoke_secret.store is Store.CONTEXT:
        faults.append("DETACH_INVOKE_SECRET can't be context:, which is the platform's token")
    return faults


def _misspelt(environment: Mapping[str, str]) -> list[str]:
    """Names that are almost a setting's: a safety setting with a typing error would silently not hold.

    Names that are far from any are left alone: clusters put variables of their own making beside ours.
    """
    unknown = sorted(name for name in environment if name.upper().startswith("DETACH_") and name not in NAMES)
    if not unknown:
        return []
    import difflib  # noqa: PLC0415 (a well-spelt deployment doesn't pay for it)

    meant = {name: difflib.get_close_matches(name.upper(), NAMES, n=1, cutoff=0.85) for name in unknown}
    return [f"{name} is not a setting, {close[0]} is" for name, close in meant.items() if close]
