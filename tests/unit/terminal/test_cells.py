"""Text of somebody else's making does no harm where it is shown."""

from __future__ import annotations

import csv
import io
import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handler.model.disk import Disk
from handler.terminal.cells import (
    cells_wide,
    cut,
    html_cell,
    markdown_cell,
    markdown_code,
    markdown_table_cell,
    printable,
    spreadsheet_cell,
)
from handler.terminal.csv_file import COLUMNS, write_csv
from tests.unit.terminal.results import one


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


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("disk;=cmd|'/c calc'!A1", "disk;'=cmd|'/c calc'!A1"),
        ('a";=1+1;"', 'a";\'=1+1;"'),
        ("a; \t-1", "a; ?-1"),
        ("a;  -1", "a;  '-1"),
        ("a|@x", "a|'@x"),
        ("a,+x", "a,'+x"),
        ("a;\"'=1", "a;\"''=1"),
        ("a;\uff1d1", "a;'\uff1d1"),
        ("a; b=c - d", "a; b=c - d"),
    ],
)
def test_no_formula_begins_behind_a_separator(text: str, written: str) -> None:
    assert spreadsheet_cell(text) == written


@given(st.text(alphabet=st.sampled_from("a;,|\t\n\r \"'=+-@<\uff1d")), st.sampled_from(",;|\t"))
def test_no_cell_is_a_formula_whatever_a_program_separates_by(text: str, separator: str) -> None:
    stream = io.StringIO()
    write_csv(stream, [one(disk=Disk(text, 1, text, None))])
    for row in csv.reader(io.StringIO(stream.getvalue()), delimiter=separator):
        for cell in row:
            assert cell.lstrip()[:1] not in set("=+-@<\t\r\n\uff1d"), row


def test_every_cell_is_quoted() -> None:
    stream = io.StringIO()
    write_csv(stream, [one(disk=Disk(None, 40, 'a"b', None))])
    for line in stream.getvalue().splitlines():
        assert re.fullmatch(r'"(?:[^"]|"")*"(?:,"(?:[^"]|"")*")*', line), line
    assert stream.getvalue().count(",") == 2 * (len(COLUMNS) - 1)


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
        ("a|b", "a|b"),
        ("<img src=x>", "&lt;img src=x&gt;"),
        ("[x](y) *now* `x` ~_", r"\[x\](y) \*now\* \`x\` \~\_"),
        ("[x](http://y)", "`[x](http://y)`"),
        ("see WWW.evil.example", "`see WWW.evil.example`"),
        ("a@b.example", "`a@b.example`"),
        ("mends #12", "`mends #12`"),
        ("@all *now* `x`", "`` @all *now* `x` ``"),
        ("`@a", "`` `@a ``"),
        ("@a ", "` @a  `"),
        ("@a `` b ``` c", "````@a `` b ``` c````"),
        ("two\nlines", "two?lines"),
    ],
)
def test_markdown_has_no_markup_of_it(text: str, written: str) -> None:
    assert markdown_cell(text) == written


@given(st.text(alphabet=st.sampled_from("a`|\\ @:/w.#*<[]()\n")))
def test_what_is_a_link_wherever_it_stands_is_code_in_a_row_that_stays_one(text: str) -> None:
    row = (
        f"| {markdown_table_cell(markdown_cell(text))} | {markdown_table_cell(markdown_code(text or '-'))} |"
    )
    cells = [cell.replace(r"\|", "|") for cell in re.split(r"(?<!\\)\|", row)]
    assert len(cells) == 4
    shown = [_CODE.sub("", cell.strip()) for cell in cells[1:3]]
    assert not re.search(r"[@#]|://|www\.", shown[0])
    assert shown[1] == ""


_CODE = re.compile(r"(?<!`)(`+)(?!`).*?(?<!`)\1(?!`)")
"""As CommonMark has it: as many backticks as it began with, no more and no fewer."""


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
