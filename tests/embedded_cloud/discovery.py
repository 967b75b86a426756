"""The version documents that OpenStack's own clients read before their first call. They need no token."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.embedded_cloud import compute, volumes
from tests.embedded_cloud.messages import Answer, Call, json_answer

if TYPE_CHECKING:
    from collections.abc import Callable

_Version = tuple[int, int]


def document(call: Call, base_url: str) -> Answer | None:
    """Answer a call for a version document; None for any other call."""
    found = _DOCUMENTS.get(f"/{call.service}{call.tail.rstrip('/')}") if call.method == "GET" else None
    return json_answer(200, found(base_url)) if found else None


def _version(url: str, number: str, lowest: _Version | None, highest: _Version | None) -> dict[str, Any]:
    return {
        "id": number,
        "status": "CURRENT",
        "version": "{}.{}".format(*highest) if highest else "",
        "min_version": "{}.{}".format(*lowest) if lowest else "",
        "updated": "2013-07-23T11:33:21Z",
        "links": [{"rel": "self", "href": url}],
    }


_DOCUMENTS: dict[str, Callable[[str], dict[str, Any]]] = {
    "/identity/v3": lambda base: {
        "version": {
            "id": "v3.14",
            "status": "stable",
            "updated": "2020-04-07T00:00:00Z",
            "links": [{"rel": "self", "href": f"{base}/identity/v3/"}],
            "media-types": [
                {"base": "application/json", "type": "application/vnd.openstack.identity-v3+json"}
            ],
        }
    },
    "/volume/v3": lambda base: {
        "versions": [_version(f"{base}/volume/v3/", "v3.0", (3, 0), volumes.MAX_VERSION)]
    },
    "/volume/v2": lambda base: {"versions": [_version(f"{base}/volume/v2/", "v2.0", None, None)]},
    "/compute/v2.1": lambda base: {
        "version": _version(f"{base}/compute/v2.1/", "v2.1", (2, 1), compute.MAX_VERSION)
    },
}
