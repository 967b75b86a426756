"""A live disk's detach as it is followed: what each course of looks comes to, and when it is said."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any, NamedTuple, cast

import pytest

from handler.actions.follow import CLOCKS_APART, CLOCKS_TOGETHER, Follow, its_job
from handler.cloud.absence import Absence
from handler.cloud.detaching import Detach, DetachApi, JobState, NovaDetach
from handler.cloud.servers import HeldDisk, Servers
from handler.cloud.volumes import Attachment, Volume, Volumes
from handler.errors import Failure, NotConfirmed, Upstream, UpstreamRejected, UpstreamUnavailable
from handler.model.result import Findings, Outcome
from tests.unit.contexts import call_context

VOLUME, ENTRY, SERVER, OTHER = (f"{number}" * 8 + "-1111-4111-8111-111111111111" for number in range(1, 5))
MARKED_AT = 1_767_225_600.0
QUEUED, RUNNING, DONE, FAILED, UNKNOWN = (
    *(JobState.QUEUED, JobState.RUNNING, JobState.DONE),
    *(JobState.FAILED, JobState.UNKNOWN),
)
ATTACHMENT = Attachment(ENTRY, ENTRY, SERVER)


class Look(NamedTuple):
    """What one look sees: the record's status and entries, what the server lists, how far the job is."""

    status: str | None
    job: JobState | Failure | None
    held: HeldDisk | Failure | None = HeldDisk(ENTRY)
    entries: tuple[Attachment, ...] = (ATTACHMENT,)


def look(status: str | None, job: JobState | Failure | None, about: str = "listed held") -> Look:
    """Tell a look in words."""
    words = about.split()
    return Look(
        status,
        job,
        HeldDisk(ENTRY) if "held" in words else None,
        (ATTACHMENT,) if "listed" in words else (),
    )


WORKING, MARKED = look("detaching", RUNNING), look("in-use", UNKNOWN)
FREED = look("available", DONE, "gone")


class Script(NovaDetach):
    """Volume service, compute service and job as a script has them, the last line for ever."""

    def __init__(self, looks: Iterable[Look], *, job_id: str | None, left: float) -> None:
        self.looks = list(looks)
        self.seen = 0
        self.seconds = 0.0
        self.looked_at: list[float] = []
        self.told: list[Findings] = []
        self.since: float | None = None
        self.clocks: list[float | None] = []
        self.read_timeout = 10.0
        self.absent = False
        self.job_id = job_id
        self.context = call_context(left, lambda: self.seconds)
        self.found = Findings(VOLUME, ENTRY, dry_run=False, changed=None)

    @property
    def now(self) -> Look:
        return self.looks[min(max(self.seen - 1, 0), len(self.looks) - 1)]

    def follow(
        self,
        fault: Failure | None = None,
        updated_at: str | None = "2026-01-01T00:00:00",
        status: str = "detaching",
    ) -> Outcome:
        marked = Volume(VOLUME, status, None, (ATTACHMENT,), updated_at, read_at=1.0)
        api: DetachApi = self
        told = self.told.append
        follow = Follow(cast("Volumes", self), cast("Servers", self), api, self.sleep, told)
        return follow.to_end(ATTACHMENT, marked, self.job_id, self.context, self.found, fault)

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds

    @property
    def pauses(self) -> list[float]:
        """Seconds between two looks."""
        return [round(after - before, 3) for before, after in itertools.pairwise(self.looked_at)]

    # The services. A look begins with the job.

    def _job(self) -> JobState | None:
        self.seen += 1
        self.looked_at.append(self.seconds)
        if isinstance(self.now.job, Failure):
            raise self.now.job
        return self.now.job

    def state(self, *_: Any) -> JobState:
        return cast("JobState", self._job())

    def detaches(self, _server_id: str, since: float, _context: Any, *, clock: float | None) -> list[Detach]:
        self.since = since
        self.clocks.append(clock)
        state = self._job()
        return [] if state is None else [Detach(MARKED_AT, state)]

    def get(self, *_: Any) -> Volume | None:
        now = self.now
        if now.status is None:
            return None
        return Volume(VOLUME, now.status, None, now.entries, "2026-01-03T00:00:00", read_at=1.0 + self.seen)

    def disk(self, *_: Any) -> HeldDisk | None:
        if isinstance(self.now.held, Failure):
            raise self.now.held
        return self.now.held

    def find(self, *_: Any) -> object:
        return Absence.NAMED if self.absent else object()


def play(*looks: Look, job_id: str | None = "req-1", left: float = 60.0) -> Script:
    return Script(looks, job_id=job_id, left=left)


def ends(script: Script, **about: Any) -> tuple[str, str]:
    """The code and the words of a bad end."""
    with pytest.raises(Failure) as raised:
        script.follow(**about)
    return raised.value.code.value, raised.value.message


# What two looks in a row agree on.


@pytest.mark.parametrize(
    ("looks", "number"),
    [
        ((FREED, FREED), 2),
        ((WORKING, FREED, FREED), 3),
        ((FREED, WORKING, FREED, FREED), 4),
        ((look("available", DONE, "held"), FREED, FREED), 3),
        ((FREED, look("available", DONE, "held"), FREED, FREED), 4),
        ((look("detaching", DONE, "gone"), FREED, FREED), 3),
        ((look("in-use", DONE, "gone"), look("in-use", DONE, "gone")), 2),
        ((look("in-use", DONE, "listed gone"), FREED, FREED), 3),
        ((FREED, look("in-use", DONE, "listed gone"), FREED, FREED), 4),
    ],
)
def test_what_is_gone_in_two_looks_is_detached(looks: tuple[Look, ...], number: int) -> None:
    script = play(*looks)

    assert script.follow() is Outcome.DETACHED
    assert (script.seen, script.found.changed) == (number, True)
    assert script.found.job is not None
    assert (script.found.job.id, script.found.job.state) == ("req-1", "done")
    assert script.found.volume_status.after == script.now.status


HELD_BY_ANOTHER = Look("available", DONE, HeldDisk(OTHER), ())
NOT_TOLD_BY_WHICH = Look("available", DONE, HeldDisk(None), ())


def test_a_disk_that_the_server_has_by_a_newer_entry_is_detached_of_this_one() -> None:
    assert play(HELD_BY_ANOTHER).follow() is Outcome.DETACHED


def test_a_disk_that_the_server_has_by_nobody_knows_which_is_not() -> None:
    assert ends(play(NOT_TOLD_BY_WHICH))[0] == "not_confirmed"


@pytest.mark.parametrize("entry", [ATTACHMENT, Attachment(None, None, SERVER)])
def test_an_entry_without_an_id_may_be_this_one(entry: Attachment) -> None:
    script = play(Look("in-use", DONE, None, (Attachment(OTHER, OTHER, OTHER), entry)))

    assert ends(script)[0] == "not_confirmed"


def test_others_entries_are_none_of_it() -> None:
    script = play(Look("in-use", DONE, None, (Attachment(OTHER, OTHER, OTHER),)))

    assert script.follow() is Outcome.DETACHED
    assert script.found.remaining == 1


def test_a_volume_that_is_gone_is_absent_at_once() -> None:
    script = play(WORKING, look(None, DONE))

    assert script.follow() is Outcome.VOLUME_ABSENT
    assert script.seen == 2
    assert (script.found.volume_status.after, script.found.remaining) == (None, None)


def test_a_disk_whose_record_lists_it_is_not_detached_whatever_its_job_says() -> None:
    script = play(look("detaching", DONE, "listed gone"))

    assert ends(script)[0] == "not_confirmed"
    assert script.found.changed is None


KEPT = look("in-use", FAILED)
NOT_LISTED = look("in-use", FAILED, "listed")
HALF = look("detaching", FAILED)
LOST = look("detaching", DONE, "gone")
BY_HAND = look("detaching", None)

# The looks; how many it takes; the code, a word of what is said, and `changed`.
BAD: list[tuple[tuple[Look, ...], int, str, str, bool | None]] = [
    ((KEPT, KEPT), 2, "guest_refused", "guest holds the disk", False),
    ((WORKING, KEPT, KEPT), 3, "guest_refused", "guest holds the disk", False),
    ((HALF, KEPT, KEPT), 3, "guest_refused", "guest holds the disk", False),
    ((look("in-use", RUNNING), KEPT, KEPT), 3, "guest_refused", "guest holds the disk", False),
    ((KEPT, look("in-use", RUNNING), KEPT, KEPT), 4, "guest_refused", "guest holds the disk", False),
    (
        (look("in-use", FAILED, "listed"), look("in-use", FAILED, "listed"), KEPT),
        3,
        "guest_refused",
        "guest holds",
        False,
    ),
    ((HALF, HALF), 2, "not_recovered", "half way", None),
    ((WORKING, HALF, HALF), 3, "not_recovered", "half way", None),
    ((KEPT, HALF, HALF), 3, "not_recovered", "half way", None),
    ((HALF, WORKING, HALF, HALF), 4, "not_recovered", "half way", None),
    ((LOST, LOST), 2, "not_recovered", "had lost the attachment", True),
    ((look("detaching", RUNNING, "gone"), LOST, LOST), 3, "not_recovered", "had lost the attachment", True),
    ((LOST, look("detaching", RUNNING, "gone"), LOST, LOST), 4, "not_recovered", "had lost", True),
    ((BY_HAND, BY_HAND), 2, "not_recovered", "by hand", None),
    ((WORKING, BY_HAND, BY_HAND), 3, "not_recovered", "by hand", None),
    ((BY_HAND, WORKING, BY_HAND, BY_HAND), 4, "not_recovered", "by hand", None),
]


@pytest.mark.parametrize(("looks", "number", "code", "word", "changed"), BAD)
def test_a_bad_end_is_said_once_two_looks_agree(
    looks: tuple[Look, ...], number: int, code: str, word: str, *, changed: bool | None
) -> None:
    script = play(*looks, job_id=None)

    told, said = ends(script)

    assert (told, script.seen, script.found.changed) == (code, number, changed)
    assert word in said


# What stays open until the time is up, and what is said of it.
LATE: list[tuple[Look, str]] = [
    (look("detaching", QUEUED), "no host has taken it"),
    (WORKING, "it is still under way: the guest"),
    (look("detaching", UNKNOWN), "can't be told: perhaps it is still under way"),
    (look("in-use", RUNNING), "it is still under way: the guest"),
    (look("available", DONE, "held"), "the server still lists the disk"),
    (look("in-use", FAILED, "held"), "the server still lists the disk"),
    (look("in-use", DONE), "its job is over (done)"),
    (look("in-use", FAILED, "listed"), "its job is over (failed)"),
    (look("maintenance", DONE, "gone"), "its job is over (done)"),
    (look("detaching", DONE), "its job is over (done)"),
    (look("detaching", DONE, "held"), "its job is over (done)"),
    (look("detaching", FAILED, "gone"), "its job is over (failed)"),
    (look("detaching", RUNNING, "gone"), "it is still under way: the guest"),
    (look("detaching", UNKNOWN, "gone"), "can't be told: perhaps it is still under way"),
]


@pytest.mark.parametrize(("seen", "word"), LATE)
def test_what_is_open_when_time_is_up_is_named(seen: Look, word: str) -> None:
    script = play(seen)

    code, said = ends(script)

    assert (code, script.found.changed) == ("not_confirmed", None)
    assert word in said
    assert "(job req-1)" in said
    # Until one more look might not be answered in time
    assert 60 - script.read_timeout - 0.2 <= script.seconds <= 60 - script.read_timeout


def test_what_looks_done_once_when_time_is_up_is_not_said_to_be() -> None:
    """The looks are at 0, 0.2, 0.6 and 1 s; then too little is left."""
    script = play(WORKING, WORKING, WORKING, FREED, left=11.0)

    code, said = ends(script)

    assert (code, script.pauses) == ("not_confirmed", [0.2, 0.4, 0.4])
    assert "not seen so twice" in said


def test_a_queued_job_is_named_before_the_record_is_looked_at() -> None:
    assert "no host has taken it" in ends(play(look("available", QUEUED, "held")))[1]


def test_without_time_there_is_one_look() -> None:
    script = play(WORKING, left=10.1)

    assert ends(script)[0] == "not_confirmed"
    assert script.pauses == []


def test_the_pauses_grow_up_to_five_seconds() -> None:
    script = play(WORKING, left=40.0)

    ends(script)

    assert script.pauses[:7] == [0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]


def test_each_look_is_told() -> None:
    script = play(WORKING, WORKING, FREED)

    assert script.follow() is Outcome.DETACHED
    assert script.told == [script.found] * script.seen


@pytest.mark.parametrize("seconds", [0.0, 1.0, 12.0])
def test_whoever_asks_to_stop_ends_the_following_soon(seconds: float) -> None:
    script = play(WORKING)
    context = script.context
    context.invocation = context.invocation._replace(stopped=lambda: script.seconds >= seconds)

    assert ends(script)[0] == "not_confirmed"
    assert script.seconds <= seconds + 0.5


# Where it is not known whether the call arrived.

FAULT = UpstreamUnavailable("the answer was lost")


def test_a_call_that_shows_in_nothing_is_its_own_fault_after_eight_seconds() -> None:
    script = play(MARKED)

    with pytest.raises(UpstreamUnavailable) as raised:
        script.follow(FAULT)
    assert raised.value is FAULT
    assert 8 <= script.seconds < 14


def test_the_same_where_time_is_up_sooner() -> None:
    script = play(MARKED, left=12.0)

    with pytest.raises(UpstreamUnavailable) as raised:
        script.follow(FAULT)
    assert raised.value is FAULT


@pytest.mark.parametrize("seen", [WORKING, look("in-use", RUNNING, "held"), look("detaching", DONE, "held")])
@pytest.mark.parametrize("left", [12.0, 60.0])
def test_a_call_that_shows_is_followed_to_the_end_of_the_time(seen: Look, left: float) -> None:
    script = play(seen, left=left)

    with pytest.raises(NotConfirmed):
        script.follow(FAULT)
    assert script.seconds >= left - 10.2


def test_a_call_that_shows_late_is_followed() -> None:
    assert play(MARKED, MARKED, WORKING, FREED).follow(FAULT) is Outcome.DETACHED


# What can't be looked at.


def test_a_job_that_cannot_be_read_is_not_known() -> None:
    script = play(look("detaching", UpstreamUnavailable("no")), FREED)

    assert script.follow() is Outcome.DETACHED
    assert script.found.job is not None


def test_a_record_of_actions_that_cannot_be_read_is_no_mark_by_hand() -> None:
    script = play(look("detaching", UpstreamUnavailable("no")), job_id=None)

    assert "still under way" in ends(script)[1]


@pytest.mark.parametrize("fault", [None, FAULT])
def test_a_server_that_cannot_be_looked_at_leaves_it_open(fault: Failure | None) -> None:
    said = Upstream(503, None, "busy", "req-2")
    blind = UpstreamUnavailable("the compute service does not answer", upstream=said)
    script = play(Look("detaching", RUNNING, blind))

    with pytest.raises(Failure) as raised:
        script.follow(fault)

    if fault is not None:
        assert raised.value is fault
    else:
        assert isinstance(raised.value, NotConfirmed)
        assert blind.message in raised.value.message
        assert raised.value.upstream is said


@pytest.mark.parametrize("absent", [True, False])
def test_a_list_of_a_server_that_is_gone_holds_nothing(*, absent: bool) -> None:
    script = play(Look("available", DONE, UpstreamRejected("404"), ()))
    script.absent = absent

    if absent:
        assert script.follow() is Outcome.DETACHED
    else:
        assert "could not be looked at" in ends(script)[1]


# The job, where the call was another invocation's.


def test_its_job_is_looked_for_since_the_mark() -> None:
    script = play(FREED, job_id=None)

    assert script.follow() is Outcome.DETACHED
    assert (script.since, CLOCKS_APART) == (MARKED_AT - 60, 60)
    assert script.found.job is None


def test_its_clock_is_the_one_that_the_record_was_read_by_last() -> None:
    script = play(WORKING, WORKING, KEPT, KEPT, job_id=None)

    assert ends(script)[0] == "guest_refused"
    assert script.clocks == [1.0, 2.0, 3.0, 4.0]
    assert script.since == MARKED_AT - CLOCKS_APART, "the mark stays the first one"


def test_a_mark_without_entry_or_job_that_the_server_has_is_no_mark_by_hand() -> None:
    script = play(look("detaching", None, "held"), job_id=None)

    assert "still under way" in ends(script)[1]


def test_a_mark_of_unknown_age_has_no_known_job() -> None:
    script = play(BY_HAND, job_id=None, left=12.0)

    assert ends(script, updated_at=None)[0] == "not_confirmed"
    assert script.since is None


@pytest.mark.parametrize(
    ("states", "word"),
    [
        ([FAILED, QUEUED, DONE], "no host has taken it"),
        ([QUEUED, UNKNOWN], "still under way"),
        ([DONE, RUNNING, FAILED], "it is still under way: the guest"),
        ([DONE, FAILED], "half way"),
        ([DONE], "its job is over (done)"),
        ([], "by hand"),
    ],
)
def test_of_several_jobs_the_one_that_may_go_on_counts(
    monkeypatch: pytest.MonkeyPatch, states: list[JobState], word: str
) -> None:
    script = play(WORKING, job_id=None)
    monkeypatch.setattr(script, "detaches", lambda *_, **__: [Detach(MARKED_AT, state) for state in states])

    assert word in ends(script)[1]


BEFORE, EARLIER = MARKED_AT - CLOCKS_TOGETHER, MARKED_AT - CLOCKS_TOGETHER - 1


@pytest.mark.parametrize(
    ("detaches", "job"),
    [
        ([], None),
        ([(EARLIER, QUEUED), (MARKED_AT, FAILED)], QUEUED),
        ([(EARLIER, RUNNING), (MARKED_AT, FAILED)], RUNNING),
        ([(EARLIER, UNKNOWN), (MARKED_AT, FAILED)], UNKNOWN),
        ([(MARKED_AT, RUNNING), (EARLIER, QUEUED)], QUEUED),
        ([(BEFORE, FAILED)], FAILED),
        ([(BEFORE, FAILED), (MARKED_AT, DONE)], FAILED),
        ([(BEFORE, DONE)], DONE),
        ([(EARLIER, FAILED)], UNKNOWN),
        ([(EARLIER, DONE)], UNKNOWN),
        ([(EARLIER, FAILED), (MARKED_AT, DONE)], DONE),
    ],
)
def test_what_began_well_before_the_mark_only_tells_what_may_go_on(
    detaches: list[tuple[float, JobState]], job: JobState | None
) -> None:
    """Where two clocks differ it may be this disk's; it may be another's, too, so its end is nobody's."""
    assert its_job([Detach(*one) for one in detaches], MARKED_AT) is job
    assert CLOCKS_TOGETHER == 5


def test_an_older_failed_detach_of_another_disk_is_no_end(monkeypatch: pytest.MonkeyPatch) -> None:
    script = play(HALF, job_id=None)
    monkeypatch.setattr(script, "detaches", lambda *_, **__: [Detach(EARLIER, FAILED)])

    code, said = ends(script)

    assert code == "not_confirmed"
    assert "can't be told" in said
    assert "don't roll it back" in said


def test_before_the_mark_is_seen_no_job_is_this_one_s() -> None:
    """The record that was judged says in-use: a job since then may be any other disk's."""
    script = play(KEPT, job_id=None)

    with pytest.raises(UpstreamUnavailable) as raised:
        script.follow(FAULT, status="in-use")

    assert raised.value is FAULT
    assert (script.since, script.found.changed) == (None, None)


def test_a_mark_by_hand_is_looked_into_before_it_is_taken_back() -> None:
    assert "Look at the server's actions" in ends(play(BY_HAND, job_id=None))[1]
