"""Reads values from the environment one by one, and collects what is wrong with them.

A fault names the variable and what is expected, never the value: a secret may stand in the wrong place.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from handler.model.addresses import canonical_host, endpoint_url, is_loopback

_T = TypeVar("_T")


class EnvironmentReader:
    """Each method gives a variable's value, or the default where there is none or `faults` has it."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.environment = environment
        self.faults: list[str] = []
        self.http_hosts = self.hosts("DETACH_ALLOW_HTTP")

    def text(self, name: str) -> str | None:
        """The value without blanks around it, None where it is empty or not set."""
        value = self.environment.get(name, "").strip()
        return value or None

    def parsed(self, name: str, default: _T, parse: Callable[[str], _T], expected: str) -> _T:
        """What `parse` makes of the value; `parse` raises ValueError where it is not as `expected`."""
        value = self.text(name)
        if value is None:
            return default
        try:
            return parse(value)
        except ValueError:
            self.faults.append(f"{name} must be {expected}")
            return default

    def hosts(self, name: str) -> frozenset[str]:
        """Hosts in canonical form, none where it is not set."""
        none: frozenset[str] = frozenset()
        return self.parsed(name, none, _hosts, "hosts with commas between them, no scheme or port")

    def number(self, name: str, default: float, least: float, most: float) -> float:
        """A finite number between two bounds."""

        def parse(value: str) -> float:
            number = float(value)
            if not math.isfinite(number) or not least <= number <= most:
                raise ValueError
            return number

        return self.parsed(name, default, parse, f"a number from {least:g} to {most:g}")

    def whole(self, name: str, default: int, least: int, most: int) -> int:
        """A whole number between two bounds."""

        def parse(value: str) -> int:
            number = int(value)
            if not least <= number <= most:
                raise ValueError
            return number

        return self.parsed(name, default, parse, f"a whole number from {least} to {most}")

    def flag(self, name: str, *, default: bool) -> bool:
        """True or false, in one of the usual spellings."""
        words = {"true": True, "1": True, "yes": True, "on": True}
        words |= {"false": False, "0": False, "no": False, "off": False}

        def parse(value: str) -> bool:
            try:
                return words[value.lower()]
            except KeyError:
                raise ValueError from None

        return self.parsed(name, default, parse, "true or false")

    def url(self, name: str, default: str | None, *, http: bool = False) -> str | None:
        """A URL to ask at, without a slash at its end: https, or http where that is allowed."""

        def parse(value: str) -> str | None:
            return endpoint_url(value, http_for=lambda host: http or self.allows_http(host))

        expected = "an https URL without user, query or fragment"
        if not http:
            expected += " (http only for loopback and the hosts in DETACH_ALLOW_HTTP)"
        return self.parsed(name, default, parse, expected)

    def allows_http(self, host: str) -> bool:
        """Whether a host, in its canonical form, may be asked without TLS."""
        return is_loopback(host) or host in self.http_hosts

    def file(self, name: str) -> str | None:
        """The path of a file or folder that this process can read."""

        def parse(value: str) -> str | None:
            if not os.access(value, os.R_OK):
                raise ValueError
            return value

        return self.parsed(name, None, parse, "a file (or folder) that can be read")


def _hosts(value: str) -> frozenset[str]:
    return frozenset(canonical_host(host) for host in re.split(r"[,\s]+", value) if host)


def misspelt(environment: Mapping[str, str], known: Sequence[str]) -> list[str]:
    """Names that are almost a setting's: a safety setting with a typing error would silently not hold.

    Names that are far from any are left alone: clusters put variables of their own making beside ours.
    """
    unknown = sorted(name for name in environment if name.upper().startswith("DETACH_") and name not in known)
    if not unknown:
        return []
    import difflib  # noqa: PLC0415 (a well-spelt deployment doesn't pay for it)

    meant = {name: difflib.get_close_matches(name.upper(), known, n=1, cutoff=0.85) for name in unknown}
    return [f"{name} is not a setting, {close[0]} is" for name, close in meant.items() if close]
