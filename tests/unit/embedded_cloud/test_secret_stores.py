"""The two secret stores: Huawei Cloud's CSMS and a Vault with KV version 2."""

from __future__ import annotations

import base64
from typing import Any

import pytest
import requests

from tests.embedded_cloud import Cloud
from tests.unit.embedded_cloud.client import ask


def _csms(cloud: Cloud, name: str, version: str = "latest", token: str | None = "") -> requests.Response:
    path = f"/kms/v1/{cloud.project_id}/secrets/{name}/versions/{version}"
    return ask(cloud, "GET", path, cloud.token() if token == "" else token)


def test_csms_gives_the_latest_and_each_older_version(huawei: Cloud) -> None:
    assert huawei.put_csms_secret("detach", "first") == "v1"
    assert huawei.put_csms_secret("detach", "second") == "v2"
    assert huawei.put_csms_secret("detach", b"\x00\xff", binary=True) == "v3"

    latest = _csms(huawei, "detach").json()["version"]
    second = _csms(huawei, "detach", "v2").json()["version"]
    first = _csms(huawei, "detach", "v1").json()["version"]

    assert base64.b64decode(latest["secret_binary"]) == b"\x00\xff"
    assert "secret_string" not in latest
    assert (second["secret_string"], first["secret_string"]) == ("second", "first")
    assert "secret_binary" not in second
    stages = [version["version_metadata"]["version_stages"] for version in (latest, second, first)]
    assert stages == [["SYSCURRENT"], ["SYSPREVIOUS"], []]
    assert latest["version_metadata"]["secret_name"] == "detach"


@pytest.mark.parametrize(
    ("state", "name", "version", "code"),
    [
        ("ENABLED", "missing", "latest", "CSMS.0106"),
        ("ENABLED", "detach", "v9", "CSMS.0005"),
        ("ENABLED", "detach", "SYSCURRENT", "CSMS.0005"),
        ("PENDING_DELETE", "detach", "latest", "CSMS.0103"),
        ("DISABLED", "detach", "latest", "CSMS.0102"),
        ("FROZEN", "detach", "latest", "CSMS.0102"),
    ],
)
def test_csms_gives_nothing_else(huawei: Cloud, state: str, name: str, version: str, code: str) -> None:
    huawei.put_csms_secret("detach", "value", state=state)

    answer = _csms(huawei, name, version)

    assert (answer.status_code, answer.json()["error"]["error_code"]) == (400, code)
    assert answer.json()["error"]["error_msg"]
    assert "value" not in answer.text


def test_csms_wants_a_token_of_the_secrets_project(huawei: Cloud) -> None:
    huawei.put_csms_secret("detach", "value")

    absent, unknown = _csms(huawei, "detach", token=None), _csms(huawei, "detach", token="x")
    expired = _csms(huawei, "detach", token=huawei.token(expires_in=0))
    foreign = _csms(huawei, "detach", token=huawei.token(huawei.other_project_id))
    reader = _csms(huawei, "detach", token=huawei.token(role="reader"))

    assert [answer.status_code for answer in (absent, unknown, expired)] == [401] * 3
    assert [answer.json()["error_code"] for answer in (absent, unknown, expired)] == ["APIGW.0301"] * 3
    assert [answer.status_code for answer in (foreign, reader)] == [403] * 2


def test_csms_tells_a_secrets_state(huawei: Cloud) -> None:
    huawei.put_csms_secret("detach", "value", state="DISABLED")

    answer = ask(huawei, "GET", f"/kms/v1/{huawei.project_id}/secrets/detach", huawei.token())

    assert answer.json()["secret"]["state"] == "DISABLED"


def _vault(
    cloud: Cloud, path: str, token: str | None, namespace: str | None = None, **params: str
) -> requests.Response:
    headers = {"X-Vault-Token": token} if token else {}
    if namespace is not None:
        headers["X-Vault-Namespace"] = namespace
    return ask(cloud, "GET", f"/vault/v1/{path}", headers=headers, params=params)


def test_vault_gives_the_latest_and_each_older_version(cloud: Cloud) -> None:
    token = cloud.add_vault_token()
    assert cloud.put_vault_secret("secret", "cloud/detach", {"token": "first"}) == 1
    assert cloud.put_vault_secret("secret", "cloud/detach", {"token": "second"}) == 2

    answer = _vault(cloud, "secret/data/cloud/detach", token)
    older = _vault(cloud, "secret/data/cloud/detach", token, version="1").json()["data"]

    content = answer.json()
    assert content["data"]["data"] == {"token": "second"}
    assert content["data"]["metadata"] | {"created_time": ""} == {
        "created_time": "",
        "custom_metadata": None,
        "deletion_time": "",
        "destroyed": False,
        "version": 2,
    }
    assert {"request_id", "lease_id", "renewable", "lease_duration", "auth", "mount_type"} <= set(content)
    assert answer.headers["Cache-Control"] == "no-store"
    assert (older["data"], older["metadata"]["version"]) == ({"token": "first"}, 1)


def test_vault_keeps_namespaces_and_mounts_apart(cloud: Cloud) -> None:
    token = cloud.add_vault_token()
    cloud.put_vault_secret("team/kv", "detach", {"token": "inner"}, namespace="ops")

    assert _vault(cloud, "team/kv/data/detach", token, "ops").json()["data"]["data"] == {"token": "inner"}
    assert _vault(cloud, "team/kv/data/detach", token, "ops/").status_code == 200
    other = _vault(cloud, "team/kv/data/detach", token)
    assert (other.status_code, other.json()["errors"][0][:20]) == (404, "no handler for route")


@pytest.mark.parametrize("destroy", [False, True])
def test_a_deleted_version_is_a_404_that_says_when(cloud: Cloud, destroy: bool) -> None:
    cloud.put_vault_secret("secret", "detach", {"token": "value"})
    cloud.delete_vault_secret("secret", "detach", destroy=destroy)

    answer = _vault(cloud, "secret/data/detach", cloud.add_vault_token())

    assert answer.status_code == 404
    data = answer.json()["data"]
    assert data["data"] is None
    assert data["metadata"]["deletion_time"].endswith("Z")
    assert data["metadata"]["destroyed"] is destroy


def test_vault_refuses_as_the_real_one(cloud: Cloud) -> None:
    cloud.now = lambda: 1_800_000_000.0
    token = cloud.add_vault_token()
    cloud.put_vault_secret("secret", "detach", {"token": "value"})
    cloud.put_vault_secret("secret", "hidden", {"token": "value"})
    cloud.vault_denied.add("secret/hidden")

    def errors(path: str, with_token: str | None = token, **params: str) -> tuple[int, Any]:
        answer = _vault(cloud, path, with_token, **params)
        return answer.status_code, answer.json()["errors"]

    invalid = ["2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n"]
    assert errors("secret/data/missing") == (404, [])
    assert errors("secret/data/detach", version="7") == (404, [])
    assert errors("secret/data/detach", None) == (403, ["permission denied"])
    assert errors("secret/data/detach", "hvs.wrong") == (403, invalid)
    assert errors("secret/data/detach", cloud.add_vault_token(expires_in=0)) == (403, invalid)
    assert errors("secret/data/hidden") == (403, ["1 error occurred:\n\t* permission denied\n\n"])
    version_one = _vault(cloud, "secret/detach", token)
    assert version_one.status_code == 404
    assert version_one.json()["warnings"][0].startswith("Invalid path for a versioned K/V secrets engine")


def test_a_sealed_vault_gives_nothing_but_its_state(cloud: Cloud) -> None:
    token = cloud.add_vault_token()
    cloud.put_vault_secret("secret", "detach", {"token": "value"})
    assert ask(cloud, "GET", "/vault/v1/sys/health").status_code == 200
    cloud.vault_sealed = True

    answer = _vault(cloud, "secret/data/detach", token)

    assert (answer.status_code, answer.json()) == (503, {"errors": ["Vault is sealed"]})
    assert ask(cloud, "GET", "/vault/v1/sys/health").status_code == 503
    assert ask(cloud, "GET", "/vault/v1/sys/seal-status").json()["sealed"] is True
    cloud.vault_sealed = False
    assert _vault(cloud, "secret/data/detach", token).status_code == 200


def test_a_pod_logs_in_with_its_service_account(cloud: Cloud) -> None:
    now = [1_800_000_000.0]
    cloud.now = lambda: now[0]
    cloud.vault_roles["detach"] = "pod.jwt.text"
    cloud.put_vault_secret("secret", "detach", {"token": "value"})

    def login(**body: str) -> requests.Response:
        return ask(cloud, "POST", "/vault/v1/auth/kubernetes/login", json=body)

    auth = login(role="detach", jwt="pod.jwt.text").json()["auth"]

    assert (auth["lease_duration"], auth["renewable"]) == (3600, True)
    token = auth["client_token"]
    assert _vault(cloud, "secret/data/detach", token).status_code == 200
    now[0] += 3600
    assert _vault(cloud, "secret/data/detach", token).status_code == 403
    assert (login(role="other", jwt="x").status_code, login(role="other", jwt="x").json()) == (
        400,
        {"errors": ['invalid role name "other"']},
    )
    assert login(role="detach", jwt="forged").status_code == 403
    assert login(jwt="x").json() == {"errors": ["missing role"]}
    assert login(role="detach").json() == {"errors": ["missing jwt"]}
