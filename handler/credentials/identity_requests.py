"""What is sent to the identity service to have a token issued.

Facts: Identity API v3, "Password authentication", "Token authentication", "Authenticating with an Application
Credential".
"""

from __future__ import annotations

from typing import Any

from handler.credentials.secret_content import ApplicationCredential, Login, Password, Scope, User
from handler.secret import Secret


def request_for(login: Login, scope: Scope | None) -> tuple[dict[str, Any], Secret]:
    """The request's body, and the secret in it. `scope` is the project that a password is used for."""
    if isinstance(login, ApplicationCredential):
        credential = {"id": login.id} if login.id else {"name": login.name, "user": _user(login.user)}
        return _auth("application_credential", {**credential, "secret": login.secret.reveal()}), login.secret
    if isinstance(login, Password):
        user = {**_user(login.user), "password": login.password.reveal()}
        return _auth("password", {"user": user}, _scope(scope, login.user)), login.password
    return _auth("token", {"id": login.token.reveal()}, _scope(login.scope)), login.token


def _auth(method: str, part: dict[str, Any], scope: dict[str, Any] | None = None) -> dict[str, Any]:
    identity = {"methods": [method], method: part}
    return {"auth": {"identity": identity} if scope is None else {"identity": identity, "scope": scope}}


def _user(user: User | None) -> dict[str, Any]:
    if user is None or user.id is not None:
        return {"id": user.id} if user else {}
    return {"name": user.name, "domain": _domain(user.domain, user.domain_id)}


def _domain(name: str | None, domain_id: str | None) -> dict[str, Any]:
    return {"id": domain_id} if domain_id is not None else {"name": name}


def _scope(scope: Scope | None, user: User | None = None) -> dict[str, Any] | None:
    if scope is None:
        return None
    if scope.id is not None:
        return {"project": {"id": scope.id}}
    owner: Scope | User = scope
    if scope.domain is None and scope.domain_id is None and user is not None:
        owner = user
    return {"project": {"name": scope.name, "domain": _domain(owner.domain, owner.domain_id)}}
