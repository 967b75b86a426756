"""A secret is cut out of what a cloud says, in whatever spelling it comes back."""

from __future__ import annotations

import base64
import html
import json
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handler.cloud.faults import failure, read_fault
from handler.cloud.messages import Answer
from handler.cloud.redaction import MARK, holds, redact

SECRETS = [
    "gAAAAABk-planted_token",
    "pa\"ss\\word 'with' <all> & %41/+?=",
    "pässwörd-мир-秘密",
    "tab\tand\nline",
    "MIIE+slash/and+plus==",
]


def _small(escaped: str) -> str:
    """The same with small letters in its %xx."""
    parts = escaped.split("%")
    return parts[0] + "".join(f"%{part[:2].lower()}{part[2:]}" for part in parts[1:])


def _json(text: str) -> str:
    return json.dumps(text)[1:-1]


def _spellings(secret: str) -> dict[str, str]:
    return {
        "raw": secret,
        "url": quote(secret, safe=""),
        "url with slashes": quote(secret),
        "url in small letters": _small(quote(secret, safe="")),
        "form": quote_plus(secret),
        "form in small letters": _small(quote_plus(secret)),
        "json": _json(secret),
        "json in letters": json.dumps(secret, ensure_ascii=False)[1:-1],
        "json with escaped slashes": _json(secret).replace("/", "\\/"),
        "json in json": _json(_json(secret)),
        "json in a url": quote(_json(secret), safe=""),
        "url in a url": quote(quote(secret, safe=""), safe=""),
        "html": html.escape(secret),
        "html without quotes": html.escape(secret, quote=False),
        "html as others write it": html.escape(secret).replace("&#x27;", "&#39;"),
        "xml": html.escape(secret).replace("&#x27;", "&apos;"),
        "json in html": html.escape(_json(secret)),
        "repr": repr(secret)[1:-1],
        "ascii": ascii(secret)[1:-1],
        "repr of bytes": repr(secret.encode())[2:-1],
    }


_ALL = [(secret, name) for secret in SECRETS for name in _spellings(secret)]


@pytest.mark.parametrize(("secret", "name"), _ALL, ids=[f"{name} {n}" for n, (_, name) in enumerate(_ALL)])
def test_every_spelling_is_cut_out(secret: str, name: str) -> None:
    spelling = _spellings(secret)[name]

    assert redact(f"before {spelling} after {spelling}.", (secret,)) == f"before {MARK} after {MARK}."
    assert holds(f"x{spelling}x", (secret,))


@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
@pytest.mark.parametrize("before", ["", "x", "ab", "user:", "a longer name:"])
@pytest.mark.parametrize("after", ["", "y", "yz", " and more"])
@pytest.mark.parametrize("secret", SECRETS)
def test_base64_is_cut_out_wherever_in_it_the_secret_stood(
    secret: str, after: str, before: str, encode: object
) -> None:
    code = base64.b64encode if encode is base64.b64encode else base64.urlsafe_b64encode
    spelt = code(f"{before}{secret}{after}".encode()).decode()

    left = redact(spelt, (secret,))

    assert MARK in left
    # What stays are a few letters at both ends, which hold at most two bytes of the secret each
    outside = len(code(before.encode())) + len(code(after.encode())) + 8
    assert len(left) - len(MARK) <= outside


def test_several_secrets_are_cut_out_and_an_empty_one_is_none() -> None:
    assert redact("one two three", ("two", "", "one")) == f"{MARK} {MARK} three"
    assert redact("nothing of it", ()) == "nothing of it"
    assert not holds("anything", ("",))


def test_a_secret_at_the_place_where_a_message_is_cut_leaves_no_half() -> None:
    secret = "planted-" + "s" * 2000
    for lead in range(0, 1300, 13):
        body = json.dumps({"code": "E", "message": "x" * lead + " " + secret}).encode()
        assert "planted" not in str(read_fault(Answer(400, {}, body, None, (secret,))))


def test_nothing_of_the_cloud_makes_a_failure_long() -> None:
    body = json.dumps({"e" * 9000: {"code": "C" * 9000, "message": "m" * 9000, "request_id": "r" * 9000}})

    failed = failure(Answer(400, {}, body.encode(), None), "volume")

    assert failed.upstream is not None
    assert len(failed.message) < 400
    assert len(failed.upstream.code or "") <= 80
    assert len(failed.upstream.message or "") <= 300


@given(st.text(min_size=12, max_size=40), st.text(max_size=40))
def test_whatever_the_secret_it_does_not_come_out(secret: str, around: str) -> None:
    for spelling in (secret, quote(secret, safe="", errors="replace"), _json(secret), html.escape(secret)):
        assert spelling not in redact(f"{around}{spelling}{around}", (secret,))
