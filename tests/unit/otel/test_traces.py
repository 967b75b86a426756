"""What a collector sees of an invocation: spans, whose part they are, and who is told of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from cloudevents.conversion import to_binary, to_json, to_structured
from cloudevents.http import CloudEvent, from_http
from flask.testing import FlaskClient
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from handler import NAME, __version__
from handler.main import functiongraph
from handler.terminal.cli import main
from tests.embedded_cloud import Cloud, seed
from tests.unit.deployment import AUTHORIZED, KEY, Context
from tests.unit.otel.collector import Collector, headers_of, read

Sent = Callable[[], None]
FORM = {"volume_id": seed.ORPHAN_VOLUME, "attachment_id": seed.ORPHAN_ATTACHMENT}
TRACE, CALLER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
TRACEPARENT = f"00-{TRACE}-{CALLER}-01"
OTHER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def only(spans: list[Span]) -> Span:
    (span,) = spans
    return span


def ids(span: Span) -> tuple[str, str]:
    """The trace that a span is part of, and the span above it."""
    return span.trace_id.hex(), span.parent_span_id.hex()


def event(**attributes: str) -> CloudEvent:
    known = {"type": "io.github.evs-detach.request", "source": "/runbook", "id": "e-1"}
    return CloudEvent({**known, "datacontenttype": "application/json", **attributes}, FORM)


@pytest.mark.usefixtures("cloud")
def test_an_invocation_its_target_and_each_call(
    collector: Collector, client: FlaskClient, sent: Sent
) -> None:
    answer = client.post("/", json=FORM, headers={**AUTHORIZED, "X-Request-Id": "r-7"})
    assert answer.get_json()["outcome"] == "detached"
    sent()

    invocation, target = only(collector.named("detach")), only(collector.named("target"))
    assert (invocation.kind, invocation.parent_span_id) == (Span.SPAN_KIND_SERVER, b"")
    assert read(invocation.attributes) == {
        "faas.trigger": "http",
        "faas.invocation_id": "r-7",
        "faas.coldstart": True,
        "evs_detach.trigger": "http",
        "evs_detach.ok": True,
    }
    assert target.parent_span_id == invocation.span_id
    assert read(target.attributes) == {
        "evs_detach.volume.id": seed.ORPHAN_VOLUME,
        "evs_detach.attachment.id": seed.ORPHAN_ATTACHMENT,
        "evs_detach.server.id": seed.GONE_SERVER,
        "evs_detach.project.id": seed.PROJECT,
        "evs_detach.outcome": "detached",
        "evs_detach.changed": True,
        "evs_detach.dry_run": False,
        "evs_detach.via": "os-detach",
    }
    calls = [span for span in collector.spans if span.parent_span_id == target.span_id]
    calls.sort(key=lambda span: span.start_time_unix_nano)
    assert [span.name for span in calls] == [
        "GET /volume/v2/{id}/volumes/{id}",
        "GET /compute/v2.1/{id}/servers/{id}",
        "POST /volume/v2/{id}/volumes/{id}/action",
        "GET /volume/v2/{id}/volumes/{id}",
    ]
    assert {span.trace_id for span in collector.spans} == {invocation.trace_id}
    assert all(span.start_time_unix_nano <= span.end_time_unix_nano for span in collector.spans)


def test_a_call_is_described_by_the_conventions_for_http_clients(
    cloud: Cloud, collector: Collector, client: FlaskClient, sent: Sent
) -> None:
    client.post("/", json=FORM, headers=AUTHORIZED)
    sent()

    looked = only(collector.named("GET /compute/v2.1/{id}/servers/{id}"))
    about = read(looked.attributes)
    origin, _, port = cloud.url.rpartition(":")
    assert looked.kind == Span.SPAN_KIND_CLIENT
    assert about.pop("evs_detach.upstream_request_id").startswith("req-")
    assert about == {
        "http.request.method": "GET",
        "http.response.status_code": 404,
        "error.type": "404",
        "server.address": origin.rpartition("/")[2],
        "server.port": int(port),
        "url.full": f"{cloud.compute_endpoint}/{seed.PROJECT}/servers/{seed.GONE_SERVER}",
        "evs_detach.service": "compute",
    }
    assert looked.status.code == Status.STATUS_CODE_UNSET, "it is the proof that was hoped for"


@pytest.mark.usefixtures("cloud")
def test_who_says_so_is_named_with_its_version(
    collector: Collector, client: FlaskClient, sent: Sent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=prod,service.name=detach-eu")
    client.post("/", json=FORM, headers=AUTHORIZED)
    sent()

    resource = collector.resource
    assert (resource["service.name"], resource["service.version"]) == ("detach-eu", __version__)
    assert resource["deployment.environment.name"] == "prod"
    assert resource["service.instance.id"]


@pytest.mark.usefixtures("cloud")
def test_without_a_name_of_the_operator_s_it_is_ours(
    collector: Collector, client: FlaskClient, sent: Sent
) -> None:
    client.post("/", json=FORM, headers=AUTHORIZED)
    sent()

    assert collector.resource["service.name"] == NAME


def test_a_failure_is_an_error_of_the_call_the_target_and_the_invocation(
    cloud: Cloud, collector: Collector, client: FlaskClient, sent: Sent
) -> None:
    cloud.misbehave("compute", "GET", "/servers", times=None, status=503)
    client.post("/", json=FORM, headers=AUTHORIZED)
    sent()

    calls = collector.named("GET /compute/v2.1/{id}/servers/{id}")
    for span in (*calls, only(collector.named("target")), only(collector.named("detach"))):
        assert span.status.code == Status.STATUS_CODE_ERROR
        assert not span.status.message
    assert [read(span.attributes).get("http.request.resend_count") for span in calls] == [None, 1, 2, 3]
    assert read(only(collector.named("target")).attributes)["error.type"] == "upstream_unavailable"
    assert read(only(collector.named("detach")).attributes)["evs_detach.code"] == "upstream_unavailable"


@pytest.mark.usefixtures("cloud")
def test_a_refusal_is_no_error(collector: Collector, client: FlaskClient, sent: Sent) -> None:
    form = {"volume_id": seed.LIVE_VOLUME, "attachment_id": seed.LIVE_ATTACHMENT}
    client.post("/", json=form, headers=AUTHORIZED)
    sent()

    assert {span.status.code for span in collector.spans} == {Status.STATUS_CODE_UNSET}
    assert read(only(collector.named("target")).attributes)["evs_detach.code"] == "server_exists"


@pytest.mark.usefixtures("cloud")
@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer of-a-stranger-this-key-is"}])
def test_who_is_turned_away_is_seen_too(
    collector: Collector, client: FlaskClient, sent: Sent, headers: dict[str, str]
) -> None:
    for path in ("/", "/invoke"):
        client.post(path, json=FORM, headers=headers)
    sent()

    codes = {read(span.attributes)["evs_detach.code"] for span in collector.named("detach")}
    assert len(collector.named("detach")) == 2
    assert codes == ({"forbidden"} if headers else {"unauthenticated"})


# Whose part it is.


def by_http(client: FlaskClient, traceparent: str) -> None:
    client.post("/", json=FORM, headers={**AUTHORIZED, "traceparent": traceparent})


def by_invoke(client: FlaskClient, traceparent: str) -> None:
    client.post("/invoke", json=FORM, headers={**AUTHORIZED, "traceparent": traceparent})


def by_binary(client: FlaskClient, traceparent: str) -> None:
    headers, body = to_binary(event(traceparent=traceparent))
    client.post("/", data=body, headers={**headers, **AUTHORIZED})


def by_structured(client: FlaskClient, traceparent: str) -> None:
    headers, body = to_structured(event(traceparent=traceparent))
    client.post("/", data=body, headers={**headers, **AUTHORIZED})


def by_batch(client: FlaskClient, traceparent: str) -> None:
    content = b"[" + to_json(event(traceparent=traceparent)) + b"]"
    headers = {**AUTHORIZED, "Content-Type": "application/cloudevents-batch+json"}
    client.post("/", data=content, headers=headers)


def by_gateway(_client: FlaskClient, traceparent: str) -> None:
    headers = {"Authorization": f"Bearer {KEY}", "Traceparent": traceparent}
    functiongraph({"httpMethod": "POST", "headers": headers, "body": json.dumps(FORM)}, Context())


def by_eventgrid(_client: FlaskClient, traceparent: str) -> None:
    functiongraph(json.loads(to_json(event(traceparent=traceparent))), Context())


def by_terminal(_client: FlaskClient, traceparent: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRACEPARENT", traceparent)
        main(["detach", seed.ORPHAN_VOLUME])


WAYS = [by_http, by_invoke, by_binary, by_structured, by_batch, by_gateway, by_eventgrid, by_terminal]
KINDS = {
    "by_binary": Span.SPAN_KIND_CONSUMER,
    "by_structured": Span.SPAN_KIND_CONSUMER,
    "by_batch": Span.SPAN_KIND_CONSUMER,
    "by_eventgrid": Span.SPAN_KIND_CONSUMER,
    "by_terminal": Span.SPAN_KIND_INTERNAL,
}


@pytest.mark.parametrize("way", WAYS)
def test_the_caller_s_span_is_the_one_above_by_whatever_way_it_calls(
    way: Callable[[FlaskClient, str], None],
    cloud: Cloud,
    collector: Collector,
    client: FlaskClient,
    sent: Sent,
) -> None:
    way(client, TRACEPARENT)
    sent()

    invocation = only(collector.named("detach"))
    assert cloud.posts()
    assert ids(invocation) == (TRACE, CALLER)
    assert invocation.kind == KINDS.get(way.__name__, Span.SPAN_KIND_SERVER)
    assert {span.trace_id.hex() for span in collector.spans} == {TRACE}


@pytest.mark.usefixtures("cloud")
@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "null",
        TRACEPARENT.upper(),
        f"ff{TRACEPARENT[2:]}",
        f"00-{'0' * 32}-{CALLER}-01",
        f"{TRACEPARENT}-x",
    ],
)
@pytest.mark.parametrize("way", [by_http, by_structured, by_gateway])
def test_what_is_no_traceparent_begins_a_trace_of_its_own(
    way: Callable[[FlaskClient, str], None],
    wrong: str,
    collector: Collector,
    client: FlaskClient,
    sent: Sent,
) -> None:
    way(client, wrong)
    sent()

    trace, parent = ids(only(collector.named("detach")))
    assert (trace == TRACE, parent) == (False, "")


@pytest.mark.usefixtures("cloud")
def test_of_two_that_are_named_the_delivery_s_is_above_and_the_event_s_is_linked(
    collector: Collector, client: FlaskClient, sent: Sent
) -> None:
    for mode in (to_binary, to_structured):
        headers, body = mode(event(traceparent=TRACEPARENT))
        client.post("/", data=body, headers={**headers, **AUTHORIZED, "traceparent": OTHER})
    sent()

    for invocation in collector.named("detach"):
        assert ids(invocation) == tuple(OTHER.split("-")[1:3])
        assert [(link.trace_id.hex(), link.span_id.hex()) for link in invocation.links] == [(TRACE, CALLER)]


@pytest.mark.usefixtures("cloud")
def test_a_batch_of_several_is_linked_to_each(collector: Collector, client: FlaskClient, sent: Sent) -> None:
    events = b",".join(to_json(event(traceparent=parent)) for parent in (TRACEPARENT, OTHER))
    headers = {**AUTHORIZED, "Content-Type": "application/cloudevents-batch+json"}
    client.post("/", data=b"[" + events + b"]", headers=headers)
    sent()

    invocation = only(collector.named("detach"))
    assert invocation.parent_span_id == b""
    assert [link.span_id.hex() for link in invocation.links] == [CALLER, OTHER.split("-")[2]]


def test_a_key_that_is_looked_up_before_the_event_is_read_takes_no_trace_away(
    cloud: Cloud, collector: Collector, client: FlaskClient, sent: Sent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VAULT_ADDR", cloud.environment()["VAULT_ADDR"])
    monkeypatch.setenv("VAULT_TOKEN", cloud.environment().get("VAULT_TOKEN", "none"))
    monkeypatch.setenv("DETACH_INVOKE_SECRET", "vault:secret/there-is-none")
    by_structured(client, TRACEPARENT)
    sent()

    invocation = only(collector.named("detach"))
    assert read(invocation.attributes)["evs_detach.code"] == "secret_unavailable"
    assert any(read(span.attributes).get("evs_detach.service") == "vault" for span in collector.spans)


@pytest.mark.usefixtures("cloud")
def test_a_cloudevent_is_described_by_its_attributes(
    collector: Collector, client: FlaskClient, sent: Sent
) -> None:
    for mode in (to_binary, to_structured):
        headers, body = mode(event(subject="volume-7"))
        client.post("/", data=body, headers={**headers, **AUTHORIZED})
    headers, body = to_structured(event(source="https://x.test/?token=planted", subject="a b"))
    client.post("/", data=body, headers={**headers, **AUTHORIZED})
    sent()

    first, second, odd = (
        {name: value for name, value in read(span.attributes).items() if name.startswith("cloudevents.")}
        for span in collector.named("detach")
    )
    assert (
        first
        == second
        == {
            "cloudevents.event_id": "e-1",
            "cloudevents.event_source": "/runbook",
            "cloudevents.event_spec_version": "1.0",
            "cloudevents.event_type": "io.github.evs-detach.request",
            "cloudevents.event_subject": "volume-7",
        }
    )
    assert odd.keys() == first.keys() - {"cloudevents.event_source", "cloudevents.event_subject"}


# Who is told.


def test_each_call_tells_the_cloud_whose_part_it_is(
    cloud: Cloud, collector: Collector, client: FlaskClient, sent: Sent
) -> None:
    headers = {**AUTHORIZED, "traceparent": TRACEPARENT, "tracestate": "vendor=42"}
    client.post("/", json=FORM, headers=headers)
    sent()

    calls = [span for span in collector.spans if span.kind == Span.SPAN_KIND_CLIENT]
    told = headers_of(cloud, "traceparent")
    assert sorted(map(str, told)) == sorted(f"00-{TRACE}-{span.span_id.hex()}-01" for span in calls)
    assert set(headers_of(cloud, "tracestate")) == {"vendor=42"}
    assert len(told) == len(cloud.calls) > 4


def test_what_a_sweep_passes_on_tells_the_broker_and_its_receiver(
    cloud: Cloud, collector: Collector, sent: Sent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DETACH_FANOUT_SINK", cloud.sink_url)
    functiongraph({"trigger_type": "TIMER", "user_event": ""}, Context())
    sent()

    posts = [call for call in cloud.calls if call.service == "sink"]
    spans: dict[str, Any] = {span.span_id.hex(): span for span in collector.spans}
    assert posts
    for post in posts:
        passed = from_http(post.headers, post.raw)
        target = spans[passed["traceparent"].split("-")[2]]
        call = spans[post.headers["traceparent"].split("-")[2]]
        assert (target.name, call.name) == ("target", "POST /REDACTED")
        assert call.parent_span_id == target.span_id
        assert read(target.attributes)["evs_detach.volume.id"] == passed["subject"]
        assert read(target.attributes)["evs_detach.outcome"] == "dispatched"
        assert read(call.attributes)["url.full"].endswith("/REDACTED")
