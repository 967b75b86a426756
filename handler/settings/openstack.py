"""What OpenStack's own credentials say of a cloud: where it is, and who logs in there."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from handler.errors import Misconfigured
from handler.model.addresses import endpoint_url, split_version
from handler.model.values import project_uuid
from handler.settings.cloud_loader import KINDS, load_region
from handler.settings.environment import EnvironmentReader
from handler.settings.secret_reference import SecretReference, Store
from handler.settings.trust import Trust, at

if TYPE_CHECKING:
    from openstack.config.cloud_region import CloudRegion

_PROJECT_BEHIND = re.compile(r"/[%$]\((?:project|tenant)_id\)s/?$")


class OpenStackCloud(NamedTuple):
    """Where a cloud is, and what is meant of its catalog. None where that is not said."""

    identity_endpoint: str | None = None
    region: str | None = None
    interface: str | None = None
    volume_endpoint: str | None = None
    compute_endpoint: str | None = None
    trust: Trust | None = None


class LoadedCloud(NamedTuple):
    """A cloud, and who logs in there: `auth` has the loader's names, `kind` is one of `KINDS`' values.

    `default_domain_id` is whose a user or project without a domain is, where that is said.
    """

    place: OpenStackCloud
    kind: str
    auth: Mapping[str, Any]
    default_domain_id: str | None = None

    def __repr__(self) -> str:
        """Without `auth`, which holds the password."""
        return f"LoadedCloud(place={self.place!r}, kind={self.kind!r})"


def read_openstack(read: EnvironmentReader, reference: SecretReference | None) -> OpenStackCloud:
    """Where the cloud is that a reference names; nowhere, where it names another kind of store."""
    if reference is None or reference.store is not Store.OPENSTACK:
        return OpenStackCloud()
    try:
        return load_cloud(read.environment, reference.name, http_for=read.allows_http).place
    except Misconfigured as fault:
        read.faults.append(fault.message.removesuffix("."))
        return OpenStackCloud()


def load_cloud(environment: Mapping[str, str], name: str, *, http_for: Callable[[str], bool]) -> LoadedCloud:
    """The cloud of this name (empty: that of `OS_CLOUD`, of the variables, or the only one there is).

    `http_for` says to which hosts http may be spoken. Raises Misconfigured, which shows no value.
    """
    region = load_region(environment, name)
    default = None
    if str(region.config.get("identity_api_version", "")).partition(".")[0] == "3":
        default = str(region.config.get("default_domain") or "default")  # as openstackclient has it
    return LoadedCloud(
        _place(region, http_for), KINDS[region.config["auth_type"]], region.config["auth"], default
    )


def interface_of(value: str) -> str:
    """One of a catalog's interfaces. Raises ValueError for any other word."""
    word = value.lower().removesuffix("url")  # OpenStack's clients take publicURL, too
    if word not in {"public", "internal", "admin"}:
        raise ValueError
    return word


def _place(region: CloudRegion, http_for: Callable[[str], bool]) -> OpenStackCloud:
    interface = _same(region.get_interface, "interface (OS_INTERFACE)")
    try:
        interface = interface_of(interface) if interface else None
    except ValueError:
        raise Misconfigured("interface (OS_INTERFACE) must be public, internal or admin.") from None
    return OpenStackCloud(
        identity_endpoint=_identity(region.config["auth"].get("auth_url"), http_for),
        region=_same(region.get_region_name, "region_name (OS_REGION_NAME)"),
        interface=interface,
        volume_endpoint=_override(region, "block-storage", http_for),
        compute_endpoint=_override(region, "compute", http_for),
        trust=_trust(region),
    )


def _same(of_service: Callable[[str], Any], what: str) -> str | None:
    """What holds for both services: the loader can have one for each, and several."""
    volume, compute = of_service("block-storage"), of_service("compute")
    if volume != compute or isinstance(volume, list):
        raise Misconfigured(f"{what} must be one, the same for block storage and compute.")
    return str(volume) if volume else None


def _url(value: object, what: str, http_for: Callable[[str], bool]) -> str:
    try:
        return endpoint_url(str(value), http_for=http_for)
    except ValueError:
        fault = (
            f"{what} must be an https URL without user, query or fragment (http only for loopback and the "
            "hosts in DETACH_ALLOW_HTTP)."
        )
    raise Misconfigured(fault)


def _identity(value: object, http_for: Callable[[str], bool]) -> str:
    url = _url(value, "auth_url (OS_AUTH_URL)", http_for)
    version = split_version(urlsplit(url).path)[1]
    if version not in {None, "v3"}:
        raise Misconfigured("auth_url (OS_AUTH_URL) must be that of the Identity API v3.")
    return url if version else f"{url}/v3"


def _override(region: CloudRegion, service: str, http_for: Callable[[str], bool]) -> str | None:
    """An endpoint that is set. A project that is written out behind it is cut when the token's is known."""
    value = region.get_endpoint(service)
    if not value:
        return None
    what = f"{service.replace('-', '_')}_endpoint_override"
    url = _url(_PROJECT_BEHIND.sub("", str(value)), what, http_for)
    path = urlsplit(url).path
    above, _, last = path.rpartition("/")
    if split_version(above if project_uuid(last) else path)[1] is None:
        raise Misconfigured(f"{what} must go up to the version (such as /v3).")
    return url


def _trust(region: CloudRegion) -> Trust | None:
    if region.config.get("insecure") or region.config.get("verify", True) in {False, None}:
        raise Misconfigured("Certificates are always verified: in place of insecure or verify set cacert.")
    verify, certificate = region.get_requests_verify_args()
    if certificate:
        raise Misconfigured("A client's certificate (cert, key) is not supported.")
    if not isinstance(verify, str):
        return None
    if not os.access(verify, os.R_OK):
        raise Misconfigured("cacert (OS_CACERT) must be a file (or folder) that can be read.")
    return at(verify)
