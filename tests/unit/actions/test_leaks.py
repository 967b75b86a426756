"""A planted token, password and key come out nowhere: in no log at DEBUG, no result, no error, no repr."""

from __future__ import annotations

import base64
import json
import logging
import re
import textwrap
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from handler.actions.os_detach import CONFIRM_WITHIN
from handler.cloud.redaction import WITHHELD
from handler.errors import ErrorCode, Failure, Upstream
from handler.invocation import Invocation, Trigger
from handler.model.request import Batch, Target
from handler.model.result import Outcome, Result, TargetResult, to_json
from handler.telemetry import configure
from tests.embedded_cloud import Cloud, seed
from tests.unit.actions.answers import TOKEN, Row, Said
from tests.unit.actions.test_rule import ROWS
from tests.unit.conftest import Deploy

PASSWORD = 'planted "pass\\word" %ü'
KEY = "planted-caller-key"
PROXY_PASSWORD = "planted-proxy-password"
MARK = "planted"

_MESSAGE = re.compile(r'\\?"(?:message|error_msg)\\?": \\?"(?!{)')

ORPHAN = Target(volume_id=seed.ORPHAN_VOLUME, attachment_id=seed.ORPHAN_ATTACHMENT)


class Everything(logging.Handler):
    """All that anybody logs, with all that a formatter could make of it."""

    def __init__(self) -> None:
        super().__init__(level=0)
        self.text = ""

    def emit(self, record: logging.LogRecord) -> None:
        self.text += f"{self.format(record)} {record.__dict__!r}\n"


@pytest.fixture
def everything() -> Iterator[Everything]:
    root, catcher = logging.getLogger(), Everything()
    before = root.level
    root.addHandler(catcher)
    root.setLevel(1)
    yield catcher
    root.removeHandler(catcher)
    root.setLevel(before)


def _shown(result: Result) -> str:
    return to_json(result) + repr(result) + str(result)


def _everywhere(said: Said, token: str) -> Said:
    """The same answer of a cloud that quotes the token wherever it can."""
    method, url, status, body, headers = said
    if isinstance(body, Exception):
        return method, url, status, type(body)(f"{token} {url}"), headers
    if status in {400, 404} and "itemNotFound" in json.dumps(body):
        pass  # one that quotes anything is not believed any more: test_absence
    elif not isinstance(body, str):
        body = json.loads(_MESSAGE.sub(lambda opening: f"{opening[0]}{token} ", json.dumps(body)))
    elif body:
        body = f"{body} {token}"
    quoting = {"X_Compute_Request_Id": f"req-{token}", "X_Echo": token}
    return method, url, status, body, {**headers, **quoting}


def _as_request_id(said: Said, token: str) -> Said:
    *answer, headers = said
    method, url, status, body = answer
    return method, url, status, body, {**headers, "X_Openstack_Request_Id": token}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_cloud_that_quotes_the_token_in_every_answer_doesn_t_get_it_out(
    row: Row, everything: Everything, capsys: pytest.CaptureFixture[str]
) -> None:
    configure("DEBUG")

    result, _sent, _clock = row.run(_everywhere)

    assert (result.outcome, result.error and result.error.code) == (row.outcome, row.code)
    out = capsys.readouterr()
    assert TOKEN not in _shown(result)
    assert TOKEN not in out.out + out.err + everything.text


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_token_in_place_of_a_request_id_is_no_request_id(row: Row) -> None:
    result, _sent, _clock = row.run(_as_request_id)

    assert result.upstream_request_ids == ()
    assert TOKEN not in _shown(result)


def _user(password: str = PASSWORD) -> str:
    return json.dumps({"username": "planter", "password": password, "domain": "Default"})


def _token(cloud: Cloud) -> str:
    return next(token for call in reversed(cloud.calls) if (token := call.headers.get("x-auth-token")))


def _quoting(cloud: Cloud) -> dict[str, Any]:
    """How the cloud quotes the token that it saw last."""
    token = _token(cloud)
    return {
        "body": {"error": {"code": "E.1", "message": f"{token} is no good", "details": token}},
        "headers": {"X-Openstack-Request-Id": token, "Server": token, "Retry-After": "0"},
    }


def test_a_run_through_every_outcome_shows_no_secret(
    cloud: Cloud,
    deploy: Deploy,
    everything: Everything,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("handler.actions.os_detach.FIRST_PAUSE", CONFIRM_WITHIN)
    cloud.add_user("planter", PASSWORD, "Default")
    runtime = deploy(
        cloud,
        DETACH_LOG_LEVEL="DEBUG",
        DETACH_TOKEN_SECRET="env:PLANTED_USER",
        PLANTED_USER=_user(),
        DETACH_INVOKE_AUTH="bearer",
        DETACH_INVOKE_SECRET="env:PLANTED_KEY",
        PLANTED_KEY=KEY,
    )
    invocation = Invocation(Trigger.HTTP, "r-1")
    shown: list[str] = []
    outcomes: set[Outcome] = set()

    def call(target: Target, **misbehaviour: Any) -> None:
        if misbehaviour:
            cloud.misbehave(**misbehaviour)
        result = runtime.carry_out([target], invocation)
        cloud.misbehaviour.clear()
        assert isinstance(result, TargetResult)
        outcomes.add(result.outcome)
        shown.append(_shown(result))

    runtime.admit(f"Bearer {KEY}", invocation)
    for wrong in (None, "Basic planted", f"Bearer {KEY}-wrong", "Bearer"):
        with pytest.raises(Failure) as raised:
            runtime.admit(wrong, invocation)
        shown.append("".join(traceback.format_exception(raised.value)) + repr(raised.value))
    call(Target(volume_id=seed.AVAILABLE_VOLUME))
    call(ORPHAN._replace(dry_run=True))
    for status in (400, 403, 404, 409, 429, 500, 503, 401):
        call(ORPHAN, service="volume", method="GET", status=status, times=None, **_quoting(cloud))
        call(ORPHAN, service="compute", method="GET", status=status, times=None, **_quoting(cloud))
        call(ORPHAN, service="volume", method="POST", status=status, times=None, **_quoting(cloud))
    call(ORPHAN, service="volume", drop="before", times=None)
    call(ORPHAN, service="volume", method="GET", redirect_to=f"https://elsewhere.example/?{_token(cloud)}")
    call(ORPHAN, service="volume", method="POST", status=202, **_quoting(cloud))
    call(Target(volume_id=seed.LIVE_VOLUME))
    call(Target(volume_id=seed.ABSENT_VOLUME))
    call(ORPHAN)

    assert outcomes == set(Outcome) - {Outcome.IGNORED, Outcome.DISPATCHED, Outcome.RECOVERED}
    out = capsys.readouterr()
    logged = out.out + out.err + everything.text
    assert '"event": "call"' in out.out
    assert "urllib3" in everything.text
    for text in (*shown, logged, repr(runtime.__dict__), repr(runtime.settings)):
        for secret in (*cloud.identity.tokens, KEY, PASSWORD, json.dumps(PASSWORD)[1:-1]):
            assert secret not in text


_ECHOED: dict[str, Callable[[str], str]] = {
    "as ESAPI writes HTML": lambda token: re.sub(
        r"[^A-Za-z0-9]", lambda each: f"&#x{ord(each[0]):x};", token
    ),
    "as Mustache does": lambda token: token.replace("/", "&#x2F;").replace("=", "&#x3D;"),
    "as .NET does": lambda token: token.replace("+", "&#x2B;"),
    "in lines": lambda token: "\n".join(textwrap.wrap(token, 12)),
    "to be broken": lambda token: "<wbr>".join(textwrap.wrap(token, 10)),
    "in base64": lambda token: base64.encodebytes(b"X-Auth-Token: " + token.encode()).decode(),
    "in hexadecimal": lambda token: token.encode().hex(" "),
    "each letter": lambda token: "".join(f"%{ord(letter):02x}" for letter in token),
}


@pytest.mark.parametrize("how", _ECHOED)
def test_a_gateway_s_page_that_quotes_the_token_is_not_quoted(
    how: str, cloud: Cloud, deploy: Deploy, capsys: pytest.CaptureFixture[str]
) -> None:
    token = "gAAAAABl-PLANTED_x+y/z=" + "Qk7" * 60 + "-_END=="
    known = cloud.identity.tokens[cloud.token()]
    known.text, cloud.identity.tokens[token] = token, known
    page = {"error_code": "GW.1", "error_msg": f"<p>The token {_ECHOED[how](token)} is refused</p>"}
    cloud.misbehave("volume", "GET", status=403, body=page, times=None)
    runtime = deploy(cloud, DETACH_LOG_LEVEL="DEBUG", DETACH_TOKEN_SECRET="env:PLANTED", PLANTED=token)

    result = runtime.carry_out([ORPHAN], Invocation(Trigger.HTTP, "r-1"))

    assert result.error is not None
    assert result.error.upstream == Upstream(403, "GW.1", WITHHELD, None)
    assert result.error.message.startswith(f"The volume service answered 403: {WITHHELD}. The token's role")
    logged = capsys.readouterr().out
    assert result.error.message in logged
    assert _ECHOED[how](token)[:20] not in _shown(result) + logged
    assert token[:20] not in _shown(result) + logged


def test_a_password_that_the_identity_service_quotes_doesn_t_come_out(
    cloud: Cloud, deploy: Deploy, everything: Everything, capsys: pytest.CaptureFixture[str]
) -> None:
    body = {"error": {"code": 401, "message": f"No user with {PASSWORD} or {json.dumps(PASSWORD)}"}}
    cloud.misbehave("identity", "POST", status=401, body=body, times=None)
    runtime = deploy(
        cloud, DETACH_LOG_LEVEL="DEBUG", DETACH_TOKEN_SECRET="env:PLANTED_USER", PLANTED_USER=_user()
    )

    result = runtime.carry_out([Batch(targets=[ORPHAN])], Invocation(Trigger.HTTP, "r-1"))

    out = capsys.readouterr()
    assert result.error is None
    assert "token_rejected" in to_json(result)
    assert MARK not in _shown(result)
    assert MARK not in out.out + out.err + everything.text


def test_a_proxy_s_password_comes_out_nowhere(
    cloud: Cloud,
    deploy: Deploy,
    everything: Everything,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, f"http://me:{PROXY_PASSWORD}@127.0.0.1:9")
    elsewhere = {"DETACH_VOLUME_ENDPOINT": "http://cloud.example/v3", "DETACH_ALLOW_HTTP": "cloud.example"}
    runtime = deploy(cloud, DETACH_LOG_LEVEL="DEBUG", DETACH_IDENTITY_ENDPOINT="", **elsewhere)

    result = runtime.carry_out([ORPHAN], Invocation(Trigger.HTTP, "r-1", seconds_left=1.0))

    out = capsys.readouterr()
    assert result.error is not None
    assert result.error.code is ErrorCode.UPSTREAM_UNAVAILABLE
    assert PROXY_PASSWORD not in _shown(result)
    assert PROXY_PASSWORD not in out.out + out.err + everything.text
