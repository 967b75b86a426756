"""Everything that the README shows is run here, and its tables say what the code does."""

from __future__ import annotations

import inspect
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from handler.environment import EnvironmentReader
from handler.errors import ErrorCode
from handler.model.result import Outcome
from handler.settings import NAMES, Settings, read_settings
from tests.demo import Function, serving
from tests.embedded_cloud import Cloud
from tests.embedded_cloud.seed import DETACHER, DETACHER_DOMAIN, DETACHER_PASSWORD

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SECRET = {"username": DETACHER, "password": DETACHER_PASSWORD, "domain": DETACHER_DOMAIN}


def table(name: str) -> list[list[str]]:
    """The rows of the table under the comment that names it, cells without marks."""
    text = README.split(f"<!-- table: {name} -->\n")[1].split("\n\n")[0]
    rows = [line.strip("|").split("|") for line in text.splitlines()[2:]]
    return [[cell.strip().replace("`", "") for cell in row] for row in rows]


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


@pytest.fixture(scope="module")
def cloud() -> Iterator[Cloud]:
    with Cloud() as cloud:
        cloud.seed()
        yield cloud


@pytest.fixture(scope="module")
def secret(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("readme") / "token"
    path.write_text(json.dumps(SECRET), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def function(cloud: Cloud, secret: Path) -> Iterator[Function]:
    with serving(cloud, {"DETACH_TOKEN_SECRET": f"file:{secret}"}) as function:
        yield function


def shape(value: Any) -> Any:
    """A result without what differs each time: ids of requests and durations."""
    if isinstance(value, dict):
        return {
            key: type(item).__name__ if key in {"request_id", "duration_ms"} else shape(item)
            for key, item in value.items()
        }
    return value


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_call_it_shows_gives_the_result_it_shows(cloud: Cloud, function: Function) -> None:
    cloud.reset()
    (command,) = [block for block in blocks("sh") if "curl" in block]
    environment = {**os.environ, "URL": function.url, "KEY": function.key}
    answer = subprocess.run(
        ["bash", "-c", command.replace("curl", "curl --silent --noproxy 127.0.0.1")],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    shown = json.loads(README.split("<!-- result: events/http-one.json -->\n```json\n")[1].split("```")[0])
    got = json.loads(answer.stdout)
    assert len(got.pop("upstream_request_ids")) == got["calls"]
    assert len(shown.pop("upstream_request_ids")) == shown["calls"]
    assert shape(got) == shape(shown)
    assert list(got) == list(shown)


def test_the_settings_table_names_every_setting_in_order() -> None:
    assert [row[0] for row in table("settings")] == list(NAMES)


def test_the_settings_table_gives_the_real_defaults() -> None:
    settings = read_settings(
        {"DETACH_REGION": "R".lower(), "DETACH_TOKEN_SECRET": "env:T", "DETACH_INVOKE_SECRET": "env:K"}
    )
    told = {name: default for name, default, _ in table("settings")}
    real: dict[str, object] = {
        "DETACH_VOLUME_ENDPOINT": settings.volume_endpoint,
        "DETACH_COMPUTE_ENDPOINT": settings.compute_endpoint,
        "DETACH_IDENTITY_ENDPOINT": settings.identity_endpoint,
        "DETACH_CSMS_ENDPOINT": settings.csms_endpoint,
        "DETACH_SECRET_TTL": settings.secret_ttl,
        "DETACH_SERVER_CHECK": settings.server_check.value,
        "DETACH_TIMEOUT": settings.timeout,
        "DETACH_CONNECT_TIMEOUT": settings.connect_timeout,
        "DETACH_READ_TIMEOUT": settings.read_timeout,
        "DETACH_MAX_TARGETS": settings.max_targets,
        "DETACH_MAX_BODY_BYTES": settings.max_body_bytes,
        "DETACH_CONCURRENCY": settings.concurrency,
        "DETACH_SWEEP_DRY_RUN": settings.sweep.dry_run,
        "DETACH_SWEEP_LIMIT": settings.sweep.limit,
        "DETACH_SWEEP_MIN_AGE_SECONDS": settings.sweep.min_age_seconds,
        "DETACH_SWEEP_MAX_FRACTION": settings.sweep.max_fraction,
        "DETACH_INVOKE_AUTH": settings.invoke_auth.value,
        "DETACH_LOG_LEVEL": settings.log_level,
    }
    for name, value in real.items():
        text = f"{value:g}" if isinstance(value, float) else str(value)
        assert told[name].replace("{region}", "r").lower() == text.lower(), name


def test_every_setting_in_the_code_is_in_the_table() -> None:
    source = inspect.getsource(sys.modules[Settings.__module__]) + inspect.getsource(EnvironmentReader)
    assert set(re.findall(r'"((?:DETACH|VAULT)_[A-Z_]+)"', source)) == set(NAMES)


def test_the_table_of_codes_has_every_code_once() -> None:
    assert [row[0] for row in table("codes")] == [code.value for code in ErrorCode]


def test_the_table_of_outcomes_has_every_outcome() -> None:
    assert {row[0].split(",")[0] for row in table("outcomes")} == {outcome.value for outcome in Outcome}


def test_every_make_target_it_names_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = set(re.findall(r"`make ([a-z]+)`", README)) | set(
        re.findall(r"^make ([a-z]+)", README, re.MULTILINE)
    )
    assert named <= targets
    assert {"run", "test"} <= named


def test_every_file_it_links_to_exists() -> None:
    links = re.findall(r"\]\((?!http)([^)#]+)\)", README)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_smallest_deployment_it_shows_is_a_good_one() -> None:
    (block,) = [block for block in blocks("sh") if "export" in block]
    exports = re.findall(r"export (\w+)=(\S+)", block)
    assert read_settings(dict(exports)).region == dict(exports)["DETACH_REGION"]


def test_the_sweeps_it_shows_run(cloud: Cloud, secret: Path) -> None:
    cloud.reset()
    (block,) = [block for block in blocks("sh") if "handler sweep" in block]
    environment = {
        **os.environ,
        **cloud.environment(),
        "DETACH_TOKEN_SECRET": f"file:{secret}",
        "DETACH_SWEEP_DRY_RUN": "false",
    }
    before = len(cloud.posts())
    for line in block.splitlines():
        words = line.split("#")[0].split()
        command = [sys.executable, *words[1:]]
        ran = subprocess.run(
            command, env=environment, cwd=ROOT, capture_output=True, encoding="utf-8", check=False
        )
        assert ran.returncode in {0, 1}, ran.stderr  # 1: candidates whose server exists after all are not ok
        assert "543fdc50-6daa-48e5-808c-c4189495d318" in ran.stdout
    assert len(cloud.posts()) - before == 5
