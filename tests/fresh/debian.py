"""Debian machines in folders, made by debootstrap: the minimum, and what the README says is needed.

A machine that was made is kept in the cache for a week, since Debian moves on; a checkout gets a copy of it,
with mounts and processes of its own, and nothing of the machine around it but the network and the index and
certificate of packages. That takes root on Linux.
"""

from __future__ import annotations

import fcntl
import os
import re
import shlex
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.fresh import settings

NEEDED = ("python3", "python3-venv", "make", "git", "ca-certificates")
_KEPT = 7 * 24 * 3600  # seconds
_USER = 1000
_NAME = "stranger"
_HOME = f"/home/{_NAME}"
_CHECKOUT = "/srv/evs détach"
_CERTIFICATE = "/etc/ssl/packages.pem"
_PATH = "/usr/local/bin:/usr/bin:/bin"


class Unavailable(Exception):
    """A fresh machine can't be had here; says why."""


@dataclass(frozen=True)
class Machine:
    """A machine with a checkout in it."""

    files: Path
    environment: Mapping[str, str]

    def command(self, script: str) -> list[str]:
        """Give the command that carries out a shell script in the checkout, as a user without rights."""
        variables = [f"{name}={value}" for name, value in self.environment.items()]
        user = ["chroot", f"--userspec={_USER}:{_USER}", "--groups=", str(self.files)]
        inside = [
            "/usr/bin/env",
            "-i",
            *variables,
            "/bin/sh",
            "-c",
            f"cd {shlex.quote(_CHECKOUT)} && {script}",
        ]
        root = shlex.quote(str(self.files))
        lines = [
            "mount --make-rprivate /",
            f"mount --bind {root} {root}",
            f"mount -t proc proc {root}/proc",
            f"mount --rbind /dev {root}/dev",
            f"exec {shlex.join([*user, *inside])}",
        ]
        # a process namespace of its own ends with its first process: nothing of it is left running
        return ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-ec", "\n".join(lines)]


def check() -> None:
    """Raise Unavailable where no such machine can be made."""
    if os.geteuid() != 0:
        raise Unavailable("it takes root")
    if shutil.which("unshare") is None or shutil.which("chroot") is None:
        raise Unavailable("there is no unshare or no chroot")
    tried = subprocess.run(
        ["unshare", "--mount", "--pid", "--fork", "mount", "--make-rprivate", "/"],
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    if tried.returncode:
        raise Unavailable(f"mounts of one's own are not allowed: {tried.stderr.strip()}")


def base(suite: str, folder: Path) -> Path:
    """Give a machine of this suite, kept in the cache's folder or new.

    Raises Unavailable, or CalledProcessError where debootstrap failed.
    """
    with (folder / "lock").open("w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return _base(suite, folder)


def _base(suite: str, folder: Path) -> Path:
    kept, made = folder / suite, folder / f"{suite}.made"
    if made.exists() and time.time() - made.stat().st_mtime < _KEPT:
        return kept
    fresh = folder / f"{suite}.new"
    shutil.rmtree(fresh, ignore_errors=True)
    try:
        _debootstrap(suite, fresh, folder)
    except subprocess.CalledProcessError:
        shutil.rmtree(fresh, ignore_errors=True)
        if not made.exists():
            raise
        print(f"fresh: {suite} could not be made anew; an older one is used", flush=True)
        return kept
    made.unlink(missing_ok=True)
    shutil.rmtree(kept, ignore_errors=True)
    fresh.rename(kept)
    made.touch()
    return kept


def _debootstrap(suite: str, folder: Path, kept: Path) -> None:
    program, options = _program(kept)
    told = settings.apt()
    certificate = told.pop("certificate", None)
    words = [*program, "--variant=minbase", f"--include={','.join(NEEDED)}", *options]
    words += [f"--ca-certificate={certificate}"] if certificate else []
    mirror = settings.mirror(*_lists(kept)) if shutil.which("apt-get") else None
    words += [suite, str(folder), *([mirror] if mirror else [])]
    with (kept / f"{suite}.log").open("w", encoding="utf-8") as log:
        environment = {**os.environ, **told, "LC_ALL": "C"}
        subprocess.run(words, env=environment, stdout=log, stderr=subprocess.STDOUT, check=True)


def _program(folder: Path) -> tuple[list[str], list[str]]:
    """The command of debootstrap and its options: this machine's, else Debian's package unpacked here."""
    if shutil.which("debootstrap"):
        return ["debootstrap"], []
    if shutil.which("apt-get") is None:
        raise Unavailable("there is no debootstrap, and no apt-get to fetch it")
    tools = folder / "tools"
    program = tools / "usr/sbin/debootstrap"
    if not program.exists():
        shutil.rmtree(tools, ignore_errors=True)
        tools.mkdir(parents=True)
        names = ("debootstrap", "debian-archive-keyring")
        try:
            fetch = ["apt-get", *_lists(folder), "download", *names]
            subprocess.run(fetch, cwd=tools, capture_output=True, check=True)
            for package in sorted(tools.glob("*.deb")):
                settings.said("dpkg-deb", "--extract", package, tools)
        except subprocess.CalledProcessError as failure:
            shutil.rmtree(tools)
            raise Unavailable(f"debootstrap can't be fetched: {failure}") from None
    keyring = tools / "usr/share/keyrings/debian-archive-keyring.gpg"
    words = ["env", f"DEBOOTSTRAP_DIR={tools}/usr/share/debootstrap", str(program)]
    return words, [f"--keyring={keyring}"]


@cache
def _lists(folder: Path) -> tuple[str, ...]:
    """Options that keep apt's lists in the cache, brought up to date: the machine's own stay as they are."""
    for name in ("lists", "archives"):
        (folder / "apt" / name / "partial").mkdir(parents=True, exist_ok=True)
    places = (f"Dir::State::Lists={folder}/apt/lists", f"Dir::Cache={folder}/apt", "APT::Sandbox::User=")
    options = tuple(word for place in places for word in ("-o", place))
    # a source that is none of Debian's may fail: what is missing is missed where it is asked for
    subprocess.run(["apt-get", *options, "update", "-qq"], capture_output=True, check=False)
    return options


@contextmanager
def machine(kept: Path, repository: Path) -> Iterator[Machine]:
    """A copy of a machine, with a clone of the repository's last commit, and a user who has nothing else."""
    for left in kept.parent.glob(f"{kept.name}.[0-9]*"):  # by a run that was killed
        if not Path(f"/proc/{left.suffix[1:]}").exists():
            shutil.rmtree(left)
    files = kept.with_name(f"{kept.name}.{os.getpid()}")
    try:
        subprocess.run(["cp", "--archive", "--reflink=auto", str(kept), str(files)], check=True)
        for name in ("resolv.conf", "hosts"):
            shutil.copy(Path("/etc") / name, files / "etc" / name)
        add = ["chroot", str(files), "/usr/sbin/useradd", "--uid", str(_USER), "--no-create-home", _NAME]
        subprocess.run(add, check=True)
        (files / _HOME[1:]).mkdir()
        checkout = files / _CHECKOUT[1:]
        subprocess.run(
            ["git", "clone", "--quiet", "--no-hardlinks", str(repository), str(checkout)], check=True
        )
        owned = [files / _HOME[1:], checkout, *checkout.rglob("*")]
        for path in owned:
            os.chown(path, _USER, _USER, follow_symlinks=False)
        environment = {"HOME": _HOME, "PATH": _PATH, **settings.proxies(), **settings.pip()}
        if "PIP_CERT" in environment:
            shutil.copy(environment["PIP_CERT"], files / _CERTIFICATE[1:])
            environment["PIP_CERT"] = _CERTIFICATE
        yield Machine(files, environment)
    finally:
        shutil.rmtree(files, ignore_errors=True)


def newer_than(python: str, known: str) -> bool:
    """Whether one Python, such as 3.15.1, is of a later minor version than another."""
    one, other = (tuple(map(int, re.findall(r"\d+", each)[:2])) for each in (python, known))
    return one > other
