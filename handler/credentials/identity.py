"""Speaks to the identity service: buys a token, or asks what a bare token is good for.

Keystone v3 and Huawei Cloud's IAM ("Obtaining a User Token") speak alike. The catalog is never left out of
the answer, since it tells whether the endpoints belong together.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from handler.cloud.faults import failure, upstream
from handler.cloud.messages import Answer, Call
from handler.cloud.transport import Transport
from handler.credentials.catalog import check_regions
from handler.credentials.secret import ApplicationCredential, Password, is_token
from handler.credentials.stores.base import ask, body_of
from handler.errors import Misconfigured, TokenRejected, UpstreamUnavailable
from handler.invocation import CallContext
from handler.model.values import epoch, is_project, project_uuid, same_project
from handler.secret import Secret
from handler.settings import Settings
from handler.telemetry import Event

SETTING = "DETACH_TOKEN_SECRET"
"""The setting that names the secret; errors say where to look."""


class Token(NamedTuple):
    """A token and the project it is of, as the identity service spells it.

    `expires_at` is in seconds since the epoch, None where it is not known.
    """

    value: Secret
    project_id: str
    expires_at: float | None = None


class Identity:
    """The identity service, asked under the deadline of the invocation that needs the answer."""

    def __init__(self, settings: Settings, transport: Transport) -> None:
        self._settings = settings
        self._transport = transport

    def buy(self, buyer: Password | ApplicationCredential, context: CallContext) -> Token:
        """Buy a token. A refused password (TokenRejected) is never sent again: accounts lock."""
        if self._settings.identity_endpoint is None:
            raise Misconfigured(
                f"DETACH_IDENTITY_ENDPOINT is missing (or set DETACH_REGION): the secret that {SETTING} "
                "names buys tokens there."
            )
        request, secret = self._order(buyer)
        call = Call(
            service="identity",
            method="POST",
            url=f"{self._settings.identity_endpoint}/auth/tokens",
            body=json.dumps(request).encode(),
            secrets=(secret.reveal(),),
        )
        answer = ask(self._transport, call, context)
        if answer.status == 401:
            said = upstream(answer)
            quoted = f" ({said.message})" if said.message else ""
            raise TokenRejected(
                f"The identity service refuses to sell a token{quoted}. Check user, password, domain and "
                f"project in the secret that {SETTING} names, and whether the account is locked or disabled.",
                upstream=said,
            )
        if answer.status not in {200, 201}:
            raise failure(answer, "identity")
        value = answer.headers.get("X-Subject-Token", "").strip()
        if not is_token(value):
            raise UpstreamUnavailable("The identity service sold something that is no token.")
        described = _described(answer)
        token = Token(
            Secret(value),
            self._judged(described, self._settings.project_id),
            _moment(described),
        )
        context.log.info(Event.TOKEN_BOUGHT, project_id=token.project_id, expires_at=described["expires_at"])
        return token

    def look_up(self, value: Secret, project_id: str | None, context: CallContext) -> Token:
        """What a bare token is good for, by the token's own word.

        `project_id` is the project it should be of, where one is known. Where the identity service won't say,
        that is taken for true: the services themselves refuse a token of another project (recorded of Cinder
        and Nova: 400). Raises TokenRejected where the token is refused and no project is known.
        """
        answer = self._about(value, context)
        if answer is not None and answer.status == 200:
            return Token(value, self._judged(_described(answer), project_id))
        if answer is not None and (answer.status in {408, 429} or answer.status not in range(400, 500)):
            raise failure(answer, "identity")
        if project_id is not None:
            status = answer.status if answer is not None else None
            context.log.warning(Event.TOKEN_UNVERIFIED, project_id=project_id, status=status)
            return Token(value, project_id)
        if answer is None:
            raise Misconfigured(
                "DETACH_PROJECT_ID is missing. (Or set DETACH_IDENTITY_ENDPOINT, to look up the token's.)"
            )
        if answer.status == 401:
            raise TokenRejected(
                f"The identity service refuses the token. Check the secret that {SETTING} names.",
                upstream=upstream(answer),
            )
        raise Misconfigured(
            "DETACH_PROJECT_ID is missing, and the identity service doesn't say of which project the token "
            f"is (it answered {answer.status}): set DETACH_PROJECT_ID."
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

    def _order(self, buyer: Password | ApplicationCredential) -> tuple[dict[str, Any], Secret]:
        if isinstance(buyer, ApplicationCredential):
            credential = {"id": buyer.id, "secret": buyer.secret.reveal()}
            identity = {"methods": ["application_credential"], "application_credential": credential}
            return {"auth": {"identity": identity}}, buyer.secret
        user = {"name": buyer.username, "password": buyer.password.reveal(), "domain": {"name": buyer.domain}}
        identity = {"methods": ["password"], "password": {"user": user}}
        project = buyer.project or self._settings.project_id
        if project is None:
            raise Misconfigured(
                f'DETACH_PROJECT_ID is missing, and so is "project" in the secret that {SETTING} names: '
                "a token is bought for one project."
            )
        scope: dict[str, Any] = {"id": project}
        if project_uuid(project) is None:
            scope = {"name": project, "domain": {"name": buyer.project_domain or buyer.domain}}
        return {"auth": {"identity": identity, "scope": {"project": scope}}}, buyer.password

    def _judged(self, described: dict[str, Any], project_id: str | None) -> str:
        """The project of a described token, if all of it fits the settings; else Misconfigured."""
        project = described.get("project")
        own = project.get("id") if isinstance(project, dict) else None
        if not isinstance(own, str):
            raise Misconfigured(
                f"The token is of no project: the secret that {SETTING} names must give one of a project."
            )
        if not is_project(own):
            raise UpstreamUnavailable("The identity service gives a project id that is none.")
        if project_id is not None and not same_project(own, project_id):
            raise Misconfigured(
                f"The token is of project {own}, which is not the configured one: check "
                f"DETACH_PROJECT_ID and the secret that {SETTING} names."
            )
        check_regions(described.get("catalog"), self._settings)
        return own


def _described(answer: Answer) -> dict[str, Any]:
    described = body_of(answer, "token")
    if not described:
        raise UpstreamUnavailable("The identity service sent an answer that can't be read.")
    return described


def _moment(described: dict[str, Any]) -> float:
    """`expires_at` in seconds since the epoch."""
    moment = epoch(described.get("expires_at"))
    if moment is None:
        raise UpstreamUnavailable("The identity service sold a token without a time that can be read.")
    return moment
