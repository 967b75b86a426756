"""What a secret's text can be: a bare token, or JSON that holds one or buys one."""

from __future__ import annotations

import base64
import codecs
from typing import Any, NamedTuple

from handler.errors import Misconfigured
from handler.model.bounded_json import loads
from handler.secret import Secret

_LONGEST_TOKEN = 16384
_MOST_ENCODED = 3
_STANDARD_ALPHABET = str.maketrans("-_", "+/")
_UTF16_MARKS = frozenset({codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE})
_FORMS = (
    'a bare token, {"token"}, {"username", "password", "domain"} with "project" and "project_domain" if '
    'needed, or {"application_credential_id", "application_credential_secret"}; every value a text'
)


class BareToken(NamedTuple):
    """A token that somebody else bought."""

    token: Secret


class Password(NamedTuple):
    """A user who buys tokens. `domain` and `project_domain` are names, `project` a name or an id."""

    username: str
    password: Secret
    domain: str
    project: str | None = None
    project_domain: str | None = None


class ApplicationCredential(NamedTuple):
    """A Keystone application credential, which is bound to a project of its own."""

    id: str
    secret: Secret


Content = BareToken | Password | ApplicationCredential


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


def _from_object(body: dict[str, Any], setting: str) -> Content | None:
    if not all(isinstance(value, str) and value and is_text(value) for value in body.values()):
        return None
    keys = body.keys()
    if keys == {"token"}:
        require_plain(body["token"], setting)
        return BareToken(as_token(body["token"].strip(), f"The token that {setting} names"))
    if {"username", "password", "domain"} <= keys <= _PASSWORD_KEYS:
        return Password(**{**body, "password": Secret(body["password"])})
    if keys == {"application_credential_id", "application_credential_secret"}:
        return ApplicationCredential(
            body["application_credential_id"], Secret(body["application_credential_secret"])
        )
    return None


_PASSWORD_KEYS = frozenset({"username", "password", "domain", "project", "project_domain"})


def parse_json(text: str | bytes) -> Any:
    """The JSON value, None for what is none: the decoder's own error carries the whole text."""
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
