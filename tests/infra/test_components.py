"""What a component of the manifests may set, and that it leaves every other setting as it is."""

from __future__ import annotations

import shutil
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
import yaml

from handler.settings import NAMES
from tests.infra.manifests import ROOT, rendered

ENDPOINTS = {"DETACH_IDENTITY_ENDPOINT", "DETACH_VOLUME_ENDPOINT", "DETACH_COMPUTE_ENDPOINT"}
VAULT = {"DETACH_TOKEN_SECRET", "VAULT_ADDR", "VAULT_ROLE"}
OWN = {
    "kubernetes": {
        "ca-bundle": {"DETACH_CA_BUNDLE"},
        "vault": VAULT | ENDPOINTS | {"OS_CLIENT_CONFIG_FILE"},
        "whole-cloud": {"DETACH_SCOPE", "DETACH_TIMEOUT"},
    },
    "knative": {
        "ca-bundle": {"DETACH_CA_BUNDLE"},
        "fan-out": {"DETACH_FANOUT_SINK"},
        "openstack": ENDPOINTS | {"DETACH_REGION"},
        "vault": VAULT,
    },
}
"""What each is for. No bound of a sweep and no proof is among it."""

OVERLAYS = {"callers": {"DETACH_INVOKE_AUTH", "DETACH_INVOKE_SECRET"}, "events": {"DETACH_INVOKE_AUTH"}}
PLACES = {"kubernetes": ["base"], "knative": [f"overlays/{name}" for name in OVERLAYS]}
BASE = dict.fromkeys(NAMES, "as the base has it")


def combinations() -> list[tuple[str, str, tuple[str, ...]]]:
    """Give manifests, where components are added, and none of them, each, and each two in either order."""
    return [
        (manifests, place, chosen)
        for manifests, components in OWN.items()
        for place in PLACES[manifests]
        for count in (0, 1, 2)
        for chosen in permutations(components, count)
        if place != "overlays/callers" or "fan-out" not in chosen  # the broker is beside the other
    ]


def generated(kustomization: Path) -> dict[str, str]:
    """Give what a kustomization sets besides its base."""
    told: dict[str, Any] = yaml.safe_load(kustomization.read_text(encoding="utf-8"))
    (generator,) = told["configMapGenerator"]
    return dict(literal.split("=", 1) for literal in generator.get("literals", ()))


@pytest.mark.parametrize("manifests", OWN)
def test_a_component_sets_only_what_it_is_for(manifests: str) -> None:
    folder = ROOT / "infra" / manifests
    found = {
        each.name: set(generated(each / "kustomization.yaml")) for each in (folder / "components").iterdir()
    }
    assert found == OWN[manifests]
    overlays = {each.name: set(generated(each / "kustomization.yaml")) for each in folder.glob("overlays/*")}
    assert overlays == (OVERLAYS if manifests == "knative" else {})


@pytest.mark.parametrize(("manifests", "place", "chosen"), combinations())
def test_no_setting_is_lost_or_changed_by_components(
    manifests: str, place: str, chosen: tuple[str, ...], tmp_path: Path
) -> None:
    copy = tmp_path / manifests
    shutil.copytree(ROOT / "infra" / manifests, copy)
    lines = (f"{name}={value}\n" for name, value in BASE.items())
    (copy / "base" / "settings.env").write_text("".join(lines), encoding="utf-8")
    file = copy / place / "kustomization.yaml"
    expected = {**BASE, **generated(file)}
    for name in chosen:
        expected |= generated(copy / "components" / name / "kustomization.yaml")
    up = "../" * len(Path(place).parts)
    added = ", ".join(f"{up}components/{name}" for name in chosen)
    file.write_text(f"{file.read_text(encoding='utf-8')}components: [{added}]\n", encoding="utf-8")
    found = [made["data"] for made in rendered(copy / place) if made["kind"] == "ConfigMap"]
    assert found == [expected]
