"""Packs the function for FunctionGraph's Python runtime: one zip, the same bytes each time.

In the zip, side by side at its root: ``index.py``, our ``handler`` and what it needs but for
functions-framework, as the platform calls ``index.handler`` itself, and the bill of materials. Wheels come
from the locked, hashed requirements, for the chosen Python on Linux x86-64 with glibc 2.17 or newer, whatever
machine this runs on.

    python infra/functiongraph/package.py --python 3.12

Source of the layout: FunctionGraph developer guide, "Python Function Development". The libraries that the
runtime brings are old, so all of ours are inside.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import subprocess
import sys
import tempfile
import zipfile
from importlib.metadata import distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import NormalizedName, canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
PYTHONS = ("3.10", "3.12")
PLATFORM = "x86_64-manylinux2014"
# the project's dependencies (pyproject.toml) but functions-framework, the web server that it brings, and what
# only the terminal needs
DEPENDENCIES = ("cloudevents", "pydantic", "pydantic-core", "idna", "requests", "urllib3")
# zip's earliest date; what is older cannot be written, and any other would change with the clock
EPOCH = (1980, 1, 1, 0, 0, 0)
# written by the installer, differs by machine, read by nobody here
INSTALLER_FILES = ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json", "uv_cache.json")


def main() -> None:
    """Read the command line, write the zips, print the path, sizes and hash of each."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--python", choices=PYTHONS, help="the function's runtime; by default, a zip for each"
    )
    parser.add_argument(
        "--folder", type=Path, default=ROOT / "dist", help="where the zips go; by default dist"
    )
    options = parser.parse_args()
    for python in [options.python] if options.python else PYTHONS:
        output = options.folder / f"evs-detach-functiongraph-py{python}.zip"
        unpacked = package(python, output)
        size = output.stat().st_size
        digest = hashlib.sha256(output.read_bytes()).hexdigest()
        print(f"{output}  {size / 2**20:.1f} MiB, unpacked {unpacked / 2**20:.1f} MiB  sha256 {digest}")


def package(python: str, output: Path) -> int:
    """Write the zip for this Python version; how many bytes it has unpacked."""
    with tempfile.TemporaryDirectory() as scratch:
        tree = Path(scratch)
        install(python, tree)
        keep_only(needed(python, tree), tree)
        shutil.copytree(ROOT / "handler", tree / "handler")
        beside = Path(__file__).parent
        shutil.copy(beside / "index.py", tree)
        shutil.copy(beside / f"sbom-py{python}.cdx.json", tree / "sbom.cdx.json")
        output.parent.mkdir(parents=True, exist_ok=True)
        return pack(tree, output)


def install(python: str, tree: Path, lock: Path = ROOT / "requirements.txt") -> None:
    """Unpack a lock's wheels for this Python version, with uv: pip judges markers by its own Python."""
    command = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--no-config", "--target", str(tree)]
    command += ["--python", sys.executable, "--python-version", python, "--python-platform", PLATFORM]
    command += ["--only-binary", ":all:", "--no-deps", "--require-hashes", "--link-mode", "copy"]
    subprocess.run([*command, "-r", str(lock)], check=True)


def needed(python: str, tree: Path) -> set[NormalizedName]:
    """Names of the packages that ours needs without a web server, by the packages' own metadata."""
    installed = {canonicalize_name(found.name): found for found in distributions(path=[str(tree)])}
    environment = {"python_version": python, "python_full_version": f"{python}.0", "extra": ""}
    waiting = [canonicalize_name(name) for name in DEPENDENCIES]
    names: set[NormalizedName] = set()
    while waiting:
        name = waiting.pop()
        if name not in names:
            names.add(name)
            requirements = map(Requirement, installed[name].requires or ())
            waiting += [
                canonicalize_name(wanted.name)
                for wanted in requirements
                if wanted.marker is None or wanted.marker.evaluate(environment)
            ]
    return names


def keep_only(names: set[NormalizedName], tree: Path) -> None:
    """Remove from the tree each package that is not named, and what the installer noted about itself."""
    shutil.rmtree(tree / "bin")
    (tree / ".lock").unlink(missing_ok=True)
    for found in list(distributions(path=[str(tree)])):
        owned = [tree / file for file in found.files or () if ".." not in file.parts]
        if canonicalize_name(found.name) in names:
            owned = [file for file in owned if file.name in INSTALLER_FILES and is_metadata(file)]
        for file in owned:
            file.unlink(missing_ok=True)
    for folder in sorted((path for path in tree.rglob("*") if path.is_dir()), reverse=True):
        if not any(folder.iterdir()):
            folder.rmdir()


def is_metadata(file: Path) -> bool:
    """Whether the file lies directly in a package's ``.dist-info``."""
    return file.parent.suffix == ".dist-info"


def pack(tree: Path, output: Path) -> int:
    """Zip the tree in a fixed order, with one date and one mode for all; how many bytes went in."""
    files = sorted(
        (path.relative_to(tree).as_posix(), path)
        for path in tree.rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    )
    with zipfile.ZipFile(output, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, path in files:
            entry = zipfile.ZipInfo(name, EPOCH)
            entry.external_attr = 0o100644 << 16
            entry.create_system = 3
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, path.read_bytes(), compresslevel=9)
    return sum(path.stat().st_size for _, path in files)


if __name__ == "__main__":
    main()
