"""A sweep while the project changes under it: between any two calls anything may happen.

Servers appear and vanish, attachments move, pages fail and answers get lost. The cloud here refuses nothing
by itself (it doesn't ask its compute service), so that only the function's own rule keeps a disk.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from handler.actions.dispatch import carry_out
from handler.actions.project import Project
from handler.cloud.transport import Transport
from handler.model.request import GoneServer, Sweep, SweepBounds, Work
from handler.model.result import ManyResult, Outcome
from handler.settings import read_settings
from tests.embedded_cloud import Answer, Attachment, Call, Cloud
from tests.unit.contexts import call_context
from tests.unit.embedded_project import FixedToken

if TYPE_CHECKING:
    from typing_extensions import Self

SERVERS = 6
VOLUMES = 8
FAULTS = ("503", "500", "429", "lost before", "lost after")
CHANGES = ("appear", "vanish", "move", *FAULTS)

change = st.tuples(st.integers(0, 30), st.sampled_from(CHANGES), st.integers(0, VOLUMES - 1))
"""At which call, what, and to which volume or server."""


class Clock:
    """Time that passes by sleeping, and a little by being looked at."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 0.001
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@dataclass
class Turmoil:
    """Changes the project as planned, and notes what each look at a server and each detach met.

    It notes them as they are carried out, under the cloud's own lock: what another thread's call changes
    just before or after doesn't blur it.
    """

    cloud: Cloud
    plan: dict[int, list[tuple[str, int]]]
    servers: list[str]
    volumes: list[str]
    looks: list[tuple[str, bool]] = field(default_factory=list)
    cleared: set[str] = field(default_factory=set)
    wrong: list[str] = field(default_factory=list)
    calls: int = 0

    def __enter__(self) -> Self:
        self._services = dict(self.cloud._services)
        self.cloud._services.update({"compute": self._compute, "volume": self._volume})
        self.cloud.hooks[:] = [self._disturb]
        return self

    def __exit__(self, *_: object) -> None:
        self.cloud.hooks.clear()
        self.cloud._services.update(self._services)

    def _disturb(self, _: Call) -> None:
        with self.cloud.world.lock:
            for what, which in self.plan.get(self.calls, ()):
                self._change(what, which)
            self.calls += 1

    def _compute(self, call: Call) -> Answer:
        _, _, server_id = call.path.rpartition("/servers/")
        if server_id in self.servers:
            self.looks.append((server_id, server_id in self.cloud.world.servers))
        return self._services["compute"](call)

    def _volume(self, call: Call) -> Answer:
        parts = call.path.split("/")
        if call.method == "POST":
            return self._detach(call, parts[-2], call.body["os-detach"]["attachment_id"])
        return self._services["volume"](call)

    def _detach(self, call: Call, volume_id: str, attachment_id: str) -> Answer:
        attachment = self.cloud.volume(volume_id).attachment(attachment_id)
        answer = self._services["volume"](call)
        if attachment is None:
            return answer
        if (attachment.server_id, False) not in self.looks:
            self.wrong.append(f"{attachment_id}: its server was not seen gone")
        if self.cloud.volume(volume_id).attachment(attachment_id) is None:
            self.cleared.add(attachment_id)
        return answer

    def _change(self, what: str, which: int) -> None:
        server_id = self.servers[which % len(self.servers)]
        alive = server_id in self.cloud.world.servers
        if what == "appear" and not alive:
            self.cloud.add_server(server_id)
        elif what == "vanish" and alive:
            self.cloud.delete_server(server_id, purge=which % 2 == 0)
        elif what == "move":
            volume = self.cloud.volume(self.volumes[which])
            if volume.attachments:
                moved = Attachment(str(uuid.uuid4()), server_id, "/dev/vdc", self.cloud.stamp())
                volume.attachments[:] = [moved]
        elif what.isdigit():
            self.cloud.misbehave(status=int(what), body=b"")
        elif what.startswith("lost"):
            self.cloud.misbehave(drop="after" if what == "lost after" else "before")


@pytest.fixture(scope="module")
def trusting() -> Iterator[Cloud]:
    """A cloud that clears whatever it is asked to."""
    with Cloud() as cloud:
        cloud.asks_compute = False
        yield cloud


def services(cloud: Cloud, transport: Transport, clock: Clock, concurrency: int) -> Project:
    return Project(
        read_settings(
            {
                **cloud.environment(),
                "DETACH_TOKEN_SECRET": "env:NOT_ASKED",
                "DETACH_SWEEP_DRY_RUN": "false",
                "DETACH_SWEEP_MAX_FRACTION": "1",
                "DETACH_CONCURRENCY": str(concurrency),
                "DETACH_TIMEOUT": "120",
            },
            network=False,
        ),
        transport,
        FixedToken(cloud.token(), cloud),
        call_context(120, clock),
        sleep=clock.sleep,
    )


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    changes=st.lists(change, max_size=14),
    holders=st.lists(st.integers(0, SERVERS - 1), min_size=VOLUMES, max_size=VOLUMES),
    alive=st.sets(st.integers(0, SERVERS - 1), min_size=1),
    concurrency=st.sampled_from([1, 1, 4]),
    form=st.sampled_from(["sweep", "dry", "limited", "server"]),
)
def test_no_disk_is_taken_from_a_server_that_was_there_when_looked_for(
    trusting: Cloud,
    changes: list[tuple[int, str, int]],
    holders: list[int],
    alive: set[int],
    concurrency: int,
    form: str,
) -> None:
    cloud = trusting
    cloud.world.clear()
    cloud.misbehaviour.clear()
    cloud.clear_calls()
    servers = [str(uuid.UUID(int=0x10000000000040008000000000000000 + n)) for n in range(SERVERS)]
    for number in alive:
        cloud.add_server(servers[number])
    volumes = [cloud.add_volume(attachments=[servers[number]]).id for number in holders]
    plan: dict[int, list[tuple[str, int]]] = {}
    for moment, what, which in changes:
        plan.setdefault(moment, []).append((what, which))
    works: dict[str, Work] = {
        "sweep": Sweep(sweep=SweepBounds()),
        "dry": Sweep(sweep=SweepBounds(dry_run=True)),
        "limited": Sweep(sweep=SweepBounds(limit=2)),
        "server": GoneServer(server_id=servers[holders[0]]),
    }

    clock = Clock()
    transport = Transport(connect_timeout=3, read_timeout=10, sleep=clock.sleep)
    with Turmoil(cloud, plan, servers, volumes) as turmoil:
        result = carry_out([works[form]], services(cloud, transport, clock, concurrency))
    transport.close()

    assert isinstance(result, ManyResult)
    assert turmoil.wrong == []
    most = {"dry": 0, "limited": 2}.get(form, VOLUMES)
    assert len(turmoil.cleared) <= most
    for part in result.results:
        listed = {entry.attachment_id for entry in cloud.volume(part.volume_id or "").attachments}
        if part.outcome is Outcome.DETACHED:
            assert part.attachment_id not in listed
            assert part.changed is True
        elif part.outcome is Outcome.ALREADY_DETACHED:
            assert part.attachment_id not in listed
        if part.attachment_id in turmoil.cleared:
            assert part.changed is not False or part.outcome is Outcome.ALREADY_DETACHED
    told = {part.attachment_id for part in result.results}
    assert turmoil.cleared <= told
