"""What happens to one target, row by row: what the cloud answers, in strict order, and what must come of it.

The table is that of docs/contract.md.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import pytest

from handler.errors import ErrorCode
from handler.model.result import Outcome
from tests.unit.actions.answers import (
    ATTACHMENT,
    COMPUTE_ENDPOINT,
    IN_USE,
    ITS_ACTIONS,
    OTHER_SERVER,
    PROJECT,
    SERVER,
    THE_SERVER,
    THE_VOLUME,
    TOKEN,
    VOLUME,
    Row,
    codes,
    entry,
    get,
    outcomes,
    server,
    volume,
)
from tests.unit.actions.opted_in import CODES
from tests.unit.actions.rows_attachment import ATTACHMENT_ROWS
from tests.unit.actions.rows_detach import DETACH_ROWS
from tests.unit.actions.rows_server import SERVER_ROWS
from tests.unit.actions.rows_server_check import CHECKS
from tests.unit.actions.rows_volume import VOLUME_ROWS

ROWS = [*VOLUME_ROWS, *ATTACHMENT_ROWS, *SERVER_ROWS, *CHECKS, *DETACH_ROWS]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_the_rule(row: Row) -> None:
    result, sent, _clock = row.run()

    wire = [(request.method, (request.url or "").partition("?")[0]) for request in sent]
    assert wire == [(method, url.partition("?")[0]) for method, url, *_ in row.answers]
    assert (result.outcome, result.error and result.error.code) == (row.outcome, row.code)
    assert result.error is None or result.error.retryable is row.retryable
    assert result.ok is Outcome(row.outcome).ok
    assert result.changed is row.changed
    sends = row.outcome == "would_detach" or any(method == "POST" for method, *_ in row.answers)
    refused = row.code == "token_rejected" and row.changed is False  # at the door, so nothing was asked for
    assert result.via == ("os-detach" if sends and not refused else None)
    assert result.calls == len(row.answers)
    assert result.remaining_attachments == row.remaining
    assert (result.server.exists, result.server.status) == row.server
    looked_up = any(url.startswith(COMPUTE_ENDPOINT) for _, url, *_ in row.answers)
    assert result.server.checked is (looked_up or row.code == "server_unknown")  # of no server, too
    assert (result.volume_status.before, result.volume_status.after) == row.status
    message = result.error.message if result.error else ""
    assert row.says in message
    assert "is off here" not in message, "nobody asked for what is switched off"
    answered = [
        f"req-{number}" for number, said in enumerate(row.answers) if not isinstance(said[3], Exception)
    ]
    assert list(result.upstream_request_ids) == answered
    upstream = result.error.upstream if result.error else None
    if row.upstream is not None:
        assert upstream is not None
        assert (upstream.status, upstream.code) == row.upstream
        assert upstream.request_id in answered
    if row.retry_after is not None:
        assert result.error is not None
        assert result.error.retry_after == row.retry_after


@pytest.mark.parametrize(
    ("tenant", "named", "outcome"),
    [
        ("0" * 32, "0" * 32, "refused"),
        ("../" + "0" * 29, PROJECT, "refused"),
        (None, PROJECT, "already_detached"),
        (PROJECT, PROJECT, "already_detached"),
    ],
)
def test_a_result_names_a_project_by_what_can_be_an_id(tenant: str | None, named: str, outcome: str) -> None:
    record = volume("available", name="data-1", **{"os-vol-tenant-attr:tenant_id": tenant})
    result, _sent, _clock = Row("", [get(THE_VOLUME, 200, record)], "").run()

    assert (result.project_id, result.outcome, result.disk.name) == (named, outcome, "data-1")


def test_a_result_says_which_disk_it_was_and_where() -> None:
    (row,) = [row for row in ROWS if row.name == "a dry run looks and judges, and sends nothing"]
    result, _sent, _clock = row.run()

    assert (result.disk.device, result.disk.attached_at) == ("/dev/vdb", "2026-12-01T09:30:00Z")


def test_a_result_names_the_one_attachment_that_nobody_named() -> None:
    (row,) = [row for row in ROWS if row.name == "a dry run looks and judges, and sends nothing"]
    result, _sent, _clock = replace(row, target={"attachment_id": None, "dry_run": True}).run()

    assert result.attachment_id == ATTACHMENT


_OFF = ("DETACH_LIVE is off here", "DETACH_RECOVER is off here")


@pytest.mark.parametrize(
    ("asked", "server_id", "record", "says", "off"),
    [
        ("live", SERVER, IN_USE, "Detach the volume at the server instead", "DETACH_LIVE is off here"),
        ("live", OTHER_SERVER, IN_USE, "another server than server_id says", None),
        ("live", SERVER, volume("error", entry()), "(only an in-use record is cleared)", None),
        ("recover", SERVER, volume("error", entry()), "only an in-use", "DETACH_RECOVER is off here"),
        ("recover", SERVER, IN_USE, "The server exists (ACTIVE)", None),
    ],
)
def test_only_what_was_asked_for_and_is_switched_off_is_named(
    asked: str, server_id: str, record: dict[str, Any], says: str, off: str | None
) -> None:
    looks = [get(THE_VOLUME, 200, record)]
    if record is IN_USE and server_id == SERVER:
        looks.append(get(THE_SERVER, 200, server("ACTIVE")))
    target = {asked: True, "server_id": server_id}
    result, _sent, _clock = Row("", looks, "refused", target=target).run()

    assert result.error is not None
    assert says in result.error.message
    assert [word for word in _OFF if word in result.error.message] == ([off] if off else [])


@pytest.mark.parametrize("asked", ["live", "recover"])
def test_a_bug_is_said_to_be_one_whatever_is_switched_off(
    monkeypatch: pytest.MonkeyPatch, asked: str
) -> None:
    def broken(*_: object) -> None:
        raise KeyError("a bug")

    monkeypatch.setattr("handler.actions.clear.find_attachment", broken)
    target = {asked: True, "server_id": SERVER}
    result, _sent, _clock = Row("", [get(THE_VOLUME, 200, IN_USE)], "failed", target=target).run()

    assert result.error is not None
    assert (result.outcome, result.error.code) == (Outcome.FAILED, ErrorCode.INTERNAL)


@pytest.mark.parametrize("status", ["detaching", "error"])
def test_live_changes_nothing_about_the_state_where_it_is_switched_off(status: str) -> None:
    looks = [get(THE_VOLUME, 200, volume(status, entry()))]
    result, _sent, _clock = Row("", looks, "refused", target={"live": True, "server_id": SERVER}).run()

    assert result.error is not None
    assert result.error.code is ErrorCode.VOLUME_STATE


def test_a_deletion_that_goes_on_is_looked_at_with_pauses() -> None:
    (row,) = [row for row in ROWS if row.name == "recorded: a deletion that goes on passes"]
    _result, _sent, clock = row.run()

    assert clock.slept == [0.5, 1.0, 2.0]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_every_call_carries_the_token_and_a_post_its_attachment(row: Row) -> None:
    _result, sent, _clock = row.run()

    for request in sent:
        assert (request.headers["X-Auth-Token"] or "").startswith(TOKEN)
        assert "OpenStack-API-Version" not in request.headers or (request.url or "").startswith(ITS_ACTIONS)
        if request.method == "POST":
            assert json.loads(request.body or b"") == {"os-detach": {"attachment_id": row.listed}}
            assert request.headers["Content-Type"] == "application/json"
        else:
            assert request.body is None


def test_no_post_is_sent_unless_something_is_cleared_or_the_cloud_was_asked() -> None:
    quiet = [row for row in ROWS if not any(method == "POST" for method, *_ in row.answers)]

    assert {row.changed for row in quiet} == {False}
    assert all(row.outcome not in {Outcome.DETACHED, Outcome.UNCONFIRMED} for row in quiet)
    assert len(quiet) > len(ROWS) / 2


def test_the_record_of_a_deletion_is_asked_for_with_its_microversion() -> None:
    row = next(row for row in CHECKS if row.name.startswith("recorded: a deletion on record"))

    _result, sent, _clock = row.run()

    asked = [request for request in sent if (request.url or "").startswith(ITS_ACTIONS)]
    assert [request.headers["OpenStack-API-Version"] for request in asked] == ["compute 2.51"] * 2
    assert [request.headers["X-OpenStack-Nova-API-Version"] for request in asked] == ["2.51"] * 2


def test_without_a_check_the_result_says_that_no_server_was_checked() -> None:
    row = next(row for row in CHECKS if row.check == "off")

    result, sent, _clock = row.run()

    assert (result.server.id, result.server.exists, result.server.checked) == (SERVER, None, False)
    assert {urlsplit(request.url or "").hostname for request in sent} == {"volume.example"}


def test_the_looks_after_a_post_double_their_pause_to_two_seconds_and_end_within_eight() -> None:
    row = next(row for row in DETACH_ROWS if row.name == "a record that is not cleared in 8 s is unconfirmed")

    _result, _sent, clock = row.run()

    assert clock.slept == [0.2, 0.4, 0.8, 1.6, 2.0, 2.0]


def test_a_result_names_the_target_as_it_was_asked_for() -> None:
    result, _sent, _clock = DETACH_ROWS[0].run()

    assert (result.volume_id, result.dry_run, result.request_id, result.trigger) == (
        VOLUME,
        True,
        "r-1",
        "http",
    )


def test_the_table_reaches_every_outcome_and_every_code_of_a_target() -> None:
    of_doors_and_lists = {
        ErrorCode.INVALID_REQUEST,
        ErrorCode.UNAUTHENTICATED,
        ErrorCode.FORBIDDEN,
        ErrorCode.SECRET_UNAVAILABLE,
        ErrorCode.SWEEP_REFUSED,
        ErrorCode.LISTING_FAILED,
        ErrorCode.INTERNAL,
    }

    assert codes(ROWS) == set(ErrorCode) - of_doors_and_lists - CODES
    assert outcomes(ROWS) == set(Outcome) - {Outcome.IGNORED, Outcome.DISPATCHED, Outcome.RECOVERED}


def test_no_two_rows_have_one_name() -> None:
    assert len({row.name for row in ROWS}) == len(ROWS)
