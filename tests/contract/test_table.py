"""CASES.md is current. These run last, as they look at what the others have answered."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.contract import table

if TYPE_CHECKING:
    from pathlib import Path

    from tests.contract.conftest import Collected
    from tests.contract.table import Table


def test_the_table_says_what_this_cloud_answered(answered: Table, collected: Collected) -> None:
    if collected.write:
        answered.write(collected.cloud, collected.names, whole=collected.whole)
    written = table.read()
    for name, answer in answered.answers().items():
        assert written.get(name, {}).get(collected.cloud) == answer, name
    if collected.whole:
        assert list(written) == collected.names


def test_both_clouds_answer_alike() -> None:
    different = {name: answers for name, answers in table.read().items() if len(set(answers.values())) > 1}
    assert different == {}


def test_every_case_was_tried_at_both_clouds() -> None:
    lacking = [name for name, answers in table.read().items() if set(answers) != set(table.CLOUDS)]
    assert lacking == []


def test_there_are_cases_enough() -> None:
    assert len(table.read()) >= 40


@pytest.mark.parametrize("name", [("one", "a case"), ("one", "a case (in two forms)")])
def test_a_table_reads_back_as_it_was_written(
    name: table.Name, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table, "FILE", tmp_path / "CASES.md")
    written = table.Table()
    written.steps(name).append("200 detached: in-use 1 → available 0")
    written.write("embedded", [name], whole=True)
    assert table.read() == {name: {"embedded": "200 detached: in-use 1 → available 0"}}
    written.write("real", [name], whole=False)
    assert set(table.read()[name]) == {"embedded", "real"}
    table.Table().write("real", [], whole=False)
    assert list(table.read()) == [name]
    table.Table().write("real", [], whole=True)
    assert table.read() == {}
