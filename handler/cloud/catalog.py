"""A token's catalog: which services the identity service lists where.

Facts: Identity API v3, "Authentication and token management" (the catalog); the service-types authority (the
types). Huawei Cloud's IAM gives the same shape.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from handler.model.addresses import Address, address_of, split_version
from handler.model.values import same_project

VOLUME_TYPES = ("volumev3", "block-storage", "volumev2", "volume")
COMPUTE_TYPES = ("compute",)
"""The types of a service, the one to be preferred first."""

_STORES = (*VOLUME_TYPES, "block-store")
_COMPUTES = "compute"
"""What may be a volume service, and how the type of what may be a compute service begins, asked or not."""

_USUAL_PORTS = frozenset({80, 443})


class CatalogEndpoint(NamedTuple):
    """One address in a catalog, as the identity service spells it; "" for what it doesn't say readably.

    One without a region may be of any.
    """

    type: str
    interface: str
    region: str
    url: str


Catalog = tuple[CatalogEndpoint, ...]


def read_catalog(catalog: object) -> Catalog | None:
    """What a token's answer lists. None where it has no catalog."""
    return tuple(_endpoints(catalog)) if isinstance(catalog, list) else None


def _endpoints(catalog: object) -> Iterator[CatalogEndpoint]:
    for service in _dicts(catalog):
        for endpoint in _dicts(service.get("endpoints")):
            region = endpoint.get("region_id") or endpoint.get("region")
            texts = (service.get("type"), endpoint.get("interface"), region, endpoint.get("url"))
            yield CatalogEndpoint(*(text if isinstance(text, str) else "" for text in texts))


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
        if place is not None
        and listed.region
        and listed.type in types
        and place_of(listed.url, project_id) == place
    }


def is_shared(catalog: Catalog, volume: str, compute: str, project_id: str, *, unlisted: bool) -> bool:
    """Whether, by the catalog, these volumes may be at servers of another compute service than this one.

    Those would look gone. A volume service is known by each of its addresses: regions that have one of them
    in common share it. A region has one compute service where it has one address of each interface. What
    can't be read may be anything. `unlisted`: a volume service that the catalog doesn't list by this address
    may be the one beside the compute service; where that isn't listed either, any.
    """
    rows = [_Row(listed, place_of(listed.url, project_id)) for listed in catalog]
    every = {listed.region for listed in catalog if listed.region} or {""}
    asked = place_of(compute, project_id)
    regions = _sharing(rows, {place_of(volume, project_id)}, every)
    if unlisted and not regions:
        here = _regions((row for row in rows if row.place == asked), every)
        regions = _sharing(rows, _stores(rows, here, every), every) or every
    beside = []
    for region in regions:
        computes = {
            (row.listed.interface, row.place) for row in rows if row.computes and region in row.regions(every)
        }
        if len(computes) > len({interface for interface, _ in computes}):
            return True
        if computes:
            beside.append({place for _, place in computes})
    if not beside:
        return False
    common = set.intersection(*beside) - {None}
    return asked not in common if any(asked in places for places in beside) else not common


class _Row(NamedTuple):
    """One address of a catalog, and the place that it leads to; None where that can't be read."""

    listed: CatalogEndpoint
    place: Address | None

    @property
    def stores(self) -> bool:
        """Whether it may be a volume service's."""
        return self.listed.type in _STORES

    @property
    def computes(self) -> bool:
        """Whether it may be a compute service's."""
        return self.listed.type.startswith(_COMPUTES)

    def regions(self, every: set[str]) -> set[str]:
        """Where it is, or may be."""
        return {self.listed.region} if self.listed.region else every


def _regions(rows: Iterable[_Row], every: set[str]) -> set[str]:
    return {region for row in rows for region in row.regions(every)}


def _stores(rows: list[_Row], regions: set[str], every: set[str]) -> set[Address | None]:
    return {row.place for row in rows if row.stores and not regions.isdisjoint(row.regions(every))}


def _sharing(rows: list[_Row], volumes: set[Address | None], every: set[str]) -> set[str]:
    """The regions that have one of these volume services, or one that has an address in common with them."""
    known = volumes - {None}
    while True:
        regions = _regions((row for row in rows if row.place in known), every)
        if regions:
            regions |= _regions((row for row in rows if row.stores and row.place is None), every)
        more = _stores(rows, regions, every) - {None}
        if more <= known:
            return regions
        known |= more
