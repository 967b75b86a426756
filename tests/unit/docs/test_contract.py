"""docs/contract.md against the code: its tables have every form, outcome, code and check, as they are."""

from __future__ import annotations

import json
import re
from dataclasses import fields
from typing import Any

import pytest

from handler import errors
from handler.errors import ErrorCode, Failure, Refused
from handler.invocation import Invocation, Trigger
from handler.model.request import Batch, GoneServer, SweepBounds, Target
from handler.model.result import Handled, ManyResult, Outcome, to_json, untargeted
from handler.settings import ServerCheck
from handler.triggers.reply import settle
from tests.unit.pages import Page

CONTRACT = Page("docs/contract.md")
INVOCATION = Invocation(Trigger.HTTP, "r")
FORMS: dict[str, type[Any]] = {
    "one": Target,
    "batch": Batch,
    "server": GoneServer,
    "sweep": SweepBounds,
}

# a failure of each kind that the table of outcomes tells apart
KINDS: dict[str, tuple[Failure, ...]] = {
    "refused, not retryable": (Refused(ErrorCode.SERVER_EXISTS, "m"),),
    "refused, retryable": (Refused(ErrorCode.SERVER_EXISTS, "m", retryable=True),),
    "unconfirmed": (errors.NotConfirmed("m"),),
    "failed, retryable": (errors.Throttled("m"), errors.DeadlineExceeded("m")),
    "failed, not retryable": (errors.PermissionDenied("m"), errors.Misconfigured("m")),
}
CLASSES = {
    kind.code: kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Failure)
}


@pytest.mark.parametrize("page", [CONTRACT, Page("README.md")], ids=lambda page: page.path)
def test_the_table_of_forms_has_every_key_of_every_form(page: Page) -> None:
    rows = {name: form for name, form, _ in page.table("forms")}
    assert rows.keys() == FORMS.keys()
    assert rows["sweep"].startswith('{"sweep": {')
    for name, form in FORMS.items():
        keys = re.findall(
            r'"(\w+)": (?:\{[^{}]*\}|\[[^\]]*\]|\w+)(\??)', rows[name].removeprefix('{"sweep": ')
        )
        assert keys == [(key, "?" if key in form._field_defaults else "") for key in form._fields], name


def test_the_result_that_it_shows_has_every_field_in_order() -> None:
    (shown,) = map(json.loads, CONTRACT.blocks("json"))
    result = json.loads(to_json(untargeted(Outcome.DETACHED, None, INVOCATION)))
    assert list(shown) == list(result)
    assert {key: list(shown[key]) for key in ("server", "volume_status")} == {
        key: list(result[key]) for key in ("server", "volume_status")
    }


def test_the_result_of_several_that_it_shows_has_every_field_in_order() -> None:
    (shown,) = re.findall(r"^Several: `(\{.*?\})`", CONTRACT.text, re.MULTILINE)
    outermost = re.sub(r"\{[^{}]*\}", "", re.sub(r"\{[^{}]*\}", "", shown[1:-1]))
    assert re.findall(r'"(\w+)"', outermost) == [
        field.name for field in fields(ManyResult) if field.name != "works"
    ]


def test_the_table_of_outcomes_has_every_outcome() -> None:
    rows = CONTRACT.table("outcomes")
    assert {row[0].split(",")[0] for row in rows} == {outcome.value for outcome in Outcome}
    assert {row[0]: row[1] for row in rows if "," not in row[0]} == {
        outcome.value: "yes" if outcome.ok else "no"
        for outcome in Outcome
        if outcome not in {Outcome.REFUSED, Outcome.FAILED}
    }


@pytest.mark.parametrize("row", CONTRACT.table("outcomes"), ids=lambda row: row[0])
def test_the_table_of_outcomes_says_how_each_is_delivered(row: list[str]) -> None:
    name, ok, _, http, event, platform = row
    outcome = Outcome(name.split(",")[0])
    for failure in KINDS.get(name, (None,)):
        delivery = settle(Handled(untargeted(outcome, failure, INVOCATION)))
        assert (ok == "yes") == outcome.ok
        if http == "by code":
            assert failure is not None
            assert delivery.http == failure.code.http
        else:
            assert delivery.http in {int(status) for status in re.findall(r"\b\d{3}\b", http)}
        assert ("Retry-After" in http) == (delivery.retry_after is not None)
        assert delivery.cloudevent == int(event[:3])
        assert platform == ("raised" if delivery.raised else "returned")


def test_the_table_of_codes_has_every_code_once_with_its_status() -> None:
    rows = CONTRACT.table("codes")
    assert [row[0] for row in rows] == [code.value for code in ErrorCode]
    for code, _, http, _ in rows:
        assert ErrorCode(code).http in {int(status) for status in re.findall(r"\b\d{3}\b", http)}, code


def test_the_table_of_codes_says_what_is_retryable() -> None:
    for code, _, _, retryable in CONTRACT.table("codes"):
        if retryable in {"yes", "no"} and (kind := CLASSES.get(ErrorCode(code))):
            assert kind.retryable == (retryable == "yes"), code


def test_the_table_of_server_checks_has_every_one() -> None:
    assert [row[0] for row in CONTRACT.table("server checks")] == [check.value for check in ServerCheck]
