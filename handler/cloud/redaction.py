"""What a cloud says, quoted only where no secret is in it, however the cloud spells that.

A gateway that refuses a token likes to quote it: as it was, as it stood in a URL, in JSON (also JSON within a
text within JSON), in HTML, in base64, in hexadecimal digits, in lines of 76 letters. So what stands around
is undone, not listed, and letters and digits alone are compared, without case. What is judged is the text and
the very line that would be quoted of it, so nothing that is done to that can bring a secret back.
"""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from urllib.parse import unquote

WITHHELD = "[not quoted: it may hold a secret]"
"""What stands for a text of the cloud in which a secret is, or that can't be undone."""

_RUN = 16  # letters and digits in a row that a text and a secret don't share by chance
_BLOCK = _RUN // 2
_NESTED = 3  # encodings of bytes within each other that are looked through
_ROUNDS = 12  # of undoing what stands around; no honest text has more

_OTHERS = bytes(code for code in range(128) if not chr(code).isalnum())
_MARKUP = re.compile(r"<[^<>]*>")
_NUMBER = re.compile(r"\b\d{1,3}\b")
_NO_BASE64 = re.compile(r"[^A-Za-z0-9+/]")
_NO_HEX = re.compile(r"0x|[^0-9A-Fa-f]", re.IGNORECASE)
_ESCAPE = re.compile(r"((?:\\x[0-9a-f]{2})+)|((?:\\u[0-9a-f]{4})+)|\\(.)", re.IGNORECASE | re.DOTALL)
_CONTROLS = dict(zip("nrtbfv", "\n\r\t\b\f\v", strict=True))


def quoted(text: str, secrets: Iterable[str], longest: int) -> str | None:
    """One printable line of bounded length, its markup undone; None where a secret may be in it."""
    text = text[: longest * 4]
    line = one_line(_MARKUP.sub(" ", html.unescape(text)), longest)
    return None if any(holds(each, secrets) for each in {text, line}) else line


def one_line(text: str, longest: int) -> str:
    """The text as one printable line of bounded length, with whatever secret is in it."""
    text = "".join(letter if letter.isprintable() else " " for letter in text[: longest * 4])
    text = " ".join(text.split())
    return text if len(text) <= longest else text[: longest - 1] + "…"


def holds(text: str, secrets: Iterable[str]) -> bool:
    """Whether any of the secrets may stand in the text: the whole, or `_RUN` letters and digits in a row."""
    sought = _sought(text, secrets)
    if not sought:
        return False
    least = min(map(_least, sought))
    try:
        return any(_shows(reading, sought) for reading in _readings(text, least))
    except _Endless:
        return True


def holds_digits(word: str, secrets: Iterable[str]) -> bool:
    """The same of a word of hexadecimal digits, which encode nothing: few secrets have as many in a row."""
    return any(_shows(word, (secret,)) for secret in _sought(word, filter(_has_digits, secrets)))


def _sought(text: str, secrets: Iterable[str]) -> list[str]:
    """Those that the text is long enough for: no encoding is shorter than what it encodes."""
    return [secret for secret in secrets if 0 < _least(secret) <= len(text)]


class _Endless(Exception):
    """What stands around is still not undone after so many rounds."""


def _readings(text: str, least: int) -> Iterator[str]:
    """The text, and whatever it may be the encoding of, as long as it has at least so many letters."""
    level = [text]
    for nested in range(_NESTED + 1):
        below: list[str] = []
        for each in level:
            for reading in _undone(each):
                yield reading
                if nested < _NESTED:
                    below += (found for found in _decoded(reading) if len(found) >= least)
        level = below


def _undone(text: str) -> Iterator[str]:
    """The text, and what is left of it after each thing around is undone, until nothing is."""
    yield text
    for _ in range(_ROUNDS):
        before = text
        for undo in (html.unescape, unquote, _unescaped, _without_markup):
            after = undo(text)
            if after != text:
                yield after
            text = after
        if text == before:
            return
    raise _Endless


def _unescaped(text: str) -> str:
    r"""Without one layer of backslashes: `\x2d`, `\u002d`, `\/`."""
    return _ESCAPE.sub(_letters, text)


def _letters(escape: re.Match[str]) -> str:
    as_bytes, as_units, letter = escape.groups()
    if as_bytes:
        data = bytes.fromhex(as_bytes.lower().replace("\\x", ""))
        try:
            return data.decode()
        except UnicodeDecodeError:
            return data.decode("latin-1")
    if as_units:
        return bytes.fromhex(as_units.lower().replace("\\u", "")).decode("utf-16-be", "replace")
    return _CONTROLS.get(letter, letter)


def _without_markup(text: str) -> str:
    return _MARKUP.sub("", text)


def _decoded(text: str) -> Iterator[str]:
    """What the text is where it, or any part of it, is base64, hexadecimal digits or a list of bytes.

    All that is no such letter is left out first: an encoding may come in lines, and with words before it,
    which shift where it begins.
    """
    letters = _NO_BASE64.sub("", text.replace("-", "+").replace("_", "/"))
    for start in range(4):
        rest = letters[start:]
        yield base64.b64decode(rest + "A" * (-len(rest) % 4)).decode(errors="replace")
    digits = _NO_HEX.sub("", text)
    for start in range(2):
        rest = digits[start:]
        yield bytes.fromhex(rest + "0" * (len(rest) % 2)).decode(errors="replace")
    numbers = map(int, _NUMBER.findall(text))
    yield bytes(number for number in numbers if number < 256).decode(errors="replace")


def _shows(text: str, secrets: Iterable[str]) -> bool:
    found = _skeleton(text)
    for secret in secrets:
        kept = _skeleton_of(secret)
        if len(kept) < _BLOCK:
            if secret in text:
                return True
        elif kept in found or _share(found, kept):
            return True
    return False


@lru_cache(maxsize=16)
def _has_digits(secret: str) -> bool:
    kept = _skeleton_of(secret)
    return len(kept) < _BLOCK or re.search(rb"[0-9a-f]{%d}" % _least(secret), kept) is not None


@lru_cache(maxsize=16)
def _least(secret: str) -> int:
    """How many letters of it count: any text has fewer than `_BLOCK` letters and digits by chance."""
    kept = len(_skeleton_of(secret))
    return len(secret) if kept < _BLOCK else min(kept, _RUN)


def _share(text: bytes, secret: bytes) -> bool:
    """Whether `_RUN` letters in a row are the same. Any such run has one of the text's blocks in it whole."""
    last = len(text) - _RUN
    return any(
        text[block : block + _BLOCK] in secret
        and any(
            text[start : start + _RUN] in secret
            for start in range(max(0, block - _BLOCK), min(block, last) + 1)
        )
        for block in range(0, len(text) - _BLOCK + 1, _BLOCK)
    )


def _skeleton(text: str) -> bytes:
    """Its ASCII letters and digits, all else left out, without case."""
    return text.encode("ascii", "ignore").translate(None, _OTHERS).lower()


_skeleton_of = lru_cache(maxsize=16)(_skeleton)
