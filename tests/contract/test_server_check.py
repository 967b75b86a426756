"""What counts as proof that a server is gone: the values of DETACH_SERVER_CHECK."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.contract.test_one import FREE, HELD

if TYPE_CHECKING:
    from tests.contract.case import Case


def test_recorded_clears_where_the_deletion_is_on_record(case: Case) -> None:
    case.settings = {"DETACH_SERVER_CHECK": "recorded"}
    disk = case.orphan()
    case.ask({"volume_id": disk.volume_id}, "200 detached", (disk, HELD, FREE))


def test_recorded_keeps_what_a_server_without_a_record_held(case: Case) -> None:
    case.settings = {"DETACH_SERVER_CHECK": "recorded"}
    disk = case.never_known()
    case.ask({"volume_id": disk.volume_id}, "409 refused server_unknown", (disk, HELD, HELD))


def test_recorded_keeps_what_another_projects_server_holds(case: Case, case_alone: Case) -> None:
    case.settings = {"DETACH_SERVER_CHECK": "recorded"}
    server = case.lab.boot(case_alone.project_id)
    disk = case.lab.recorded_disk(case.project_id, server)
    case.ask({"volume_id": disk.volume_id}, "409 refused server_unknown", (disk, HELD, HELD))


def test_gone_cannot_see_another_projects_server(case: Case, case_alone: Case) -> None:
    """The limit of the default, which *recorded* is for: to this token the server looks gone."""
    server = case.lab.boot(case_alone.project_id)
    disk = case.lab.recorded_disk(case.project_id, server)
    case.ask({"volume_id": disk.volume_id}, "200 detached", (disk, HELD, FREE))


def test_recorded_keeps_a_stopped_servers_disk(case: Case) -> None:
    case.settings = {"DETACH_SERVER_CHECK": "recorded"}
    disk = case.at_stopped_server()
    case.ask({"volume_id": disk.volume_id}, "409 refused server_exists", (disk, HELD, HELD))


def test_not_held_clears_what_a_stopped_servers_list_lacks(case: Case) -> None:
    case.settings = {"DETACH_SERVER_CHECK": "not-held"}
    disk = case.at_stopped_server()
    case.lab.forget(disk.server_id, disk.volume_id)
    case.ask({"volume_id": disk.volume_id}, "200 detached", (disk, HELD, FREE))


def test_not_held_keeps_what_a_stopped_servers_list_holds(case: Case) -> None:
    case.settings = {"DETACH_SERVER_CHECK": "not-held"}
    disk = case.at_stopped_server()
    case.ask({"volume_id": disk.volume_id}, "409 refused server_exists", (disk, HELD, HELD))


def test_not_held_keeps_what_a_running_servers_list_lacks(case: Case) -> None:
    case.settings = {"DETACH_SERVER_CHECK": "not-held"}
    disk = case.at_live_server()
    case.lab.forget(disk.server_id, disk.volume_id)
    case.ask({"volume_id": disk.volume_id}, "409 refused server_exists", (disk, HELD, HELD))


def test_off_clears_an_orphan(case: Case) -> None:
    case.settings = {"DETACH_SERVER_CHECK": "off"}
    disk = case.orphan()
    answer = case.ask({"volume_id": disk.volume_id}, "200 detached", (disk, HELD, FREE)).document
    assert answer["server"]["checked"] is False


def test_off_leaves_a_live_servers_disk_to_the_cloud_which_keeps_it(case: Case) -> None:
    case.settings = {"DETACH_SERVER_CHECK": "off"}
    disk = case.at_live_server()
    case.ask({"volume_id": disk.volume_id}, "409 refused use_compute_api (409)", (disk, HELD, HELD))
    assert case.lab.held(disk.server_id) == [disk.volume_id]
