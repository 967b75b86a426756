"""Plain HTTP through functions-framework's own app: routes, methods, types, sizes, callers, ids."""

from __future__ import annotations

import io
import json
import uuid

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from handler import main
from handler.settings import read_settings
from handler.triggers import platform
from tests.embedded_cloud import Cloud, seed
from tests.unit.deployment import AUTHORIZED, KEY, RESULT_KEYS, Context

FORM = {"volume_id": seed.ORPHAN_VOLUME}
LIMIT = 262_144


def failed(answer: TestResponse, status: int, code: str) -> str:
    """Check a normalized failure; its message."""
    assert answer.status_code == status
    assert answer.json is not None
    assert set(answer.json) == RESULT_KEYS
    assert answer.json["error"]["code"] == code
    assert answer.json["changed"] is False
    assert answer.headers["X-Request-Id"] == answer.json["request_id"]
    message: str = answer.json["error"]["message"]
    return message


def is_uuid(text: str) -> bool:
    return str(uuid.UUID(text)) == text


@pytest.mark.parametrize("path", ["/", "/detach", "/any/path?with=query", "/healthz/", "/Invoke"])
def test_any_path_takes_an_event(cloud: Cloud, client: FlaskClient, path: str) -> None:
    answer = client.post(path, json=FORM, headers=AUTHORIZED)
    assert answer.status_code == 200
    assert answer.json is not None
    assert answer.json["outcome"] == "detached"
    assert cloud.volume(seed.ORPHAN_VOLUME).status == "available"


@pytest.mark.parametrize("path", ["/?dry_run=true", "/any?x=1&dry_run", "/invoke?dry_run=1", "/?dry_run=0&x"])
def test_what_a_request_s_key_says_in_the_url_is_refused(
    cloud: Cloud, client: FlaskClient, path: str
) -> None:
    answer = client.post(path, json=FORM, headers=AUTHORIZED)
    said = "dry_run stands outside of the request, where it would not hold: put it into the body."
    assert failed(answer, 400, "invalid_request") == said
    assert cloud.calls == []


def test_probes(cloud: Cloud, client: FlaskClient) -> None:
    for path in ("/healthz", "/readyz", "/openapi.json"):
        got, head = client.get(path), client.head(path)
        assert (got.status_code, head.status_code) == (200, 200), path
        assert (got.json is not None, head.data) == (True, b"")
        assert is_uuid(got.headers["X-Request-Id"])
        assert is_uuid(head.headers["X-Request-Id"])
    assert cloud.calls == []


def test_wrong_settings_are_named_by_readiness_and_by_events_while_the_process_lives(
    cloud: Cloud, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DETACH_PROJECT_ID", "a-wrong-value")
    monkeypatch.setenv("DETACH_SWEEP_LIMIT", "a-wrong-value")
    assert client.get("/healthz").status_code == 200
    ready = client.get("/readyz")
    assert ready.status_code == 503
    answer = client.post("/", json=FORM, headers=AUTHORIZED)
    message = failed(answer, 500, "configuration")
    for text in (ready.text, message):
        assert "DETACH_PROJECT_ID" in text
        assert "DETACH_SWEEP_LIMIT" in text
        assert "a-wrong-value" not in text
    assert client.head("/readyz").status_code == 503
    assert cloud.calls == []
    monkeypatch.setenv("DETACH_PROJECT_ID", cloud.project_id)
    monkeypatch.setenv("DETACH_SWEEP_LIMIT", "3")
    assert client.get("/readyz").status_code == 200


@pytest.mark.parametrize(
    ("environment", "says"),
    [
        (
            {
                "DETACH_PROJECT_ID": "",
                "CLOUD_TOKEN": json.dumps(dict.fromkeys(("username", "password", "domain"), "h1dden")),
            },
            'DETACH_PROJECT_ID is missing, and so is "project"',
        ),
        (
            {"DETACH_PROJECT_ID": "", "DETACH_IDENTITY_ENDPOINT": ""},
            "DETACH_PROJECT_ID is missing. (Or set DETACH_IDENTITY_ENDPOINT",
        ),
        (
            {"CLOUD_TOKEN": '{"h1dden": "x"}'},
            "The content of the secret that DETACH_TOKEN_SECRET names must be",
        ),
        ({"CLOUD_TOKEN": "eyJ0b2tlbiI6ICJoMWRkZW4ifQ=="}, "DETACH_TOKEN_SECRET names is base64 of JSON"),
        (
            {"DETACH_TOKEN_SECRET": "env:NOT_SET"},
            "DETACH_TOKEN_SECRET names an environment variable that is not",
        ),
        ({"DETACH_TOKEN_SECRET": "file:/no/such"}, "DETACH_TOKEN_SECRET names a file that does not exist"),
        ({"CALLERS_KEY": "h1dden"}, "DETACH_INVOKE_SECRET names has less than 16 letters"),
        ({"CALLERS_KEY": ""}, "DETACH_INVOKE_SECRET"),
    ],
)
def test_what_every_call_would_meet_is_said_by_readiness(
    cloud: Cloud, client: FlaskClient, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], says: str
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    ready = client.get("/readyz")
    assert ready.json is not None
    assert (ready.status_code, says in ready.json["error"]["message"]) == (503, True), ready.text
    assert "h1dden" not in ready.text
    answer = client.post("/", json=FORM, headers=AUTHORIZED)
    assert answer.json is not None
    assert answer.json["error"]["code"] == ready.json["error"]["code"]
    assert cloud.calls == []


def test_readiness_asks_nobody_for_a_secret_that_is_kept_elsewhere(
    cloud: Cloud, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VAULT_ADDR", cloud.vault_addr)
    monkeypatch.setenv("VAULT_TOKEN", "none")
    monkeypatch.setenv("DETACH_TOKEN_SECRET", "vault:secret/none")
    monkeypatch.setenv("DETACH_INVOKE_SECRET", "vault:secret/none")
    assert client.get("/readyz").status_code == 200
    assert cloud.calls == []


@pytest.mark.parametrize(
    ("path", "methods", "allowed"),
    [
        ("/", ("GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"), "POST"),
        ("/any/path", ("GET", "DELETE"), "POST"),
        ("/invoke", ("GET", "PUT"), "POST"),
        ("/init", ("GET", "HEAD"), "POST"),
        ("/healthz", ("POST", "PUT", "OPTIONS"), "GET, HEAD"),
        ("/readyz", ("POST",), "GET, HEAD"),
        ("/openapi.json", ("POST", "DELETE"), "GET, HEAD"),
    ],
)
def test_other_methods_are_not_allowed(
    client: FlaskClient, path: str, methods: tuple[str, ...], allowed: str
) -> None:
    for method in methods:
        answer = client.open(path, method=method)
        assert answer.status_code == 405, method
        assert answer.headers["Allow"] == allowed
        if method != "HEAD":
            failed(answer, 405, "invalid_request")


@pytest.mark.parametrize("body", [b"", b"{}", b"\xff" * 1000])
def test_init_is_fine_whatever_comes(client: FlaskClient, body: bytes) -> None:
    answer = client.post("/init", data=body)
    assert (answer.status_code, answer.data) == (200, b"")
    assert answer.headers["X-Request-Id"]


@pytest.mark.usefixtures("cloud")
@pytest.mark.parametrize(
    "kind",
    [
        "application/json",
        "Application/JSON",
        "application/json; charset=utf-8",
        'application/json; charset="UTF-8"',
        "application/vnd.evs+json",
    ],
)
def test_json_by_any_of_its_names_is_taken(client: FlaskClient, kind: str) -> None:
    answer = client.post("/", data=json.dumps(FORM), content_type=kind, headers=AUTHORIZED)
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({"Content-Type": "text/plain"}, b"{}"),
        ({"Content-Type": "application/xml"}, b"<x/>"),
        ({"Content-Type": "application/x-www-form-urlencoded"}, b"volume_id=1"),
        ({"Content-Type": "multipart/form-data; boundary=x"}, b"--x--"),
        ({"Content-Type": "image/svg+json"}, b"{}"),
        ({"Content-Type": "application/json; charset=utf-16"}, b"{}"),
        ({"Content-Type": "application/json", "Content-Encoding": "gzip"}, b"\x1f\x8b"),
        ({"Content-Type": "text/plain"}, b""),
        ({}, b"{}"),
    ],
)
def test_other_types_are_not_taken(
    cloud: Cloud, client: FlaskClient, headers: dict[str, str], body: bytes
) -> None:
    failed(client.post("/", data=body, headers={**AUTHORIZED, **headers}), 415, "invalid_request")
    assert cloud.calls == []


@pytest.mark.usefixtures("cloud")
def test_an_empty_body_without_a_type_is_an_empty_event(client: FlaskClient) -> None:
    answer = client.post("/", headers=AUTHORIZED)
    failed(answer, 400, "invalid_request")
    assert answer.json is not None
    assert answer.json["error"]["details"] == [{"pointer": "", "rule": "required"}]


@pytest.mark.usefixtures("cloud")
def test_details_name_place_and_rule(client: FlaskClient) -> None:
    answer = client.post("/", json={"targets": [{"volume_id": "x", "mine": 1}]}, headers=AUTHORIZED)
    failed(answer, 400, "invalid_request")
    assert answer.json is not None
    assert answer.json["error"]["details"] == [
        {"pointer": "/targets/0/volume_id", "rule": "uuid"},
        {"pointer": "/targets/0", "rule": "unknown_key"},
    ]


def padded(size: int) -> bytes:
    text = json.dumps(FORM).encode()
    return text + b" " * (size - len(text))


@pytest.mark.usefixtures("cloud")
def test_a_body_of_just_the_limit_is_taken_and_one_byte_more_is_not(client: FlaskClient) -> None:
    kind = "application/json"
    assert client.post("/", data=padded(LIMIT), content_type=kind, headers=AUTHORIZED).status_code == 200
    for size in (LIMIT + 1, LIMIT + 2, 3 * LIMIT):
        answer = client.post("/", data=padded(size), content_type=kind, headers=AUTHORIZED)
        failed(answer, 413, "invalid_request")
        assert answer.headers["Connection"] == "close"


@pytest.mark.usefixtures("cloud")
def test_the_limits_are_settings(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DETACH_MAX_BODY_BYTES", "300")
    monkeypatch.setenv("DETACH_MAX_TARGETS", "2")
    answer = client.post("/", data=padded(301), content_type="application/json", headers=AUTHORIZED)
    failed(answer, 413, "invalid_request")
    form = {"targets": [{"volume_id": seed.AVAILABLE_VOLUME}] * 3}
    answer = client.post("/", json=form, headers=AUTHORIZED)
    assert answer.json is not None
    assert answer.json["error"]["details"] == [{"pointer": "/targets", "rule": "too_many"}]


@pytest.mark.parametrize(
    ("authorization", "status", "code"),
    [
        (None, 401, "unauthenticated"),
        ("", 401, "unauthenticated"),
        (f"Basic {KEY}", 401, "unauthenticated"),
        (KEY, 401, "unauthenticated"),
        ("Bearer", 401, "unauthenticated"),
        ("Bearer a-wrong-key", 403, "forbidden"),
        (f"Bearer {KEY}x", 403, "forbidden"),
    ],
)
@pytest.mark.parametrize(
    ("path", "body"),
    [("/", b"not JSON"), ("/", json.dumps(FORM).encode()), ("/invoke", json.dumps(FORM).encode())],
)
def test_who_may_not_call_is_turned_away_before_the_body_is_parsed(
    cloud: Cloud,
    client: FlaskClient,
    authorization: str | None,
    status: int,
    code: str,
    path: str,
    body: bytes,
    capsys: pytest.CaptureFixture[str],
) -> None:
    headers = {} if authorization is None else {"Authorization": authorization}
    answer = client.post(path, data=body, content_type="application/json", headers=headers)
    failed(answer, status, code)
    assert answer.headers.get("WWW-Authenticate") == ("Bearer" if status == 401 else None)
    assert cloud.calls == []
    line = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (line["event"], line["code"]) == ("caller_refused", code)
    assert KEY not in json.dumps(line) + answer.text
    event = {"ce-id": "1", "ce-source": "s", "ce-type": "t", "ce-specversion": "1.0"}
    reply = client.post("/", data=body, headers={**headers, **event})
    assert (reply.status_code, reply.data) == (status, b"")


@pytest.mark.usefixtures("cloud")
@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_who_has_the_key_may_call(client: FlaskClient, scheme: str) -> None:
    answer = client.post("/", json=FORM, headers={"Authorization": f"{scheme} {KEY}"})
    assert answer.status_code == 200


@pytest.mark.usefixtures("cloud")
def test_where_the_platform_checks_callers_no_key_is_asked_for(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DETACH_INVOKE_AUTH", "platform")
    monkeypatch.delenv("DETACH_INVOKE_SECRET")
    assert client.post("/", json=FORM).status_code == 200
    assert client.post("/invoke", json=FORM).status_code == 200


@pytest.mark.usefixtures("cloud")
@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"X-Request-Id": "abc.DEF_1-2"}, "abc.DEF_1-2"),
        ({"X-Request-Id": "a" * 128}, "a" * 128),
        ({"X-Request-Id": "a" * 129}, None),
        ({"X-Request-Id": "with space"}, None),
        ({"X-Request-Id": "<script>"}, None),
        ({"X-Request-Id": ""}, None),
        ({"X-Request-Id": "mine", "X-CFF-Request-Id": "platform"}, "platform"),
        ({"X-Request-Id": "mine", "X-CFF-Request-Id": "null"}, "mine"),
        ({}, None),
    ],
)
def test_the_request_id(client: FlaskClient, headers: dict[str, str], expected: str | None) -> None:
    for path in ("/", "/invoke"):
        answer = client.post(
            path, json={"volume_id": seed.AVAILABLE_VOLUME}, headers={**AUTHORIZED, **headers}
        )
        assert answer.json is not None
        known = answer.headers["X-Request-Id"]
        assert answer.json["request_id"] == known
        assert known == expected or (expected is None and is_uuid(known))
        assert client.get("/healthz", headers=headers).headers["X-Request-Id"] == expected or not expected


def test_what_the_platform_says_in_headers_is_used_and_never_logged(
    cloud: Cloud, client: FlaskClient, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DETACH_TOKEN_SECRET", "context:")
    monkeypatch.setenv("DETACH_LOG_LEVEL", "DEBUG")
    token = cloud.token()
    headers = {
        **AUTHORIZED,
        "X-CFF-Auth-Token": token,
        "X-CFF-Project-Id": cloud.project_id,
        "X-CFF-Security-Access-Key": "planted-access-key",
        "X-CFF-Timeout": "30",
    }
    for path in ("/", "/invoke"):
        cloud.reset()
        answer = client.post(path, json=FORM, headers=headers)
        assert answer.json is not None
        assert answer.json["outcome"] == "detached", answer.json
        log = capsys.readouterr().out
        assert log
        assert not [secret for secret in (token, KEY, "planted-access-key") if secret in log + answer.text]
    absent = client.post("/", json=FORM, headers={**headers, "X-CFF-Auth-Token": "null"})
    assert absent.json is not None
    assert absent.json["error"]["code"] in {"configuration", "secret_unavailable"}


def test_time_that_the_platform_does_not_leave_is_not_used(cloud: Cloud, client: FlaskClient) -> None:
    answer = client.post("/", json=FORM, headers={**AUTHORIZED, "X-CFF-Timeout": "0.4"})
    failed(answer, 504, "deadline_exceeded")
    assert cloud.posts() == []
    for nonsense in ("soon", "-5", "nan", "inf", "null", ""):
        cloud.reset()
        answer = client.post("/", json=FORM, headers={**AUTHORIZED, "X-CFF-Timeout": nonsense})
        assert answer.status_code == 200, nonsense


def test_what_an_unknown_caller_says_for_the_platform_keeps_no_new_key_out(
    cloud: Cloud, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = {"Authorization": "Bearer new-key-of-the-callers"}
    monkeypatch.setenv("DETACH_INVOKE_SECRET", "vault:secret/callers")
    monkeypatch.setenv("VAULT_ADDR", cloud.vault_addr)
    monkeypatch.setenv("VAULT_TOKEN", cloud.add_vault_token())
    cloud.put_vault_secret("secret", "callers", {"keys": KEY})
    assert client.post("/", json=FORM, headers=AUTHORIZED).status_code == 200
    cloud.put_vault_secret("secret", "callers", {"keys": f"{KEY}\nnew-key-of-the-callers"})
    guess = {"Authorization": "Bearer guess", "X-CFF-Timeout": "0.5", "X-CFF-Auth-Token": "made-up"}
    for path in ("/", "/invoke"):
        failed(client.post(path, json=FORM, headers=guess), 403, "forbidden")
        cloud.reset()
        assert client.post(path, json=FORM, headers=new).status_code == 200


def test_user_data_of_a_container_are_settings_that_the_environment_outranks(
    cloud: Cloud, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DETACH_PROJECT_ID")
    data = {"DETACH_PROJECT_ID": cloud.project_id, "DETACH_VOLUME_ENDPOINT": "http://127.0.0.1:1/nowhere"}
    monkeypatch.setenv("RUNTIME_USERDATA", json.dumps(data))
    assert client.post("/", json=FORM, headers=AUTHORIZED).status_code == 200


@pytest.mark.usefixtures("cloud")
@pytest.mark.parametrize(
    ("variable", "told", "limit"),
    [
        ("", "1", 1),
        (" \t", "1", 1),
        ("2", "", 2),
        ("2", "1", 2),
        ("", " ", 100),
        (None, "1", 1),
        ("2", None, 2),
    ],
)
def test_what_is_empty_hides_nothing_whether_variable_or_user_data(
    monkeypatch: pytest.MonkeyPatch, variable: str | None, told: str | None, limit: int
) -> None:
    name = "DETACH_MAX_TARGETS"
    data = {} if told is None else {name: told}
    if variable is not None:
        monkeypatch.setenv(name, variable)
    by_context = platform.environment_of(Context(user_data=data))
    assert read_settings(by_context()).max_targets == limit
    monkeypatch.setenv("RUNTIME_USERDATA", json.dumps(data))
    contexts = (Context(), Context(user_data={name: ""}), object())
    for read in (platform.environment, *map(platform.environment_of, contexts)):
        assert read_settings(read()).max_targets == limit


@pytest.mark.usefixtures("cloud")
def test_an_empty_variable_that_is_no_setting_is_a_fault_beside_user_data_too(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DETACH_SWEEP_LIMITS", "")
    monkeypatch.setenv("RUNTIME_USERDATA", '{"DETACH_MAX_TARGETS": "5"}')
    assert "DETACH_SWEEP_LIMITS is not a setting" in client.get("/readyz").text


@pytest.mark.usefixtures("cloud")
@pytest.mark.parametrize("data", ["{", "[]", '"text"', '{"DETACH_MAX_TARGETS": 5}'])
def test_user_data_that_cannot_be_read_are_a_fault(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch, data: str
) -> None:
    monkeypatch.setenv("RUNTIME_USERDATA", data)
    assert "RUNTIME_USERDATA" in client.get("/readyz").text
    failed(client.post("/", json=FORM, headers=AUTHORIZED), 500, "configuration")


@pytest.mark.usefixtures("cloud")
@pytest.mark.parametrize("data", ["", "null", "{}"])
def test_no_user_data_is_no_fault(client: FlaskClient, monkeypatch: pytest.MonkeyPatch, data: str) -> None:
    monkeypatch.setenv("RUNTIME_USERDATA", data)
    assert client.get("/readyz").status_code == 200


@pytest.mark.usefixtures("cloud")
@pytest.mark.parametrize(("body", "status"), [(b"{", 400), (b"", 400), (b"[" * 300_000, 413)])
def test_what_is_no_event_at_all_is_told_so_by_invoke(client: FlaskClient, body: bytes, status: int) -> None:
    failed(client.post("/invoke", data=body, headers=AUTHORIZED), status, "invalid_request")


@pytest.mark.usefixtures("cloud")
def test_invoke_answers_a_gateway_even_when_the_settings_are_wrong(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DETACH_PROJECT_ID", "wrong")
    answer = client.post("/invoke", json={"httpMethod": "POST", "body": json.dumps(FORM)}, headers=AUTHORIZED)
    assert answer.status_code == 200
    assert answer.json is not None
    assert answer.json["statusCode"] == 500
    assert json.loads(answer.json["body"])["error"]["code"] == "configuration"


@pytest.mark.usefixtures("cloud")
@pytest.mark.parametrize(
    ("outer", "status"), [({}, 401), ({"Authorization": "Bearer wrong"}, 403), (AUTHORIZED, 200)]
)
def test_a_caller_over_the_network_is_judged_by_the_requests_own_header_alone(
    client: FlaskClient, outer: dict[str, str], status: int
) -> None:
    """A key inside a gateway's event could only be found by reading what somebody unknown has sent."""
    for inner in ({}, {"authorization": f"Bearer {KEY}"}, {"authorization": "Bearer wrong"}):
        gateway = {"httpMethod": "POST", "headers": inner, "body": json.dumps({**FORM, "dry_run": True})}
        answer = client.post("/invoke", json=gateway, headers=outer)
        assert answer.status_code == status
        if status == 200:
            assert answer.json is not None
            assert answer.json["statusCode"] == 200


class Unread(io.RawIOBase):
    """A body that nobody may look at."""

    def readable(self) -> bool:
        return True

    def seek(self, _offset: int, _whence: int = 0, /) -> int:
        return 0  # werkzeug's client goes to the end, to see how long it is

    def tell(self) -> int:
        return 0

    def readinto(self, _buffer: object) -> int:
        raise AssertionError("the body was read")


@pytest.mark.usefixtures("cloud")
@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic x"}])
@pytest.mark.parametrize("path", ["/", "/invoke", "/any/path"])
@pytest.mark.parametrize("kind", ["application/json", "application/cloudevents+json", "text/plain"])
def test_no_byte_of_an_unknown_callers_body_is_read(
    client: FlaskClient, headers: dict[str, str], path: str, kind: str
) -> None:
    length = {"CONTENT_LENGTH": "25000000"}
    answer = client.post(
        path, input_stream=Unread(), content_type=kind, headers=headers, environ_overrides=length
    )
    assert answer.status_code in {401, 403}
    assert answer.headers["Connection"] == "close"


@pytest.mark.usefixtures("cloud")
def test_a_bug_in_a_route_itself_is_answered_without_its_text(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken() -> None:
        raise RuntimeError("the secret text of a bug")

    monkeypatch.setattr("handler.model.openapi.document", broken)
    answer = client.get("/openapi.json")
    failed(answer, 500, "internal")
    log = capsys.readouterr().out
    assert "RuntimeError" in log
    assert "the secret text" not in log + answer.text


def test_the_same_target_gives_the_same_object_by_every_door(cloud: Cloud, client: FlaskClient) -> None:
    form = {"volume_id": seed.ORPHAN_VOLUME, "attachment_id": seed.ORPHAN_ATTACHMENT}
    text = json.dumps(form)
    cloudevent = {"specversion": "1.0", "id": "1", "source": "s", "type": "t", "data": form}
    gateway = {"httpMethod": "POST", "body": text, "headers": AUTHORIZED}
    answers = [client.post("/", json=form, headers=AUTHORIZED).json]
    cloud.reset()
    structured = {**AUTHORIZED, "Content-Type": "application/cloudevents+json"}
    answers.append(client.post("/", data=json.dumps(cloudevent), headers=structured).json)
    for envelope in (
        {"trigger_type": "TIMER", "user_event": text},
        {"record": [{"smn": {"message": text}}]},
        cloudevent,
        gateway,
    ):
        cloud.reset()
        native = main.functiongraph(envelope, Context())
        answers.append(json.loads(native["body"]) if "body" in native else native)
        cloud.reset()
        invoked = client.post("/invoke", json=envelope, headers=AUTHORIZED).json
        assert invoked is not None
        answers.append(json.loads(invoked["body"]) if "body" in invoked else invoked)
    first = answers[0]
    assert first is not None
    assert first["outcome"] == "detached"
    own = ("trigger", "request_id", "upstream_request_ids", "duration_ms")
    first_seen = first["disk"]["attached_at"]
    for answer in answers:
        assert answer is not None
        # Each cloud's world is made anew, so many days ago
        assert answer["disk"].pop("attached_at")[:10] == first_seen[:10]
        assert list(answer) == list(first)
        assert {**answer, **dict.fromkeys(own)} == {**first, **dict.fromkeys(own)}
        assert len(answer["upstream_request_ids"]) == len(first["upstream_request_ids"])
    assert [answer["trigger"] for answer in answers if answer] == [
        *("http", "cloudevent"),
        *("timer", "timer", "smn", "smn", "eventgrid", "eventgrid", "apig", "apig"),
    ]
