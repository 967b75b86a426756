"""All outcomes by all triggers: the two tables of docs/contract.md, written out, and walked."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from cloudevents.conversion import to_binary
from cloudevents.http import CloudEvent
from cloudevents.http import from_http as cloudevent_from
from flask.testing import FlaskClient

from handler import main, routes, runtime
from handler.__main__ import main as terminal
from handler.errors import ErrorCode, Failure, Internal, Misconfigured
from handler.invocation import Invocation, Trigger
from handler.model.disk import Disk
from handler.model.request import Target, Work
from handler.model.result import (
    Error,
    Handled,
    ManyResult,
    Outcome,
    Result,
    Scanned,
    ServerSeen,
    TargetResult,
    VolumeStatus,
)
from handler.settings import Settings, read_settings
from handler.triggers.reply import settle
from tests.unit.deployment import MANY_KEYS, RESULT_KEYS, Context

V = "543fdc50-6daa-48e5-808c-c4189495d318"
FORM = json.dumps({"volume_id": V})
SWEEP = json.dumps({"sweep": {}})
SERVER = json.dumps({"server_id": V})

Part = tuple[str, str | None, bool]


@dataclass
class Fake:
    """A runtime that answers what a test says."""

    outcome: Outcome = Outcome.DETACHED
    error: Error | None = None
    many: list[tuple[Outcome, Error | None]] | None = None
    works: Sequence[tuple[list[Part], Part | None]] = ()
    whole: Error | None = None
    scanned: Scanned | None = None
    asked: list[Sequence[Work]] = field(default_factory=list)
    settings: Settings = field(
        default_factory=lambda: read_settings(
            {
                "DETACH_REGION": "ap-southeast-3",
                "DETACH_TOKEN_SECRET": "env:TOKEN",
                "DETACH_INVOKE_AUTH": "platform",
            }
        )
    )

    def carry_out(self, work: Sequence[Work], invocation: Invocation, _observer: object) -> Result:
        self.asked.append(work)
        if self.works:
            each = [self._several(parts(rows), told_of(whole), invocation) for rows, whole in self.works]
            # What is shown of the whole decides nothing, so it says the least here
            shown = self._several([], next((one.error for one in each if one.error), None), invocation)
            return replace(shown, ok=all(one.ok for one in each), works=tuple(each))
        if self.many is None:
            return self._one(self.outcome, self.error, invocation)
        return self._several(self.many, self.whole, invocation)

    def project(self, _context: object) -> None:
        """Where it worked, which the command asks afterwards: nowhere."""
        raise Misconfigured("there is no cloud")

    def _several(
        self, several: list[tuple[Outcome, Error | None]], whole: Error | None, invocation: Invocation
    ) -> ManyResult:
        results = tuple(self._one(outcome, error, invocation) for outcome, error in several)
        return ManyResult(
            ok=whole is None and all(part.ok for part in results),
            request_id=invocation.request_id,
            trigger=invocation.trigger,
            complete=True,
            summary={},
            scanned=self.scanned,
            results=results,
            error=whole,
        )

    def _one(self, outcome: Outcome, error: Error | None, invocation: Invocation) -> TargetResult:
        return TargetResult(
            ok=outcome.ok,
            outcome=outcome,
            changed=None,
            dry_run=False,
            volume_id=V,
            attachment_id=None,
            remaining_attachments=None,
            server=ServerSeen(),
            volume_status=VolumeStatus(),
            disk=Disk(),
            project_id=None,
            via=None,
            job=None,
            error=error,
            request_id=invocation.request_id,
            trigger=invocation.trigger,
            upstream_request_ids=(),
            calls=0,
            duration_ms=0,
        )


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Fake:
    made = Fake()
    # Whoever imports it only now would keep the fake for all tests that follow
    for place in ("handler.terminal.session.runtime", "handler.runtime.runtime"):
        monkeypatch.setattr(place, lambda *_, **__: made)
    return made


def error(code: str, *, again: bool = False, hint: float | None = None) -> Error:
    return Error(ErrorCode(code), "what is wrong", again, retry_after=hint)


class Row(NamedTuple):
    """A row of the contract's table. What is retryable has Retry-After, where the status is not 200."""

    outcome: str
    code: str | None
    again: bool
    http: int
    event: int
    platform: str


TABLE = [
    Row("detached", None, False, 200, 200, "returned"),
    Row("recovered", None, False, 200, 200, "returned"),
    Row("already_detached", None, False, 200, 200, "returned"),
    Row("volume_absent", None, False, 200, 200, "returned"),
    Row("would_detach", None, False, 200, 200, "returned"),
    Row("ignored", None, False, 200, 200, "returned"),
    Row("dispatched", None, False, 200, 200, "returned"),
    Row("refused", "volume_foreign", False, 409, 200, "returned"),
    Row("refused", "volume_state", False, 409, 200, "returned"),
    Row("refused", "attachment_required", False, 409, 200, "returned"),
    Row("refused", "attachment_unknown", False, 409, 200, "returned"),
    Row("refused", "server_mismatch", False, 409, 200, "returned"),
    Row("refused", "server_exists", False, 409, 200, "returned"),
    Row("refused", "server_unknown", False, 409, 200, "returned"),
    Row("refused", "use_compute_api", False, 409, 200, "returned"),
    Row("refused", "sweep_refused", False, 409, 200, "returned"),
    *(
        Row("refused", code, False, 409, 200, "returned")
        for code in ("root_volume", "server_locked", "guest_refused", "live_expired", "volume_held")
    ),
    Row("refused", "server_busy", True, 409, 503, "raised"),
    Row("refused", "volume_state", True, 409, 503, "raised"),
    Row("refused", "server_exists", True, 409, 503, "raised"),
    Row("unconfirmed", "not_confirmed", True, 202, 503, "raised"),
    Row("failed", "throttled", True, 503, 503, "raised"),
    Row("failed", "upstream_unavailable", True, 503, 503, "raised"),
    Row("failed", "listing_failed", True, 503, 503, "raised"),
    Row("failed", "secret_unavailable", True, 503, 503, "raised"),
    Row("failed", "deadline_exceeded", True, 504, 503, "raised"),
    Row("failed", "secret_unavailable", False, 500, 422, "raised"),
    Row("failed", "not_recovered", False, 502, 422, "raised"),
    Row("failed", "configuration", False, 500, 422, "raised"),
    Row("failed", "token_rejected", False, 502, 422, "raised"),
    Row("failed", "permission_denied", False, 502, 422, "raised"),
    Row("failed", "upstream_rejected", False, 502, 422, "raised"),
    Row("failed", "internal", False, 500, 422, "raised"),
    Row("failed", "invalid_request", False, 400, 400, "raised"),
    Row("failed", "unauthenticated", False, 401, 401, "raised"),
    Row("failed", "forbidden", False, 403, 403, "raised"),
]
ROWS = pytest.mark.parametrize("row", TABLE, ids=lambda row: f"{row.outcome}-{row.code}-{row.again}")


def test_the_table_has_every_outcome_and_every_code() -> None:
    assert {row.outcome for row in TABLE} == {outcome.value for outcome in Outcome}
    assert {row.code for row in TABLE} - {None} == {code.value for code in ErrorCode}


def timer(text: str) -> dict[str, Any]:
    return {"version": "v1.0", "trigger_type": "TIMER", "user_event": text}


def gateway(text: str) -> dict[str, Any]:
    return {"httpMethod": "POST", "headers": {}, "body": text, "isBase64Encoded": False}


def asynchronous(text: str) -> list[tuple[Trigger, Any]]:
    cloudevent = {"specversion": "1.0", "id": "1", "source": "s", "type": "t", "data": json.loads(text)}
    trace = {
        "service_type": "ECS",
        "trace_name": "deleteServer",
        "trace_rating": "normal",
        "resource_id": V,
    }
    return [
        (Trigger.TIMER, timer(text)),
        (Trigger.SMN, {"record": [{"smn": {"message": text}}]}),
        (Trigger.CTS, trace),
        (Trigger.EVENTGRID, cloudevent),
        (Trigger.EVENTGRID, {"events": [cloudevent]}),
        (Trigger.EVENTGRID, [cloudevent]),
        (Trigger.HTTP, json.loads(text)),
    ]


def post_event(client: FlaskClient, text: str = FORM) -> Any:
    headers, body = to_binary(CloudEvent({"type": "t", "source": "s"}, json.loads(text)))
    return client.post("/", data=body, headers=headers)


def set_up(fake: Fake, row: Row, hint: float | None = None) -> None:
    fake.outcome = Outcome(row.outcome)
    fake.error = error(row.code, again=row.again, hint=hint) if row.code else None


@ROWS
def test_http(fake: Fake, client: FlaskClient, row: Row) -> None:
    set_up(fake, row)
    answer = client.post("/", data=FORM, content_type="application/json")
    assert answer.status_code == row.http
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers.get("Retry-After") == ("5" if row.again else None)
    assert answer.json is not None
    assert set(answer.json) == RESULT_KEYS
    assert (answer.json["outcome"], answer.json["trigger"]) == (row.outcome, "http")
    assert answer.headers["X-Request-Id"] == answer.json["request_id"]


@ROWS
def test_cloudevent(fake: Fake, client: FlaskClient, row: Row) -> None:
    set_up(fake, row)
    answer = post_event(client)
    assert answer.status_code == row.event
    assert answer.headers["X-Request-Id"]
    assert answer.headers.get("Retry-After") == ("5" if row.again else None)
    if row.event == 200:
        reply = cloudevent_from(dict(answer.headers), answer.data)
        assert (reply["type"], reply["source"], reply["subject"]) == (
            "io.github.evs-detach.result",
            "/evs-detach",
            V,
        )
        assert isinstance(reply.data, dict)
        assert (reply.data["outcome"], reply.data["trigger"]) == (row.outcome, "cloudevent")
    else:
        assert answer.data == b""
        assert "Content-Type" not in answer.headers
        assert not [name for name in answer.headers.keys() if name.lower().startswith("ce-")]  # noqa: SIM118


@ROWS
def test_functiongraph(fake: Fake, client: FlaskClient, row: Row) -> None:
    set_up(fake, row)
    for trigger, envelope in asynchronous(FORM):
        invoked = client.post("/invoke", json=envelope)
        if row.platform == "returned":
            result = main.functiongraph(envelope, Context())
            assert invoked.status_code == 200
        else:
            with pytest.raises(routes.NotSettled) as raised:
                main.functiongraph(envelope, Context())
            result = json.loads(str(raised.value))
            # Who may not call at all is told so, also by the path that only the platform should use
            assert invoked.status_code == (row.http if row.code in {"unauthenticated", "forbidden"} else 500)
        assert set(result) == RESULT_KEYS
        assert (result["outcome"], result["trigger"]) == (row.outcome, trigger.value)
        assert {**(invoked.json or {}), "request_id": ""} == {**result, "request_id": ""}


@ROWS
def test_gateway(fake: Fake, client: FlaskClient, row: Row) -> None:
    set_up(fake, row)
    answer = main.functiongraph(gateway(FORM), Context())
    assert set(answer) == {"statusCode", "headers", "body", "isBase64Encoded"}
    assert answer["statusCode"] == row.http
    assert answer["isBase64Encoded"] is False
    assert answer["headers"]["Content-Type"] == "application/json"
    assert answer["headers"].get("Retry-After") == ("5" if row.again else None)
    result = json.loads(answer["body"])
    assert set(result) == RESULT_KEYS
    assert (result["outcome"], result["trigger"]) == (row.outcome, "apig")
    assert answer["headers"]["X-Request-Id"] == result["request_id"] == Context().getRequestID()
    invoked = client.post("/invoke", json=gateway(FORM))
    assert invoked.status_code == 200
    assert invoked.json is not None
    assert (invoked.json["statusCode"], json.loads(invoked.json["body"])["outcome"]) == (
        row.http,
        row.outcome,
    )


def exit_code(row: Row) -> int:
    """As the table of exit codes has it."""
    if row.http == 200:
        return 0
    if row.http == 400:
        return 2
    return 3 if row.outcome == "refused" and not row.again else 1


@ROWS
def test_terminal(fake: Fake, row: Row, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    set_up(fake, row)
    file = tmp_path / "event.json"
    for _, envelope in asynchronous(FORM):
        file.write_text(json.dumps(envelope), encoding="utf-8")
        assert terminal([str(file)]) == exit_code(row)
        result = json.loads(capsys.readouterr().out)
        assert set(result) == RESULT_KEYS
        assert (result["outcome"], result["trigger"]) == (row.outcome, "terminal")


@pytest.mark.parametrize(("hint", "header"), [(None, "5"), (0.2, "1"), (7, "7"), (41.01, "42")])
def test_the_clouds_own_hint_is_passed_on(
    fake: Fake, client: FlaskClient, hint: float | None, header: str
) -> None:
    set_up(fake, Row("failed", "throttled", True, 503, 503, "raised"), hint)
    assert client.post("/", data=FORM, content_type="application/json").headers["Retry-After"] == header
    assert post_event(client).headers["Retry-After"] == header
    assert main.functiongraph(gateway(FORM), Context())["headers"]["Retry-After"] == header


OK = ("detached", None, False)
SAFE = ("refused", "server_exists", False)
PASSING = ("refused", "server_exists", True)
UNSEEN = ("unconfirmed", "not_confirmed", True)
BUSY = ("failed", "throttled", True)
LATE = ("failed", "deadline_exceeded", True)
DENIED = ("failed", "permission_denied", False)
REJECTED = ("failed", "token_rejected", False)

# results: HTTP, CloudEvent
SEVERAL = [
    ([], 200, 200),
    ([OK, OK], 200, 200),
    ([SAFE, SAFE], 409, 200),
    ([SAFE, PASSING], 409, 503),
    ([OK, SAFE], 207, 200),
    ([OK, PASSING], 207, 503),
    ([OK, UNSEEN], 207, 503),
    ([UNSEEN, UNSEEN], 202, 503),
    ([OK, BUSY], 207, 503),
    ([BUSY, BUSY], 503, 503),
    ([BUSY, LATE], 207, 503),
    ([LATE, LATE], 504, 503),
    ([OK, DENIED], 207, 422),
    ([SAFE, DENIED], 207, 422),
    ([DENIED, REJECTED], 502, 422),
    ([DENIED, BUSY], 207, 503),
]


def parts(rows: list[Part]) -> list[tuple[Outcome, Error | None]]:
    return [(Outcome(outcome), told_of((outcome, code, again))) for outcome, code, again in rows]


def told_of(row: Part | None) -> Error | None:
    return error(row[1], again=row[2]) if row and row[1] else None


@pytest.mark.parametrize(("rows", "http", "event"), SEVERAL)
def test_several(fake: Fake, client: FlaskClient, rows: list[Part], http: int, event: int) -> None:
    fake.many = parts(rows)
    answer = client.post("/", data=FORM, content_type="application/json")
    assert answer.status_code == http
    assert answer.json is not None
    assert set(answer.json) == MANY_KEYS
    assert ("Retry-After" in answer.headers) == any(again for _, _, again in rows)
    assert main.functiongraph(gateway(FORM), Context())["statusCode"] == http
    reply = post_event(client)
    assert reply.status_code == event
    if event == 200:
        assert main.functiongraph(timer(FORM), Context())["results"] == [
            {**part, "trigger": "timer", "request_id": Context().getRequestID()}
            for part in answer.json["results"]
        ]
        assert "subject" not in cloudevent_from(dict(reply.headers), reply.data).get_attributes()
    else:
        assert reply.data == b""
        with pytest.raises(routes.NotSettled):
            main.functiongraph(timer(FORM), Context())


@pytest.mark.parametrize(("rows", "http", "event"), SEVERAL)
def test_a_sweep_whose_listing_was_trusted_is_settled_by_one_delivery(
    fake: Fake, client: FlaskClient, rows: list[Part], http: int, event: int
) -> None:
    fake.many, fake.scanned = parts(rows), Scanned()
    assert client.post("/", data=SWEEP, content_type="application/json").status_code == http
    assert post_event(client, SWEEP).status_code == 200
    assert main.functiongraph(timer(SWEEP), Context())["ok"] is all(row == OK for row in rows)
    # The same beside work of another kind, whose failures its own next run does not settle
    for works, settled in (([(rows, None), ([], None)], event == 200), ([([], None), (rows, None)], True)):
        fake.works = works
        records = [{"smn": {"message": text}} for text in (SERVER, SWEEP)]
        assert client.post("/invoke", json={"record": records}).status_code == (200 if settled else 500)


REFUSED = ("refused", "sweep_refused", False)
UNLISTED = ("failed", "listing_failed", True)
UNASKED = ("failed", "upstream_rejected", False)

# works, results and error of each: HTTP, CloudEvent, whether it is to be asked again
TOGETHER = [
    ([SWEEP, SERVER], [([], None), ([], None)], 200, 200, False),
    ([SWEEP, SERVER], [([SAFE], REFUSED), ([], UNLISTED)], 207, 503, True),
    ([SERVER, SWEEP], [([], UNLISTED), ([SAFE], REFUSED)], 207, 503, True),
    ([SWEEP, SERVER], [([], REFUSED), ([OK], None)], 207, 200, False),
    ([SWEEP, SERVER], [([], REFUSED), ([], UNASKED)], 207, 422, False),
    ([SWEEP, SERVER], [([], UNLISTED), ([OK], None)], 207, 503, True),
    ([SWEEP, SERVER], [([BUSY], None), ([], REFUSED)], 207, 200, True),
    ([SWEEP, SERVER], [([BUSY], None), ([DENIED], None)], 207, 422, True),
    ([SWEEP, SERVER], [([], None), ([BUSY], None)], 207, 503, True),
    ([SERVER, SERVER], [([], UNASKED), ([], UNLISTED)], 207, 503, True),
    ([SERVER, SERVER], [([], UNLISTED), ([], UNASKED)], 207, 503, True),
    ([SERVER, SERVER], [([], UNLISTED), ([BUSY], UNLISTED)], 503, 503, True),
    ([SERVER, SERVER], [([BUSY], UNASKED), ([], None)], 207, 503, True),
    ([SERVER, SERVER], [([], UNASKED), ([OK], UNASKED)], 502, 422, False),
    ([SWEEP, SWEEP], [([SAFE, PASSING], None), ([], REFUSED)], 409, 200, True),
    ([SWEEP, SWEEP], [([BUSY], None), ([], UNLISTED)], 503, 503, True),
]


@pytest.mark.parametrize(("works", "results", "http", "event", "again"), TOGETHER)
def test_what_came_together_is_settled_work_by_work(
    fake: Fake,
    client: FlaskClient,
    works: list[str],
    results: list[tuple[list[Part], Part | None]],
    http: int,
    event: int,
    again: bool,
) -> None:
    fake.works = results
    data = [json.loads(text) for text in works]
    events = [{"specversion": "1.0", "id": "1", "source": "s", "type": "t", "data": each} for each in data]
    batch = client.post("/", json=events, content_type="application/cloudevents-batch+json")
    assert batch.status_code == event
    assert ("Retry-After" in batch.headers) == (event == 503)
    work, invocation = fake.asked[-1], Invocation(Trigger.HTTP, "r-1")
    delivery = settle(Handled(fake.carry_out(work, invocation, None), work))
    assert (delivery.http, delivery.retry_after) == (http, 5 if again else None)
    for envelope in ({"record": [{"smn": {"message": text}} for text in works]}, {"events": events}):
        invoked = client.post("/invoke", json=envelope)
        assert invoked.status_code == (200 if event == 200 else 500)
        assert set(invoked.json or {}) == MANY_KEYS


@pytest.mark.parametrize(
    ("rows", "whole", "http", "event"),
    [
        ([], ("listing_failed", True), 503, 503),
        ([OK], ("listing_failed", True), 503, 503),
        ([], ("sweep_refused", False), 409, 200),
        ([("refused", "sweep_refused", False)] * 2, ("sweep_refused", False), 409, 200),
        ([], ("configuration", False), 500, 422),
        ([], ("deadline_exceeded", True), 504, 503),
    ],
)
def test_what_stopped_a_whole_sweep_is_its_status(
    fake: Fake, client: FlaskClient, rows: list[Part], whole: tuple[str, bool], http: int, event: int
) -> None:
    fake.many, fake.whole = parts(rows), error(whole[0], again=whole[1])
    answer = client.post("/", data=SWEEP, content_type="application/json")
    assert answer.status_code == http
    assert ("Retry-After" in answer.headers) == whole[1]
    assert post_event(client, SWEEP).status_code == event
    if event == 200:
        assert main.functiongraph(timer(SWEEP), Context())["error"]["code"] == whole[0]
    else:
        with pytest.raises(routes.NotSettled):
            main.functiongraph(timer(SWEEP), Context())


def test_a_bug_answers_internal_and_never_its_text(
    fake: Fake, client: FlaskClient, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object) -> Result:
        raise ZeroDivisionError("the secret text of a bug")

    monkeypatch.setattr(fake, "carry_out", broken)
    answer = client.post("/", data=FORM, content_type="application/json")
    assert answer.status_code == 500
    assert answer.json is not None
    assert answer.json["error"]["code"] == "internal"
    assert (post_event(client).status_code, post_event(client).data) == (422, b"")
    assert main.functiongraph(gateway(FORM), Context())["statusCode"] == 500
    with pytest.raises(routes.NotSettled) as raised:
        main.functiongraph(timer(FORM), Context())
    assert "ZeroDivision" not in str(raised.value) + answer.text
    log = capsys.readouterr().out
    assert "ZeroDivisionError" in log
    assert "the secret text" not in log + answer.text + str(raised.value)


@pytest.mark.parametrize("failure", [Misconfigured("DETACH_REGION is wrong"), Internal()])
def test_what_keeps_the_runtime_from_being_built_is_answered_by_every_door(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch, failure: Failure
) -> None:
    def broken(*_: object, **__: object) -> Fake:
        raise failure

    monkeypatch.setattr(runtime, "runtime", broken)
    answer = client.post("/", data=FORM, content_type="application/json")
    assert answer.status_code == 500
    assert answer.json is not None
    assert answer.json["error"] == {
        "code": failure.code.value,
        "message": failure.message,
        "retryable": False,
        "details": None,
        "upstream": None,
    }
    assert post_event(client).status_code == 422
    assert main.functiongraph(gateway(FORM), Context())["statusCode"] == 500
    with pytest.raises(routes.NotSettled):
        main.functiongraph(timer(FORM), Context())


def test_what_was_asked_for_is_what_was_read(fake: Fake, client: FlaskClient) -> None:
    client.post("/", data=FORM, content_type="application/json")
    post_event(client)
    main.functiongraph(gateway(FORM), Context())
    assert fake.asked == [[Target(volume_id=V)]] * 3
