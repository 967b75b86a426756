"""Speaks to the identity service: has a token issued, or asks what a bare token is good for.

Keystone v3 and Huawei Cloud's IAM ("Obtaining a User Token", "Verifying a Token") speak alike. The catalog is
never left out of the answer, since it tells where the services are and whether they belong together. An
answer has to say that it is about what was asked: the token, the project. Nothing of what the service says is
quoted but its code: it was sent a password.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NamedTuple
from urllib.parse import quote

from handler.cloud.catalog import Catalog, read_catalog
from handler.cloud.endpoints import Endpoints, find_scopes_endpoints
from handler.cloud.messages import Answer, Call
from handler.cloud.transport import Transport
from handler.credentials.ending import Ending
from handler.credentials.identity_answers import (
    SETTING,
    delegated,
    described_in,
    failed,
    require_about,
    require_asked,
    role_names,
    said_by,
    text_at,
    why_not_issued,
)
from handler.credentials.identity_requests import request_for
from handler.credentials.secret_content import BareToken, Content, Login, Password, Scope, is_token
from handler.credentials.stores.base import ask, body_of
from handler.errors import Failure, Misconfigured, TokenRejected, UpstreamUnavailable
from handler.invocation import CallContext
from handler.model.values import epoch, is_project, same_project
from handler.secret import Secret
from handler.settings import Settings
from handler.telemetry import Event

_HURRY = 3.0
"""Seconds that a question may take at most whose answer nobody needs to go on."""


class Token(NamedTuple):
    """A token, and what the identity service says of it; None where it doesn't.

    `project_id` is as that service spells it, `expires_at` in seconds since the epoch, `user` and `roles` are
    names. Of a `delegated` one (an application credential's, a trust's) no service can get another.
    """

    value: Secret
    project_id: str
    endpoints: Endpoints
    expires_at: float | None = None
    user: str | None = None
    roles: tuple[str, ...] | None = None
    catalog: Catalog | None = None
    delegated: bool = False


class Identity:
    """The identity service, asked under the deadline of the invocation that needs the answer."""

    def __init__(self, settings: Settings, transport: Transport, clock: Callable[[], float]) -> None:
        self._settings = settings
        self._transport = transport
        self._ending = Ending(SETTING, clock)
        self._looked: set[str] = set()

    def issue(self, login: Login, context: CallContext) -> Token:
        """Have a token issued. A refused password (TokenRejected) is never sent again: accounts lock."""
        if self._settings.identity_endpoint is None:
            raise Misconfigured(
                f"DETACH_IDENTITY_ENDPOINT is missing (or set DETACH_REGION): the secret that {SETTING} "
                "names is what a token is issued for there."
            )
        scope = self._scope_of(login) if isinstance(login, Password) else None
        request, secret = request_for(login, scope)
        call = Call(
            service="identity",
            method="POST",
            url=f"{self._settings.identity_endpoint}/auth/tokens",
            body=json.dumps(request).encode(),
            secrets=(secret.reveal(),),
        )
        answer = ask(self._transport, call, context)
        if answer.status not in {200, 201}:
            why = why_not_issued(answer, login)
            raise TokenRejected(why, upstream=said_by(answer)) if why else failed(answer)
        value = answer.headers.get("X-Subject-Token", "").strip()
        if not is_token(value):
            raise UpstreamUnavailable("The identity service issued something that is not a token.")
        described = described_in(answer)
        token = self._token(Secret(value), described, self._settings.project_id)
        require_asked(described, request["auth"])
        if token.expires_at is None:
            raise UpstreamUnavailable("The identity service issued a token without a time that can be read.")
        context.log.info(Event.TOKEN_BOUGHT, project_id=token.project_id, expires_at=described["expires_at"])
        if isinstance(login, Password):
            ends_at = epoch(text_at(described, "user", "password_expires_at"))
            self._ending.saw("password", ends_at, context.log)
        self._look_at_credential(token, described, context)
        return token

    def _look_at_credential(self, token: Token, described: dict[str, Any], context: CallContext) -> None:
        """Say when an application credential ends, which its token doesn't. Asked once."""
        id_, user = text_at(described, "application_credential", "id"), text_at(described, "user", "id")
        if id_ is None or user is None or id_ in self._looked:
            return
        below = f"users/{quote(user, safe='')}/application_credentials/{quote(id_, safe='')}"
        call = Call(
            service="identity",
            method="GET",
            url=f"{self._settings.identity_endpoint}/{below}",
            headers={"X-Auth-Token": token.value.reveal()},
            secrets=(token.value.reveal(),),
        )
        try:
            answer = ask(self._transport, call, context.separate(_HURRY))
        except Failure:
            return  # the next token's turn
        self._looked.add(id_)
        found = body_of(answer, "application_credential")
        if answer.status == 200 and text_at(found, "id") == id_:
            self._ending.saw("application_credential", epoch(text_at(found, "expires_at")), context.log)

    def look_up(self, value: Secret, project_id: str | None, context: CallContext) -> Token:
        """What a bare token is good for, by the token's own word.

        `project_id` is the project it should be of, where one is known. Where the identity service won't say,
        that is taken for true: the services themselves refuse a token of another project (recorded of Cinder
        and Nova: 400). Raises TokenRejected where the token is refused and no project is known.
        """
        answer = self._about(value, context)
        status = answer.status if answer is not None else None
        if answer is not None and status == 200:
            require_about(answer, value)
            return self._token(value, described_in(answer), project_id)
        if answer is not None and (status in {408, 429} or status not in range(400, 500)):
            raise failed(answer)
        if project_id is not None:
            context.log.warning(Event.TOKEN_UNVERIFIED, project_id=project_id, status=status)
            return Token(value, project_id, find_scopes_endpoints(self._settings, None, project_id))
        self._require_identity_for_project()
        if answer is not None and status == 401:
            raise TokenRejected(
                f"The identity service refuses the token. Check the secret that {SETTING} names.",
                upstream=said_by(answer),
            )
        raise Misconfigured(
            "DETACH_PROJECT_ID is missing, and the identity service doesn't say of which project the token "
            f"is (it answered {status}): set DETACH_PROJECT_ID."
        )

    def _about(self, value: Secret, context: CallContext) -> Answer | None:
        if self._settings.identity_endpoint is None:
            return None
        call = Call(
            service="identity",
            method="GET",
            url=f"{self._settings.identity_endpoint}/auth/tokens",
            headers={"X-Auth-Token": value.reveal(), "X-Subject-Token": value.reveal()},
        )
        return ask(self._transport, call, context)

    def require_project(self, content: Content) -> None:
        """Raise Misconfigured where no project can become known with this secret; asks nobody."""
        if isinstance(content, Password):
            self._scope_of(content)
        elif isinstance(content, BareToken) and self._settings.project_id is None:
            self._require_identity_for_project()

    def _scope_of(self, login: Password) -> Scope:
        if login.scope is not None:
            return login.scope
        if self._settings.project_id is None:
            raise Misconfigured(
                f'DETACH_PROJECT_ID is missing, and so is "project" in the secret that {SETTING} names '
                "(OS_PROJECT_ID or OS_PROJECT_NAME with openstack:): a token is issued for one project."
            )
        return Scope(id=self._settings.project_id)

    def _require_identity_for_project(self) -> None:
        if self._settings.identity_endpoint is None:
            raise Misconfigured(
                "DETACH_PROJECT_ID is missing. (Or set DETACH_IDENTITY_ENDPOINT, to look up the token's.)"
            )

    def _token(self, value: Secret, described: dict[str, Any], project_id: str | None) -> Token:
        """A described token, if all of it fits the settings; else Misconfigured."""
        own = text_at(described, "project", "id")
        if own is None:
            raise Misconfigured(
                f"The token is of no project: the secret that {SETTING} names must give one of a project."
            )
        if not is_project(own):
            raise UpstreamUnavailable("The identity service gives a project id that is not valid.")
        if project_id is not None and not same_project(own, project_id):
            raise Misconfigured(
                f"The token is of project {own}, which is not the configured one: check "
                f"DETACH_PROJECT_ID and the secret that {SETTING} names."
            )
        catalog = read_catalog(described.get("catalog"))
        return Token(
            value,
            own,
            find_scopes_endpoints(self._settings, catalog, own),
            expires_at=epoch(text_at(described, "expires_at")),
            user=text_at(described, "user", "name"),
            roles=role_names(described.get("roles")),
            catalog=catalog,
            delegated=delegated(described),
        )
