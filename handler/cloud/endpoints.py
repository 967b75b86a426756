"""Where the services of one token are, and whether they are known to belong together.

With a volume endpoint of one cloud or region and a compute endpoint of another, every live server would look
gone. An endpoint that is set wins; else the token's catalog, where it lists both services; else the region.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple
from urllib.parse import urlsplit

from handler.cloud.catalog import (
    COMPUTE_TYPES,
    VOLUME_TYPES,
    Catalog,
    base_of,
    is_shared,
    place_of,
    regions_of,
)
from handler.errors import Misconfigured
from handler.model.addresses import endpoint_url, is_loopback, split_version
from handler.secret import Secret
from handler.settings import ServerCheck, Settings
from handler.settings.regions import vendor_host
from handler.settings.scope import VENDOR, Scope


class Together(str, Enum):
    """How it is known that a token's endpoints belong together."""

    ONE_SOURCE = "one_source"
    """None is set: all come from DETACH_REGION, or all from one region of the catalog."""
    VENDOR = "vendor"
    """They are the vendor's hosts of one region and domain."""
    CATALOG = "catalog"
    """The token's catalog lists each as what it is, in one region."""
    WITNESS = "witness"
    """The compute endpoint shows a server that an in-use volume names."""


VOLUME_SETTING = "DETACH_VOLUME_ENDPOINT"
COMPUTE_SETTING = "DETACH_COMPUTE_ENDPOINT"


class Sight(NamedTuple):
    """What one token was seen to see of all projects: a server and a volume of another one.

    `by_id`: a list of servers was seen to mind the filter `uuid`, on a server that exists.
    """

    token: Secret
    server_id: str
    volume_id: str
    by_id: bool


@dataclass(eq=False)
class Endpoints:
    """The endpoints of one token; `compute` is None where no server is checked.

    `together`, `witness` (the id of a server that was seen) and `sight` are filled in by whoever finds out:
    they are kept as long as the token. One thread looks for the sight (`looking`), the others wait. `tried`
    says of what is known beforehand why it was not enough.
    """

    volume: str
    compute: str | None
    together: Together | None
    tried: tuple[str, ...] = ()
    witness: str | None = None
    sight: Sight | None = None
    looking: threading.RLock = field(default_factory=threading.RLock)

    def of(self, service: str) -> str:
        """The endpoint of the volume or the compute service."""
        endpoint = {"volume": self.volume, "compute": self.compute}[service]
        if endpoint is None:
            raise ValueError(f"no {service} service is asked")
        return endpoint


class _Pair(NamedTuple):
    volume: str
    compute: str | None


def find_scopes_endpoints(settings: Settings, catalog: Catalog | None, project_id: str) -> Endpoints:
    """As `find_endpoints`; raises Misconfigured, too, where it is not known that they show a whole cloud.

    That is asked for with DETACH_SCOPE=cloud only.
    """
    endpoints = find_endpoints(settings, catalog, project_id)
    if settings.scope is Scope.PROJECT:
        return endpoints
    if any(vendor_host(url or "", settings.domain) for url in (endpoints.volume, endpoints.compute)):
        raise Misconfigured(f"{VENDOR}.")
    if catalog is None and not settings.trust_endpoints:
        raise Misconfigured(
            "DETACH_SCOPE=cloud needs the token's catalog, which says whether the volume service is shared "
            "with another region, whose servers would look gone: set DETACH_IDENTITY_ENDPOINT. Whoever knows "
            "that it is not sets DETACH_TRUST_ENDPOINTS=true."
        )
    return endpoints


def find_endpoints(settings: Settings, catalog: Catalog | None, project_id: str) -> Endpoints:
    """The endpoints for a token of this project.

    Raises Misconfigured where one is nowhere to be found, or where the catalog has them in different regions,
    or says that another compute service's servers are attached to the same volumes.
    """
    chosen = _set(settings, project_id)
    if chosen == (None, None):
        pair = _found(settings, catalog, project_id)
        endpoints = Endpoints(*pair, Together.ONE_SOURCE)
    else:
        if chosen[0] is None or (chosen[1] is None and _compares(settings)):
            found = _found(settings, catalog, project_id)
            pair = _Pair(chosen[0] or found.volume, chosen[1] or found.compute)
        else:
            pair = _Pair(chosen[0], chosen[1])
        endpoints = _judged(settings, catalog, project_id, pair)
    known = endpoints.together is not None
    if pair.compute and is_shared(catalog or (), pair.volume, pair.compute, project_id, unlisted=not known):
        if not settings.trust_endpoints:
            raise _other_servers(pair)
        endpoints.together = None
    return endpoints


def _compares(settings: Settings) -> bool:
    return settings.server_check is not ServerCheck.OFF


def _set(settings: Settings, project_id: str) -> tuple[str | None, str | None]:
    """The endpoints that are set; the compute service's counts only where servers are looked up."""
    names = settings.endpoints_set if _compares(settings) else settings.endpoints_set - {COMPUTE_SETTING}
    volume = settings.volume_endpoint if VOLUME_SETTING in names else None
    compute = settings.compute_endpoint if COMPUTE_SETTING in names else None
    return volume and base_of(volume, project_id), compute and base_of(compute, project_id)


def _found(settings: Settings, catalog: Catalog | None, project_id: str) -> _Pair:
    """The endpoints by the catalog, where it lists all that are needed, else by the region."""
    listed = _listed(settings, catalog, project_id)
    if listed is not None:
        return listed
    volume, compute = settings.volume_endpoint, settings.compute_endpoint
    if volume and compute:
        return _Pair(volume, compute if _compares(settings) else None)
    name = COMPUTE_SETTING if volume else VOLUME_SETTING
    region = " in the region that OS_REGION_NAME names" if settings.catalog.region else ""
    why = "is not known" if catalog is None else f"does not list the services{region}"
    raise Misconfigured(f"{name} is missing, and the token's catalog {why}: set it (or DETACH_REGION).")


def _judged(settings: Settings, catalog: Catalog | None, project_id: str, pair: _Pair) -> Endpoints:
    """What is known, without asking anybody, of endpoints of which one at least is set."""
    if _of_vendor(settings, pair):
        return Endpoints(*pair, Together.VENDOR)
    regions = [regions_of(catalog or (), VOLUME_TYPES, pair.volume, project_id)]
    if pair.compute is not None:
        regions.append(regions_of(catalog or (), COMPUTE_TYPES, pair.compute, project_id))
    if set.intersection(*regions):
        return Endpoints(*pair, Together.CATALOG)
    if all(regions) and not settings.trust_endpoints:
        # No witness helps here: a volume service can be shared by the compute services of two regions
        raise Misconfigured(
            f"{VOLUME_SETTING} (at {host_of(pair.volume)}) and {COMPUTE_SETTING} (at "
            f"{host_of(pair.compute or '')}) are of different regions by the token's catalog: every live "
            "server would look gone, so nothing is cleared. Set both to one region's. Whoever knows better "
            "than the catalog sets DETACH_TRUST_ENDPOINTS=true."
        )
    tried = "the token's catalog does not list them in one region" if catalog else "the token has no catalog"
    return Endpoints(*pair, None, ("they are not the vendor's hosts of one region", tried))


def _other_servers(pair: _Pair) -> Misconfigured:
    return Misconfigured(
        f"By the token's catalog the volumes (at {host_of(pair.volume)}) may be at servers of another "
        f"compute service, too, than the one that is asked (at {host_of(pair.compute or '')}): those would "
        "look gone, so nothing is cleared. Whoever knows that only servers of the one that is asked use "
        "these volumes sets DETACH_TRUST_ENDPOINTS=true."
    )


def _of_vendor(settings: Settings, pair: _Pair) -> bool:
    """Whether they are the vendor's hosts of these services, of one region and domain."""
    hosts = [vendor_host(url, settings.domain) for url in pair if url is not None]
    services = [host.service if host else None for host in hosts]
    places = {(host.region, host.domain) for host in hosts if host}
    return services == ["evs", "ecs"][: len(hosts)] and len(places) == 1


def host_of(url: str) -> str:
    """Host and port of an endpoint, as it is written: for messages."""
    return urlsplit(url).netloc


def _listed(settings: Settings, catalog: Catalog | None, project_id: str) -> _Pair | None:
    """What the catalog lists in the region that is meant; None where it doesn't list all that is needed."""
    interface = settings.catalog.interface
    chosen = [listed for listed in catalog or () if listed.region and listed.interface == interface]
    found: dict[str, tuple[str, str | None]] = {}
    for region in {listed.region for listed in chosen}:
        here = tuple(listed for listed in chosen if listed.region == region)
        volume = _first(here, VOLUME_TYPES, project_id)
        compute = _first(here, COMPUTE_TYPES, project_id) if _compares(settings) else None
        if volume is not None and (compute is not None or not _compares(settings)):
            found[region] = volume, compute
    region_meant = settings.catalog.region or (next(iter(found)) if len(found) == 1 else None)
    if region_meant is None and found:
        names = ", ".join(sorted(name for name in found if name.isascii() and name.isprintable())[:8])
        raise Misconfigured(
            f"The token's catalog lists the services in several regions ({names[:200]}): name the one "
            "that is meant by OS_REGION_NAME, or set DETACH_VOLUME_ENDPOINT and DETACH_COMPUTE_ENDPOINT."
        )
    if region_meant not in found:
        return None
    volume_url, compute_url = found[region_meant]
    return _Pair(
        _checked(settings, volume_url, "volume"),
        _checked(settings, compute_url, "compute") if compute_url is not None else None,
    )


def _first(listed: Catalog, types: tuple[str, ...], project_id: str) -> str | None:
    """The address, of the type to be preferred, that goes up to a version.

    Raises Misconfigured where it leads to several places: which of them is meant nobody says.
    """
    for type_ in types:
        urls = [base_of(endpoint.url, project_id) for endpoint in listed if endpoint.type == type_]
        urls = [url for url in urls if split_version(url)[1] is not None]
        if len({place_of(url, project_id) for url in urls}) > 1:
            setting = COMPUTE_SETTING if types is COMPUTE_TYPES else VOLUME_SETTING
            raise Misconfigured(
                f"The token's catalog lists several services of type {type_} in one region: set {setting}."
            )
        if urls:
            return urls[0]
    return None


def _checked(settings: Settings, url: str, service: str) -> str:
    try:
        return endpoint_url(url, http_for=lambda host: is_loopback(host) or host in settings.http_hosts)
    except ValueError:
        plain = urlsplit(url).scheme == "http"
    why = "an http address: name its host in DETACH_ALLOW_HTTP" if plain else "an address that can't be used"
    raise Misconfigured(
        f"The token's catalog gives the {service} service {why}, or set DETACH_{service.upper()}_ENDPOINT."
    )
