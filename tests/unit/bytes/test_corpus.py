"""The kept corpus at every reader: nothing comes out that isn't foreseen, and no input makes much work.

Found by coverage-guided fuzzing (`make bytes`); replayed here without it.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.bytes import corpus
from tests.bytes.readers import READERS, _judge, open_doors, work_of

FIRST = 60_000
"""Calls of functions that the first input may take."""

EACH, A_BYTE = 6_000, 60
"""Calls that an input may take, and those that each of its bytes may add."""


@pytest.fixture(scope="module", autouse=True)
def doors() -> Iterator[None]:
    with open_doors():
        yield


@pytest.fixture(autouse=True)
def cold_start() -> None:
    """The doors stay open from one reader to the next."""


@pytest.mark.parametrize("reader", READERS)
def test_nothing_unforeseen_comes_out_and_no_input_makes_much_work(reader: str) -> None:
    inputs = corpus.read(reader)
    assert inputs

    def too_much(data: bytes) -> bool:
        return work_of(READERS[reader], data) > EACH + A_BYTE * len(data)

    assert work_of(READERS[reader], b"") < FIRST
    # What is made once (a module, a compiled form) isn't made again
    assert [data for data in inputs if too_much(data) and too_much(data)] == []


def test_the_corpus_is_small_and_has_no_reader_too_many() -> None:
    files = sorted(corpus.FOLDER.iterdir())

    assert [path.stem for path in files] == sorted(READERS)
    assert sum(path.stat().st_size for path in files) < corpus.MOST


def test_what_a_reader_breaks_at_is_seen() -> None:
    with pytest.raises(AssertionError, match="500"):
        _judge(type("Answer", (), {"status_code": 500, "text": "a bug"}), "POST / {}")


def test_work_is_counted() -> None:
    def quadratic(data: bytes) -> None:
        for _ in data:
            for _ in data:
                len(data)

    assert work_of(quadratic, b"x" * 100) > 10_000
