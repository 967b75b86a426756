"""Everything that the README shows is run here, as it is written."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from handler.settings import read_settings
from tests.demo import Function, serving
from tests.embedded_cloud import Cloud
from tests.embedded_cloud.seed import DETACHER, DETACHER_DOMAIN, DETACHER_PASSWORD
from tests.unit.pages import ROOT, Page

README = Page("README.md")
SECRET = {"username": DETACHER, "password": DETACHER_PASSWORD, "domain": DETACHER_DOMAIN}


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
            key: type(item).__name__ if key in {"request_id", "duration_ms", "attached_at"} else shape(item)
            for key, item in value.items()
        }
    return value


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_call_it_shows_gives_the_result_it_shows(cloud: Cloud, function: Function) -> None:
    cloud.reset()
    (command,) = [block for block in README.blocks("sh") if "curl" in block]
    environment = {**os.environ, "URL": function.url, "KEY": function.key}
    answer = subprocess.run(
        ["bash", "-c", command.replace("curl", "curl --silent --noproxy 127.0.0.1")],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    (shown,) = map(json.loads, README.blocks("json"))
    got = json.loads(answer.stdout)
    assert len(got.pop("upstream_request_ids")) == got["calls"]
    assert len(shown.pop("upstream_request_ids")) == shown["calls"]
    assert shape(got) == shape(shown)
    assert list(got) == list(shown)


def test_it_names_the_two_commands_and_leads_on() -> None:
    assert {"run", "test"} <= README.make_targets
    assert {"docs/contract.md", "docs/operating.md", "docs/architecture.md"} <= set(README.links)


def test_the_smallest_deployment_it_shows_works(cloud: Cloud, tmp_path: Path) -> None:
    """Its exports and its secret as they are written; only where the cloud and the files are is ours."""
    cloud.reset()
    (block,) = [block for block in README.blocks("sh") if "export DETACH_REGION" in block]
    exports = dict(re.findall(r"export (\w+)=(\S+)", block))
    assert read_settings(exports).region == exports["DETACH_REGION"]
    form = re.findall(r"# (\{.*\})", block)[0]
    values = {**SECRET, "project": cloud.project_id}
    assert json.loads(form.replace("…", "0")).keys() == values.keys()
    key = "a-key-of-the-callers"
    for name, text in (("token", json.dumps(values)), ("callers", key)):
        (tmp_path / name).write_text(text, encoding="utf-8")
    here = {name: value.replace("/etc/evs-detach", str(tmp_path)) for name, value in exports.items()}
    with serving(cloud, {**here, "DETACH_PROJECT_ID": ""}) as function:
        function.key = key
        answer = function.send((ROOT / "events" / "http-one.json").read_bytes())
    assert (answer.status_code, answer.json()["outcome"]) == (200, "detached")


def test_the_first_commands_it_shows_run(cloud: Cloud, tmp_path: Path, program_path: str) -> None:
    """With a clouds.yaml where people have it, and nothing else."""
    cloud.reset()
    (block,) = [block for block in README.blocks("sh") if "OS_CLOUD" in block]
    install, *lines = [line.split("  #")[0] for line in block.splitlines()]
    assert install == "pip install 'evs-detach[openstack]'"
    (name,) = re.findall(r"^export OS_CLOUD=(\w+)", block, re.MULTILINE)
    auth = {
        "auth_url": cloud.identity_endpoint,
        "username": DETACHER,
        "password": DETACHER_PASSWORD,
        "user_domain_name": DETACHER_DOMAIN,
        "project_id": cloud.project_id,
    }
    clouds = tmp_path / ".config" / "openstack" / "clouds.yaml"
    clouds.parent.mkdir(parents=True)
    clouds.write_text(json.dumps({"clouds": {name: {"auth": auth}}}), encoding="utf-8")
    environment = {"HOME": str(tmp_path), "PATH": program_path, "PYTHONPATH": str(ROOT), "LANG": "C.UTF-8"}
    before = len(cloud.posts())
    ran = subprocess.run(
        ["bash", "-c", "\n".join(f"{line}; echo ended $?" for line in lines)],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    ended = [int(code) for code in re.findall(r"^ended (\d+)$", ran.stdout, re.MULTILINE)]
    assert ended[:2] == [0, 0], ran.stdout + ran.stderr  # export, check
    assert set(ended[2:]) == {3}, ran.stderr  # the tests' world has candidates whose server exists after all
    assert ran.stdout.count("543fdc50-6daa-48e5-808c-c4189495d318") >= 2
    assert len(cloud.posts()) - before == 5
