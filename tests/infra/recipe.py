"""A Dockerfile, read; and its steps carried out without a container engine.

Each stage gets a root of its own: the machine's system, read-only, with a Python install in place of the base
image's ``/usr/local``. RUN lines are carried out in it to the letter, by ``chroot`` in a mount namespace of
their own; COPY and ENV are done here. That needs root on Linux; where it is not allowed, tests are skipped.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest

# What a root does not get from the machine: what the image brings itself, and homes.
OWN = {"app", "build", "home", "root", "tmp"}
IMAGE_PATH = "/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass
class Stage:
    """One stage of a Dockerfile: its instructions in order."""

    base: str
    name: str | None
    instructions: list[tuple[str, str]] = field(default_factory=list)

    def all(self, keyword: str) -> list[str]:
        return [value for found, value in self.instructions if found == keyword]

    @property
    def environment(self) -> dict[str, str]:
        pairs = [shlex.split(value) for value in self.all("ENV")]
        return dict(pair.split("=", 1) for line in pairs for pair in line)


def stages(dockerfile: Path) -> list[Stage]:
    """Read a Dockerfile; global ARGs go into the names of base images."""
    lines = [
        line
        for line in dockerfile.read_text(encoding="utf-8").splitlines()
        if not line.lstrip().startswith("#")
    ]
    arguments: dict[str, str] = {}
    found: list[Stage] = []
    for line in re.sub(r"\\\n\s*", "", "\n".join(lines)).splitlines():
        keyword, _, value = line.strip().partition(" ")
        if keyword == "ARG" and not found:
            name, _, default = value.partition("=")
            arguments[name] = default
        elif keyword == "FROM":
            base, _, name = value.partition(" AS ")
            for argument, default in arguments.items():
                base = base.replace(f"${{{argument}}}", default)
            found.append(Stage(base, name or None))
        elif keyword:
            found[-1].instructions.append((keyword, value))
    return found


class Root:
    """The file system of one stage, under ``path``."""

    def __init__(self, path: Path, python: Path) -> None:
        self.path = path
        self._python = python
        for name in ("root", "changed", "work"):
            (path / name).mkdir(parents=True)
        self.files = path / "root"
        for entry in Path("/").iterdir():
            if entry.is_symlink():
                (self.files / entry.name).symlink_to(entry.readlink())
            elif entry.is_dir():
                (self.files / entry.name).mkdir()
        for name in OWN:
            (self.files / name).mkdir(exist_ok=True)
        (self.files / "tmp").chmod(0o1777)

    @property
    def mounts(self) -> list[str]:
        """Shell lines that lay the machine's folders and the Python install into the root."""
        shared = [
            entry.name
            for entry in Path("/").iterdir()
            if entry.is_dir() and not entry.is_symlink() and entry.name not in OWN
        ]
        layers = f"lowerdir={self._python},upperdir={self.path}/changed,workdir={self.path}/work"
        return [
            "mount --make-rprivate /",
            f"mount --bind {self.files} {self.files}",
            *(f"mount --rbind /{name} {self.files}/{name}" for name in shared),
            f"mount -t overlay overlay -o {layers} {self.files}/usr/local",
        ]

    def command(self, script: str, *, readonly: bool = False, user: int = 0) -> list[str]:
        """Give the command that carries out ``script`` inside; read-only but for an empty /tmp, if asked."""
        sealed = [
            f"mount -o remount,bind,ro {self.files}",
            f"mount -o remount,ro {self.files}/usr/local",
            f"mount -t tmpfs -o size=16m tmpfs {self.files}/tmp",
        ]
        dropped = f"setpriv --reuid {user} --regid {user} --clear-groups --no-new-privs --bounding-set=-all"
        enter = f"exec chroot {self.files} {dropped if user else ''} /bin/sh -c {shlex.quote(script)}"
        lines = [*self.mounts, *(sealed if readonly else []), enter]
        return ["unshare", "--mount", "sh", "-ec", "\n".join(lines)]

    def run(self, script: str, environment: dict[str, str]) -> str:
        """Carry out a RUN line to its end; what it printed. Raises CalledProcessError when it fails."""
        done = subprocess.run(
            self.command(script),
            env=environment,
            capture_output=True,
            encoding="utf-8",
            check=False,
            timeout=300,
        )
        assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def remove(self) -> None:
        shutil.rmtree(self.path)


def build(found: list[Stage], context: Path, python: Path, folder: Path) -> dict[str, Root]:
    """Carry out all stages; their roots by name, the last one's as ``final``."""
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        pytest.skip("carrying out the recipe takes root and unshare")
    roots: dict[str, Root] = {}
    for stage in found:
        root = Root(folder / (stage.name or "final"), python)
        roots[stage.name or "final"] = root
        # proxies, certificates and package sources are the machine's affair, as they are with docker build;
        # how its Python runs is not
        machine = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        environment = {**machine, "PATH": IMAGE_PATH, "HOME": "/tmp"}
        environment["LD_LIBRARY_PATH"] = "/usr/local/lib"
        for keyword, value in stage.instructions:
            if keyword == "RUN":
                root.run(f"set -e; {value}", environment)
            elif keyword == "COPY":
                _copy(shlex.split(value), context, roots, root)
            elif keyword == "ENV":
                environment.update(stage.environment)
    return roots


def _copy(words: list[str], context: Path, roots: dict[str, Root], root: Root) -> None:
    # what the .dockerignore keeps out of the context stays in when it comes from another stage
    origin, ignored = context, shutil.ignore_patterns("__pycache__")
    if words[0].startswith("--from="):
        origin, ignored = roots[words.pop(0).removeprefix("--from=")].files, shutil.ignore_patterns()
    source, target = origin / words[0].lstrip("/"), root.files / words[1].lstrip("/")
    if source.is_dir():
        shutil.copytree(source, target, dirs_exist_ok=True, ignore=ignored)
    else:
        shutil.copy(source, target)
