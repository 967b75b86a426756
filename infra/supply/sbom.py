"""Writes the bill of materials (CycloneDX) of the image and of each zip, from the locks.

Each of the two ways in which cyclonedx-py looks at packages knows half: a lock's requirements have the
hashes, an environment's metadata has the licences. Here both are joined: what of the lock is installed, under
which licence, and which files of it the lock lets in. A licence that is not allowed ends it.

    python -m infra.supply.sbom --tools build/supply-venv/bin
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from importlib.metadata import distributions
from pathlib import Path
from typing import Any, TypeAlias

from packaging.utils import NormalizedName, canonicalize_name

from handler import __version__
from infra.functiongraph.package import PYTHONS, ROOT, install, keep_only, needed

Component: TypeAlias = dict[str, Any]

IMAGE_PYTHON = "3.12"
IMAGE_LOCK = ROOT / "infra/container/requirements.txt"
SPECIFICATION = "1.6"
ALLOWED = frozenset(
    {
        "Apache-2.0",
        "BSD-2-Clause",
        "BSD-3-Clause",
        "MIT",
        "MIT-0",
        "MPL-2.0",  # certifi: its own files only, unchanged
        "PSF-2.0",
        "Apache-2.0 OR BSD-2-Clause",
        "Apache-2.0 OR BSD-3-Clause",
        # what packages say that don't name theirs by its SPDX id
        "3-Clause BSD License",
        "License :: OSI Approved :: Apache Software License",
        "License :: OSI Approved :: BSD License",
        "License :: OSI Approved :: Mozilla Public License 2.0 (MPL 2.0)",
    }
)
"""Licences that let the packages be shipped with ours, by SPDX id, expression or classifier. No other is."""

VALIDATE = """
import sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
error = JsonStrictValidator(SchemaVersion.from_version(sys.argv[1])).validate_str(sys.stdin.read())
sys.exit(str(error) if error else 0)
"""


class NotAllowed(Exception):
    """A component has no licence, or one that is not allowed."""


def main() -> None:
    """Read the command line, write the bills beside the recipes that ship them, print what each holds."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--tools", type=Path, required=True, help="where cyclonedx-py is")
    parser.add_argument("--folder", type=Path, default=ROOT, help="write below this folder, not in place")
    options = parser.parse_args()
    for name, bill in bills(options.tools).items():
        path = options.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(written(bill), encoding="utf-8")
        held = sorted({licence for each in bill["components"] for licence in licences(each)})
        print(f"{name}: {len(bill['components'])} packages under {', '.join(held)}")


def bills(tools: Path) -> dict[str, dict[str, Any]]:
    """Give all bills by the path of their file. Raises NotAllowed, or CalledProcessError."""
    made = {}
    with tempfile.TemporaryDirectory() as scratch:
        tree = Path(scratch) / "image"
        install(IMAGE_PYTHON, tree, IMAGE_LOCK)
        made["infra/container/sbom.cdx.json"] = bill(tools, tree, requirements(tools, IMAGE_LOCK))
        locked = requirements(tools, ROOT / "requirements.txt")
        for python in PYTHONS:
            tree = Path(scratch) / python
            install(python, tree)
            keep_only(needed(python, tree), tree)
            made[f"infra/functiongraph/sbom-py{python}.cdx.json"] = bill(tools, tree, locked)
    return made


def requirements(tools: Path, lock: Path) -> dict[str, Any]:
    """Give what cyclonedx-py tells of a lock."""
    return _told(tools, "requirements", lock, {})


def bill(tools: Path, tree: Path, locked: Mapping[str, Any]) -> dict[str, Any]:
    """Give the bill of what was installed into a folder from a lock, judged by CycloneDX's own schema."""
    bare = tree.with_name(f"{tree.name}-python")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(bare)], check=True)
    installed = _told(tools, "environment", bare, {"PYTHONPATH": str(tree)})
    add_named(installed["components"], tree)
    made = joined(installed, locked)
    judged = [str(tools / "python"), "-c", VALIDATE, SPECIFICATION]
    subprocess.run(judged, input=json.dumps(made), encoding="utf-8", check=True)
    return made


def _told(tools: Path, way: str, source: Path, environment: Mapping[str, str]) -> dict[str, Any]:
    command = [str(tools / "cyclonedx-py"), way, str(source), "--output-reproducible"]
    done = subprocess.run(
        [*command, "--no-validate", "--spec-version", SPECIFICATION],  # the bill itself is judged
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", **environment},
        stdout=subprocess.PIPE,
        encoding="utf-8",
        check=True,
    )
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def add_named(components: Iterable[Component], tree: Path) -> None:
    """Give each component without a licence the one that its metadata names in a line of its own.

    cyclonedx-py leaves out what is no SPDX expression, as the field may hold a whole text.
    """
    named = {
        (canonicalize_name(found.name), found.version): found.metadata.get_all("License", [])
        for found in distributions(path=[str(tree)])
    }
    for component in components:
        for name in named.get(key(component), ()):
            if not component.get("licenses") and name and "\n" not in name:
                component["licenses"] = [{"license": {"acknowledgement": "declared", "name": name}}]


def joined(installed: Mapping[str, Any], locked: Mapping[str, Any]) -> dict[str, Any]:
    """Give one bill: what is installed, with its licences, and the hashes that the lock has for it.

    Raises NotAllowed for a licence, and KeyError for a package that is not in the lock.
    """
    hashes = {key(each): _hashes(each) for each in locked["components"]}
    components = []
    for each in installed["components"]:
        check_licences(each)
        files = {
            "type": "distribution",
            "url": each["purl"],
            "comment": "the files that the lock lets in, each by its hash",
            "hashes": hashes[key(each)],
        }
        kept = {name: each[name] for name in ("type", "bom-ref", "name", "version", "purl", "licenses")}
        components.append({**kept, "externalReferences": [files]})
    ours: Component = {
        "type": "application",
        "bom-ref": "evs-detach",
        "name": "evs-detach",
        "version": __version__,
        "licenses": [{"license": {"id": "Apache-2.0"}}],
    }
    wanted = {name for each in installed["dependencies"] for name in each.get("dependsOn", ())}
    roots = sorted({each["bom-ref"] for each in components} - wanted)
    return {
        "$schema": f"http://cyclonedx.org/schema/bom-{SPECIFICATION}.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": SPECIFICATION,
        "version": 1,
        "metadata": {"component": ours},
        "components": components,
        "dependencies": [{"ref": "evs-detach", "dependsOn": roots}, *installed["dependencies"]],
    }


def key(component: Component) -> tuple[NormalizedName, str]:
    """Give the canonical name and version of a component."""
    return canonicalize_name(component["name"]), component["version"]


def _hashes(component: Component) -> list[dict[str, str]]:
    (files,) = (each for each in component["externalReferences"] if each["type"] == "distribution")
    found: list[dict[str, str]] = files["hashes"]
    return found


def licences(component: Component) -> Iterable[str]:
    """Give what a component says of its licences: SPDX ids, expressions, classifiers."""
    for each in component.get("licenses", ()):
        told = each.get("license", {})
        yield each.get("expression") or told.get("id") or told["name"]


def check_licences(component: Component) -> None:
    """Raise NotAllowed unless a component has a licence, and each that it names is allowed."""
    found = set(licences(component))
    if not found or found - ALLOWED:
        told = ", ".join(sorted(found - ALLOWED)) or "none"
        raise NotAllowed(f"{component['name']} {component['version']}: its licence is not allowed: {told}")


def written(bill: Mapping[str, Any]) -> str:
    """Give the text of a bill: one line for each component, so that a change is seen as one."""
    lines = []
    for name, value in bill.items():
        if isinstance(value, list):
            rows = ",\n".join(f"  {json.dumps(row, sort_keys=True)}" for row in value)
            lines.append(f"{json.dumps(name)}: [\n{rows}\n ]")
        else:
            lines.append(f"{json.dumps(name)}: {json.dumps(value, sort_keys=True)}")
    return "{\n " + ",\n ".join(lines) + "\n}\n"


if __name__ == "__main__":
    main()
