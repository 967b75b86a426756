"""The lists by which no server has a disk: each read twice, none of them another question's or a cache's."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from handler.actions.scan import Scan
from handler.cloud.messages import Answer as CloudAnswer
from handler.cloud.messages import Call as CloudCall
from handler.errors import ListingFailed, Refused
from handler.settings.opt_in import RecoverMode
from tests.embedded_cloud import Answer, Call, Server, Volume
from tests.embedded_cloud.records import Disk
from tests.unit.actions.opted_in import OptedIn, told
from tests.unit.contexts import call_context

RECOVERED = ("recovered", None, True)
HELD = ("refused", "volume_held", False)
UNKNOWN = ("refused", "server_unknown", False)
EVERY_LIST = "/servers/detail"


@pytest.fixture
def project(opted_in: OptedIn) -> OptedIn:
    return opted_in


@pytest.fixture(params=["on", "unlisted"])
def mode(request: pytest.FixtureRequest, project: OptedIn) -> str:
    project.settings["DETACH_RECOVER"] = request.param
    return str(request.param)


Change = Callable[[str, Callable[[Answer], object], int | None], None]


@pytest.fixture
def change(project: OptedIn, monkeypatch: pytest.MonkeyPatch) -> Change:
    """Have answers of 200 to reads of a path changed on their way out: all, or the one with this number.

    The path may begin with a list's status, as in "SOFT_DELETED /servers/detail".
    """

    def change(what: str, how: Callable[[Answer], object], which: int | None = None) -> None:
        status, _, end = what.rpartition(" ")
        service = "volume" if end.endswith("/attachments") else "compute"
        plain = project.cloud._services[service]
        seen = 0

        def answer(call: Call) -> Answer:
            nonlocal seen
            given = plain(call)
            if call.path.endswith(end) and call.query.get("status", "") == status and given.status == 200:
                if which in {None, seen}:
                    how(given)
                seen += 1
            return given

        monkeypatch.setitem(project.cloud._services, service, answer)

    return change


def emptied(answer: Answer) -> None:
    answer.body = json.dumps({name: [] for name in json.loads(answer.body) if "_" not in name}).encode()


def kept(answer: Answer) -> None:
    answer.headers.append(("Age", "1"))


def record(project: OptedIn, status: Any = "in-use") -> Volume:
    """A record without any entry."""
    return project.cloud.add_volume(status=status, attachments=[], multiattach=False)


def holder(project: OptedIn, volume: Volume, status: str = "ACTIVE") -> Server:
    server = project.cloud.add_server(status=status)
    server.disks[volume.id] = Disk("/dev/vdb", str(uuid.uuid4()), str(uuid.uuid4()))
    return server


@pytest.mark.usefixtures("mode")
@pytest.mark.parametrize("empty", [0, 1, None])
@pytest.mark.parametrize("status", ["ACTIVE", "SOFT_DELETED"])
def test_who_is_a_holder_in_one_reading_is_one(
    project: OptedIn, change: Change, status: str, empty: int | None
) -> None:
    volume = record(project)
    holder(project, volume, status)
    what = f"SOFT_DELETED {EVERY_LIST}" if status == "SOFT_DELETED" else EVERY_LIST
    change(what, emptied, empty)

    result = told(project.one(volume.id, recover=True))

    # Of a list that is empty each time nothing can be told
    assert result == (RECOVERED if empty is None else HELD)
    assert bool(project.sent()) is (empty is None)


@pytest.mark.usefixtures("mode")
@pytest.mark.parametrize("which", [0, 1, None])
@pytest.mark.parametrize("status", ["ACTIVE", "BUILD", "UNKNOWN", None])
def test_a_list_of_the_soft_deleted_with_another_answers_another_question(
    project: OptedIn, change: Change, status: str | None, which: int | None
) -> None:
    def mixed(answer: Answer) -> None:
        row: dict[str, Any] = {
            "id": str(uuid.uuid4()),
            "status": status,
            "os-extended-volumes:volumes_attached": [],
        }
        answer.body = json.dumps({"servers": [row]}).encode()

    change(f"SOFT_DELETED {EVERY_LIST}", mixed, which)

    result = project.one(record(project).id, recover=True)

    assert told(result) == UNKNOWN
    assert result.error is not None
    assert "soft-deleted" in result.error.message
    assert project.sent() == []


@pytest.mark.usefixtures("mode")
def test_a_cloud_that_ignores_that_filter_frees_nothing(project: OptedIn) -> None:
    volume = record(project)
    project.cloud.add_server()
    holder(project, volume, "SOFT_DELETED")
    plain = project.cloud._services["compute"]

    def ignoring(call: Call) -> Answer:
        for name in ("status", "changes-since"):
            call.query.pop(name, None)
        return plain(call)

    project.cloud._services["compute"] = ignoring

    assert told(project.one(volume.id, recover=True)) == UNKNOWN
    assert project.sent() == []


@pytest.mark.parametrize("down_from", [0, 1])
def test_a_cell_that_goes_down_in_between_is_noticed(
    project: OptedIn, change: Change, down_from: int
) -> None:
    """While the rest was read its servers may have been in no list any more."""

    def unknown(answer: Answer) -> None:
        answer.body = json.dumps({"servers": [{"id": str(uuid.uuid4()), "status": "UNKNOWN"}]}).encode()

    change(EVERY_LIST, unknown, down_from)

    result = project.one(record(project).id, recover=True)

    assert told(result) == UNKNOWN
    assert result.error is not None
    assert (result.error.retryable, "cell" in result.error.message) == (True, True)
    assert project.sent() == []


@pytest.mark.parametrize("what", [EVERY_LIST, f"SOFT_DELETED {EVERY_LIST}", "/attachments"])
@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.usefixtures("mode")
def test_what_a_cache_kept_frees_nothing(project: OptedIn, change: Change, what: str, which: int) -> None:
    change(what, kept, which)

    result = project.one(record(project).id, recover=True)

    # The second list of entries is compared with the first, and one that is not believed is another
    entries_again = what == "/attachments" and which == 1
    assert told(result) == (("refused", "volume_state", False) if entries_again else UNKNOWN)
    assert project.sent() == []


@pytest.mark.usefixtures("mode")
def test_a_later_page_that_a_cache_kept_frees_nothing(project: OptedIn, change: Change) -> None:
    project.cloud.page_cap = 2
    for _ in range(3):
        project.cloud.add_server()
    change(EVERY_LIST, kept, 1)

    result = project.one(record(project).id, recover=True)

    assert told(result) == UNKNOWN
    assert result.error is not None
    assert "Age" in result.error.message


def test_a_server_and_its_own_list_are_not_taken_from_a_cache(project: OptedIn, change: Change) -> None:
    server = project.cloud.add_server()
    servers = project.services().servers
    assert servers is not None
    change(f"/{server.id}", kept, None)
    change("/os-volume_attachments", kept, None)

    for ask in (
        lambda: servers.find(server.id, call_context()),
        lambda: servers.disks(server.id, call_context()),
        lambda: servers.disk(server.id, str(uuid.uuid4()), call_context()),
    ):
        with pytest.raises(Refused, match="Age") as raised:
            ask()
        assert raised.value.code.value == "server_unknown"
        assert raised.value.upstream is not None


def test_no_page_of_a_list_is_taken_from_a_cache(project: OptedIn, change: Change) -> None:
    """A sweep's, and that of all projects' servers, which a server that is gone must be absent from."""
    servers = project.services().servers
    assert servers is not None
    change("/servers", kept, None)

    with pytest.raises(ListingFailed, match="Age"):
        list(servers.list(call_context()).pages(project.transport.threads))


@pytest.fixture
def asked(project: OptedIn, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, bool]]:
    """What is asked for from now on, by the end of its path, and whether on a connection made for it."""
    found: list[tuple[str, bool]] = []
    send = project.transport.send

    def noting(call: CloudCall, *given: Any) -> CloudAnswer:
        found.append((call.path.rpartition("/")[2], call.fresh))
        return send(call, *given)

    monkeypatch.setattr(project.transport, "send", noting)
    return found


@pytest.mark.usefixtures("mode")
def test_the_second_reading_is_on_connections_made_for_it(
    project: OptedIn, asked: list[tuple[str, bool]]
) -> None:
    project.cloud.page_cap = 2
    for _ in range(3):
        project.cloud.add_server()
    volume = record(project)

    assert told(project.one(volume.id, recover=True)) == RECOVERED

    # Two pages of all, one of the soft-deleted
    assert [fresh for path, fresh in asked if path == "detail"] == [False] * 3 + [True] * 3
    # The last look is the one after the call: only whether it is free hangs on it
    assert [fresh for path, fresh in asked if path == "attachments"] == [False, True, False]
    assert {fresh for path, fresh in asked if path in {volume.id, "action"}} == {False}


def test_that_no_cell_is_down_is_told_by_one_call(project: OptedIn, asked: list[tuple[str, bool]]) -> None:
    services = project.services()
    assert services.servers is not None

    Scan(services.servers, RecoverMode.ON).require_cells(services.context)

    assert asked == [("detail", False)]


def test_entries_name_their_volume_and_are_read_again_as_ever(
    project: OptedIn, asked: list[tuple[str, bool]]
) -> None:
    volume = project.cloud.add_volume(status="detaching", attachments=[str(uuid.uuid4())])

    assert told(project.one(volume.id, recover=True)) == RECOVERED
    assert {fresh for path, fresh in asked if path == "attachments"} == {False}


def test_a_server_whose_row_lists_no_disks_is_asked_in_both_readings(
    project: OptedIn, asked: list[tuple[str, bool]]
) -> None:
    services = project.services()
    assert services.servers is not None
    volume = record(project)
    server = holder(project, volume)
    plain = project.cloud._services["compute"]
    lists = 0

    def answer(call: Call) -> Answer:
        nonlocal lists
        given = plain(call)
        document = json.loads(given.body)
        if call.path.endswith(EVERY_LIST):
            for row in document["servers"]:
                row.pop("os-extended-volumes:volumes_attached")
        elif call.path.endswith("/os-volume_attachments"):
            lists += 1
            if lists == 1:
                document["volumeAttachments"] = []  # as of a server that has none
        given.body = json.dumps(document).encode()
        return given

    project.cloud._services["compute"] = answer

    found = Scan(services.servers, RecoverMode.UNLISTED).look(services.context)

    assert found.holders == {volume.id: (server.id,)}
    fresh = [fresh for path, fresh in asked if path == "os-volume_attachments"]
    assert (fresh[0], fresh[-1]) == (False, True)
