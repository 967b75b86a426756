"""What the forms take, and what they make of it: each read as a process reads its first."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import pytest
from pydantic_core import SchemaValidator, ValidationError

from handler.errors import Detail, InvalidRequest
from handler.model import request
from handler.model.request import (
    Batch,
    GoneServer,
    Sweep,
    SweepBounds,
    Target,
    Work,
    read_form,
    require_scope,
)

ONE = "11111111-1111-4111-8111-111111111111"
TWO = "22222222-2222-4222-8222-222222222222"
THREE = "33333333-3333-4333-8333-333333333333"
MOMENT = "2026-11-28T12:00:00Z"


@pytest.fixture(autouse=True)
def nothing_was_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request, "_validators", {})


@pytest.mark.parametrize(
    ("tree", "read"),
    [
        ({"volume_id": ONE}, Target(ONE)),
        ({"volume_id": ONE, "attachment_id": None, "server_id": None, "not_after": None}, Target(ONE)),
        ({"volume_id": ONE, "recover": True, "dry_run": False}, Target(ONE, recover=True)),
        (
            {"volume_id": ONE, "attachment_id": TWO, "server_id": THREE, "live": True, "not_after": MOMENT},
            Target(ONE, TWO, THREE, live=True, not_after=MOMENT),
        ),
        ({"targets": [{"volume_id": ONE}, {"volume_id": TWO}]}, Batch([Target(ONE), Target(TWO)])),
        ({"server_id": ONE, "dry_run": True}, GoneServer(ONE, dry_run=True)),
        ({"sweep": {}}, Sweep(SweepBounds())),
        ({"sweep": {"limit": 0, "server_ids": None}}, Sweep(SweepBounds(limit=0))),
        ({"dry_run": True, "metadata": {"a": "b"}}, SweepBounds(dry_run=True, metadata={"a": "b"})),
    ],
)
def test_what_is_left_out_is_as_its_form_has_it(tree: dict[str, Any], read: Any) -> None:
    assert read_form(type(read), tree) == read


@pytest.mark.parametrize(
    ("form", "tree", "rule"),
    [
        (Target, {}, "missing"),
        (Target, {"volume_id": None}, "uuid"),
        (Target, {"volume_id": ONE, "dry_run": None}, "bool_type"),
        (Target, {"volume_id": ONE, "dry_run": "true"}, "bool_type"),
        (Target, {"volume_id": ONE, "mine": 1}, "extra_forbidden"),
        (Target, MappingProxyType({"volume_id": ONE}), "dict_type"),
        (Target, {"volume_id": ONE, "attachment_id": ONE}, "attachment_is_volume"),
        (Target, {"volume_id": ONE, "server_id": TWO, "live": True}, "live_ids"),
        (Target, {"volume_id": ONE, "attachment_id": TWO, "live": True}, "live_ids"),
        (Target, {"volume_id": ONE, "not_after": MOMENT}, "without_live"),
        (Target, {"volume_id": ONE, "not_after": 5, "live": True}, "moment"),
        (Target, {"volume_id": ONE, "not_after": "soon", "live": True}, "moment"),
        (Batch, {"targets": []}, "too_short"),
        (Batch, {"targets": ({"volume_id": ONE},)}, "list_type"),
        (Sweep, {"sweep": None}, "dict_type"),
        (SweepBounds, {"limit": -1}, "greater_than_equal"),
        (SweepBounds, {"limit": 1_000_001}, "less_than_equal"),
    ],
)
def test_what_is_not_as_its_form_has_it_is_refused_and_not_shown(form: Any, tree: Any, rule: str) -> None:
    with pytest.raises(ValidationError) as refused:
        read_form(form, tree)

    assert [error["type"] for error in refused.value.errors()] == [rule]
    assert "input_value" not in str(refused.value)


@pytest.mark.parametrize("value", ["3", 3.0, True])
def test_a_number_is_neither_a_text_nor_a_truth_value(value: object) -> None:
    with pytest.raises(ValidationError):
        SchemaValidator(request._whole(5)).validate_python(value)


def test_what_reads_a_form_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[object] = []

    def make(*given: Any) -> SchemaValidator:
        made.append(given)
        return SchemaValidator(*given)

    monkeypatch.setattr(request, "SchemaValidator", make)

    assert read_form(Target, {"volume_id": ONE}) == read_form(Target, {"volume_id": ONE})
    assert len(made) == 1


@pytest.mark.parametrize("name", ["project_ids", "exclude_project_ids"])
def test_projects_are_named_only_where_all_are_looked_at(name: str) -> None:
    without: list[Work] = [Target(ONE), Sweep(SweepBounds())]
    works = [*without, Sweep(read_form(SweepBounds, {name: [ONE]}))]

    require_scope(works, all_projects=True)
    require_scope(without, all_projects=False)
    with pytest.raises(InvalidRequest, match=f"not valid at /sweep/{name}: ") as refused:
        require_scope(works, all_projects=False)
    assert refused.value.details == (Detail(f"/sweep/{name}", "scope"),)
