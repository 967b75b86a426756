"""What a fresh machine is told of the one that it is made on: where Debian and packages come from, no more.

Asked of apt and pip when it is needed, so that no host is named here.
"""

from __future__ import annotations

import ast
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

_PROXIES = ("http_proxy", "https_proxy", "no_proxy", "all_proxy")


def said(*command: str | Path, env: Mapping[str, str] | None = None) -> str:
    """What a command prints. Raises CalledProcessError."""
    done = subprocess.run(command, capture_output=True, encoding="utf-8", env=env, check=True)
    return done.stdout


def proxies() -> dict[str, str]:
    """The proxies of this machine, by the names of their variables."""
    names = [*_PROXIES, *map(str.upper, _PROXIES)]
    return {name: os.environ[name] for name in names if os.environ.get(name)}


def apt() -> dict[str, str]:
    """The proxies and the certificate file that apt has: `http_proxy`, `https_proxy`, `certificate`."""
    if shutil.which("apt-config") is None:
        return {}
    asked = {
        "http_proxy": "Acquire::http::Proxy",
        "https_proxy": "Acquire::https::Proxy",
        "certificate": "Acquire::https::CaInfo",
    }
    lines = said("apt-config", "shell", *(word for pair in asked.items() for word in pair)).splitlines()
    pairs = [line.partition("=") for line in lines]
    found = {name: "".join(shlex.split(value)) for name, _, value in pairs}
    return {name: value for name, value in found.items() if value not in {"", "DIRECT"}}


def mirror(*options: str) -> str | None:
    """The mirror that apt takes Debian from; None where it takes none. Options are apt's."""
    form = "$(SITE) $(ORIGIN) $(LABEL)"
    for line in said(
        "apt-get", *options, "indextargets", "--format", form, "Created-By: Packages"
    ).splitlines():
        site, _, of = line.partition(" ")
        if of == "Debian Debian":
            return site
    return None


def pip() -> dict[str, str]:
    """The index and the certificate file that pip has: `PIP_INDEX_URL`, `PIP_CERT`."""
    lines = said(sys.executable, "-m", "pip", "--disable-pip-version-check", "config", "list").splitlines()
    listed = {key: str(ast.literal_eval(value)) for key, _, value in (line.partition("=") for line in lines)}
    found: dict[str, str] = {}
    for variable, name in (("PIP_INDEX_URL", "index-url"), ("PIP_CERT", "cert")):
        for section in ("global", "install", ":env:"):  # the last that says it holds
            found[variable] = listed.get(f"{section}.{name}", found.get(variable, ""))
    found["PIP_CERT"] = found["PIP_CERT"] or os.environ.get("REQUESTS_CA_BUNDLE", "")
    return {variable: value for variable, value in found.items() if value}
