"""Text of somebody else's making, made harmless for where it is shown.

A volume's name, a device or a cloud's message can hold what steers a terminal, what a spreadsheet takes for a
formula, or markup.
"""

from __future__ import annotations

import html
import re
import unicodedata

_RISKY = frozenset("=+-@<\t\r\n\uff1d\uff0b\uff0d\uff20")  # the last four are full-width forms
_MARKS = re.compile(r"([\\`*_{}\[\]|~#])")
_WIDE = frozenset("WF")


def printable(text: str) -> str:
    """One line without what could steer a terminal: control characters, line breaks, marks of direction."""
    return text if text.isprintable() else "".join(char if char.isprintable() else "?" for char in text)


def spreadsheet_cell(value: object) -> object:
    """A cell of a CSV file, which nothing takes for a formula or markup (OWASP, "CSV Injection")."""
    if not isinstance(value, str):
        return value
    # A blank in front keeps no spreadsheet from seeing one, so the first letter counts
    risky = value[:1] in _RISKY or value.lstrip()[:1] in _RISKY
    return ("'" if risky and value else "") + printable(value)


def html_cell(value: object) -> str:
    """Text in HTML, quotes included, so that it may stand in an attribute, too."""
    return html.escape(printable(str(value)))


def markdown_cell(value: object) -> str:
    """Text in Markdown: no markup, no table's end, no link, and nobody is notified by an @."""
    text = html.escape(printable(str(value)), quote=False)
    return _MARKS.sub(r"\\\1", text).replace("@", "&#64;").replace("://", "&#58;//")


def cells_wide(text: str) -> int:
    """How many cells of a terminal a text takes: two for each wide letter, none for a combining one."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in _WIDE else 1
        for char in text
    )


def cut(text: str, cells: int) -> str:
    """The text in at most so many cells of a terminal; an ellipsis says that some is left out."""
    if cells_wide(text) <= cells:
        return text
    while text and cells_wide(text) > cells - 1:
        text = text[:-1]
    return f"{text}…"
