"""DETACH_SCOPE, and what it can't be combined with."""

from __future__ import annotations

import pytest

from handler.errors import Misconfigured
from handler.settings import read_settings
from handler.settings.scope import VENDOR, Scope

PRIVATE = {
    "DETACH_VOLUME_ENDPOINT": "https://cinder.example/v3",
    "DETACH_COMPUTE_ENDPOINT": "https://nova.example/v2.1",
    "DETACH_TOKEN_SECRET": "env:TOKEN",
    "DETACH_SCOPE": "cloud",
}


def faults(**more: str) -> str:
    with pytest.raises(Misconfigured) as caught:
        read_settings({**PRIVATE, **more}, network=False)
    return caught.value.message


def test_one_project_is_the_default() -> None:
    assert read_settings({**PRIVATE, "DETACH_SCOPE": ""}, network=False).scope is Scope.PROJECT
    assert read_settings(PRIVATE, network=False).scope is Scope.CLOUD


def test_a_value_that_is_none_is_named() -> None:
    assert "DETACH_SCOPE must be project or cloud" in faults(DETACH_SCOPE="all")


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("DETACH_LIVE", "on", "DETACH_LIVE must be off with DETACH_SCOPE=cloud"),
        ("DETACH_LIVE", "admin", "DETACH_LIVE must be off with DETACH_SCOPE=cloud"),
        ("DETACH_RECOVER", "on", "DETACH_RECOVER must be off with DETACH_SCOPE=cloud"),
        ("DETACH_RECOVER", "unlisted", "DETACH_RECOVER must be off with DETACH_SCOPE=cloud"),
        ("DETACH_SERVER_CHECK", "off", "DETACH_SERVER_CHECK must not be off with DETACH_SCOPE=cloud"),
        ("DETACH_TOKEN_SECRET", "context:", "DETACH_TOKEN_SECRET must not be context: with"),
        ("DETACH_VOLUME_ENDPOINT", "https://evs.cn-north-4.myhuaweicloud.com/v2", VENDOR),
        ("DETACH_COMPUTE_ENDPOINT", "https://ecs.cn-north-4.myhuaweicloud.com/v2.1", VENDOR),
    ],
)
def test_what_does_not_go_with_a_whole_cloud_is_named(name: str, value: str, said: str) -> None:
    assert said in faults(**{name: value})
    assert read_settings({**PRIVATE, name: value, "DETACH_SCOPE": "project"}, network=False)


def test_a_region_of_the_vendor_is_no_whole_cloud() -> None:
    assert VENDOR in faults(DETACH_REGION="cn-north-4", DETACH_VOLUME_ENDPOINT="", DETACH_COMPUTE_ENDPOINT="")


def test_a_secret_that_is_missing_is_not_called_wrong() -> None:
    said = faults(DETACH_TOKEN_SECRET="")
    assert "DETACH_TOKEN_SECRET is missing" in said
    assert "context:" not in said.replace("context: (", "")


@pytest.mark.parametrize("check", ["gone", "recorded", "not-held"])
def test_every_proof_that_asks_for_servers_goes_with_it(check: str) -> None:
    assert read_settings({**PRIVATE, "DETACH_SERVER_CHECK": check}, network=False)
