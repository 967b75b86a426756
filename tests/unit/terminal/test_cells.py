"""Text of somebody else's making does no harm where it is shown."""

from __future__ import annotations

import csv
import io
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handler.terminal.cells import cells_wide, cut, html_cell, markdown_cell, printable, spreadsheet_cell


@pytest.mark.parametrize(
    "formula",
    ["=cmd|'/c calc'!A1", "+1", "-1+1", "@SUM(A1)", "\t=1", "\r=1", "  =1", "\uff1d1", "\n@x", "<b>"],
)
def test_no_cell_is_a_formula(formula: str) -> None:
    cell = spreadsheet_cell(formula)
    assert isinstance(cell, str)
    assert cell.startswith("'")
    assert cell.isprintable()


@pytest.mark.parametrize("plain", ["data", "", "a=b", 40, -1, None, True, "543fdc50-6daa"])
def test_other_cells_stay_as_they_are(plain: object) -> None:
    assert spreadsheet_cell(plain) == plain


@given(st.text())
def test_whatever_the_text_a_row_stays_a_row(text: str) -> None:
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerow([spreadsheet_cell(text), "end"])
    (row,) = csv.reader(io.StringIO(stream.getvalue()))
    assert row[1] == "end"
    assert row[0].lstrip()[:1] not in set("=+-@<\t\r\n")


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.append(f"{tag} {attrs}")


@given(st.text(alphabet=st.sampled_from("<>&\"'=/ascriptonload\x00\n")))
def test_html_has_no_tag_of_it(text: str) -> None:
    parser = _Tags()
    parser.feed(f'<i title="{html_cell(text)}">{html_cell(text)}</i>')
    assert len(parser.tags) == 1
    assert parser.tags[0].startswith("i [('title', ")


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("a|b", r"a\|b"),
        ("<img src=x>", "&lt;img src=x&gt;"),
        ("[x](http://y)", r"\[x\](http&#58;//y)"),
        ("@all *now* `x`", r"&#64;all \*now\* \`x\`"),
        ("two\nlines", "two?lines"),
    ],
)
def test_markdown_has_no_markup_of_it(text: str, written: str) -> None:
    assert markdown_cell(text) == written


@given(st.text())
def test_printable_is_one_line(text: str) -> None:
    assert len(printable(text)) == len(text)
    assert len(printable(text).splitlines()) <= 1
    assert "\x1b" not in printable(text)


@given(st.text(), st.integers(1, 40))
def test_what_is_cut_fits(text: str, cells: int) -> None:
    short = cut(text, cells)
    assert cells_wide(short) <= cells
    assert short == text or short.endswith("…")
