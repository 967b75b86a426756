"""Tokens: issued, validated, ended; and what a wrong secret costs."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest
import requests

from tests.embedded_cloud import Cloud
from tests.unit.embedded_cloud.client import ask, volumes

PASSWORD = "a password with spaces"


def _auth(cloud: Cloud, password: str = PASSWORD, scope: Any = "by id", domain: Any = None) -> dict[str, Any]:
    user = {"name": "sre", "password": password, "domain": domain or {"name": "Default"}}
    auth: dict[str, Any] = {"identity": {"methods": ["password"], "password": {"user": user}}}
    if scope is not None:
        auth["scope"] = {"project": {"id": cloud.project_id}} if scope == "by id" else scope
    return {"auth": auth}


def _issue(cloud: Cloud, content: Any, query: str = "") -> requests.Response:
    return ask(cloud, "POST", f"/identity/v3/auth/tokens{query}", json=content)


def _error(answer: requests.Response) -> tuple[int, str, str]:
    error = answer.json()["error"]
    assert error["code"] == answer.status_code
    return answer.status_code, error["title"], error["message"]


REFUSED = (401, "Unauthorized", "The request you have made requires authentication.")


def test_a_password_buys_a_token_that_the_other_services_take(cloud: Cloud) -> None:
    cloud.now = lambda: 1_800_000_000.25
    user_id = cloud.add_user("sre", PASSWORD)

    answer = _issue(cloud, _auth(cloud))

    assert answer.status_code == 201
    token = answer.json()["token"]
    expires = datetime.strptime(token["expires_at"], "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=timezone.utc)
    assert expires.timestamp() == 1_800_086_400.25
    default = {"id": "default", "name": "Default"}
    assert token["user"] == {"domain": default, "id": user_id, "name": "sre", "password_expires_at": None}
    assert token["project"] == {"domain": default, "id": cloud.project_id, "name": "demo"}
    assert [role["name"] for role in token["roles"]] == ["member"]
    assert token["methods"] == ["password"]
    text = answer.headers["X-Subject-Token"]
    assert text not in answer.text
    assert ask(cloud, "GET", volumes(cloud), text).status_code == 200
    assert cloud.tokens_issued == 1


def test_the_catalogue_lists_where_the_services_are_and_can_be_left_out(cloud: Cloud) -> None:
    cloud.add_user("sre", PASSWORD)
    cloud.compute_region = "RegionTwo"

    catalogue = _issue(cloud, _auth(cloud)).json()["token"]["catalog"]
    without = _issue(cloud, _auth(cloud), "?nocatalog").json()["token"]

    found = {
        (service["type"], service["name"]): {
            (endpoint["interface"], endpoint["region_id"], endpoint["url"])
            for endpoint in service["endpoints"]
        }
        for service in catalogue
    }
    public = ("public", "RegionOne", f"{cloud.url}/volume/v3/{cloud.project_id}")
    assert public in found["volumev3", "cinderv3"]
    assert public in found["block-storage", "cinder"]
    assert ("public", "RegionTwo", cloud.compute_endpoint) in found["compute", "nova"]
    assert "catalog" not in without


def test_a_project_may_be_named_with_its_domain(cloud: Cloud) -> None:
    cloud.add_user("sre", PASSWORD)
    named = {"project": {"name": "demo", "domain": {"name": "Default"}}}

    answer = _issue(cloud, _auth(cloud, scope=named, domain={"id": "default"}))

    assert answer.json()["token"]["project"]["id"] == cloud.project_id


def test_keystone_wants_a_named_projects_domain_and_huawei_does_not(cloud: Cloud, huawei: Cloud) -> None:
    for one in (cloud, huawei):
        one.add_user("sre", PASSWORD)
    keystone = _issue(cloud, _auth(cloud, scope={"project": {"name": "demo"}}))
    iam = _issue(huawei, _auth(huawei, scope={"project": {"name": "cn-north-4"}}))

    assert keystone.status_code == 400
    assert keystone.json()["error"]["message"].startswith("Expecting to find domain in project.")
    assert iam.status_code == 201
    assert iam.json()["token"]["project"]["id"] == huawei.project_id
    assert "X-IAM-Trace-Id" in iam.headers
    assert len(iam.headers["X-Subject-Token"]) > 1000


def test_a_token_without_scope_opens_no_project(cloud: Cloud) -> None:
    cloud.add_user("sre", PASSWORD)
    answer = _issue(cloud, _auth(cloud, scope=None))

    assert "project" not in answer.json()["token"]
    used = ask(cloud, "GET", volumes(cloud), answer.headers["X-Subject-Token"])
    assert (used.status_code, used.json()["badRequest"]["message"]) == (400, "Malformed request url")


def test_an_application_credential_brings_its_project(cloud: Cloud) -> None:
    credential_id, secret = cloud.add_application_credential(cloud.other_project_id)

    def auth(secret: str, **more: object) -> dict[str, Any]:
        part = {"id": credential_id, "secret": secret}
        identity = {"methods": ["application_credential"], "application_credential": part}
        return {"auth": {"identity": identity, **more}}

    assert _issue(cloud, auth(secret)).json()["token"]["project"]["id"] == cloud.other_project_id
    assert _error(_issue(cloud, auth("wrong"))) == REFUSED
    scoped = _issue(cloud, auth(secret, scope={"project": {"id": cloud.other_project_id}}))
    assert scoped.status_code == 401
    assert "cannot request a scope" in scoped.json()["error"]["message"]


@pytest.mark.parametrize(
    "content",
    [
        {"password": "wrong"},
        {"domain": {"name": "Elsewhere"}},
        {"scope": {"project": {"id": "f" * 32}}},
        {"scope": {"project": {"name": "unheard of", "domain": {"name": "Default"}}}},
    ],
    ids=["password", "domain", "project id", "project name"],
)
def test_whatever_is_wrong_the_refusal_is_the_same(cloud: Cloud, content: dict[str, Any]) -> None:
    cloud.add_user("sre", PASSWORD)

    answer = _issue(cloud, _auth(cloud, **content))

    assert _error(answer) == REFUSED
    assert answer.headers["Www-Authenticate"] == f'Keystone uri="{cloud.url}/identity"'
    assert cloud.tokens_issued == 0


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (None, 400),
        ([], 400),
        ({}, 400),
        ({"auth": {}}, 400),
        ({"auth": {"identity": {}}}, 400),
        ({"auth": {"identity": {"methods": ["password"]}}}, 400),
        ({"auth": {"identity": {"methods": ["password"], "password": {"user": {"password": "x"}}}}}, 400),
        ({"auth": {"identity": {"methods": ["totp"]}}}, 401),
        ({"auth": {"identity": {"methods": []}}}, 401),
    ],
    ids=str,
)
def test_a_malformed_request_is_refused(cloud: Cloud, content: Any, status: int) -> None:
    answer = _issue(cloud, content)

    assert answer.status_code == answer.json()["error"]["code"] == status


def test_a_user_without_a_role_on_the_project_is_refused(cloud: Cloud) -> None:
    cloud.add_user("sre", PASSWORD, projects=[cloud.other_project_id])

    assert _error(_issue(cloud, _auth(cloud))) == REFUSED


def test_five_wrong_secrets_in_a_row_lock_the_account_for_five_minutes(cloud: Cloud) -> None:
    now = [1_800_000_000.0]
    cloud.now = lambda: now[0]
    user_id = cloud.add_user("sre", PASSWORD)
    for _ in range(4):
        _issue(cloud, _auth(cloud, "wrong"))
    assert _issue(cloud, _auth(cloud)).status_code == 201, "four are forgiven, and forgotten"

    for _ in range(5):
        assert _error(_issue(cloud, _auth(cloud, "wrong"))) == REFUSED
    locked = _issue(cloud, _auth(cloud))
    now[0] += 299
    still = _issue(cloud, _auth(cloud))
    now[0] += 2

    message = f"The account is locked for user: {user_id}."
    assert _error(locked) == _error(still) == (401, "Unauthorized", message)
    assert _issue(cloud, _auth(cloud)).status_code == 201


def test_a_changed_password_counts_at_once(cloud: Cloud) -> None:
    cloud.add_user("sre", "old")
    cloud.add_user("sre", PASSWORD)

    assert _issue(cloud, _auth(cloud, "old")).status_code == 401
    assert _issue(cloud, _auth(cloud)).status_code == 201


def test_a_token_tells_its_own_project(cloud: Cloud) -> None:
    token, stranger = cloud.token(cloud.other_project_id), cloud.token(user="stranger")

    def about(asking: str, subject: str, method: str = "GET") -> requests.Response:
        headers = {"X-Subject-Token": subject}
        return ask(cloud, method, "/identity/v3/auth/tokens", asking, headers=headers)

    answer = about(token, token)
    assert (answer.status_code, answer.headers["X-Subject-Token"]) == (200, token)
    assert answer.json()["token"]["project"]["id"] == cloud.other_project_id
    assert about(stranger, token).status_code == 403
    assert about(cloud.token(role="admin", user="root"), token).status_code == 200
    assert about(token, "unknown").status_code == 404
    assert about("unknown", token).status_code == 401
    head = about(token, token, "HEAD")
    assert (head.status_code, head.content) == (200, b"")
    assert about(token, token, "DELETE").status_code == 204
    assert about(token, token).status_code == 401


def test_tokens_end(cloud: Cloud) -> None:
    now = [1_800_000_000.0]
    cloud.now = lambda: now[0]

    def works(token: str) -> bool:
        return ask(cloud, "GET", volumes(cloud), token).status_code == 200

    first, second, third = cloud.token(), cloud.token(expires_in=60), cloud.token()
    assert all(map(works, (first, second, third)))
    now[0] += 60
    assert [works(token) for token in (first, second, third)] == [True, False, True]
    cloud.revoke(first)
    assert [works(token) for token in (first, second, third)] == [False, False, True]
    cloud.expire_all_tokens()
    assert not works(third)
    assert works(cloud.token())


def _login(method: str, part: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"auth": {"identity": {"methods": [method], method: part}, **more}}


def test_an_application_credential_is_known_by_its_name_and_user_too(cloud: Cloud) -> None:
    user_id = cloud.add_user("sre", PASSWORD)
    credential_id, secret = cloud.add_application_credential(user="sre")
    for user in ({"id": user_id}, {"name": "sre", "domain": {"id": "default"}}):
        named = {"name": "sre's", "secret": secret, "user": user}
        token = _issue(cloud, _login("application_credential", named)).json()["token"]
        assert token["application_credential"] == {"id": credential_id, "name": "sre's", "restricted": True}
        assert token["methods"] == ["application_credential"]
    wrong = {**named, "name": "another"}
    assert _error(_issue(cloud, _login("application_credential", wrong))) == REFUSED
    without = {"name": "sre's", "secret": secret}
    assert _issue(cloud, _login("application_credential", without)).status_code == 400


def test_an_unknown_application_credential_is_not_found(cloud: Cloud) -> None:
    unknown = _login("application_credential", {"id": "f" * 32, "secret": "x"})
    message = f"Could not find Application Credential: {'f' * 32}."
    assert _error(_issue(cloud, unknown)) == (404, "Not Found", message)


def test_a_token_is_exchanged_and_never_prolonged(cloud: Cloud) -> None:
    cloud.now = lambda: 1_800_000_000.0
    cloud.add_user("sre", PASSWORD, projects=[cloud.other_project_id])
    former = cloud.identity.issue(user="sre.Default", unscoped=True, expires_in=600)
    scope = {"project": {"id": cloud.other_project_id}}
    token = _issue(cloud, _login("token", {"id": former}, scope=scope)).json()["token"]
    assert token["methods"] == ["password", "token"]
    assert token["project"]["id"] == cloud.other_project_id
    assert token["expires_at"].startswith("2027-01-15T08:10:00")
    elsewhere = {"project": {"id": cloud.project_id}}
    assert _error(_issue(cloud, _login("token", {"id": former}, scope=elsewhere))) == REFUSED


def test_what_is_no_token_any_more_or_delegated_is_not_exchanged(cloud: Cloud) -> None:
    assert _error(_issue(cloud, _login("token", {"id": "none"})))[0::2] == (
        404,
        "Could not recognize Fernet token",
    )
    expired = cloud.token(expires_in=-1)
    assert _error(_issue(cloud, _login("token", {"id": expired})))[0::2] == (404, "Failed to validate token")
    credential_id, secret = cloud.add_application_credential()
    bought = _issue(cloud, _login("application_credential", {"id": credential_id, "secret": secret}))
    status, _, message = _error(_issue(cloud, _login("token", {"id": bought.headers["X-Subject-Token"]})))
    assert status == 403
    assert "Using a delegated token to create another token is not allowed" in message
