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

_LEVELS = ("debug", "info", "warning", "error", "critical")


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

    def level(self, name: str, default: str) -> str:
        """A level of the log, by its own name, which is in upper case.

        A fault has them in lower case: alarms on the log know the level of a line by the name.
        """

        def parse(value: str) -> str:
            if value.lower() not in _LEVELS:
                raise ValueError
            return value.upper()

        return self.parsed(name, default, parse, f"{', '.join(_LEVELS[:-1])} or {_LEVELS[-1]}")

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


_SERVICE = (
    r"DETACH(?:_[A-Z0-9]+)*_"
    r"(?:SERVICE_(?:HOST|PORT(?:_[A-Z0-9_]+)?)|PORT(?:_\d+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?)?)"
)
"""What Kubernetes tells every pod of a Service whose name begins with `detach` ("Service", discovery)."""


def unknown_names(environment: Mapping[str, str], known: Sequence[str]) -> list[str]:
    """Names that look like a setting's and are none: what somebody meant by one would silently not hold."""
    looking_so = [name for name in environment if "DETACH_" in name.upper() and name not in known]
    unknown = [name for name in sorted(looking_so) if _is_ours(name, known)]
    return [f"{name} is not a setting{_meant(name.upper(), known)}" for name in unknown]


def _is_ours(name: str, known: Sequence[str]) -> bool:
    """Whether a name that is no setting's can have been meant for one."""
    first, _, rest = name.upper().partition("DETACH_")
    if first:
        return first == "EVS_" and f"DETACH_{rest}" in known
    return bool(rest) and re.fullmatch(_SERVICE, name) is None


def _meant(name: str, known: Sequence[str]) -> str:
    """The setting that is nearest by its letters, else by its words; empty where none is near."""
    import difflib  # noqa: PLC0415 (a well-spelt deployment doesn't pay for it)

    near = difflib.get_close_matches(name, known, n=1, cutoff=0.85)
    if near:
        return f", {near[0]} is"
    words = set(name.split("_")) - {"DETACH"}
    ours = [each for each in known if each.startswith("DETACH_")]
    best = max(ours, key=lambda each: _alike(words, set(each.split("_"))))
    return f", {best} is" if words.intersection(best.split("_")) else ""


def _alike(words: set[str], others: set[str]) -> tuple[int, int]:
    return len(words & others), -len(words ^ others)
