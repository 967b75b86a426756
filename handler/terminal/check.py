"""`evs-detach check`: says line by line whether all works that is set. Changes nothing."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import asdict

import click

from handler.actions.checked import Check, Fact, State, failed, sentence
from handler.actions.service_checks import check_services
from handler.credentials.secret_content import (
    ApplicationCredential,
    BareToken,
    Content,
    Password,
    TokenExchange,
)
from handler.credentials.token_auth import TokenAuth
from handler.errors import Failure, Misconfigured
from handler.invocation import Invocation, Trigger
from handler.model.values import timestamp
from handler.runtime import runtime
from handler.settings import NAMES, Settings
from handler.settings.scope import Scope
from handler.terminal.cells import printable
from handler.terminal.exit_code import ExitCode
from handler.terminal.options import Common
from handler.terminal.session import Session
from handler.terminal.table import wrapped
from handler.triggers import platform

_COLOURS = {State.OK: "green", State.NOTE: "yellow", State.BAD: "red"}
_NAME_WIDTH = 22  # cells: the longest name, and a gap
_SOON = 900.0  # seconds


def check(common: Common) -> int:
    """Check all, showing each line as it is found; the exit code."""
    session = Session(common)
    invocation = platform.invocation(Trigger.TERMINAL)
    session.log(session.settings())
    as_json = session.output == "json"
    found: list[Check] = []
    for line in _guarded(session, invocation):
        found.append(line)
        if not as_json and not (common.quiet and line.state is State.OK):
            _show(session, line)
    usable = all(line.state is not State.BAD for line in found)
    if as_json:
        result = {
            "ok": usable,
            "request_id": invocation.request_id,
            "checks": [asdict(line) for line in found],
        }
        session.echo(json.dumps(result))
    elif not common.quiet:
        verdict = "Usable." if usable else "Not usable: see what is bad."
        session.echo(click.style(verdict, bold=True, fg="green" if usable else "red"))
    return ExitCode.DONE if usable else ExitCode.FAILED


def _show(session: Session, line: Check) -> None:
    state = click.style(f"{line.state.value:5}", fg=_COLOURS[line.state], bold=line.state is State.BAD)
    said = line.message
    if line.upstream is not None and line.upstream.request_id:
        said += f" (request id {line.upstream.request_id})"
    indent = " " * (6 + _NAME_WIDTH)
    first, *rest = wrapped(said, session.width, indent) or [""]
    session.echo(f"{state} {printable(line.name):{_NAME_WIDTH}}{first.strip()}")
    for more in rest:
        session.echo(more)


def _guarded(session: Session, invocation: Invocation) -> Iterator[Check]:
    """The checks; a bug of ours is one of them."""
    try:
        yield from _checks(session, invocation)
    except Exception as bug:  # noqa: BLE001 (the last net)
        yield failed("check", invocation.log.bug(bug))


def _checks(session: Session, invocation: Invocation) -> Iterator[Check]:
    try:
        environment = session.environment()
        warm = runtime(environment, network=False)
        session.log(warm.settings)
    except Misconfigured as fault:
        yield failed("settings", fault)
        return
    told = [name for name in NAMES if environment.get(name, "").strip()]
    yield Check("settings", State.OK, f"Good, as far as they go: {', '.join(told)}.", {"set": told})
    context = invocation.context(warm.settings.timeout)
    content: Content | None = None
    try:
        content = warm.credentials.content(context)
    except Failure as fault:
        yield failed("secret", fault, store=warm.settings.token_secret.store.value)
        return
    yield _secret(warm.settings, content)
    project = warm.project(context)
    auth = warm.credentials.authenticator(context)
    try:
        yield _token(auth, content, warm.settings.scope)
        yield _endpoints(auth, warm.settings)
    except Failure as fault:
        yield failed("token", fault)
        return
    yield from check_services(project, context)


def _secret(settings: Settings, content: Content | None) -> Check:
    reference = settings.token_secret
    where = f"{reference.store.value}:{f'{reference.mount}/' if reference.mount else ''}{reference.name}"
    facts: dict[str, Fact] = {
        "store": reference.store.value,
        "kind": _kind(content),
    }
    if isinstance(content, ApplicationCredential):
        message = (
            f"{where} holds an application credential. Where Cinder asks Nova before it detaches, os-detach "
            "answers 500 with its tokens, and nothing is changed: use a password there."
        )
        return Check("secret", State.NOTE, message, facts)
    return Check("secret", State.OK, f"{where} holds {_kind(content)}.", facts)


def _kind(content: Content | None) -> str:
    kinds = {
        BareToken: "a token",
        Password: "a user's password",
        TokenExchange: "a token that is exchanged for one of the project",
    }
    if isinstance(content, ApplicationCredential):
        return "an application credential"
    return "the platform's own token" if content is None else kinds[type(content)]


def _token(auth: TokenAuth, content: Content | None, scope: Scope) -> Check:
    token = auth.token
    left = None if token.expires_at is None else token.expires_at - time.time()
    said = [f"user {token.user}" if token.user else "its user is not known", f"project {token.project_id}"]
    said.append(
        f"roles {', '.join(token.roles) or 'none'}" if token.roles is not None else "its roles are not known"
    )
    said.append(
        "its end is not known" if token.expires_at is None else f"good until {timestamp(token.expires_at)}"
    )
    notes = []
    if token.roles is not None and set(token.roles) <= {"reader"}:
        notes.append("A reader may look and not detach: give it the role member.")
    if token.roles is not None and "admin" in token.roles and scope is Scope.PROJECT:
        notes.append("An administrator's is more than is needed: a member of the project is enough.")
    if token.delegated and not isinstance(content, ApplicationCredential):
        notes.append("It is delegated: where Cinder asks Nova before it detaches, os-detach answers 500.")
    if isinstance(content, BareToken) and left is not None and left < _SOON:
        notes.append("It ends soon, and nothing here can renew it.")
    facts: dict[str, Fact] = {
        "user": token.user,
        "project_id": token.project_id,
        "roles": None if token.roles is None else list(token.roles),
        "expires_at": None if token.expires_at is None else timestamp(token.expires_at),
    }
    return Check(
        "token",
        State.NOTE if notes else State.OK,
        " ".join([sentence(said), *notes]),
        facts,
    )


def _endpoints(auth: TokenAuth, settings: Settings) -> Check:
    endpoints = auth.endpoints
    region = settings.catalog.region
    said = [f"volume {endpoints.volume}", f"compute {endpoints.compute or 'not asked'}"]
    said += [f"region {region}"] if region else []
    facts: dict[str, Fact] = {
        "volume": endpoints.volume,
        "compute": endpoints.compute,
        "identity": settings.identity_endpoint,
        "region": region,
    }
    return Check("endpoints", State.OK, sentence(said), facts)
