"""What the services themselves answer to the calls that the function's rules rest on: no function between."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import pytest

from tests.contract.test_one import FREE, HELD
from tests.contract.wire import Wire, shape

if TYPE_CHECKING:
    from tests.contract.case import Case


def test_a_volume_is_shown_with_its_attachments(wire: Wire) -> None:
    disk = wire.case.never_known()
    volume = wire.volumes(f"/{disk.volume_id}").json()["volume"]
    assert volume["os-vol-tenant-attr:tenant_id"] == wire.case.project_id
    assert volume["attachments"][0]["attachment_id"] == disk.attachment_id
    wire.case.steps.append(f"of an attachment: {shape(volume['attachments'][0])}")


def test_detaching_again_by_id_is_a_conflict(wire: Wire) -> None:
    disk = wire.case.never_known()
    arguments = {"attachment_id": disk.attachment_id}
    assert wire.detach(disk, arguments, HELD, FREE).status_code == 202
    assert wire.detach(disk, arguments, FREE, FREE).status_code == 409


def test_detaching_without_an_id_takes_the_only_attachment(wire: Wire) -> None:
    disk = wire.case.never_known()
    assert wire.detach(disk, {}, HELD, FREE).status_code == 202
    assert wire.detach(disk, {}, FREE, FREE).status_code == 202


def test_detaching_by_an_unknown_id_is_a_conflict(wire: Wire) -> None:
    disk = wire.case.never_known()
    assert wire.detach(disk, {"attachment_id": str(uuid.uuid4())}, HELD, HELD).status_code == 409


def test_detaching_by_another_volumes_id_is_refused(wire: Wire) -> None:
    disk, other = wire.case.never_known(), wire.case.never_known()
    assert wire.detach(disk, {"attachment_id": other.attachment_id}, HELD, HELD).status_code == 400
    assert str(wire.case.lab.look(other.volume_id)) == HELD


def test_detaching_one_of_several_without_an_id_is_a_conflict(wire: Wire) -> None:
    disk = wire.case.lab.disk(wire.case.project_id, str(uuid.uuid4()), str(uuid.uuid4()))
    assert wire.detach(disk, {}, "in-use 2", "in-use 2").status_code == 409


def test_detaching_a_live_servers_disk_is_a_conflict(wire: Wire) -> None:
    disk = wire.case.at_live_server()
    assert wire.detach(disk, {"attachment_id": disk.attachment_id}, HELD, HELD).status_code == 409
    assert wire.detach(disk, {}, HELD, HELD).status_code == 409


def test_detaching_what_a_live_servers_list_lacks_is_done(wire: Wire) -> None:
    """Why the function asks before: the cloud itself trusts the list."""
    disk = wire.case.at_live_server()
    wire.case.lab.forget(disk.server_id, disk.volume_id)
    assert wire.detach(disk, {"attachment_id": disk.attachment_id}, HELD, FREE).status_code == 202


@pytest.mark.parametrize("status", ["attaching", "detaching", "error_detaching", "maintenance"])
def test_detaching_in_another_state_is_mostly_done(wire: Wire, status: str) -> None:
    """Why the function looks at the state before: the cloud clears all but ``maintenance``."""
    if status == "attaching":
        disk = wire.case.lab.disk(wire.case.project_id)
        wire.case.lab.reserve(disk)
        state, arguments = "attaching 0", {}
    else:
        disk = wire.case.never_known()
        wire.case.lab.set_status(disk, status)
        state, arguments = f"{status} 1", {"attachment_id": disk.attachment_id}
    kept = status == "maintenance"
    answer = wire.detach(disk, arguments, state, state if kept else FREE)
    assert answer.status_code == (400 if kept else 202)


@pytest.mark.parametrize(
    "body",
    [{}, {"os-detach": {"attachment_id": "text"}}, {"os-detach": {"force": True}}, {"os-detachh": {}}],
    ids=["empty", "no-uuid", "unknown-key", "unknown-action"],
)
def test_a_wrong_body_is_refused(wire: Wire, body: Any) -> None:
    disk = wire.case.never_known()
    assert wire.volumes(f"/{disk.volume_id}/action", body).status_code == 400
    assert str(wire.case.lab.look(disk.volume_id)) == HELD


def test_an_unknown_volume_is_not_found(wire: Wire) -> None:
    assert wire.volumes(f"/{uuid.uuid4()}").status_code == 404
    assert wire.volumes(f"/{uuid.uuid4()}/action", {"os-detach": {}}).status_code == 404


def test_a_bad_token_is_refused(wire: Wire) -> None:
    wire.token = "not-a-token"
    assert wire.volumes("").status_code == 401
    assert wire.servers("").status_code == 401


def test_a_reader_may_see_but_not_detach(case: Case) -> None:
    reader = Wire(case, case.lab.token(case.project_id, role="reader"))
    disk = case.never_known()
    assert reader.volumes(f"/{disk.volume_id}").status_code == 200
    assert reader.detach(disk, {"attachment_id": disk.attachment_id}, HELD, HELD).status_code == 403


def test_another_projects_token_sees_nothing(case: Case, case_alone: Case) -> None:
    stranger = Wire(case, case.lab.token(case_alone.project_id))
    disk = case.at_live_server()
    for project in (case.project_id, case_alone.project_id):
        stranger.volumes(f"/{disk.volume_id}", project=project)
        stranger.servers(f"/{disk.server_id}", project=project)
    assert [step[:3] for step in case.steps] == ["400", "400", "404", "404"]


def test_a_server_is_shown_in_any_state(wire: Wire) -> None:
    disk = wire.case.at_live_server()
    server = wire.servers(f"/{disk.server_id}").json()["server"]
    assert (server["id"], server["status"]) == (disk.server_id, "ACTIVE")
    wire.case.lab.soft_delete(disk.server_id)
    server = wire.servers(f"/{disk.server_id}").json()["server"]
    assert (server["status"], server["OS-EXT-STS:task_state"]) == ("SOFT_DELETED", None)


def test_a_servers_id_is_known_in_upper_case_but_not_without_hyphens(wire: Wire) -> None:
    server_id = wire.case.lab.boot(wire.case.project_id)
    assert wire.servers(f"/{server_id.upper()}").json()["server"]["id"] == server_id
    assert wire.servers(f"/{server_id.replace('-', '')}").status_code == 404
    assert wire.servers(f"/{server_id}/").status_code == 404


def test_a_deletion_is_on_record_from_2_21_on(wire: Wire) -> None:
    disk = wire.case.orphan()
    actions = f"/{disk.server_id}/os-instance-actions"
    assert wire.servers(f"/{disk.server_id}").status_code == 404
    assert wire.servers(actions).status_code == 404
    record = wire.servers(actions, version="2.21").json()["instanceActions"]
    assert record[0]["action"] == "delete"
    assert record[0]["instance_uuid"] == disk.server_id
    assert wire.servers(f"/{uuid.uuid4()}/os-instance-actions", version="2.21").status_code == 404


def test_a_servers_list_of_volumes_is_paged_before_its_own_disk_is_left_out(wire: Wire) -> None:
    server_id = wire.case.lab.boot(wire.case.project_id)
    for _ in range(2):
        wire.case.lab.disk(wire.case.project_id, server_id)
    path, counts = f"/{server_id}/os-volume_attachments", []
    for query in ("", "?limit=2", "?limit=1000&offset=1", "?limit=1000&offset=2", "?limit=1000&offset=3"):
        page = wire.servers(path + query).json()["volumeAttachments"]
        counts.append(len(page))
    assert counts == [2, 1, 2, 1, 0]


def test_volumes_are_paged_by_marker(case_alone: Case) -> None:
    wire = Wire(case_alone, case_alone.lab.token(case_alone.project_id))
    case_alone.disks(*[(str(uuid.uuid4()),)] * 3)
    seen: list[str] = []
    query = "/detail?limit=2&status=in-use"
    for _ in range(3):
        page = wire.volumes(query + (f"&marker={seen[-1]}" if seen else "")).json()
        seen += [volume["id"] for volume in page["volumes"]]
    assert len(seen) == len(set(seen)) == 3
    assert wire.volumes(f"{query}&marker={uuid.uuid4()}").status_code == 404
    assert wire.volumes("/detail?limit=0").json()["volumes"] == []


def test_volumes_are_paged_by_offset_in_the_order_of_the_markers(case_alone: Case) -> None:
    wire = Wire(case_alone, case_alone.lab.token(case_alone.project_id))
    case_alone.disks(*[(str(uuid.uuid4()),)] * 5)

    def listed(query: str) -> list[str]:
        page = wire.volumes(f"/detail?status=in-use{query}").json()
        return [volume["id"] for volume in page["volumes"]]

    every = listed("")
    assert every == [id_ for offset in (0, 2, 4) for id_ in listed(f"&limit=2&offset={offset}")]
    assert listed(f"&limit=2&offset=2&marker={every[0]}") == every[3:]
    assert listed(f"&limit=2&marker={every[1]}") == listed("&limit=2&offset=2")
    assert [listed(f"&limit=2&offset={offset}") for offset in (5, 2**31 - 1)] == [[], []]
    assert wire.volumes("/detail?offset=-1").status_code == 400


def test_a_last_full_page_of_volumes_has_a_next_link_too(case_alone: Case) -> None:
    wire = Wire(case_alone, case_alone.lab.token(case_alone.project_id))
    case_alone.disks((), ())
    page = wire.volumes("?limit=2").json()
    assert len(page["volumes"]) == 2
    assert [link["rel"] for link in page["volumes_links"]] == ["next"]


def test_servers_are_paged_by_marker(case_alone: Case) -> None:
    wire = Wire(case_alone, case_alone.lab.token(case_alone.project_id))
    servers = {case_alone.lab.boot(case_alone.project_id) for _ in range(3)}
    seen: list[str] = []
    for _ in range(3):
        page = wire.servers("?limit=2" + (f"&marker={seen[-1]}" if seen else "")).json()
        seen += [server["id"] for server in page["servers"]]
    assert set(seen) == servers
    assert wire.servers(f"?marker={uuid.uuid4()}").status_code == 400


def test_the_list_of_servers_leaves_soft_deleted_ones_out(case_alone: Case) -> None:
    """Why a sweep has each candidate's server looked at: not listed does not mean gone."""
    wire = Wire(case_alone, case_alone.lab.token(case_alone.project_id))
    disk = case_alone.at_live_server()
    case_alone.lab.soft_delete(disk.server_id)
    assert wire.servers("").json()["servers"] == []
    assert wire.servers(f"/{disk.server_id}").status_code == 200
