"""Text of somebody else's making, made harmless for where it is shown.

A volume's name, a device or a cloud's message can hold what steers a terminal, what a spreadsheet takes for a
formula, or markup.
"""

from __future__ import annotations

import html
import re
import unicodedata

_RISKY = frozenset("=+-@<\t\r\n\uff1d\uff0b\uff0d\uff20")  # the last four are full-width forms
_INSIDE = re.compile("([;,|][\\s\"']*)([" + re.escape("".join(sorted(_RISKY))) + "])")
_LINKED = re.compile(r"[@#]|://|www\.", re.IGNORECASE)
_MARKS = re.compile(r"([\\`*_{}\[\]~#])")
_TICKS = re.compile("`+")
_WIDE = frozenset("WF")


def printable(text: str) -> str:
    """One line without what could steer a terminal: control characters, line breaks, marks of direction."""
    return text if text.isprintable() else "".join(char if char.isprintable() else "?" for char in text)


def spreadsheet_cell(value: object) -> object:
    """A cell of a CSV file, which nothing takes for a formula or markup (OWASP, "CSV Injection").

    Nor what follows a separator in it: where a program separates by another one, a cell begins there.
    """
    if not isinstance(value, str):
        return value
    # A blank in front keeps no spreadsheet from seeing one, so the first letter counts
    risky = value[:1] in _RISKY or value.lstrip()[:1] in _RISKY
    return ("'" if risky and value else "") + _INSIDE.sub(r"\1'\2", printable(value))


def html_cell(value: object) -> str:
    """Text in HTML, quotes included, so that it may stand in an attribute, too."""
    return html.escape(printable(str(value)))


def markdown_cell(value: object) -> str:
    """Text in Markdown: no markup, no link, and nobody is notified by an @.

    What is made a link wherever it stands is code: there only it stays as it is. An entity doesn't do, since
    links and names are looked for in the text that is shown.
    """
    text = printable(str(value))
    if _LINKED.search(text):
        return markdown_code(text)
    return _MARKS.sub(r"\\\1", html.escape(text, quote=False))


def markdown_table_cell(markdown: str) -> str:
    """What stands in a table: no | ends its cell, in code neither."""
    return markdown.replace("|", r"\|")


def markdown_code(value: object) -> str:
    """Text as Markdown's code, in which nothing means anything but a table's |."""
    text = printable(str(value))
    fence = "`" * (max(map(len, _TICKS.findall(text)), default=0) + 1)
    pad = " " if text[:1] in {"`", " "} or text[-1:] in {"`", " "} else ""
    return f"{fence}{pad}{text}{pad}{fence}"


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
