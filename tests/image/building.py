"""Builds infra/container with buildah, in a store of its own that is gone afterwards.

The real base image can't be pulled everywhere: a base is made here from what it is made of, a minimal Debian
and a CPython in /usr/local. ``IMAGE_BASE`` names one to be pulled instead.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.fresh import debian, settings
from tests.infra.recipe import IMAGE_PATH
from tests.pythons import find_python

DEBIAN, PYTHON = "bookworm", "3.12"
_MADE_HERE = "localhost/python-made-here"
# what Debian's own slim images leave out too, what that machine has besides, and what no image of Python has
_OF_DEBIAN = (
    *(
        "./var/cache/*",
        "./var/lib/apt/lists/*",
        "./usr/share/doc/*",
        "./usr/share/man/*",
        "./usr/share/locale/*",
    ),
    *("./usr/lib/git-core", "./usr/lib/python3*", "./usr/bin/python3*", "./usr/share/perl/*"),
)
_OF_PYTHON = ("./lib/python*/test", "./lib/python*/config-*", "__pycache__")
# Nothing of it gets into the image: it is mounted while the recipe's lines run, as the resolver's file is.
_CERTIFICATE = "/etc/ssl/packages.pem"


class Unavailable(Exception):
    """The image can't be built or run on this machine; says why."""


def check() -> None:
    """Raise Unavailable where no image can be built and run."""
    try:
        debian.check()
    except debian.Unavailable as reason:
        raise Unavailable(str(reason)) from None
    missing = [name for name in ("buildah", "runc", "tar") if shutil.which(name) is None]
    if missing:
        raise Unavailable(f"there is no {' and no '.join(missing)} (Debian has packages of these names)")


@dataclass(frozen=True)
class Builder:
    """buildah, with all that it keeps under one folder."""

    folder: Path

    def do(self, *words: str | Path) -> str:
        """Carry out a command of buildah; what it printed. Raises AssertionError with its words."""
        store = [f"--root={self.folder}/store", f"--runroot={self.folder}/run", "--storage-driver=vfs"]
        done = subprocess.run(
            ["buildah", *store, *map(str, words)],
            env={**os.environ, "BUILDAH_ISOLATION": "chroot", "TMPDIR": str(self.folder)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=False,
            timeout=600,
        )
        assert done.returncode == 0, f"buildah {words[0]}\n{done.stdout}\n{done.stderr}"
        return done.stdout.strip()

    def make_base(self, cache: Path) -> str:
        """Make a base like the real one; its name. Raises Unavailable without a Debian or a CPython."""
        python = find_python(PYTHON)
        if python is None:
            raise Unavailable(f"there is no Python {PYTHON} to make a base image from")
        try:
            system = debian.base(DEBIAN, cache)
        except (debian.Unavailable, subprocess.CalledProcessError) as reason:
            raise Unavailable(f"there is no Debian to make a base image from: {reason}") from None
        made = self.do("from", "scratch")
        root = Path(self.do("mount", made))
        _copy(system, root, _OF_DEBIAN)
        _copy(python.resolve().parents[1], root / "usr/local", _OF_PYTHON)
        subprocess.run(["chroot", str(root), "/sbin/ldconfig"], check=True)  # libpython is in /usr/local/lib
        self.do("umount", made)
        self.do("config", "--env", f"PATH={IMAGE_PATH}", "--env", "LANG=C.UTF-8", made)
        self.do("commit", "--quiet", "--rm", "--timestamp=0", made, _MADE_HERE)
        return _MADE_HERE

    def build(self, base: str, context: Path) -> str:
        """Build the recipe in a context of the repository's form; the image's id, which its bytes decide."""
        recipe = context / "infra/container/Dockerfile"
        written = self.folder / "image"
        words = [
            "--quiet",
            "--no-cache",
            "--layers=false",
            "--timestamp=0",
            f"--build-arg=PYTHON_IMAGE={base}",
        ]
        words += [f"--file={recipe}", f"--ignorefile={recipe}.dockerignore", f"--iidfile={written}"]
        self.do("build", *words, *self._source_of_packages(), context)
        return written.read_text(encoding="utf-8").strip()

    def config(self, image: str) -> dict[str, Any]:
        """What an image says of how it is run: its user, environment and entry point."""
        told: dict[str, Any] = json.loads(self.do("inspect", "--type=image", image))["OCIv1"]["config"]
        return told

    def unpacked(self, image: str) -> Path:
        """The files of an image, as a container's root."""
        return Path(self.do("mount", self.do("from", image)))

    def _source_of_packages(self) -> list[str]:
        told = settings.pip()
        lines = ["[global]"]
        if "PIP_INDEX_URL" in told:
            lines.append(f"index-url = {told['PIP_INDEX_URL']}")
        mounts = []
        if "PIP_CERT" in told:
            lines.append(f"cert = {_CERTIFICATE}")
            mounts.append(f"--volume={Path(told['PIP_CERT']).resolve()}:{_CERTIFICATE}:ro")
        written = self.folder / "pip.conf"
        written.write_text("\n".join([*lines, ""]), encoding="utf-8")
        return [*mounts, f"--volume={written}:/etc/pip.conf:ro"]


def _copy(source: Path, target: Path, without: tuple[str, ...]) -> None:
    target.mkdir(parents=True, exist_ok=True)
    packed = ["tar", "--create", f"--directory={source}", *(f"--exclude={each}" for each in without), "."]
    with subprocess.Popen(packed, stdout=subprocess.PIPE) as packing:
        subprocess.run(
            ["tar", "--extract", "--preserve-permissions", f"--directory={target}"],
            stdin=packing.stdout,
            check=True,
        )
    assert packing.returncode == 0, source
