"""Cuts secrets out of what a cloud says of us, however it spells them.

A gateway that refuses a token likes to quote it: as it was, as it stood in a URL, in JSON (also JSON within a
text within JSON), in HTML, in base64 or as a programming language shows it. What is cut is looked for in the
whole text, before the text is shortened: a cut in the middle of a secret would leave its first half.
"""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from urllib.parse import quote, quote_plus

MARK = "[secret]"
_ESCAPE = re.compile("%[0-9A-F]{2}")
_SHORTEST_CORE = 8  # letters of base64; fewer stand in any text by chance


def _small(url: str) -> str:
    return _ESCAPE.sub(lambda escape: escape[0].lower(), url)


def _apostrophes(text: str) -> str:
    return text.replace("'", "\\'")


_SPELLINGS: tuple[Callable[[str], str], ...] = (
    lambda text: quote(text, safe=""),
    lambda text: _small(quote(text, safe="")),
    quote,
    lambda text: _small(quote(text)),
    quote_plus,
    lambda text: _small(quote_plus(text)),
    lambda text: json.dumps(text)[1:-1],
    lambda text: json.dumps(text, ensure_ascii=False)[1:-1],
    lambda text: json.dumps(text)[1:-1].replace("/", "\\/"),
    html.escape,
    lambda text: html.escape(text).replace("&#x27;", "&#39;"),
    lambda text: html.escape(text).replace("&#x27;", "&apos;"),
    lambda text: html.escape(text, quote=False),
    lambda text: repr(text)[1:-1],
    lambda text: ascii(text)[1:-1],
    lambda text: _apostrophes(repr(text)[1:-1]),
    lambda text: repr(text.encode(errors="replace"))[2:-1],
)


def _cores(secret: str) -> Iterator[str]:
    """What base64 makes of the secret within a longer text: three alignments, two alphabets."""
    raw = secret.encode(errors="replace")
    for offset in range(3):
        whole = (offset + len(raw)) // 3 * 4  # letters that depend on nothing behind the secret
        first = (0, 2, 3)[offset]  # letters that depend on what stands before it
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            core = encode(b"\0" * offset + raw).decode()[first:whole]
            if len(core) >= _SHORTEST_CORE:
                yield core


@lru_cache(maxsize=16)
def _spellings(secret: str) -> tuple[str, ...]:
    """All spellings, the longest first: one may hold another."""
    once = {secret, *(spell(secret) for spell in _SPELLINGS), *_cores(secret)}
    # A spelling that is spelt again: JSON within JSON, base64 or JSON within a URL
    twice = once | {spell(spelt) for spelt in once for spell in _SPELLINGS}
    return tuple(sorted(twice, key=len, reverse=True))


def redact(text: str, secrets: Iterable[str]) -> str:
    """The text without the secrets."""
    for secret in secrets:
        for spelling in _spellings(secret) if secret else ():
            text = text.replace(spelling, MARK)
    return text


def holds(text: str, secrets: Iterable[str]) -> bool:
    """Whether any of the secrets stands in the text."""
    # No spelling is shorter than its secret: most request ids are too short for any
    return any(
        spelling in text
        for secret in secrets
        if 0 < len(secret) <= len(text)
        for spelling in _spellings(secret)
    )
