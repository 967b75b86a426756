"""Hosts and endpoints in one canonical form: whatever compares two of them compares these.

One host has many spellings (RFC 3986 6.2.2, RFC 5891, RFC 5952): upper case, a closing dot, letters beyond
ASCII, a written-out default port, a longer form of an IPv6 address. `localhost` and 127.0.0.1 stay two hosts:
what a name leads to is the machine's business.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from typing import NamedTuple
from urllib.parse import urlsplit

_DEFAULT_PORTS = {"https": 443, "http": 80}
_NAME = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*")
_LONGEST_NAME = 253
_VERSION = re.compile(r"v\d{1,2}(?:\.\d{1,2})?")

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


class Address(NamedTuple):
    """Where a URL leads. `port` is None for the scheme's own; `path` ends without a slash."""

    host: str
    port: int | None
    path: str


def ip_address(host: str) -> IpAddress | None:
    """The IP address that a host is, brackets around it or not; None for a name."""
    try:
        address = ipaddress.ip_address(host.removeprefix("[").removesuffix("]"))
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def canonical_host(host: str) -> str:
    """A host as every comparison sees it, IPv6 without brackets. Raises ValueError for what is no host."""
    address = ip_address(host)
    if address is not None:
        return str(address)
    if not host.isascii():
        import idna  # noqa: PLC0415 (most names don't pay for its tables)

        host = idna.encode(host, uts46=True).decode()
    name = host.lower().removesuffix(".")
    if len(name) > _LONGEST_NAME or not _NAME.fullmatch(name):
        raise ValueError("no host")
    return name


def address_of(url: str) -> Address:
    """Where a URL leads. Raises ValueError for what is no http or https URL."""
    parts = urlsplit(url)
    if parts.scheme not in _DEFAULT_PORTS:
        raise ValueError("no http or https URL")
    port = parts.port
    if port == _DEFAULT_PORTS[parts.scheme]:
        port = None
    return Address(canonical_host(parts.hostname or ""), port, parts.path.rstrip("/"))


def is_loopback(host: str) -> bool:
    """Whether a host, in whatever spelling, is this machine itself."""
    address = ip_address(host)
    if address is not None:
        return address.is_loopback
    try:
        return canonical_host(host) == "localhost"
    except ValueError:
        return False


def endpoint_url(value: str, *, http_for: Callable[[str], bool]) -> str:
    """A URL to ask at, without a slash at its end: https, or http where `http_for` its canonical host.

    Raises ValueError for any other, and for one with user, query, fragment, blanks or control characters.
    """
    if re.search(r"[?#\\\s\x00-\x1f\x7f]", value):
        raise ValueError("no endpoint")
    parts = urlsplit(value)
    address = address_of(value)
    if "@" in parts.netloc or not (parts.scheme == "https" or http_for(address.host)):
        raise ValueError("no endpoint")
    return value.rstrip("/")


def split_version(path: str) -> tuple[str, str | None]:
    """What stands before the API version at a path's end, and the version; None where there is none."""
    above, _, last = path.rstrip("/").rpartition("/")
    return (above, last) if _VERSION.fullmatch(last) else (path.rstrip("/"), None)
