"""Whether the endpoints that are configured are of one region, by the token's own catalog.

With a volume endpoint of one region and a compute endpoint of another, every live server would look gone.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from handler.errors import Misconfigured
from handler.settings import Settings

_PORTS = {"https": 443, "http": 80}


def check_regions(catalog: object, settings: Settings) -> None:
    """Raise Misconfigured where the catalog lists both endpoints and has them in different regions."""
    volume = _regions(catalog, settings.volume_endpoint)
    compute = _regions(catalog, settings.compute_endpoint) if settings.compute_endpoint else set()
    if volume and compute and not volume & compute:
        raise Misconfigured(
            "DETACH_VOLUME_ENDPOINT and DETACH_COMPUTE_ENDPOINT are of different regions by the token's "
            "catalog: every live server would look gone."
        )


def _regions(catalog: object, endpoint: str) -> set[str]:
    """The regions in which the catalog lists a configured endpoint, whatever its API version."""
    above, _, last = endpoint.rpartition("/")
    versioned = last[:1] == "v" and last[1:].replace(".", "", 1).isdigit()
    root = _place(above if versioned else endpoint)
    found = set()
    for url, region in _endpoints(catalog):
        place = _place(url)
        if root and place and place[0] == root[0] and f"{place[1]}/".startswith(f"{root[1]}/"):
            found.add(region)
    return found


def _endpoints(catalog: object) -> Iterator[tuple[str, str]]:
    for service in _dicts(catalog):
        for endpoint in _dicts(service.get("endpoints")):
            url, region = endpoint.get("url"), endpoint.get("region_id") or endpoint.get("region")
            if isinstance(url, str) and isinstance(region, str):
                yield url, region


def _dicts(values: object) -> list[dict[str, Any]]:
    return [value for value in values if isinstance(value, dict)] if isinstance(values, list) else []


def _place(url: str) -> tuple[str, str] | None:
    """Host with port, and path without a slash at its end; None for what is no URL."""
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS.get(parts.scheme)
    except ValueError:
        return None
    return f"{parts.hostname}:{port}", parts.path.rstrip("/")
