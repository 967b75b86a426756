"""Marks are planted wherever a secret can be; then all that came out is searched for them."""

from __future__ import annotations

import base64
import copy
import io
import json
import logging
import pickle
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from handler.credentials import CallerKeys
from handler.credentials.secret_content import read_content
from handler.errors import Failure
from handler.invocation import NO_PLATFORM, Platform
from handler.secret import Secret
from handler.settings import read_settings
from tests.embedded_cloud import Cloud
from tests.unit.contexts import call_context
from tests.unit.credentials.deployment import Clock, Deployment, password

MARK = "m4rk"


def mark(what: str) -> str:
    return f"{MARK}-{what}-{'x' * 24}"


def texts(thing: object, seen: set[int] | None = None) -> Iterator[str]:
    """Every text that can be reached from a thing, frames aside."""
    seen = set() if seen is None else seen
    if id(thing) in seen:
        return
    seen.add(id(thing))
    if isinstance(thing, str):
        yield thing
    elif isinstance(thing, (bytes, bytearray)):
        yield thing.decode("latin-1")
    elif isinstance(thing, dict):
        for key, value in thing.items():
            yield from texts(key, seen)
            yield from texts(value, seen)
    elif isinstance(thing, (list, tuple, set, frozenset)):
        for value in thing:
            yield from texts(value, seen)
    else:
        if isinstance(thing, BaseException):
            yield str(thing)
            yield from texts([thing.args, thing.__cause__, thing.__context__], seen)
            # What decoders hang onto their errors
            yield from texts([getattr(thing, name, None) for name in ("doc", "object", "filename")], seen)
        yield from texts(getattr(thing, "__dict__", {}), seen)


def pickled(thing: object) -> str:
    """A pickle's bytes, or why there is none."""
    try:
        return pickle.dumps(thing).decode("latin-1")
    except (TypeError, AttributeError, pickle.PicklingError) as error:
        return str(error)


@pytest.fixture
def every_log() -> Iterator[Callable[[], str]]:
    """What any logger says at DEBUG, libraries' included."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    loggers = [logging.getLogger(), logging.getLogger("evs_detach")]
    level = loggers[0].level
    for logger in loggers:
        logger.addHandler(handler)
    loggers[0].setLevel(logging.DEBUG)
    yield stream.getvalue
    loggers[0].setLevel(level)
    for logger in loggers:
        logger.removeHandler(handler)


Arrange = Callable[[Cloud, dict[str, str], Path], Platform | None]

SECRETS = {
    "a bare token": mark("token"),
    "a token in JSON": json.dumps({"token": mark("token")}),
    "a password": password(mark("password")),
    "a password with a quote": password('"' + mark("password")),
    "an application credential": json.dumps(
        {"application_credential_id": "i", "application_credential_secret": mark("credential")}
    ),
    "a token with a line break": mark("token") + "\r\nX-Other: " + mark("header"),
    "a token that is not ASCII": mark("token") + "é",
    "JSON that is cut off": password(mark("password"))[:-3],
    "JSON with an unknown key": json.dumps({"token": mark("token"), mark("key"): "x"}),
    "JSON of another type": json.dumps([mark("token")]),
    "a password that is a number": json.dumps({"username": "u", "password": [mark("p")], "domain": "d"}),
    "JSON that is too deep": '{"token":' * 50_000 + mark("deep"),
    "text that is no UTF-8": mark("token") + "\udcff",
    "too long a text": mark("token") * 4000,
}


def _refused(cloud: Cloud) -> None:
    pass


def _echoed(cloud: Cloud) -> None:
    """The services say in their errors, and in their ids, what they were sent."""

    def echo(call: Any) -> None:
        sent = {**call.headers, "body": call.raw.decode()}
        secret = sent.get("x-auth-token") or sent.get("x-vault-token") or sent["body"]
        cloud.misbehaviour.clear()
        cloud.misbehave(
            times=1,
            status=400,
            body={"error": {"code": secret, "message": f"not good: {secret}; {sent['body']}"}},
            headers={"X-Request-Id": secret.splitlines()[0], "X-IAM-Trace-Id": secret.splitlines()[0]},
        )

    cloud.hook(echo)


def _dropped(cloud: Cloud) -> None:
    cloud.misbehave(times=None, drop="before")


def _garbled(cloud: Cloud) -> None:
    cloud.misbehave(times=None, status=200, body="{" + mark("answer"))


def _redirected(cloud: Cloud) -> None:
    cloud.misbehave(times=None, redirect_to="https://elsewhere.example/" + mark("location"))


BEHAVIOURS = [_refused, _echoed, _dropped, _garbled, _redirected]


class Searched:
    """What came out of a run."""

    def __init__(self) -> None:
        self.out: list[str] = []
        self.failures = 0

    def attempt(self, work: Callable[[], object]) -> None:
        try:
            result = work()
        except Failure as failure:
            self.failures += 1
            self.out += texts(failure)
            self.out += [repr(failure), "".join(traceback.format_exception(failure)), pickled(failure)]
            self.out += texts(pickle.loads(pickle.dumps(failure)))  # noqa: S301 (our own)
            self.out += texts(copy.copy(failure))
        else:
            self.out.append(repr(result))

    def show(self, *things: object) -> None:
        for thing in things:
            self.out += [repr(thing), str(thing), f"{thing}", pickled(thing)]
            try:
                vars(thing)
            except TypeError:
                continue
            self.out.append(repr(vars(thing)))


def run(environment: dict[str, str], clock: Clock, platform: Platform) -> Searched:
    """Read, have a token issued, use it, be refused, renew, and check callers; all of it twice."""
    searched = Searched()
    deployment = Deployment(environment, clock)
    keys: CallerKeys = deployment.keys()
    auth = deployment.auth(platform)
    invoked = call_context(platform=platform).invocation
    for _ in range(2):
        searched.attempt(lambda: deployment.invoke(calls=2, platform=platform))
        searched.attempt(lambda: auth.project_id)
        searched.attempt(lambda: keys.check("Bearer " + mark("presented"), invoked))
        clock.passes(301)
    tokens = deployment.credentials._tokens
    searched.show(auth, deployment.credentials, keys, tokens, platform, deployment.settings)
    searched.show(*(value for value in vars(tokens).values() if value is not None))
    deployment.transport.close()
    return searched


def assert_nothing(searched: Searched, *logs: str) -> None:
    assert searched.failures > 0
    assert searched.out
    for text in (*searched.out, *logs):
        assert MARK not in text, text[:2000]


@pytest.mark.parametrize("behave", BEHAVIOURS)
@pytest.mark.parametrize("secret", SECRETS.values(), ids=SECRETS.keys())
@pytest.mark.parametrize("store", ["env", "file"])
def test_a_secret_in_the_environment_or_in_a_file(
    cloud: Cloud,
    clock: Clock,
    tmp_path: Path,
    every_log: Callable[[], str],
    store: str,
    secret: str,
    behave: Callable[[Cloud], None],
) -> None:
    file = tmp_path / "secret"
    file.write_bytes(secret.encode(errors="surrogateescape"))
    environment = {**cloud.environment(), "SECRET": secret, "KEYS": mark("key")}
    environment["DETACH_TOKEN_SECRET"] = "env:SECRET" if store == "env" else f"file:{file}"
    environment["DETACH_INVOKE_SECRET"] = "env:KEYS"
    behave(cloud)
    assert_nothing(run(environment, clock, NO_PLATFORM), every_log())


@pytest.mark.parametrize("behave", [behave for behave in BEHAVIOURS if behave is not _garbled])
def test_a_token_that_works_and_is_refused_later(
    cloud: Cloud,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    every_log: Callable[[], str],
    behave: Callable[[Cloud], None],
) -> None:
    cloud.add_user("robot", mark("password"))
    make = cloud.identity._make

    def marked(*args: Any) -> Any:
        token = make(*args)
        del cloud.identity.tokens[token.text]
        token.text = mark("issued") + token.text[7:60]
        cloud.identity.tokens[token.text] = token
        return token

    monkeypatch.setattr(cloud.identity, "_make", marked)
    environment = {
        **cloud.environment(),
        "DETACH_TOKEN_SECRET": "env:SECRET",
        "SECRET": password(mark("password")),
    }
    deployment = Deployment(environment, clock)
    deployment.invoke()
    assert MARK in cloud.calls[-1].headers["x-auth-token"]
    searched = Searched()
    auth = deployment.auth()
    searched.show(auth, deployment.credentials, vars(deployment.credentials._tokens))
    behave(cloud)
    cloud.expire_all_tokens()
    cloud.add_user("robot", "other")
    for _ in range(3):
        searched.attempt(lambda: deployment.read(auth))
    deployment.transport.close()
    assert_nothing(searched, every_log())


@pytest.mark.parametrize("behave", BEHAVIOURS)
@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize("token", ["stale", "right", "unsafe"])
def test_a_secret_in_csms(
    cloud: Cloud,
    clock: Clock,
    every_log: Callable[[], str],
    token: str,
    behave: Callable[[Cloud], None],
    *,
    binary: bool,
) -> None:
    environment = {**cloud.environment(), "DETACH_TOKEN_SECRET": "csms:s", "DETACH_INVOKE_SECRET": "csms:k"}
    cloud.put_csms_secret("s", SECRETS["JSON with an unknown key"], binary=binary)
    cloud.put_csms_secret("k", json.dumps([mark("key") + " spaced"]), binary=binary)
    value = {"stale": mark("platform"), "right": cloud.token(), "unsafe": mark("platform") + "\n"}[token]
    behave(cloud)
    searched = run(environment, clock, Platform(Secret(value), cloud.project_id))
    searched.out = [text for text in searched.out if value not in text or MARK in value]
    assert_nothing(searched, every_log())


def test_binary_data_of_csms_that_is_not_base64(
    cloud: Cloud, clock: Clock, every_log: Callable[[], str]
) -> None:
    environment = {**cloud.environment(), "DETACH_TOKEN_SECRET": "csms:s", "DETACH_INVOKE_SECRET": "csms:k"}
    for data in (mark("data") + "!", base64.b64encode(mark("data").encode() + b"\xff").decode()):
        cloud.misbehaviour.clear()
        cloud.misbehave("csms", times=None, status=200, body={"version": {"secret_binary": data}})
        platform = Platform(Secret(cloud.token()), cloud.project_id)
        assert_nothing(run(environment, clock, platform), every_log())


@pytest.mark.parametrize("behave", BEHAVIOURS)
@pytest.mark.parametrize(
    "way", ["token", "unsafe token", "token file", "unsafe file", "role", "unknown role"]
)
def test_a_secret_in_vault(
    cloud: Cloud,
    clock: Clock,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    every_log: Callable[[], str],
    way: str,
    behave: Callable[[Cloud], None],
) -> None:
    jwt, file = tmp_path / "jwt", tmp_path / "vault-token"
    jwt.write_text(mark("jwt"), encoding="utf-8")
    monkeypatch.setattr("handler.credentials.stores.vault.SERVICE_ACCOUNT", str(jwt))
    cloud.vault_roles["robot"] = mark("jwt")
    cloud.add_vault_token(mark("vault"), expires_in=1e9)
    file.write_text(mark("vault") + ("\nsecond line" if way == "unsafe file" else ""), encoding="utf-8")
    cloud.put_vault_secret("secret", "s", {"a": mark("field"), mark("name"): 5})
    cloud.put_vault_secret("secret", "k", {"keys": [mark("key"), mark("key") + " spaced"]})
    environment = {
        **cloud.environment(),
        "DETACH_TOKEN_SECRET": "vault:secret/s",
        "DETACH_INVOKE_SECRET": "vault:secret/k",
        **{
            "token": {"VAULT_TOKEN": mark("vault")},
            "unsafe token": {"VAULT_TOKEN": mark("vault") + "\n" + mark("more")},
            "token file": {"VAULT_TOKEN_FILE": str(file)},
            "unsafe file": {"VAULT_TOKEN_FILE": str(file)},
            "role": {"VAULT_ROLE": "robot"},
            "unknown role": {"VAULT_ROLE": "other"},
        }[way],
    }
    behave(cloud)
    assert_nothing(run(environment, clock, NO_PLATFORM), every_log())


@pytest.mark.parametrize("token", [mark("platform"), mark("platform") + " spaced", "null"])
@pytest.mark.parametrize("behave", BEHAVIOURS)
def test_the_platforms_own_token(
    cloud: Cloud,
    clock: Clock,
    every_log: Callable[[], str],
    token: str,
    behave: Callable[[Cloud], None],
) -> None:
    environment = {
        **cloud.environment(),
        "DETACH_TOKEN_SECRET": "context:",
        "DETACH_INVOKE_SECRET": "env:KEYS",
    }
    environment["KEYS"] = mark("key")
    behave(cloud)
    assert_nothing(run(environment, clock, Platform(Secret(token), cloud.project_id)), every_log())


@pytest.mark.parametrize("text", SECRETS.values(), ids=SECRETS.keys())
def test_callers_keys(cloud: Cloud, clock: Clock, every_log: Callable[[], str], text: str) -> None:
    environment = {**cloud.environment(), "DETACH_TOKEN_SECRET": "env:ABSENT"}
    environment |= {"DETACH_INVOKE_SECRET": "env:KEYS", "KEYS": text}
    assert_nothing(run(environment, clock, NO_PLATFORM), every_log())


def test_settings_that_are_wrong(cloud: Cloud) -> None:
    searched = Searched()
    environment = {
        **cloud.environment(),
        "DETACH_TOKEN_SECRET": mark("token"),
        "DETACH_INVOKE_SECRET": "vault:" + mark("key"),
        "DETACH_IDENTITY_ENDPOINT": f"https://user:{mark('password')}@iam.example/v3",
    }
    searched.attempt(lambda: read_settings(environment, network=True))
    assert_nothing(searched)


def test_what_a_secret_is_made_into_shows_nothing() -> None:
    searched = Searched()
    for text in list(SECRETS.values())[:5]:
        searched.show(read_content(Secret(text), "DETACH_TOKEN_SECRET"))
    searched.attempt(lambda: read_content(Secret("{"), "DETACH_TOKEN_SECRET"))
    assert_nothing(searched)


def test_the_search_finds_what_is_there() -> None:
    """The search itself would find a mark in each place where one might be."""
    failure = Failure("said")
    with pytest.raises(ValueError, match="Expecting value") as caught:
        json.loads(mark("doc"))
    failure.__context__ = caught.value
    assert any(MARK in text for text in texts(failure))
    held = Failure("said")
    held.details = (object(), {"a": [mark("deep").encode()]})  # type: ignore[assignment]
    assert any(MARK in text for text in texts(held))
    assert MARK in pickled(mark("pickled"))
