"""A mark that a failed detach left at a live server: who may take it back, and what comes then."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from email.utils import formatdate
from typing import Any

import pytest

from handler.actions.dispatch import carry_out
from handler.model.request import Target, read_form
from handler.model.result import TargetResult
from tests.embedded_cloud import Attachment, Call
from tests.embedded_cloud.detach_job import Course
from tests.unit.actions.opted_in import OptedIn, refused, told

ROLL, DELETE = "os-roll_detaching", "DELETE os-volume_attachments"
FREE, HELD, MARKED = "available 0, gone", "in-use 1, held", "detaching 1, held"
DETACHED = ("detached", None, True)


@pytest.fixture
def project(opted_in: OptedIn) -> OptedIn:
    return opted_in


class Marked:
    """A disk at a live server whose detach ended as the course says."""

    def __init__(self, project: OptedIn, course: Course) -> None:
        self.project = project
        self.server = project.cloud.add_server()
        self.volume = project.cloud.add_volume(attachments=[self.server])
        self.ids = {
            "attachment_id": self.volume.attachments[0].attachment_id,
            "server_id": self.server.id,
        }
        project.cloud.jobs.course = course
        project.one(self.volume.id, live=True, **self.ids)
        project.cloud.jobs.course = Course()
        self.volume.attachments[0].attached_at = None
        project.cloud.clear_calls()

    def age(self) -> None:
        """Two hours pass. An answer's Date is this machine's, so the record goes back in time."""
        past = self.project.cloud.stamp(self.project.now() - 7200)
        self.volume.updated_at = past
        for action in self.server.actions:
            if action.action == "detach_volume":
                action.start_time = past

    def result(self, **about: Any) -> TargetResult:
        return self.project.one(self.volume.id, recover=True, **{**self.ids, **about})

    def ask(self, **about: Any) -> tuple[str, str | None, bool | None]:
        return told(self.result(**about))

    def before_last(self, change: Callable[[], object]) -> None:
        """Have something change once the server's disks are looked at, before anything is sent."""
        self.when(lambda call: call.path.endswith("/os-volume_attachments"), change)

    def after_the_mark(self, change: Callable[[], object]) -> None:
        """Have something change as soon as the mark is taken back and the record is read again."""
        sent: list[Call] = []

        def at(call: Call) -> bool:
            if call.method == "POST":
                sent.append(call)
            return bool(sent) and call.method == "GET" and call.path.endswith(self.volume.id)

        self.when(at, change)

    def when(self, at: Callable[[Call], bool], change: Callable[[], object]) -> None:
        done: list[Call] = []

        def once(call: Call) -> None:
            if not done and at(call):
                done.append(call)
                change()

        self.project.cloud.hook(once)


def test_a_mark_that_a_failed_detach_left_is_taken_back_by_a_persons_word(project: OptedIn) -> None:
    marked = Marked(project, Course(ends="cinder"))
    marked.age()

    assert marked.ask(live=True) == DETACHED
    assert project.sent() == [ROLL, DELETE]
    assert project.state(marked.volume.id) == FREE


def test_whoever_asks_to_stop_takes_no_mark_back(project: OptedIn) -> None:
    marked = Marked(project, Course(ends="cinder"))
    marked.age()
    services = project.services()
    services.context.invocation = services.context.invocation._replace(
        stopped=lambda: any(call.path.endswith("/os-volume_attachments") for call in project.cloud.calls)
    )
    target = read_form(Target, {"volume_id": marked.volume.id, "live": True, "recover": True, **marked.ids})

    result = carry_out([target], services)

    assert isinstance(result, TargetResult)
    assert told(result) == ("failed", "deadline_exceeded", False)
    assert project.sent() == []


def test_recover_alone_takes_no_mark_back(project: OptedIn) -> None:
    marked = Marked(project, Course(ends="cinder"))
    marked.age()

    assert marked.ask() == refused("volume_held")
    assert project.sent() == []


def test_a_young_mark_is_followed_only(project: OptedIn) -> None:
    marked = Marked(project, Course(ends="cinder"))

    assert marked.ask(live=True) == ("failed", "not_recovered", None)
    assert project.sent() == []


@pytest.mark.parametrize(
    ("course", "code"), [(Course(ends="never"), "server_busy"), (Course(queued=10**6), "server_busy")]
)
def test_a_mark_whose_job_may_go_on_stays(project: OptedIn, course: Course, code: str) -> None:
    marked = Marked(project, course)
    marked.age()

    assert marked.ask(live=True) == refused(code)
    assert project.sent() == []


def test_a_mark_made_by_hand_stays(project: OptedIn) -> None:
    marked = Marked(project, Course(ends="guest"))
    marked.age()
    marked.volume.status = "detaching"
    marked.volume.updated_at = project.cloud.stamp(project.now() - 7100)

    assert marked.ask(live=True) == refused("volume_held")
    assert project.sent() == []


@pytest.mark.parametrize("locked", [True, False])
def test_what_stops_it_after_the_mark_is_back_says_that_something_changed(
    project: OptedIn, *, locked: bool
) -> None:
    marked = Marked(project, Course(ends="cinder"))
    marked.age()
    project.cloud.jobs.course = Course(ends="guest")

    def lock(call: Call) -> None:
        if locked and call.method == "POST":
            marked.server.locked_by = "owner"

    project.cloud.hook(lock)

    assert marked.ask(live=True) == ("refused", "server_locked" if locked else "guest_refused", True)
    assert marked.volume.status == "in-use"


def test_a_dry_run_takes_no_mark_back(project: OptedIn) -> None:
    marked = Marked(project, Course(ends="cinder"))
    marked.age()

    assert marked.ask(live=True, dry_run=True) == ("would_detach", None, False)
    assert project.sent() == []


@pytest.fixture
def marked(project: OptedIn) -> Marked:
    """A detach that failed half way two hours ago."""
    made = Marked(project, Course(ends="cinder"))
    made.age()
    return made


def test_what_would_be_sent_is_told(marked: Marked) -> None:
    result = marked.result(live=True, dry_run=True)

    assert (result.outcome, result.via) == ("would_detach", "compute")


def _said(result: TargetResult) -> str:
    assert result.error is not None
    return result.error.message


# What has to be known of the server's detaches.


def _other(marked: Marked, course: Course) -> None:
    """Another disk of the server is detached since the mark, and how that goes."""
    cloud = marked.project.cloud
    disk = cloud.add_volume(attachments=[marked.server])
    cloud.jobs.courses[disk.id] = course
    ids = {"attachment_id": disk.attachments[0].attachment_id, "server_id": marked.server.id}
    marked.project.one(disk.id, live=True, **ids)
    cloud.clear_calls()


def test_another_detach_that_may_go_on_keeps_it(marked: Marked) -> None:
    _other(marked, Course(guest=10**6))

    result = marked.result(live=True)

    assert told(result) == refused("server_busy")
    assert result.error is not None
    assert result.error.retryable
    assert marked.project.sent() == []


@pytest.fixture
def waiting(project: OptedIn) -> Marked:
    """A detach that no host has taken yet, asked for two hours ago."""
    made = Marked(project, Course(queued=10**6))
    made.age()
    return made


APART = (-61, -60, -59, -6, -5, -4, 0, 4, 6, 59, 61)
"""Seconds by which the compute service's clock is ahead of the volume service's."""


def _marked_at(marked: Marked, moment: float, apart: float) -> None:
    """Have the record be marked then, and the server's detaches so far begin so many seconds after it."""
    stamp = marked.project.cloud.stamp
    marked.volume.updated_at = stamp(int(moment))
    for action in marked.server.actions:
        action.start_time = stamp(int(moment) + apart)


@pytest.mark.parametrize("apart", [seconds for seconds in APART if seconds >= -60])
def test_a_detach_that_waits_keeps_it_whatever_the_clocks_say(waiting: Marked, apart: int) -> None:
    _marked_at(waiting, waiting.project.now() - 7200, apart)
    _other(waiting, Course(ends="guest"))

    result = waiting.result(live=True)

    assert told(result) == refused("server_busy")
    assert result.error is not None
    assert result.error.retryable
    assert waiting.project.sent() == []


def _compute_s_clock(project: OptedIn, apart: float) -> None:
    """Have the compute service say its own time, so far from the volume service's."""
    date = formatdate(time.time() + apart, usegmt=True)
    project.cloud.misbehave("compute", times=None, headers={"Date": date}, act=True)


def test_a_detach_that_waits_keeps_it_where_the_clocks_say_that_they_are_further_apart(
    waiting: Marked,
) -> None:
    _marked_at(waiting, waiting.project.now() - 7200, -1000)
    _other(waiting, Course(ends="guest"))
    _compute_s_clock(waiting.project, -1000)

    assert waiting.ask(live=True) == refused("server_busy")
    assert waiting.project.sent() == []


def test_a_detach_that_runs_is_followed_where_the_clocks_say_that_they_are_further_apart(
    project: OptedIn,
) -> None:
    marked = Marked(project, Course(guest=10**6))
    _marked_at(marked, project.now() - 120, -1000)
    _compute_s_clock(project, -1000)

    result = project.one(marked.volume.id, live=True, **marked.ids)

    assert told(result) == ("unconfirmed", "not_confirmed", None)


@pytest.mark.parametrize("apart", APART)
def test_of_what_failed_only_what_began_with_the_mark_is_believed(marked: Marked, apart: int) -> None:
    _marked_at(marked, marked.project.now() - 7200, apart)

    if apart >= -5:
        assert marked.ask(live=True) == DETACHED
        return
    assert marked.ask(live=True) == refused("volume_held")
    assert marked.project.sent() == []


@pytest.mark.parametrize("apart", [seconds for seconds in APART if seconds >= -60])
def test_a_detach_that_runs_is_followed_whatever_the_clocks_say(project: OptedIn, apart: int) -> None:
    marked = Marked(project, Course(guest=10**6))
    _marked_at(marked, project.now() - 120, apart)

    result = project.one(marked.volume.id, live=True, **marked.ids)

    assert told(result) == ("unconfirmed", "not_confirmed", None)
    assert result.error is not None
    assert result.error.retryable
    assert "os-roll_detaching" not in result.error.message
    assert project.sent() == []


def test_another_detach_that_is_done_does_not(marked: Marked) -> None:
    _other(marked, Course())

    assert marked.ask(live=True) == DETACHED


def test_detaches_that_are_all_done_are_not_what_left_it(project: OptedIn) -> None:
    marked = Marked(project, Course(ends="guest"))
    marked.volume.status = "detaching"
    marked.age()
    marked.server.actions[:] = [one for one in marked.server.actions if one.action != "detach_volume"]
    _other(marked, Course())

    result = marked.result(live=True)

    assert told(result) == refused("volume_held")
    assert "no detach of it has failed" in _said(result)
    assert project.sent() == []


def test_no_detach_at_all_is_not_what_left_it(marked: Marked) -> None:
    marked.server.actions.clear()

    result = marked.result(live=True)

    assert told(result) == refused("volume_held")
    assert "no detach of it is on the server's record" in _said(result)
    assert marked.project.sent() == []


def test_a_cloud_of_another_api_has_no_way_back(marked: Marked) -> None:
    marked.project.settings["DETACH_LIVE_API"] = "ecs"

    result = marked.result(live=True)

    assert told(result) == refused("volume_held")
    assert "no way to take the mark back" in _said(result)
    assert marked.project.sent() == []


def test_where_live_is_off_no_mark_is_taken_back(marked: Marked) -> None:
    marked.project.settings["DETACH_LIVE"] = "off"

    assert marked.ask(live=True) == refused("volume_held")
    assert marked.project.sent() == []


# What has to be true of the record and the server.


@pytest.mark.parametrize("status", ["error_detaching", "attaching", "reserved"])
def test_only_a_detach_that_stopped_is_taken_back(marked: Marked, status: str) -> None:
    marked.volume.status = status

    result = marked.result(live=True)

    assert told(result) == refused("volume_held")
    assert "not a detach that stopped half way" in _said(result)
    assert marked.project.sent() == []


def test_an_entry_that_the_record_hides_is_no_detach_that_stopped(marked: Marked) -> None:
    marked.volume.attachments[0].status = "attaching"

    assert marked.ask(live=True) == refused("volume_held")
    assert marked.project.sent() == []


def test_a_disk_that_the_server_does_not_list_is_not_taken_back(marked: Marked) -> None:
    del marked.server.disks[marked.volume.id]

    result = marked.result(live=True)

    assert told(result) == refused("volume_held")
    assert "doesn't list the disk" in _said(result)
    assert marked.project.sent() == []


@pytest.mark.parametrize("status", ["PAUSED", "SHELVED_OFFLOADED", "ERROR"])
def test_a_server_that_may_not_be_detached_from_keeps_the_mark(marked: Marked, status: str) -> None:
    marked.server.status = status

    assert marked.ask(live=True) == refused("server_busy")
    assert marked.project.sent() == []


def test_endpoints_that_may_be_of_two_clouds_keep_the_mark(marked: Marked) -> None:
    marked.project.together = None  # and no volume in use is a witness

    assert marked.ask(live=True) == ("failed", "configuration", False)
    assert marked.project.sent() == []


def test_of_several_entries_the_named_one_is_meant(marked: Marked) -> None:
    gone = Attachment(str(uuid.uuid4()), str(uuid.uuid4()), "/dev/vdc", None)
    marked.volume.attachments.insert(0, gone)

    assert marked.ask(live=True) == DETACHED
    assert marked.volume.attachments == [gone]
    assert marked.project.sent() == [ROLL, DELETE]


def test_another_entrys_server_is_not_the_one_that_is_meant(marked: Marked) -> None:
    gone = Attachment(str(uuid.uuid4()), str(uuid.uuid4()), "/dev/vdc", None)
    marked.volume.attachments.append(gone)

    named = {"attachment_id": gone.attachment_id, "server_id": gone.server_id}
    assert marked.ask(live=True, **named) == refused("volume_held")
    assert marked.project.sent() == []


@pytest.mark.parametrize("what", ["the record", "its moment", "the volume"])
def test_what_changes_before_the_mark_is_taken_back_stops_it(marked: Marked, what: str) -> None:
    cloud, volume = marked.project.cloud, marked.volume

    def change() -> None:
        if what == "the volume":
            cloud.delete_volume(volume.id, held=True)
        elif what == "the record":
            volume.status = "maintenance"
        else:
            volume.updated_at = cloud.stamp()

    marked.before_last(change)

    result = marked.result(live=True)

    assert told(result) == refused("volume_state")
    assert result.error is not None
    assert result.error.retryable
    assert marked.project.sent() == []


# What taking it back comes to.

FAULTS: dict[str, tuple[dict[str, Any], tuple[str, str | None, bool | None]]] = {
    "a 403": ({"status": 403, "body": b""}, ("failed", "permission_denied", False)),
    "a 503": ({"status": 503, "body": b""}, ("failed", "upstream_unavailable", None)),
    "lost before it came": ({"drop": "before"}, ("failed", "upstream_unavailable", None)),
    "a 202 that does nothing": ({"status": 202, "body": b""}, ("failed", "not_recovered", None)),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_mark_that_stays_has_nothing_further_sent(marked: Marked, fault: str) -> None:
    rule, outcome = FAULTS[fault]
    marked.project.cloud.misbehave(method="POST", **rule)

    result = marked.result(live=True)

    assert told(result) == outcome
    assert ("os-roll_detaching was accepted" in _said(result)) is (rule.get("status") == 202)
    assert marked.project.sent() == [ROLL]
    assert marked.project.state(marked.volume.id) == MARKED


def test_a_volume_that_goes_then_is_absent(marked: Marked) -> None:
    marked.after_the_mark(lambda: marked.project.cloud.delete_volume(marked.volume.id))

    assert marked.ask(live=True)[0] == "volume_absent"
    assert marked.project.sent() == [ROLL]


def _locks(marked: Marked) -> None:
    marked.server.locked_by = "owner"


def _reboots(marked: Marked) -> None:
    marked.server.task_state = "rebooting"


def _is_being_built(marked: Marked) -> None:
    marked.server.status = "BUILD"


def _pauses(marked: Marked) -> None:
    marked.server.status = "PAUSED"


def _goes(marked: Marked) -> None:
    marked.project.cloud.delete_server(marked.server.id)


def _lists_it_no_more(marked: Marked) -> None:
    del marked.server.disks[marked.volume.id]


def _has_another_entry(marked: Marked) -> None:
    """Detached and attached anew at that server: a late event must not meet that."""
    entry = marked.volume.attachments[0]
    marked.volume.attachments[:] = [Attachment(str(uuid.uuid4()), entry.server_id, "/dev/vdc", None)]
    marked.server.disks[marked.volume.id].attachment_id = marked.volume.attachments[0].attachment_id


def _lists_it_by_another_entry(marked: Marked) -> None:
    marked.server.disks[marked.volume.id].attachment_id = str(uuid.uuid4())


def _twice(marked: Marked) -> None:
    entry = marked.volume.attachments[0]
    marked.volume.attachments.append(Attachment(str(uuid.uuid4()), entry.server_id, "/dev/vdc", None))


def _answers_503(marked: Marked) -> None:
    marked.project.cloud.misbehave(path_contains=f"/servers/{marked.server.id}", times=None, status=503)


# What comes between the mark and the detach: the code, and what is said beside that the mark is back.
STOPPED: dict[Callable[[Marked], None], tuple[str, str]] = {
    _locks: ("server_locked", "no detach was sent"),
    _reboots: ("server_busy", "No detach was sent"),
    _is_being_built: ("server_busy", "No detach was sent"),
    _pauses: ("server_busy", "first unpause it. No detach was sent"),
    _goes: ("server_unknown", "nothing was detached"),
    _lists_it_no_more: ("volume_held", "no detach was sent. Ask again"),
    _has_another_entry: ("volume_state", "no detach was sent. Ask again"),
    _lists_it_by_another_entry: ("server_exists", "the record's entry is stale"),
    _twice: ("attachment_unknown", "more than once"),
    _answers_503: ("upstream_unavailable", "503"),
}


def _says_that_the_mark_is_back(result: TargetResult) -> str:
    said = _said(result)
    assert result.error is not None
    assert result.error.retryable or "Ask again" not in said
    assert said.startswith("The mark 'detaching' was taken back (os-roll_detaching). Then: ")
    assert said.count("taken back") == 1
    assert "nothing was sent" not in said.lower()
    assert "nothing was changed" not in said.lower()
    return said


@pytest.mark.parametrize("change", STOPPED, ids=lambda change: change.__name__)
def test_what_stops_it_then_says_what_happened_and_what_did_not(
    marked: Marked, change: Callable[[Marked], None]
) -> None:
    marked.after_the_mark(lambda: change(marked))

    result = marked.result(live=True)

    code, words = STOPPED[change]
    assert result.error is not None
    assert (result.error.code, result.changed) == (code, True)
    assert words in _says_that_the_mark_is_back(result)
    assert marked.project.sent() == [ROLL]
    assert marked.volume.status == "in-use"


@pytest.mark.parametrize(
    ("rule", "outcome", "words"),
    [
        ({"status": 401, "body": b""}, ("failed", "token_rejected", True), "nothing was detached"),
        ({"status": 403, "body": b""}, ("failed", "permission_denied", True), ""),
        (
            {"status": 409, "body": {"conflictingRequest": {"code": 409, "message": "It is locked"}}},
            ("refused", "server_locked", True),
            "Nothing was detached",
        ),
        ({"status": 503, "body": b""}, ("failed", "upstream_unavailable", True), "503"),
    ],
)
def test_a_detach_that_is_not_taken_then_is_told_with_the_mark(
    marked: Marked, rule: dict[str, Any], outcome: tuple[str, str, bool], words: str
) -> None:
    marked.project.cloud.misbehave(method="DELETE", **rule)

    result = marked.result(live=True)

    assert told(result) == outcome
    assert words in _says_that_the_mark_is_back(result)
    assert marked.project.sent() == [ROLL, DELETE]


def test_whoever_is_faster_then_leaves_the_mark_to_be_told(marked: Marked) -> None:
    cloud = marked.project.cloud

    def faster(call: Call) -> None:
        if call.method == "DELETE":
            del marked.server.disks[marked.volume.id]
            marked.volume.attachments.clear()
            marked.volume.status = "available"

    cloud.hook(faster)

    assert marked.ask(live=True) == ("already_detached", None, True)


def test_whoever_asks_to_stop_then_is_told_that_the_mark_is_back(marked: Marked) -> None:
    services = marked.project.services()
    services.context.invocation = services.context.invocation._replace(
        stopped=lambda: any(call.method == "POST" for call in marked.project.cloud.calls)
    )
    about = {"volume_id": marked.volume.id, "live": True, "recover": True, **marked.ids}

    result = carry_out([read_form(Target, about)], services)

    assert isinstance(result, TargetResult)
    assert told(result) == ("failed", "deadline_exceeded", True)
    assert "none was sent to the server" in _says_that_the_mark_is_back(result)
    assert marked.project.sent() == [ROLL]


def test_a_record_that_cannot_be_read_then_is_told_with_what_was_sent(marked: Marked) -> None:
    fault: dict[str, Any] = {"path_contains": f"/volumes/{marked.volume.id}", "times": None, "status": 503}
    marked.project.cloud.hook(
        lambda call: marked.project.cloud.misbehave(method="GET", **fault) if call.method == "POST" else None
    )

    result = marked.result(live=True)

    assert told(result) == ("failed", "upstream_unavailable", None)
    assert _said(result).startswith("os-roll_detaching was accepted; what it did could not be read. ")
    assert marked.project.sent() == [ROLL]


def test_what_is_still_under_way_then_is_not_said_to_have_changed(marked: Marked) -> None:
    marked.project.cloud.jobs.course = Course(guest=10**6)

    result = marked.result(live=True)

    assert told(result) == ("unconfirmed", "not_confirmed", None)
    assert "still under way" in _says_that_the_mark_is_back(result)
    assert marked.project.sent() == [ROLL, DELETE]


def test_the_record_is_told_as_it_is_after_the_mark(marked: Marked) -> None:
    marked.after_the_mark(lambda: setattr(marked.server, "locked_by", "owner"))

    result = marked.result(live=True)

    assert told(result) == refused("server_locked", changed=True)
    assert (result.volume_status.before, result.volume_status.after) == ("detaching", "in-use")
