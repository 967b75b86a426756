"""`vault:`: version 2 of the KV engine of HashiCorp Vault or OpenBao."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from handler.credentials.stores.vault import VaultStore
from handler.errors import Failure, Misconfigured, SecretUnavailable, Upstream
from handler.secret import Secret
from handler.settings.secret_reference import SecretReference, Store
from handler.settings.vault import VaultSettings
from tests.embedded_cloud import Cloud
from tests.unit.contexts import call_context
from tests.unit.credentials.deployment import Clock, Deployment, password

Deploy = Callable[[dict[str, str]], Deployment]
Read = Callable[..., str]


@pytest.fixture
def deployment(cloud: Cloud, deploy: Deploy) -> Deployment:
    """One whose Vault token is right, and whose secret is not written yet."""
    environment = {**cloud.environment(), "VAULT_TOKEN": cloud.add_vault_token(expires_in=1e9)}
    return deploy({**environment, "DETACH_TOKEN_SECRET": "vault:secret/team/robot"})


@pytest.fixture
def read(cloud: Cloud, deployment: Deployment, clock: Clock) -> Read:
    """Reads a reference's name and field with some way to a token."""
    stores: dict[Any, VaultStore] = {}

    def read(
        name: str = "secret/robot", field: str | None = None, jwt: Path | None = None, **vault: Any
    ) -> str:
        settings = VaultSettings(cloud.vault_addr, **(vault or {"token": Secret(cloud.add_vault_token())}))
        key = (name, field, settings.role, settings.kubernetes_mount)
        if key not in stores or settings.role is None:
            mount, _, path = name.partition("/")
            reference = SecretReference(Store.VAULT, path, field, mount)
            stores[key] = VaultStore(
                "DETACH_TOKEN_SECRET",
                reference,
                settings,
                deployment.transport,
                clock,
                str(jwt),
            )
        return stores[key].read(call_context())

    return read


def logins(cloud: Cloud) -> int:
    return sum(call.tail == "/v1/auth/kubernetes/login" for call in cloud.calls)


def test_whether_it_names_a_project_is_not_asked_of_a_secret_kept_elsewhere(
    cloud: Cloud, deployment: Deployment
) -> None:
    deployment.credentials.require_project(call_context())
    assert cloud.calls == []


def test_the_fields_of_a_password_buy_a_token(cloud: Cloud, deployment: Deployment) -> None:
    cloud.add_user("robot", "pw")
    cloud.put_vault_secret("secret", "team/robot", json.loads(password("pw")))
    deployment.invoke(calls=2)
    assert cloud.tokens_issued == 1
    assert [call.tail for call in cloud.calls if call.service == "vault"] == ["/v1/secret/data/team/robot"]


def test_one_field_is_the_secret_whatever_its_name(cloud: Cloud, read: Read) -> None:
    cloud.put_vault_secret("secret", "robot", {"value": "the token"})
    assert read() == "the token"


@pytest.mark.parametrize("field", ["", "#token"])
def test_a_mount_may_have_slashes(cloud: Cloud, deploy: Deploy, field: str) -> None:
    cloud.put_vault_secret("kv2/on/nested/path", "evs/detach", {"token": cloud.token()})
    environment = {**cloud.environment(), "VAULT_TOKEN": cloud.add_vault_token(expires_in=1e9)}
    reference = f"vault:kv2/on/nested/path//evs/detach{field}"
    deploy({**environment, "DETACH_TOKEN_SECRET": reference}).invoke()
    asked = [call.tail for call in cloud.calls if call.service == "vault"]
    assert asked == ["/v1/kv2/on/nested/path/data/evs/detach"]


def test_a_field_can_be_named(cloud: Cloud, read: Read) -> None:
    cloud.put_vault_secret("kv", "a b/c", {"token": "the token", "note": "other"})
    assert read("kv/a b/c", "token") == "the token"
    with pytest.raises(SecretUnavailable, match="names a field that the secret doesn't have") as caught:
        read("kv/a b/c", "tokens")
    assert caught.value.retryable is False


def test_a_field_may_hold_an_object_or_a_list(cloud: Cloud, read: Read) -> None:
    cloud.put_vault_secret("secret", "robot", {"keys": ["a", "b"], "robot": {"token": "t"}})
    assert json.loads(read(field="robot")) == {"token": "t"}
    assert json.loads(read(field="keys")) == ["a", "b"]
    assert json.loads(read()) == {"keys": ["a", "b"], "robot": {"token": "t"}}


@pytest.mark.parametrize("value", [5, True, None])
def test_a_field_that_is_no_text_is_no_secret(cloud: Cloud, read: Read, value: object) -> None:
    cloud.put_vault_secret("secret", "robot", {"token": value})
    with pytest.raises(SecretUnavailable, match="names a field that is not a text"):
        read()


def test_a_namespace_goes_into_its_header(cloud: Cloud, read: Read) -> None:
    cloud.put_vault_secret("secret", "robot", {"token": "t"}, namespace="team/a")
    token = Secret(cloud.add_vault_token())
    assert read(token=token, namespace="team/a") == "t"
    with pytest.raises(SecretUnavailable, match="check mount, path and namespace"):
        read(token=token, namespace="team/b")
    with pytest.raises(Misconfigured, match="VAULT_NAMESPACE"):
        read(token=token, namespace="a\r\nb")


def test_a_token_file_is_read_each_time(cloud: Cloud, read: Read, tmp_path: Path) -> None:
    cloud.put_vault_secret("secret", "robot", {"token": "t"})
    file = tmp_path / "vault-token"
    with pytest.raises(SecretUnavailable, match="VAULT_TOKEN_FILE names a file that does not exist"):
        read(token_file=str(file))
    file.write_text("stale", encoding="utf-8")
    with pytest.raises(SecretUnavailable, match="Vault doesn't permit reading"):
        read(token_file=str(file))
    file.write_text(cloud.add_vault_token() + "\n", encoding="utf-8")
    assert read(token_file=str(file)) == "t"


def test_a_vault_token_that_cannot_stand_in_a_header_is_not_sent(cloud: Cloud, read: Read) -> None:
    with pytest.raises(Misconfigured, match="VAULT_TOKEN is not a token") as caught:
        read(token=Secret("h1dden\nX: y"))
    assert "h1dden" not in caught.value.message
    assert cloud.calls == []


# Kubernetes.


@pytest.fixture
def pod(cloud: Cloud, tmp_path: Path) -> Path:
    """The pod's service account token, which the role "robot" takes."""
    cloud.put_vault_secret("secret", "robot", {"token": "t"})
    cloud.vault_roles["robot"] = "jwt-of-the-pod"
    file = tmp_path / "jwt"
    file.write_text("jwt-of-the-pod\n", encoding="utf-8")
    return file


def test_a_role_logs_in_with_the_pods_service_account(cloud: Cloud, read: Read, pod: Path) -> None:
    assert read(role="robot", jwt=pod) == "t"
    assert cloud.calls[0].body == {"role": "robot", "jwt": "jwt-of-the-pod"}


def test_the_login_is_mounted_where_the_setting_says(cloud: Cloud, read: Read, pod: Path) -> None:
    cloud.vault.kubernetes_mount = "kubernetes-dev/eu"
    with pytest.raises(SecretUnavailable, match="VAULT_K8S_MOUNT says"):
        read(role="robot", jwt=pod)
    assert read(role="robot", jwt=pod, kubernetes_mount="kubernetes-dev/eu") == "t"
    assert cloud.calls[-2].tail == "/v1/auth/kubernetes-dev/eu/login"


def test_a_standby_that_does_not_forward_is_said_and_asked_again(cloud: Cloud, read: Read, pod: Path) -> None:
    cloud.vault.active = "https://active.example"
    for token in ({}, {"role": "robot", "jwt": pod}):
        with pytest.raises(SecretUnavailable, match="A standby of Vault answered") as caught:
            read(**token)
        assert caught.value.retryable is True
    cloud.vault.active = None
    assert read(role="robot", jwt=pod) == "t"


def test_a_login_lasts_for_nine_tenths_of_its_lease(
    cloud: Cloud, read: Read, pod: Path, clock: Clock
) -> None:
    for passed, expected in ((0, 1), (3239, 1), (1, 2)):
        clock.passes(passed)
        assert read(role="robot", jwt=pod) == "t"
        assert logins(cloud) == expected


def test_a_lease_of_none_does_not_end(cloud: Cloud, read: Read, pod: Path, clock: Clock) -> None:
    cloud.vault.lease_seconds = 0
    cloud.hook(lambda _: cloud.vault_tokens.update(dict.fromkeys(cloud.vault_tokens, 1e12)))
    read(role="robot", jwt=pod)
    clock.passes(1e6)
    read(role="robot", jwt=pod)
    assert logins(cloud) == 1


def test_a_login_that_was_revoked_is_made_anew_once(cloud: Cloud, read: Read, pod: Path) -> None:
    read(role="robot", jwt=pod)
    cloud.vault_tokens.clear()
    assert read(role="robot", jwt=pod) == "t"
    assert logins(cloud) == 2


def test_a_role_that_may_not_read_is_not_logged_in_for_ever(cloud: Cloud, read: Read, pod: Path) -> None:
    cloud.vault_denied.add("secret/robot")
    for expected in (1, 2):
        with pytest.raises(SecretUnavailable, match="check the policy"):
            read(role="robot", jwt=pod)
        assert logins(cloud) == expected


def test_a_login_that_was_just_made_is_not_made_again_for_a_refusal(
    cloud: Cloud, read: Read, pod: Path, clock: Clock
) -> None:
    read(role="robot", jwt=pod)
    cloud.vault_denied.add("secret/robot")
    clock.passes(3600)
    with pytest.raises(SecretUnavailable, match="check the policy"):
        read(role="robot", jwt=pod)
    assert logins(cloud) == 2


def test_a_login_is_tried_once_more_after_no_answer(cloud: Cloud, read: Read, pod: Path) -> None:
    cloud.misbehave("vault", "POST", drop="before")
    assert read(role="robot", jwt=pod) == "t"
    assert logins(cloud) == 2


@pytest.mark.parametrize(
    ("rule", "said", "retryable"),
    [
        (
            {"status": 400, "body": {"errors": ['invalid role name "robot"']}},
            "the role exists and is bound",
            False,
        ),
        ({"status": 403, "body": {"errors": ["permission denied"]}}, "the role exists and is bound", False),
        ({"status": 503, "body": {"errors": ["Vault is sealed"]}}, "Vault is sealed", True),
        ({"status": 500, "body": {"errors": ["oh"]}}, r"Vault is unavailable \(it answered 500\)", True),
        ({"status": 200, "body": {"auth": None}}, "answered the login with what can't be read", True),
        (
            {"status": 200, "body": {"auth": {"client_token": "a b", "lease_duration": 5}}},
            "can't be read",
            True,
        ),
        ({"drop": "before"}, r"The connection to the vault service failed", True),
    ],
)
def test_a_login_that_fails(
    cloud: Cloud, read: Read, pod: Path, rule: dict[str, Any], said: str, *, retryable: bool
) -> None:
    cloud.misbehave("vault", "POST", times=None, **rule)
    with pytest.raises(SecretUnavailable, match=said) as caught:
        read(role="robot", jwt=pod)
    assert caught.value.retryable is retryable


def test_a_pod_without_a_service_account(read: Read, tmp_path: Path) -> None:
    with pytest.raises(
        SecretUnavailable, match=r"VAULT_ROLE \(by the pod's service account\) names a file that"
    ):
        read(role="robot", jwt=tmp_path / "absent")


# What it says when it gives nothing.


def _sealed(cloud: Cloud) -> None:
    cloud.vault_sealed = True


def _denied(cloud: Cloud) -> None:
    cloud.put_vault_secret("secret", "team/robot", {"token": "t"})
    cloud.vault_denied.add("secret/team/robot")


def _expired(cloud: Cloud) -> None:
    cloud.vault_tokens.clear()


def _deleted(cloud: Cloud) -> None:
    cloud.put_vault_secret("secret", "team/robot", {"token": "t"})
    cloud.delete_vault_secret("secret", "team/robot")


def _destroyed(cloud: Cloud) -> None:
    cloud.put_vault_secret("secret", "team/robot", {"token": "t"})
    cloud.delete_vault_secret("secret", "team/robot", destroy=True)


def _absent(cloud: Cloud) -> None:
    cloud.put_vault_secret("secret", "team/other", {"token": "t"})


def _no_mount(cloud: Cloud) -> None:
    cloud.put_vault_secret("kv", "team/robot", {"token": "t"})


def _version_one(cloud: Cloud) -> None:
    cloud.misbehave(
        "vault", status=404, body={"data": None, "warnings": ["Invalid path for a versioned K/V"]}
    )


def _other_engine(cloud: Cloud) -> None:
    cloud.misbehave("vault", status=200, body={"data": {"token": "t"}})


def _behind(cloud: Cloud) -> None:
    cloud.misbehave("vault", status=412, body={"errors": ["required index state not present"]})


def _redirected(cloud: Cloud) -> None:
    cloud.misbehave("vault", status=307, redirect_to="https://other.example/v1/secret/data/team/robot")


def _slow(cloud: Cloud) -> None:
    cloud.misbehave("vault", drop="before", times=None)


def _html(cloud: Cloud) -> None:
    cloud.misbehave("vault", status=503, body="<html>unavailable</html>", times=None)


NAMES = "DETACH_TOKEN_SECRET names"
STANDBY = (
    "A standby of Vault answered, and names the active node instead of asking it (a redirect, never "
    "followed): set VAULT_ADDR to the active node, or to what stands in front of all."
)
DENIED = (
    f"Vault doesn't permit reading what {NAMES}: check the policy (read on MOUNT/data/PATH), and whether "
    "Vault's own token has expired."
)


@pytest.mark.parametrize(
    ("arrange", "said", "retryable"),
    [
        (_sealed, "Vault is sealed: it gives nothing until it is unsealed.", True),
        (
            _denied,
            DENIED,
            False,
        ),
        (
            _expired,
            DENIED,
            False,
        ),
        (_deleted, f"The latest version of what {NAMES} is deleted: write a new one.", False),
        (_destroyed, f"The latest version of what {NAMES} is destroyed: write a new one.", False),
        (_absent, f"{NAMES} a path that Vault doesn't have: check mount, path and namespace.", False),
        (_no_mount, f"{NAMES} a path that Vault doesn't have: check mount, path and namespace.", False),
        (_version_one, f"{NAMES} a path that is not of a KV engine, version 2.", False),
        (_other_engine, f"{NAMES} a path that is not of a KV engine, version 2.", False),
        (_redirected, STANDBY, True),
        (_behind, "Vault is unavailable (it answered 412).", True),
        (_html, "Vault is unavailable (it answered 503).", True),
        (_slow, "The connection to the vault service failed (RemoteDisconnected).", True),
    ],
)
def test_what_is_said_when_it_gives_nothing(
    cloud: Cloud, deployment: Deployment, arrange: Callable[[Cloud], None], said: str, *, retryable: bool
) -> None:
    arrange(cloud)
    with pytest.raises(SecretUnavailable) as caught:
        deployment.invoke()
    assert (caught.value.message, caught.value.retryable) == (said, retryable)


def test_what_vault_itself_said_comes_along(cloud: Cloud, deployment: Deployment) -> None:
    _denied(cloud)
    with pytest.raises(SecretUnavailable) as caught:
        deployment.invoke()
    said = "1 error occurred: * permission denied"
    assert caught.value.upstream == Upstream(403, None, said, None)


def test_nothing_is_quoted_of_a_secret_of_another_engine(cloud: Cloud, deployment: Deployment) -> None:
    """Version 1 answers with the secret itself, whose fields may be called anything."""
    body = {"data": {"code": "7391", "message": "the secret itself"}}
    cloud.misbehave("vault", status=200, body=body, headers={"X-Request-Id": "v-1"})
    with pytest.raises(SecretUnavailable) as caught:
        deployment.invoke()
    assert caught.value.upstream == Upstream(200, None, None, "v-1")


def test_a_sealed_vault_takes_no_issued_token_away(
    cloud: Cloud, deployment: Deployment, clock: Clock, log: Callable[[], list[dict[str, Any]]]
) -> None:
    cloud.add_user("robot", "pw")
    cloud.put_vault_secret("secret", "team/robot", json.loads(password("pw")))
    deployment.invoke()
    cloud.vault_sealed = True
    clock.passes(300)
    deployment.invoke()
    deployment.invoke()
    assert [line["error"] for line in log() if line["event"] == "token_kept"] == ["secret_unavailable"]
    cloud.expire_all_tokens()
    with pytest.raises(Failure, match="Vault is sealed"):
        deployment.invoke()
    cloud.vault_sealed = False
    deployment.invoke()
    assert cloud.tokens_issued == 2
