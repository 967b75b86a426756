"""The CronJob as kustomize renders it: valid, bounded, hardened, and a dry run until one line is changed."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import uuid
from pathlib import Path

import kubernetes_validate  # type: ignore[import-untyped]
import pytest
import yaml

from handler.terminal.exit_code import ExitCode
from tests.embedded_cloud import Cloud, seed
from tests.infra.manifests import ROOT, Manifest, in_namespace, rendered

KUBERNETES = ROOT / "infra" / "kubernetes"
COMPONENTS = ("ca-bundle", "vault", "whole-cloud")


def with_component(name: str, folder: Path) -> list[Manifest]:
    """What is rendered with a component, added as its first lines say."""
    copy = folder / "kubernetes"
    shutil.copytree(KUBERNETES, copy)
    base = copy / "base" / "kustomization.yaml"
    base.write_text(
        base.read_text(encoding="utf-8") + f"components: [../components/{name}]\n", encoding="utf-8"
    )
    return rendered(copy)


def only(manifests: list[Manifest], kind: str) -> Manifest:
    (found,) = (manifest for manifest in manifests if manifest["kind"] == kind)
    return found


def pod(manifests: list[Manifest]) -> Manifest:
    spec: Manifest = only(manifests, "CronJob")["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    return spec


def container(manifests: list[Manifest]) -> Manifest:
    (found,) = pod(manifests)["containers"]
    made: Manifest = found
    return made


def settings(manifests: list[Manifest]) -> dict[str, str]:
    data: dict[str, str] = only(manifests, "ConfigMap")["data"]
    return data


@pytest.fixture(params=[None, *COMPONENTS])
def manifests(request: pytest.FixtureRequest, tmp_path: Path) -> list[Manifest]:
    """As it is, and with each component."""
    return rendered(KUBERNETES) if request.param is None else with_component(request.param, tmp_path)


@pytest.mark.parametrize("apply", [False, True])
def test_the_pods_own_command_line_sweeps(apply: bool) -> None:
    made = container(rendered(KUBERNETES))
    line: list[str] = made["command"] + made["args"] + (["--apply"] if apply else [])
    python, *words = line
    assert python == "python"
    with Cloud() as cloud:
        cloud.seed()
        told = {**cloud.environment(), "DETACH_TOKEN_SECRET": "env:TOKEN", "TOKEN": cloud.token()}
        bare = {name: value for name, value in os.environ.items() if not name.startswith("DETACH_")}
        ran = subprocess.run(
            [sys.executable, *words],
            cwd=ROOT,
            env={**bare, **told},
            capture_output=True,
            check=False,
            timeout=60,
        )
        result = json.loads(ran.stdout)
    assert ran.returncode == 3  # some candidates' servers exist after all; 4 comes after it
    assert set(result["summary"]) == {"refused", "detached" if apply else "would_detach"}


@pytest.mark.parametrize("excluding", [False, True])
def test_the_whole_cloud_s_sweep_finds_every_projects_orphans(tmp_path: Path, excluding: bool) -> None:
    (component,) = (KUBERNETES / "components" / "whole-cloud").iterdir()
    lines = component.read_text(encoding="utf-8").splitlines()
    copy = tmp_path / "kubernetes"
    shutil.copytree(KUBERNETES, copy)
    base = copy / "base" / "kustomization.yaml"
    base.write_text(
        f"{base.read_text(encoding='utf-8')}components: [../components/whole-cloud]\n", encoding="utf-8"
    )
    if excluding:  # the comment's own lines
        start = next(number for number, line in enumerate(lines) if line.strip() == "# - op: add")
        lines[start:] = [line.replace("# ", "", 1) for line in lines[start:]]
        (copy / component.relative_to(KUBERNETES)).write_text("\n".join(lines), encoding="utf-8")
    made = rendered(copy)
    assert settings(made)["DETACH_SCOPE"] == "cloud"
    with Cloud() as cloud:
        for project_id in (cloud.project_id, cloud.other_project_id):
            cloud.add_volume(attachments=[cloud.add_server(project_id=project_id)], project_id=project_id)
            cloud.add_volume(attachments=[str(uuid.uuid4())], project_id=project_id)
        told = {**settings(made), **cloud.environment()}
        told |= {"DETACH_TOKEN_SECRET": "env:TOKEN", "TOKEN": cloud.token(role="admin")}
        bare = {name: value for name, value in os.environ.items() if not name.startswith("DETACH_")}
        ran = subprocess.run(
            [sys.executable, *container(made)["command"][1:], *container(made)["args"]],
            cwd=ROOT,
            env={**bare, **told},
            capture_output=True,
            check=False,
            timeout=60,
        )
        result = json.loads(ran.stdout)
    assert ran.returncode == 4, ran
    expected = {cloud.project_id: {"would_detach": 1}}
    if not excluding:
        expected[cloud.other_project_id] = {"would_detach": 1}
    assert result["projects"] == expected


def test_every_manifest_is_valid_by_kubernetes_own_schema(manifests: list[Manifest]) -> None:
    for manifest in manifests:
        kubernetes_validate.validate(manifest, "1.37", strict=True)
    kinds = {manifest["kind"] for manifest in manifests}
    assert kinds == {"Namespace", "ConfigMap", "CronJob", "NetworkPolicy", "ServiceAccount"}


def test_a_misspelt_field_is_caught() -> None:
    broken = json.loads(json.dumps(only(rendered(KUBERNETES), "CronJob")))
    broken["spec"]["concurencyPolicy"] = broken["spec"].pop("concurrencyPolicy")
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(broken, "1.37", strict=True)


def test_never_two_at_once_and_nothing_is_repeated_by_itself(manifests: list[Manifest]) -> None:
    spec = only(manifests, "CronJob")["spec"]
    job = spec["jobTemplate"]["spec"]
    assert spec["concurrencyPolicy"] == "Forbid"
    assert job["backoffLimit"] == 0
    assert pod(manifests)["restartPolicy"] == "Never"
    assert 1 <= spec["successfulJobsHistoryLimit"] <= spec["failedJobsHistoryLimit"] <= 10


def test_a_sweep_ends_by_itself_before_it_is_ended(manifests: list[Manifest]) -> None:
    deadline = only(manifests, "CronJob")["spec"]["jobTemplate"]["spec"]["activeDeadlineSeconds"]
    assert float(settings(manifests)["DETACH_TIMEOUT"]) < deadline


def test_it_is_a_dry_run_until_one_line_is_changed(tmp_path: Path) -> None:
    assert "--apply" not in container(rendered(KUBERNETES))["args"]
    assert "DETACH_SWEEP_DRY_RUN" not in settings(rendered(KUBERNETES))
    copy = tmp_path / "kubernetes"
    shutil.copytree(KUBERNETES, copy)
    file = copy / "base" / "cron-job.yaml"
    text = file.read_text(encoding="utf-8")
    (line,) = [line for line in text.splitlines() if re.fullmatch(r"\s*# - --apply", line)]
    file.write_text(text.replace(line, line.replace("# ", "")), encoding="utf-8")
    changed = container(rendered(copy))["args"]
    assert changed == [*container(rendered(KUBERNETES))["args"], "--apply"]


def test_it_is_not_root_and_has_nothing_that_it_does_not_need(manifests: list[Manifest]) -> None:
    security = container(manifests)["securityContext"]
    assert security == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
        "runAsNonRoot": True,
        "runAsUser": 65532,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert pod(manifests)["enableServiceLinks"] is False
    resources = container(manifests)["resources"]
    assert set(resources["requests"]) == set(resources["limits"]) == {"cpu", "memory"}
    assert only(manifests, "Namespace")["metadata"]["labels"] == {
        "pod-security.kubernetes.io/enforce": "restricted"
    }


def test_the_pod_s_own_token_is_there_only_to_log_in_at_vault(manifests: list[Manifest]) -> None:
    assert only(manifests, "ServiceAccount")["automountServiceAccountToken"] is False
    assert pod(manifests)["automountServiceAccountToken"] is ("VAULT_ROLE" in settings(manifests))


def test_secrets_are_files_that_it_may_only_read(manifests: list[Manifest]) -> None:
    assert not any(manifest["kind"] == "Secret" for manifest in manifests)
    mounts = {mount["name"]: mount for mount in container(manifests)["volumeMounts"]}
    volumes = {volume["name"]: volume for volume in pod(manifests)["volumes"]}
    assert set(mounts) == set(volumes)
    for name, volume in volumes.items():
        if name == "scratch":
            assert volume["emptyDir"] == {"medium": "Memory", "sizeLimit": "16Mi"}
        else:
            assert mounts[name]["readOnly"] is True
            assert not volume.get("secret", {}).get("optional", False)
    named = {value for name, value in settings(manifests).items() if value.startswith("/var/run/")}
    held = {
        f"{mounts[name]['mountPath']}/{item['path']}"
        for name, volume in volumes.items()
        for item in volume.get("secret", {}).get("items", [])
    } | {f"{mounts[name]['mountPath']}/ca.pem" for name in volumes if name == "ca"}
    assert named == held


def test_nothing_comes_in_and_only_the_cloud_is_reached(manifests: list[Manifest]) -> None:
    policy = only(manifests, "NetworkPolicy")["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert "ingress" not in policy
    names, *others = policy["egress"]
    assert names["to"] == [in_namespace("kube-system")]
    # ranges for documentation: until the user names the cloud's, nothing leaves
    ranges = {to["ipBlock"]["cidr"] for rule in others for to in rule["to"]}
    assert ranges <= {"198.51.100.0/24", "203.0.113.0/24"}
    assert [port["port"] for port in others[0]["ports"]] == [443, 5000, 8774, 8776]
    labels = only(manifests, "CronJob")["spec"]["jobTemplate"]["spec"]["template"]["metadata"]["labels"]
    assert policy["podSelector"]["matchLabels"].items() <= labels.items()


def at_its_place(manifests: list[Manifest], clouds: Manifest, folder: Path) -> dict[str, str]:
    """The pod's settings, with a clouds.yaml where its Secret is mounted, all below a folder."""
    (mount,) = (mount for mount in container(manifests)["volumeMounts"] if mount["name"] == "openstack")
    (volume,) = (volume for volume in pod(manifests)["volumes"] if volume["name"] == "openstack")
    (item,) = volume["secret"]["items"]
    place = mount["mountPath"]
    (folder / place.lstrip("/")).mkdir(parents=True)
    file = folder / place.lstrip("/") / item["path"]
    file.write_text(yaml.safe_dump({"clouds": clouds}), encoding="utf-8")
    named = {name: f"{folder}{value}" for name, value in settings(manifests).items() if place in value}
    assert set(named) == {"OS_CLIENT_CONFIG_FILE"}
    return {**settings(manifests), **named}


def test_the_pods_own_command_sweeps_with_a_clouds_yaml_at_its_place(tmp_path: Path) -> None:
    manifests = rendered(KUBERNETES)
    made = container(manifests)
    with Cloud() as cloud:
        cloud.seed()
        cloud.add_user("robot", "a password")
        auth = {
            "auth_url": cloud.identity_endpoint,
            "username": "robot",
            "password": "a password",
            "user_domain_name": "Default",
            "project_id": cloud.project_id,
        }
        told = at_its_place(manifests, {"production": {"auth": auth}}, tmp_path)
        done = subprocess.run(
            [sys.executable, *made["command"][1:], *made["args"]],
            cwd=ROOT,
            env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1", **told},
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
        # The demo world has live servers' disks, too, which are refused: of the two, that counts more
        assert done.returncode == ExitCode.REFUSED, done.stdout + done.stderr
        result = json.loads(done.stdout)
        assert result["error"] is None
        found = {one["volume_id"]: one["outcome"] for one in result["results"]}
        assert found[seed.ORPHAN_VOLUME] == "would_detach"
        assert "a password" not in done.stdout + done.stderr
        assert {call.method for call in cloud.calls if call.service != "identity"} == {"GET"}
