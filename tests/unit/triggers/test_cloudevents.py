"""CloudEvents, as the SDK's client side builds them and reads the replies."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
from cloudevents.conversion import to_binary, to_json, to_structured
from cloudevents.http import CloudEvent, from_json
from cloudevents.http import from_http as reply_from
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.embedded_cloud import Cloud, seed
from tests.unit.deployment import AUTHORIZED

Mode = Callable[[CloudEvent], tuple[dict[str, str], bytes]]
FORM = {"volume_id": seed.ORPHAN_VOLUME, "attachment_id": seed.ORPHAN_ATTACHMENT}
TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
BATCH = {**AUTHORIZED, "Content-Type": "application/cloudevents-batch+json"}
STRUCTURED = {**AUTHORIZED, "Content-Type": "application/cloudevents+json; charset=utf-8"}
BOTH = pytest.mark.parametrize("mode", [to_binary, to_structured])


def made(data: Any = None, **attributes: str) -> CloudEvent:
    known = {"type": "io.github.evs-detach.request", "source": "/runbook", **attributes}
    if isinstance(data, (dict, list, str)):
        known.setdefault("datacontenttype", "application/json")
    return CloudEvent(known, data)


def send(client: FlaskClient, event: CloudEvent, mode: Mode, **more: str) -> TestResponse:
    headers, body = mode(event)
    return client.post("/", data=body, headers={**headers, **AUTHORIZED, **more})


def reply(answer: TestResponse) -> CloudEvent:
    assert answer.status_code == 200
    return reply_from(dict(answer.headers), answer.data)


def results(answer: TestResponse) -> Any:
    return reply(answer).data


def refused(answer: TestResponse, status: int = 400) -> None:
    assert answer.status_code == status
    assert answer.data == b""
    assert "Content-Type" not in answer.headers
    assert answer.headers["X-Request-Id"]


@BOTH
def test_an_event_is_carried_out_and_replied_to_by_an_event(
    cloud: Cloud, client: FlaskClient, mode: Mode
) -> None:
    event = made(FORM, traceparent=TRACEPARENT)
    answer = send(client, event, mode)
    found = reply(answer)
    assert found["specversion"] == "1.0"
    assert found["type"] == "io.github.evs-detach.result"
    assert found["source"] == "/evs-detach"
    assert found["subject"] == seed.ORPHAN_VOLUME
    assert found["traceparent"] == TRACEPARENT
    assert found["datacontenttype"] == answer.headers["Content-Type"] == "application/json"
    assert found["id"] != event["id"]
    assert (found.data["outcome"], found.data["trigger"]) == ("detached", "cloudevent")
    assert found.data["request_id"] == answer.headers["X-Request-Id"]
    assert cloud.volume(seed.ORPHAN_VOLUME).status == "available"
    assert reply(send(client, event, mode))["id"] != found["id"]


@BOTH
@pytest.mark.parametrize("name", ["dryrun", "dry_run", "dry-run"])
def test_a_dry_run_in_an_attribute_is_refused(
    cloud: Cloud, client: FlaskClient, mode: Mode, name: str
) -> None:
    event = made(FORM)
    event[name] = "true"
    refused(send(client, event, mode))
    assert cloud.calls == []


@BOTH
def test_so_is_one_in_the_url(cloud: Cloud, client: FlaskClient, mode: Mode) -> None:
    headers, body = mode(made(FORM))
    refused(client.post("/?dry_run=true", data=body, headers={**headers, **AUTHORIZED}))
    assert cloud.calls == []


@pytest.mark.usefixtures("cloud")
def test_a_reply_is_an_event_that_can_be_sent_on_in_either_mode(client: FlaskClient) -> None:
    found = reply(send(client, made(FORM), to_binary))
    again = from_json(to_json(found))
    assert again.get_attributes() == found.get_attributes()
    assert again.data == found.data
    # Fed back by a Trigger without a filter it is turned away, and not replied to
    refused(send(client, found, to_structured))
    refused(send(client, found, to_binary))


@pytest.mark.usefixtures("cloud")
@BOTH
@pytest.mark.parametrize(
    "data",
    [
        pytest.param(FORM, id="json"),
        pytest.param(json.dumps(FORM), id="text"),
        pytest.param(json.dumps(FORM).encode(), id="bytes"),
        pytest.param(json.dumps(json.dumps(FORM)).encode(), id="bytes-of-a-json-string"),
    ],
)
def test_data_may_be_json_or_text_or_bytes(client: FlaskClient, mode: Mode, data: Any) -> None:
    assert results(send(client, made(data), mode))["outcome"] == "detached"


@pytest.mark.usefixtures("cloud")
@BOTH
@pytest.mark.parametrize("kind", ["application/json", "application/vnd.x+json", "text/plain", ""])
def test_the_type_of_the_data_does_not_matter_while_it_is_json(
    client: FlaskClient, mode: Mode, kind: str
) -> None:
    event = made(json.dumps(FORM).encode(), datacontenttype=kind)
    assert results(send(client, event, mode))["outcome"] == "detached"


@pytest.mark.usefixtures("cloud")
@BOTH
def test_each_form_and_its_subject(client: FlaskClient, mode: Mode) -> None:
    server = reply(send(client, made({"server_id": seed.TWO_DISK_GONE_SERVER, "dry_run": True}), mode))
    assert (server["subject"], server.data["summary"]) == (seed.TWO_DISK_GONE_SERVER, {"would_detach": 2})
    batch = reply(send(client, made({"targets": [FORM], "dry_run": True}), mode))
    assert ("subject" in batch, batch.data["summary"]) == (False, {"would_detach": 1})
    sweep = reply(send(client, made({"sweep": {"limit": 1}}), mode))
    assert ("subject" in sweep, sweep.data["complete"]) == (False, False)
    trace = {
        "service_type": "EVS",
        "trace_name": "deleteVolume",
        "trace_rating": "normal",
        "resource_id": "x",
    }
    ignored = reply(send(client, made(trace), mode))
    assert ("subject" in ignored, ignored.data["outcome"]) == (False, "ignored")


@pytest.mark.usefixtures("cloud")
@BOTH
@pytest.mark.parametrize("data", [None, "", b"", b"null", b'""', b"  "])
def test_a_ping_without_data_is_a_sweep_and_nothing_else_is(
    client: FlaskClient, mode: Mode, data: Any
) -> None:
    swept = results(send(client, made(data, type="dev.knative.sources.ping"), mode))
    assert swept["scanned"]["candidates"] == 13
    assert swept["summary"]["would_detach"] == 10
    refused(send(client, made(data), mode))


@pytest.mark.usefixtures("cloud")
@BOTH
def test_a_ping_with_data_is_what_its_data_says(client: FlaskClient, mode: Mode) -> None:
    event = made(FORM, type="dev.knative.sources.ping")
    assert results(send(client, event, mode))["outcome"] == "detached"


@BOTH
def test_what_needs_no_second_delivery_is_replied_to_and_what_does_is_not(
    cloud: Cloud, client: FlaskClient, mode: Mode
) -> None:
    live = {"volume_id": seed.LIVE_VOLUME, "attachment_id": seed.LIVE_ATTACHMENT}
    assert results(send(client, made(live), mode))["error"]["code"] == "server_exists"
    deleting = {"volume_id": seed.DELETING_VOLUME, "attachment_id": seed.DELETING_ATTACHMENT}
    answer = send(client, made(deleting), mode)
    refused(answer, 503)
    assert answer.headers["Retry-After"] == "5"
    refused(send(client, made({"volume_id": "x"}), mode))
    refused(send(client, made(FORM), mode, Authorization="Bearer wrong"), 403)
    big = {"sweep": {"metadata": {"k": "x" * 262_144}}}
    refused(send(client, made(big), mode), 413)
    assert cloud.posts() == []


@pytest.mark.usefixtures("cloud")
def test_a_batch_is_one_reply_with_all_results_in_order(client: FlaskClient) -> None:
    forms = [FORM, {"volume_id": seed.AVAILABLE_VOLUME}, {"volume_id": seed.LIVE_VOLUME}]
    batch = b"[" + b",".join(to_json(made(form, traceparent=TRACEPARENT)) for form in forms) + b"]"
    found = reply(client.post("/", data=batch, headers=BATCH))
    assert [part["outcome"] for part in found.data["results"]] == ["detached", "already_detached", "refused"]
    assert "subject" not in found
    assert "traceparent" not in found
    mixed = [made({"server_id": seed.TWO_DISK_GONE_SERVER, "dry_run": True}), made(FORM)]
    found = reply(client.post("/", data=b"[" + b",".join(map(to_json, mixed)) + b"]", headers=BATCH))
    assert found.data["summary"] == {"would_detach": 2, "already_detached": 1}
    alone = reply(client.post("/", data=b"[" + to_json(made(FORM)) + b"]", headers=BATCH))
    assert (alone["subject"], alone.data["outcome"]) == (seed.ORPHAN_VOLUME, "already_detached")


def test_a_batch_with_one_bad_event_is_refused_whole(cloud: Cloud, client: FlaskClient) -> None:
    batch = b"[" + to_json(made(FORM)) + b"," + to_json(made({"volume_id": "x"})) + b"]"
    refused(client.post("/", data=batch, headers=BATCH))
    assert cloud.calls == []


WHOLE: dict[str, object] = {"specversion": "1.0", "id": "1", "source": "s", "type": "t", "data": FORM}


@pytest.mark.parametrize("name", ["specversion", "id", "source", "type"])
@pytest.mark.parametrize("value", [None, "", "absent", 5, {"a": 1}, ["1.0"]])
def test_an_envelope_without_what_it_needs_is_refused(
    cloud: Cloud, client: FlaskClient, name: str, value: object
) -> None:
    tree = {key: part for key, part in WHOLE.items() if key != name}
    if value != "absent":
        tree[name] = value
    refused(client.post("/", data=json.dumps(tree), headers=STRUCTURED))
    refused(client.post("/", data=json.dumps([tree]), headers=BATCH))
    if value in ("", "absent"):
        headers = {f"ce-{key}": str(part) for key, part in tree.items() if key != "data"}
        answer = client.post("/", json=FORM, headers={**AUTHORIZED, **headers})
        refused(answer)
    assert cloud.calls == []


@pytest.mark.usefixtures("cloud")
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not JSON",
        b"[]",
        b"null",
        b'"text"',
        b'{"specversion": "1.0", "specversion": "1.0"}',
        json.dumps({**WHOLE, "specversion": "0.3"}).encode(),
        json.dumps({**WHOLE, "specversion": "2.0"}).encode(),
        json.dumps({**WHOLE, "data_base64": "e30="}).encode(),
        json.dumps({**WHOLE, "data": None, "data_base64": "no base64!"}).encode(),
        json.dumps({**WHOLE, "data": None, "data_base64": {"a": 1}}).encode(),
        json.dumps({**WHOLE, "data": None, "data_base64": base64.b64encode(b"\xff").decode()}).encode(),
        json.dumps({**WHOLE, "an attribute": 1}).encode(),
        json.dumps({**WHOLE, "nested": {"a": 1}}).encode(),
        json.dumps({**WHOLE, "data": 5}).encode(),
        json.dumps({**WHOLE, "data": [FORM]}).encode(),
        json.dumps({**WHOLE, "data": "text"}).encode(),
        json.dumps({**WHOLE, "data": json.dumps(json.dumps(json.dumps(FORM)))}).encode(),
    ],
)
def test_what_is_no_event_is_refused(client: FlaskClient, body: bytes) -> None:
    refused(client.post("/", data=body, headers=STRUCTURED))
    refused(client.post("/", data=b"[" + body + b"]", headers=BATCH))
    refused(client.post("/", data=body, headers=BATCH))


def test_data_is_read_as_strictly_as_any_request(
    cloud: Cloud, client: FlaskClient, capsys: pytest.CaptureFixture[str]
) -> None:
    twice = f'{{"volume_id": "{seed.ORPHAN_VOLUME}", "volume_id": "{seed.LIVE_VOLUME}"}}'
    structured = json.dumps({**WHOLE, "data": "HERE"}).replace('"HERE"', f'{{"targets": [{twice}]}}')
    refused(client.post("/", data=structured, headers=STRUCTURED))
    line = json.loads(capsys.readouterr().out.splitlines()[-1])
    # From the work's root, not from the envelope's
    assert line["details"] == [{"pointer": "/targets/0", "rule": "duplicate_key"}]
    headers = {f"ce-{key}": str(part) for key, part in WHOLE.items() if key != "data"}
    refused(client.post("/", data=twice, headers={**AUTHORIZED, **headers}))
    assert cloud.calls == []


@pytest.mark.usefixtures("cloud")
def test_null_attributes_are_absent_ones_and_numbers_and_booleans_are_fine(client: FlaskClient) -> None:
    tree = {**WHOLE, "subject": None, "sequence": 5, "sampled": True}
    assert results(client.post("/", data=json.dumps(tree), headers=STRUCTURED))["outcome"] == "detached"


@pytest.mark.usefixtures("cloud")
@BOTH
def test_a_trace_is_carried_on(client: FlaskClient, mode: Mode) -> None:
    other = "00-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-bbbbbbbbbbbbbbbb-00"
    by_header = reply(send(client, made(FORM), mode, traceparent=other))
    assert by_header["traceparent"] == other
    by_event = reply(send(client, made(FORM, traceparent=TRACEPARENT), mode, traceparent=other))
    assert by_event["traceparent"] == TRACEPARENT
    nonsense = reply(send(client, made(FORM, traceparent="not a trace"), mode))
    assert "traceparent" not in nonsense


@pytest.mark.usefixtures("cloud")
def test_other_methods_and_wrong_settings_get_no_body_either(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    headers, _ = to_binary(made(FORM))
    answer = client.put("/", headers={**AUTHORIZED, **headers})
    refused(answer, 405)
    assert answer.headers["Allow"] == "POST"
    monkeypatch.setenv("DETACH_PROJECT_ID", "wrong")
    refused(send(client, made(FORM), to_binary), 422)


@pytest.mark.parametrize("name", ["ce-id", "ce-type", "ce-source", "ce-specversion"])
def test_one_header_makes_an_event_that_lacks_the_others(
    cloud: Cloud, client: FlaskClient, name: str
) -> None:
    refused(client.post("/", json={**WHOLE, **FORM}, headers={**AUTHORIZED, name: "1.0"}))
    assert cloud.calls == []


ODD = ["{}", "x", "[]", "1", ""]


@pytest.mark.usefixtures("cloud")
@pytest.mark.parametrize(
    "name",
    [
        *("extensions", "data", "data_base64", "datacontenttype", "dataschema", "subject", "time"),
        *("specversion", "id", "source", "type", "traceparent", "properties", "self", "key", "schemaurl"),
    ],
)
@pytest.mark.parametrize("value", ODD)
def test_an_odd_envelope_is_taken_or_refused_and_no_bug(
    client: FlaskClient, capsys: pytest.CaptureFixture[str], name: str, value: str
) -> None:
    """The SDK has names of its own for parts of an event, and raises all kinds of errors at them."""
    form = {**FORM, "dry_run": True}
    whole = {"specversion": "1.0", "id": "1", "source": "s", "type": "t", "data": form}
    binary = {f"ce-{key}": str(whole[key]) for key in ("specversion", "id", "source", "type")}
    plain = {**AUTHORIZED, "Content-Type": "application/json"}
    answers = [client.post("/", json=form, headers={**plain, **binary, f"ce-{name}": value})]
    for odd in (value, json.loads(value or "null") if value != "x" else 2**40, [value], True):
        body = json.dumps({**whole, name: odd})
        answers.append(client.post("/", data=body, headers=STRUCTURED))
        answers.append(client.post("/", data=f"[{body}]", headers=BATCH))
    for answer in answers:
        assert answer.status_code in {200, 400}
        if answer.status_code == 400:
            refused(answer)
    assert "internal_error" not in capsys.readouterr().out


@pytest.mark.usefixtures("cloud")
@pytest.mark.parametrize(
    ("value", "status"),
    [(2**31 - 1, 200), (-(2**31), 200), (5.0, 400), (2**31, 400), (5.5, 400), (1e300, 400), (10**17, 400)],
)
def test_an_integer_of_an_envelope_has_32_bits(client: FlaskClient, value: float, status: int) -> None:
    event = {"specversion": "1.0", "id": "1", "source": "s", "type": "t", "sequence": value}
    body = json.dumps({**event, "data": {**FORM, "dry_run": True}})
    assert client.post("/", data=body, headers=STRUCTURED).status_code == status
