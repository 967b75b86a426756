"""Malformed envelopes, 300 of each kind: always a normalized answer, and nothing asked of the cloud."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from werkzeug.test import TestResponse

from handler.main import functiongraph
from handler.routes import NotSettled
from tests.embedded_cloud import Cloud
from tests.unit.deployment import AUTHORIZED, KEY, RESULT_KEYS, Context

MANY = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

# Values none of which is a UUID or a whole sweep, so that no form made of them is one.
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["\ud800", "543fdc50-6daa-48e5-808c", "__proto__", "${jndi:x}", "\x00", "null", "{}"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["volume_id", "attachment_id", "server_id", "targets", "dry_run"])
            | st.text(max_size=5),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
FORMS = VALUES | st.sampled_from(
    [{"sweep": 5}, {"sweep": {"limit": "x"}}, {"sweep": {}, "targets": []}, {"sweep": {"metadata": [1]}}]
)


def text_of(tree: object) -> str:
    return json.dumps(tree)  # NaN and all


TEXTS = FORMS.map(text_of) | st.text(max_size=40)
BODIES = TEXTS.map(lambda text: text.encode(errors="surrogatepass")) | st.binary(max_size=60)
TYPES = st.sampled_from(
    [
        "application/json",
        "application/json; charset=utf-16",
        "text/plain",
        "application/x+json",
        "",
        ";;",
        "é",
    ]
)
ATTRIBUTES = st.dictionaries(
    st.sampled_from(["specversion", "id", "source", "type", "subject", "time", "data", "data_base64"])
    | st.text(max_size=5),
    FORMS | st.sampled_from(["1.0", "0.3"]),
    max_size=8,
)
WHOLE = {"specversion": "1.0", "id": "1", "source": "s", "type": "t"}
STRUCTURED = ATTRIBUTES | FORMS.map(lambda data: {**WHOLE, "data": data})
HEADERS = st.dictionaries(
    st.sampled_from(["ce-specversion", "ce-id", "ce-source", "ce-type", "ce-time", "ce-x", "traceparent"]),
    st.sampled_from(["1.0", "0.3", "", "x", "é", "dev.knative.sources"]),
    min_size=1,
).filter(lambda headers: set(headers) & {"ce-specversion", "ce-id", "ce-source", "ce-type"})
SMN = st.fixed_dictionaries(
    {
        "record": VALUES
        | st.lists(
            VALUES
            | st.fixed_dictionaries({"smn": VALUES | st.fixed_dictionaries({"message": TEXTS | VALUES})}),
            max_size=3,
        )
    }
)
TIMER = st.fixed_dictionaries(
    {"trigger_type": st.just("TIMER"), "user_event": (FORMS | TEXTS).filter(lambda text: text is not None)}
).filter(lambda event: not isinstance(event["user_event"], str) or bool(event["user_event"].strip()))
TRACE = st.fixed_dictionaries(
    {
        "service_type": VALUES | st.just("ECS"),
        "trace_name": VALUES | st.just("deleteServer"),
        "trace_rating": VALUES | st.just("normal"),
        "resource_id": VALUES,
    }
)
CTS = TRACE | (TRACE | VALUES).map(lambda trace: {"cts": trace})
EVENTGRID = STRUCTURED | st.lists(STRUCTURED | VALUES, max_size=3).flatmap(
    lambda events: st.sampled_from([events, {"events": events}])
)
GATEWAY = st.fixed_dictionaries(
    {"httpMethod": st.just("POST") | VALUES},
    optional={
        "headers": st.just({"authorization": f"Bearer {KEY}"})
        | st.fixed_dictionaries({"authorization": st.just(f"Bearer {KEY}"), "content-type": TYPES | VALUES})
        | VALUES,
        "body": TEXTS
        | TEXTS.map(lambda text: base64.b64encode(text.encode(errors="replace")).decode())
        | VALUES,
        "isBase64Encoded": st.booleans() | VALUES,
        "requestContext": VALUES,
        "path": VALUES,
    },
)
STRANGERS = (
    st.fixed_dictionaries(
        {}, optional={"Records": VALUES, "records": VALUES, "lts": VALUES, "trigger_type": VALUES | st.text()}
    )
    | FORMS
)


@pytest.fixture
def quiet(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    """The cloud, which must not have been asked for anything when the test ends."""
    monkeypatch.setenv("DETACH_LOG_LEVEL", "CRITICAL")
    yield cloud
    assert cloud.calls == []


def normal(result: dict[str, Any], codes: tuple[str, ...] = ("invalid_request",)) -> None:
    assert set(result) == RESULT_KEYS
    assert "Traceback" not in json.dumps(result)
    if result["ok"]:
        assert result["outcome"] == "ignored"
    else:
        assert result["error"]["code"] in codes
        assert result["error"]["retryable"] is False


def turned_away(answer: TestResponse) -> None:
    assert answer.status_code in {400, 413, 415}
    assert answer.json is not None
    normal(answer.json)


def unanswered(answer: TestResponse) -> None:
    assert answer.status_code == 400
    assert answer.data == b""


@pytest.mark.usefixtures("quiet")
@MANY
@given(body=BODIES, kind=TYPES)
def test_plain_http(client: FlaskClient, body: bytes, kind: str) -> None:
    turned_away(client.post("/", data=body, headers={**AUTHORIZED, "Content-Type": kind}))


@pytest.mark.usefixtures("quiet")
@MANY
@given(body=BODIES, headers=HEADERS, kind=TYPES)
def test_binary_cloudevents(client: FlaskClient, body: bytes, headers: dict[str, str], kind: str) -> None:
    unanswered(client.post("/", data=body, headers={**AUTHORIZED, "Content-Type": kind, **headers}))


@pytest.mark.usefixtures("quiet")
@MANY
@given(body=STRUCTURED.map(lambda tree: text_of(tree).encode()) | BODIES)
def test_structured_cloudevents(client: FlaskClient, body: bytes) -> None:
    kind = "application/cloudevents+json"
    unanswered(client.post("/", data=body, headers={**AUTHORIZED, "Content-Type": kind}))


@pytest.mark.usefixtures("quiet")
@MANY
@given(body=st.lists(STRUCTURED | VALUES, max_size=3).map(lambda tree: text_of(tree).encode()) | BODIES)
def test_batched_cloudevents(client: FlaskClient, body: bytes) -> None:
    kind = "application/cloudevents-batch+json"
    unanswered(client.post("/", data=body, headers={**AUTHORIZED, "Content-Type": kind}))


@pytest.mark.usefixtures("quiet")
@MANY
@given(body=BODIES)
def test_invoke(client: FlaskClient, body: bytes) -> None:
    answer = client.post("/invoke", data=body, headers=AUTHORIZED)
    # An event that FunctionGraph's own runtime would raise for is a 500 here, with the result in it
    assert answer.status_code in {400, 500}
    assert answer.json is not None
    normal(answer.json)


def by_platform(client: FlaskClient, event: Any) -> None:
    try:
        native = functiongraph(event, Context())
    except NotSettled as failure:
        native = json.loads(str(failure))
    invoked = client.post("/invoke", data=text_of(event), headers=AUTHORIZED)
    assert invoked.json is not None
    if "statusCode" in native:
        for answer in (native, invoked.json):
            assert answer["statusCode"] in {400, 401, 405, 413, 415}
            normal(json.loads(answer["body"]), ("invalid_request", "unauthenticated"))
    else:
        normal(native)
        normal(invoked.json)
        assert invoked.json["trigger"] == native["trigger"]


@pytest.mark.usefixtures("quiet")
@MANY
@given(event=TIMER)
def test_timer(client: FlaskClient, event: Any) -> None:
    by_platform(client, event)


@pytest.mark.usefixtures("quiet")
@MANY
@given(event=GATEWAY)
def test_gateway(client: FlaskClient, event: Any) -> None:
    by_platform(client, event)


@pytest.mark.usefixtures("quiet")
@MANY
@given(event=SMN)
def test_smn(client: FlaskClient, event: Any) -> None:
    by_platform(client, event)


@pytest.mark.usefixtures("quiet")
@MANY
@given(event=CTS)
def test_cts(client: FlaskClient, event: Any) -> None:
    by_platform(client, event)


@pytest.mark.usefixtures("quiet")
@MANY
@given(event=EVENTGRID)
def test_eventgrid(client: FlaskClient, event: Any) -> None:
    by_platform(client, event)


@pytest.mark.usefixtures("quiet")
@MANY
@given(event=STRANGERS)
def test_events_of_other_kinds(client: FlaskClient, event: Any) -> None:
    by_platform(client, event)
