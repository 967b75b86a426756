"""`csms:`: Huawei Cloud's secret store, read with the platform's own token."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from handler.errors import Failure, Misconfigured, SecretUnavailable
from handler.invocation import NO_PLATFORM, Platform
from handler.secret import Secret
from tests.embedded_cloud import Cloud
from tests.unit.credentials.deployment import Clock, Deployment, password

Deploy = Callable[[dict[str, str]], Deployment]
SECRET = "The secret that DETACH_TOKEN_SECRET names "


def platform_of(cloud: Cloud, **more: Any) -> Platform:
    return Platform(Secret(cloud.token(user="agency", **more)), cloud.project_id)


@pytest.fixture
def deployment(cloud: Cloud, deploy: Deploy) -> Deployment:
    return deploy({**cloud.environment(), "DETACH_TOKEN_SECRET": "csms:robot.pw-1"})


def reads(cloud: Cloud) -> list[str]:
    return [call.tail for call in cloud.calls if call.service == "csms"]


def test_the_latest_version_is_read_with_the_platforms_token(cloud: Cloud, deployment: Deployment) -> None:
    cloud.add_user("robot", "new")
    cloud.put_csms_secret("robot.pw-1", password("old"))
    cloud.put_csms_secret("robot.pw-1", password("new"))
    platform = platform_of(cloud)
    deployment.invoke(calls=2, platform=platform)
    deployment.invoke(platform=platform_of(cloud))
    assert reads(cloud) == [f"/v1/{cloud.project_id}/secrets/robot.pw-1/versions/latest"]
    assert cloud.tokens_issued == 1
    (sent,) = [call.headers["x-auth-token"] for call in cloud.calls if call.service == "csms"]
    assert platform.token is not None
    assert sent == platform.token.reveal()


def test_a_version_can_be_named(cloud: Cloud, deploy: Deploy) -> None:
    token = cloud.token()
    cloud.put_csms_secret("s", token)
    cloud.put_csms_secret("s", "later")
    deployment = deploy({**cloud.environment(), "DETACH_TOKEN_SECRET": "csms:s@v1"})
    deployment.invoke(platform=platform_of(cloud))
    assert cloud.calls[-1].headers["x-auth-token"] == token


def test_another_version_than_the_named_one_is_not_believed(cloud: Cloud, deploy: Deploy) -> None:
    cloud.put_csms_secret("s", "h1dden")
    cloud.put_csms_secret("s", "later")
    metadata = {"version_metadata": {"id": "v2", "secret_name": "s"}, "secret_string": "h1dden"}
    cloud.misbehave("csms", status=200, body={"version": metadata})
    deployment = deploy({**cloud.environment(), "DETACH_TOKEN_SECRET": "csms:s@v1"})
    with pytest.raises(SecretUnavailable, match="about another secret, or version"):
        deployment.invoke(platform=platform_of(cloud))


def test_a_binary_secret_is_its_bytes_as_text(cloud: Cloud, deployment: Deployment) -> None:
    token = cloud.token()
    cloud.put_csms_secret("robot.pw-1", f"{token}\n", binary=True)
    deployment.invoke(platform=platform_of(cloud))
    assert cloud.calls[-1].headers["x-auth-token"] == token


def test_the_project_is_the_functions_own_and_not_the_one_that_is_cleared(
    cloud: Cloud, deploy: Deploy
) -> None:
    remote = cloud.other_project_id
    cloud.put_csms_secret("s", cloud.token(remote))
    environment = {**cloud.environment(), "DETACH_PROJECT_ID": remote, "DETACH_TOKEN_SECRET": "csms:s"}
    environment["RUNTIME_PROJECT_ID"] = cloud.project_id
    deployment = deploy(environment)
    deployment.invoke(platform=Platform(platform_of(cloud).token, "of-no-account"))
    assert reads(cloud) == [f"/v1/{cloud.project_id}/secrets/s/versions/latest"]
    assert remote in cloud.calls[-1].path


def test_the_project_is_the_configured_one_where_the_platform_names_none(
    cloud: Cloud, deployment: Deployment
) -> None:
    cloud.put_csms_secret("robot.pw-1", cloud.token())
    deployment.invoke(platform=Platform(platform_of(cloud).token, "null"))
    assert len(reads(cloud)) == 1


def test_without_any_project_it_is_said_which_setting_is_missing(cloud: Cloud, deploy: Deploy) -> None:
    environment = {**cloud.environment(), "DETACH_TOKEN_SECRET": "csms:s"}
    del environment["DETACH_PROJECT_ID"]
    deployment = deploy(environment)
    with pytest.raises(Misconfigured, match="DETACH_PROJECT_ID is missing"):
        deployment.invoke(platform=Platform(Secret("token")))
    with pytest.raises(Misconfigured, match="The platform's project id is not valid"):
        deployment.invoke(platform=Platform(Secret("token"), "../other"))


@pytest.mark.parametrize("token", [None, "", "null", " "])
def test_without_the_platforms_token_it_is_said_what_to_set(
    cloud: Cloud, deployment: Deployment, token: str | None
) -> None:
    with pytest.raises(SecretUnavailable, match=r"needs the platform's token.*set an agency") as caught:
        deployment.invoke(platform=Platform(None if token is None else Secret(token)))
    assert caught.value.retryable is False
    assert cloud.calls == []


def _missing(_cloud: Cloud) -> None:
    pass


def _disabled(cloud: Cloud) -> None:
    cloud.put_csms_secret("robot.pw-1", "t", state="DISABLED")


def _pending(cloud: Cloud) -> None:
    cloud.put_csms_secret("robot.pw-1", "t", state="PENDING_DELETE")


def _frozen(cloud: Cloud) -> None:
    cloud.put_csms_secret("robot.pw-1", "t", state="FROZEN")


def _no_version(cloud: Cloud) -> None:
    cloud.put_csms_secret("robot.pw-1", "t")
    body = {"error": {"error_code": "CSMS.0005", "error_msg": "The resource does not exist."}}
    cloud.misbehave("csms", path_contains="/versions/", status=400, body=body)


def _broken(cloud: Cloud) -> None:
    cloud.misbehave("csms", status=500, body={"error": {"error_code": "CSMS.0500", "error_msg": "oh"}})


def _throttled(cloud: Cloud) -> None:
    cloud.misbehave("csms", status=429, times=None)


def _unreachable(cloud: Cloud) -> None:
    cloud.misbehave("csms", drop="before", times=None)


def _strange(cloud: Cloud) -> None:
    cloud.misbehave("csms", status=404, body="<html>no such page</html>", times=None)


def _unclear(cloud: Cloud) -> None:
    body = {"error": {"error_code": "CSMS.0002", "error_msg": "The value of parameter is invalid."}}
    cloud.misbehave("csms", status=400, body=body, times=None)


METADATA = {"version_metadata": {"id": "v1", "secret_name": "robot.pw-1"}}


def _another(cloud: Cloud) -> None:
    body = {"version": {"version_metadata": {"id": "v1", "secret_name": "other"}, "secret_string": "h1dden"}}
    cloud.misbehave("csms", status=200, body=body)


def _nobodys(cloud: Cloud) -> None:
    cloud.misbehave("csms", status=200, body={"version": {"secret_string": "h1dden"}})


def _neither(cloud: Cloud) -> None:
    cloud.misbehave("csms", status=200, body={"version": METADATA})


def _both(cloud: Cloud) -> None:
    cloud.misbehave(
        "csms", status=200, body={"version": {**METADATA, "secret_string": "a", "secret_binary": "YQ=="}}
    )


def _no_base64(cloud: Cloud) -> None:
    cloud.misbehave("csms", status=200, body={"version": {**METADATA, "secret_binary": "h1dden!"}})


@pytest.mark.parametrize(
    ("arrange", "said", "retryable"),
    [
        (_missing, SECRET + "does not exist in this project and region.", False),
        (_disabled, SECRET + "is disabled: enable it.", False),
        (_pending, SECRET + "is scheduled for deletion: cancel that, or name another.", False),
        (_frozen, SECRET + "is frozen: the account may be in arrears.", False),
        (_no_version, SECRET + "has no such version.", False),
        (_strange, "CSMS does not give the secret that DETACH_TOKEN_SECRET names (it answered 404).", False),
        (_unclear, "CSMS does not give the secret that DETACH_TOKEN_SECRET names (it answered 400).", False),
        (_broken, "CSMS does not give the secret that DETACH_TOKEN_SECRET names (it answered 500).", True),
        (_throttled, "CSMS does not give the secret that DETACH_TOKEN_SECRET names (it answered 429).", True),
        (_unreachable, "The connection to the csms service failed (RemoteDisconnected).", True),
        (_another, "CSMS answered about another secret, or version, than DETACH_TOKEN_SECRET names.", True),
        (_nobodys, "CSMS answered about another secret, or version, than DETACH_TOKEN_SECRET names.", True),
        (_neither, "CSMS sent an answer that holds neither a text nor base64 data.", True),
        (_both, "CSMS sent an answer that holds neither a text nor base64 data.", True),
        (_no_base64, "CSMS sent an answer that holds neither a text nor base64 data.", True),
    ],
)
def test_what_is_said_when_it_gives_nothing(
    cloud: Cloud, deployment: Deployment, arrange: Callable[[Cloud], None], said: str, *, retryable: bool
) -> None:
    arrange(cloud)
    with pytest.raises(SecretUnavailable) as caught:
        deployment.invoke(platform=platform_of(cloud))
    assert (caught.value.message, caught.value.retryable) == (said, retryable)


def test_what_the_store_itself_said_comes_along(cloud: Cloud, deployment: Deployment) -> None:
    with pytest.raises(SecretUnavailable) as caught:
        deployment.invoke(platform=platform_of(cloud))
    assert caught.value.upstream is not None
    assert (caught.value.upstream.status, caught.value.upstream.code) == (400, "CSMS.0106")


def test_a_token_without_the_permission(cloud: Cloud, deployment: Deployment) -> None:
    cloud.put_csms_secret("robot.pw-1", "t")
    with pytest.raises(SecretUnavailable, match="csms:secretVersion:get and kms:dek:decrypt") as caught:
        deployment.invoke(platform=platform_of(cloud, role="reader"))
    assert caught.value.retryable is False


def test_a_platform_token_that_is_refused(cloud: Cloud, deployment: Deployment) -> None:
    cloud.put_csms_secret("robot.pw-1", "t")
    with pytest.raises(SecretUnavailable, match="CSMS refuses the platform's token") as caught:
        deployment.invoke(platform=Platform(Secret("stale"), cloud.project_id))
    assert caught.value.retryable is False
    assert len(reads(cloud)) == 1


def test_a_rotated_secret_is_read_when_the_old_token_is_refused(cloud: Cloud, deployment: Deployment) -> None:
    cloud.put_csms_secret("robot.pw-1", cloud.token())
    deployment.invoke(platform=platform_of(cloud))
    cloud.expire_all_tokens()
    cloud.put_csms_secret("robot.pw-1", cloud.token())
    deployment.invoke(platform=platform_of(cloud))
    assert len(reads(cloud)) == 2


def test_the_secret_outlives_the_invocation_that_read_it(
    cloud: Cloud, deployment: Deployment, clock: Clock
) -> None:
    cloud.put_csms_secret("robot.pw-1", cloud.token())
    deployment.invoke(platform=platform_of(cloud))
    clock.passes(299)
    deployment.invoke(platform=NO_PLATFORM)
    clock.passes(1)
    with pytest.raises(Failure, match="needs the platform's token"):
        deployment.invoke(platform=NO_PLATFORM)
