"""Asks for known vulnerabilities of all that locks pin, with pip-audit; what is left out is a failure.

pip-audit by itself ends well where it could ask about nothing, as it does without a network. So what it tells
is compared with the locks: each package, of whatever Python and system, has to be among what was audited.

    python -m infra.supply.audit --tools build/supply-venv/bin requirements.txt [-- OPTIONS OF pip-audit]
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name

_PIN = re.compile(r"^([A-Za-z0-9][\w.-]*)(?:\[[^]]*\])?==([^\s;\\]+)", re.MULTILINE)


class NotAudited(Exception):
    """What was to be audited was not, or not all of it."""


def main() -> int:
    """Read the command line, print what is vulnerable; 0 when all was audited and nothing is."""
    words, more = _split(sys.argv[1:])
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--tools", type=Path, required=True, help="where pip-audit is")
    parser.add_argument("locks", nargs="+", type=Path)
    options = parser.parse_args(words)
    pinned = {pin for lock in options.locks for pin in pins(lock.read_text(encoding="utf-8"))}
    try:
        found = audit(options.tools, pinned, more)
    except NotAudited as reason:
        print(f"audit: FAILED, {reason}")
        return 1
    for line in found:
        print(f"audit: {line}")
    print(f"audit: {len(pinned)} packages audited, {len(found)} vulnerabilities known")
    return 1 if found else 0


def _split(words: Sequence[str]) -> tuple[Sequence[str], Sequence[str]]:
    at = words.index("--") if "--" in words else len(words)
    return words[:at], words[at + 1 :]


def pins(lock: str) -> set[tuple[str, str]]:
    """Give the canonical name and version of all that a lock pins, whatever its markers say."""
    return {(canonicalize_name(name), version) for name, version in _PIN.findall(lock)}


def audit(tools: Path, pinned: set[tuple[str, str]], options: Sequence[str]) -> list[str]:
    """Give a line for each vulnerability that is known. Raises NotAudited unless all was asked about."""
    told = [found for group in _one_of_each(pinned) for found in _told(tools, group, options)]
    audited = {(canonicalize_name(each["name"]), each["version"]) for each in told if "vulns" in each}
    missing = sorted(pinned - audited)
    if missing or not pinned:
        names = ", ".join(f"{name} {version}" for name, version in missing)
        raise NotAudited(f"not audited: {names or 'the locks pin nothing'}")
    return [
        f"{each['name']} {each['version']}: {flaw['id']}, fixed in {', '.join(flaw['fix_versions']) or '-'}"
        for each in told
        for flaw in each.get("vulns", ())
    ]


def _one_of_each(pinned: Iterable[tuple[str, str]]) -> list[list[tuple[str, str]]]:
    """Sort into lists that hold each name once: pip-audit takes no two versions of one package."""
    groups: list[dict[str, str]] = []
    for name, version in sorted(pinned):
        free = next((group for group in groups if name not in group), None)
        if free is None:
            groups.append({name: version})
        else:
            free[name] = version
    return [list(group.items()) for group in groups]


def _told(tools: Path, group: list[tuple[str, str]], options: Sequence[str]) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as scratch:
        asked = Path(scratch) / "requirements.txt"
        asked.write_text("".join(f"{name}=={version}\n" for name, version in group), encoding="utf-8")
        command = [str(tools / "pip-audit"), "--strict", "--no-deps", "--disable-pip", "--format=json"]
        command += ["--progress-spinner=off", f"--requirement={asked}", *options]
        done = subprocess.run(command, stdout=subprocess.PIPE, encoding="utf-8", check=False)
    try:
        told: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError, TypeError):
        raise NotAudited(f"pip-audit ended with {done.returncode} and told nothing") from None
    return told


if __name__ == "__main__":
    sys.exit(main())
