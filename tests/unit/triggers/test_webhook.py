"""The hand-shake by which a sender of CloudEvents asks whether it may send."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient

from tests.unit.deployment import AUTHORIZED

ORIGIN = "eventgrid.azure.net"

pytestmark = pytest.mark.usefixtures("cloud")


@pytest.fixture(autouse=True)
def origins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DETACH_WEBHOOK_ORIGINS", f"{ORIGIN}, sender.example")


@pytest.mark.parametrize("path", ["/", "/any/path", "//x", "/robots.txt"])
@pytest.mark.parametrize("asked", [ORIGIN, "Sender.Example"])
@pytest.mark.parametrize(
    "more", [{}, {"WebHook-Request-Rate": "120"}, {"WebHook-Request-Callback": "https://x/"}]
)
def test_a_named_origin_may_send_and_shows_no_key(
    client: FlaskClient, path: str, asked: str, more: dict[str, str]
) -> None:
    answer = client.options(path, headers={"WebHook-Request-Origin": asked, **more})
    assert (answer.status_code, answer.data) == (200, b"")
    assert answer.headers["WebHook-Allowed-Origin"] == asked
    assert answer.headers["WebHook-Allowed-Rate"] == "*"
    assert answer.headers["Allow"] == "POST"
    assert answer.headers["X-Request-Id"]


@pytest.mark.parametrize("asked", [None, "", "*", "other.example", f"{ORIGIN}.evil.example", f"x.{ORIGIN}"])
@pytest.mark.parametrize("key", [{}, AUTHORIZED])
def test_any_other_is_answered_as_if_options_were_not_known(
    client: FlaskClient, asked: str | None, key: dict[str, str]
) -> None:
    headers = key if asked is None else {**key, "WebHook-Request-Origin": asked}
    answer = client.options("/", headers=headers)
    assert answer.status_code == 405
    assert not [name for name, _ in answer.headers if name.lower().startswith("webhook-")]


def test_it_allows_no_delivery_without_the_key(client: FlaskClient) -> None:
    assert client.post("/", json={}, headers={"WebHook-Request-Origin": ORIGIN}).status_code == 401


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/openapi.json", "/init", "/invoke"])
def test_no_events_are_sent_to_what_is_no_event(client: FlaskClient, path: str) -> None:
    assert client.options(path, headers={"WebHook-Request-Origin": ORIGIN}).status_code == 405


def test_nobody_is_named_by_default(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DETACH_WEBHOOK_ORIGINS")
    assert client.options("/", headers={"WebHook-Request-Origin": ORIGIN}).status_code == 405


@pytest.mark.parametrize("wrong", ["https://x.example", "*", "*.example", "a b/c", "-x"])
def test_origins_are_names_of_hosts(client: FlaskClient, monkeypatch: pytest.MonkeyPatch, wrong: str) -> None:
    monkeypatch.setenv("DETACH_WEBHOOK_ORIGINS", wrong)
    assert "DETACH_WEBHOOK_ORIGINS" in client.get("/readyz").text
    assert client.options("/", headers={"WebHook-Request-Origin": wrong}).status_code == 405
