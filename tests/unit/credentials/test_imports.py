"""Whoever uses no store pays for none."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.embedded_cloud import Cloud

STORES = {f"handler.credentials.stores.{name}" for name in ("csms", "vault", "openstack")}


def imported(program: str) -> set[str]:
    """The modules of ours that a fresh interpreter has imported after a program."""
    program += "\nimport sys; print(*(name for name in sys.modules if name.startswith('handler')))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, encoding="utf-8", check=True)
    return set(done.stdout.split())


def test_the_stores_that_are_not_used_are_not_imported() -> None:
    modules = imported("import handler.credentials")
    assert "handler.credentials.token_auth" in modules
    assert not modules & STORES


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("env:SECRET", set()),
        ("file:secret", set()),
        ("context:", set()),
        ("csms:secret", {"handler.credentials.stores.csms"}),
        ("vault:secret/path", {"handler.credentials.stores.vault"}),
        ("openstack:", {"handler.credentials.stores.openstack"}),
    ],
)
def test_the_store_that_is_used_is_imported(cloud: Cloud, reference: str, expected: set[str]) -> None:
    environment = {**cloud.environment(), "DETACH_TOKEN_SECRET": reference, "VAULT_TOKEN": "t"}
    environment |= {"OS_AUTH_URL": cloud.identity_endpoint, "OS_USERNAME": "u", "OS_PASSWORD": "p"}
    program = f"""
from handler.cloud.transport import Transport
from handler.credentials import Credentials
from handler.settings import read_settings
environment = {environment!r}
settings = read_settings(environment, network=False)
Credentials(settings, Transport(connect_timeout=1, read_timeout=1), environment)
"""
    assert imported(program) & STORES == expected


@pytest.mark.parametrize("reference", ["env:SECRET", "openstack:"])
def test_the_loader_of_openstack_is_imported_only_where_it_is_named(reference: str) -> None:
    environment = {"DETACH_REGION": "r", "DETACH_TOKEN_SECRET": reference, "OS_USERNAME": "u"}
    environment["OS_AUTH_URL"] = "https://keystone.example/v3"
    program = f"import handler.settings as s; s.read_settings({environment!r}, network=False)\n"
    program += "import sys; print('openstack' in sys.modules, 'keystoneauth1' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, encoding="utf-8", check=True)
    assert done.stdout.split() == [str(reference == "openstack:")] * 2


def test_the_cloud_and_the_ground_floor_know_no_credentials() -> None:
    modules = imported("import handler.cloud.transport, handler.settings, handler.telemetry")
    assert not any(name.startswith("handler.credentials") for name in modules)


def test_credentials_know_nothing_of_runs_and_triggers() -> None:
    ground = "import handler.cloud.endpoints, handler.cloud.transport, handler.invocation, handler.settings"
    modules = imported(f"{ground}, handler.credentials, {', '.join(STORES)}")
    assert {name for name in modules - imported(ground) if "credentials" not in name} == set()
