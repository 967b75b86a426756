"""The wheel and the source distribution: whole, and at work where nothing else is installed."""

from __future__ import annotations

import email
import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from handler import __version__
from tests.embedded_cloud import Cloud, seed

ROOT = Path(__file__).resolve().parents[2]
UV = [sys.executable, "-m", "uv"]
NAME = f"evs_detach-{__version__}"


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `make dist` makes of what is in the repository; building writes beside the sources."""
    copy = tmp_path_factory.mktemp("sources")
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, copy / name)
    out = tmp_path_factory.mktemp("dist")
    command = [*UV, "build", "--quiet", "--offline", "--no-build-isolation", "--python", sys.executable]
    subprocess.run([*command, "--out-dir", str(out)], cwd=copy, check=True)
    return out


@pytest.fixture(scope="module", params=[".whl", ".tar.gz"])
def installed(request: pytest.FixtureRequest, dist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the programs of an environment that has the distribution, and what the lock pins."""
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    (file,) = [path for path in dist.iterdir() if path.name.endswith(request.param)]
    python = folder / "bin" / "python"
    command = [*UV, "pip", "install", "--quiet", "--offline", "--no-config", "--no-index", "--no-deps"]
    if request.param == ".tar.gz":
        borrow(python)  # the locked setuptools, to build with
        command.append("--no-build-isolation")
    subprocess.run([*command, "--python", str(python), str(file)], check=True)
    borrow(python)
    return folder / "bin"


def borrow(python: Path) -> None:
    """Let an environment see this one's packages, which are those of the lock; ours is in none of them."""
    ours = next(path for path in sys.path if path.endswith("site-packages"))
    asked = [str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    theirs = subprocess.run(asked, capture_output=True, encoding="utf-8", check=True).stdout.strip()
    (Path(theirs) / "locked.pth").write_text(f"{ours}\n", encoding="utf-8")


def run(program: Path, *words: str, folder: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    bare = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("DETACH_", "VAULT_", "PYTHON"))
    }
    return subprocess.run(
        [str(program), *words],
        cwd=folder,
        env={**bare, **settings},
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=60,
    )


def test_the_wheel_has_what_is_needed_and_nothing_else(dist: Path) -> None:
    with zipfile.ZipFile(dist / f"{NAME}-py3-none-any.whl") as wheel:
        names = set(wheel.namelist())
        metadata = email.message_from_bytes(wheel.read(f"{NAME}.dist-info/METADATA"))
        entries = wheel.read(f"{NAME}.dist-info/entry_points.txt").decode().split()
    sources = {path.relative_to(ROOT).as_posix() for path in (ROOT / "handler").rglob("*.py")}
    assert {name for name in names if not name.startswith(f"{NAME}.dist-info/")} == sources | {
        "handler/py.typed"
    }
    assert entries == ["[console_scripts]", "evs-detach", "=", "handler.terminal.cli:main"]
    assert metadata["Name"] == "evs-detach"
    assert metadata["Version"] == __version__
    assert f"{NAME}.dist-info/licenses/LICENSE" in names
    assert any(required.startswith("click") for required in metadata.get_all("Requires-Dist", []))


def test_the_source_distribution_has_the_licence_and_the_readme(dist: Path) -> None:
    with tarfile.open(dist / f"{NAME}.tar.gz") as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"LICENSE", "README.md", "pyproject.toml", "handler/terminal/cli.py"} <= names


def test_it_explains_itself(installed: Path, tmp_path: Path) -> None:
    shown = run(installed / "evs-detach", "--help", folder=tmp_path)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert shown.stdout.startswith("Usage: evs-detach [OPTIONS] COMMAND")
    assert run(installed / "evs-detach", "--version", folder=tmp_path).stdout == f"evs-detach {__version__}\n"
    wrong = run(installed / "evs-detach", "swep", folder=tmp_path)
    assert wrong.returncode == 2
    assert "Did you mean 'sweep'?" in wrong.stderr


def test_it_works_at_a_cloud(installed: Path, tmp_path: Path) -> None:
    with Cloud() as cloud:
        cloud.seed()
        settings = {**cloud.environment(), "DETACH_TOKEN_SECRET": "env:TOKEN", "TOKEN": cloud.token()}
        checked = run(installed / "evs-detach", "check", "--json", folder=tmp_path, **settings)
        assert checked.returncode == 0, checked.stdout + checked.stderr
        words = ["--report", "r.html", "--report", "r.md", "--metrics-file", "m.prom"]
        swept = run(installed / "evs-detach", "sweep", *words, folder=tmp_path, **settings)
        assert swept.returncode == 3, swept.stderr
        assert json.loads(swept.stdout)["summary"]["would_detach"] == 10
        assert {path.name for path in tmp_path.iterdir()} == {"r.html", "r.md", "m.prom"}
        python = run(
            installed / "python", "-m", "handler", "detach", seed.ORPHAN_VOLUME, folder=tmp_path, **settings
        )
        assert json.loads(python.stdout)["outcome"] == "detached"
