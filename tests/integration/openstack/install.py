"""Installs what runs the real cloud into the cache: Debian's packages unpacked, PyPI's in an environment.

Debian's packages are fetched and unpacked by apt-get and dpkg-deb, but not installed: so no service starts
by itself, no user is added, no root is needed, and the machine stays as it was. The package lists are the
cache's own too.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.integration.openstack.trouble import RigError

REQUIREMENTS = Path(__file__).with_name("requirements.txt")

_DEBIAN = ("rabbitmq-server", "mariadb-server-core", "mariadb-client-core")
# What is taken from Debian's archive even when the machine has it installed, so that it lies in one place.
_OURS = ("erlang-", "rabbitmq-", "mariadb-")
_DEPENDS = (
    "--recurse", "--no-recommends", "--no-suggests", "--no-conflicts", "--no-breaks", "--no-replaces",
    "--no-enhances",
)  # fmt: skip
_FITTING = ((3, 11), (3, 13))


@dataclass(frozen=True)
class Software:
    """Where the installed software is: Debian's unpacked root, and the environment of the services."""

    debian: Path
    environment: Path

    @property
    def python(self) -> Path:
        return self.environment / "bin" / "python"

    def command(self, name: str) -> str:
        return str(self.environment / "bin" / name)

    @property
    def libraries(self) -> str:
        """Folders of the unpacked shared libraries, as LD_LIBRARY_PATH wants them."""
        return ":".join(str(path) for path in sorted((self.debian / "usr/lib").glob("*-linux-gnu*")))


def install(cache: Path) -> Software:
    """Bring the cache up to date and say where things are; a cache that is current costs nothing."""
    debian, environment = cache / "debian", cache / "environment"
    if not (debian / ".complete").exists():
        _unpack_debian(cache, debian)
    python = _fitting_python()
    wanted = f"{python}\n{hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()}\n"
    stamp = environment / ".complete"
    if not stamp.exists() or stamp.read_text(encoding="utf-8") != wanted:
        _make_environment(python, environment)
        stamp.write_text(wanted, encoding="utf-8")
    return Software(debian, environment)


def _say(text: str) -> None:
    print(f"openstack: {text}", file=sys.stderr, flush=True)


def _do(*command: str | Path, cwd: Path | None = None) -> str:
    environment = {**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, encoding="utf-8", check=False
    )
    if done.returncode:
        raise RigError(f"{Path(command[0]).name} failed: {(done.stderr or done.stdout).strip()[-2000:]}")
    return done.stdout


def _unpack_debian(cache: Path, root: Path) -> None:
    if shutil.which("apt-get") is None:
        raise RigError("RabbitMQ and MariaDB come from Debian's packages, and there is no apt-get here")
    _say("fetching RabbitMQ and MariaDB from Debian")
    shutil.rmtree(root, ignore_errors=True)
    downloads, lists = cache / "apt" / "archives", cache / "apt" / "lists"
    for folder in (downloads / "partial", lists / "partial", root):
        folder.mkdir(parents=True, exist_ok=True)
    options = [
        *("-o", f"Dir::State::Lists={lists}"),
        *("-o", f"Dir::Cache={cache / 'apt'}"),
        *("-o", "APT::Sandbox::User="),
        *("-o", "Debug::NoLocking=true"),
        *("-o", "Acquire::Retries=3"),
    ]
    _do("apt-get", *options, "update", "-qq")
    plan = _do("apt-get", *options, "install", "--simulate", "--no-install-recommends", *_DEBIAN)
    missing = {line.split()[1] for line in plan.splitlines() if line.startswith("Inst ")}
    needed = _do("apt-cache", *options, "depends", *_DEPENDS, *_DEBIAN).splitlines()
    missing |= {name for name in needed if name.startswith(_OURS)}
    _do("apt-get", *options, "download", *sorted(missing), cwd=downloads)
    for package in sorted(downloads.glob("*.deb")):
        _do("dpkg-deb", "--extract", package, root)
    for script in (root / "usr/lib/erlang").glob("**/bin/erl"):
        script.write_text(
            script.read_text(encoding="utf-8").replace("=/usr/lib/erlang", f"={root}/usr/lib/erlang"),
            encoding="utf-8",
        )
    shutil.rmtree(cache / "apt")
    (root / ".complete").touch()


def _make_environment(python: Path, environment: Path) -> None:
    _say(f"installing the services for {python} (about a minute)")
    shutil.rmtree(environment, ignore_errors=True)
    _do(python, "-m", "venv", environment)
    pip = (environment / "bin" / "python", "-m", "pip", "--disable-pip-version-check")
    # As in the Makefile: what is locked is what is installed, and then it is all that is needed.
    _do(
        *(*pip, "install", "--quiet", "--no-cache-dir", "--no-deps", "--only-binary", ":all:"),
        *("--require-hashes", "--requirement", REQUIREMENTS),
    )
    _do(*pip, "check")


def _fitting_python() -> Path:
    """Give the interpreter that runs this, or the first one at hand that the services support."""
    candidates = [Path(sys.executable)]
    for minor in range(_FITTING[0][1], _FITTING[1][1] + 1):
        found = shutil.which(f"python3.{minor}")
        candidates += [Path(found)] if found else []
        candidates += sorted(Path.home().glob(f".pyenv/versions/3.{minor}.*/bin/python3"))
    question = "import sys, ensurepip, venv; print(*sys.version_info[:2], sys.base_prefix)"
    for candidate in candidates:
        asked = subprocess.run(
            [candidate, "-c", question], capture_output=True, encoding="utf-8", check=False
        )
        if asked.returncode == 0:
            major, minor_version, prefix = asked.stdout.split(maxsplit=2)
            if _FITTING[0] <= (int(major), int(minor_version)) <= _FITTING[1]:
                return Path(prefix.strip()) / "bin" / f"python{major}.{minor_version}"
    raise RigError("the services need Python 3.11, 3.12 or 3.13, and none was found")
