"""What a secret's text can be: a bare token, or JSON that holds one or what one is issued for."""

from __future__ import annotations

import base64
import codecs
from typing import Any, NamedTuple

from handler.errors import Misconfigured
from handler.model.bounded_json import loads
from handler.model.values import project_uuid
from handler.secret import Secret

_LONGEST_TOKEN = 16384
_MOST_ENCODED = 3
_STANDARD_ALPHABET = str.maketrans("-_", "+/")
_UTF16_MARKS = frozenset({codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE})
_FORMS = (
    'a bare token, {"token"}, {"username", "password", "domain"} with "project" and "project_domain" if '
    'needed, or {"application_credential_id", "application_credential_secret"}; every value a text (for '
    'OpenStack also "user_id", "domain_id", "project_id", "project_name", "project_domain_id", '
    '"application_credential_name" with a user, and a project beside "token" to exchange it for one of that '
    "project)"
)


class BareToken(NamedTuple):
    """A token that was issued to somebody else."""

    token: Secret


class User(NamedTuple):
    """A user, by id, or by name and the name or id of its domain."""

    name: str | None = None
    domain: str | None = None
    id: str | None = None
    domain_id: str | None = None


class Scope(NamedTuple):
    """The project that a token is for, by id, or by name. Without a domain it is of the user's."""

    name: str | None = None
    domain: str | None = None
    id: str | None = None
    domain_id: str | None = None


class Password(NamedTuple):
    """A user whom tokens are issued to."""

    user: User
    password: Secret
    scope: Scope | None = None


class ApplicationCredential(NamedTuple):
    """A Keystone application credential, by id, or by name and its user. It has a project of its own."""

    secret: Secret
    id: str | None = None
    name: str | None = None
    user: User | None = None


class TokenExchange(NamedTuple):
    """A token that another one is issued for, of this project."""

    token: Secret
    scope: Scope


Login = Password | ApplicationCredential | TokenExchange
Content = BareToken | Login


def read_content(text: Secret, setting: str) -> Content:
    """Read the text of the secret that a setting names. Raises Misconfigured, which never shows any of it."""
    value = text.reveal()
    require_plain(value, setting)
    if value[:1] not in {"{", "[", '"'}:
        return BareToken(as_token(value, f"The token that {setting} names"))
    body = parse_json(value)
    content = _from_object(body, setting) if isinstance(body, dict) else None
    if content is None:
        raise Misconfigured(f"The content of the secret that {setting} names must be {_FORMS}.")
    return content


_PROJECT_KEYS = frozenset({"project", "project_id", "project_name"})
_SCOPE_KEYS = _PROJECT_KEYS | {"project_domain", "project_domain_id"}
_USER_KEYS = (
    frozenset({"user_id"}),
    frozenset({"username", "domain"}),
    frozenset({"username", "domain_id"}),
)
_TOKEN, _PASSWORD = frozenset({"token"}), frozenset({"password"})
_BY_ID = frozenset({"application_credential_id", "application_credential_secret"})
_BY_NAME = frozenset({"application_credential_name", "application_credential_secret"})


def _from_object(body: dict[str, Any], setting: str) -> Content | None:
    if not all(isinstance(value, str) and value and is_text(value) for value in body.values()):
        return None
    keys = body.keys()
    if keys == _TOKEN:
        return BareToken(_token(body, setting))
    if keys == _BY_ID:
        return ApplicationCredential(
            Secret(body["application_credential_secret"]), id=body["application_credential_id"]
        )
    if len(keys & _PROJECT_KEYS) > 1 or keys >= {"project_domain", "project_domain_id"}:
        return None
    others, scope = keys - _SCOPE_KEYS, _scope(body)
    if others == _TOKEN and scope is not None and (scope.id or scope.domain or scope.domain_id):
        return TokenExchange(_token(body, setting), scope)
    if others - _PASSWORD in _USER_KEYS and "password" in keys:
        of_no_domain = scope is not None and scope.id is None and not (scope.domain or scope.domain_id)
        if "user_id" in keys and of_no_domain:
            return None
        return Password(_user(body), Secret(body["password"]), scope)
    if keys - _BY_NAME in _USER_KEYS and keys >= _BY_NAME:
        return ApplicationCredential(
            Secret(body["application_credential_secret"]),
            name=body["application_credential_name"],
            user=_user(body),
        )
    return None


def _token(body: dict[str, str], setting: str) -> Secret:
    require_plain(body["token"], setting)
    return as_token(body["token"].strip(), f"The token that {setting} names")


def _user(body: dict[str, str]) -> User:
    return User(body.get("username"), body.get("domain"), body.get("user_id"), body.get("domain_id"))


def _scope(body: dict[str, str]) -> Scope | None:
    """The project that is named: under "project" by its name or id, whichever it looks like."""
    either = body.get("project")
    by_id = either is not None and project_uuid(either) is not None
    project_id = either if by_id else body.get("project_id")
    name = body.get("project_name") if either is None or by_id else either
    if project_id is None and name is None:
        return None
    return Scope(name, body.get("project_domain"), project_id, body.get("project_domain_id"))


def parse_json(text: str | bytes) -> Any:
    """The JSON value, None for what is not valid: the decoder's own error carries the whole text."""
    try:
        return loads(text)
    except ValueError:
        return None


def require_plain(value: str, setting: str) -> None:
    """Raise Misconfigured for a secret that was encoded once too often: it would be sent as a token."""
    for _ in range(_MOST_ENCODED):
        decoded = _decoded(value)
        if decoded is None:
            return
        held = parse_json(decoded)
        if isinstance(held, str):  # JSON as the text of a JSON value
            decoded, held = held, parse_json(held)
        if isinstance(held, (dict, list)):
            raise Misconfigured(
                f"The content of the secret that {setting} names is base64 of JSON: encoded once too often. "
                "Store the JSON itself (in a Kubernetes Secret under stringData, or under data encoded once)."
            )
        value = decoded


def _decoded(value: str) -> str | None:
    """The text that base64 of either alphabet stands for, padded or not, in lines or not; None where none."""
    packed = "".join(value.split()).rstrip("=").translate(_STANDARD_ALPHABET)
    try:
        plain = base64.b64decode(packed + "=" * (-len(packed) % 4), validate=True)
        # Windows' tools write UTF-16 unasked, with a mark at its beginning
        return plain.decode("utf-16" if plain[:2] in _UTF16_MARKS else "utf-8-sig").strip()
    except ValueError:
        return None


def is_text(value: str) -> bool:
    """Whether a text can be sent and compared: bytes that are no UTF-8 come as lone surrogates."""
    return value.encode(errors="ignore").decode() == value


def is_token(value: str) -> bool:
    """Whether a token can stand in a header: printable ASCII without spaces, of bounded length."""
    return 0 < len(value) <= _LONGEST_TOKEN and value.isascii() and value.isprintable() and " " not in value


def as_token(value: str, what: str) -> Secret:
    """A token that can stand in a header, else Misconfigured."""
    if not is_token(value):
        raise Misconfigured(
            f"{what} is not a token: printable ASCII without spaces, at most {_LONGEST_TOKEN} characters."
        )
    return Secret(value)
