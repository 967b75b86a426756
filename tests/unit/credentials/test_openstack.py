"""`openstack:`: each way to log in that a Keystone offers its ordinary users, carried out by our own code."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import responses

from handler.credentials.stores.openstack import OpenStackStore
from handler.errors import Misconfigured, TokenRejected
from handler.settings import read_settings
from handler.settings.openstack import load_cloud
from tests.embedded_cloud import Cloud
from tests.unit.contexts import call_context
from tests.unit.credentials.deployment import Clock, Deployment, described
from tests.unit.settings.clouds import at_file, variables, written

Deploy = Callable[[dict[str, str]], Deployment]

PROJECT = "0123456789abcdef0123456789abcdef"
ROBOT = {"user": {"name": "robot", "domain": {"name": "Default"}, "password": "hidden-in-the-file"}}
DEMO = {"project": {"name": "demo", "domain": {"name": "Default"}}}
OPENSTACK = {"DETACH_TOKEN_SECRET": "openstack:"}
APPLICATION = {
    "auth_type": "v3applicationcredential",
    "application_credential_secret": "hidden",
    "username": "",
    "password": "",
    "user_domain_name": "",
    "project_name": "",
    "project_domain_name": "",
}


def environment(**more: str) -> dict[str, str]:
    return {**OPENSTACK, **variables(**more)}


def content(settings: dict[str, str]) -> Any:
    """The JSON that the store gives."""
    read = read_settings(settings, network=False)
    return json.loads(OpenStackStore("S", read.token_secret, read, settings).read(call_context()))


def why_not(settings: dict[str, str]) -> str:
    with pytest.raises(Misconfigured) as caught:
        content(settings)
    assert "hidden" not in repr(caught.value)
    return caught.value.message


WAYS = [
    pytest.param({}, {"methods": ["password"], "password": ROBOT}, DEMO, id="password, names"),
    pytest.param(
        {"auth_type": "v3password"}, {"methods": ["password"], "password": ROBOT}, DEMO, id="v3password"
    ),
    pytest.param(
        {"user_id": "u", "project_id": PROJECT},
        {"methods": ["password"], "password": {"user": {"id": "u", "password": "hidden-in-the-file"}}},
        {"project": {"id": PROJECT}},
        id="password, ids win",
    ),
    pytest.param(
        {"user_domain_id": "d", "project_domain_id": "e", "user_domain_name": "", "project_domain_name": ""},
        {"methods": ["password"], "password": {"user": {**ROBOT["user"], "domain": {"id": "d"}}}},
        {"project": {"name": "demo", "domain": {"id": "e"}}},
        id="password, domains by id",
    ),
    pytest.param(
        {"domain_name": "one for both", "user_domain_name": "", "project_domain_name": ""},
        {
            "methods": ["password"],
            "password": {"user": {**ROBOT["user"], "domain": {"name": "one for both"}}},
        },
        {"project": {"name": "demo", "domain": {"name": "one for both"}}},
        id="password, one domain for both",
    ),
    pytest.param(
        {"default_domain_id": "d", "user_domain_name": "", "project_domain_name": ""},
        {"methods": ["password"], "password": {"user": {**ROBOT["user"], "domain": {"id": "d"}}}},
        {"project": {"name": "demo", "domain": {"id": "d"}}},
        id="password, default domain",
    ),
    pytest.param(
        {"identity_api_version": "3", "user_domain_name": "", "project_domain_name": ""},
        {"methods": ["password"], "password": {"user": {**ROBOT["user"], "domain": {"id": "default"}}}},
        {"project": {"name": "demo", "domain": {"id": "default"}}},
        id="password, the client's default domain",
    ),
    pytest.param(
        {"project_name": "", "tenant_name": "demo"},
        {"methods": ["password"], "password": ROBOT},
        DEMO,
        id="password, a project of old",
    ),
    pytest.param(
        {**APPLICATION, "application_credential_id": "i"},
        {
            "methods": ["application_credential"],
            "application_credential": {"id": "i", "secret": "hidden"},
        },
        None,
        id="application credential, id",
    ),
    pytest.param(
        {**APPLICATION, "application_credential_name": "n", "username": "robot", "user_domain_id": "d"},
        {
            "methods": ["application_credential"],
            "application_credential": {
                "name": "n",
                "user": {"name": "robot", "domain": {"id": "d"}},
                "secret": "hidden",
            },
        },
        None,
        id="application credential, name and user's name",
    ),
    pytest.param(
        {**APPLICATION, "application_credential_name": "n", "user_id": "u"},
        {
            "methods": ["application_credential"],
            "application_credential": {"name": "n", "user": {"id": "u"}, "secret": "hidden"},
        },
        None,
        id="application credential, name and user's id",
    ),
    pytest.param(
        {"auth_type": "v3token", "token": "gAAAAAB-former"},
        {"methods": ["token"], "token": {"id": "gAAAAAB-former"}},
        DEMO,
        id="v3token",
    ),
    pytest.param(
        {"auth_type": "token", "token": "gAAAAAB-former", "project_id": PROJECT},
        {"methods": ["token"], "token": {"id": "gAAAAAB-former"}},
        {"project": {"id": PROJECT}},
        id="token",
    ),
]


@pytest.mark.parametrize(("more", "identity", "scope"), WAYS)
@pytest.mark.parametrize("from_file", [False, True], ids=["variables", "clouds.yaml"])
def test_each_way_to_log_in_is_sent_as_keystone_wants_it(
    wire: responses.RequestsMock,
    deploy: Deploy,
    tmp_path: Path,
    more: dict[str, str],
    identity: dict[str, Any],
    scope: dict[str, Any] | None,
    *,
    from_file: bool,
) -> None:
    settings = environment(**more)
    if from_file:
        told = {
            name[3:].lower(): value for name, value in settings.items() if name.startswith("OS_") and value
        }
        beside = {name: told.pop(name) for name in ("auth_type", "identity_api_version") if name in told}
        settings = at_file(written(tmp_path, {"one": {"auth": told, **beside}}), "one")
    endpoints = {
        "DETACH_VOLUME_ENDPOINT": "https://c.example/v3",
        "DETACH_COMPUTE_ENDPOINT": "https://n.example/v2.1",
    }
    body = described(PROJECT)
    wire.post(
        "https://keystone.example:5000/v3/auth/tokens",
        status=201,
        json=body,
        headers={"X-Subject-Token": "gAAAAAB-issued"},
    )
    assert deploy({**settings, **endpoints}).auth().project_id == PROJECT
    sent = json.loads(wire.calls[0].request.body or b"")
    assert sent == {"auth": {"identity": identity, **({} if scope is None else {"scope": scope})}}


def test_a_token_without_a_project_is_used_as_it_is() -> None:
    more = {"auth_type": "v3token", "token": "gAAAAAB", "project_name": ""}
    assert content(environment(**more)) == {"token": "gAAAAAB"}


def test_a_project_whose_name_looks_like_an_id_stays_a_name() -> None:
    assert content(environment(project_name=PROJECT))["project_name"] == PROJECT


def test_a_password_is_taken_letter_by_letter(tmp_path: Path) -> None:
    odd = ' {hidden} %(hidden)s "é" '
    assert content(environment(password=odd))["password"] == odd
    cloud = {"auth": {**{k[3:].lower(): v for k, v in variables().items()}, "password": odd}}
    assert content(at_file(written(tmp_path, {"one": cloud})))["password"] == odd


# What is said by name


@pytest.mark.parametrize(
    "kind",
    [
        "v3oidcpassword",
        "v3oidcaccesstoken",
        "v3samlpassword",
        "v3kerberos",
        "v3totp",
        "v3multifactor",
        "v3oauth1",
        "v2password",
        "v2token",
        "admin_token",
        "token_endpoint",
        "http_basic",
        "none",
        "unheard-of",
    ],
)
def test_any_other_way_to_log_in_is_said_by_its_name(kind: str) -> None:
    assert f"auth_type '{kind}' is not supported, only password, v3password" in why_not(
        environment(auth_type=kind)
    )


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"password": ""}, "password is missing (OS_PASSWORD)."),
        ({"username": ""}, "username is missing (OS_USERNAME)."),
        ({"user_domain_name": ""}, "user_domain_id or user_domain_name is missing"),
        ({"project_domain_name": ""}, "project_domain_id or project_domain_name is missing"),
        ({"auth_type": "v3password", "user_domain_name": ""}, "either a user_domain_id or user_domain_name"),
        ({"auth_type": "token"}, "token is missing (OS_TOKEN)."),
        ({"username": "", "token": "hidden"}, "token is set, but auth_type (OS_AUTH_TYPE) is not token"),
        (
            {**APPLICATION, "auth_type": "", "application_credential_id": "i"},
            "_secret is set, but auth_type (OS_AUTH_TYPE) is not v3applicationcredential: set it",
        ),
        (APPLICATION, "either an application credential ID or an application credential name and user"),
        (
            {**APPLICATION, "application_credential_id": "i", "project_id": PROJECT},
            "An application credential has a project of its own: take project_id",
        ),
        (
            {**APPLICATION, "application_credential_id": "i", "application_credential_secret": ""},
            "an auth secret",
        ),
        ({"system_scope": "all"}, "system_scope asks for a token of the whole system"),
        ({"trust_id": "t"}, "trust_id asks for a token of a trust"),
    ],
)
def test_what_is_missing_or_too_much_is_said(more: dict[str, str], why: str) -> None:
    assert why in why_not(environment(**more))


def test_a_password_of_digits_is_a_text_to_the_loader(tmp_path: Path) -> None:
    auth = {**{k[3:].lower(): v for k, v in variables().items()}, "password": 12345}
    assert content(at_file(written(tmp_path, {"one": {"auth": auth}})))["password"] == "12345"


@pytest.mark.parametrize("word", [True, ["hidden"], {"hidden": "hidden"}])
def test_a_password_that_yaml_takes_for_something_else_is_said(word: Any, tmp_path: Path) -> None:
    auth = {**{k[3:].lower(): v for k, v in variables().items()}, "password": word}
    path = written(tmp_path, {"one": {"auth": auth}})
    assert why_not(at_file(path)) == "password is no text in clouds.yaml: put it into quotes."


@pytest.mark.usefixtures("wire")
def test_no_project_at_all_is_said_before_anything_is_sent(deploy: Deploy) -> None:
    deployed = deploy(environment(project_name=""))
    with pytest.raises(Misconfigured, match="OS_PROJECT_ID or OS_PROJECT_NAME with openstack:"):
        deployed.credentials.require_project(call_context())


def test_the_readiness_probe_reads_the_file_as_it_is(deploy: Deploy, tmp_path: Path) -> None:
    auth = {k[3:].lower(): v for k, v in variables().items()}
    path = written(tmp_path, {"one": {"auth": auth}})
    deployed = deploy(at_file(path))
    deployed.credentials.require_project(call_context())
    written(tmp_path, {"one": {"auth": {**auth, "password": True}}})
    with pytest.raises(Misconfigured, match="put it into quotes"):
        deployed.credentials.require_project(call_context())


# At a cloud


def at_cloud(cloud: Cloud, **more: str) -> dict[str, str]:
    """Variables alone: nothing of ours is set but the reference."""
    return environment(auth_url=cloud.identity_endpoint, **more)


def test_nothing_but_the_variables_is_needed(cloud: Cloud, deploy: Deploy) -> None:
    cloud.add_user("robot", "hidden-in-the-file")
    deployed = deploy(at_cloud(cloud))
    auth = deployed.auth()
    assert auth.project_id == cloud.project_id
    assert auth.endpoints.volume == f"{cloud.url}/volume/v3"
    assert auth.endpoints.compute == f"{cloud.url}/compute/v2.1"
    assert not auth.delegated


def test_an_override_with_the_project_behind_it_is_that_endpoint(cloud: Cloud, deploy: Deploy) -> None:
    cloud.add_user("robot", "hidden-in-the-file")
    override = {"volume_endpoint_override": f"{cloud.url}/volume/v3/{cloud.project_id}"}
    assert deploy(at_cloud(cloud, **override)).auth().endpoints.volume == f"{cloud.url}/volume/v3"


def test_an_application_credentials_token_is_known_as_delegated(cloud: Cloud, deploy: Deploy) -> None:
    cloud.add_user("robot", "of no matter")
    credential_id, secret = cloud.add_application_credential(user="robot")
    of_it = {**APPLICATION, "application_credential_secret": secret}
    named = {"application_credential_name": "robot's", "username": "robot", "user_domain_name": "Default"}
    for more in ({"application_credential_id": credential_id}, named):
        auth = deploy(at_cloud(cloud, **{**of_it, **more})).auth()
        assert (auth.project_id, auth.delegated) == (cloud.project_id, True)


def test_a_token_is_exchanged_for_one_of_the_project(cloud: Cloud, deploy: Deploy) -> None:
    cloud.add_user("robot", "of no matter")
    unscoped = cloud.identity.issue(user="robot.Default", unscoped=True)
    auth = deploy(at_cloud(cloud, auth_type="v3token", token=unscoped)).auth()
    assert auth.project_id == cloud.project_id


@pytest.mark.parametrize("expires_in", [-1.0, 3600.0])
def test_a_token_that_is_none_any_more_is_refused_and_not_sent_again(
    cloud: Cloud, deploy: Deploy, expires_in: float
) -> None:
    token = cloud.token(expires_in=expires_in)
    if expires_in > 0:
        cloud.revoke(token)
    deployed = deploy(at_cloud(cloud, auth_type="v3token", token=token))
    with pytest.raises(
        TokenRejected, match=r"the token in the secret that .* is wrong, unknown, expired or"
    ) as caught:
        deployed.auth().project_id  # noqa: B018 (that is what asks)
    assert caught.value.upstream is not None
    assert (caught.value.upstream.status, caught.value.upstream.message) == (404, None)
    with pytest.raises(TokenRejected, match="is not tried again for 60 seconds"):
        deployed.auth().project_id  # noqa: B018 (the same)


def test_a_delegated_token_is_not_exchanged(cloud: Cloud, deploy: Deploy) -> None:
    credential_id, secret = cloud.add_application_credential()
    of_it = {"application_credential_id": credential_id, "application_credential_secret": secret}
    bought = deploy(at_cloud(cloud, **{**APPLICATION, **of_it})).auth().token.value.reveal()
    exchanging = deploy(at_cloud(cloud, auth_type="v3token", token=bought))
    with pytest.raises(TokenRejected, match="Leave the project out to use it as it is"):
        exchanging.auth().project_id  # noqa: B018 (that is what asks)
    as_it_is = deploy(at_cloud(cloud, auth_type="v3token", token=bought, project_name="")).auth()
    assert (as_it_is.project_id, as_it_is.delegated) == (cloud.project_id, True)


def test_an_unknown_application_credential_is_refused_and_no_wrong_address(
    cloud: Cloud, deploy: Deploy
) -> None:
    unknown = {**APPLICATION, "application_credential_id": "f" * 32}
    with pytest.raises(TokenRejected, match="the application credential in the secret that"):
        deploy(at_cloud(cloud, **unknown)).auth().project_id  # noqa: B018 (that is what asks)


# While the process lives


def test_a_new_password_in_the_file_is_used(
    cloud: Cloud, deploy: Deploy, clock: Clock, tmp_path: Path
) -> None:
    auth = {k[3:].lower(): v for k, v in variables(auth_url=cloud.identity_endpoint).items()}
    cloud.add_user("robot", "hidden-in-the-file")
    deployed = deploy(at_file(written(tmp_path, {"one": {"auth": auth}})))
    deployed.auth().project_id  # noqa: B018 (that is what asks)
    cloud.add_user("robot", "another")
    written(tmp_path, {"one": {"auth": {**auth, "password": "another"}}})
    cloud.expire_all_tokens()
    clock.passes(301)
    assert deployed.auth().project_id == cloud.project_id
    assert cloud.tokens_issued == 2


@pytest.mark.parametrize(
    "change",
    [{"auth_url": "https://elsewhere.example/v3"}, {"region_name": "two"}, {"interface": "internal"}],
)
def test_a_password_goes_to_no_other_cloud_than_the_one_at_the_start(
    wire: responses.RequestsMock, deploy: Deploy, tmp_path: Path, change: dict[str, str]
) -> None:
    auth = {k[3:].lower(): v for k, v in variables().items()}
    deployed = deploy(at_file(written(tmp_path, {"one": {"auth": auth}})))
    beside = {name: value for name, value in change.items() if name != "auth_url"}
    written(
        tmp_path, {"one": {"auth": {**auth, "auth_url": change.get("auth_url", auth["auth_url"])}, **beside}}
    )
    with pytest.raises(Misconfigured, match="another address, region or certificate than when this process"):
        deployed.auth().project_id  # noqa: B018 (that is what asks)
    assert len(wire.calls) == 0


def test_nothing_that_is_kept_shows_a_secret() -> None:
    settings = environment(password="hidden")
    read = read_settings(settings, network=False)
    loaded = load_cloud(settings, "", http_for=lambda _: False)
    store = OpenStackStore("S", read.token_secret, read, settings)
    assert loaded.auth["password"] == "hidden"
    assert "hidden" not in f"{read!r} {loaded!r} {store!r} {vars(store)!r}"
