"""What the identity service's answers say, and whether they are about what was asked.

It was sent a password or a token: nothing of what it says is quoted but its code.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from handler.cloud.faults import failure, upstream
from handler.cloud.messages import Answer
from handler.cloud.redaction import holds
from handler.credentials.secret_content import ApplicationCredential, Login, Password, TokenExchange
from handler.credentials.stores.base import body_of
from handler.errors import Failure, Upstream, UpstreamUnavailable
from handler.model.values import same_project
from handler.secret import Secret

SETTING = "DETACH_TOKEN_SECRET"
"""The setting that names the secret; errors say where to look."""

_CODE = re.compile(r"\d{1,6}|[A-Za-z]{2,16}[._-]\d{1,6}")
_METHOD = re.compile(r"[a-z][a-z0-9_]{0,31}")


def described_in(answer: Answer) -> dict[str, Any]:
    """The token that an answer describes. Raises UpstreamUnavailable for one that describes none."""
    described = body_of(answer, "token")
    if not described:
        raise UpstreamUnavailable("The identity service sent an answer that can't be read.")
    return described


def text_at(described: object, *path: str) -> str | None:
    """The text that lies there, None where there is none."""
    found: Any = described
    for name in path:
        found = found.get(name) if isinstance(found, dict) else None
    return found if isinstance(found, str) and found else None


def role_names(roles: object) -> tuple[str, ...] | None:
    """The roles' names, None where not each of them is known."""
    if not isinstance(roles, list):
        return None
    names = [text_at(role, "name") for role in roles]
    return tuple(filter(None, names)) if all(names) else None


def require_about(answer: Answer, value: Secret) -> None:
    """Raise UpstreamUnavailable for a look-up's answer that does not name the token asked about."""
    if Secret(answer.headers.get("X-Subject-Token", "").strip()) != value:
        raise UpstreamUnavailable(
            "The identity service's answer does not name the token that it was asked about, so nothing is "
            "known by it."
        )


def require_asked(described: dict[str, Any], asked: dict[str, Any]) -> None:
    """Raise UpstreamUnavailable for the description of a token that nobody asked for."""
    for what, wanted, came in _pairs(described, asked):
        # Names are compared without case, as Keystone's database does
        if came is not None and not same_project(wanted, came) and wanted.casefold() != came.casefold():
            raise UpstreamUnavailable(
                f"The identity service issued a token of another {what} than was asked."
            )


def _pairs(described: dict[str, Any], asked: dict[str, Any]) -> Iterator[tuple[str, str, str | None]]:
    """What was asked for beside what came. None may come for what not every service tells."""
    for name in ("id", "name"):
        wanted = text_at(asked, "scope", "project", name)
        if wanted is not None:
            yield "project", wanted, text_at(described, "project", name) or ""
        for what, path, where in _TOLD:
            wanted = text_at(asked, *path, name)
            if wanted is not None:
                yield what, wanted, text_at(described, *where, name)


_TOLD = (
    ("domain", ("scope", "project", "domain"), ("project", "domain")),
    ("user", ("identity", "password", "user"), ("user",)),
    ("user's domain", ("identity", "password", "user", "domain"), ("user", "domain")),
    ("application credential", ("identity", "application_credential"), ("application_credential",)),
)


def delegated(described: dict[str, Any]) -> bool:
    """Whether it is an application credential's or a trust's: recorded of Keystone, by these keys."""
    return not described.keys().isdisjoint({"application_credential", "OS-TRUST:trust"})


def said_by(answer: Answer) -> Upstream:
    """Status, code and request id: no word of a service that was sent a secret."""
    said = upstream(answer)
    code = said.code if said.code and _CODE.fullmatch(said.code) else None
    return replace(said, code=code, message=None)


def failed(answer: Answer) -> Failure:
    """The failure that an answer means, without the service's own words."""
    said = said_by(answer)
    told = json.dumps({"error": {"code": said.code, "message": ""}})
    fault = failure(answer._replace(body=told.encode()), "identity")
    fault.upstream = said
    return fault


def why_not_issued(answer: Answer, login: Login) -> str | None:
    """What it means that no token was issued, None where the login is not at fault.

    A 401 with a receipt asks for more (Keystone, "Multi-Factor Auth"). A 404 in Keystone's own words, and a
    403, are about an application credential or a token (recorded).
    """
    where = f"in the secret that {SETTING} names"
    own_words = bool(body_of(answer, "error"))
    if answer.status == 401:
        missing = _missing_factors(answer)
        if missing is not None:
            factors = " or ".join(missing) or "a further factor"
            return (
                f"The identity service took the password but asks for {factors}, too, which a program has "
                f"not: use an application credential, or a user without it, {where}."
            )
        if isinstance(login, Password):
            return (
                "The identity service refuses to issue a token. Check user, password, domain and project "
                f"{where}, and whether the account is locked or disabled."
            )
    if answer.status == 401 or (answer.status == 404 and own_words and not isinstance(login, Password)):
        what = "application credential" if isinstance(login, ApplicationCredential) else "token"
        return (
            f"The identity service refuses to issue a token: the {what} {where} is wrong, unknown, expired "
            "or revoked."
        )
    if answer.status == 403 and own_words and isinstance(login, TokenExchange):
        return (
            f"The identity service issues no token for the one {where}: it is delegated, or its user has no "
            "role on that project. Leave the project out to use it as it is."
        )
    return None


def _missing_factors(answer: Answer) -> list[str] | None:
    """The methods that a receipt still asks for; None where the answer is no receipt."""
    if "Openstack-Auth-Receipt" not in answer.headers and "receipt" not in body_of(answer):
        return None
    body = body_of(answer)
    done = body_of(answer, "receipt").get("methods")
    done = done if isinstance(done, list) else ["password"]
    rules = body.get("required_auth_methods")
    names = (
        [name for rule in rules if isinstance(rule, list) for name in rule] if isinstance(rules, list) else []
    )
    fit = [name for name in names if isinstance(name, str) and _METHOD.fullmatch(name) and name not in done]
    told = [
        name
        for name in dict.fromkeys(fit)
        if not holds(name, answer.secrets) and not any(name in secret for secret in answer.secrets)
    ]
    return told[:4]
