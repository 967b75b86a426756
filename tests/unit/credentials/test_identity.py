"""What is sent to the identity service, and what is made of its answers."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import requests
import responses

from handler.errors import (
    DeadlineExceeded,
    Failure,
    Misconfigured,
    NoAnswer,
    PermissionDenied,
    Throttled,
    TokenRejected,
    UpstreamRejected,
    UpstreamUnavailable,
)
from tests.unit.credentials.deployment import Clock, Deployment, described, password

Deploy = Callable[[dict[str, str]], Deployment]
Log = Callable[[], list[dict[str, Any]]]

PROJECT = "0123456789abcdef0123456789abcdef"
HYPHENATED = "01234567-89ab-cdef-0123-456789abcdef"
OTHER = "fedcba9876543210fedcba9876543210"
TOKENS = "https://iam.example/v3/auth/tokens"
ISSUED = "gAAAAAB-issued"

ENVIRONMENT = {
    "DETACH_VOLUME_ENDPOINT": "https://volume.example/v3",
    "DETACH_COMPUTE_ENDPOINT": "https://compute.example/v2.1",
    "DETACH_IDENTITY_ENDPOINT": "https://iam.example/v3",
    "DETACH_PROJECT_ID": PROJECT,
    "DETACH_TOKEN_SECRET": "env:SECRET",
}


def issues(
    wire: responses.RequestsMock,
    project_id: str = PROJECT,
    status: int = 201,
    name: str = "demo",
    **more: Any,
) -> None:
    body = described(project_id, **more)
    body["token"]["project"]["name"] = name
    wire.post(TOKENS, status=status, json=body, headers={"X-Subject-Token": ISSUED})


def describes(wire: responses.RequestsMock, body: dict[str, Any], about: str | None = "bare") -> None:
    """The answer to a look-up of the bare token."""
    wire.get(TOKENS, json=body, headers={"X-Subject-Token": about} if about is not None else {})


def project_of(deploy: Deploy, **environment: str | None) -> str:
    """The project by the token of a new process. A setting that is None is left out."""
    merged = {**ENVIRONMENT, **environment}
    return deploy({name: value for name, value in merged.items() if value is not None}).auth().project_id


def sent(wire: responses.RequestsMock) -> Any:
    body = wire.calls[0].request.body
    assert isinstance(body, bytes)
    return json.loads(body)


USER = {"name": "robot", "password": "pw", "domain": {"name": "Default"}}
METHODS = {"methods": ["password"], "password": {"user": USER}}


@pytest.mark.parametrize(
    ("more", "configured", "scope"),
    [
        ({}, PROJECT, {"id": PROJECT}),
        ({"project": PROJECT}, None, {"id": PROJECT}),
        ({"project": HYPHENATED}, None, {"id": HYPHENATED}),
        ({"project": "cn-north-4"}, PROJECT, {"name": "cn-north-4", "domain": {"name": "Default"}}),
        ({"project": "a", "project_domain": "b"}, PROJECT, {"name": "a", "domain": {"name": "b"}}),
    ],
)
def test_a_password_is_sent_with_one_project_as_its_scope(
    wire: responses.RequestsMock,
    deploy: Deploy,
    more: dict[str, str],
    configured: str | None,
    scope: dict[str, Any],
) -> None:
    issues(wire, name=more.get("project", "demo"))
    assert project_of(deploy, DETACH_PROJECT_ID=configured, SECRET=password("pw", **more)) == PROJECT
    assert sent(wire) == {"auth": {"identity": METHODS, "scope": {"project": scope}}}
    request = wire.calls[0].request
    assert request.url == TOKENS
    assert request.headers["Content-Type"] == "application/json"


def test_an_application_credential_is_sent_without_a_scope(
    wire: responses.RequestsMock, deploy: Deploy
) -> None:
    issues(wire)
    secret = {"application_credential_id": "i", "application_credential_secret": "s"}
    assert project_of(deploy, DETACH_PROJECT_ID=None, SECRET=json.dumps(secret)) == PROJECT
    credential = {"id": "i", "secret": "s"}
    identity = {"methods": ["application_credential"], "application_credential": credential}
    assert sent(wire) == {"auth": {"identity": identity}}


@pytest.mark.usefixtures("wire")
def test_a_password_without_any_project_is_not_sent(deploy: Deploy) -> None:
    with pytest.raises(Misconfigured, match="DETACH_PROJECT_ID is missing, and so is"):
        project_of(deploy, DETACH_PROJECT_ID=None, SECRET=password("pw"))


@pytest.mark.usefixtures("wire")
def test_a_password_without_an_identity_service_is_not_sent(deploy: Deploy) -> None:
    with pytest.raises(Misconfigured, match="DETACH_IDENTITY_ENDPOINT is missing"):
        project_of(deploy, DETACH_IDENTITY_ENDPOINT=None, SECRET=password("pw"))


def test_the_token_is_in_the_header_and_its_issue_in_the_log(
    wire: responses.RequestsMock, deploy: Deploy, log: Log
) -> None:
    issues(wire)
    request = requests.Request("GET", "https://volume.example/").prepare()
    deploy({**ENVIRONMENT, "SECRET": password("pw")}).auth()(request)
    assert request.headers["X-Auth-Token"] == ISSUED
    (line,) = [line for line in log() if line["event"] == "token_bought"]
    assert (line["project_id"], line["expires_at"]) == (PROJECT, "2027-01-16T08:00:00.000000Z")
    assert line["request_id"] == "request-of-the-tests"


# What the answer to a request for a token can be.


@pytest.mark.parametrize(
    ("answer", "failure", "said"),
    [
        (
            {"status": 400, "json": {"error": {"code": 400, "message": "odd"}}},
            UpstreamRejected,
            "service answered 400",
        ),
        ({"status": 403, "json": {}}, PermissionDenied, "The identity service answered 403"),
        ({"status": 404, "body": "nothing"}, UpstreamRejected, "check the endpoint's address"),
        ({"status": 429, "headers": {"Retry-After": "7"}}, Throttled, "That passes by itself"),
        ({"status": 302, "headers": {"Location": "https://x.example"}}, UpstreamRejected, "never followed"),
        ({"status": 201, "json": described(PROJECT)}, UpstreamUnavailable, "something that is not a token"),
        (
            {"status": 201, "json": described(PROJECT), "headers": {"X-Subject-Token": "a b"}},
            UpstreamUnavailable,
            "something that is not a token",
        ),
        (
            {"status": 201, "body": "{", "headers": {"X-Subject-Token": ISSUED}},
            UpstreamUnavailable,
            "an answer that can't be read",
        ),
        (
            {
                "status": 201,
                "json": {"token": {"project": {"id": "../x"}}},
                "headers": {"X-Subject-Token": ISSUED},
            },
            UpstreamUnavailable,
            "a project id that is not valid",
        ),
        (
            {
                "status": 201,
                "json": {"token": {"project": {"id": PROJECT}}},
                "headers": {"X-Subject-Token": ISSUED},
            },
            UpstreamUnavailable,
            "a time that can be read",
        ),
        (
            {
                "status": 201,
                "json": {"token": {"project": {"id": PROJECT}, "expires_at": "tomorrow"}},
                "headers": {"X-Subject-Token": ISSUED},
            },
            UpstreamUnavailable,
            "a time that can be read",
        ),
    ],
)
def test_an_answer_that_is_no_token(
    wire: responses.RequestsMock,
    deploy: Deploy,
    answer: dict[str, Any],
    failure: type[Failure],
    said: str,
) -> None:
    wire.post(TOKENS, **answer)
    with pytest.raises(failure, match=said) as caught:
        project_of(deploy, SECRET=password("pw"))
    assert caught.value.retryable is failure.retryable
    assert caught.value.retry_after == (7.0 if failure is Throttled else None)


@pytest.mark.parametrize("first", [500, 502, 503, requests.ConnectionError("broken")])
def test_a_request_for_a_token_that_got_no_answer_is_made_once_more(
    wire: responses.RequestsMock, deploy: Deploy, first: int | Exception
) -> None:
    if isinstance(first, int):
        wire.post(TOKENS, status=first)
    else:
        wire.post(TOKENS, body=first)
    issues(wire)
    assert project_of(deploy, SECRET=password("pw")) == PROJECT


def test_a_token_is_not_asked_for_a_third_time(wire: responses.RequestsMock, deploy: Deploy) -> None:
    wire.post(TOKENS, status=503)
    wire.post(TOKENS, status=503)
    with pytest.raises(UpstreamUnavailable, match="The identity service answered 503"):
        project_of(deploy, SECRET=password("pw"))


def test_a_refusal_after_a_lost_answer_is_a_refusal(wire: responses.RequestsMock, deploy: Deploy) -> None:
    wire.post(TOKENS, body=requests.ConnectionError("broken"))
    wire.post(TOKENS, status=401)
    with pytest.raises(TokenRejected):
        project_of(deploy, SECRET=password("pw"))


@pytest.mark.usefixtures("wire")
def test_nothing_is_asked_when_time_is_up(deploy: Deploy) -> None:
    deployment = deploy({**ENVIRONMENT, "SECRET": password("pw")})
    with pytest.raises(DeadlineExceeded):
        _ = deployment.auth(seconds=0).project_id


def test_requests_for_tokens_are_not_counted_as_calls_of_the_target(
    wire: responses.RequestsMock, deploy: Deploy
) -> None:
    issues(wire)
    auth = deploy({**ENVIRONMENT, "SECRET": password("pw")}).auth()
    assert auth.project_id == PROJECT
    assert auth._context.calls == 0


# For how long a token is kept.


@pytest.mark.parametrize(
    ("expires_at", "kept"),
    [
        ("2027-01-16T08:00:00.000000Z", 86400 - 300),
        ("2027-01-16T08:00:00Z", 86400 - 300),
        ("2027-01-16T08:00:00", 86400 - 300),
        ("2027-01-16T16:00:00+08:00", 86400 - 300),
        ("2027-01-15T08:20:00Z", 900),
        ("2027-01-15T08:04:00Z", 120),  # half of a life of four minutes
        ("2027-01-15T08:00:20Z", 30),
        ("2027-01-15T07:00:00Z", 30),  # our clock is an hour ahead
    ],
)
def test_a_token_is_kept_until_five_minutes_before_it_expires(
    wire: responses.RequestsMock, deploy: Deploy, clock: Clock, expires_at: str, kept: int
) -> None:
    issues(wire, expires_at=expires_at, name="p")
    issues(wire, OTHER, name="p")
    auth = deploy(
        {**ENVIRONMENT, "SECRET": password("pw", project="p"), "DETACH_SECRET_TTL": "86400"}
        | {"DETACH_PROJECT_ID": ""}
    ).auth()
    assert auth.project_id == PROJECT
    clock.passes(kept - 1)
    assert auth.project_id == PROJECT
    clock.passes(1)
    assert auth.project_id == OTHER


def test_a_token_that_lives_is_used_on_while_none_can_be_issued(
    wire: responses.RequestsMock, deploy: Deploy, clock: Clock, log: Log
) -> None:
    issues(wire)
    wire.post(TOKENS, status=503)
    wire.post(TOKENS, status=503)
    wire.post(TOKENS, status=401)
    wire.post(TOKENS, status=503)
    wire.post(TOKENS, status=503)
    auth = deploy({**ENVIRONMENT, "SECRET": password("pw")}).auth()
    assert auth.project_id == PROJECT
    for passed in (86400 - 300, 29, 1, 200):
        clock.passes(passed)
        assert auth.project_id == PROJECT
    kept = [line["error"] for line in log() if line["event"] == "token_kept"]
    assert kept == ["upstream_unavailable", "token_rejected", "upstream_unavailable"]
    issues(wire)
    clock.passes(71)
    assert auth.project_id == PROJECT


def test_a_token_that_has_expired_is_not_used_while_none_can_be_issued(
    wire: responses.RequestsMock, deploy: Deploy, clock: Clock
) -> None:
    issues(wire)
    wire.post(TOKENS, status=503)
    wire.post(TOKENS, status=503)
    auth = deploy({**ENVIRONMENT, "SECRET": password("pw")}).auth()
    assert auth.project_id == PROJECT
    clock.passes(86400)
    with pytest.raises(UpstreamUnavailable):
        _ = auth.project_id


# Whether token, project and endpoints belong together.


def catalog(volume: str = "r1", compute: str = "r1", urls: dict[str, str] | None = None) -> list[Any]:
    """One that lists a volume and a compute endpoint in these regions, at the configured URLs or others."""
    places = {"volume": f"https://volume.example/v3/{PROJECT}", "compute": "https://compute.example/v2.1"}
    places |= urls or {}
    return [
        {"type": kind, "endpoints": [{"interface": "public", "region_id": region, "url": places[kind]}]}
        for kind, region in (("volume", volume), ("compute", compute))
    ]


def test_an_issued_token_of_another_project_is_never_used(
    wire: responses.RequestsMock, deploy: Deploy
) -> None:
    issues(wire, OTHER)
    with pytest.raises(Misconfigured, match=f"The token is of project {OTHER}, which is not the configured"):
        project_of(deploy, SECRET=password("pw", project="elsewhere"))


def test_an_issued_token_of_no_project_is_never_used(wire: responses.RequestsMock, deploy: Deploy) -> None:
    body = described(PROJECT)
    del body["token"]["project"]
    wire.post(TOKENS, status=201, json=body, headers={"X-Subject-Token": ISSUED})
    with pytest.raises(Misconfigured, match="The token is of no project"):
        project_of(deploy, SECRET=password("pw"))


@pytest.mark.parametrize(
    ("configured", "own"),
    [(HYPHENATED, PROJECT), (PROJECT.upper(), PROJECT), (PROJECT, HYPHENATED), (PROJECT, PROJECT.upper())],
)
def test_a_project_is_one_in_whatever_spelling_and_goes_out_in_the_tokens(
    wire: responses.RequestsMock, deploy: Deploy, configured: str, own: str
) -> None:
    issues(wire, own)
    assert project_of(deploy, DETACH_PROJECT_ID=configured, SECRET=password("pw")) == own


def test_a_project_id_of_another_form_is_compared_as_it_is(
    wire: responses.RequestsMock, deploy: Deploy
) -> None:
    issues(wire, "default-project")
    with pytest.raises(Misconfigured, match="is not the configured one"):
        project_of(deploy, SECRET=password("pw"))


def test_endpoints_of_different_regions_are_refused_before_any_call(
    wire: responses.RequestsMock, deploy: Deploy
) -> None:
    issues(wire, catalog=catalog("r1", "r2"))
    with pytest.raises(Misconfigured, match="different regions by the token's catalog"):
        project_of(deploy, SECRET=password("pw"))


@pytest.mark.parametrize(
    "urls",
    [
        {},
        {"volume": "https://VOLUME.example:443/v2", "compute": "http://compute.example:443"},
        {"compute": "https://compute.example"},
    ],
)
def test_regions_are_compared_whatever_the_version_in_the_url(
    wire: responses.RequestsMock, deploy: Deploy, urls: dict[str, str]
) -> None:
    issues(wire, catalog=catalog("r1", "r2", urls))
    with pytest.raises(Misconfigured, match="different regions"):
        project_of(deploy, SECRET=password("pw"))


@pytest.mark.parametrize(
    "listed",
    [
        catalog("r1", "r1"),
        [*catalog("r1", "r2"), *catalog("r2", "r3")],
        catalog("r1", "r2", {"volume": "https://volume.example:8776/v3"}),
        catalog("r1", "r2", {"volume": "https://volume.example.evil/v3"}),
        catalog("r1", "r2", {"compute": "https://compute.example.evil/v2.1"}),
        catalog("r1", "r2", {"volume": "https://volume.example:port/v3"}),
        catalog("", "r2"),
        catalog("r1", "r2")[:1],
        [],
        None,
        "none",
        {"volume": "https://volume.example/v3"},
        [None, {"endpoints": None}, {"endpoints": [None, {"url": 5, "region_id": 6}, {"url": "https://["}]}],
    ],
)
def test_a_catalog_that_does_not_list_both_or_has_them_together_says_nothing(
    wire: responses.RequestsMock, deploy: Deploy, listed: object
) -> None:
    issues(wire, catalog=listed)
    assert project_of(deploy, SECRET=password("pw")) == PROJECT


def test_a_prefix_ends_where_a_segment_ends(wire: responses.RequestsMock, deploy: Deploy) -> None:
    places = {
        "DETACH_VOLUME_ENDPOINT": "https://cloud.example/volume/v3",
        "DETACH_COMPUTE_ENDPOINT": "https://cloud.example/compute/v2.1",
    }
    near = {"volume": "https://cloud.example/volumes/v3", "compute": "https://cloud.example/compute"}
    issues(wire, catalog=catalog("r1", "r2", near))
    assert project_of(deploy, SECRET=password("pw"), **places) == PROJECT
    issues(wire, catalog=catalog("r1", "r2", {**near, "volume": "https://cloud.example/volume/v2/"}))
    with pytest.raises(Misconfigured, match="different regions"):
        project_of(deploy, SECRET=password("pw"), **places)


def test_the_older_name_of_a_region_counts_too(wire: responses.RequestsMock, deploy: Deploy) -> None:
    listed = catalog("r1", "r2")
    listed[0]["endpoints"][0]["region"] = listed[0]["endpoints"][0].pop("region_id")
    issues(wire, catalog=listed)
    with pytest.raises(Misconfigured, match="different regions"):
        project_of(deploy, SECRET=password("pw"))


def test_without_a_compute_endpoint_there_is_nothing_to_compare(
    wire: responses.RequestsMock, deploy: Deploy
) -> None:
    issues(wire, catalog=catalog("r1", "r2"))
    environment = {"DETACH_COMPUTE_ENDPOINT": None, "DETACH_SERVER_CHECK": "off"}
    assert project_of(deploy, SECRET=password("pw"), **environment) == PROJECT


# Bare tokens, which are looked up.


def test_a_bare_token_is_looked_up_once_with_itself(wire: responses.RequestsMock, deploy: Deploy) -> None:
    describes(wire, described(PROJECT, catalog=catalog()))
    deployment = deploy({**ENVIRONMENT, "SECRET": "bare"})
    assert [deployment.auth().project_id for _ in range(3)] == [PROJECT] * 3
    headers = wire.calls[0].request.headers
    assert (headers["X-Auth-Token"], headers["X-Subject-Token"]) == ("bare", "bare")


def test_a_bare_token_gives_the_project_that_is_not_configured(
    wire: responses.RequestsMock, deploy: Deploy
) -> None:
    describes(wire, described(OTHER))
    assert project_of(deploy, DETACH_PROJECT_ID=None, SECRET="bare") == OTHER


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (described(OTHER), f"The token is of project {OTHER}"),
        (described(PROJECT, catalog=catalog("r1", "r2")), "different regions"),
        ({"token": {"user": {}}}, "The token is of no project"),
    ],
)
def test_a_bare_token_that_does_not_fit_is_never_used(
    wire: responses.RequestsMock, deploy: Deploy, body: dict[str, Any], said: str
) -> None:
    describes(wire, body)
    with pytest.raises(Misconfigured, match=said):
        project_of(deploy, SECRET="bare")


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410])
def test_a_bare_token_that_can_not_be_looked_up_is_taken_for_the_configured_projects(
    wire: responses.RequestsMock, deploy: Deploy, log: Log, status: int
) -> None:
    wire.get(TOKENS, status=status)
    deployment = deploy({**ENVIRONMENT, "SECRET": "bare"})
    assert [deployment.auth().project_id for _ in range(2)] == [PROJECT] * 2
    (line,) = [line for line in log() if line["event"] == "token_unverified"]
    assert (line["level"], line["status"]) == ("WARNING", status)


def test_a_bare_token_that_nobody_described_lives_on_when_its_secret_s_time_is_over(
    wire: responses.RequestsMock, deploy: Deploy, clock: Clock
) -> None:
    wire.get(TOKENS, status=404)
    auth = deploy({**ENVIRONMENT, "SECRET": "bare"}).auth()
    assert auth.project_id == PROJECT
    clock.passes(300)
    assert auth.project_id == PROJECT


@pytest.mark.usefixtures("wire")
def test_a_bare_token_without_an_identity_service_is_the_configured_projects(
    deploy: Deploy, log: Log
) -> None:
    assert project_of(deploy, DETACH_IDENTITY_ENDPOINT=None, SECRET="bare") == PROJECT
    assert [line["status"] for line in log() if line["event"] == "token_unverified"] == [None]


@pytest.mark.usefixtures("wire")
def test_a_bare_token_without_project_and_identity_service_is_of_no_known_project(deploy: Deploy) -> None:
    with pytest.raises(Misconfigured, match="DETACH_PROJECT_ID is missing"):
        project_of(deploy, DETACH_IDENTITY_ENDPOINT=None, DETACH_PROJECT_ID=None, SECRET="bare")


@pytest.mark.parametrize("status", [403, 404])
def test_a_bare_token_that_is_not_described_needs_the_project_configured(
    wire: responses.RequestsMock, deploy: Deploy, status: int
) -> None:
    wire.get(TOKENS, status=status)
    with pytest.raises(Misconfigured, match=f"answered {status}.: set DETACH_PROJECT_ID"):
        project_of(deploy, DETACH_PROJECT_ID=None, SECRET="bare")


def test_a_bare_token_that_is_refused_without_a_project_is_rejected(
    wire: responses.RequestsMock, deploy: Deploy
) -> None:
    wire.get(TOKENS, status=401)
    with pytest.raises(TokenRejected, match="The identity service refuses the token"):
        project_of(deploy, DETACH_PROJECT_ID=None, SECRET="bare")


@pytest.mark.parametrize(
    ("answer", "times", "failure"),
    [
        ({"status": 500}, 1, UpstreamUnavailable),
        ({"status": 503}, 4, UpstreamUnavailable),
        ({"status": 429}, 4, Throttled),
        ({"status": 302}, 1, UpstreamRejected),
        ({"status": 204}, 1, UpstreamRejected),
        ({"status": 200, "body": "<html>"}, 1, UpstreamUnavailable),
        ({"body": requests.ConnectionError("broken")}, 4, NoAnswer),
        ({"body": requests.ReadTimeout("slow")}, 1, NoAnswer),
    ],
)
def test_a_look_up_that_says_nothing_lets_no_token_pass(
    wire: responses.RequestsMock,
    deploy: Deploy,
    answer: dict[str, Any],
    times: int,
    failure: type[Failure],
) -> None:
    for _ in range(times):
        wire.get(TOKENS, **answer)
    with pytest.raises(failure):
        project_of(deploy, SECRET="bare")
