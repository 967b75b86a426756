"""What rests on a microversion is believed only where the service says that it went by it.

Nova's own /v2 and a proxy that passes no header it doesn't know drop it in silence: the answer is a 200 then,
and means another thing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from requests.structures import CaseInsensitiveDict

from handler.cloud.detaching import Detach, JobState, NovaDetach
from handler.cloud.messages import LARGEST_ANSWER, Answer, Call
from handler.cloud.servers import HeldDisk, Server, Servers
from handler.cloud.service import Lacking
from handler.cloud.transport import Transport
from handler.cloud.volumes import Volumes
from handler.errors import Misconfigured
from tests.embedded_cloud import Cloud
from tests.unit.contexts import call_context
from tests.unit.embedded_project import EmbeddedProject

ACTIONS = "os-instance-actions"


def said(header: str | None, status: int = 200) -> Answer:
    headers = CaseInsensitiveDict({} if header is None else {"Openstack-Api-Version": header})
    return Answer(status, headers, b"", None)


@pytest.mark.parametrize(
    ("header", "version"),
    [
        ("compute 2.69", "2.69"),
        ("  Compute   2.69 ", "2.69"),
        ("volume 3.27, compute 2.69", "2.69"),
        ("compute 2.69,volume 3.27", "2.69"),
        ("compute 2.69, compute 2.69", "2.69"),
        ("compute 2.69, compute 2.1", None),
        ("compute 2.1", "2.1"),
        ("volume 2.69", None),
        ("compute2.69", None),
        ("compute 2.69 2.69", None),
        ("compute", None),
        ("2.69", None),
        ("", None),
        (None, None),
    ],
)
def test_the_microversion_of_an_answer_is_read_from_its_header(
    header: str | None, version: str | None
) -> None:
    assert said(header).microversion("compute") == version


@pytest.mark.parametrize(
    ("headers", "version"),
    [
        ({"X-Openstack-Nova-Api-Version": " 2.51 "}, "2.51"),
        ({"X-Openstack-Nova-Api-Version": "2.51", "Openstack-Api-Version": "compute 2.51"}, "2.51"),
        ({"X-Openstack-Nova-Api-Version": "2.1", "Openstack-Api-Version": "compute 2.51"}, None),
        ({"X-Openstack-Nova-Api-Version": " "}, None),
    ],
)
def test_the_compute_service_may_say_it_by_its_older_header(
    headers: dict[str, str], version: str | None
) -> None:
    answer = Answer(200, CaseInsensitiveDict(headers), b"", None)
    assert answer.microversion("compute") == version
    assert answer.microversion("volume") is None


@pytest.fixture
def project(bare_cloud: Cloud) -> Iterator[EmbeddedProject]:
    made = EmbeddedProject(bare_cloud)
    yield made
    made.close()


@pytest.fixture
def servers(project: EmbeddedProject) -> Servers:
    found = project.services().servers
    assert found is not None
    return found


@pytest.fixture
def volumes(project: EmbeddedProject) -> Volumes:
    return project.services().volumes


@pytest.mark.parametrize(
    ("answer", "lacks"),
    [
        (said("compute 2.69"), False),
        (said("compute 2.6"), True),
        (said("compute 2.70"), True),
        (said("volume 2.69"), True),
        (said(None), True),
        (said("compute 2.69", 406), True),
        (said(None, 404), False),  # what else went wrong is for whoever asked
        (said(None, 503), False),
    ],
)
def test_an_answer_lacks_the_microversion_that_it_does_not_name(
    servers: Servers, answer: Answer, *, lacks: bool
) -> None:
    assert servers.lacks("2.69", answer) is lacks


def test_each_service_is_asked_by_its_own_name(servers: Servers, volumes: Volumes) -> None:
    assert servers.at("2.51") == {
        "OpenStack-API-Version": "compute 2.51",
        "X-OpenStack-Nova-API-Version": "2.51",
    }
    assert volumes.at("3.27") == {"OpenStack-API-Version": "volume 3.27"}


def test_what_is_asked_for_is_all_asked_for(
    project: EmbeddedProject, volumes: Volumes, monkeypatch: pytest.MonkeyPatch
) -> None:
    volume = project.cloud.add_volume()
    asked: list[tuple[int, bool]] = []
    send = Transport.send

    def noting(self: Transport, call: Call, *given: Any) -> Answer:
        asked.append((call.largest, call.fresh))
        return send(self, call, *given)

    monkeypatch.setattr(Transport, "send", noting)
    query = {"volume_id": volume.id}
    answer = volumes.ask_at(
        "3.27", "attachments", call_context(), query=query, api="v3", largest=9000, fresh=True
    )
    volumes.ask_at("3.27", "volumes/detail", call_context())

    assert isinstance(answer, Answer)
    assert asked == [(9000, True), (LARGEST_ANSWER, False)]
    project.cloud.calls.pop()
    (call,) = project.cloud.calls
    assert (call.method, call.query, call.tail.split("/")[1]) == ("GET", query, "v3")
    assert call.headers["openstack-api-version"] == "volume 3.27"


@pytest.mark.parametrize("how", ["versions_ignored", "versions_untold"])
def test_a_cloud_that_drops_microversions_is_noticed(
    project: EmbeddedProject, servers: Servers, volumes: Volumes, how: str
) -> None:
    setattr(project.cloud, how, {"compute"})
    answer = servers.ask_at("2.69", "servers/detail", call_context())

    assert isinstance(answer, Lacking)
    assert answer.answer.status == 200
    assert isinstance(volumes.ask_at("3.27", "volumes/detail", call_context()), Answer)

    setattr(project.cloud, how, {"volume"})
    assert isinstance(servers.ask_at("2.69", "servers/detail", call_context()), Answer)
    assert isinstance(volumes.ask_at("3.27", "volumes/detail", call_context()), Lacking)


@pytest.mark.parametrize("how", ["versions_ignored", "versions_untold"])
def test_entries_are_not_known_without_it(project: EmbeddedProject, volumes: Volumes, how: str) -> None:
    volume = project.cloud.add_volume()
    assert volumes.entries(volume.id, call_context()) == ()

    setattr(project.cloud, how, {"volume"})
    assert volumes.entries(volume.id, call_context()) is None


@pytest.mark.parametrize("how", ["versions_ignored", "versions_untold"])
def test_by_which_entry_a_server_has_a_disk_is_not_known_without_it(
    project: EmbeddedProject, servers: Servers, how: str
) -> None:
    server = project.cloud.add_server()
    volume = project.cloud.add_volume(attachments=[server])
    known = servers.disk(server.id, volume.id, call_context())
    assert known == HeldDisk(volume.attachments[0].attachment_id, of_nova=True)

    setattr(project.cloud, how, {"compute"})
    project.cloud.clear_calls()
    assert servers.disk(server.id, volume.id, call_context()) == HeldDisk(None)
    assert servers.disk(server.id, volume.id, call_context()) == HeldDisk(None)
    asked = [call.headers.get("openstack-api-version") for call in project.cloud.calls]
    assert asked == ["compute 2.89", "compute 2.61", None, None], "that it lacks them is seen once"


@pytest.mark.parametrize(
    ("highest", "asked", "again", "of_nova"),
    [
        ((2, 104), ["2.89"], ["2.89"], True),
        ((2, 89), ["2.89"], ["2.89"], True),
        ((2, 88), ["2.89", "2.61"], ["2.61"], True),
        ((2, 61), ["2.89", "2.61"], ["2.61"], True),
        ((2, 60), ["2.89", "2.61", None], [None], False),
        ((2, 1), ["2.89", "2.61", None], [None], False),
    ],
)
def test_openstack_s_own_nova_is_known_by_a_microversion_that_the_vendor_has_not(
    project: EmbeddedProject,
    servers: Servers,
    monkeypatch: pytest.MonkeyPatch,
    highest: tuple[int, int],
    asked: list[str | None],
    again: list[str | None],
    of_nova: bool,
) -> None:
    monkeypatch.setattr("tests.embedded_cloud.compute.MAX_VERSION", highest)
    server = project.cloud.add_server()
    volume = project.cloud.add_volume(attachments=[server])

    for versions in (asked, again):
        project.cloud.clear_calls()
        held = servers.disk(server.id, volume.id, call_context())
        assert held is not None
        entry = volume.attachments[0].attachment_id if highest >= (2, 89) else None
        assert held == HeldDisk(entry, of_nova)
        calls = [call.headers.get("x-openstack-nova-api-version") for call in project.cloud.calls]
        assert calls == versions


@pytest.mark.parametrize("how", ["versions_ignored", "versions_untold"])
def test_a_server_s_lock_is_not_known_without_it(
    project: EmbeddedProject, servers: Servers, how: str
) -> None:
    server = project.cloud.add_server()
    found = servers.find(server.id, call_context(), with_lock=True)
    assert isinstance(found, Server)
    assert found.locked is False

    setattr(project.cloud, how, {"compute"})
    found = servers.find(server.id, call_context(), with_lock=True)
    assert isinstance(found, Server)
    assert found.locked is None


@pytest.mark.parametrize("how", ["versions_ignored", "versions_untold"])
@pytest.mark.parametrize("which", ["the list", "one action"])
def test_how_a_deletion_ended_is_not_known_without_it(
    project: EmbeddedProject, servers: Servers, how: str, which: str
) -> None:
    """It would prove nothing by 2.1 either: the record of a server that is gone is a 404 there."""
    server = project.cloud.add_server()
    project.cloud.delete_server(server.id)
    assert servers.deletion(server.id, call_context()).ended

    def drop(call: Any) -> None:
        if (call.path.endswith(ACTIONS)) is (which == "the list"):
            setattr(project.cloud, how, {"compute"})

    project.cloud.hook(drop)
    if how == "versions_ignored":
        assert not servers.deletion(server.id, call_context()).ended
    else:
        with pytest.raises(Misconfigured, match=r"2\.51") as raised:
            servers.deletion(server.id, call_context())
        assert raised.value.upstream is not None
        assert raised.value.upstream.request_id


class _Untold(Servers):
    """A compute service whose answers don't name their microversion."""

    def __init__(self, body: object) -> None:
        self.name = "compute"
        self._body = json.dumps(body).encode()

    def ask(self, *_what: Any, **_options: Any) -> Answer:
        return Answer(200, {}, self._body, None)


def test_how_far_a_detach_is_is_not_known_without_it() -> None:
    """Below 2.51 a member is shown no events: what has ended looks as if it had not begun."""
    server_id, request_id = "4ccff8d2-b7f6-4252-942f-a9bc86113bd4", "req-7f8e8bb4"
    events = [{"event": "compute_detach_volume", "result": "Success"}]
    action = {"instance_uuid": server_id, "request_id": request_id, "action": "detach_volume"}

    one = NovaDetach(_Untold({"instanceAction": {**action, "events": events}}), vendor=False)
    none = NovaDetach(_Untold({"instanceActions": []}), vendor=False)

    assert one.state(server_id, request_id, call_context()) is JobState.UNKNOWN
    assert none.detaches(server_id, 0.0, call_context(), clock=None) == [Detach(0.0, JobState.UNKNOWN)]
