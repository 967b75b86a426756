"""Which proxy a call goes through: as the environment says, and as every tool around us reads it.

`requests` takes NO_PROXY's hosts and IPv4 ranges; left to us are IPv6, its ranges, hosts in other spellings,
and this machine itself, which no proxy could reach for us.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from urllib.request import getproxies

from requests.utils import get_auth_from_url, get_environ_proxies

from handler.model.addresses import Address, address_of, canonical_host, ip_address, is_loopback

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def proxies_for(url: str) -> dict[str, str]:
    """The proxies for a URL, by scheme, as `requests` takes them; empty where it is asked directly."""
    try:
        address = address_of(url)
    except ValueError:
        return get_environ_proxies(url)
    if is_loopback(address.host) or any(_covers(entry, address) for entry in _exempt()):
        return {}
    return get_environ_proxies(url)


def passwords_of(proxies: Mapping[str, str]) -> tuple[str, ...]:
    """The passwords that they are sent, which what comes in the cloud's place may quote."""
    found = [get_auth_from_url(url)[1] for scheme, url in proxies.items() if scheme != "no"]
    return tuple(dict.fromkeys(filter(None, found)))


def _exempt() -> list[str]:
    return getproxies().get("no", "").replace(",", " ").split()


def _covers(entry: str, address: Address) -> bool:
    """Whether an entry of NO_PROXY is this address: a host, a domain of it, an IP address or a range."""
    if entry == "*":
        return True
    ip = ip_address(address.host)
    network = _network(entry)
    if network is not None:
        return ip is not None and ip in network
    host, port = _split(entry)
    if port is not None and port != str(address.port):
        return False
    try:
        name = canonical_host(host.removeprefix("*").removeprefix("."))
    except ValueError:
        return False
    return address.host == name or (ip is None and address.host.endswith(f".{name}"))


def _network(entry: str) -> _Network | None:
    try:
        return (
            ipaddress.ip_network(entry.replace("[", "").replace("]", ""), strict=False)
            if "/" in entry
            else None
        )
    except ValueError:
        return None


def _split(entry: str) -> tuple[str, str | None]:
    """Host and port of an entry; an IPv6 address without brackets has none."""
    if ip_address(entry) is not None:
        return entry, None
    host, colon, port = entry.rpartition(":")
    return (host, port) if colon and port.isdigit() else (entry, None)
