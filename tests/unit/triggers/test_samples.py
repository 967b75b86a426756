"""Every sample in events/ through its real entry point gives what the table in events/README.md promises."""

from __future__ import annotations

import json
import re
from functools import partial
from typing import Any, NamedTuple

import jsonschema
import pytest
from cloudevents.http import from_http as reply_from
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from handler.__main__ import main as terminal
from handler.main import functiongraph
from handler.model.schema import result_schema
from handler.routes import NotSettled
from tests.embedded_cloud import Cloud, seed
from tests.unit.deployment import AUTHORIZED, EVENTS, KEY, Context, event

UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
# what in an envelope is an id of somebody else
NO_RESOURCE = ("id", "apiId", "requestId", "trace_id", "message_id")


class Promise(NamedTuple):
    """A row of the table."""

    name: str
    trigger: str
    outcome: str
    answer: str


def promises() -> list[Promise]:
    table = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in (EVENTS / "README.md").read_text(encoding="utf-8").splitlines()
        if line.startswith("| [")
    ]
    return [Promise(row[0].partition(".json")[0].lstrip("["), row[1], row[4], row[5]) for row in table]


PROMISES = promises()
ROWS = pytest.mark.parametrize("promise", PROMISES, ids=lambda promise: promise.name)


def said(result: dict[str, Any]) -> str:
    """A result in the words of the table."""
    jsonschema.validate(result, result_schema(), cls=jsonschema.Draft202012Validator)
    if "outcome" not in result:
        return ", ".join(f"{count} {outcome}" for outcome, count in sorted(result["summary"].items()))
    code = f": {result['error']['code']}" if result["error"] else ""
    return f"{result['outcome']}{code}"


def in_order(outcome: str) -> str:
    return ", ".join(sorted(outcome.split(", "), key=lambda part: part.split()[-1]))


def promised(promise: Promise, result: dict[str, Any], trigger: str) -> None:
    assert said(result) == in_order(promise.outcome)
    assert result["trigger"] == trigger


def test_the_table_and_the_folder_have_the_same_files() -> None:
    assert sorted(promise.name for promise in PROMISES) == sorted(
        path.name.removesuffix(".json") for path in EVENTS.glob("*.json")
    )
    for trigger in ("http", "cloudevent", "timer", "apig", "smn", "eventgrid"):
        for form in ("one", "batch", "server", "sweep"):
            assert f"{trigger}-{form}" in {promise.name for promise in PROMISES}


@ROWS
def test_the_embedded_cloud_knows_each_id(promise: Promise) -> None:
    def resources(part: Any) -> list[str]:
        if isinstance(part, str) and part.lstrip().startswith("{"):
            return resources(json.loads(part))
        if isinstance(part, str):
            return UUID.findall(part)
        if isinstance(part, dict):
            return [id_ for key, value in part.items() if key not in NO_RESOURCE for id_ in resources(value)]
        return [id_ for value in part for id_ in resources(value)] if isinstance(part, list) else []

    assert set(resources(event(promise.name))) <= set(seed.NAMES.values())


def over_http(client: FlaskClient, promise: Promise) -> TestResponse:
    kinds = {
        "http": "application/json",
        "cloudevent": "application/cloudevents+json",
        "cloudevent-batched": "application/cloudevents-batch+json",
    }
    path = "/" if promise.trigger in kinds else "/invoke"
    kind = kinds.get(promise.name) or kinds.get(promise.trigger, "application/json")
    body = (EVENTS / f"{promise.name}.json").read_bytes()
    return client.post(path, data=body, headers={**AUTHORIZED, "Content-Type": kind})


@pytest.mark.usefixtures("cloud")
@ROWS
def test_over_http(client: FlaskClient, promise: Promise) -> None:
    answer = over_http(client, promise)
    result = answer.json
    assert result is not None
    status = 200
    if promise.trigger == "http":
        status = int(promise.answer[:3])
        assert ("Retry-After" in answer.headers) == ("Retry-After" in promise.answer)
    elif promise.trigger == "cloudevent":
        status = int(promise.answer)
        assert reply_from(dict(answer.headers), answer.data)["type"] == "io.github.evs-detach.result"
    elif promise.trigger == "apig":
        assert result["statusCode"] == int(promise.answer)
        result = json.loads(result["body"])
    assert answer.status_code == status
    promised(promise, result, promise.trigger)


@pytest.mark.usefixtures("cloud")
@ROWS
def test_by_functiongraphs_own_runtime(promise: Promise) -> None:
    if promise.trigger in {"http", "cloudevent"}:
        trigger = "http" if promise.trigger == "http" else "eventgrid"
    else:
        trigger = promise.trigger
    sent = event(promise.name)
    if trigger == "apig":
        sent["headers"]["authorization"] = f"Bearer {KEY}"
    call = partial(functiongraph, sent, Context())
    if trigger == "apig":
        answer = call()
        assert answer["statusCode"] == int(promise.answer)
        promised(promise, json.loads(answer["body"]), trigger)
    elif promise.name in {"http-invalid", "http-being-deleted", "http-sweep-projects"}:
        with pytest.raises(NotSettled) as caught:
            call()
        promised(promise, json.loads(str(caught.value)), trigger)
    else:
        promised(promise, call(), trigger)


@pytest.mark.usefixtures("cloud")
@ROWS
def test_from_a_terminal(promise: Promise, capsys: pytest.CaptureFixture[str]) -> None:
    code = terminal([str(EVENTS / f"{promise.name}.json")])
    result = json.loads(capsys.readouterr().out)
    errors = [part["error"] for part in result.get("results", [result]) if part["error"]]
    codes = [1 if error["retryable"] else 2 if error["code"] == "invalid_request" else 3 for error in errors]
    assert code == min(codes, key=[2, 1, 3].index, default=0)
    promised(promise, result, "terminal")


@ROWS
def test_asking_again_changes_nothing_more(cloud: Cloud, client: FlaskClient, promise: Promise) -> None:
    over_http(client, promise)
    posts = len(cloud.posts())
    over_http(client, promise)
    assert len(cloud.posts()) == posts
