"""One odd record in a long list: what is not used is read past, what is and can't be read is named."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import requests

from handler.actions.dispatch import carry_out
from handler.actions.lists import LeftOut
from handler.errors import ErrorCode
from handler.model.request import Target
from handler.model.result import ManyResult, Outcome, TargetResult, to_json
from tests.embedded_cloud import Call, Cloud
from tests.embedded_cloud.messages import Answer
from tests.unit.embedded_project import EmbeddedProject

Bend = Callable[[dict[str, Any]], None]


def listed_as(cloud: Cloud, volume_id: str, bend: Bend, *, before: bytes = b"") -> None:
    """Have the list of volumes show one record otherwise, from now on."""
    answer = requests.get(
        f"{cloud.volume_endpoint}/{cloud.project_id}/volumes/detail",
        headers={"X-Auth-Token": cloud.token()},
        timeout=10,
    )
    body = answer.json()
    (record,) = [record for record in body["volumes"] if record["id"] == volume_id]
    bend(record)
    text = before + json.dumps(body).encode()
    cloud.misbehave("volume", "GET", path_contains="/volumes/detail", status=200, body=text)
    cloud.clear_calls()


def outcomes(result: ManyResult) -> list[Outcome]:
    return [part.outcome for part in result.results]


@pytest.mark.parametrize(
    "name", ["disk \ud83d", "\udfff", "\x00\x1b[2J", "\u202edisk", "=cmd|'/c calc'!A1", "x" * 100_000, ""]
)
def test_an_odd_name_stops_no_sweep(bare_cloud: Cloud, project: EmbeddedProject, name: str) -> None:
    orphan, _attachment, _server = project.add_orphan(name=name)
    project.add_held(3)

    result = project.sweep()

    assert outcomes(result) == [Outcome.DETACHED]
    assert bare_cloud.volume(orphan).status == "available"
    to_json(result).encode()


def test_a_disk_is_described_by_the_list_where_its_record_can_not_be_read(
    bare_cloud: Cloud, project: EmbeddedProject
) -> None:
    orphan, _attachment, _server = project.add_orphan(name="data-1")
    project.add_held(3)
    bare_cloud.misbehave("volume", "GET", path_contains=f"/volumes/{orphan}", status=500, times=None)

    (result,) = project.sweep().results

    assert (result.outcome, result.disk.name) == (Outcome.FAILED, "data-1")


@pytest.mark.parametrize("name", ["disk \ud83d", "\udfff"])
def test_an_odd_name_stops_no_form_server(project: EmbeddedProject, name: str) -> None:
    _volume, _attachment, server = project.add_orphan(name=name)

    assert outcomes(project.clear_server(server)) == [Outcome.DETACHED]


@pytest.mark.parametrize(
    "odd",
    [
        {"metadata": {"k": "\ud83d", "\udc00": "v"}},
        {"metadata": ["no", "object"]},
        {"metadata": None},
        {"size": "12"},
        {"size": -1},
        {"name": 5},
        {"updated_at": {"no": "moment"}},
        {"bootable": {"deep": [[[[{}]]]]}},
        {"os-vol-tenant-attr:tenant_id": None},
    ],
    ids=json.dumps,
)
def test_what_is_not_used_is_read_past(
    bare_cloud: Cloud, project: EmbeddedProject, odd: dict[str, Any]
) -> None:
    orphan, _attachment, _server = project.add_orphan()
    project.add_held(3)
    listed_as(bare_cloud, orphan, lambda record: record.update(odd))

    result = project.sweep()

    assert outcomes(result) == [Outcome.DETACHED]
    assert result.scanned is not None
    assert result.scanned.skipped.unreadable == 0


def test_a_byte_order_mark_before_a_list_is_read_past(bare_cloud: Cloud, project: EmbeddedProject) -> None:
    orphan, _attachment, _server = project.add_orphan()
    project.add_held(3)
    listed_as(bare_cloud, orphan, lambda _record: None, before=b"\xef\xbb\xbf")

    assert outcomes(project.sweep()) == [Outcome.DETACHED]


RAW = {"bytes that are no UTF-8": b"\xff\xfe", "control characters": b"a\x01b\tc", "half a pair": rb"\ud83d"}


@pytest.mark.parametrize("odd", RAW.values(), ids=RAW)
def test_a_text_that_json_does_not_allow_is_read_past_in_a_list(
    bare_cloud: Cloud, project: EmbeddedProject, odd: bytes
) -> None:
    orphan, _attachment, _server = project.add_orphan(name="ODD")
    project.add_held(3)
    raw = requests.get(
        f"{bare_cloud.volume_endpoint}/{bare_cloud.project_id}/volumes/detail",
        headers={"X-Auth-Token": bare_cloud.token()},
        timeout=10,
    ).content
    assert b"ODD" in raw
    bare_cloud.misbehave(
        "volume", "GET", path_contains="/volumes/detail", status=200, body=raw.replace(b"ODD", odd)
    )

    assert outcomes(project.sweep()) == [Outcome.DETACHED]
    assert bare_cloud.volume(orphan).status == "available"


@pytest.mark.parametrize("odd", [*RAW.values(), b'", "x": NaN, "y": "'], ids=[*RAW, "no number"])
def test_and_in_a_record_that_is_asked_for_by_its_id(
    bare_cloud: Cloud, project: EmbeddedProject, odd: bytes
) -> None:
    server = bare_cloud.add_server(name="ODD")
    held = bare_cloud.add_volume(name="ODD", attachments=[server])
    gone, _attachment, _server = project.add_orphan(name="ODD")

    def see(call: Call) -> None:
        """Has the cloud's own next answer, whatever it is, come with the odd text."""
        bare_cloud.misbehaviour.clear()
        answer = bare_cloud._act(call) if call.method == "GET" else Answer(0)
        if b"ODD" in answer.body:
            body = answer.body.replace(b"ODD", odd)
            bare_cloud.misbehave(status=answer.status, body=body)

    bare_cloud.hook(see)

    cleared, refused = (
        carry_out([Target(volume_id=volume_id)], project.services()) for volume_id in (gone, held.id)
    )

    assert isinstance(cleared, TargetResult)
    assert isinstance(refused, TargetResult)
    assert cleared.outcome is Outcome.DETACHED
    assert refused.error is not None
    assert refused.error.code is ErrorCode.SERVER_EXISTS
    to_json(cleared).encode()


UNREADABLE = [
    {"attachments": None},
    {"attachments": {"server_id": "x"}},
    {"attachments": ["no", "object"]},
    {"status": None},
    {"status": ["in-use"]},
    {"status": ""},
]


@pytest.mark.parametrize("odd", UNREADABLE, ids=json.dumps)
def test_a_record_whose_needed_part_can_t_be_read_is_left_out_alone_and_named(
    bare_cloud: Cloud, project: EmbeddedProject, caplog: pytest.LogCaptureFixture, odd: dict[str, Any]
) -> None:
    orphan, _attachment, _server = project.add_orphan()
    (odd_one,) = project.add_held(1)
    project.add_held(3)
    listed_as(bare_cloud, odd_one, lambda record: record.update(odd))

    result = project.sweep()

    assert outcomes(result) == [Outcome.DETACHED]
    assert bare_cloud.volume(orphan).status == "available"
    assert bare_cloud.volume(odd_one).status == "in-use"
    assert result.scanned is not None
    assert result.scanned.skipped.unreadable == 1
    (line,) = [line for line in caplog.records if line.msg == "record_unreadable"]
    assert line.__dict__["fields"]["volume_id"] == odd_one


def test_a_record_that_is_listed_twice_is_left_out_and_named_once(
    project: EmbeddedProject, caplog: pytest.LogCaptureFixture
) -> None:
    left_out = LeftOut(project.services())

    for id_ in ("a", None, "a", None, "b"):
        left_out(id_)

    assert list(left_out.ids) == ["a", None, "b"]
    named = [
        line.__dict__["fields"]["volume_id"] for line in caplog.records if line.msg == "record_unreadable"
    ]
    assert named == ["a", None, "b"]


@pytest.mark.parametrize("cap", [None, 3])
def test_a_record_without_an_id_that_can_be_read_is_counted(
    bare_cloud: Cloud, project: EmbeddedProject, cap: int | None
) -> None:
    bare_cloud.page_cap = cap
    project.add_orphan()
    project.add_held(3)
    (odd_one,) = project.add_held(1)  # the newest, so it is on the first page
    listed_as(bare_cloud, odd_one, lambda record: record.update(id=None))

    result = project.sweep()

    assert outcomes(result) == [Outcome.DETACHED]
    assert result.scanned is not None
    assert result.scanned.skipped.unreadable == 1


@pytest.mark.parametrize("odd", UNREADABLE, ids=json.dumps)
def test_form_server_says_which_record_may_still_name_its_server(
    bare_cloud: Cloud, project: EmbeddedProject, odd: dict[str, Any]
) -> None:
    _volume, _attachment, server = project.add_orphan()
    (odd_one,) = project.add_held(1)
    listed_as(bare_cloud, odd_one, lambda record: record.update(odd))

    result = project.clear_server(server)

    assert outcomes(result) == [Outcome.DETACHED]
    assert (result.ok, result.complete) == (False, False)
    assert result.error is not None
    assert result.error.code is ErrorCode.LISTING_FAILED
    assert odd_one in result.error.message


@pytest.mark.parametrize("id_", [None, 5, "no-uuid", "", ["x"]])
def test_a_server_s_record_that_can_t_be_read_may_hide_a_server(
    bare_cloud: Cloud, project: EmbeddedProject, id_: object
) -> None:
    orphan, _attachment, _server = project.add_orphan()
    project.add_held(3)
    answer = requests.get(
        f"{bare_cloud.compute_endpoint}/{bare_cloud.project_id}/servers",
        headers={"X-Auth-Token": bare_cloud.token()},
        timeout=10,
    ).json()
    answer["servers"][1]["id"] = id_
    bare_cloud.misbehave("compute", "GET", path_contains="/servers", status=200, body=answer)

    result = project.sweep()

    assert result.results == ()
    assert result.error is not None
    assert result.error.code is ErrorCode.LISTING_FAILED
    assert bare_cloud.volume(orphan).status == "in-use"


def test_a_page_of_nothing_that_can_be_read_ends(bare_cloud: Cloud, project: EmbeddedProject) -> None:
    body = {"volumes": [{"id": None}], "volumes_links": [{"rel": "next", "href": "http://x/?marker=y"}]}
    bare_cloud.misbehave("volume", "GET", path_contains="/volumes/detail", status=200, body=body)

    result = project.sweep()

    assert result.error is not None
    assert result.error.code is ErrorCode.LISTING_FAILED


@pytest.mark.parametrize(("count", "more"), [(1, ""), (10, ""), (11, " and 1 more")])
def test_ten_records_at_most_are_named(project: EmbeddedProject, count: int, more: str) -> None:
    left_out = LeftOut(project.services())
    ids = [f"volume-{number}" for number in range(count)]
    for id_ in ids:
        left_out(id_)

    message = left_out.failure("whether").message

    assert f"{', '.join(ids[:10])}{more} can't be read" in message


def test_a_disk_is_described_by_its_record_where_that_can_be_read(
    bare_cloud: Cloud, project: EmbeddedProject
) -> None:
    project.add_held(2)
    orphan, *_ = project.add_orphan(name="new")
    listed_as(bare_cloud, orphan, lambda record: record.update(name="old"))

    (part,) = project.sweep().results

    assert (part.outcome, part.disk.name) == (Outcome.DETACHED, "new")
