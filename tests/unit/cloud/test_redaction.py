"""A text of the cloud is quoted only where no secret is in it, in whatever spelling that comes back."""

from __future__ import annotations

import base64
import html
import json
import random
import string
import textwrap
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handler.cloud.faults import failure, upstream
from handler.cloud.messages import Answer, shown_id
from handler.cloud.redaction import WITHHELD, holds, holds_digits, one_line, quoted

SECRETS = [
    "gAAAAABk-planted_token",
    "pa\"ss\\word 'with' <all> & %41/+?=",
    "pässwörd-мир-秘密",
    "tab\tand\nline",
    "MIIE+slash/and+plus==",
    "sh0rt",
]
LETTERS = string.ascii_letters + string.digits
TOKEN = "gAAAAABl-PLANTED_x+y/z=" + "".join(random.Random(4).choices(LETTERS + "-_", k=180)) + "-_END=="
LONG = "MIIE" + "".join(random.Random(5).choices(LETTERS + "+/", k=5000)) + "=="
"""As long as the vendor's are."""


def _small(escaped: str) -> str:
    """The same with small letters in its %xx."""
    parts = escaped.split("%")
    return parts[0] + "".join(f"%{part[:2].lower()}{part[2:]}" for part in parts[1:])


def _json(text: str) -> str:
    return json.dumps(text)[1:-1]


def _each(form: str) -> Callable[[str], str]:
    """What writes each letter so, by its number."""
    return lambda text: "".join(form.format(ord(letter)) for letter in text)


def _all_but_letters(form: str) -> Callable[[str], str]:
    return lambda text: "".join(each if each in LETTERS else form.format(ord(each)) for each in text)


def _joined(by: str, length: int) -> Callable[[str], str]:
    """What puts something between pieces of a text."""
    return lambda text: by.join(text[start : start + length] for start in range(0, len(text), length))


def _base64(before: str, encode: Callable[[bytes], bytes] = base64.b64encode) -> Callable[[str], str]:
    return lambda text: encode((before + text).encode()).decode()


WRITTEN: dict[str, Callable[[str], str]] = {
    "raw": str,
    "url": lambda text: quote(text, safe=""),
    "url with slashes": quote,
    "url in small letters": lambda text: _small(quote(text, safe="")),
    "form": quote_plus,
    "form in small letters": lambda text: _small(quote_plus(text)),
    "json": _json,
    "json in letters": lambda text: json.dumps(text, ensure_ascii=False)[1:-1],
    "json with escaped slashes": lambda text: _json(text).replace("/", "\\/"),
    "json in json": lambda text: _json(_json(text)),
    "json in a url": lambda text: quote(_json(text), safe=""),
    "url in a url": lambda text: quote(quote(text, safe=""), safe=""),
    "html": html.escape,
    "html without quotes": lambda text: html.escape(text, quote=False),
    "html as others write it": lambda text: html.escape(text).replace("&#x27;", "&#39;"),
    "xml": lambda text: html.escape(text).replace("&#x27;", "&apos;"),
    "json in html": lambda text: html.escape(_json(text)),
    "ascii": lambda text: ascii(text)[1:-1],
    "repr": lambda text: repr(text)[1:-1],
    "repr of bytes": lambda text: repr(text.encode())[2:-1],
    "base64": _base64(""),
    "base64 after one letter": _base64("x"),
    "base64 after two": _base64("ab"),
    "base64 after a name": _base64("a longer name:"),
    "base64 for urls": _base64("u:", base64.urlsafe_b64encode),
    "base64 in lines": _base64("y", base64.encodebytes),
    "base64 in base64": lambda text: _base64("x")(_base64("y")(text)),
    "base64 of a url": lambda text: _base64("")(quote(text, safe="")),
    "hexadecimal": lambda text: text.encode().hex(),
    "HEXADECIMAL": lambda text: text.encode().hex().upper(),
    "bytes": lambda text: text.encode().hex(" "),
    "bytes as C writes them": lambda text: ", ".join(f"0x{byte:02X}" for byte in text.encode()),
    "bytes in decimals": lambda text: str(list(text.encode())),
    "bytes as Go writes them": lambda text: str(list(text.encode())).replace(",", ""),
    "entities": _each("&#{};"),
    "entities without an end": _each("&#{}"),
    "hexadecimal entities": _each("&#x{:x};"),
    "entities in entities": lambda text: html.escape(html.escape(_each("&#x{:X};")(text))),
}
_ALL = [(secret, name) for secret in SECRETS for name in WRITTEN]
AROUND = [
    ("of letters", _all_but_letters("&#x{:x};")),
    ("of .NET", lambda text: text.replace("+", "&#x2B;")),
    ("of System.Text.Json", lambda text: text.replace("+", "\\u002B")),
    ("of Mustache", lambda text: text.replace("/", "&#x2F;").replace("=", "&#x3D;")),
    ("each by percent", _each("%{:02X}")),
    ("each by a unit", _each("\\u{:04x}")),
    ("each by a byte", _each("\\x{:02X}")),
    ("in lines", _joined("\n", 10)),
    ("with blanks", _joined(" \t", 3)),
    ("with <wbr>", _joined("<wbr>", 5)),
    ("with an escaped tag", _joined("&lt;br class=x /&gt;", 5)),
    ("with &shy;", _joined("&shy;", 5)),
    ("with soft hyphens", _joined("\u00ad", 1)),
    ("with zero-width blanks", _joined("\u200b", 4)),
    ("with \\n", _joined("\\n", 5)),
    ("with %0A", _joined("%0A", 5)),
    ("in small letters", str.lower),
    ("in capitals", str.upper),
    ("with quotes between", _joined('" + "', 12)),
    ("with backslashes", lambda text: text.replace("/", "\\\\/")),
]


@pytest.mark.parametrize(("secret", "name"), _ALL, ids=[f"{name} {n}" for n, (_, name) in enumerate(_ALL)])
def test_every_spelling_is_found(secret: str, name: str) -> None:
    text = f"before {WRITTEN[name](secret)} after"

    assert holds(text, ("another-secret", secret))
    assert quoted(text, (secret,), 300) is None
    assert quoted(text, ("another-secret",), 300) is not None


@pytest.mark.parametrize("secret", [TOKEN, LONG], ids=["token", "long token"])
@pytest.mark.parametrize("write", [write for _, write in AROUND], ids=[name for name, _ in AROUND])
def test_what_stands_around_and_between_is_undone(write: Callable[[str], str], secret: str) -> None:
    said = upstream(_said(f"token {write(secret)} is refused", secret))

    assert (said.code, said.message) == ("E", WITHHELD)


_LAYERS = st.sampled_from(
    [
        *(write for name, write in AROUND if name not in {"in small letters", "in capitals"}),
        *(_base64("x" * offset) for offset in range(3)),
        WRITTEN["base64 in lines"],
        WRITTEN["hexadecimal"],
        html.escape,
        _json,
        quote,
        lambda text: textwrap.fill(text, 20),
    ]
)


@settings(max_examples=60)
@given(st.lists(_LAYERS, min_size=1, max_size=3), st.text("xyz -_/+=", max_size=9))
def test_no_spelling_of_spellings_is_quoted(layers: list[Callable[[str], str]], before: str) -> None:
    text = TOKEN[:48]
    for write in layers:
        text = write(text)

    assert holds(f"{before} {text}", (TOKEN,))


@pytest.mark.parametrize("start", [*range(17), 150, 184])
def test_sixteen_letters_in_a_row_are_found_wherever_they_stand(start: int) -> None:
    token = "".join(random.Random(6).choices("abcdefghijklmnop0123456789", k=200))
    run = token[start : start + 16]
    for before in range(9):
        for after in ("", "!", "--zzzzzzz"):
            assert holds(f"{'.-' * before}{'z' * before}{run}{after}", (token,))
            assert not holds(f"{'.-' * before}{'z' * before}{run[:-1]}z{after}", (token,))


@pytest.mark.parametrize("before", range(17))
def test_fifteen_are_not(before: int) -> None:
    token = "".join(random.Random(7).choices(LETTERS, k=100))

    assert not holds("q" * before + token[20:35] + "é" + token[50:65] + "!", (token,))
    assert holds("q" * before + token[20:36], (token,))


@pytest.mark.parametrize(
    ("secret", "text", "held"),
    [
        # So short that its letters stand in any text by chance: as it is, or not at all
        ("a-b-c-d", "abcd and more of it", False),
        ("a-b-c-d", "x a-b-c-d", True),
        ("pass-12", "Pass-12 of it, no: p-a-s-s-1-2", False),
        ("..............................", "so...............................", True),
        ("..............................", "so.............................", False),
        # Of 8 letters and digits to 15: all of them
        ("pass-123", "PASS 123", False),
        ("pass-1234", "PASS 1234", True),
        ("abcdefgh", "A B C D E F G H", True),
        ("abcdefgh", "A B C D E F G", False),
        ("a-b-c-d-e-f-g-h", "abcdefgh", True),
        ("a-b-c-d-e-f-g-h-----", "6162636465666768", True),
        ("a-b-c-d-e-f-g", "abcdefg------", False),
        ("abcdefghijklmno", "abcdefghijklmn.o", True),
        ("abcdefghijklmno", "abcdefghijklmn.p", False),
        # Of 16 and more: any 16
        ("abcdefghijklmnop", "abcdefghijklmn.op", True),
        ("abcdefghijklmnop", "abcdefghijklmn.oq", False),
        ("0abcdefghijklmnopq", "abcdefghijklmn.op", True),
        ("-0abcdefghijklmnopq", "abcdefghijklmnop", True),
    ],
)
def test_how_much_of_a_secret_is_found(secret: str, text: str, *, held: bool) -> None:
    assert holds(text, (secret,)) is held


def test_a_text_shorter_than_the_secret_may_hold_a_part_of_it() -> None:
    assert holds(TOKEN[30:60], (TOKEN,))


def test_one_of_several_is_found_and_an_empty_one_is_none() -> None:
    assert holds("one two three", ("four", "", "two"))
    assert not holds("anything", ("",))
    assert not holds("anything", ())


@pytest.mark.parametrize(
    "text",
    [
        "Volume 0b9f3c52-6d3e-4f0a-9a44-3c1de17a8f01 could not be found.",
        "Policy doesn't allow volume_extension:volume_admin_actions:force_detach to be performed. " * 3,
        'Invalid input for field/attribute server_id. Value: null. "a" < "b" &amp; \\u00e9 100% [1, 2, 3]',
        "sizes 255, 256, 257 and 999 " * 4,
        "x" * 300,
    ],
)
def test_what_holds_none_is_quoted(text: str) -> None:
    assert upstream(_said(text, TOKEN, LONG)).message == upstream(_said(text)).message != WITHHELD


def test_what_is_not_undone_in_so_many_rounds_is_not_quoted() -> None:
    assert not holds(f"&{'amp;' * 10}lt; of it", (TOKEN,))
    assert holds(f"&{'amp;' * 11}lt; of it", (TOKEN,))


def test_bytes_may_be_encoded_three_times() -> None:
    text = "Unauthorised: xyz"
    for _ in range(3):
        text = _base64("")(text)

    assert holds(text, ("Unauthorised: xyz",))


@pytest.mark.parametrize("lead", range(0, 1300, 13))
def test_a_secret_at_the_place_where_a_message_is_cut_leaves_no_half(lead: int) -> None:
    secret = "planted-" + "s" * 2000
    message = upstream(_said("x" * lead + " " + secret, secret)).message
    assert message is not None
    assert "planted-sssssssss" not in message


def test_what_lies_far_behind_what_is_quoted_is_not_judged() -> None:
    assert quoted("x" * 40 + TOKEN, (TOKEN,), 10) == "x" * 9 + "…"
    assert quoted("x" * 30 + TOKEN[:10], (TOKEN[:10],), 10) is None


def test_many_echoes_of_a_long_token_are_one() -> None:
    assert upstream(_said(LONG * 14, LONG)).message == WITHHELD


def test_markup_is_not_quoted_nor_what_an_entity_brings() -> None:
    text = "<h1>Not&nbsp;found</h1><br/>&#x202e;&lt;p&gt;\x1b[31m &#27;&#x85;\u00ad."
    assert quoted(text, (), 300) == "Not found [31m … ."
    assert one_line(text, 300).startswith("<h1>Not&nbsp;found")


def test_both_are_judged_the_text_and_the_line_that_is_made_of_it() -> None:
    """Markup that is taken out first brings together what reads otherwise where the rest is undone first."""
    assert quoted("abcdefgh<wbr>%41ijklmnop", ("abcdefgh41ijklmnop",), 300) is None
    assert quoted("so <abcdefghijklmnop> it is", ("abcdefghijklmnop",), 300) is None
    assert quoted("abcdefgh<wbr>%41ijklmnop", ("abcdefgh42ijklmnop",), 300) == "abcdefgh %41ijklmnop"


def test_a_code_that_holds_one_is_none() -> None:
    body = json.dumps({"code": f"E.{TOKEN}", "message": "m", "request_id": TOKEN[:80]}).encode()
    said = upstream(Answer(403, {}, body, None, (TOKEN,)))
    assert (said.status, said.code, said.message, said.request_id) == (403, None, "m", None)


DIGITS = "0b9f3c526d3e4f0a9a443c1de17a8f01"


@pytest.mark.parametrize(
    ("secret", "held"),
    [
        (DIGITS, True),
        (f"xyz-{DIGITS[8:24].upper()}-xyz", True),
        (f"xyz-{DIGITS[8:23]}-xyz", False),
        (f"{DIGITS[8:16]}-{DIGITS[16:24]}", True),
        (f"{DIGITS[8:16]}", True),
        (f"{DIGITS[8:16]}-", True),
        (f"{DIGITS[8:16]}x", False),
        (f"{DIGITS[8:15]}", True),
        ("", False),
        (TOKEN, False),
    ],
)
def test_digits_hold_no_secret_but_one_of_digits(secret: str, *, held: bool) -> None:
    assert holds_digits(DIGITS, ("another-secret", secret)) is held


def test_so_it_is_with_what_has_hyphens_as_the_digits_have() -> None:
    assert holds_digits("0b9f3c52-6d3e-4f0a-9a44-3c1de17a8f01", ("3c52-6d",))


USUAL = "req-0b9f3c52-6d3e-4f0a-9a44-3c1de17a8f01"


@pytest.mark.parametrize(
    ("id_", "secret", "shown"),
    [
        (USUAL, TOKEN, True),
        (USUAL[4:].replace("-", ""), TOKEN, True),
        (USUAL, USUAL[4:].replace("-", ""), False),  # as Keystone's own tokens looked once
        (USUAL, f"x{USUAL[4:30]}y", False),
        (USUAL.replace("0", "O"), TOKEN, True),
        (USUAL[:-1], TOKEN, True),
        (TOKEN[60:128].replace("=", ""), TOKEN, False),
        (TOKEN[:40].encode().hex(), TOKEN, False),
        (f"req-{TOKEN[:8].encode().hex()}", TOKEN, True),
        ("token_eu-west-0_1", TOKEN, True),
        ("no id", TOKEN, False),
        ("", TOKEN, False),
        (None, TOKEN, False),
    ],
)
def test_a_request_id_is_shown_where_it_is_one_and_holds_none(
    id_: str | None, secret: str, *, shown: bool
) -> None:
    assert shown_id(id_, (secret,)) == (id_ if shown else None)


def test_nothing_of_the_cloud_makes_a_failure_long() -> None:
    body = json.dumps({"e" * 9000: {"code": "C" * 9000, "message": "m" * 9000, "request_id": "r" * 9000}})

    failed = failure(Answer(400, {}, body.encode(), None), "volume")

    assert failed.upstream is not None
    assert len(failed.message) < 400
    assert len(failed.upstream.code or "") <= 80
    assert len(failed.upstream.message or "") <= 300


@settings(max_examples=60)
@given(st.text(min_size=12, max_size=40), st.text("abc .", max_size=40))
def test_whatever_the_secret_it_is_found(secret: str, around: str) -> None:
    for written in (secret, quote(secret, safe="", errors="replace"), _json(secret), html.escape(secret)):
        assert holds(f"{around}{written}{around}", (secret,))


def _said(message: str, *secrets: str) -> Answer:
    return Answer(403, {}, json.dumps({"code": "E", "message": message}).encode(), None, secrets)
