"""checkov finds nothing in the manifests and the image's recipe but what there is a reason for."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.infra.manifests import KNATIVE, ROOT, rendered

CHECKOV = ROOT / "build" / "checkov-venv" / "bin" / "checkov"
EXCEPTIONS = ROOT / "infra" / "checkov.yaml"

pytestmark = pytest.mark.timeout(300)  # it takes its time to start


@pytest.fixture
def checkov() -> Path:
    if not CHECKOV.exists():
        pytest.skip("make checkov makes its environment")
    return CHECKOV


def found(checkov: Path, framework: str, *files: Path) -> tuple[set[str], int]:
    """Give the checks that fail, exceptions among them, and how many pass."""
    command = [str(checkov), "--framework", framework, "--skip-download", "--output", "json", "--soft-fail"]
    command += [word for file in files for word in ("--file", str(file))]
    # away from the project: its configuration would be taken from there
    done = subprocess.run(command, cwd=files[0].parent, capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    failed = {each["check_id"] for each in told["results"]["failed_checks"]}
    return failed, len(told["results"]["passed_checks"])


def manifests(folder: Path) -> list[Path]:
    written = []
    for host in (KNATIVE, ROOT / "infra" / "kubernetes"):
        path = folder / f"{host.name}.yaml"
        path.write_text(yaml.safe_dump_all(rendered(host)), encoding="utf-8")
        written.append(path)
    return written


def test_only_the_exceptions_are_found(checkov: Path, tmp_path: Path) -> None:
    in_manifests, passed = found(checkov, "kubernetes", *manifests(tmp_path))
    assert passed > 90
    recipe = tmp_path / "Dockerfile"
    recipe.write_bytes((ROOT / "infra" / "container" / "Dockerfile").read_bytes())
    in_recipe, passed = found(checkov, "dockerfile", recipe)
    assert passed > 20
    excepted = yaml.safe_load(EXCEPTIONS.read_text(encoding="utf-8"))["skip-check"]
    assert in_manifests | in_recipe == set(excepted)


def test_a_container_with_rights_is_found(checkov: Path, tmp_path: Path) -> None:
    files = manifests(tmp_path)
    for file in files:
        text = file.read_text(encoding="utf-8")
        file.write_text(text.replace("allowPrivilegeEscalation: false", "privileged: true"), encoding="utf-8")
    failed, _ = found(checkov, "kubernetes", *files)
    assert "CKV_K8S_16" in failed  # a privileged container


def test_every_exception_has_its_reason() -> None:
    lines = [line for line in EXCEPTIONS.read_text(encoding="utf-8").splitlines() if "- CKV" in line]
    assert lines
    assert [line for line in lines if not re.fullmatch(r"  - CKV_\w+ # \S.{20,}", line)] == []
