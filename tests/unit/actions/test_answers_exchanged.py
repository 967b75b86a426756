"""Whichever two answers the services exchange, no record is cleared whose server lives.

Each piece of work is done once as it should be; then again in the same world for every two of its calls, with
their answers exchanged, and for every call with another one's answer. What keeps a live server's record must
not hang on Cinder's own net, so the cloud asks nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import pytest

from handler.actions.dispatch import carry_out
from handler.errors import ErrorCode
from handler.model.request import Batch, GoneServer, Sweep, SweepBounds, Target, Work
from handler.model.result import ManyResult
from tests.embedded_cloud import Attachment, Call, Cloud
from tests.embedded_cloud.records import Disk
from tests.unit.actions.opted_in import OptedIn
from tests.unit.embedded_project import EmbeddedProject

LIVE = [f"11111111-1111-4111-8111-00000000000{number}" for number in range(4)]
GONE = [f"22222222-2222-4222-8222-00000000000{number}" for number in range(3)]
OFF = "33333333-3333-4333-8333-000000000000"
FORGETFUL = "33333333-3333-4333-8333-000000000001"
"""Is off like the other, and the compute service lists no volume at it: `not-held` clears what names it."""


def _volume(number: int) -> str:
    return f"aaaaaaaa-aaaa-4aaa-8aaa-00000000000{number}"


def _attachment(number: int) -> str:
    return f"bbbbbbbb-bbbb-4bbb-8bbb-00000000000{number}"


@dataclass(frozen=True)
class Scene:
    """A world, by the server that each volume names, and what is done in it."""

    held_by: tuple[str, ...]
    work: Work
    cleared: int
    check: str = "gone"
    page_cap: int | None = None
    flavour: str = "openstack"

    def plant(self, cloud: Cloud) -> None:
        """The same world, made anew."""
        cloud.misbehaviour.clear()
        cloud.clear_calls()
        cloud.world.clear()
        cloud.asks_compute = False
        cloud.page_cap = self.page_cap
        for server_id in LIVE:
            cloud.add_server(server_id)
        for server_id in GONE:
            cloud.add_server(server_id)
        cloud.add_server(OFF, "SHUTOFF")
        cloud.add_server(FORGETFUL, "SHUTOFF")
        for number, server_id in enumerate(self.held_by):
            link = Attachment(_attachment(number), server_id, "/dev/vdb", cloud.stamp(cloud.now() - 86400))
            known = server_id != FORGETFUL
            cloud.add_volume(_volume(number), attachments=[link], known_to_compute=known)
        for server_id in GONE:
            cloud.delete_server(server_id)

    def do(self, project: EmbeddedProject) -> ManyResult:
        """Do the work on connections of its own, one target after the other."""
        services = project.services(DETACH_CONCURRENCY=1, DETACH_SERVER_CHECK=self.check)
        result = carry_out([self.work], services)
        project.close()
        assert isinstance(result, ManyResult)
        return result


def _targets(*numbers: int) -> Batch:
    return Batch(
        targets=[Target(volume_id=_volume(number), attachment_id=_attachment(number)) for number in numbers]
    )


def _named(*servers: str) -> Batch:
    """Targets that name their servers, which are asked for beside their volumes then."""
    return Batch(
        targets=[
            target._replace(server_id=server_id)
            for target, server_id in zip(_targets(0, 1, 2).targets, servers, strict=True)
        ]
    )


_SWEEP = Sweep(sweep=SweepBounds())

SCENES = {
    "a batch of 3": Scene((GONE[0], LIVE[0], GONE[1]), _targets(0, 1, 2), 2),
    "a batch of 3, two alive": Scene((LIVE[0], GONE[0], LIVE[1]), _targets(0, 1, 2), 1),
    "a batch of 3 that names its servers": Scene(
        (GONE[0], LIVE[0], GONE[1]), _named(GONE[0], LIVE[0], GONE[1]), 2
    ),
    "a batch of 3 that names others": Scene(
        (GONE[0], LIVE[0], LIVE[1]), _named(GONE[0], GONE[0], GONE[1]), 1
    ),
    "a batch of 3 that names its servers, by the record": Scene(
        (GONE[0], LIVE[0], GONE[1]), _named(GONE[0], LIVE[0], GONE[1]), 2, "recorded"
    ),
    "a batch of 3 by the record": Scene((GONE[0], LIVE[0], GONE[1]), _targets(0, 1, 2), 2, "recorded"),
    "a batch of 3 by what is held": Scene((OFF, FORGETFUL, GONE[0]), _targets(0, 1, 2), 2, "not-held"),
    "two servers that are off": Scene((OFF, FORGETFUL, LIVE[0]), _targets(0, 1, 2), 1, "not-held"),
    "a server of 2": Scene((GONE[0], GONE[0], LIVE[0]), GoneServer(server_id=GONE[0]), 2),
    "a live server of 2": Scene((LIVE[0], LIVE[0], GONE[0]), GoneServer(server_id=LIVE[0]), 0),
    "a sweep of 2 + 2 pages": Scene((LIVE[0], GONE[0], LIVE[1], GONE[1]), _SWEEP, 2, page_cap=2),
    "a sweep by the record": Scene((LIVE[0], GONE[0]), _SWEEP, 1, "recorded", page_cap=2),
    "a batch of 3 at the vendor's": Scene(
        (GONE[0], LIVE[0], GONE[1]), _targets(0, 1, 2), 2, flavour="huawei"
    ),
    # Of each list the first page, which shows the newest, has to have a witness
    "a sweep at the vendor's": Scene(
        (LIVE[0], GONE[0], GONE[1], OFF), _SWEEP, 2, page_cap=2, flavour="huawei"
    ),
}


@pytest.fixture(params=SCENES)
def scene(request: pytest.FixtureRequest) -> Scene:
    return SCENES[request.param]


@pytest.fixture
def at(scene: Scene) -> Iterator[EmbeddedProject]:
    with Cloud("huawei" if scene.flavour == "huawei" else "openstack") as cloud:
        project = EmbeddedProject(cloud)
        yield project
        project.close()


def _rehearsed(scene: Scene, at: EmbeddedProject) -> list[Call]:
    """The calls of a run in which nothing goes wrong."""
    scene.plant(at.cloud)
    result = scene.do(at)
    assert result.summary.get("detached", 0) == scene.cleared
    return [call for call in at.cloud.calls if call.service in {"volume", "compute"}]


def _troubled(scene: Scene, at: EmbeddedProject, trouble: Callable[[], None]) -> int:
    """Play the scene with this trouble: how many records were cleared. No live server's may be."""
    scene.plant(at.cloud)
    trouble()
    result = scene.do(at)

    codes = {part.error.code for part in result.results if part.error}
    assert ErrorCode.INTERNAL not in codes
    for number, server_id in enumerate(scene.held_by):
        if server_id in at.cloud.world.servers and server_id != FORGETFUL:
            volume = at.cloud.volume(_volume(number))
            assert [link.server_id for link in volume.attachments] == [server_id], "a live server's record"
            assert at.cloud.posts(volume.id) == [], "asked to clear a live server's record"
    return sum(part.changed is True for part in result.results)


def test_the_scenes_ask_for_what_they_are_named_for(scene: Scene, at: EmbeddedProject) -> None:
    _rehearsed(scene, at)

    asked = at.calls()
    if isinstance(scene.work, Sweep):
        assert asked["volume pages"] >= 2
        assert asked["server pages"] >= 2
    elif isinstance(scene.work, GoneServer):
        assert scene.held_by.count(scene.work.server_id) == 2
    else:
        assert isinstance(scene.work, Batch)
        assert len(scene.work.targets) == 3
        assert asked["looks"] >= 2 * 3
    assert asked["detaches"] == scene.cleared


@pytest.mark.usefixtures("short_looks")
def test_no_two_answers_exchanged_clear_a_live_server_s_record(scene: Scene, at: EmbeddedProject) -> None:
    calls = _rehearsed(scene, at)
    pairs = [(one, other) for other in range(len(calls)) for one in range(other)]

    cleared = [
        _troubled(scene, at, partial(at.cloud.misbehaviour.exchange, calls, one, other))
        for one, other in pairs
    ]

    assert len(calls) >= 4
    assert len(pairs) == len(calls) * (len(calls) - 1) // 2
    assert max(cleared) == scene.cleared, "not every exchange stops everything"


@pytest.mark.usefixtures("short_looks")
def test_no_answer_to_another_call_clears_a_live_server_s_record(scene: Scene, at: EmbeddedProject) -> None:
    calls = _rehearsed(scene, at)

    for asked in range(len(calls)):
        for answered in range(len(calls)):
            if calls[asked].answer is not calls[answered].answer:
                _troubled(scene, at, partial(at.cloud.misbehaviour.replay, calls, asked, answered))


# Records that are stuck. That no server has the disk of one without an entry is shown by lists alone, and a
# list names no question.

SOFT_DELETED = "44444444-4444-4444-8444-000000000000"
PARTS = 30


class StuckRecords:
    """Four records: with an entry whose server is gone; without any; two without any that a server holds."""

    held = (2, 3)

    def __init__(self, cloud: Cloud, mode: str) -> None:
        self.cloud = cloud
        self.project = OptedIn(cloud, DETACH_RECOVER=mode, DETACH_CONCURRENCY="1")

    def plant(self) -> None:
        """The same world, made anew. Its servers' list has more pages than one where no cell is asked for."""
        cloud = self.cloud
        cloud.misbehaviour.clear()
        cloud.clear_calls()
        cloud.world.clear()
        cloud.asks_compute = False
        cloud.page_cap = 2
        cloud.add_server(LIVE[0])
        cloud.add_server(LIVE[1])
        cloud.add_server(SOFT_DELETED, "SOFT_DELETED")
        entry = Attachment(_attachment(0), GONE[0], "/dev/vdb", cloud.stamp(cloud.now() - 86400))
        for number, (status, entries) in enumerate(
            (("detaching", [entry]), ("error_detaching", []), ("in-use", []), ("in-use", []))
        ):
            cloud.add_volume(
                _volume(number), status=status, attachments=entries, multiattach=False, known_to_compute=False
            )
        for number, server_id in zip(self.held, (SOFT_DELETED, LIVE[1]), strict=True):
            disk = Disk("/dev/vdb", _attachment(number), _attachment(number))
            cloud.world.servers[server_id].disks[_volume(number)] = disk

    def do(self) -> ManyResult:
        result = self.project.batch(*({"volume_id": _volume(number), "recover": True} for number in range(4)))
        self.project.close()
        return result

    def rehearsed(self) -> list[Call]:
        """The calls of a run in which nothing goes wrong."""
        self.plant()
        result = self.do()
        assert [part.outcome.value for part in result.results] == ["recovered"] * 2 + ["refused"] * 2
        assert {part.error.code for part in result.results if part.error} == {ErrorCode.VOLUME_HELD}
        return [call for call in self.cloud.calls if call.service in {"volume", "compute"}]

    def troubled(self, trouble: Callable[[], None]) -> int:
        """Do it with this trouble: how many were freed. None that a server holds may be."""
        self.plant()
        trouble()
        result = self.do()

        assert ErrorCode.INTERNAL not in {part.error.code for part in result.results if part.error}
        for number in self.held:
            assert self.cloud.volume(_volume(number)).status == "in-use"
            assert self.cloud.posts(_volume(number)) == [], "asked to free a disk that a server holds"
        return sum(part.changed is True for part in result.results)


@pytest.fixture(params=["on", "unlisted"])
def stuck_records(request: pytest.FixtureRequest) -> Iterator[StuckRecords]:
    with Cloud() as cloud:
        yield StuckRecords(cloud, request.param)


def test_every_list_of_servers_is_read_twice(stuck_records: StuckRecords) -> None:
    stuck_records.rehearsed()

    lists = [call for call in stuck_records.cloud.calls if call.path.endswith("/servers/detail")]
    assert len(lists) == 2 * 3
    assert [call.query for call in lists[:3]] == [call.query for call in lists[3:]]
    assert [call.query.get("status") for call in lists[:3]] == [None, None, "SOFT_DELETED"]


@pytest.mark.usefixtures("short_looks")
@pytest.mark.parametrize("part", range(PARTS))
def test_no_two_answers_exchanged_free_a_disk_that_a_server_holds(
    stuck_records: StuckRecords, part: int
) -> None:
    calls = stuck_records.rehearsed()
    pairs = [(one, other) for other in range(len(calls)) for one in range(other)]
    exchange = stuck_records.cloud.misbehaviour.exchange

    freed = [
        stuck_records.troubled(partial(exchange, calls, one, other)) for one, other in pairs[part::PARTS]
    ]

    assert len(pairs) > 10 * PARTS
    assert max(freed) >= 1, "not every exchange stops everything"


@pytest.mark.usefixtures("short_looks")
@pytest.mark.parametrize("part", range(PARTS))
def test_no_answer_to_another_call_frees_a_disk_that_a_server_holds(
    stuck_records: StuckRecords, part: int
) -> None:
    calls = stuck_records.rehearsed()
    replay = stuck_records.cloud.misbehaviour.replay
    said = [(call.answer.status, call.answer.body) for call in calls if call.answer]
    pairs = [
        (asked, answered)
        for asked in range(len(calls))
        for answered in range(len(calls))
        if said[asked] != said[answered]
    ]

    assert len(pairs) > 20 * PARTS
    for asked, answered in pairs[part::PARTS]:
        stuck_records.troubled(partial(replay, calls, asked, answered))
