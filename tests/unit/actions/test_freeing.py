"""The one call that frees a stuck record: what is sent, how long is looked for it, what counts as free."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple, cast

import pytest

from handler.actions.freeing import Freeing, Judged, is_free
from handler.cloud.entries import Entry
from handler.cloud.messages import Answer
from handler.cloud.volumes import Attachment, Volume, Volumes
from handler.errors import ErrorCode as Code
from handler.errors import Failure, NotConfirmed, PermissionDenied, Refused, UpstreamUnavailable
from handler.model.result import Findings, Outcome
from handler.model.sent import Via
from tests.unit.contexts import call_context

VOLUME, FIRST, SECOND, SERVER = (f"{number}" * 8 + "-1111-4111-8111-111111111111" for number in range(1, 5))


def entry(entry_id: str, status: str = "attaching") -> Entry:
    return Entry(entry_id, entry_id, status, SERVER, SERVER)


ONE, OTHER = entry(FIRST), entry(SECOND)


class Look(NamedTuple):
    """The record and all entries, as they are read afterwards; what is None can't be read."""

    status: str | None = "available"
    entries: tuple[Entry, ...] | Failure | None = ()
    shown: tuple[Attachment, ...] = ()


def volume(look: Look) -> Volume:
    return Volume(VOLUME, look.status or "", None, look.shown)


def judged(*entries: Entry, via: Via = Via.OS_DETACH) -> Judged:
    """A record in which the first entry is to go."""
    return Judged(volume(Look("attaching")), entries, entries[0] if entries else None, via)


SAME = Look("attaching", (ONE,))
FREE = Look()


class Script:
    """A volume service whose answers are written down, the last for ever."""

    def __init__(self, *looks: Look, status: int = 202, fault: Failure | None = None) -> None:
        self.looks, self.status, self.fault = looks, status, fault
        self.sent: list[str] = []
        self.seen = 0
        self.seconds = 0.0
        self.pauses: list[float] = []
        self.found = Findings(VOLUME, FIRST, dry_run=False)

    def free(self, what: Judged, left: float = 60.0) -> Outcome:
        context = call_context(left, lambda: self.seconds)
        return Freeing(cast("Volumes", self), self.sleep).free(what, context, self.found)

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.seconds += seconds

    def _answer(self, sent: str) -> Answer:
        self.sent.append(sent)
        if self.fault is not None:
            raise self.fault
        return Answer(self.status, {}, b"", None)

    def unreserve(self, *_: Any) -> Answer:
        return self._answer("os-unreserve")

    def detach(self, _volume_id: str, chosen: Entry | None, *_: Any) -> Answer:
        return self._answer(f"os-detach {chosen.id if chosen else ''}".strip())

    def why_not_detached(self, answer: Answer) -> Failure:
        return Refused(Code.USE_COMPUTE_API, "no") if answer.status < 500 else UpstreamUnavailable("500")

    @property
    def now(self) -> Look:
        return self.looks[min(self.seen - 1, len(self.looks) - 1)]

    def get(self, *_: Any) -> Volume | None:
        self.seen += 1
        return None if self.now.status is None else volume(self.now)

    def entries(self, *_: Any) -> Iterable[Entry] | None:
        if isinstance(self.now.entries, Failure):
            raise self.now.entries
        return self.now.entries


@pytest.mark.parametrize(
    ("what", "sent"),
    [
        (judged(ONE), f"os-detach {FIRST}"),
        (judged(ONE, OTHER), f"os-detach {FIRST}"),
        (judged(), "os-detach"),
        (judged(via=Via.OS_UNRESERVE), "os-unreserve"),
    ],
)
def test_one_call_is_sent(what: Judged, sent: str) -> None:
    script = Script(Look("in-use", what.entries[1:]) if what.entries[1:] else FREE)

    assert script.free(what) is Outcome.RECOVERED
    assert (script.sent, script.found.changed, script.pauses) == ([sent], True, [])


def test_a_volume_that_is_gone_is_absent() -> None:
    """Its entries are not asked for any more."""
    gone = Look(None, UpstreamUnavailable("nobody asks"))

    assert Script(gone).free(judged(ONE)) is Outcome.VOLUME_ABSENT


def test_it_is_looked_for_with_growing_pauses() -> None:
    script = Script(SAME, SAME, SAME, FREE)

    assert script.free(judged(ONE)) is Outcome.RECOVERED
    assert script.pauses == [0.2, 0.4, 0.8]
    assert script.found.volume_status.after == "available"


def test_what_does_not_become_free_in_eight_seconds_is_not_recovered() -> None:
    script = Script(SAME)

    with pytest.raises(Failure) as raised:
        script.free(judged(ONE))

    assert (raised.value.code, script.found.changed) == (Code.NOT_RECOVERED, None)
    assert script.pauses[:4] == [0.2, 0.4, 0.8, 1.6]
    assert max(script.pauses) <= 2.0
    assert 5 < script.seconds <= 8
    assert "os-detach" in raised.value.message


@pytest.mark.parametrize(
    ("left", "changed"),
    [
        (Look("in-use", (ONE,)), True),
        (Look("attaching", ()), True),
        (Look("attaching", (OTHER,)), True),
        (Look("attaching", (ONE, OTHER)), True),
        (Look("attaching", None), True),
        (SAME, None),
    ],
)
def test_what_is_another_then_is_said_to_have_changed(left: Look, *, changed: bool | None) -> None:
    script = Script(left)

    with pytest.raises(Failure) as raised:
        script.free(judged(ONE))

    assert (raised.value.code, script.found.changed) == (Code.NOT_RECOVERED, changed)


# What stood against the call.


def test_a_call_that_was_refused_is_looked_at_once() -> None:
    script = Script(SAME, FREE, status=409)

    with pytest.raises(Refused):
        script.free(judged(ONE))
    assert (script.seen, script.pauses, script.found.changed) == (1, [], False)


def test_of_a_call_that_was_refused_a_free_record_is_somebody_elses_work() -> None:
    script = Script(FREE, status=409)

    assert script.free(judged(ONE)) is Outcome.ALREADY_DETACHED
    assert script.found.changed is False


@pytest.mark.parametrize("about", [{"status": 500}, {"fault": UpstreamUnavailable("lost")}])
def test_a_call_without_an_answer_is_looked_for_and_not_sent_again(about: dict[str, Any]) -> None:
    late = Script(SAME, SAME, FREE, **about)
    never = Script(SAME, **about)

    assert late.free(judged(ONE)) is Outcome.RECOVERED
    assert late.found.changed is True
    with pytest.raises(UpstreamUnavailable):
        never.free(judged(ONE))
    assert (len(late.sent), len(never.sent), never.found.changed) == (1, 1, None)
    assert never.seconds > 5


@pytest.mark.parametrize(
    ("status", "blind", "expected"),
    [
        (202, UpstreamUnavailable("no answer"), NotConfirmed),
        (409, UpstreamUnavailable("no answer"), UpstreamUnavailable),
        (409, PermissionDenied("no role"), Refused),
    ],
)
def test_a_record_that_cannot_be_read_leaves_it_open(
    status: int, blind: Failure, expected: type[Failure]
) -> None:
    script = Script(Look(entries=blind), status=status)

    with pytest.raises(expected):
        script.free(judged(ONE))


# What counts as free.


@pytest.mark.parametrize(
    ("look", "what", "free"),
    [
        (FREE, judged(ONE), True),
        (FREE, judged(), True),
        (Look(entries=None), judged(ONE), False),
        (Look(entries=None), judged(), False),
        (Look("in-use"), judged(ONE), False),
        (Look(entries=(OTHER,)), judged(ONE), False),
        (Look(shown=(Attachment(FIRST, FIRST, SERVER),)), judged(ONE), False),
        (Look("in-use", (OTHER,)), judged(ONE, OTHER), True),
        (Look("in-use", (entry(SECOND, "attached"),)), judged(ONE, OTHER), False),
        (Look("in-use", (ONE, OTHER)), judged(ONE, OTHER), False),
        (FREE, judged(ONE, OTHER), False),
        (Look(entries=None), judged(ONE, OTHER), False),
    ],
)
def test_only_what_was_meant_is_gone(look: Look, what: Judged, *, free: bool) -> None:
    entries = look.entries
    assert not isinstance(entries, Failure)
    assert is_free(volume(look), entries, what) is free
