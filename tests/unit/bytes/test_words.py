"""The words that the fuzzer is given: those of the function's own source."""

from __future__ import annotations

import re

from tests.bytes.words import dictionary


def test_words_of_every_kind_are_there_once_and_as_libfuzzer_reads_them() -> None:
    lines = dictionary().splitlines()

    assert {'"itemNotFound"', '"X-Subject-Token"', '"os-detach"', '"volume_id"', '"$defs"'} <= {*lines}
    assert lines == sorted(set(lines))
    assert [line for line in lines if not re.fullmatch(r'"[ -!#-\[\]-~]+"', line)] == []
