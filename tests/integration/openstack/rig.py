"""Brings the real cloud up from nothing, and takes it down."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.integration.openstack.api import Identity, Session
from tests.integration.openstack.cache import cache_folder, sole_use
from tests.integration.openstack.configuration import HYPERVISOR, Site, write_all
from tests.integration.openstack.foundation import Broker, Database, free_ports
from tests.integration.openstack.install import Software, install
from tests.integration.openstack.processes import Processes, signature
from tests.integration.openstack.starter import Starter

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_LISTENERS = ("keystone", "fleeting", "placement", "cinder", "nova", "standins")


@dataclass(frozen=True)
class OpenStack:
    """A running cloud: where its services are and who may do everything there.

    ``fleeting`` is a second address of the same Keystone whose tokens expire after two seconds.
    """

    folder: str
    identity: str
    fleeting: str
    volume: str
    compute: str
    password: str

    def admin(self) -> Session:
        """Log in as the cloud's administrator (user and project ``admin``)."""
        return Identity(self.identity).log_in("admin", self.password, project="admin")

    @contextlib.contextmanager
    def hypervisor(self, **points: Mapping[str, object]) -> Iterator[None]:
        """Have the hypervisor wait or fail for a while, as inside/hypervisor.py reads it."""
        told = Path(self.folder) / HYPERVISOR
        new = told.with_suffix(".new")
        new.write_text(json.dumps(points), encoding="utf-8")
        new.replace(told)
        try:
            yield
        finally:
            told.unlink()

    def process(self, name: str) -> int:
        """Give the id of one of the cloud's processes."""
        return Processes(Path(self.folder)).names()[name]

    def sql(self, statement: str, database: str) -> list[list[str]]:
        """Read or write a service's database: only for states that no API makes."""
        folder = Path(self.folder)
        software = Software(folder.parent / "debian", folder.parent / "environment")
        return Database(software, folder, Processes(folder)).sql(statement, database)


@contextlib.contextmanager
def borrow() -> Iterator[OpenStack]:
    """Give the cloud that a developer has up; else bring up one of our own, and take it down in the end."""
    standing = status()
    if standing:
        yield standing
        return
    processes = Processes(cache_folder() / f"run-{signature(os.getpid())}")
    try:
        yield up(processes)
    finally:
        down(processes)


def status() -> OpenStack | None:
    """Give the developer's cloud; none when there is none, or when a part of it has ended."""
    processes = _developers()
    described = processes.folder / "openstack.json"
    if not described.exists() or processes.ended():
        return None
    return OpenStack(**json.loads(described.read_text(encoding="utf-8")))


def up(processes: Processes | None = None) -> OpenStack:
    """Bring a cloud up, the developer's unless it is said whose; what dead runs left is removed first.

    When it fails the logs are kept in ``failed`` in the cache.
    """
    processes = processes or _developers()
    cache = processes.folder.parent
    with sole_use(cache):
        _clear(processes)
        for folder in cache.glob("run-*"):
            owner = folder.name.removeprefix("run-")
            if signature(int(owner.partition("-")[0])) != owner:
                _clear(Processes(folder))
        software = install(cache)
        begun = time.monotonic()
        try:
            cloud = _start(cache, software, processes)
        except BaseException:
            _clear(processes, keep=cache / "failed")
            raise
        print(f"openstack: up after {time.monotonic() - begun:.0f} s", file=sys.stderr, flush=True)
        return cloud


def down(processes: Processes | None = None) -> None:
    """End every process of a run and remove its folder; harmless when there is none."""
    processes = processes or _developers()
    with sole_use(processes.folder.parent):
        _clear(processes)


def _developers() -> Processes:
    return Processes(cache_folder() / "run")


def _clear(processes: Processes, keep: Path | None = None) -> None:
    """End a run's processes and remove its folder, but for its logs when they are to be kept."""
    processes.kill()
    folder = processes.folder
    if keep and (folder / "log").exists():
        shutil.rmtree(keep, ignore_errors=True)
        (folder / "log").rename(keep)
    if folder.exists():
        shutil.rmtree(folder)


def _start(cache: Path, software: Software, processes: Processes) -> OpenStack:
    folder = processes.folder
    folder.mkdir(mode=0o700)
    password = secrets.token_hex(16)
    site = Site(
        software=software,
        folder=folder,
        ports=dict(zip(_LISTENERS, free_ports(len(_LISTENERS)), strict=True)),
        password=password,
        database=Database(software, folder, processes),
        broker=Broker(software, folder, processes, password),
    )
    write_all(site)
    Starter(site, processes).bring_up(cache)
    cloud = OpenStack(
        folder=str(folder),
        identity=site.identity,
        fleeting=f"{site.url('fleeting')}/v3",
        volume=site.volume,
        compute=site.compute,
        password=password,
    )
    described = folder / "openstack.json"
    described.touch(mode=0o600)
    described.write_text(json.dumps(asdict(cloud), indent=1), encoding="utf-8")
    return cloud
