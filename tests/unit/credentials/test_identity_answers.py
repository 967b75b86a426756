"""What the identity service says: what is believed of it, kept of it, and quoted of it."""

from __future__ import annotations

import json
from typing import Any

import pytest
import responses

from handler.cloud.messages import Answer
from handler.credentials.identity_answers import failed, role_names, text_at, why_not_issued
from handler.credentials.secret_content import Password, User
from handler.errors import Failure, TokenRejected, Upstream, UpstreamUnavailable
from handler.secret import Secret
from tests.unit.credentials.deployment import described, password
from tests.unit.credentials.test_identity import (
    ENVIRONMENT,
    ISSUED,
    OTHER,
    PROJECT,
    TOKENS,
    Deploy,
    catalog,
    describes,
    issues,
    project_of,
)


def test_a_refused_password_says_what_to_check_and_only_the_services_code(
    wire: responses.RequestsMock, deploy: Deploy
) -> None:
    message = "The account of h1dden is locked.. Its password was pw"
    wire.post(TOKENS, status=401, json={"error": {"code": 401, "title": "Unauthorized", "message": message}})
    with pytest.raises(TokenRejected, match="whether the account is locked") as caught:
        project_of(deploy, SECRET=password("pw"))
    assert "h1dden" not in caught.value.message
    assert ".." not in caught.value.message
    assert caught.value.upstream == Upstream(401, "401", None, None)


APPLICATION_CREDENTIAL = json.dumps(
    {"application_credential_id": "a" * 32, "application_credential_secret": "h1dden"}
)


@pytest.mark.parametrize("status", [401, 404])
def test_a_refused_application_credential_is_no_password(
    wire: responses.RequestsMock, deploy: Deploy, status: int
) -> None:
    wire.post(TOKENS, status=status, json={"error": {"code": status, "message": "No."}})
    with pytest.raises(TokenRejected, match=r"the application credential in the secret .* is wrong, unknown"):
        project_of(deploy, SECRET=APPLICATION_CREDENTIAL)


def test_a_404_is_about_no_password(wire: responses.RequestsMock, deploy: Deploy) -> None:
    wire.post(TOKENS, status=404, json={"error": {"code": 404, "message": "No."}})
    with pytest.raises(Failure) as caught:
        project_of(deploy, SECRET=password("pw"))
    assert not isinstance(caught.value, TokenRejected)


def test_a_404_that_is_not_the_services_own_refuses_no_login(
    wire: responses.RequestsMock, deploy: Deploy
) -> None:
    wire.post(TOKENS, status=404, body="<html>")
    with pytest.raises(Failure) as caught:
        project_of(deploy, SECRET=APPLICATION_CREDENTIAL)
    assert not isinstance(caught.value, TokenRejected)


@pytest.mark.parametrize("status", [400, 403, 404, 409, 429, 500])
@pytest.mark.parametrize(
    ("code", "told"),
    [("IAM.0011", "IAM.0011"), (404, "404"), ("pw", None), ("cHc=", None), ("a b", None), ("x" * 40, None)],
)
def test_nothing_that_the_service_says_of_a_purchase_is_quoted_but_its_code(
    wire: responses.RequestsMock, deploy: Deploy, status: int, code: object, told: str | None
) -> None:
    body = {"error": {"code": code, "message": "h1dden words about pw"}}
    for _ in range(2 if status >= 500 else 1):
        wire.post(TOKENS, status=status, json=body)
    with pytest.raises(Failure) as caught:
        project_of(deploy, SECRET=password("pw"))
    assert "h1dden" not in caught.value.message
    assert caught.value.upstream is not None
    assert (caught.value.upstream.code, caught.value.upstream.message) == (told, None)


RECEIPT = {"Openstack-Auth-Receipt": "gAAAAA-h1dden-receipt"}


@pytest.mark.parametrize(
    ("headers", "body", "said"),
    [
        (
            RECEIPT,
            {"receipt": {"methods": ["password"]}, "required_auth_methods": [["password", "totp"]]},
            "asks for totp, too",
        ),
        (
            RECEIPT,
            {"receipt": {"methods": ["password"]}, "required_auth_methods": [["totp", "password"], ["u2f"]]},
            "asks for totp or u2f, too",
        ),
        (
            {},
            {"receipt": {"methods": ["password"]}, "required_auth_methods": [["totp"]]},
            "asks for totp, too",
        ),
        (RECEIPT, {}, "asks for a further factor, too"),
        (
            RECEIPT,
            {"required_auth_methods": [["<b>h1dden</b>", "h1dden words", 5]]},
            "asks for a further factor",
        ),
        (RECEIPT, {"required_auth_methods": "totp"}, "asks for a further factor, too"),
        (RECEIPT, {"required_auth_methods": [["pw"]]}, "asks for a further factor, too"),
        (RECEIPT, {"required_auth_methods": [5, {"totp": 1}, ["u2f"]]}, "asks for u2f, too"),
        (RECEIPT, {"required_auth_methods": [["xpwx"]]}, "asks for a further factor, too"),
        (RECEIPT, {"required_auth_methods": [["p"]]}, "asks for a further factor, too"),
        (
            RECEIPT,
            {"receipt": {"methods": ["totp"]}, "required_auth_methods": [["totp", "u2f"]]},
            "asks for u2f, too",
        ),
        (
            RECEIPT,
            {"receipt": {"methods": 5}, "required_auth_methods": [["pw-h1dden"]]},
            "a further factor, too",
        ),
    ],
)
def test_a_missing_second_factor_is_named(
    wire: responses.RequestsMock, deploy: Deploy, headers: dict[str, str], body: dict[str, Any], said: str
) -> None:
    wire.post(TOKENS, status=401, headers=headers, json=body)
    with pytest.raises(TokenRejected, match=said) as caught:
        project_of(deploy, SECRET=password("pw"))
    assert "application credential" in caught.value.message
    assert "h1dden" not in caught.value.message + repr(caught.value.upstream)


@pytest.mark.parametrize(
    ("secrets", "told"),
    [
        ((), "totp"),
        (("pw", "x-totp"), "a further factor"),
        (("pw", "otp"), "a further factor"),
        (("pw", "x"), "totp"),
    ],
)
def test_no_secret_that_was_sent_is_named_as_a_factor(secrets: tuple[str, ...], told: str) -> None:
    body = json.dumps({"required_auth_methods": [["totp"]]}).encode()
    login = Password(User("robot", "Default"), Secret("pw"))
    said = why_not_issued(Answer(401, RECEIPT, body, None, secrets), login)
    assert said is not None
    assert f"asks for {told}, too" in said


@pytest.mark.parametrize(
    ("about", "project"), [(None, PROJECT), ("another", PROJECT), ("", None), ("Bare", None)]
)
def test_an_answer_about_no_token_or_another_is_not_believed(
    wire: responses.RequestsMock, deploy: Deploy, about: str | None, project: str | None
) -> None:
    describes(wire, described(PROJECT), about)
    with pytest.raises(UpstreamUnavailable, match="does not name the token that it was asked about"):
        project_of(deploy, DETACH_PROJECT_ID=project, SECRET="bare")


@pytest.mark.parametrize(
    ("more", "came"),
    [
        ({"project": OTHER}, {"id": PROJECT, "name": "demo"}),
        ({"project": "demo"}, {"id": PROJECT, "name": "other"}),
        ({"project": "demo"}, {"id": PROJECT}),
        (
            {"project": "demo", "project_domain": "b"},
            {"id": PROJECT, "name": "demo", "domain": {"name": "c"}},
        ),
    ],
)
def test_a_token_of_another_project_than_was_asked_for_is_not_believed(
    wire: responses.RequestsMock, deploy: Deploy, more: dict[str, str], came: dict[str, Any]
) -> None:
    body = described(PROJECT)
    body["token"]["project"] = came
    wire.post(TOKENS, status=201, json=body, headers={"X-Subject-Token": ISSUED})
    with pytest.raises(UpstreamUnavailable, match=r"a token of another (project|domain) than was asked"):
        project_of(deploy, DETACH_PROJECT_ID=None, SECRET=password("pw", **more))


def test_a_token_of_another_application_credential_is_not_believed(
    wire: responses.RequestsMock, deploy: Deploy
) -> None:
    issues(wire, application_credential={"id": "other", "restricted": True})
    secret = {"application_credential_id": "i", "application_credential_secret": "s"}
    with pytest.raises(UpstreamUnavailable, match="another application credential"):
        project_of(deploy, SECRET=json.dumps(secret))


@pytest.mark.parametrize(
    ("user", "another"),
    [
        ({"name": "robot", "domain": {"name": "Default"}}, None),
        ({"name": "ROBOT", "domain": {"name": "default"}}, None),
        ({"name": "somebody", "domain": {"name": "Default"}}, "another user "),
        ({"name": "robot", "domain": {"name": "Elsewhere"}}, "another user's domain"),
    ],
)
def test_a_token_of_another_user_is_not_believed(
    wire: responses.RequestsMock, deploy: Deploy, user: dict[str, Any], another: str | None
) -> None:
    issues(wire, user=user)
    if another is None:
        assert project_of(deploy, SECRET=password("pw")) == PROJECT
    else:
        with pytest.raises(UpstreamUnavailable, match=another):
            project_of(deploy, SECRET=password("pw"))


@pytest.mark.parametrize("name", ["Demo", "DEMO"])
def test_names_are_compared_as_keystone_does(wire: responses.RequestsMock, deploy: Deploy, name: str) -> None:
    issues(wire, name=name)
    assert project_of(deploy, DETACH_PROJECT_ID=None, SECRET=password("pw", project="demo")) == PROJECT


@pytest.mark.parametrize(
    ("more", "user", "roles"),
    [
        (
            {"user": {"name": "robot"}, "roles": [{"name": "member"}, {"name": "reader"}]},
            "robot",
            ("member", "reader"),
        ),
        ({"roles": []}, None, ()),
        ({}, None, None),
        ({"user": "robot", "roles": "admin"}, None, None),
        ({"user": {"name": 5}, "roles": [{"name": "member"}, {}]}, None, None),
        ({"roles": [{"name": "member"}, None]}, None, None),
    ],
)
def test_what_a_token_says_of_itself_is_kept(
    wire: responses.RequestsMock,
    deploy: Deploy,
    more: dict[str, Any],
    user: str | None,
    roles: tuple[str, ...] | None,
) -> None:
    issues(wire, catalog=catalog(), **more)
    auth = deploy({**ENVIRONMENT, "SECRET": password("pw")}).auth()
    token = auth._tokens.current(auth._context).token
    assert (token.user, token.roles, token.expires_at) == (user, roles, 1_800_086_400.0)
    assert token.catalog is not None
    assert [listed.type for listed in token.catalog] == ["volume", "compute"]
    assert ISSUED not in repr(token)


EXCHANGED = json.dumps({"token": "a-token-to-be-exchanged", "project_id": "1" * 32})


@pytest.mark.parametrize(
    ("secret", "status", "body", "delegated"),
    [
        (EXCHANGED, 403, {"error": {"code": 403, "message": "No."}}, True),
        (EXCHANGED, 403, "<html>Forbidden</html>", False),
        (EXCHANGED, 400, {"error": {"code": 400, "message": "No."}}, False),
        (APPLICATION_CREDENTIAL, 403, {"error": {"code": 403, "message": "No."}}, False),
    ],
)
def test_a_403_in_the_service_s_own_words_is_about_a_token_that_is_exchanged(
    wire: responses.RequestsMock, deploy: Deploy, secret: str, status: int, body: Any, *, delegated: bool
) -> None:
    wire.post(TOKENS, status=status, body=body if isinstance(body, str) else json.dumps(body))
    with pytest.raises(Failure) as caught:
        project_of(deploy, SECRET=secret)
    assert ("issues no token for the one" in caught.value.message) is delegated


def test_a_failure_of_the_identity_service_is_told_by_its_code() -> None:
    said = {"error": {"code": "Common.0013", "message": "h1dden"}}
    refused = failed(Answer(400, {}, json.dumps(said).encode(), None))
    assert isinstance(refused, TokenRejected)
    other = failed(Answer(400, {}, b"Common.0013", None))
    assert not isinstance(other, TokenRejected)


@pytest.mark.parametrize(
    ("roles", "names"),
    [
        ([{"name": "member"}, {"name": "reader"}], ("member", "reader")),
        ([], ()),
        ([{"name": "member"}, {"name": ""}], None),
        ([{"name": "member"}, {"id": "1"}], None),
        ([{"name": "member"}, "admin"], None),
        ("admin", None),
        (None, None),
    ],
)
def test_roles_are_known_by_their_names_all_or_none(roles: object, names: tuple[str, ...] | None) -> None:
    assert role_names(roles) == names


def test_a_text_is_one_that_says_something() -> None:
    described = {"user": {"name": "me", "id": "", "domain": None, "roles": ["x"]}}
    assert text_at(described, "user", "name") == "me"
    for path in (["user", "id"], ["user", "domain"], ["user", "domain", "id"], ["user", "roles"], ["user"]):
        assert text_at(described, *path) is None
