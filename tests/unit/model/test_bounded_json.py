"""The depth of JSON is judged before it is parsed."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handler.model.bounded_json import MAX_DEPTH, TooDeep, loads, loads_leniently

BRACKETS = '["[{\\"[", "\\\\", "]}\\\\\\"{", {"[\\u005b": "\\n[["}]'


def arrays(depth: int) -> str:
    return "[" * depth + "]" * depth


def objects(depth: int) -> str:
    return '{"\\\\": ' * depth + "1" + "}" * depth


@pytest.mark.parametrize("nested", [arrays, objects])
def test_the_deepest_is_parsed_and_one_more_is_not(nested: Callable[[int], str]) -> None:
    assert loads(nested(MAX_DEPTH)) == json.loads(nested(MAX_DEPTH))
    for text in (nested(MAX_DEPTH + 1), nested(60_000)):
        for content in (text, text.encode()):
            with pytest.raises(TooDeep):
                loads(content)


def test_there_may_be_more_brackets_than_may_nest() -> None:
    text = f"[{arrays(MAX_DEPTH - 1)}, []]"

    assert loads(text) == json.loads(text)


def test_brackets_in_strings_are_text() -> None:
    assert loads(BRACKETS) == ['[{"[', "\\", ']}\\"{', {"[[": "\n[["}]
    many = json.dumps([BRACKETS * 50, '"' + "[" * 500, "\\" * 7 + "{" * 500])
    assert loads(many.encode()) == json.loads(many)


@pytest.mark.parametrize(
    ("text", "failure"),
    [
        ("[" * 500, TooDeep),  # never closed
        ('"' + "[" * 500, ValueError),  # a string that never ends
        ("]" * 500 + "[" * 500, ValueError),
        ("\\" + "[" * 64, ValueError),
        ("", ValueError),
        (b"\xff", ValueError),
        ('["a"'.encode("utf-16"), ValueError),
    ],
)
def test_what_is_no_json_is_a_value_error(text: str | bytes, failure: type[ValueError]) -> None:
    with pytest.raises(ValueError) as caught:
        loads(text)
    assert isinstance(caught.value, TooDeep) == (failure is TooDeep)


def test_bytes_may_start_with_a_byte_order_mark_and_hold_half_a_surrogate_pair() -> None:
    assert loads(b'\xef\xbb\xbf{"a": "\xc3\xa9"}') == {"a": "é"}
    assert loads(b'"\xed\xa0\x80"') == "\ud800"


@pytest.mark.parametrize(
    ("content", "text"),
    [(b'"\xff\xfe"', "\ufffd\ufffd"), (b'"a\x01\tb\n"', "a\x01\tb\n"), (b'\xef\xbb\xbf"\\ud83d"', "\ud83d")],
)
def test_an_odd_text_is_read_past_where_that_is_asked_for(content: bytes, text: str) -> None:
    assert loads_leniently(content) == text


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", arrays(MAX_DEPTH + 1).encode()])
def test_what_is_no_json_is_a_value_error_there_too(content: bytes) -> None:
    with pytest.raises(ValueError):
        loads_leniently(content)


def test_hooks_are_json_loads_own() -> None:
    assert loads('{"a": 1, "a": 2}', object_pairs_hook=list) == [("a", 1), ("a", 2)]


def depth(tree: Any) -> int:
    if isinstance(tree, dict):
        tree = list(tree.values())
    return 1 + max(map(depth, tree), default=0) if isinstance(tree, list) else 0


TEXTS = st.text('[]{}"\\é,x', max_size=8)
TREES = st.recursive(
    st.none() | st.integers() | TEXTS,
    lambda below: st.lists(below, max_size=3) | st.dictionaries(TEXTS, below, max_size=3),
)


@given(TREES, st.integers(0, MAX_DEPTH + 3), st.booleans())
def test_the_verdict_is_by_depth_alone(tree: Any, wrapped: int, escaped: bool) -> None:
    for _ in range(wrapped):
        tree = [tree]
    text = json.dumps(tree, ensure_ascii=escaped)
    if depth(tree) > MAX_DEPTH:
        with pytest.raises(TooDeep):
            loads(text)
    else:
        assert loads(text) == tree


@pytest.fixture
def small_stack() -> Iterator[None]:
    before = threading.stack_size(256 * 1024)
    yield
    threading.stack_size(before)


@pytest.mark.usefixtures("small_stack")
def test_the_verdict_is_the_same_on_a_small_stack() -> None:
    said: list[object] = []

    def judge() -> None:
        limit = sys.getrecursionlimit()
        said.append(loads(arrays(MAX_DEPTH)))
        for deep in (MAX_DEPTH + 1, limit, 60_000):
            with pytest.raises(TooDeep):
                loads(arrays(deep))
            said.append(deep)

    thread = threading.Thread(target=judge)
    thread.start()
    thread.join()
    assert len(said) == 4
