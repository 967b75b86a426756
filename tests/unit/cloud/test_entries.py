"""The entries of a volume: all of them and of this volume alone, or none are known."""

from __future__ import annotations

import json
from typing import Any

import pytest

from handler.cloud.entries import Entry, read_entries
from handler.cloud.messages import Answer

VOLUME, ENTRY, SERVER = (number * 8 + "-1111-4111-8111-111111111111" for number in "abc")
ROW = {"id": ENTRY, "volume_id": VOLUME, "status": "attaching", "instance": SERVER}


def read(body: Any) -> tuple[Entry, ...] | None:
    return read_entries(Answer(200, {}, json.dumps(body).encode(), None), VOLUME)


@pytest.mark.parametrize(
    ("changed", "entry"),
    [
        ({}, Entry(ENTRY, ENTRY, "attaching", SERVER, SERVER)),
        ({"instance": SERVER.upper()}, Entry(ENTRY, ENTRY, "attaching", SERVER, SERVER.upper())),
        ({"id": ENTRY.replace("-", "")}, Entry(ENTRY, ENTRY.replace("-", ""), "attaching", SERVER, SERVER)),
        ({"instance": None}, Entry(ENTRY, ENTRY, "attaching", None, None)),
        ({"instance": "a-host"}, Entry(ENTRY, ENTRY, "attaching", None, None)),
        ({"instance": 7}, Entry(ENTRY, ENTRY, "attaching", None, None)),
        ({"status": "<b>"}, Entry(ENTRY, ENTRY, "unreadable", SERVER, SERVER)),
    ],
)
def test_an_entry_is_read(changed: dict[str, Any], entry: Entry) -> None:
    assert read({"attachments": [{**ROW, **changed}]}) == (entry,)


@pytest.mark.parametrize(
    "body",
    [
        {"attachments": [{**ROW, "volume_id": SERVER}]},
        {"attachments": [{**ROW, "volume_id": None}]},
        {"attachments": [{**ROW, "id": "disk-1"}]},
        {"attachments": [{name: value for name, value in ROW.items() if name != "instance"}]},
        {"attachments": [ROW, {**ROW, "id": ENTRY.upper()}]},
        {"attachments": [ROW], "attachments_links": [{"rel": "next", "href": "/attachments"}]},
        {"attachments": [7]},
        {"attachments": 7},
        {},
        [],
        None,
    ],
)
def test_what_may_be_others_or_not_all_is_not_known(body: Any) -> None:
    assert read(body) is None


def test_a_volume_may_have_none() -> None:
    assert read({"attachments": []}) == ()


def test_a_server_is_asked_for_as_it_is_listed_too() -> None:
    entry = Entry(ENTRY, ENTRY, "attached", SERVER, SERVER.upper())

    assert entry.server_spellings == (SERVER, SERVER.upper())
    assert entry._replace(listed_server_id=SERVER).server_spellings == (SERVER,)
    assert entry._replace(listed_server_id=None).server_spellings == (SERVER,)
    assert entry._replace(server_id=None).server_spellings == ()
