"""The many error bodies, read by one parser; what they prove; what is cut out of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handler.cloud.absence import read_absence
from handler.cloud.faults import (
    UNREADABLE,
    failure,
    passes,
    plain_word,
    read_fault,
    refuses_token,
    retry_hint,
    upstream,
)
from handler.cloud.messages import Answer, Call
from handler.cloud.redaction import WITHHELD
from handler.cloud.servers import ABSENT
from handler.errors import ErrorCode, Misconfigured, Refused, Upstream, UpstreamRejected
from tests.unit.actions.answers import SERVER
from tests.unit.cloud.raw import Connection, answer, raw_server, transport
from tests.unit.contexts import call_context

SECRET = "gAAAAABk-planted"


def _said(status: int, body: Any, *secrets: str) -> Answer:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Answer(status, {}, raw, None, secrets)


_NOVA = {"itemNotFound": {"code": 404, "message": "Instance X could not be found."}}


@pytest.mark.parametrize(
    ("body", "kind", "code", "message"),
    [
        ({"error": {"code": "EVS.5400", "message": "Bad"}}, "error", "EVS.5400", "Bad"),
        (
            {"error": {"message": "Bad", "code": "Ecs.0005", "details": [{"code": "x", "message": "y"}]}},
            "error",
            "Ecs.0005",
            "Bad",
        ),
        (_NOVA, "itemNotFound", "404", "Instance X could not be found."),
        ({"badrequest": {"code": 400, "message": "Bad"}}, "badrequest", "400", "Bad"),
        ({"computeFault": {"message": "Erred", "code": 500}}, "computeFault", "500", "Erred"),
        ({"error_code": "APIGW.0301", "error_msg": "Token", "request_id": "g"}, None, "APIGW.0301", "Token"),
        (
            {"error_code": "X.1", "error_msg": "No", "encoded_authorization_message": "…"},
            None,
            "X.1",
            "No",
        ),
        ({"error": {"error_code": "KMS.0301", "error_msg": "No key"}}, "error", "KMS.0301", "No key"),
        ({"errorCode": "E1", "errorMsg": "Camel"}, None, "E1", "Camel"),
        ({"error": {"code": 401, "title": "Unauthorized", "message": "Who?"}}, "error", "401", "Who?"),
        ({"error_msg": "Policy", "error_code": "IAM.0004"}, None, "IAM.0004", "Policy"),
        ({"code": "Common.0011", "message": "Project"}, None, "Common.0011", "Project"),
        ({"message": "Not here.<br />\n\n", "title": "Not Found"}, None, None, "Not here.<br />"),
        ({"itemNotFound": {"message": "Gone"}}, "itemNotFound", None, "Gone"),
        ({"errors": ["permission denied", "again"]}, None, None, "permission denied; again"),
        ({"errors": ["permission denied", 5]}, None, None, None),
        ({"errors": "denied"}, None, None, None),
        ({"errors": []}, None, None, None),
        ({"code": {"odd": 1}, "message": ["odd"]}, None, None, None),
        ({"error": {"code": None, "message": None}}, "error", None, None),
        ({}, None, None, None),
        ([], None, None, None),
        ("text", None, None, None),
        (None, None, None, None),
        (7, None, None, None),
        (b"", None, None, None),
        (b"<html>", None, None, None),
        (b"\xff\xfe{}", None, None, None),
        (b"[" * 100_000, None, None, None),
        (b'{"a":' * 100_000, None, None, None),
        (b'{"code": ' + b"9" * 10_000 + b', "message": "m"}', None, None, None),
    ],
)
def test_every_shape_of_an_error_body_is_read(
    body: Any, kind: str | None, code: str | None, message: str | None
) -> None:
    fault = read_fault(_said(400, body))

    assert (fault.kind, fault.code, fault.message) == (kind, code, message)


def test_a_service_s_body_inside_the_vendor_s_message_is_the_innermost() -> None:
    wrapped = {"error": {"code": "Ecs.1000", "message": json.dumps(_NOVA)}}

    fault = read_fault(_said(400, wrapped))

    assert (fault.code, fault.innermost.kind, fault.innermost.code) == ("Ecs.1000", "itemNotFound", "404")
    assert upstream(_said(400, wrapped)).message == "Instance X could not be found."


def test_a_message_that_only_looks_like_a_body_is_a_message() -> None:
    fault = read_fault(_said(400, {"error": {"code": "E", "message": "{not json"}}))

    assert (fault.inner, fault.innermost.message) == (None, "{not json")


def test_bodies_inside_bodies_are_read_to_a_depth() -> None:
    body: Any = _NOVA
    for _ in range(20):
        body = {"error": {"code": "Ecs.1000", "message": json.dumps(body)}}

    assert read_fault(_said(400, body)).innermost.code == "Ecs.1000"
    assert read_absence(_said(400, body), ABSENT, of=SERVER) is None


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(
                st.sampled_from(
                    ["error", "code", "message", "error_code", "error_msg", "itemNotFound", "errors"]
                )
                | st.text(),
                inner,
            )
        ),
    )
)
def test_no_body_makes_the_parser_fail_and_none_but_a_service_s_own_word_proves_absence(body: Any) -> None:
    for status in (200, 400, 404, 500):
        said = _said(status, body)
        failure(said, "compute")
        if read_absence(said, ABSENT, of=SERVER) is not None:
            assert status in {400, 404}
            assert b"itemNotFound" in said.body or b"Ecs.0114" in said.body


@given(st.binary())
def test_no_bytes_make_the_parser_fail(body: bytes) -> None:
    failure(_said(404, body), "compute")


@pytest.mark.parametrize(
    ("status", "body", "refused"),
    [
        (401, b"", True),
        (401, {"error_code": "APIGW.0301", "error_msg": "decrypt token fail"}, True),
        (400, {"error": {"code": "EVS.0002", "message": "Token"}}, True),
        (400, {"error": {"code": "Common.0013", "message": "Token"}}, True),
        (
            400,
            {"error": {"code": "Ecs.1000", "message": '{"code": "EVS.0002", "message": ""}'}},
            True,
        ),
        (400, {"error": {"code": "Common.0018", "message": "Project"}}, False),
        (400, b"EVS.0002", False),
        (403, {"error": {"code": "EVS.0002", "message": "Token"}}, False),
        (500, {"error": {"code": "Common.0013", "message": "Token"}}, False),
    ],
)
def test_a_refused_token_is_told_by_status_and_code(status: int, body: Any, refused: bool) -> None:
    assert refuses_token(_said(status, body)) is refused


@pytest.mark.parametrize(
    ("status", "redirects"),
    [(299, False), (300, True), (302, True), (399, True), (400, False), (402, False), (410, False)],
)
def test_a_redirect_is_told_from_other_answers(status: int, redirects: bool) -> None:
    fault = failure(_said(status, {}), "compute")
    assert isinstance(fault, UpstreamRejected)
    assert ("redirect" in fault.message) is redirects


@pytest.mark.parametrize(
    ("status", "code", "words", "of_another_project"),
    [
        (400, "400", "Malformed request url", True),
        (400, "Common.0018", "Project", True),
        (400, "EVS.0001", "Invalid tenant", True),
        (400, "400", "Malformed request", False),
        (404, "404", "Malformed request url", False),
        (404, "EVS.0001", "Invalid tenant", False),
    ],
)
def test_a_token_of_another_project_is_told_by_a_400(
    status: int, code: str, words: str, *, of_another_project: bool
) -> None:
    fault = failure(_said(status, {"error": {"code": code, "message": words}}), "volume")
    assert isinstance(fault, Misconfigured) is of_another_project


def test_a_request_id_that_is_no_text_is_none() -> None:
    body = {"error_code": "E", "error_msg": "m", "request_id": 5}
    assert read_fault(_said(400, body)).request_id is None


def test_a_body_inside_a_message_counts_by_its_kind_alone() -> None:
    inner = json.dumps({"itemNotFound": {"message": "Gone."}})
    fault = read_fault(_said(400, {"error": {"code": "Ecs.1000", "message": inner}}))
    assert (fault.innermost.kind, fault.innermost.code) == ("itemNotFound", None)


@pytest.mark.parametrize("length", [299, 300, 301, 1000])
def test_a_quoted_message_has_three_hundred_letters_at_most(length: int) -> None:
    said = upstream(_said(400, {"error": {"code": "E", "message": "x" * length}}))
    assert said.message == ("x" * length if length <= 300 else "x" * 299 + "…")


def test_a_status_that_holds_a_secret_is_unreadable() -> None:
    assert plain_word("ACTIVE", ("planted",)) == "ACTIVE"
    assert plain_word("ACTIVEplanted", ("planted",)) == UNREADABLE


def test_a_409_of_another_service_than_the_volume_s_is_no_refusal_of_safety() -> None:
    conflict = _said(409, {"conflictingRequest": {"code": 409, "message": "Conflict"}})

    assert isinstance(failure(conflict, "identity"), UpstreamRejected)
    refused = failure(conflict, "volume")
    assert isinstance(refused, Refused)
    assert refused.code is ErrorCode.USE_COMPUTE_API


@pytest.mark.parametrize(
    "text",
    [
        f"Token {SECRET} is expired",
        f"{SECRET}{SECRET}",
        f'{{"auth": "{SECRET}"}}',
        "x" * 1150 + SECRET,
    ],
)
@pytest.mark.parametrize("where", ["message", "code", "kind", "inner", "request_id"])
def test_what_was_sent_in_confidence_is_cut_out_wherever_it_comes_back(text: str, where: str) -> None:
    inner = {"itemNotFound": {"code": 404, "message": text}}
    body = {
        "message": {"error": {"code": "E", "message": text}},
        "code": {"error": {"code": text, "message": "m"}},
        "kind": {text: {"code": "E", "message": "m"}},
        "inner": {"error": {"code": "Ecs.1000", "message": json.dumps(inner)}},
        "request_id": {"error_code": "E", "error_msg": "m", "request_id": text},
    }[where]
    said = _said(400, body, SECRET)

    shown = repr(read_fault(said)) + repr(upstream(said)) + str(failure(said, "volume")) + repr(said)

    assert SECRET not in shown


@pytest.mark.parametrize(
    ("status", "headers", "body", "expected", "hint"),
    [
        (408, {}, b"", True, None),
        (425, {}, b"", True, None),
        (429, {"Retry-After": "7"}, b"", True, 7.0),
        (429, {}, {"overLimit": {"code": 429, "message": "Slow.", "retryAfter": 9}}, True, 9.0),
        (413, {"Retry-After": "5"}, b"", True, 5.0),
        (413, {}, {"overLimit": {"code": 413, "message": "Slow.", "retryAfter": "3"}}, True, 3.0),
        (413, {"Retry-After": "5"}, {"overLimit": {"code": 413, "retryAfter": "3"}}, True, 5.0),
        (413, {}, {"overLimit": {"code": 413, "retryAfter": [3]}}, True, None),
        (413, {}, {"overLimit": {}}, True, None),
        (413, {"Retry-After": "soon"}, b"", False, None),
        (413, {}, {"overLimit": "3"}, False, None),
        (413, {}, {"error": {"code": "EVS.5413", "message": "Quota."}}, False, None),
        (413, {}, [], False, None),
        (413, {}, b"[" * 100_000, False, None),
        (400, {"Retry-After": "5"}, {"overLimit": {"retryAfter": "3"}}, False, 5.0),
        (404, {}, b"", False, None),
        (503, {"Retry-After": "2"}, b"", False, 2.0),
        (503, {}, {"overLimit": {"code": 413, "retryAfter": "3"}}, False, None),
    ],
)
def test_an_answer_that_only_asks_to_come_back_later_is_told_from_a_refusal(
    status: int, headers: dict[str, str], body: Any, expected: bool, hint: float | None
) -> None:
    said = _said(status, body)._replace(headers=headers)

    assert passes(said) is expected
    assert retry_hint(said) == hint
    failed = failure(said, "volume")
    assert (failed.code is ErrorCode.THROTTLED) is expected
    assert failed.retryable is (expected or status == 503)
    assert failed.retry_after == hint


@pytest.mark.parametrize(
    ("word", "plain"),
    [
        ("in-use", True),
        ("SHELVED_OFFLOADED", True),
        ("a" * 40, True),
        ("a" * 41, False),
        ("", False),
        ("2fast", False),
        ("-dash", False),
        ("two words", False),
        ("line\n", False),
        ("<b>", False),
        ("=cmd", False),
        ("ünlaut", False),
        ("\u202eesrever", False),
        (None, False),
        (7, False),
        (["in-use"], False),
        ("planted-word", False),
        ("x-planted-word-y", False),
    ],
)
def test_a_status_is_a_short_plain_word_or_unreadable(word: object, plain: bool) -> None:
    assert plain_word(word, ("planted-word",)) == (word if plain else "unreadable")


@pytest.mark.parametrize("password", ['pa"ss\\word', "p@ss wörd/%", "ünïcödé-pass"])
@pytest.mark.parametrize(
    "written", [str, lambda text: json.dumps(text)[1:-1], lambda text: quote(text, safe="")]
)
def test_a_text_with_a_password_in_it_is_not_quoted(written: Callable[[str], str], password: str) -> None:
    said = _said(400, {"code": "E", "message": f"{written(password)} end"}, password)

    assert upstream(said) == Upstream(400, "E", WITHHELD, None)
    assert failure(said, "volume").message == f"The volume service answered 400: {WITHHELD}."


@pytest.mark.parametrize("body", [b"", {"code": "E", "message": None}, {"code": "E", "message": 5}])
def test_an_answer_that_says_nothing_is_not_taken_for_one_that_is_not_quoted(body: Any) -> None:
    assert upstream(_said(400, body, SECRET)).message is None


def test_what_it_means_is_told_from_what_is_not_quoted_too() -> None:
    """Cinder's answer when the project in the path is not the token's."""
    said = _said(400, {"badRequest": {"code": 400, "message": f"Malformed request url {SECRET}"}}, SECRET)
    assert isinstance(failure(said, "volume"), Misconfigured)


def test_what_is_read_of_a_body_does_not_show_itself() -> None:
    body = {"error": {"code": "E", "message": f"no {SECRET}", "request_id": "g"}}
    assert repr(read_fault(_said(400, body))) == "Fault()"


def test_a_call_shows_neither_its_body_nor_its_headers() -> None:
    body = f'{{"password": "{SECRET}"}}'.encode()
    call = Call("identity", "POST", "https://iam.example/v3/auth/tokens", body, {"X-Auth-Token": SECRET})

    assert SECRET not in repr(call)
    assert SECRET not in repr(Answer(201, {"X-Subject-Token": SECRET}, body, None, (SECRET,)))


def test_a_message_is_one_printable_line_of_bounded_length() -> None:
    text = "a\r\nInjected: line\x1b[31m\u202e" + "é" * 5000

    message = upstream(_said(400, {"code": "E", "message": text})).message

    assert message is not None
    assert message.isprintable()
    assert message.startswith("a Injected: line [31m ")
    assert len(message) == 300
    assert message.endswith("…")
    assert upstream(_said(400, {"code": "E", "message": "x" * 300})).message == "x" * 300


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([b"X-Openstack-Request-Id: req-1"], "req-1"),
        ([b"X-Compute-Request-Id: req-2"], "req-2"),
        ([b"X-Request-Id: 0f3c9a"], "0f3c9a"),
        ([b"X-IAM-Trace-Id: token_eu-west-0_1"], "token_eu-west-0_1"),
        ([b"x-request-id: low", b"X-OPENSTACK-REQUEST-ID: high"], "high"),
        ([b"X-Openstack-Request-Id: two words", b"X-Request-Id: one"], "one"),
        ([b"X-Request-Id: " + b"x" * 129], None),
        ([b"X-Request-Id: <script>"], None),
        ([b"X-Request-Id: req-" + SECRET.encode()], None),
        ([b"X-Other: req-9"], None),
        ([], None),
    ],
)
def test_a_request_id_is_kept_whichever_header_carries_it(headers: list[bytes], expected: str | None) -> None:
    def script(client: Connection) -> None:
        client.request()
        client.say(answer(b"{}", "200 OK", *headers))

    with raw_server(script) as server, transport() as sender:
        seen = call_context()
        call = Call("volume", "GET", f"{server.url}/v2/thing", secrets=(SECRET,))
        assert sender.send(call, seen).request_id == expected

    assert seen.request_ids == ([expected] if expected else [])


def test_the_gateway_s_request_id_is_taken_from_the_body_where_no_header_has_one() -> None:
    body = {"error_code": "APIGW.0308", "error_msg": "Slow down", "request_id": "g-17"}

    assert upstream(_said(429, body)).request_id == "g-17"
    in_header = Answer(429, {}, json.dumps(body).encode(), "req-1")
    assert upstream(in_header).request_id == "req-1"


def test_a_request_id_is_noted_once() -> None:
    seen = call_context()

    for request_id in ("req-1", "req-2", "req-1", None):
        seen.called(request_id)

    assert (seen.calls, seen.request_ids) == (4, ["req-1", "req-2"])


def test_no_result_names_request_ids_without_end() -> None:
    seen = call_context()

    for number in range(1000):
        seen.called(f"req-{number}")

    assert seen.calls == 1000
    assert seen.request_ids == [f"req-{number}" for number in range(64)]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 429, 500, 503])
@pytest.mark.parametrize(
    "words",
    [
        "The resource could not be found.<br /><br />\n\n\n",
        "The request you have made requires authentication.",
        "Policy doesn't allow it..",
        "<html><body><h1>404 Not Found</h1></body></html>",
        "&lt;b&gt;No&lt;/b&gt; such thing;",
    ],
)
def test_a_failure_says_one_clean_sentence_after_another(status: int, words: str) -> None:
    """What Nova's router writes for browsers, and what ends in a full stop of its own."""
    for service in ("volume", "compute", "identity"):
        found = failure(_said(status, {"message": words, "code": "X"}), service)
        assert found.upstream is not None
        for text in (found.message, found.upstream.message or ""):
            assert not [mark for mark in ("<", ">", "&lt;", ".;", " .", "  ") if mark in text], text
        assert ".." not in found.message
        assert found.message.endswith(".")
