"""Stuck records, call by call, against what a real Cinder with a real Nova was recorded to answer."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from tests.embedded_cloud import Cloud, stuck
from tests.embedded_cloud.stuck import Stuck
from tests.unit.embedded_cloud.client import ask, volumes
from tests.unit.embedded_cloud.recordings import stuck_calls, stuck_states

ADMIN_PROJECT = "ad" * 16

BAD_REQUESTS = {
    "begin_detaching": "Invalid volume: Unable to detach volume. Volume status must be 'in-use' and "
    "attach_status must be 'attached' to detach.",
    "reset in-use": "Cannot reset-state to in-use because volume does not have any attachments.",
    "detach": "Invalid volume: The volume cannot be detached in maintenance mode.",
}
_CONFLICT = "ConflictNovaUsingAttachment: Detach volume from instance {} using the Compute API"


CASES = stuck_calls()


def _act(cloud: Cloud, it: Stuck, action: str, arguments: Any, *, admin: bool = False) -> requests.Response:
    project = ADMIN_PROJECT if admin else cloud.project_id
    token = cloud.token(project, role="admin" if admin else "member")
    path = volumes(cloud, f"/{it.volume.id}/action", project)
    return ask(cloud, "POST", path, token, json={action: arguments})


def _entry(cloud: Cloud, it: Stuck, method: str) -> requests.Response:
    path = f"/volume/v3/{cloud.project_id}/attachments/{it.attachment_id}"
    version = {"OpenStack-API-Version": "volume 3.44" if method == "POST" else "volume 3.27"}
    if method == "POST":
        return ask(cloud, method, f"{path}/action", cloud.token(), headers=version, json={"os-complete": {}})
    return ask(cloud, method, path, cloud.token(), headers=version)


def _send(cloud: Cloud, it: Stuck, call: str) -> requests.Response:
    match call:
        case "unreserve" | "roll_detaching" | "begin_detaching":
            return _act(cloud, it, f"os-{call}", {})
        case "detach id":
            return _act(cloud, it, "os-detach", {"attachment_id": it.attachment_id})
        case "detach {}":
            return _act(cloud, it, "os-detach", {})
        case "terminate":
            return _act(cloud, it, "os-terminate_connection", {"connector": {"host": "compute-1"}})
        case "DELETE entry":
            return _entry(cloud, it, "DELETE")
        case "complete":
            return _entry(cloud, it, "POST")
        case "reset available" | "reset in-use":
            return _act(cloud, it, "os-reset_status", {"status": call.split()[1]}, admin=True)
        case "reset avail.+detached":
            wanted = {"status": "available", "attach_status": "detached"}
            return _act(cloud, it, "os-reset_status", wanted, admin=True)
        case "force_detach":
            # Named where it was known: by an entry, or by the server that holds the disk.
            known = it.volume.attachments or any(it.volume.id in server.disks for server in cloud.servers)
            named = {"attachment_id": it.attachment_id} if known else {}
            return _act(cloud, it, "os-force_detach", named, admin=True)
    raise ValueError(call)


def _state(it: Stuck) -> str:
    entries = ", ".join(entry.status for entry in it.volume.attachments)
    return f"{it.volume.status}/{it.volume.attach_status} [{entries}]"


def _expected(result: str, before: str) -> str:
    known = {"=": before, "F": "available/detached []", "I": "in-use/attached [attached]"}
    return known.get(result, result if result.endswith("]") else f"{result} []")


def test_every_recorded_answer_is_a_case() -> None:
    assert {row for row, _, _ in CASES} == stuck.ROWS.keys()
    assert len(CASES) == 16 * 12 - 6 * 3 + 12 * 12


@pytest.mark.parametrize("row", stuck.ROWS)
def test_the_states_are_the_recorded_ones(cloud: Cloud, row: str) -> None:
    record, entry = stuck_states()[row]
    expected = f"{record} [{'' if entry == 'none' else entry}]"

    it = stuck.plant(cloud.world, row)

    assert _state(it) == expected
    shown = ask(cloud, "GET", volumes(cloud, f"/{it.volume.id}"), cloud.token()).json()["volume"]
    assert [a["attachment_id"] for a in shown["attachments"]] == [it.attachment_id] * (entry == "attached")
    listed = _listed(cloud, it)
    wanted = {
        "id": it.attachment_id,
        "status": entry,
        "instance": it.server_id,
        "volume_id": it.volume.id,
    }
    assert listed == ([] if entry == "none" else [wanted])


def _listed(cloud: Cloud, it: Stuck) -> Any:
    path = f"/volume/v3/{cloud.project_id}/attachments"
    headers = {"OpenStack-API-Version": "volume 3.27"}
    answer = ask(cloud, "GET", path, cloud.token(), headers=headers, params={"volume_id": it.volume.id})
    return answer.json()["attachments"]


@pytest.mark.parametrize(("row", "call", "cell"), CASES, ids=lambda part: part.replace(" ", "_"))
def test_it_answers_as_recorded(cloud: Cloud, row: str, call: str, cell: str) -> None:
    it = stuck.plant(cloud.world, row)
    before, changed_at = _state(it), it.volume.updated_at
    status, _, result = cell.partition(" ")
    after = _expected(result or "=", before)

    answer = _send(cloud, it, call)

    assert (answer.status_code, _state(it)) == (int(status), after)
    if status in {"202", "204"}:
        assert answer.content == b""
    elif status == "200":
        assert answer.json() == {"attachments": []}
    else:
        assert answer.json() == _refusal(it, call, int(status))
        assert it.volume.updated_at == changed_at


def _refusal(it: Stuck, call: str, status: int) -> dict[str, Any]:
    if status == 409:
        message = _CONFLICT.format(it.server_id if it.volume.attachments else "")
        return {"conflictingRequest": {"code": 409, "message": message}}
    if status == 404:
        message = f"Volume attachment could not be found with filter: attachment_id = {it.attachment_id}."
        return {"itemNotFound": {"code": 404, "message": message}}
    kind = "detach" if call in {"detach id", "detach {}", "force_detach"} else call
    return {"badRequest": {"code": 400, "message": BAD_REQUESTS[kind]}}


# Who may call what.

_RULES = {
    "os-unreserve": "volume_extension:volume_actions:unreserve",
    "os-roll_detaching": "volume_extension:volume_actions:roll_detaching",
    "os-begin_detaching": "volume_extension:volume_actions:begin_detaching",
    "os-detach": "volume_extension:volume_actions:detach",
    "os-terminate_connection": "volume_extension:volume_actions:terminate_connection",
    "os-reset_status": "volume_extension:volume_admin_actions:reset_status",
    "os-force_detach": "volume_extension:volume_admin_actions:force_detach",
}
_ARGUMENTS: dict[str, Any] = {
    "os-terminate_connection": {"connector": None},
    "os-reset_status": {"status": "available"},
}
_ADMINS_ONLY = {"os-reset_status", "os-force_detach"}


@pytest.mark.parametrize("action", _RULES)
@pytest.mark.parametrize("role", ["member", "reader", "admin", "other"])
def test_a_volumes_actions_are_for_those_that_may(cloud: Cloud, action: str, role: str) -> None:
    it = stuck.plant(cloud.world, "N16")
    project = {"admin": ADMIN_PROJECT, "other": cloud.other_project_id}.get(role, cloud.project_id)
    token = cloud.token(project, role={"other": "member"}.get(role, role))
    path = volumes(cloud, f"/{it.volume.id}/action", project)

    answer = ask(cloud, "POST", path, token, json={action: _ARGUMENTS.get(action, {})})

    refused = role == "reader" or (role == "member" and action in _ADMINS_ONLY)
    assert answer.status_code == (404 if role == "other" else 403 if refused else 202)
    if role == "other":
        message = f"Volume {it.volume.id} could not be found."
        assert answer.json() == {"itemNotFound": {"code": 404, "message": message}}
    elif refused:
        message = f"Policy doesn't allow {_RULES[action]} to be performed."
        assert answer.json() == {"forbidden": {"code": 403, "message": message}}


@pytest.mark.parametrize(
    ("method", "role", "status"),
    [
        ("DELETE", "member", 200),
        ("DELETE", "reader", 403),
        ("DELETE", "admin", 200),
        ("DELETE", "other", 403),
        ("POST", "member", 204),
        ("POST", "reader", 403),
        ("POST", "admin", 204),
        ("POST", "other", 404),
    ],
)
def test_an_entrys_calls_are_for_those_that_may(cloud: Cloud, method: str, role: str, status: int) -> None:
    it = stuck.plant(cloud.world, "N5")
    project = {"admin": ADMIN_PROJECT, "other": cloud.other_project_id}.get(role, cloud.project_id)
    token = cloud.token(project, role={"other": "member"}.get(role, role))
    path = f"/volume/v3/{project}/attachments/{it.attachment_id}" + ("/action" if method == "POST" else "")
    headers = {"OpenStack-API-Version": "volume 3.71"}
    body: Any = {"os-complete": {}} if method == "POST" else None

    answer = ask(cloud, method, path, token, headers=headers, json=body)

    assert answer.status_code == status
    if status == 403:
        rule = "volume:attachment_delete" if method == "DELETE" else "volume:attachment_complete"
        message = f"Policy doesn't allow {rule} to be performed."
        assert answer.json() == {"forbidden": {"code": 403, "message": message}}


@pytest.mark.parametrize("arguments", [{}, None, ""], ids=repr)
@pytest.mark.parametrize(("action", "row"), [("os-unreserve", "N1"), ("os-roll_detaching", "N5")])
def test_the_plain_marks_take_any_arguments(cloud: Cloud, action: str, row: str, arguments: object) -> None:
    it = stuck.plant(cloud.world, row)

    assert _act(cloud, it, action, arguments).status_code == 202
    assert it.volume.status in {"available", "in-use"}


@pytest.mark.parametrize(
    ("method", "version", "part", "status"),
    [
        ("GET", None, "", 404),
        ("GET", "3.26", "", 404),
        ("GET", "3.27", "", 200),
        ("GET", "3.27", "/detail", 200),
        ("GET", "3.27", "/ENTRY", 200),
        ("DELETE", "3.26", "/ENTRY", 404),
        ("POST", "3.43", "/ENTRY/action", 404),
        ("POST", "3.44", "/ENTRY/action", 204),
        ("GET", "3.999", "", 406),
    ],
)
def test_the_attachments_api_needs_its_microversion(
    cloud: Cloud, method: str, version: str | None, part: str, status: int
) -> None:
    it = stuck.plant(cloud.world, "N5")
    path = f"/volume/v3/{cloud.project_id}/attachments" + part.replace("ENTRY", it.attachment_id)
    headers = {"OpenStack-API-Version": f"volume {version}"} if version else {}
    body: Any = {"os-complete": {}} if method == "POST" else None

    answer = ask(cloud, method, path, cloud.token(), headers=headers, json=body)
    of_v2 = ask(cloud, method, path.replace("/v3/", "/v2/"), cloud.token(), headers=headers, json=body)

    assert (answer.status_code, of_v2.status_code) == (status, 404)


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"status": "deleting"}, "Cannot reset-state to deleting"),
        ({"status": "in-use"}, BAD_REQUESTS["reset in-use"]),
        ({"status": "error_detaching"}, "Volume status: error_detaching is invalid, valid statuses are: ("),
        ({"status": "detaching"}, None),
        ({"status": "error_deleting"}, None),
    ],
    ids=str,
)
def test_an_administrator_may_write_over_a_free_volumes_status(
    cloud: Cloud, wanted: dict[str, str], message: str | None
) -> None:
    it = Stuck(cloud.add_volume(), "", "")

    answer = _act(cloud, it, "os-reset_status", wanted, admin=True)

    if message is None:
        assert (answer.status_code, it.volume.status) == (202, wanted["status"])
    else:
        assert answer.status_code == 400
        assert answer.json()["badRequest"]["message"].startswith(message)
        assert it.volume.status == "available"


# The guard and what it does not see.


def test_the_guard_asks_only_about_the_server_that_the_entry_names(cloud: Cloud) -> None:
    it = stuck.plant(cloud.world, "L12")
    holder = cloud.add_server()
    holder.disks[it.volume.id] = cloud.server(it.server_id).disks.pop(it.volume.id)

    assert _send(cloud, it, "detach id").status_code == 202
    assert _state(it) == "available/detached []"


def test_the_guard_lets_pass_an_entry_that_nova_knows_by_another_id(cloud: Cloud) -> None:
    it = stuck.plant(cloud.world, "L12")
    cloud.server(it.server_id).disks[it.volume.id].attachment_id = it.volume.id

    assert _send(cloud, it, "DELETE entry").status_code == 200


def test_the_guard_can_not_ask_a_cell_that_is_down(cloud: Cloud) -> None:
    it = stuck.plant(cloud.world, "L12")
    cloud.cells_down.add("cell1")

    assert _send(cloud, it, "detach id").status_code == 500
    assert _state(it) == "in-use/attached [attached]"
