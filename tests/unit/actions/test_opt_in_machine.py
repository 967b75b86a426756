"""Live disks and stuck records while the project changes: between any two calls anything may happen.

Servers boot, vanish, are locked, take the disk; jobs slow down, fail, die; records change; answers get lost.
The cloud's own guard is off, so that only the function's rule keeps a disk.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from handler.model.result import Outcome, TargetResult
from tests.embedded_cloud import Answer, Attachment, Call, Cloud, Volume, stuck
from tests.embedded_cloud.detach_job import Course
from tests.embedded_cloud.records import Disk
from tests.unit.actions.opted_in import OptedIn

if TYPE_CHECKING:
    from typing_extensions import Self

KINDS = (*["live"] * 12, *(row for row in stuck.ROWS if row not in {"N12", "L8", "L9", "N16", "L12"}))
FAULTS = ("503", "500", "429", "lost before", "lost after")
CHANGES = (
    *("boot", "vanish", "lock", "suspend", "task", "take", "mark", "touch", "entry"),
    *("slow", "keep", "half", "die", "row"),
    *FAULTS,
)
COURSES = {
    "slow": Course(guest=6),
    "keep": Course(ends="guest"),
    "half": Course(ends="cinder"),
    "die": Course(ends="never"),
    "row": Course(row=3),
}

change = st.tuples(st.integers(0, 16), st.sampled_from(CHANGES))


class Turmoil:
    """Changes the project as planned, and judges each call that changes something at the moment it comes."""

    def __init__(self, cloud: Cloud, plan: dict[int, list[str]], volume: Volume, server_id: str) -> None:
        self.cloud, self.plan, self.volume, self.server_id = cloud, plan, volume, server_id
        self.calls = 0
        self.gone: dict[str, bool] = {}  # what the last look at a server met
        self.held_at_scan: bool | None = None
        self.reads: list[tuple[str, str | None, tuple[str, ...]]] = []  # the record, each time it was read
        self.entries_read = False
        self.server_look: tuple[str, str | None, str | None] | None = None
        self.sent: list[str] = []
        self.accepted_job = False
        self.effect = False
        self.wrong: list[str] = []

    def __enter__(self) -> Self:
        self._services = dict(self.cloud._services)
        self.cloud._services.update({"compute": self._compute, "volume": self._volume})
        self.cloud.hooks[:] = [self._disturb]
        return self

    def __exit__(self, *_: object) -> None:
        self.cloud.hooks.clear()
        self.cloud._services.update(self._services)

    @property
    def holders(self) -> list[str]:
        return [server.id for server in self.cloud.servers if self.volume.id in server.disks]

    def _disturb(self, _: Call) -> None:
        with self.cloud.world.lock:
            for what in self.plan.get(self.calls, ()):
                self._change(what)
            self.calls += 1

    def _change(self, what: str) -> None:
        volume, server = self.volume, self.cloud.world.servers.get(self.server_id)
        if what == "boot" and server is None:
            self.cloud.add_server(self.server_id)
        elif what == "vanish" and server is not None:
            self.cloud.delete_server(self.server_id)
        elif what == "lock" and server is not None:
            server.locked_by = "owner"
        elif what == "suspend" and server is not None:
            server.status = "SUSPENDED"
        elif what == "task" and server is not None:
            server.task_state = "powering-off"
        elif what == "take":
            taker = self.cloud.add_server()
            taker.disks[volume.id] = Disk("/dev/vdb", str(uuid.uuid4()), str(uuid.uuid4()))
            volume.updated_at = self.cloud.stamp()
        elif what == "mark":
            volume.status = {"in-use": "detaching", "detaching": "in-use"}.get(volume.status, "in-use")
            volume.updated_at = self.cloud.stamp()
        elif what == "touch":
            volume.updated_at = self.cloud.stamp()
        elif what == "entry":
            volume.attachments.append(Attachment(str(uuid.uuid4()), str(uuid.uuid4()), "/dev/vdc", None))
            volume.updated_at = self.cloud.stamp()
        elif what in COURSES:
            self.cloud.jobs.course = COURSES[what]
        elif what.isdigit():
            self.cloud.misbehave(status=int(what), body=b"")
        elif what.startswith("lost"):
            self.cloud.misbehave(drop="after" if what == "lost after" else "before")

    def _compute(self, call: Call) -> Answer:
        # the first one, without a limit, only asks whether a cell is down
        if call.path.endswith("/servers/detail") and "limit" in call.query:
            self.held_at_scan = bool(self.held_at_scan) or bool(self.holders)
        _, _, asked = call.path.rpartition("/servers/")
        server = self.cloud.world.servers.get(asked)
        if len(asked) == 36 and call.method == "GET" and asked != "detail":
            self.gone[asked] = server is None
            self.server_look = (server.status, server.task_state, server.locked_by) if server else None
        if call.method == "DELETE":
            return self._live_detach(call)
        return self._services["compute"](call)

    def _live_detach(self, call: Call) -> Answer:
        self.sent.append("DELETE")
        if self.reads[-1][0] != "in-use" or self.reads[-1][2] != self.reads[0][2]:
            self.wrong.append(f"a DELETE on a record that was read as {self.reads}")
        if self.server_look not in {("ACTIVE", None, None), ("SHUTOFF", None, None)}:
            self.wrong.append(f"a DELETE at a server that was seen {self.server_look}")
        answer = self._services["compute"](call)
        self.accepted_job = self.accepted_job or answer.status == 202
        return answer

    def _volume(self, call: Call) -> Answer:
        if call.method == "GET" and call.path.endswith(self.volume.id):
            entries = tuple(one.attachment_id for one in self.volume.attachments)
            self.reads.append((self.volume.status, self.volume.updated_at, entries))
        self.entries_read = self.entries_read or call.path.endswith("/attachments")
        if call.method != "POST":
            return self._services["volume"](call)
        assert isinstance(call.body, dict)
        [(name, arguments)] = call.body.items()
        self.sent.append(name)
        if self.entries_read and (len(self.reads) < 2 or self.reads[0] != self.reads[-1]):
            self.wrong.append(f"{name} of a stuck record that was not read as before: {self.reads}")
        entry = self.volume.attachment((arguments or {}).get("attachment_id", ""))
        if name == "os-detach" and arguments and entry is not None:
            if not self.gone.get(entry.server_id or ""):
                self.wrong.append("os-detach of an entry whose server was not seen gone")
        elif (name in {"os-unreserve", "os-detach"} and not arguments) and self.held_at_scan is not False:
            self.wrong.append(f"{name} of a disk that a server had when all were looked through")
        before = self.volume.status, len(self.volume.attachments)
        answer = self._services["volume"](call)
        self.effect = self.effect or before != (self.volume.status, len(self.volume.attachments))
        return answer


@pytest.fixture(scope="module")
def trusting() -> Iterator[OptedIn]:
    with Cloud() as cloud:
        cloud.asks_compute = False
        made = OptedIn(cloud)
        yield made
        made.close()


def _planted(cloud: Cloud, kind: str) -> tuple[Volume, str, str]:
    if kind != "live":
        planted = stuck.plant(cloud.world, kind)
        return planted.volume, planted.server_id, planted.attachment_id
    server = cloud.add_server()
    volume = cloud.add_volume(attachments=[server])
    return volume, server.id, volume.attachments[0].attachment_id


@example(kind="L4", changes=[(3, "vanish")], live=False, recover=True, dry=False)
@settings(max_examples=500, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    kind=st.sampled_from(KINDS),
    changes=st.lists(change, max_size=10),
    live=st.booleans(),
    recover=st.booleans(),
    dry=st.sampled_from([False, False, False, True]),
)
def test_nothing_is_freed_that_a_server_had_and_nothing_said_done_that_is_not(
    trusting: OptedIn, kind: str, changes: list[tuple[int, str]], *, live: bool, recover: bool, dry: bool
) -> None:
    cloud = trusting.cloud
    cloud.world.clear()
    cloud.misbehaviour.clear()
    cloud.clear_calls()
    cloud.jobs.course = Course()
    volume, server_id, attachment_id = _planted(cloud, kind)
    named = bool(volume.attachments)
    ids: dict[str, Any] = {"attachment_id": attachment_id, "server_id": server_id} if named else {}
    plan: dict[int, list[str]] = {}
    for moment, what in changes:
        plan.setdefault(moment, []).append(what)

    with Turmoil(cloud, plan, volume, server_id) as turmoil:
        result = trusting.one(volume.id, live=live and named, recover=recover, dry_run=dry, **ids)

    assert turmoil.wrong == []
    assert_told(result, turmoil, attachment_id if named else None)
    if dry:
        assert turmoil.sent == []
    assert turmoil.sent.count("DELETE") <= 1
    if not recover:
        assert "os-unreserve" not in turmoil.sent
    if not live:
        assert "DELETE" not in turmoil.sent
    assert ("os-roll_detaching" not in turmoil.sent) or (live and recover)


def assert_told(result: TargetResult, turmoil: Turmoil, attachment_id: str | None) -> None:
    """What the result says is what is."""
    cloud, volume = turmoil.cloud, turmoil.volume
    done = result.outcome in {Outcome.DETACHED, Outcome.RECOVERED}
    if done:
        assert result.changed is True
        assert attachment_id not in {entry.attachment_id for entry in volume.attachments}
        disks = [disk for server in cloud.servers for id_, disk in server.disks.items() if id_ == volume.id]
        assert attachment_id is None or attachment_id not in {disk.attachment_id for disk in disks}
    if turmoil.effect:
        assert result.changed is not False
    if turmoil.accepted_job and result.changed is False:
        assert result.error is not None
        assert result.error.code == "guest_refused"
        assert [job.stage for job in cloud.jobs.jobs.values()] == ["failed"]
