"""What the compute service's answers about one server are read as."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import responses
from responses.registries import OrderedRegistry

from handler.cloud.absence import Absence
from handler.cloud.servers import Deletion, HeldDisk, Server, Servers
from handler.errors import ErrorCode, Failure
from handler.invocation import CallContext
from tests.unit.actions.answers import (
    ATTACHMENT,
    ITS_ACTIONS,
    ITS_VOLUMES,
    NOW,
    SERVER,
    THE_SERVER,
    VOLUME,
    Clock,
    Signer,
    server,
    services_of,
)

BEGAN = {"event": "compute_terminate_instance", "result": None, "start_time": "2027-01-15T08:00:00"}
SOME = [f"{number:08}-1111-4111-8111-111111111111" for number in range(12)]


@pytest.fixture
def cloud() -> Iterator[responses.RequestsMock]:
    """Answers in the order in which they are asked for, all of which must be."""
    with responses.RequestsMock(registry=OrderedRegistry, assert_all_requests_are_fired=True) as cloud:
        yield cloud


@pytest.fixture
def servers() -> Servers:
    found = services_of(Clock(), Signer()).servers
    assert found is not None
    return found


@pytest.fixture
def context() -> CallContext:
    return services_of(Clock(), Signer()).context


def _recorded(cloud: responses.RequestsMock, url: str, record: dict[str, Any]) -> None:
    cloud.get(url, json=record, headers={"OpenStack-API-Version": "compute 2.51"})


def _action(request_id: str, name: str = "delete", **more: Any) -> dict[str, Any]:
    return {"action": name, "request_id": request_id, "instance_uuid": SERVER, **more}


def _list(
    cloud: responses.RequestsMock, *volumes: str, status: int = 200, version: str | None = None
) -> None:
    headers = {"OpenStack-API-Version": f"compute {version}"} if version else {}
    entries = [{"volumeId": id_, "serverId": SERVER, "attachment_id": ATTACHMENT} for id_ in volumes]
    cloud.get(ITS_VOLUMES, json={"volumeAttachments": entries}, status=status, headers=headers)


@pytest.mark.parametrize("with_lock", [False, True])
@pytest.mark.parametrize("subject", ["Instance", "Server", "ECS"])
def test_it_is_absent_in_the_service_s_own_words(
    cloud: responses.RequestsMock, servers: Servers, context: CallContext, subject: str, with_lock: bool
) -> None:
    said = {"itemNotFound": {"code": 404, "message": f"{subject} {SERVER} could not be found."}}
    cloud.get(THE_SERVER, json=said, status=404)

    assert servers.find(SERVER, context, with_lock=with_lock) is Absence.NAMED


def test_a_record_that_a_cache_kept_proves_nothing(
    cloud: responses.RequestsMock, servers: Servers, context: CallContext
) -> None:
    cloud.get(THE_SERVER, json=server("ACTIVE"), headers={"Age": "1"})

    with pytest.raises(Failure, match="a cache kept") as failed:
        servers.find(SERVER, context)
    assert failed.value.code is ErrorCode.SERVER_UNKNOWN


def test_a_list_that_a_cache_kept_proves_nothing(
    cloud: responses.RequestsMock, servers: Servers, context: CallContext
) -> None:
    cloud.get(ITS_VOLUMES, json={"volumeAttachments": []}, headers={"Age": "1"})

    with pytest.raises(Failure, match="a cache kept") as failed:
        servers.disks(SERVER, context)
    assert failed.value.code is ErrorCode.SERVER_UNKNOWN


@pytest.mark.parametrize(
    ("said", "field", "read"),
    [
        ({"status": 7}, "status", None),
        ({"OS-EXT-STS:task_state": "deleting"}, "task_state", "deleting"),
        ({"OS-EXT-STS:task_state": 7}, "task_state", None),
        ({"OS-EXT-STS:task_state": 7}, "idle", False),
        ({"updated": 7}, "updated", None),
        ({"updated": "2027-01-15T07:55:00Z"}, "updated", "2027-01-15T07:55:00Z"),
        ({"locked": "no"}, "locked", None),
        ({"locked": False}, "locked", False),
        ({"OS-EXT-STS:power_state": 4}, "powered_off", True),
        ({"OS-EXT-STS:power_state": 1}, "powered_off", False),
        ({"os-extended-volumes:volumes_attached": [{"id": VOLUME}]}, "held", {VOLUME}),
        ({"os-extended-volumes:volumes_attached": [{}]}, "held", None),
        ({"name": 7}, "name", None),
        ({"tenant_id": None}, "project_id", None),
    ],
)
def test_what_its_record_says_is_read_where_it_is_what_it_should_be(
    cloud: responses.RequestsMock,
    servers: Servers,
    context: CallContext,
    said: dict[str, Any],
    field: str,
    read: object,
) -> None:
    cloud.get(THE_SERVER, json=server("ACTIVE", **said))

    found = servers.find(SERVER, context)

    assert isinstance(found, Server)
    assert getattr(found, field) == read


def test_an_action_whose_id_can_not_stand_in_a_path_is_not_asked_for(
    cloud: responses.RequestsMock, servers: Servers, context: CallContext
) -> None:
    _recorded(cloud, ITS_ACTIONS, {"instanceActions": [_action("req-1/../../x"), _action("7")]})

    assert servers.deletion(SERVER, context) == Deletion(asked_for=True)


def test_a_deletion_goes_on_since_its_event_began_whichever_action_has_it(
    cloud: responses.RequestsMock, servers: Servers, context: CallContext
) -> None:
    actions = [_action("req-2"), _action("req-1")]
    _recorded(cloud, ITS_ACTIONS, {"instanceActions": actions})
    _recorded(cloud, f"{ITS_ACTIONS}/req-2", {"instanceAction": _action("req-2", events=[BEGAN])})
    _recorded(cloud, f"{ITS_ACTIONS}/req-1", {"instanceAction": _action("req-1", events=[])})

    assert servers.deletion(SERVER, context) == Deletion(asked_for=True, since=NOW)


def test_its_list_is_read_to_its_end_and_may_show_some_again(
    cloud: responses.RequestsMock, servers: Servers, context: CallContext
) -> None:
    for page in (SOME[:10], SOME[1:11], SOME[11:], []):
        _list(cloud, *page)

    assert servers.disks(SERVER, context) == set(SOME)
    assert [str(call.request.url).removeprefix(ITS_VOLUMES) for call in cloud.calls] == [
        "",
        "?limit=1000&offset=10",
        "?limit=1000&offset=20",
        "?limit=1000&offset=21",
    ]


def test_a_list_that_goes_on_repeating_itself_proves_nothing(
    cloud: responses.RequestsMock, servers: Servers, context: CallContext
) -> None:
    for _ in range(3):
        _list(cloud, *SOME)

    with pytest.raises(Failure, match="repeats itself") as failed:
        servers.disks(SERVER, context)
    assert failed.value.code is ErrorCode.SERVER_UNKNOWN


@pytest.mark.parametrize("lacks", [(), ("2.89",), ("2.89", "2.61")])
def test_a_microversion_that_the_service_lacks_is_asked_for_once(
    cloud: responses.RequestsMock, servers: Servers, context: CallContext, lacks: tuple[str, ...]
) -> None:
    first = next((version for version in ("2.89", "2.61") if version not in lacks), None)
    for _ in lacks:
        _list(cloud, status=406)
    for _ in range(2):
        _list(cloud, VOLUME, version=first)

    for _ in range(2):
        assert servers.disk(SERVER, VOLUME, context) == HeldDisk(ATTACHMENT, of_nova=first is not None)
    asked = [call.request.headers.get("X-OpenStack-Nova-API-Version") for call in cloud.calls]
    assert asked == [*lacks, first, first]


def test_a_list_that_may_not_be_read_is_the_failure(
    cloud: responses.RequestsMock, servers: Servers, context: CallContext
) -> None:
    cloud.get(ITS_VOLUMES, status=403)

    with pytest.raises(Failure) as failed:
        servers.disks(SERVER, context)
    assert failed.value.code is ErrorCode.PERMISSION_DENIED
