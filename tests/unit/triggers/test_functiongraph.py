"""FunctionGraph's event function: each envelope, the context, what is raised and what returned."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from handler.main import functiongraph
from handler.model.request import KEYS
from handler.routes import NotSettled
from tests.embedded_cloud import Cloud, seed
from tests.unit.deployment import KEY, ROOT, Context

VENDOR = Path(__file__).with_name("vendor")
FORM = {"volume_id": seed.ORPHAN_VOLUME, "attachment_id": seed.ORPHAN_ATTACHMENT}
TEXT = json.dumps(FORM)
TRACE = {
    "service_type": "ECS",
    "resource_type": "ecs",
    "resource_id": seed.TWO_DISK_GONE_SERVER,
    "trace_name": "deleteServer",
    "trace_rating": "normal",
    "request": "",
}
CLOUDEVENT = {"specversion": "1.0", "id": "1", "source": "s", "type": "t", "data": FORM}


def timer(**more: object) -> dict[str, object]:
    return {"version": "v1.0", "time": "2026-11-24T03:00:00+08:00", "trigger_type": "TIMER", **more}


def smn(*messages: object) -> dict[str, object]:
    return {"record": [{"event_source": "smn", "smn": {"message": message}} for message in messages]}


def gateway(body: object = TEXT, **more: object) -> dict[str, object]:
    headers = {"content-type": "application/json", "authorization": f"Bearer {KEY}"}
    return {"httpMethod": "POST", "headers": headers, "body": body, "isBase64Encoded": False, **more}


def raised(event: object, context: object = None) -> Any:
    with pytest.raises(NotSettled) as caught:
        functiongraph(event, context or Context())
    return json.loads(str(caught.value))


def invalid(event: object) -> list[tuple[str, str]]:
    result = raised(event)
    assert result["error"]["code"] == "invalid_request"
    return [(detail["pointer"], detail["rule"]) for detail in result["error"]["details"]]


def answered(event: object, context: object = None) -> tuple[int, dict[str, str], Any]:
    answer = functiongraph(event, context or Context())
    assert set(answer) == {"statusCode", "headers", "body", "isBase64Encoded"}
    assert isinstance(answer["body"], str)
    assert answer["headers"]["Content-Type"] == "application/json"
    return answer["statusCode"], answer["headers"], json.loads(answer["body"])


@pytest.mark.usefixtures("cloud")
@pytest.mark.parametrize(
    ("event", "trigger"),
    [
        (timer(user_event=TEXT), "timer"),
        (timer(user_event=FORM), "timer"),
        (smn(TEXT), "smn"),
        (CLOUDEVENT, "eventgrid"),
        ({"events": [CLOUDEVENT]}, "eventgrid"),
        ([CLOUDEVENT], "eventgrid"),
        ({**CLOUDEVENT, "data": TEXT}, "eventgrid"),
        (FORM, "http"),
    ],
)
def test_each_envelope_is_opened(event: object, trigger: str) -> None:
    result = functiongraph(event, Context(request_id="the-platforms-id"))
    assert (result["outcome"], result["trigger"]) == ("detached", trigger)
    assert result["request_id"] == "the-platforms-id"


@pytest.mark.usefixtures("cloud")
@pytest.mark.parametrize("event", [TRACE, {"cts": TRACE}])
def test_the_trace_of_a_deleted_server_clears_its_disks(event: object) -> None:
    result = functiongraph(event, Context())
    assert (result["trigger"], result["summary"]) == ("cts", {"detached": 2})


@pytest.mark.usefixtures("cloud")
def test_the_trace_of_a_deletion_that_has_not_ended_comes_again() -> None:
    result = raised({"cts": {**TRACE, "resource_id": seed.DELETING_SERVER}})
    assert result["results"][0]["error"]["code"] == "server_exists"
    assert result["results"][0]["error"]["retryable"] is True


@pytest.mark.usefixtures("cloud")
def test_a_trace_may_come_inside_other_envelopes() -> None:
    for event in ({**CLOUDEVENT, "data": TRACE}, smn(json.dumps({"cts": TRACE}))):
        assert functiongraph(event, Context())["trigger"] in {"eventgrid", "smn"}


@pytest.mark.usefixtures("cloud")
@pytest.mark.parametrize("text", [{}, {"user_event": None}, {"user_event": ""}, {"user_event": " \n"}])
def test_a_timer_without_an_event_is_a_sweep(text: dict[str, object]) -> None:
    result = functiongraph(timer(**text), Context())
    assert (result["trigger"], result["scanned"]["candidates"]) == ("timer", 13)
    assert result["summary"]["would_detach"] == 10


@pytest.mark.usefixtures("cloud")
def test_messages_that_come_together_are_done_in_order() -> None:
    server = json.dumps({"server_id": seed.TWO_DISK_GONE_SERVER, "dry_run": True})
    result = functiongraph(smn(TEXT, server, json.dumps({"volume_id": seed.LIVE_VOLUME})), Context())
    assert [part["outcome"] for part in result["results"]] == [
        *("detached", "would_detach", "would_detach", "refused"),
    ]


@pytest.mark.parametrize(
    ("event", "places"),
    [
        (None, [("", "type")]),
        ("text", [("", "type")]),
        (5, [("", "type")]),
        ({}, [("", "form")]),
        ([], [("", "envelope")]),
        ({"events": []}, [("", "envelope")]),
        ({"events": 5}, [("", "envelope")]),
        ({"specversion": "1.0"}, [("", "envelope")]),
        ([5], [("", "envelope")]),
        ({"record": []}, [("", "envelope")]),
        ({"record": {}}, [("", "envelope")]),
        ({"record": [{}]}, [("", "envelope")]),
        ({"record": [5]}, [("", "envelope")]),
        (smn(None), [("", "envelope")]),
        (smn(FORM), [("", "envelope")]),
        (smn(""), [("", "required")]),
        (smn("this is smn message content"), [("", "json")]),
        (smn(TEXT, '{"volume_id": "x"}'), [("/volume_id", "uuid")]),
        (timer(user_event="Hello world"), [("", "json")]),
        (timer(user_event="{}"), [("", "form")]),
        (timer(user_event=5), [("", "type")]),
        (timer(user_event=False), [("", "type")]),
        ({"trigger_type": "OBS", **FORM}, [("", "envelope")]),
        ({"cts": None}, [("", "envelope")]),
    ],
)
def test_what_is_no_work_is_invalid(cloud: Cloud, event: object, places: list[tuple[str, str]]) -> None:
    assert invalid(event) == places
    assert cloud.calls == []


ASIDE = {"dry_run": True}
MESSAGE = {"message": TEXT}


@pytest.mark.parametrize(
    ("event", "belongs"),
    [
        ({**TRACE, **ASIDE}, 'send {"server_id": …}'),
        ({"cts": TRACE, **ASIDE}, 'send {"server_id": …}'),
        ({"cts": {**TRACE, **ASIDE}}, 'send {"server_id": …}'),
        ({"cts": {**TRACE, "trace_name": "stopServer"}, "other": 1, **ASIDE}, 'send {"server_id": …}'),
        (smn(json.dumps({"cts": TRACE, **ASIDE})), 'send {"server_id": …}'),
        ({"events": [CLOUDEVENT], **ASIDE}, "the event's data"),
        ({**CLOUDEVENT, **ASIDE}, "the event's data"),
        ([CLOUDEVENT, {**CLOUDEVENT, **ASIDE}], "the event's data"),
        (timer(user_event=TEXT, **ASIDE), "user_event"),
        (timer(**ASIDE), "user_event"),
        ({**smn(TEXT), **ASIDE}, "the message"),
        ({"record": [{"smn": MESSAGE}, {"smn": MESSAGE, **ASIDE}]}, "the message"),
        ({"record": [{"smn": {**MESSAGE, **ASIDE}}]}, "the message"),
        ({"record": [{"smn": {**MESSAGE, "message_attributes": ASIDE}}]}, "the message"),
    ],
)
def test_a_dry_run_that_is_said_outside_of_the_request_is_refused(
    cloud: Cloud, event: object, belongs: str
) -> None:
    result = raised(event)
    assert result["error"]["code"] == "invalid_request"
    assert result["error"]["details"] == [{"pointer": "/dry_run", "rule": "misplaced"}]
    assert "dry_run stands outside of the request, where it would not hold: " in result["error"]["message"]
    assert belongs in result["error"]["message"]
    assert cloud.calls == []


@pytest.mark.parametrize("name", sorted(KEYS))
def test_so_is_every_key_of_a_request(cloud: Cloud, name: str) -> None:
    assert invalid(timer(user_event=TEXT, **{name: None})) == [(f"/{name}", "misplaced")]
    status, _, result = answered(gateway(queryStringParameters={"x": "y", name: "x"}))
    assert (status, result["error"]["details"]) == (400, [{"pointer": f"/{name}", "rule": "misplaced"}])
    assert result["error"]["message"].endswith("put it into the body.")
    assert answered(gateway(**{name: "x"}))[2]["error"]["details"] == result["error"]["details"]
    assert cloud.calls == []


@pytest.mark.parametrize(
    ("event", "places"),
    [
        ({"cts": TRACE, "dryrun": True}, [("", "unknown_key")]),
        ({"events": [CLOUDEVENT], "dryrun": True}, [("", "unknown_key")]),
        ({**CLOUDEVENT, "dryrun": True}, [("", "misplaced")]),
        ({**CLOUDEVENT, "min_age_seconds": 5, "dry_run": True}, None),
    ],
)
def test_nothing_else_stands_beside_a_trace_or_a_list_of_events(
    cloud: Cloud, event: object, places: list[tuple[str, str]] | None
) -> None:
    found = invalid(event)
    assert sorted(found) == (places or [("/dry_run", "misplaced"), ("/min_age_seconds", "misplaced")])
    assert cloud.calls == []


@pytest.mark.usefixtures("cloud")
@pytest.mark.parametrize(
    "event",
    [
        {**CLOUDEVENT, "live": True, "limit": 3},  # extension attributes of others
        {**TRACE, "trace_id": "x", "dryrun": True},
        {**smn(TEXT), "functionname": "f", "requestId": "r", "timestamp": "t"},
        {"record": [{"smn": {**MESSAGE, "message_attributes": None, "subject": "s"}}]},
        timer(user_event=TEXT, trigger_name="T1", limits=1),
    ],
)
def test_what_platforms_put_there_is_left_alone(event: object) -> None:
    assert functiongraph(event, Context())["ok"] is True


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("dds", "envelope"),
        ("kafka_dms", "envelope"),
        ("lts", "envelope"),
        ("obs_s3", "envelope"),
        ("rocketmq", "envelope"),
        ("smn", "json"),
        ("smn_two_records", "json"),
        ("timer_json", "form"),
        ("timer_text", "json"),
    ],
)
def test_the_vendors_samples_that_are_no_work(cloud: Cloud, name: str, rule: str) -> None:
    assert [
        found for _, found in invalid(json.loads((VENDOR / f"{name}.json").read_text(encoding="utf-8")))
    ] == [rule]
    assert cloud.calls == []


@pytest.mark.parametrize(
    "name", ["cts_flat_ecs", "cts_flat_evs_delete_volume", "cts_wrapped", "cts_wrapped_fg_create"]
)
def test_the_vendors_samples_of_traces_are_ignored(cloud: Cloud, name: str) -> None:
    result = functiongraph(json.loads((VENDOR / f"{name}.json").read_text(encoding="utf-8")), Context())
    assert (result["outcome"], result["ok"], result["changed"]) == ("ignored", True, False)
    assert cloud.calls == []


@pytest.mark.usefixtures("cloud")
@pytest.mark.parametrize("name", ["apig", "apig_base64", "apig_params"])
def test_the_vendors_samples_of_a_gateway_are_opened_as_far_as_they_go(name: str) -> None:
    event = json.loads((VENDOR / f"{name}.json").read_text(encoding="utf-8"))
    assert answered(event)[0] == 401
    event["headers"]["authorization"] = f"Bearer {KEY}"
    status, headers, result = answered(event)
    assert (status, headers["Allow"]) == (405, "POST")
    status, _, result = answered({**event, "httpMethod": "POST"})
    assert (status, result["error"]["code"]) == (400, "invalid_request")
    expected = "required" if name == "apig_params" else "form"
    assert result["error"]["details"] == [{"pointer": "", "rule": expected}]


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@pytest.mark.usefixtures("cloud")
@pytest.mark.parametrize(
    "event",
    [
        gateway(),
        gateway(encoded(TEXT), isBase64Encoded=True),
        gateway(isBase64Encoded=None),
        gateway(headers={"AUTHORIZATION": f"Bearer {KEY}", "Content-TYPE": "Application/JSON"}),
        gateway(headers={"Authorization": f"bearer {KEY}"}),
        gateway(path="/healthz", queryStringParameters={"volume": "x"}, pathParameters={"": "x"}),
    ],
)
def test_a_gateways_body_is_opened_by_its_flag(event: object) -> None:
    status, headers, result = answered(event, Context(request_id="id-1"))
    assert (status, result["outcome"], result["trigger"]) == (200, "detached", "apig")
    assert headers["X-Request-Id"] == result["request_id"] == "id-1"


@pytest.mark.parametrize(
    ("event", "status", "rule"),
    [
        (gateway(TEXT, isBase64Encoded=True), 400, "base64"),
        (gateway(encoded(TEXT), isBase64Encoded=False), 400, "json"),
        (gateway(""), 400, "required"),
        (gateway(None), 400, "required"),
        (gateway("", isBase64Encoded=True), 400, "required"),
        (gateway(FORM), 400, "envelope"),
        (gateway({"a": 1}, isBase64Encoded=True), 400, "base64"),
        (gateway("\ud800"), 400, "utf8"),
        (gateway(encoded("x" * 262_145), isBase64Encoded=True), 413, None),
        (gateway("x" * 262_145), 413, None),
        (gateway(httpMethod="GET"), 405, None),
        (gateway(httpMethod=None), 405, None),
        (gateway(headers={"authorization": f"Bearer {KEY}", "content-type": "text/xml"}), 415, None),
        (gateway(headers={"authorization": "Bearer wrong"}), 403, None),
        (gateway(headers={}), 401, None),
        (gateway(headers=None), 401, None),
        (gateway(headers={"authorization": 5}), 401, None),
        (gateway(headers={"x": f"Bearer {KEY}"}), 401, None),
        ({"requestContext": {}}, 401, None),
        ({"httpMethod": {}}, 401, None),
    ],
)
def test_a_gateway_always_gets_its_answer(cloud: Cloud, event: object, status: int, rule: str | None) -> None:
    found, _, result = answered(event)
    assert found == status
    details = result["error"]["details"]
    assert [detail["rule"] for detail in details or ()] == ([rule] if rule else [])
    assert cloud.calls == []


@pytest.mark.usefixtures("cloud")
@pytest.mark.parametrize(
    ("context_id", "gateway_id", "header", "expected"),
    [
        ("context", "gateway", "header", "context"),
        ("", "gateway", "header", "gateway"),
        ("", "", "header", "header"),
        ("", 5, "head er", None),
        ("not one\n", "x" * 129, "", None),
    ],
)
def test_the_request_id(context_id: str, gateway_id: object, header: str, expected: str | None) -> None:
    headers = {"authorization": f"Bearer {KEY}", "X-Request-ID": header}
    event = gateway(headers=headers, requestContext={"requestId": gateway_id})
    _, answer_headers, result = answered(event, Context(request_id=context_id))
    assert answer_headers["X-Request-Id"] == result["request_id"]
    assert result["request_id"] == expected or (expected is None and len(result["request_id"]) == 36)


@pytest.mark.usefixtures("cloud")
def test_where_the_platform_checks_callers_a_gateway_needs_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DETACH_INVOKE_AUTH", "platform")
    assert answered(gateway(headers={}))[0] == 200


@pytest.mark.usefixtures("cloud")
def test_without_a_key_to_check_by_a_gateway_is_turned_away_and_other_triggers_are_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("DETACH_INVOKE_SECRET")
    status, _, result = answered(gateway())
    assert (status, result["error"]["code"]) == (500, "configuration")
    assert functiongraph(timer(user_event=TEXT), Context())["outcome"] == "detached"


def test_settings_come_from_user_data_too_and_the_environment_outranks_them(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {**cloud.environment(), "DETACH_TOKEN_SECRET": "context:"}
    for name in (*settings, "DETACH_INVOKE_SECRET"):
        monkeypatch.delenv(name, raising=False)
    assert raised(timer(user_event=TEXT))["error"]["code"] == "configuration"
    context = Context(user_data=settings, token=cloud.token(), project=cloud.project_id)
    assert functiongraph(timer(user_event=TEXT), context)["outcome"] == "detached"


def test_the_environment_outranks_user_data(cloud: Cloud) -> None:
    context = Context(user_data={"DETACH_PROJECT_ID": "wrong", "DETACH_MAX_TARGETS": "1"})
    assert functiongraph(timer(user_event=TEXT), context)["outcome"] == "detached"
    assert cloud.posts()
    batch = json.dumps({"targets": [FORM, FORM]})
    assert raised(timer(user_event=batch))["error"]["details"] == [
        {"pointer": "/targets", "rule": "too_many"}
    ]


@pytest.mark.parametrize("value", [1, True, b"planted", ["planted"], {}, 0.5])
def test_user_data_that_are_no_text_are_a_fault_that_names_the_setting(cloud: Cloud, value: object) -> None:
    context = Context(user_data={"DETACH_SWEEP_LIMIT": value, "DETACH_SERVER_CHECK": value})
    error = raised(timer(user_event=TEXT), context)["error"]
    assert error["code"] == "configuration"
    faults = "DETACH_SERVER_CHECK is not text; DETACH_SWEEP_LIMIT is not text"
    assert error["message"] == f"FunctionGraph's user data can't be used: {faults}."
    assert cloud.calls == []


def test_user_data_that_could_not_be_read_once_are_a_fault_and_read_again(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The limit may stand there: no default must hold in its place, now or while the process lives."""
    context = Context(user_data={"DETACH_MAX_TARGETS": "1"})
    batch = timer(user_event=json.dumps({"targets": [FORM, FORM]}))
    with monkeypatch.context() as failing:
        failing.setattr(context, "getUserData", _fails)
        error = raised(batch, context)["error"]
    assert error["code"] == "configuration"
    assert "DETACH_MAX_TARGETS can't be read" in error["message"]
    assert "planted" not in error["message"]
    assert cloud.calls == []
    assert raised(batch, context)["error"]["details"] == [{"pointer": "/targets", "rule": "too_many"}]


def test_user_data_that_can_never_be_read_are_a_fault(cloud: Cloud) -> None:
    error = raised(timer(user_event=TEXT), Broken())["error"]
    assert error["code"] == "configuration"
    assert "DETACH_SERVER_CHECK can't be read" in error["message"]
    assert cloud.calls == []


def _fails(_: str) -> str:
    raise RuntimeError("planted")


@pytest.mark.usefixtures("cloud")
def test_no_token_from_the_platform_is_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DETACH_TOKEN_SECRET", "context:")
    result = raised(timer(user_event=TEXT), Context(token=""))
    assert result["error"]["code"] in {"configuration", "secret_unavailable"}


def test_the_time_that_the_platform_leaves_is_kept(cloud: Cloud) -> None:
    cloud.latency = 1.5
    try:
        started = time.monotonic()
        result = raised(timer(user_event=TEXT), Context(timeout=3))
        assert time.monotonic() - started < 4
    finally:
        cloud.latency = 0
    assert result["error"]["retryable"] is True


def test_a_timeout_that_is_not_set_is_three_seconds_in_which_nothing_is_sent(cloud: Cloud) -> None:
    result = raised(timer(user_event=TEXT), Context(timeout=None))
    assert (result["error"]["code"], result["changed"]) == ("deadline_exceeded", False)
    assert "raise DETACH_TIMEOUT" in result["error"]["message"]
    assert cloud.posts() == []


@pytest.mark.parametrize("timeout", ["30", 3.5])
def test_a_timeout_that_is_no_number_is_none_of_ours(cloud: Cloud, timeout: object) -> None:
    assert functiongraph(timer(user_event=TEXT), Context(timeout=timeout))["outcome"] == "detached"
    assert len(cloud.posts()) == 1


class Broken:
    """A context of which nothing works."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(name)


class WithoutUserData(Broken):
    """One of which nothing else works."""

    def getUserData(self, _: str) -> None:  # noqa: N802 (the platform's name)
        return None


@pytest.mark.usefixtures("cloud")
@pytest.mark.parametrize("context", [type(None), object, WithoutUserData])
def test_a_context_that_says_nothing_is_done_without(context: type[object]) -> None:
    result = functiongraph(timer(user_event=TEXT), context())
    assert result["outcome"] == "detached"
    assert len(result["request_id"]) == 36


@pytest.mark.usefixtures("cloud")
def test_log_lines_carry_the_platforms_request_id(capsys: pytest.CaptureFixture[str]) -> None:
    functiongraph(timer(user_event=TEXT), Context(request_id="the-platforms-id"))
    raised(timer(user_event="{}"), Context(request_id="the-platforms-id"))
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {"target", "invocation"} <= {line["event"] for line in lines}
    assert {(line["request_id"], line["trigger"]) for line in lines} == {("the-platforms-id", "timer")}


def test_the_platforms_own_runtime_needs_no_web_server(cloud: Cloud) -> None:
    program = (
        "import json, sys; from handler.main import functiongraph; import handler.main\n"
        "result = functiongraph(json.loads(sys.argv[1]), None)\n"
        "print(json.dumps([result['outcome'], sorted(sys.modules)]))"
    )
    environment = {
        **cloud.environment(),
        "DETACH_TOKEN_SECRET": "env:CLOUD_TOKEN",
        "CLOUD_TOKEN": cloud.token(),
        "DETACH_LOG_LEVEL": "ERROR",
    }
    for event, needs_sdk in ((timer(user_event=TEXT), False), (CLOUDEVENT, True)):
        cloud.reset()
        done = subprocess.run(
            [sys.executable, "-c", program, json.dumps(event)],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            encoding="utf-8",
            check=True,
            timeout=60,
        )
        outcome, modules = json.loads(done.stdout.splitlines()[-1])
        assert outcome == "detached"
        assert not {"flask", "functions_framework", "werkzeug", "gunicorn"} & set(modules)
        assert ("cloudevents" in modules) is needs_sdk
