"""No secret is in anything that is sent to a collector, wherever one could come from."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from cloudevents.conversion import to_binary
from cloudevents.http import CloudEvent
from flask.testing import FlaskClient

from handler.main import functiongraph
from tests.embedded_cloud import Cloud, seed
from tests.unit.deployment import AUTHORIZED, KEY, Context
from tests.unit.otel.collector import Collector

Sent = Callable[[], None]
FORM = {"volume_id": seed.ORPHAN_VOLUME, "attachment_id": seed.ORPHAN_ATTACHMENT}


def test_no_token_key_password_or_header_is_sent(
    cloud: Cloud, collector: Collector, client: FlaskClient, sent: Sent, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud.add_user("robot", "planted-password")
    login = {"username": "robot", "password": "planted-password", "domain": "Default"}
    monkeypatch.setenv("DETACH_TOKEN_SECRET", "env:LOGIN")
    monkeypatch.setenv("LOGIN", json.dumps(login))
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "api-key=planted-header")
    monkeypatch.setenv("DETACH_FANOUT_SINK", f"{cloud.sink_url}/planted-path")
    attributes = {"type": "t", "source": "/?key=planted-source", "subject": "planted subject", "id": "1"}
    headers, body = to_binary(CloudEvent(attributes, json.dumps(FORM)))
    headers["content-type"] = "application/json"

    client.post("/", data=body, headers={**headers, **AUTHORIZED, "baggage": "key=planted-baggage"})
    client.post("/", json=FORM, headers={"Authorization": "Bearer planted-stranger"})
    functiongraph({"trigger_type": "TIMER", "user_event": ""}, Context(token="planted-platform"))
    sent()

    everything = b"".join(body for _, body in collector.bodies)
    assert {header.get("api-key") for header in collector.headers} == {"planted-header"}
    assert len(cloud.identity.tokens) >= 2
    assert collector.named("POST /REDACTED")
    assert b"planted" not in everything
    assert KEY.encode() not in everything
    for token in cloud.identity.tokens:
        assert token.encode() not in everything
    assert not any("baggage" in call.headers for call in cloud.calls)


def test_nothing_that_a_cloud_says_is_sent_but_plain_words(
    cloud: Cloud, collector: Collector, client: FlaskClient, sent: Sent
) -> None:
    body = {"error": {"code": "planted code", "message": "planted <b>message</b>"}}
    cloud.misbehave("volume", "GET", "/volumes/", times=None, status=403, body=body)

    client.post("/", json=FORM, headers=AUTHORIZED)
    sent()

    assert collector.named("target")
    assert b"planted" not in b"".join(body for _, body in collector.bodies)
