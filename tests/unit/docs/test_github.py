"""What GitHub, editors and pre-commit read of it: valid by its schemas, bounded in time, and true."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.pages import ROOT, Page

GITHUB = ROOT / ".github"
WORKFLOWS = sorted((GITHUB / "workflows").glob("*.yml"))
LONGEST = 90  # minutes of a job
SCHEMAS = [
    *(("vendor.github-workflows", path) for path in WORKFLOWS),
    *(("custom.github-workflows-require-timeout", path) for path in WORKFLOWS),
    *(("vendor.github-issue-forms", path) for path in sorted((GITHUB / "ISSUE_TEMPLATE").glob("*.yml"))),
    ("vendor.dependabot", GITHUB / "dependabot.yml"),
]


def judge(schema: str, path: Path) -> subprocess.CompletedProcess[str]:
    """Check a file by a schema that check-jsonschema brings along."""
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, str(path)]
    return subprocess.run(command, capture_output=True, encoding="utf-8", check=False)


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


JOBS: dict[str, dict[str, Any]] = {
    f"{path.stem}-{name}": job
    for path in WORKFLOWS
    for name, job in load(path)["jobs"].items()
    if "uses" not in job  # another workflow's jobs, which are here too
}


@pytest.mark.parametrize(("schema", "path"), SCHEMAS, ids=lambda value: getattr(value, "name", value))
def test_every_file_is_valid(schema: str, path: Path) -> None:
    judged = judge(schema, path)
    assert judged.returncode == 0, judged.stdout + judged.stderr


def test_a_file_that_is_not_valid_is_found(tmp_path: Path) -> None:
    wrong = tmp_path / "ci.yml"
    wrong.write_text(WORKFLOWS[0].read_text(encoding="utf-8").replace("steps:", "stps:"), encoding="utf-8")
    assert judge("vendor.github-workflows", wrong).returncode == 1


@pytest.mark.parametrize("job", JOBS.values(), ids=JOBS)
def test_every_job_ends_in_time(job: dict[str, Any]) -> None:
    assert job["timeout-minutes"] <= LONGEST


def test_one_job_runs_all_in_debian_12() -> None:
    all_of_it = JOBS["ci-all"]
    assert all_of_it["container"] == "debian:12"
    assert [step for step in all_of_it["steps"] if step.get("run") == ".ci/run"]


def test_every_python_that_is_supported_is_tried() -> None:
    declared = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    supported = re.findall(r'"Programming Language :: Python :: (3\.\d+)"', declared)
    assert supported
    debian = {"3.11"}  # Debian 12's own, which .ci/run takes
    assert {*JOBS["ci-python"]["strategy"]["matrix"]["python"]} | debian == {*supported}


def test_actions_are_named_by_a_tag() -> None:
    used = [step["uses"] for job in JOBS.values() for step in job["steps"] if "uses" in step]
    assert used
    assert [name for name in used if not re.fullmatch(r"[\w-]+/[\w-]+@v\d+", name)] == []


def test_the_bug_form_asks_for_the_request_id_first() -> None:
    form = load(GITHUB / "ISSUE_TEMPLATE" / "bug.yml")
    first = next(field for field in form["body"] if field["type"] != "markdown")
    assert first["id"] == "request_id"
    assert first["validations"]["required"] is True


def test_dependencies_are_looked_after_where_they_are() -> None:
    for update in load(GITHUB / "dependabot.yml")["updates"]:
        for folder in update.get("directories", [update.get("directory")]):
            assert (ROOT / folder.strip("/")).is_dir(), folder


def test_the_hooks_are_the_makefiles_own_tools() -> None:
    (local,) = load(ROOT / ".pre-commit-config.yaml")["repos"]
    assert local["repo"] == "local"
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    commands = [hook["entry"].split() for hook in local["hooks"]]
    assert {command[0] for command in commands} == {"make"}
    assert {command[1] for command in commands} <= targets


def test_text_is_as_editorconfig_says() -> None:
    suffixes = {".py", ".md", ".toml", ".yml", ".yaml", ".tf", ".json", ".env", ".sh"}
    folders = ("handler", "tests", "docs", "events", "infra", ".github")
    texts = [
        path
        for folder in folders
        for path in (ROOT / folder).rglob("*")
        if path.suffix in suffixes and not {"schemas", "vendor", "recorded", ".terraform"} & {*path.parts}
    ]
    assert len(texts) > 200
    wrong = []
    for path in texts:
        text = path.read_bytes().decode()
        if (text and not text.endswith("\n")) or re.search(r"[ \t\r]$", text, re.MULTILINE):
            wrong.append(str(path.relative_to(ROOT)))
    assert wrong == []


def test_contributing_names_every_target_that_checks_something() -> None:
    assert {"setup", "run", "test", "infra", "integration", "bench", "schema", "lock"} <= Page(
        ".github/CONTRIBUTING.md"
    ).make_targets
