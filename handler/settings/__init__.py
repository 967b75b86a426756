"""The deployment's settings: read once, checked whole, frozen. docs/operating.md explains each."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import Enum
from typing import NamedTuple

from handler.errors import Misconfigured
from handler.model.addresses import canonical_host
from handler.model.values import project_uuid
from handler.settings.environment import EnvironmentReader, unknown_names
from handler.settings.openstack import OpenStackCloud, interface_of, read_openstack
from handler.settings.opt_in import LiveSettings, RecoverSettings, read_live, read_recover
from handler.settings.regions import vendor_host, vendor_url
from handler.settings.scope import Scope, scope_faults
from handler.settings.secret_reference import (
    REFERENCE_FORMS,
    SecretReference,
    Store,
    invoke_faults,
    read_reference,
)
from handler.settings.trust import Trust, read_trust
from handler.settings.vault import VaultSettings, read_vault


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


class CatalogChoice(NamedTuple):
    """Which of a token's catalog is meant: a region (None: the only one there is) and an interface."""

    region: str | None = None
    interface: str = "public"


class SweepSettings(NamedTuple):
    """The bounds of a sweep. An event can only be more careful."""

    dry_run: bool = True
    limit: int = 20
    min_age_seconds: int = 900
    max_fraction: float = 0.5


class Settings(NamedTuple):
    """All settings of one deployment. Times are seconds. Endpoints end without a slash.

    An endpoint is the one that is set (its setting's name is in `endpoints_set`), by ours or in `openstack`,
    else the region's.
    """

    region: str | None
    domain: str | None
    project_id: str | None
    volume_endpoint: str | None
    compute_endpoint: str | None
    identity_endpoint: str | None
    csms_endpoint: str | None
    endpoints_set: frozenset[str]
    trust_endpoints: bool
    catalog: CatalogChoice
    openstack: OpenStackCloud
    http_hosts: frozenset[str]
    token_secret: SecretReference
    invoke_auth: InvokeAuth
    invoke_secret: SecretReference | None
    webhook_origins: frozenset[str]
    vault: VaultSettings
    secret_ttl: float
    scope: Scope
    server_check: ServerCheck
    live: LiveSettings
    recover: RecoverSettings
    timeout: float
    connect_timeout: float
    read_timeout: float
    max_targets: int
    max_body_bytes: int
    concurrency: int
    sweep: SweepSettings
    fanout_sink: str | None
    trust: Trust
    log_level: str


NAMES = (
    "DETACH_REGION",
    "DETACH_DOMAIN",
    "DETACH_PROJECT_ID",
    "DETACH_VOLUME_ENDPOINT",
    "DETACH_COMPUTE_ENDPOINT",
    "DETACH_IDENTITY_ENDPOINT",
    "DETACH_TRUST_ENDPOINTS",
    "OS_REGION_NAME",
    "OS_INTERFACE",
    "DETACH_TOKEN_SECRET",
    "OS_CLOUD",
    "OS_CLIENT_CONFIG_FILE",
    "OS_CLIENT_SECURE_FILE",
    "OS_AUTH_URL",
    "OS_CACERT",
    "DETACH_CSMS_ENDPOINT",
    "VAULT_ADDR",
    "VAULT_TOKEN",
    "VAULT_TOKEN_FILE",
    "VAULT_ROLE",
    "VAULT_K8S_MOUNT",
    "VAULT_NAMESPACE",
    "VAULT_CACERT",
    "DETACH_SECRET_TTL",
    "DETACH_SCOPE",
    "DETACH_SERVER_CHECK",
    "DETACH_LIVE",
    "DETACH_LIVE_API",
    "DETACH_RECOVER",
    "DETACH_RECOVER_AFTER",
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
    "DETACH_WEBHOOK_ORIGINS",
    "DETACH_CA_BUNDLE",
    "DETACH_ALLOW_HTTP",
    "DETACH_LOG_LEVEL",
)
"""Every setting there is, in the order of the table in docs/operating.md."""


_COMPARED = ("DETACH_VOLUME_ENDPOINT", "DETACH_COMPUTE_ENDPOINT")
"""The endpoints that have to be of one cloud and region."""


def _domain(value: str) -> str | None:
    return canonical_host(value)


def _project(value: str) -> str | None:
    if project_uuid(value) is None:
        raise ValueError
    return value.lower()


def _region(value: str) -> str | None:
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,62}", value):
        raise ValueError
    return value


def read_settings(environment: Mapping[str, str], *, network: bool = True) -> Settings:
    """Read and check all settings.

    `network` says that callers reach this entry point over a network, so that someone must check them. Raises
    Misconfigured that names every setting that is missing or wrong, and never shows a value.
    """
    read = EnvironmentReader(environment)
    region = read.parsed("DETACH_REGION", None, _region, "a region's id, such as ap-southeast-3")
    domain = read.parsed("DETACH_DOMAIN", None, _domain, "a domain, such as myhuaweicloud.com")

    def vendor(service: str, version: str) -> str | None:
        return vendor_url(service, region, domain) + version if region else None

    token_secret = read.parsed("DETACH_TOKEN_SECRET", None, read_reference, REFERENCE_FORMS)
    cloud = read_openstack(read, token_secret)
    volume_endpoint = read.url("DETACH_VOLUME_ENDPOINT", cloud.volume_endpoint or vendor("evs", "/v2"))
    compute_endpoint = read.url("DETACH_COMPUTE_ENDPOINT", cloud.compute_endpoint or vendor("ecs", "/v2.1"))
    identity_endpoint = read.url("DETACH_IDENTITY_ENDPOINT", cloud.identity_endpoint or vendor("iam", "/v3"))
    csms_endpoint = read.url("DETACH_CSMS_ENDPOINT", vendor("kms", ""))
    invoke_secret = read.parsed("DETACH_INVOKE_SECRET", None, read_reference, REFERENCE_FORMS)
    timeout = read.number("DETACH_TIMEOUT", 25.0, 0.1, 259200.0)
    settings = Settings(
        region=region,
        domain=domain,
        project_id=read.parsed("DETACH_PROJECT_ID", None, _project, "32 hex digits or a UUID"),
        volume_endpoint=volume_endpoint,
        compute_endpoint=compute_endpoint,
        identity_endpoint=identity_endpoint,
        csms_endpoint=csms_endpoint,
        endpoints_set=frozenset(
            name
            for name, in_cloud in zip(_COMPARED, (cloud.volume_endpoint, cloud.compute_endpoint), strict=True)
            if in_cloud or read.text(name)
        ),
        trust_endpoints=read.flag("DETACH_TRUST_ENDPOINTS", default=False),
        catalog=CatalogChoice(
            region or cloud.region or read.text("OS_REGION_NAME"),
            cloud.interface
            or read.parsed("OS_INTERFACE", "public", interface_of, "public, internal or admin"),
        ),
        openstack=cloud,
        http_hosts=read.http_hosts,
        token_secret=token_secret or SecretReference(Store.CONTEXT, ""),
        invoke_auth=read.parsed("DETACH_INVOKE_AUTH", InvokeAuth.BEARER, InvokeAuth, "bearer or platform"),
        invoke_secret=invoke_secret,
        webhook_origins=read.hosts("DETACH_WEBHOOK_ORIGINS"),
        vault=read_vault(read),
        secret_ttl=read.number("DETACH_SECRET_TTL", 300.0, 0.0, 86400.0),
        scope=read.parsed("DETACH_SCOPE", Scope.PROJECT, Scope, "project or cloud"),
        server_check=read.parsed(
            "DETACH_SERVER_CHECK", ServerCheck.GONE, ServerCheck, "gone, recorded, not-held or off"
        ),
        live=read_live(read),
        recover=read_recover(read),
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
        trust=read_trust(read, cloud.trust),
        log_level=read.level("DETACH_LOG_LEVEL", "INFO"),
    )
    faults = (
        read.faults
        + _missing(read, settings, network)
        + _contradictions(settings)
        + invoke_faults(invoke_secret)
        + scope_faults(settings, token_secret)
        + unknown_names(environment, NAMES)
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

    in_cloud = settings.token_secret.store is Store.OPENSTACK
    if settings.identity_endpoint is None and not in_cloud:  # else the token's catalog may have them
        without = "or set DETACH_REGION, or DETACH_IDENTITY_ENDPOINT for the token's catalog"
        need("DETACH_VOLUME_ENDPOINT", settings.volume_endpoint, without)
        if settings.server_check is not ServerCheck.OFF:
            need("DETACH_COMPUTE_ENDPOINT", settings.compute_endpoint, without)
    need("DETACH_TOKEN_SECRET", None, "where the token is kept, or the credentials that one is issued for")
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
        host = vendor_host(endpoint or "", settings.domain)
        if host:
            regions[name] = host.region
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
    if settings.server_check is ServerCheck.OFF:
        faults += [
            f"{name} can't be switched on with DETACH_SERVER_CHECK=off: the compute service has to be asked"
            for name, on in (("DETACH_LIVE", settings.live.on), ("DETACH_RECOVER", settings.recover.on))
            if on
        ]
    return faults
