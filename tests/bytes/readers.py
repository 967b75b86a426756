"""All that reads what others wrote, each as a function of bytes that ends whatever they are.

A reader may refuse by a `Failure`, or say no by its answer's status. Anything else that comes out is a bug.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
from collections.abc import Callable, Iterator
from functools import cache, partial
from typing import Any
from urllib.parse import quote

from requests.structures import CaseInsensitiveDict

from handler import routes, runtime
from handler.cloud.detach_refusals import read_refusal
from handler.cloud.detaching import EcsDetach, NovaDetach
from handler.cloud.endpoints import Endpoints, Together
from handler.cloud.faults import failure, passes, refuses_token, retry_hint
from handler.cloud.messages import Answer, Call
from handler.cloud.servers import HeldDisk, Servers
from handler.cloud.transport import Transport
from handler.cloud.volumes import Volumes
from handler.credentials.identity import Identity
from handler.credentials.secret_content import BareToken, Content, read_content
from handler.credentials.stores import open_store
from handler.credentials.stores.base import read_secret
from handler.errors import ErrorCode, Failure, ListingFailed
from handler.invocation import CallContext, Deadline, Invocation, Trigger
from handler.model.result import Outcome, Result, untargeted
from handler.secret import Secret
from handler.settings import NAMES, Settings, read_settings
from handler.settings.secret_reference import read_reference
from tests.unit.deployment import Context, app

Reader = Callable[[bytes], None]

_ID = "0b9f3c52-6f57-4c1e-9a57-2c6d0e1f7a11"
_PROJECT = "f70daff965149cc9d998ec4e99145adc"
_HOST = "https://cloud.example"
_PASSWORD = json.dumps({"username": "u", "password": "a-long-password", "domain": "Default"})
_SETTINGS = {
    "DETACH_PROJECT_ID": _PROJECT,
    "DETACH_VOLUME_ENDPOINT": f"{_HOST}/volume/v2",
    "DETACH_COMPUTE_ENDPOINT": f"{_HOST}/compute/v2.1",
    "DETACH_IDENTITY_ENDPOINT": f"{_HOST}/identity/v3",
    "DETACH_CSMS_ENDPOINT": f"{_HOST}/kms",
    "DETACH_TOKEN_SECRET": "env:THE_SECRET",
    "DETACH_INVOKE_AUTH": "platform",
    "DETACH_WEBHOOK_ORIGINS": "sender.example",
    "VAULT_ADDR": f"{_HOST}/vault",
    "VAULT_TOKEN": "s.vault-token-of-the-tests",
    "THE_SECRET": _PASSWORD,
}


def _context() -> CallContext:
    invocation = Invocation(Trigger.TERMINAL, "request-of-the-fuzzer")
    return CallContext(invocation, Deadline(0.0, lambda: -20.0), invocation.log)


@cache
def _settings() -> Settings:
    return read_settings(_SETTINGS, network=False)


class _Nowhere(io.TextIOBase):
    """Takes text and keeps none."""

    def write(self, text: str) -> int:
        return len(text)


# Requests and envelopes: the door is open, and what was read is not carried out.

_JSON = "application/json"
_EVENT = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/s", "ce-type": "t"}
_DOORS: tuple[tuple[str, str, dict[str, str]], ...] = (
    ("POST", "/", {"Content-Type": _JSON}),
    ("POST", "/", {"Content-Type": "application/cloudevents+json"}),
    ("POST", "/", {"Content-Type": "application/cloudevents-batch+json"}),
    ("POST", "/", {"Content-Type": _JSON, **_EVENT}),
    ("POST", "/", {"Content-Type": "text/plain", **_EVENT, "ce-type": "dev.knative.sources.ping"}),
    ("POST", "/invoke", {"Content-Type": _JSON}),
    ("POST", "/init", {"Content-Type": _JSON}),
    ("OPTIONS", "/", {"WebHook-Request-Origin": "sender.example"}),
)
_ANSWERS = {200, 400, 401, 403, 405, 413, 415, 422}


def _not_carried_out(_self: object, _work: object, invocation: Invocation, *_: object) -> Result:
    return untargeted(Outcome.IGNORED, None, invocation)


@contextlib.contextmanager
def open_doors() -> Iterator[None]:
    """Let requests in, which are read and not carried out; the log's lines are made, and thrown away."""
    carry_out = runtime.Runtime.carry_out
    runtime.Runtime.carry_out = _not_carried_out  # type: ignore[method-assign, assignment]
    runtime.reset()
    runtime.runtime(_SETTINGS)
    runtime.runtime(_SETTINGS, network=False)
    out, sys.stdout = sys.stdout, _Nowhere()
    try:
        yield
    finally:
        sys.stdout = out
        runtime.Runtime.carry_out = carry_out  # type: ignore[method-assign]
        runtime.reset()


def requests(data: bytes) -> None:
    """An HTTP request: the first byte says which door, a line of headers may follow."""
    method, path, headers = _DOORS[data[0] % len(_DOORS)] if data else _DOORS[0]
    answer = app().test_client().open(path, method=method, headers=headers, data=data[1:])
    _judge(answer, f"{method} {path} {headers}")


def _judge(answer: Any, asked: str) -> None:
    """No 500, but the one by which FunctionGraph's container door says that it would raise."""
    raised = answer.status_code == 500 and asked.startswith("POST /invoke")
    if raised and answer.get_json()["error"]["code"] == ErrorCode.INVALID_REQUEST.value:
        return
    if answer.status_code not in _ANSWERS:
        raise AssertionError(f"{asked} was answered {answer.status_code}: {answer.text}")


_REQUEST = json.dumps({"volume_id": _ID}).encode()


def headers(data: bytes) -> None:
    """A good CloudEvent in binary mode, whose headers are anything: one a line, name and value."""
    lines = [line.partition(b":") for line in data.split(b"\n")[:20]]
    said = {
        name.decode("latin-1"): quote(value, safe=" !#$%&'()*+,-./:;<=>?@[]^_`{|}~")
        for name, _, value in lines
        if name.isalnum() or (name.startswith(b"ce-") and name[3:].isalnum())
    }
    said.pop("Transfer-Encoding", None)
    answer = app().test_client().post("/", headers={"Content-Type": _JSON, **said}, data=_REQUEST)
    _judge(answer, f"{said}")


def events(data: bytes) -> None:
    """An event of FunctionGraph's own runtime, which has parsed its JSON."""
    try:
        event = json.loads(data)
    except (ValueError, RecursionError):
        return
    try:
        said: dict[str, Any] = routes.serve_event(event, Context(user_data=_SETTINGS))
    except routes.NotSettled as raised:
        said = json.loads(str(raised))
    error = said.get("error") or {}
    if error.get("code") == ErrorCode.INTERNAL.value or said.get("statusCode") == 500:
        raise AssertionError(f"a bug: {said}")


# Answers of the services: each reader of one is given the same.


class _Answering(Transport):
    """Gives one answer to whatever is asked."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(connect_timeout=1, read_timeout=1)
        self._answer = answer

    def send(self, call: Call, context: CallContext, auth: object = None) -> Answer:  # noqa: ARG002
        return self._answer._replace(secrets=call.secrets)


class _Signing:
    project_id = _PROJECT
    roles = ("member",)
    delegated = False
    endpoints = Endpoints(f"{_HOST}/volume/v2", f"{_HOST}/compute/v2.1", Together.CATALOG)

    def __call__(self, request: Any) -> Any:
        return request

    def renew(self, _refused: object) -> bool:
        return False


_STATUSES = (200, 201, 202, 400, 401, 403, 404, 406, 408, 409, 413, 429, 500, 502, 503)
_HEADERS: tuple[dict[str, str], ...] = (
    {},
    {"Date": "Sat, 28 Nov 2026 12:00:00 GMT", "X-Subject-Token": "gAAAAAB-token-of-the-tests"},
    {"Retry-After": "7"},
    {"Age": "3", "Retry-After": "x", "Date": "x", "X-Subject-Token": "\x7f"},
)


def _answer(data: bytes) -> Answer:
    first, second = (data + b"\0\0")[:2]
    head = CaseInsensitiveDict(_HEADERS[second % len(_HEADERS)])
    return Answer(_STATUSES[first % len(_STATUSES)], head, data[2:], None, ("a-secret-of-the-tests",))


def _each(*readings: Callable[[], object]) -> None:
    for reading in readings:
        with contextlib.suppress(Failure):
            reading()


def faults(data: bytes) -> None:
    """A body that says why not."""
    answer = _answer(data)
    read_refusal(answer)
    refuses_token(answer)
    passes(answer)
    retry_hint(answer)
    said = failure(answer, "volume")
    if "a-secret-of-the-tests" in f"{said.message} {said.upstream}":
        raise AssertionError("a secret is quoted")


def records(data: bytes) -> None:
    """One volume, server, entry, action or job."""
    transport, context = _Answering(_answer(data)), _context()
    volumes = Volumes("volume", transport, _Signing())
    servers = Servers("compute", transport, _Signing())
    _each(
        lambda: volumes.get(_ID, context),
        lambda: volumes.entries(_ID, context),
        lambda: servers.find(_ID, context),
        lambda: servers.find(_ID, context, with_lock=True),
        lambda: servers.holds(_ID, _ID, context),
        lambda: servers.disk(_ID, _ID, context),
        lambda: servers.disks(_ID, context),
        lambda: servers.deletion(_ID, context),
        lambda: NovaDetach(servers, vendor=False).state(_ID, "req-1", context),
        lambda: NovaDetach(servers, vendor=False).detaches(_ID, 0.0, context, clock=1e9),
        lambda: NovaDetach(servers, vendor=True).is_data_disk(_ID, _ID, HeldDisk(), context),
        lambda: EcsDetach(servers).state(_ID, "job", context),
        lambda: EcsDetach(servers).job_of(_answer(data)),
    )


class _AtOnce:
    """A page that is fetched ahead is fetched at once."""

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Any:
        raise ListingFailed(f"one page is enough: {function} {arguments}")


def lists(data: bytes) -> None:
    """A page of a list, at both services. What can't be read is left out, or ends the list."""
    transport, context = _Answering(_answer(data)), _context()
    left_out: list[str | None] = []
    volumes = Volumes("volume", transport, _Signing()).list(context, {})
    servers = Servers("compute", transport, _Signing()).list(context)
    _each(
        lambda: list(volumes.pages(_AtOnce(), left_out=left_out.append)),  # type: ignore[arg-type]
        lambda: list(servers.pages(_AtOnce())),  # type: ignore[arg-type]
    )


def tokens(data: bytes) -> None:
    """What the identity service says of a token, its catalog included."""
    answer, context = _answer(data), _context()
    value = Secret(answer.headers.get("X-Subject-Token") or "gAAAAAB")
    for project in (_PROJECT, None):
        identity = Identity(_settings()._replace(project_id=project), _Answering(answer), lambda: 0.0)
        _each(partial(identity.issue, _login(), context), partial(identity.look_up, value, project, context))


@cache
def _login() -> Any:
    content: Content = read_content(Secret(_PASSWORD), "DETACH_TOKEN_SECRET")
    if isinstance(content, BareToken):
        raise TypeError("a password is none")
    return content


# Secrets and settings.


class _Kept:
    """A store that holds this."""

    def __init__(self, text: str) -> None:
        self._text = text

    def read(self, _context: CallContext) -> str:
        return self._text


def secrets(data: bytes) -> None:
    """A secret's text, and a store's answer that holds one."""
    text = data.decode("utf-8", "surrogateescape")
    context, answer = _context(), _answer(data)

    def of(named: str) -> None:
        reference = read_reference(named)
        if reference is None:
            raise ValueError(named)
        store = open_store(
            "DETACH_TOKEN_SECRET",
            reference,
            _settings(),
            _Answering(answer),
            _SETTINGS,
            lambda: 0.0,
        )
        read_content(read_secret("DETACH_TOKEN_SECRET", store, context), "DETACH_TOKEN_SECRET")

    _each(
        lambda: read_content(read_secret("S", _Kept(text), context), "S"),
        lambda: of("csms:name"),
        lambda: of("vault:secret/data/name#field"),
    )


def settings(data: bytes) -> None:
    """A deployment's environment: a name by its number, then its value, one a line."""
    environment = dict(_SETTINGS)
    names = sorted(NAMES)
    for line in data.split(b"\n")[:20]:
        if line:
            environment[names[line[0] % len(names)]] = line[1:].decode("utf-8", "surrogateescape")
    _each(
        lambda: read_settings(environment, network=True),
        lambda: read_settings(environment, network=False),
    )


READERS: dict[str, Reader] = {
    reader.__name__: reader
    for reader in (requests, headers, events, faults, records, lists, tokens, secrets, settings)
}


def work_of(reader: Reader, data: bytes) -> int:
    """How many calls of functions a reader makes of this, whatever time that takes."""
    count = 0

    def counted(_frame: object, event: str, _argument: object) -> None:
        nonlocal count
        count += event in {"call", "c_call"}

    before = sys.getprofile()
    sys.setprofile(counted)
    try:
        reader(data)
    finally:
        sys.setprofile(before)
    return count
