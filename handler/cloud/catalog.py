"""A token's catalog: which services the identity service lists where.

Facts: Identity API v3, "Authentication and token management" (the catalog); the service-types authority (the
types). Huawei Cloud's IAM gives the same shape.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from handler.model.addresses import Address, address_of, split_version
from handler.model.values import same_project

VOLUME_TYPES = ("volumev3", "block-storage", "volumev2", "volume")
COMPUTE_TYPES = ("compute",)
"""The types of a service, the one to be preferred first."""


_USUAL_PORTS = frozenset({80, 443})


class CatalogEndpoint(NamedTuple):
    """One address in a catalog, as the identity service spells it."""

    type: str
    interface: str
    region: str
    url: str


Catalog = tuple[CatalogEndpoint, ...]


def read_catalog(catalog: object) -> Catalog | None:
    """What a token's answer lists. None where it has no catalog; what can't be read in one is left out."""
    return tuple(_endpoints(catalog)) if isinstance(catalog, list) else None


def _endpoints(catalog: object) -> Iterator[CatalogEndpoint]:
    for service in _dicts(catalog):
        for endpoint in _dicts(service.get("endpoints")):
            region = endpoint.get("region_id") or endpoint.get("region")
            texts = (service.get("type"), endpoint.get("interface"), region, endpoint.get("url"))
            if all(isinstance(text, str) and text for text in texts):
                yield CatalogEndpoint(*map(str, texts))


def _dicts(values: object) -> list[dict[str, Any]]:
    return [value for value in values if isinstance(value, dict)] if isinstance(values, list) else []


def base_of(url: str, project_id: str) -> str:
    """A catalog's address up to the version: without the project that many clouds put behind it."""
    above, _, last = url.rstrip("/").rpartition("/")
    return above if same_project(last, project_id) else url.rstrip("/")


def place_of(url: str, project_id: str) -> Address | None:
    """What two spellings of one service have in common: host, port, the path above version and project.

    Schemes and their ports are not told apart: TLS ends at many a balancer.
    """
    try:
        address = address_of(base_of(url, project_id))
    except ValueError:
        return None
    port = None if address.port in _USUAL_PORTS else address.port
    return Address(address.host, port, split_version(address.path)[0])


def regions_of(catalog: Catalog, types: tuple[str, ...], endpoint: str, project_id: str) -> set[str]:
    """The regions in which a catalog lists an endpoint among a service's, whatever interface and version."""
    place = place_of(endpoint, project_id)
    return {
        listed.region
        for listed in catalog
        if place is not None and listed.type in types and place_of(listed.url, project_id) == place
    }


def places_in(catalog: Catalog, types: tuple[str, ...], region: str, project_id: str) -> set[Address | None]:
    """Where a catalog lists a service in a region, whatever interface and version."""
    return {
        place_of(listed.url, project_id)
        for listed in catalog
        if listed.type in types and listed.region == region
    }
