"""The published schemas and the OpenAPI description: current, valid, and in agreement with the code."""

from __future__ import annotations

import json
import re
from typing import Any

import jsonschema
import pytest
from flask.testing import FlaskClient
from hypothesis import given, settings
from hypothesis import strategies as st
from openapi_spec_validator import OpenAPIV31SpecValidator

from handler.errors import ErrorCode, Failure, InvalidRequest
from handler.invocation import Invocation, Trigger
from handler.model import schema
from handler.model.openapi import document
from handler.model.request import RULES, Batch, GoneServer, Sweep, Target
from handler.model.result import Handled, Outcome, TargetResult, untargeted
from handler.triggers.cloudevent import read_events, work_of
from handler.triggers.parse import read_work
from handler.triggers.reply import settle
from tests.embedded_cloud import seed

DIALECT = jsonschema.Draft202012Validator
REQUEST = DIALECT(schema.request_schema())
RESULT = DIALECT(schema.result_schema())


def test_the_published_schemas_are_current() -> None:
    published = {path.name: path.read_text(encoding="utf-8") for path in schema.FOLDER.iterdir()}
    assert published == schema.documents(), "run `make schema`"


def test_writing_the_schemas_writes_these(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("events") / "schema"
    monkeypatch.setattr(schema, "FOLDER", folder)
    schema.main()
    assert {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir()} == schema.documents()


def test_the_schemas_are_valid() -> None:
    for text in schema.documents().values():
        DIALECT.check_schema(json.loads(text))


U = seed.ORPHAN_VOLUME
OTHER = seed.GONE_SERVER
MOMENT = "2026-11-28T12:00:00Z"


@pytest.mark.parametrize(
    ("request_", "good"),
    [
        ({"volume_id": U}, True),
        ({"volume_id": U, "server_id": U, "attachment_id": None, "dry_run": True}, True),
        ({"server_id": U}, True),
        ({"targets": [{"volume_id": U}], "dry_run": False}, True),
        ({"volume_id": U, "live": False, "not_after": None, "recover": True}, True),
        ({"volume_id": U, "live": True}, False),
        ({"volume_id": U, "live": True, "server_id": OTHER, "attachment_id": None}, False),
        ({"volume_id": U, "live": True, "server_id": OTHER, "attachment_id": OTHER}, True),
        ({"volume_id": U, "not_after": MOMENT}, False),
        ({"targets": [{"volume_id": U, "not_after": MOMENT, "live": False}]}, False),
        (
            {"volume_id": U, "live": True, "server_id": OTHER, "attachment_id": OTHER, "not_after": MOMENT},
            True,
        ),
        ({"sweep": {"limit": 0, "metadata": {"k": "v"}, "server_ids": [U]}}, True),
        ({}, False),
        ({"volume_id": U, "mine": 1}, False),
        ({"volume_id": 5}, False),
        ({"volume_id": U, "dry_run": 1}, False),
        ({"targets": []}, False),
        ({"targets": [{}]}, False),
        ({"sweep": None}, False),
        ({"sweep": {"limit": -1}}, False),
        ({"sweep": {"limit": True}}, False),
        ({"volume_id": U, "sweep": {}}, False),
        ({"server_id": U, "attachment_id": U}, False),
        ([], False),
    ],
)
def test_schema_and_code_agree(request_: object, good: bool) -> None:
    assert REQUEST.is_valid(request_) is good
    if good:
        read_work(request_, max_targets=9)
    else:
        with pytest.raises(InvalidRequest):
            read_work(request_, max_targets=9)


FORMS = st.recursive(
    st.sampled_from([U, None, True, 0, -1, "x", 10**9]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(["volume_id", "server_id", "targets", "sweep", "dry_run", "limit", "server_ids"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=6,
)


@settings(max_examples=300, deadline=None)
@given(FORMS)
def test_what_the_code_takes_the_schema_takes(tree: object) -> None:
    try:
        read_work(tree, max_targets=9)
    except InvalidRequest:
        return
    assert REQUEST.is_valid(tree)


def test_every_field_of_a_result_is_always_there() -> None:
    for name, part in schema.result_schema()["$defs"].items():
        if part["type"] == "object":
            left_out = {"projects"} if name == "ManyResult" else set()  # where one project is looked at
            assert part["required"] == [field for field in part["properties"] if field not in left_out], name
    definitions = schema.result_schema()["$defs"]
    assert "retry_after" not in definitions["Error"]["properties"]
    assert "works" not in definitions["ManyResult"]["properties"]
    assert definitions["ErrorCode"]["enum"] == [code.value for code in ErrorCode]
    assert definitions["Detail"]["properties"]["rule"]["enum"] == list(RULES)


def test_the_description_is_valid_openapi() -> None:
    assert document()["openapi"] == "3.1.0"
    assert list(OpenAPIV31SpecValidator(document()).iter_errors()) == []


def test_the_description_is_served(client: FlaskClient) -> None:
    answer = client.get("/openapi.json")
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.json == document()


def test_the_description_embeds_the_published_schemas() -> None:
    components = document()["components"]["schemas"]

    def local(part: Any) -> Any:
        return json.loads(json.dumps(part).replace("#/components/schemas/", "#/$defs/"))

    for name, published in (("Request", schema.request_schema()), ("Result", schema.result_schema())):
        definitions = published.pop("$defs")
        assert local(components[name]) == published
        assert {key: local(components[key]) for key in definitions} == definitions


def test_the_description_has_every_route_status_and_code(client: FlaskClient) -> None:
    paths = document()["paths"]
    for path, operations in paths.items():
        for method in ("get", "head", "post"):
            allowed = client.open(path, method=method.upper()).status_code != 405
            assert (method in operations) == allowed, (path, method)
    responses = paths["/"]["post"]["responses"]
    assert set(responses) == {
        *map(str, (200, 202, 207, 400, 401, 403, 405, 409, 413, 415, 422, 500, 502, 503, 504))
    }
    for code in ErrorCode:
        assert f"`{code.value}`: {code.meaning}" in responses[str(code.http)]["description"]
    for status, found in responses.items():
        if status not in {"200", "207", "422"}:
            assert re.search(r"`\w+`: ", found["description"]), status


def test_the_description_says_what_a_cloudevent_is_answered() -> None:
    statuses = {
        str(settle(Handled(_result(outcome, code, again=again))).cloudevent)
        for outcome in Outcome
        for code in (None, *ErrorCode)
        for again in (False, True)
    } | {"405", "413"}
    for status, found in document()["paths"]["/"]["post"]["responses"].items():
        said = found["description"]
        assert ("Never for CloudEvents." in said) == (status not in statuses), status
        assert ("For a CloudEvent: no body." in said) == (status in statuses - {"200"}), status


def _result(outcome: Outcome, code: ErrorCode | None, *, again: bool) -> TargetResult:
    failure = Failure("", retryable=again) if code else None
    if failure is not None and code is not None:
        failure.code = code
    return untargeted(outcome, failure, Invocation(Trigger.CLOUDEVENT, "id"))


def test_the_examples_of_the_description_are_valid() -> None:
    content = document()["paths"]["/"]["post"]["requestBody"]["content"]
    examples = [example["value"] for example in content["application/json"]["examples"].values()]
    assert [type(read_work(example, max_targets=9)) for example in examples] == [
        Target,
        Batch,
        GoneServer,
        Sweep,
    ]
    batch = content["application/cloudevents-batch+json"]["example"]
    assert len(work_of(read_events(batch), max_targets=9)) == 4
    assert work_of(read_events(content["application/cloudevents+json"]["example"]), max_targets=9)
