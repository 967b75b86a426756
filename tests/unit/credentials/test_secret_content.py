"""What the text of a secret can be."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from handler.credentials.secret_content import (
    ApplicationCredential,
    BareToken,
    Password,
    Scope,
    TokenExchange,
    User,
    read_content,
)
from handler.errors import Misconfigured
from handler.secret import Secret

HIDDEN = "h1dden"


def read(text: str) -> Any:
    return read_content(Secret(text), "DETACH_TOKEN_SECRET")


def test_a_text_that_is_no_json_is_a_token() -> None:
    assert read("gAAAAAB-x_y=") == BareToken(Secret("gAAAAAB-x_y="))


def test_a_token_may_stand_in_an_object() -> None:
    assert read('{"token": " gAAAAAB\\n"}') == BareToken(Secret("gAAAAAB"))


def test_a_password_comes_with_its_domain_and_perhaps_a_project() -> None:
    least = {"username": "u", "password": " p ", "domain": "d"}
    assert read(json.dumps(least)) == Password(User("u", "d"), Secret(" p "))
    full = {**least, "project": "demo", "project_domain": "e"}
    assert read(json.dumps(full)) == Password(User("u", "d"), Secret(" p "), Scope("demo", "e"))


ID = "0123456789abcdef0123456789abcdef"


@pytest.mark.parametrize(
    ("who", "user"),
    [
        ({"user_id": "i"}, User(id="i")),
        ({"username": "u", "domain": "d"}, User("u", "d")),
        ({"username": "u", "domain_id": "i"}, User("u", domain_id="i")),
    ],
)
@pytest.mark.parametrize(
    ("what", "scope"),
    [
        ({}, None),
        ({"project": ID}, Scope(id=ID)),
        ({"project_id": "p"}, Scope(id="p")),
        ({"project_name": ID, "project_domain": "d"}, Scope(ID, "d")),
        ({"project": "demo", "project_domain_id": "i"}, Scope("demo", domain_id="i")),
        ({"project_domain": "d"}, None),
    ],
)
def test_users_projects_and_domains_are_named_by_id_or_by_name(
    who: dict[str, str], user: User, what: dict[str, str], scope: Scope | None
) -> None:
    assert read(json.dumps({**who, **what, "password": "p"})) == Password(user, Secret("p"), scope)


def test_an_application_credential_is_an_id_and_a_secret() -> None:
    text = '{"application_credential_id": "i", "application_credential_secret": "s"}'
    assert read(text) == ApplicationCredential(Secret("s"), id="i")


@pytest.mark.parametrize(
    ("who", "user"),
    [({"user_id": "i"}, User(id="i")), ({"username": "u", "domain_id": "d"}, User("u", domain_id="d"))],
)
def test_an_application_credential_may_be_named_with_its_user(who: dict[str, str], user: User) -> None:
    body = {"application_credential_name": "n", "application_credential_secret": "s", **who}
    assert read(json.dumps(body)) == ApplicationCredential(Secret("s"), name="n", user=user)


@pytest.mark.parametrize(
    ("what", "scope"),
    [
        ({"project": ID}, Scope(id=ID)),
        ({"project_name": "demo", "project_domain_id": "d"}, Scope("demo", domain_id="d")),
    ],
)
def test_a_token_beside_a_project_is_exchanged(what: dict[str, str], scope: Scope) -> None:
    assert read(json.dumps({"token": "t", **what})) == TokenExchange(Secret("t"), scope)


def test_a_token_of_sixteen_kilobytes_is_taken_and_a_longer_one_is_not() -> None:
    assert read("a" * 16384) == BareToken(Secret("a" * 16384))
    with pytest.raises(Misconfigured, match="at most 16384 characters"):
        read("a" * 16385)


@pytest.mark.parametrize(
    "text",
    [
        HIDDEN + " two words",
        HIDDEN + "\r\nX-Other: header",
        HIDDEN + "\x00",
        HIDDEN + "é",
        '{"token": "' + HIDDEN + ' two"}',
    ],
)
def test_a_token_that_cannot_stand_in_a_header_is_not_sent(text: str) -> None:
    with pytest.raises(Misconfigured, match="is not a token: printable ASCII") as caught:
        read(text)
    assert HIDDEN not in caught.value.message


SECRET = {"username": "u", "password": HIDDEN, "domain": "d"}


def encoded(text: str, times: int = 1) -> str:
    for _ in range(times):
        text = base64.b64encode(text.encode()).decode()
    return text


@pytest.mark.parametrize(
    "text",
    [
        encoded(json.dumps(SECRET)),
        encoded(json.dumps(SECRET, indent=2) + "\n"),
        encoded(json.dumps(SECRET)).rstrip("="),
        encoded(json.dumps(SECRET), times=2),
        encoded(json.dumps(SECRET), times=3),
        base64.urlsafe_b64encode(
            json.dumps({**SECRET, "domain": "?>~ÿ"}, ensure_ascii=False).encode()
        ).decode(),
        base64.encodebytes(json.dumps({**SECRET, "project": "p" * 64}).encode()).decode(),
        encoded(f'["{HIDDEN}"]'),
        encoded("{}"),
        encoded(json.dumps(json.dumps(SECRET))),
        encoded("\ufeff" + json.dumps(SECRET)),
        base64.b64encode(json.dumps(SECRET).encode("utf-16")).decode(),
        json.dumps({"token": encoded(json.dumps(SECRET))}),
    ],
)
def test_json_that_was_encoded_twice_is_said_by_name_and_is_no_token(text: str) -> None:
    with pytest.raises(Misconfigured, match="DETACH_TOKEN_SECRET names is base64 of JSON") as caught:
        read(text)
    assert HIDDEN not in caught.value.message
    assert text not in caught.value.message


@pytest.mark.parametrize(
    "text",
    [
        encoded("a token that is no JSON, only encoded"),
        encoded('"a text"'),
        encoded("5"),
        "MIIRtwYJKoZI" + "hvcNAQcCoIIRqDCCEaQCAQExDTALBglghkgBZQMEAgEw",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmVk",
        "gAAAAABnSmQtZm9ybWF0LWlzLW5vdC1qc29u",
    ],
)
def test_a_token_that_happens_to_be_base64_is_one(text: str) -> None:
    assert read(text) == BareToken(Secret(text))


@pytest.mark.parametrize(
    "body",
    [
        "{",
        '"' + HIDDEN + '"',
        '["' + HIDDEN + '"]',
        "[" * 100_000,
        "{}",
        {"token": HIDDEN, HIDDEN: "x"},
        {"token": ""},
        {"token": 5},
        {"token": None},
        {"Token": HIDDEN},
        {"username": "u", "password": HIDDEN},
        {"username": "u", "password": HIDDEN, "domain": {"name": "d"}},
        {"username": "u", "password": HIDDEN, "domain": "d", "project": None},
        {"username": "u", "password": HIDDEN, "domain": "d", "region": "r"},
        {"username": "u", "password": HIDDEN, "domain": "d", "token": "t"},
        {"username": "u", "password": "\ud800" + HIDDEN, "domain": "d"},
        {"user_id": HIDDEN, "domain": "d", "password": HIDDEN},
        {"user_id": HIDDEN, "username": "u", "password": HIDDEN},
        {"username": "u", "domain": "d", "domain_id": "i", "password": HIDDEN},
        {"user_id": "i", "password": HIDDEN, "project_name": "of no domain"},
        {"user_id": "i", "password": HIDDEN, "project": "a", "project_id": "b"},
        {"user_id": "i", "password": HIDDEN, "project": "a", "project_domain": "b", "project_domain_id": "c"},
        {"token": HIDDEN, "project": "of no domain"},
        {"token": HIDDEN, "project_domain": "d"},
        {"application_credential_id": HIDDEN},
        {"application_credential_name": "n", "application_credential_secret": HIDDEN},
        {"application_credential_name": "n", "application_credential_secret": HIDDEN, "username": "u"},
        {
            "application_credential_id": "i",
            "application_credential_secret": HIDDEN,
            "project": "has its own",
        },
    ],
)
def test_any_other_content_names_the_forms_and_shows_nothing(body: Any) -> None:
    with pytest.raises(Misconfigured, match="must be a bare token") as caught:
        read(body if isinstance(body, str) else json.dumps(body))
    assert '"application_credential_secret"' in caught.value.message
    assert "DETACH_TOKEN_SECRET" in caught.value.message
    assert HIDDEN not in caught.value.message
    assert caught.value.__context__ is None
