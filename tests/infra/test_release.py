"""A release: only of what the changelog tells, by a workflow whose commands are those that the tests run."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from handler import __version__
from infra.functiongraph.package import PYTHONS, ROOT
from infra.supply.release import NotReady, notes
from tests.infra.recipe import stages

WORKFLOW: dict[Any, Any] = yaml.safe_load(
    (ROOT / ".github" / "workflows" / "release.yml").read_text(encoding="utf-8")
)
JOBS: dict[str, dict[str, Any]] = WORKFLOW["jobs"]
SCRIPTS = {
    f"{name} {position}": step["run"]
    for name, job in JOBS.items()
    for position, step in enumerate(job.get("steps", ()))
    if "run" in step
}
READY = """# Changelog

## [Unreleased]

## [1.0.0] - 2026-11-28

### Added

- It.

## [0.1.0] - 2026-01-01

- Old.
"""


def test_the_notes_are_the_version_s_section() -> None:
    assert notes("v1.0.0", "1.0.0", READY) == "### Added\n\n- It.\n"


@pytest.mark.parametrize(
    ("tag", "version", "changelog", "reason"),
    [
        ("v1.0.1", "1.0.0", READY, "the tag is v1.0.1, the version is 1.0.0"),
        ("1.0.0", "1.0.0", READY, "the tag is 1.0.0"),
        ("v1.1.0", "1.1.0", READY, "no section of 1.1.0"),
        ("v1.0.0", "1.0.0", READY.replace("[Unreleased]\n", "[Unreleased]\n\n- More.\n"), "under Unreleased"),
        ("v1.0.0", "1.0.0", READY.replace(" - 2026-11-28", ""), "with its date"),
        ("v1x0.0", "1x0.0", READY, "no section"),
    ],
)
def test_what_disagrees_is_not_released(tag: str, version: str, changelog: str, reason: str) -> None:
    with pytest.raises(NotReady, match=reason):
        notes(tag, version, changelog)


def test_a_tag_of_another_version_ends_with_1() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "infra.supply.release", f"v{__version__}.9"],
        cwd=ROOT,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr == f"release: the tag is v{__version__}.9, the version is {__version__}\n"


def test_it_starts_by_a_tag_only_and_after_all_that_must_hold() -> None:
    assert WORKFLOW[True] == {"push": {"tags": ["v*"]}}  # YAML reads "on" as true
    assert JOBS["ci"] == {"uses": "./.github/workflows/ci.yml"}
    needed = {name: set(job.get("needs", ())) for name, job in JOBS.items()}
    assert needed["packages"] == needed["image"] == {"ci", "notes"}
    assert needed["publish"] == {"packages", "image"}


def test_only_what_publishes_may_write() -> None:
    assert WORKFLOW["permissions"] == {"contents": "read"}
    assert {name: job["permissions"] for name, job in JOBS.items() if "permissions" in job} == {
        "publish": {"contents": "write"}
    }


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS)
def test_scripts_are_shell_and_take_nothing_of_an_event_as_code(script: str) -> None:
    checked = subprocess.run(["bash", "-n"], input=script, encoding="utf-8", check=False, capture_output=True)
    assert checked.returncode == 0, checked.stderr
    assert "${{" not in script


def test_the_packages_are_made_by_the_makefile_s_targets() -> None:
    (made,) = [script for script in SCRIPTS.values() if "make " in script]
    targets = made.partition("make ")[2].split()
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert targets == ["dist", "package"]
    assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in targets)


def test_every_bill_is_a_file_of_the_release() -> None:
    (script,) = [script for script in SCRIPTS.values() if "cdx.json" in script]
    assert script.count("cp ") == 2
    assert (ROOT / "infra/container/sbom.cdx.json").exists()
    (loop,) = re.findall(r"for python in (.*?); do", script)
    assert tuple(loop.split()) == PYTHONS


def test_the_image_is_of_the_recipe_s_base_by_its_digest_and_for_two_architectures() -> None:
    job = JOBS["image"]
    bases = {stage.base for stage in stages(ROOT / "infra" / "container" / "Dockerfile")}
    assert {job["env"]["BASE"]} == bases
    text = "\n".join(step.get("run", "") for step in job["steps"])
    assert "--platform linux/amd64,linux/arm64" in text
    assert '--build-arg "PYTHON_IMAGE=$PYTHON_IMAGE"' in text
    assert "cmp dist/evs-detach-image.oci.tar again.oci.tar" in text


def test_all_but_the_notes_is_summed_and_published(tmp_path: Path) -> None:
    (script,) = [script for script in SCRIPTS.values() if "gh release create" in script]
    (tmp_path / "dist").mkdir()
    for name in ("notes.md", "evs-detach.zip", "evs-detach-image.oci.tar"):
        (tmp_path / "dist" / name).write_text(name, encoding="utf-8")
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "gh").write_text('#!/bin/sh\nprintf "%s\\n" "$@" > asked\n', encoding="utf-8")
    (programs / "gh").chmod(0o755)
    environment = {"PATH": f"{programs}:{os.environ['PATH']}", "GITHUB_REF_NAME": "v1.0.0"}
    subprocess.run(
        ["bash", "-e", "-c", script], cwd=tmp_path, env=environment, check=True, capture_output=True
    )
    asked = (tmp_path / "asked").read_text(encoding="utf-8").split()
    summed = (tmp_path / "dist" / "SHA256SUMS").read_text(encoding="utf-8")
    assert re.findall(r"^[0-9a-f]{64}  (.*)$", summed, re.MULTILINE) == [
        "evs-detach-image.oci.tar",
        "evs-detach.zip",
    ]
    assert asked[:3] == ["release", "create", "v1.0.0"]
    assert "--verify-tag" in asked
    assert {word for word in asked if word.startswith("dist/")} == {
        f"dist/{name}" for name in ("SHA256SUMS", "evs-detach-image.oci.tar", "evs-detach.zip")
    }


def test_no_digest_or_commit_is_from_memory() -> None:
    for path in (ROOT / ".github").rglob("*.yml"):
        assert not re.search(r"\b[0-9a-f]{40,64}\b", path.read_text(encoding="utf-8")), path
