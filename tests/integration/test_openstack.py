"""The real cloud is what it is said to be."""

from __future__ import annotations

import subprocess
from importlib.metadata import distributions
from pathlib import Path
from typing import TYPE_CHECKING

import requests

from tests.integration.openstack.processes import Processes
from tests.locks import complaints, environments, installed, read_lock

if TYPE_CHECKING:
    from tests.integration.openstack import OpenStack


def _listeners(cloud: OpenStack) -> set[str]:
    """Give the addresses that the run's processes listen on, by the kernel's own tables."""
    inodes = set()
    for pid in Processes(Path(cloud.folder)).members():
        for handle in Path(f"/proc/{pid}/fd").iterdir():
            target = str(handle.readlink())
            if target.startswith("socket:["):
                inodes.add(target[8:-1])
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text(encoding="utf-8").splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and fields[9] in inodes:
                found.add(fields[1].partition(":")[0])
    return found


def test_nothing_listens_but_on_loopback(openstack: OpenStack) -> None:
    loopback = {"0100007F", "00000000000000000000000001000000"}  # as /proc/net writes 127.0.0.1 and ::1
    listeners = _listeners(openstack)
    assert "0100007F" in listeners
    assert listeners <= loopback


def test_the_services_are_the_ones_that_are_pinned(openstack: OpenStack) -> None:
    python = Path(openstack.folder).parent / "environment/bin/python"
    question = "from importlib.metadata import version; print(*map(version, ('keystone', 'cinder', 'nova')))"
    versions = subprocess.run(
        [python, "-c", question], capture_output=True, encoding="utf-8", check=True
    ).stdout
    pinned = (Path(__file__).parent / "openstack/requirements.in").read_text(encoding="utf-8")
    for name, version in zip(("keystone", "cinder", "nova"), versions.split(), strict=True):
        assert f"{name}=={version}\n" in pinned


def test_the_services_are_locked_whole(openstack: OpenStack) -> None:
    environment = Path(openstack.folder).parent / "environment"
    (packages,) = environment.glob("lib/python*/site-packages")
    version = packages.parent.name.removeprefix("python")
    lock = read_lock(Path(__file__).parent / "openstack/requirements.txt", Path(__file__).parents[2])
    (linux, *_) = environments(version, version)
    known = installed(distributions(path=[str(packages)]))
    assert {(entry.name, entry.version) for entry in lock.entries if entry.holds(linux)} <= known.keys()
    assert complaints(lock, linux, known) == []


def test_the_run_is_for_its_owner_only(openstack: OpenStack) -> None:
    assert Path(openstack.folder).stat().st_mode & 0o077 == 0


def test_the_services_speak_for_themselves(openstack: OpenStack) -> None:
    versions = requests.get(openstack.identity, timeout=30).json()
    assert versions["version"]["id"].startswith("v3.")
    admin = openstack.admin()
    services = admin.at(f"{openstack.volume}/{admin.project_id}").get("/os-services")["services"]
    assert {service["binary"] for service in services} == {"cinder-scheduler", "cinder-volume"}
    services = admin.at(openstack.compute).get("/os-services")["services"]
    assert {service["binary"] for service in services} >= {"nova-compute", "nova-conductor", "nova-scheduler"}
