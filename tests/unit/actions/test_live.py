"""A live server's disk: how its detach is followed, who may ask, and what late or lost calls come to."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial
from typing import Any, Literal, cast
from unittest.mock import Mock

import pytest

from handler.actions.clear import Clearing
from handler.actions.dispatch import carry_out
from handler.actions.live import Live
from handler.actions.proof import Proven
from handler.cloud.servers import Server as ListedServer
from handler.cloud.volumes import read_volume
from handler.errors import ErrorCode, Refused
from handler.model.request import Target, read_form
from handler.model.result import Findings, TargetResult
from handler.model.values import timestamp
from tests.embedded_cloud import Call, Cloud, Server, Volume
from tests.embedded_cloud.detach_job import Course
from tests.unit.actions.answers import IN_USE, SERVER
from tests.unit.actions.opted_in import OptedIn, told

FREE, HELD, UNDER_WAY = "available 0, gone", "in-use 1, held", "detaching 1, held"
DELETE = "DELETE os-volume_attachments"
UNCONFIRMED = ("unconfirmed", "not_confirmed", None)
DETACHED = ("detached", None, True)


class EndOfTheProcess(BaseException):
    pass


class Held:
    """A disk at a running server, and what names it."""

    def __init__(self, project: OptedIn) -> None:
        self.project = project
        self.cloud = project.cloud
        self.server: Server = self.cloud.add_server()
        self.volume: Volume = self.cloud.add_volume(attachments=[self.server])
        self.ids = {
            "attachment_id": self.volume.attachments[0].attachment_id,
            "server_id": self.server.id,
        }

    def detach(self, **about: Any) -> TargetResult:
        return self.project.one(self.volume.id, live=True, **{**self.ids, **about})

    def state(self) -> str:
        return self.project.state(self.volume.id)


@pytest.fixture
def project(bare_cloud: Cloud) -> Iterator[OptedIn]:
    made = OptedIn(bare_cloud)
    yield made
    made.close()


@pytest.fixture
def held(project: OptedIn) -> Held:
    return Held(project)


# How it can go: how the job ends, how long it takes; what comes of it; what the job's state is; then.
COURSES: dict[str, tuple[Course, tuple[str, str | None, bool | None], str, bool, str]] = {
    "at once": (Course(), DETACHED, "done", False, FREE),
    "step by step": (Course(queued=1, guest=2, entry=3, row=4), DETACHED, "done", False, FREE),
    "the guest keeps it": (
        Course(guest=2, ends="guest"),
        ("refused", "guest_refused", False),
        "failed",
        False,
        HELD,
    ),
    "Cinder can't be told": (
        Course(ends="cinder"),
        ("failed", "not_recovered", None),
        "failed",
        False,
        UNDER_WAY,
    ),
    "its host dies over it": (Course(ends="never"), UNCONFIRMED, "running", True, UNDER_WAY),
    "a guest that is slow": (Course(guest=600), UNCONFIRMED, "running", True, UNDER_WAY),
    "waiting for its host": (Course(queued=600), UNCONFIRMED, "queued", True, UNDER_WAY),
}


@pytest.mark.parametrize("course", COURSES)
def test_it_is_followed_to_its_end(held: Held, course: str) -> None:
    held.cloud.jobs.course, outcome, state, again, then = COURSES[course]

    result = held.detach()

    assert told(result) == outcome
    assert result.job is not None
    assert (result.job.id.startswith("req-"), result.job.state) == (True, state)
    assert (result.via, held.project.sent(), held.state()) == ("compute", [DELETE], then)
    assert (result.error is not None and result.error.retryable) is again


def test_nothing_is_asked_for_with_a_microversion_that_would_delete(held: Held) -> None:
    held.detach()

    [call] = [call for call in held.cloud.calls if call.method == "DELETE"]
    assert not [name for name in call.headers if "version" in name]
    assert call.raw == b""


def test_a_lost_entry_leaves_a_record_for_recover(held: Held) -> None:
    """Recorded: Nova lets go, and the record stays `detaching` for ever."""

    def lose(call: Call) -> None:
        if call.method == "DELETE":
            held.volume.attachments.clear()

    held.cloud.hook(lose)

    result = held.detach()

    assert told(result) == ("failed", "not_recovered", True)
    assert result.error is not None
    assert "recover" in result.error.message
    assert held.state() == "detaching 0, gone"


def test_a_dry_run_sends_nothing(held: Held) -> None:
    result = held.detach(dry_run=True)

    assert told(result) == ("would_detach", None, False)
    assert (result.via, held.project.sent(), held.state()) == ("compute", [], HELD)


def test_a_dry_run_of_what_is_under_way_follows_nothing(held: Held) -> None:
    held.cloud.jobs.course = Course(guest=600)
    held.detach()

    assert told(held.detach(dry_run=True)) == ("refused", "volume_state", False)


def test_who_does_not_say_live_detaches_nothing_from_a_server_that_lives(held: Held) -> None:
    result = held.project.one(held.volume.id, **held.ids)

    assert told(result) == ("refused", "server_exists", False)
    assert (held.project.sent(), held.state()) == ([], HELD)
    assert result.error is not None
    assert "Detach the volume at the server instead" in result.error.message


@pytest.mark.parametrize(
    ("live", "says"),
    [(True, "its own list doesn't hold the volume"), (False, "Detach the volume at the server instead")],
)
def test_what_a_live_server_does_not_list_is_said_to_whoever_had_that_looked_at(
    held: Held, says: str, *, live: bool
) -> None:
    forgotten = held.cloud.add_volume(attachments=[held.server], known_to_compute=False)
    entry = forgotten.attachments[0].attachment_id

    result = held.project.one(forgotten.id, live=live, attachment_id=entry, server_id=held.server.id)

    assert told(result) == ("refused", "server_exists", False)
    assert held.project.sent() == []
    assert result.error is not None
    assert says in result.error.message


class _Refusing:
    """A proof that finds none."""

    def __init__(self, code: ErrorCode, *, retryable: bool) -> None:
        self._why = partial(Refused, code, "the proof's own words", retryable=retryable)

    def require_let_go(self, *_: object) -> Proven:
        raise self._why()


@pytest.mark.parametrize(
    ("code", "retryable", "says"),
    [
        (ErrorCode.SERVER_EXISTS, False, "its own list doesn't hold the volume"),
        (ErrorCode.SERVER_EXISTS, True, "the proof's own words"),
        (ErrorCode.SERVER_UNKNOWN, False, "the proof's own words"),
    ],
)
def test_only_a_server_that_stays_as_it_is_is_said_to_hold_nothing(
    held: Held, code: ErrorCode, says: str, *, retryable: bool
) -> None:
    project = held.project.services()
    proof: Any = _Refusing(code, retryable=retryable)
    clearing = Clearing(
        project.volumes, proof, project_id=None, require_belonging=lambda _: None, live=cast("Live", object())
    )

    server = ListedServer(SERVER, "ACTIVE", None, idle=True)
    volume = read_volume(IN_USE["volume"])

    def judged(*, unlisted: bool) -> str:
        with pytest.raises(Refused) as refused:
            clearing._require_let_go(server, volume, project.context, unlisted=unlisted)
        return refused.value.message

    assert says in judged(unlisted=True)
    assert judged(unlisted=False) == "the proof's own words"


def test_who_does_not_say_live_follows_nothing(held: Held) -> None:
    held.cloud.jobs.course = Course(guest=600)
    held.detach()
    held.cloud.clear_calls()

    result = held.project.one(held.volume.id, **held.ids)

    assert told(result) == ("refused", "volume_state", False)
    asked = {call.path.rpartition("/")[2] for call in held.cloud.calls if call.service == "compute"}
    assert asked <= {held.server.id}  # whether it is there, and not what it holds
    assert held.state() == UNDER_WAY


# Asking again.


def test_asking_again_only_follows(held: Held) -> None:
    held.cloud.jobs.course = Course(guest=60)
    first = held.detach()
    second = held.detach()
    held.project.sleep(60)
    third = held.detach()
    fourth = held.detach()

    assert [told(result) for result in (first, second)] == [UNCONFIRMED, UNCONFIRMED]
    assert told(third)[0] in {"detached", "already_detached"}
    assert told(fourth) == ("already_detached", None, False)
    assert held.project.sent() == [DELETE]
    assert held.state() == FREE


def test_what_ends_while_it_is_followed_again_is_detached(held: Held) -> None:
    held.cloud.jobs.course = Course(guest=30)
    assert told(held.detach()) == UNCONFIRMED

    assert told(held.detach()) == DETACHED
    assert held.project.sent() == [DELETE]


def test_a_process_that_ends_after_the_delete_is_followed_by_the_next(held: Held) -> None:
    held.cloud.jobs.course = Course(guest=10)
    held.cloud.misbehave(method="DELETE", drop="after")
    services = held.project.services()

    def end(_seconds: float) -> None:
        raise EndOfTheProcess

    services._sleep = end
    target = read_form(Target, {"volume_id": held.volume.id, "live": True, **held.ids})
    with pytest.raises(EndOfTheProcess):
        carry_out([target], services)

    assert told(held.detach()) == DETACHED
    assert held.project.sent() == [DELETE]


def test_a_mark_made_by_hand_is_not_waited_for(held: Held) -> None:
    held.volume.status, held.volume.updated_at = "detaching", held.cloud.stamp()

    result = held.detach()

    assert told(result) == ("failed", "not_recovered", None)
    assert result.error is not None
    assert "by hand" in result.error.message
    assert held.project.sent() == []


@pytest.mark.parametrize("drop", ["before", "after"])
@pytest.mark.parametrize("ends", ["done", "guest"])
def test_a_lost_answer_is_not_explained_by_an_older_detach_of_another_disk(
    held: Held, drop: Literal["before", "after"], ends: Literal["done", "guest"]
) -> None:
    other = held.cloud.add_volume(attachments=[held.server])
    held.cloud.jobs.courses[other.id] = Course(ends="guest")
    ids = {"attachment_id": other.attachments[0].attachment_id, "server_id": held.server.id}
    held.project.sleep(100)
    assert told(held.project.one(other.id, live=True, **ids))[1] == "guest_refused"
    held.project.sleep(500)
    held.cloud.jobs.course = Course(guest=2, ends=ends)
    held.cloud.misbehave(method="DELETE", drop=drop)

    result = held.detach()

    if drop == "before":
        assert told(result) == ("failed", "upstream_unavailable", None)
        assert result.error is not None
        assert result.error.retryable
    else:
        assert told(result) == (DETACHED if ends == "done" else ("refused", "guest_refused", False))


@pytest.mark.parametrize(
    ("seconds", "code", "words"),
    [
        (59, "not_confirmed", "how far its job is can't be told"),
        (61, "not_recovered", "by hand"),
    ],
)
def test_a_mark_a_minute_after_a_failed_detach_of_another_disk_is_one_by_hand(
    held: Held, seconds: int, code: str, words: str
) -> None:
    """Before that it may be this disk's, by two clocks that differ."""
    other = held.cloud.add_volume(attachments=[held.server])
    held.cloud.jobs.courses[other.id] = Course(ends="guest")
    ids = {"attachment_id": other.attachments[0].attachment_id, "server_id": held.server.id}
    assert told(held.project.one(other.id, live=True, **ids))[1] == "guest_refused"
    held.project.sleep(200)
    failed = int(held.project.now()) - 100
    for action in held.server.actions:
        action.start_time = held.cloud.stamp(failed)
    held.volume.status, held.volume.updated_at = "detaching", held.cloud.stamp(failed + seconds)

    result = held.detach()

    assert result.error is not None
    assert result.error.code == code
    assert words in result.error.message
    assert ("os-roll_detaching" in result.error.message) is (code == "not_recovered")


# Who follows it, and who asks to stop.


def test_each_look_is_told_of(held: Held) -> None:
    held.cloud.jobs.course = Course(queued=1, guest=3)
    looks: list[tuple[str | None, str | None]] = []

    def told_of(found: Findings) -> None:
        looks.append((found.volume_status.after, found.job.state if found.job else None))

    services = held.project.services()
    services.observer = Mock(followed=told_of)
    target = read_form(Target, {"volume_id": held.volume.id, "live": True, **held.ids})

    assert carry_out([target], services).ok
    assert looks[0] == ("detaching", "queued")
    assert looks[-2:] == [("available", "done")] * 2
    assert ("detaching", "running") in looks


@pytest.mark.parametrize("after", ["the disks", "the call", "a look"])
def test_whoever_asks_to_stop_begins_nothing_and_ends_nothing(held: Held, after: str) -> None:
    held.cloud.jobs.course = Course(guest=600)
    asked: list[Call] = []

    def ask(call: Call) -> None:
        begun = held.project.sent() != []
        if call.path.endswith("/os-volume_attachments") and (after == "the disks" or begun):
            asked.append(call)
        if call.method == "DELETE" and after == "the call":
            asked.append(call)

    held.cloud.hook(ask)
    services = held.project.services()
    services.context.invocation = services.context.invocation._replace(stopped=lambda: bool(asked))
    target = read_form(Target, {"volume_id": held.volume.id, "live": True, **held.ids})
    slept: list[float] = []
    services._sleep = slept.append

    result = carry_out([target], services)

    assert isinstance(result, TargetResult)
    if after == "the disks":
        assert told(result) == ("failed", "deadline_exceeded", False)
        assert held.project.sent() == []
    else:
        assert told(result) == UNCONFIRMED
        assert result.job is not None
        assert result.error is not None
        assert result.job.id in result.error.message
        assert (slept, held.project.sent(), held.state()) == ([], [DELETE], UNDER_WAY)


# Late and repeated events.


def _attach_anew(held: Held, server: Server) -> None:
    assert told(held.detach()) == DETACHED
    held.cloud.attach(held.volume, server)
    held.cloud.clear_calls()


@pytest.mark.parametrize("where", ["the same server", "another server"])
def test_a_repeated_event_does_not_meet_a_newer_attachment(held: Held, where: str) -> None:
    server = held.server if where == "the same server" else held.cloud.add_server()
    _attach_anew(held, server)

    assert told(held.detach()) == ("already_detached", None, False)
    assert (held.project.sent(), held.state()) == ([], HELD)


def test_a_disk_that_is_attached_anew_while_it_is_looked_at_is_left_alone(held: Held) -> None:
    """Between our last look at the server and the record, the disk goes and comes back."""
    swapped: list[Call] = []

    def swap(call: Call) -> None:
        if call.path.endswith("/os-volume_attachments") and not swapped:
            swapped.append(call)
            held.volume.attachments.clear()
            held.cloud.attach(held.volume, held.server)

    held.cloud.hook(swap)

    assert told(held.detach())[0:2] == ("refused", "server_exists")
    assert (held.project.sent(), held.state()) == ([], HELD)


def test_an_entry_that_the_server_has_under_another_id_is_stale(held: Held) -> None:
    held.server.disks[held.volume.id].attachment_id = "11111111-1111-4111-8111-111111111111"

    result = held.detach()

    assert told(result) == ("refused", "server_exists", False)
    assert result.error is not None
    assert "stale" in result.error.message
    assert "is off here" not in result.error.message


def test_two_entries_of_one_server_are_no_detach(held: Held) -> None:
    entry = held.cloud.add_volume(attachments=[held.server]).attachments[0]
    held.volume.attachments.append(entry)

    assert told(held.detach()) == ("refused", "attachment_unknown", False)


@pytest.mark.parametrize(("ahead", "code"), [(60, None), (-60, "live_expired")])
def test_not_after_holds(held: Held, ahead: float, code: str | None) -> None:
    result = held.detach(not_after=timestamp(time.time() + ahead))

    assert (result.error.code if result.error else None) == code
    assert held.project.sent() == ([] if code else [DELETE])


def test_a_late_event_about_a_server_that_is_gone_is_the_plain_rule_s(held: Held) -> None:
    held.cloud.delete_server(held.server.id)

    assert told(held.detach(not_after="2020-01-01T00:00:00Z")) == DETACHED
    assert held.project.sent() == ["os-detach"]


def test_what_is_under_way_at_a_server_that_is_gone_since_is_no_plain_rule_s(held: Held) -> None:
    held.cloud.jobs.course = Course(guest=600)
    held.detach()
    held.cloud.clear_calls()
    held.cloud.world.servers.pop(held.server.id)

    assert told(held.detach()) == ("refused", "volume_state", False)
    assert held.project.sent() == []


# Who may.


@pytest.mark.parametrize("roles", [("member", "admin"), ("Admin",), None])
def test_an_administrators_token_is_not_used_on_a_live_server(
    held: Held, roles: tuple[str, ...] | None
) -> None:
    held.project.roles = roles

    result = held.detach()

    assert told(result) == ("failed", "configuration", False)
    assert (held.project.sent(), held.state()) == ([], HELD)


@pytest.mark.parametrize(("locked_by", "outcome"), [(None, "detached"), ("owner", "refused")])
def test_an_administrator_looks_at_the_lock(held: Held, locked_by: Any, outcome: str) -> None:
    held.project.roles, held.project.role = ("admin",), "admin"
    held.project.settings["DETACH_LIVE"] = "admin"
    held.server.locked_by = locked_by

    assert held.detach().outcome == outcome
    assert held.project.sent() == ([DELETE] if locked_by is None else [])


def test_an_administrator_without_a_word_about_the_lock_sends_nothing(held: Held) -> None:
    held.project.settings["DETACH_LIVE"] = "admin"
    # The second look at the server asks for its lock, by a microversion that this cloud has not
    held.cloud.misbehave(method="GET", path_contains=f"/servers/{held.server.id}", after=1, status=406)

    assert told(held.detach()) == ("refused", "server_locked", False)
    assert held.project.sent() == []


FAULTS: dict[str, tuple[dict[str, Any], tuple[str, str | None, bool | None], str]] = {
    "lost after it was done": ({"drop": "after"}, DETACHED, FREE),
    "lost before it came": ({"drop": "before"}, ("failed", "upstream_unavailable", None), HELD),
    "a 500 that did nothing": (
        {"status": 500, "body": b""},
        ("failed", "upstream_unavailable", None),
        HELD,
    ),
    "a 503": ({"status": 503, "body": b""}, ("failed", "upstream_unavailable", None), HELD),
    "a 429": ({"status": 429, "body": b""}, ("failed", "throttled", None), HELD),
    "another 409": (
        {"status": 409, "body": {"conflictingRequest": {"code": 409, "message": "No."}}},
        ("failed", "upstream_rejected", False),
        HELD,
    ),
    "a refused token": ({"status": 401, "body": b""}, ("failed", "token_rejected", False), HELD),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_call_whose_answer_says_little_is_followed_and_never_sent_again(held: Held, fault: str) -> None:
    rule, outcome, then = FAULTS[fault]
    held.cloud.misbehave(method="DELETE", **rule)

    assert told(held.detach()) == outcome
    assert (held.project.sent(), held.state()) == ([DELETE], then)


@pytest.mark.parametrize("seconds", [0.5, 1.0])
def test_with_too_little_time_nothing_is_sent(held: Held, seconds: float) -> None:
    held.project.left = seconds

    result = held.detach()

    assert result.changed is False
    assert (held.project.sent(), held.state()) == ([], HELD)


def test_a_server_that_is_shown_as_deleted_for_an_instant_is_asked_for_again_later(held: Held) -> None:
    held.cloud.deleted_shown = 60.0
    held.cloud.delete_server(held.server.id)

    first = held.detach()
    held.cloud.deleted_shown = 0.0
    second = held.detach()

    assert told(first) == ("refused", "server_exists", False)
    assert first.error is not None
    assert first.error.retryable
    assert told(second) == DETACHED


def test_a_record_that_is_another_projects_by_the_last_look_is_left_alone(held: Held) -> None:
    reads: list[Call] = []

    def move(call: Call) -> None:
        if call.method == "GET" and call.path.endswith(held.volume.id):
            reads.append(call)
            if len(reads) == 2:
                held.volume.project_id = held.cloud.other_project_id

    held.cloud.hook(move)

    assert told(held.detach()) == ("refused", "volume_state", False)
    assert held.project.sent() == []
