"""One build of the image for all of these tests, or one reason why there is none."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.image import building
from tests.image.running import bundle, started

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Image:
    """An image that was built, and its files as a container's root."""

    builder: building.Builder
    base: str
    context: Path
    id: str
    files: Path
    config: dict[str, Any]


def context(folder: Path) -> Path:
    """What goes to a builder, as it is now: all builds are of one state, whatever is edited meanwhile."""
    recipe = folder / "infra/container"
    shutil.copytree(ROOT / "infra/container", recipe)
    shutil.copytree(ROOT / "handler", folder / "handler", ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def roomy() -> Path | None:
    """In memory, where there is room for some ten copies of a small system; None for the usual place."""
    memory = Path("/dev/shm")
    usable = memory.is_mount() and not os.statvfs(memory).f_flag & os.ST_NOEXEC
    return memory if usable and shutil.disk_usage(memory).free > 6 * 2**30 else None


@pytest.fixture(scope="session")
def image() -> Iterator[Image]:
    try:
        building.check()
    except building.Unavailable as reason:
        pytest.skip(f"the image is NOT built here: {reason}")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "evs-detach-fresh"
    cache.mkdir(parents=True, exist_ok=True)
    # not pytest's own folder: only its owner may enter that, and the image runs as somebody else
    folder = Path(tempfile.mkdtemp(prefix="image-", dir=roomy()))
    folder.chmod(0o755)
    try:
        builder = building.Builder(folder)
        try:
            base = os.environ.get("IMAGE_BASE") or builder.make_base(cache)
        except building.Unavailable as reason:
            pytest.skip(f"the image is NOT built here: {reason}")
        given = context(folder / "context")
        made = builder.build(base, given)
        files = builder.unpacked(made)
        config = builder.config(made)
        tried = bundle(files, config, ["true"], {}, {})
        with started(tried) as container:
            status, _, said = container.ended()
        if status:
            pytest.skip(f"the image is built, but NOT run here: runc says {said.strip()}")
        yield Image(builder, base, given, made, files, config)
    finally:
        shutil.rmtree(folder)
