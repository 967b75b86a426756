"""The Knative manifests, rendered and looked up."""

from __future__ import annotations

import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
KNATIVE = ROOT / "infra" / "knative"
FUNCTIONS = ("evs-detach-events", "evs-detach-callers")

Manifest: TypeAlias = dict[str, Any]


@cache
def rendered(folder: Path = KNATIVE) -> list[Manifest]:
    """Give what ``kubectl apply -k`` would send."""
    beside = Path(sys.executable).with_name("kubectl")
    kubectl = str(beside) if beside.exists() else shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("no kubectl to render the manifests with")
    done = subprocess.run(
        [kubectl, "kustomize", str(folder)], capture_output=True, encoding="utf-8", check=False
    )
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all(done.stdout))


def of_kind(kind: str, group: str = "") -> dict[str, Manifest]:
    """Give the manifests of a kind by name."""
    return {
        manifest["metadata"]["name"]: manifest
        for manifest in rendered()
        if manifest["kind"] == kind and manifest["apiVersion"].startswith(group)
    }


def services() -> dict[str, Manifest]:
    return of_kind("Service", "serving.knative.dev")


def pod(service: str) -> Manifest:
    spec: Manifest = services()[service]["spec"]["template"]["spec"]
    return spec


def container(service: str) -> Manifest:
    (only,) = pod(service)["containers"]
    found: Manifest = only
    return found


def settings(service: str) -> dict[str, str]:
    (source,) = container(service)["envFrom"]
    data: dict[str, str] = of_kind("ConfigMap")[source["configMapRef"]["name"]]["data"]
    return data


def in_namespace(name: str) -> Manifest:
    """Give the selector of the namespace called ``name``."""
    return {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}}
