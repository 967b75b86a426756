"""The image as a builder makes it and a runtime runs it: the same bytes, no rights, and at work."""

from __future__ import annotations

import json
import os
import shutil
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from tests.embedded_cloud import Cloud, seed
from tests.image.conftest import Image
from tests.image.running import Container, bundle, started
from tests.infra.manifests import ROOT, rendered

pytestmark = pytest.mark.timeout(600)  # the first of them waits for the build


def test_the_image_is_the_same_bytes_when_built_again(image: Image, tmp_path: Path) -> None:
    again = tmp_path / "elsewhere"
    shutil.copytree(image.context, again)
    for path in again.rglob("*"):
        os.utime(path, (1, 1))
    assert image.builder.build(image.base, again) == image.id


def settings_at(cloud: Cloud) -> dict[str, str]:
    told = {"DETACH_TOKEN_SECRET": "env:TOKEN", "TOKEN": cloud.token(), "DETACH_INVOKE_AUTH": "platform"}
    return {**cloud.environment(), **told}


@contextmanager
def served(image: Image, settings: Mapping[str, str]) -> Iterator[tuple[Container, str]]:
    """Start the image's own entry point; its container and URL, once it says that it lives."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    told = {**settings, "HOST": "127.0.0.1", "PORT": str(port)}
    with started(bundle(image.files, image.config, None, told, {})) as container:
        url = f"http://127.0.0.1:{port}"
        for _ in range(300):
            try:
                if requests.get(f"{url}/healthz", timeout=5).status_code == 200:
                    break
            except requests.ConnectionError:
                assert container.process.poll() is None, container.ended()
                time.sleep(0.1)
        yield container, url


def test_clears_a_record_without_rights_and_ends_when_told(image: Image) -> None:
    with Cloud() as cloud:
        cloud.seed()
        with served(image, settings_at(cloud)) as (container, url):
            status = container.status
            assert status["Uid"].split() == status["Gid"].split() == ["65532"] * 4
            assert {status[name] for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {"0" * 16}
            assert status["NoNewPrivs"] == "1"
            answer = requests.post(url, json={"volume_id": seed.ORPHAN_VOLUME}, timeout=30).json()
            assert answer["outcome"] == "detached", answer
            assert cloud.volume(seed.ORPHAN_VOLUME).status == "available"
            container.terminate()
            code, out, err = container.ended()
    assert code == 0, err
    lines = [json.loads(line) for line in out.splitlines()]
    changes = [line["event"] for line in lines if line.get("call") == "os-detach"]
    assert changes == ["changing", "changed"], out


def test_what_has_begun_is_finished_when_told_to_end(image: Image) -> None:
    reached, told = threading.Event(), threading.Event()

    def hold(call: Any) -> None:
        if call.method == "POST":
            reached.set()
            assert told.wait(30)

    with Cloud() as cloud, ThreadPoolExecutor(1) as caller:
        cloud.seed()
        cloud.hooks.append(hold)
        with served(image, settings_at(cloud)) as (container, url):
            asked = caller.submit(requests.post, url, json={"volume_id": seed.ORPHAN_VOLUME}, timeout=60)
            assert reached.wait(30)
            container.terminate()
            told.set()
            assert asked.result().json()["outcome"] == "detached"
            assert container.ended()[0] == 0


def test_nothing_can_be_written_but_scratch(image: Image) -> None:
    script = """
import pathlib
written = []
for folder in pathlib.Path("/").iterdir():
    try:
        (folder / "x").write_text("x")
        written.append(str(folder))
    except OSError:
        pass
print(written)
"""
    with started(bundle(image.files, image.config, ["python", "-c", script], {}, {})) as container:
        assert container.ended() == (0, "['/tmp']\n", "")


def cron_job() -> tuple[dict[str, Any], dict[str, str]]:
    """The pod of infra/kubernetes, and its settings."""
    manifests = {manifest["kind"]: manifest for manifest in rendered(ROOT / "infra" / "kubernetes")}
    pod: dict[str, Any] = manifests["CronJob"]["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    return pod, manifests["ConfigMap"]["data"]


def test_the_cron_job_sweeps_as_its_manifest_says(image: Image, tmp_path: Path) -> None:
    pod, settings = cron_job()
    (sweep,) = pod["containers"]
    assert image.config["User"].partition(":")[0] == str(sweep["securityContext"]["runAsUser"])
    (mounted,) = [each["mountPath"] for each in sweep["volumeMounts"] if each["name"] == "openstack"]
    with Cloud() as cloud:
        cloud.seed()
        cloud.add_user("robot", "a password")
        login = {"auth_url": cloud.identity_endpoint, "username": "robot", "password": "a password"}
        login |= {"user_domain_name": "Default", "project_id": cloud.project_id}
        secret = tmp_path / "clouds.yaml"
        secret.write_text(yaml.safe_dump({"clouds": {"production": {"auth": login}}}), encoding="utf-8")
        words = [*sweep["command"], *sweep["args"]]
        files = {secret: f"{mounted}/clouds.yaml"}
        with started(bundle(image.files, image.config, words, settings, files)) as container:
            code, out, err = container.ended()
        assert cloud.posts() == []
    assert code == 3, err  # some candidates' servers exist after all; 4 comes after it
    assert json.loads(out)["summary"] == {"would_detach": 10, "refused": 2}
