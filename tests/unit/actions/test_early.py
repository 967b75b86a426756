"""A server whose id is given is asked for beside its volume, and counts only for being gone."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from handler.actions.dispatch import carry_out
from handler.actions.early import Early, begin_early
from handler.actions.proof import Proof, Proven
from handler.cloud.servers import Server, Servers
from handler.errors import ErrorCode, Failure, Refused, UpstreamUnavailable
from handler.invocation import CallContext
from handler.model.request import GoneServer, Target
from handler.model.result import ManyResult, Outcome, TargetResult
from handler.settings import ServerCheck
from tests.embedded_cloud import Call, Cloud
from tests.unit.actions.answers import ATTACHMENT, FREE, SERVER, THE_SERVER, THE_VOLUME, BesideFirst, Row, get
from tests.unit.actions.test_rule import ROWS
from tests.unit.contexts import call_context
from tests.unit.embedded_project import EmbeddedProject

GONE = "22222222-2222-4222-8222-000000000000"
_PATIENCE = 20.0  # seconds that a test waits for a call that should come


class Meeting:
    """Holds the first look at a volume's record, or list, and at its server until both are under way."""

    def __init__(self, cloud: Cloud) -> None:
        self._both = threading.Barrier(2)
        self._met = {"volume": False, "compute": False}
        cloud.hook(self._hold)

    def _hold(self, call: Call) -> None:
        if not self._met.get(call.service, True):
            self._met[call.service] = True
            self._both.wait(_PATIENCE)

    @property
    def broken(self) -> bool:
        return self._both.broken or not all(self._met.values())


def _do(project: EmbeddedProject, target: Target, **settings: Any) -> TargetResult:
    result = carry_out([target], project.services(**settings))
    assert isinstance(result, TargetResult)
    return result


Find = Callable[[Sequence[str], CallContext], Server | Proven]


@contextmanager
def _begun(find: Find, context: CallContext) -> Iterator[Early]:
    """A look that a thread is at already."""
    begun = threading.Event()

    def begin(spellings: Sequence[str], own: CallContext) -> Server | Proven:
        begun.set()
        return find(spellings, own)

    with ThreadPoolExecutor(1) as threads:
        early = Early(GONE, context, lambda spellings, own: threads.submit(begin, spellings, own))
        assert begun.wait(_PATIENCE)
        yield early


def _asked(cloud: Cloud) -> list[str]:
    return [call.path.rpartition("/")[2] for call in cloud.calls]


@pytest.mark.parametrize("dry_run", [False, True])
def test_volume_and_server_are_asked_for_side_by_side(
    bare_cloud: Cloud, project: EmbeddedProject, dry_run: bool
) -> None:
    volume_id, attachment_id, server_id = project.add_orphan()
    meeting = Meeting(bare_cloud)

    result = _do(project, Target(volume_id, attachment_id, server_id, dry_run))

    assert not meeting.broken
    assert result.outcome is (Outcome.WOULD_DETACH if dry_run else Outcome.DETACHED)
    assert result.calls == len(bare_cloud.calls) == (2 if dry_run else 4)
    assert len(result.upstream_request_ids) == result.calls


def test_what_was_asked_in_vain_is_counted_and_ended(bare_cloud: Cloud, project: EmbeddedProject) -> None:
    meeting = Meeting(bare_cloud)

    result = _do(project, Target(volume_id="33333333-3333-4333-8333-000000000000", server_id=GONE))

    assert not meeting.broken
    assert result.outcome is Outcome.VOLUME_ABSENT
    assert result.calls == len(bare_cloud.calls) == 2
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("server")]


def test_form_server_asks_for_it_beside_the_list(bare_cloud: Cloud, project: EmbeddedProject) -> None:
    bare_cloud.add_volume(attachments=[GONE])
    meeting = Meeting(bare_cloud)

    result = carry_out([GoneServer(server_id=GONE)], project.services())

    assert not meeting.broken
    assert isinstance(result, ManyResult)
    assert result.summary == {"detached": 1}
    assert _asked(bare_cloud).count(GONE) == 1


@pytest.mark.parametrize("order", ["volume first", "server first"])
def test_no_call_that_changes_anything_leaves_before_both_are_known(
    bare_cloud: Cloud, project: EmbeddedProject, order: str
) -> None:
    """Whichever comes late, the POST comes after it."""
    volume_id, attachment_id, server_id = project.add_orphan()
    late = "compute" if order == "volume first" else "volume"
    bare_cloud.misbehave(late, "GET", delay=0.2)

    result = _do(project, Target(volume_id, attachment_id, server_id))

    assert result.outcome is Outcome.DETACHED
    answered = [call for call in bare_cloud.calls if call.service == late and call.method == "GET"]
    posted = next(call for call in bare_cloud.calls if call.method == "POST")
    assert bare_cloud.calls.index(posted) == 2
    assert answered[0].answer is not None


def test_a_server_that_was_there_is_judged_by_the_look_after_the_record(
    bare_cloud: Cloud, project: EmbeddedProject
) -> None:
    server = bare_cloud.add_server()
    volume = bare_cloud.add_volume(attachments=[server])

    result = _do(project, Target(volume.id, volume.attachments[0].attachment_id, server.id))

    assert (result.outcome, result.server.exists, result.server.status) == (Outcome.REFUSED, True, "ACTIVE")
    assert _asked(bare_cloud).count(server.id) == 2
    assert result.calls == 3
    assert not bare_cloud.posts()


def test_what_let_go_after_the_early_look_is_cleared(bare_cloud: Cloud, project: EmbeddedProject) -> None:
    server = bare_cloud.add_server()
    volume = bare_cloud.add_volume(attachments=[server], known_to_compute=False)
    looks: list[Call] = []

    def vanish(call: Call) -> None:
        if call.service == "compute":
            looks.append(call)
            if len(looks) == 2:
                bare_cloud.delete_server(server.id)

    bare_cloud.hook(vanish)
    result = _do(project, Target(volume.id, volume.attachments[0].attachment_id, server.id))

    assert result.outcome is Outcome.DETACHED


def test_a_look_that_failed_is_not_made_once_more(bare_cloud: Cloud, project: EmbeddedProject) -> None:
    volume_id, attachment_id, server_id = project.add_orphan()
    bare_cloud.misbehave("compute", "GET", times=None, status=500)

    result = _do(project, Target(volume_id, attachment_id, server_id))

    assert (result.outcome, result.error and result.error.code.value) == ("failed", "upstream_unavailable")
    assert _asked(bare_cloud).count(server_id) == 1
    assert not bare_cloud.posts()


@pytest.mark.parametrize(
    "listed",
    [GONE.upper(), GONE.replace("-", ""), f"urn:uuid:{GONE}", "11111111-1111-4111-8111-000000000000"],
)
def test_what_is_known_of_one_id_says_nothing_of_another_spelling_or_server(
    bare_cloud: Cloud, project: EmbeddedProject, listed: str
) -> None:
    """The canonical id is unknown to the cloud; the server that has the disk lives."""
    bare_cloud.add_server(listed)
    volume = bare_cloud.add_volume(attachments=[listed])

    result = _do(project, Target(volume.id, volume.attachments[0].attachment_id, GONE))

    assert result.outcome is Outcome.REFUSED
    assert result.error is not None
    assert result.error.code.value in {"server_exists", "server_mismatch"}
    assert not bare_cloud.posts()


@pytest.mark.parametrize(
    ("target", "settings"),
    [
        ({"live": True}, {"DETACH_LIVE": "admin"}),
        ({"recover": True}, {"DETACH_RECOVER": "on"}),
        ({"server_id": None}, {}),
        ({}, {"DETACH_SERVER_CHECK": "off"}),
    ],
)
def test_all_is_asked_in_order_where_that_proves_nothing(
    bare_cloud: Cloud, project: EmbeddedProject, target: dict[str, object], settings: dict[str, str]
) -> None:
    volume_id, attachment_id, server_id = project.add_orphan()
    wanted = Target(volume_id, attachment_id, server_id)._replace(**target)  # type: ignore[arg-type]

    result = _do(project, wanted, **settings)

    assert result.outcome is Outcome.DETACHED
    assert _asked(bare_cloud)[0] == volume_id
    assert [call.service for call in bare_cloud.calls[:2]] in (["volume", "compute"], ["volume", "volume"])


def test_form_server_gives_the_early_look_its_time(bare_cloud: Cloud, project: EmbeddedProject) -> None:
    """What it remembers is what all attachments are judged by."""
    bare_cloud.add_volume(attachments=[GONE])
    bare_cloud.misbehave("compute", "GET", times=1, status=503)

    result = carry_out([GoneServer(server_id=GONE)], project.services())

    assert isinstance(result, ManyResult)
    assert result.summary == {"detached": 1}


def test_nobody_looks_early_for_what_is_known_or_not_named(
    bare_cloud: Cloud, project: EmbeddedProject
) -> None:
    services = project.services()
    assert services.servers is not None
    context = services.context.separate()
    proof = Proof(services.servers, ServerCheck.GONE, remember=True)
    begun = threading.Event()
    bare_cloud.hook(lambda _: begun.set())

    assert begin_early(proof, None, context) is None
    early = begin_early(proof, GONE, context)
    assert early is not None
    assert begun.wait(_PATIENCE)
    assert early.proven((GONE,)) is Proven.GONE
    assert begin_early(proof, GONE, context) is None
    assert len(bare_cloud.calls) == 1


def test_a_look_that_nobody_needs_any_more_is_not_repeated() -> None:
    context = call_context(25.0)
    looks: list[bool] = []

    def find(spellings: Sequence[str], own: CallContext) -> Server | Proven:
        assert tuple(spellings) == (GONE,)
        while not own.deadline.expired:
            looks.append(True)
            threading.Event().wait(0.005)
        own.called("req-early")
        raise UpstreamUnavailable("planted")

    with _begun(find, context) as early:
        early.end()
        early.end()

    assert looks
    assert (context.calls, context.request_ids) == (1, ["req-early"])
    assert not context.deadline.expired


def _planted(_spellings: Sequence[str], _own: CallContext) -> Server | Proven:
    raise UpstreamUnavailable("planted")


def test_a_failure_is_raised_to_whoever_needs_the_proof() -> None:
    with _begun(_planted, call_context(25.0)) as early, pytest.raises(Failure, match="planted"):
        early.proven((GONE,))


def test_a_failure_is_not_raised_to_whoever_needs_another_proof() -> None:
    with _begun(_planted, call_context(25.0)) as early:
        assert early.proven((GONE, "another spelling")) is None


def test_where_no_thread_is_free_all_is_asked_in_order(bare_cloud: Cloud, project: EmbeddedProject) -> None:
    volume_id, attachment_id, server_id = project.add_orphan()
    services = project.services()
    go_on = threading.Event()
    threads = services.transport.threads
    for _ in range(threads._max_workers):
        threads.submit(go_on.wait, _PATIENCE)

    result = carry_out([Target(volume_id, attachment_id, server_id)], services)
    waiting = not go_on.is_set()
    go_on.set()

    assert waiting
    assert isinstance(result, TargetResult)
    assert (result.outcome, result.calls) == (Outcome.DETACHED, 4)
    assert _asked(bare_cloud)[:2] == [volume_id, server_id]


@pytest.fixture
def slept(project: EmbeddedProject, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses between attempts, which nobody waits for."""
    pauses: list[float] = []
    monkeypatch.setattr(project.transport(), "_sleep", pauses.append)
    return pauses


BUSY: dict[str, Any] = {"status": 429, "headers": {"Retry-After": "20"}}


@pytest.mark.parametrize("work", [Target(GONE, None, GONE), GoneServer(server_id=GONE)])
def test_who_needs_no_proof_does_not_wait_for_a_busy_compute_service(
    bare_cloud: Cloud, project: EmbeddedProject, slept: list[float], work: Target | GoneServer
) -> None:
    bare_cloud.misbehave("compute", "GET", times=None, **BUSY)

    result = carry_out([work], project.services())

    assert result.ok
    assert slept == []
    assert len(bare_cloud.calls) == 2


def test_who_needs_the_proof_waits_for_a_busy_compute_service(
    bare_cloud: Cloud, project: EmbeddedProject, slept: list[float]
) -> None:
    volume_id, attachment_id, server_id = project.add_orphan()
    bare_cloud.misbehave("compute", "GET", times=2, **BUSY)

    result = _do(project, Target(volume_id, attachment_id, server_id))

    assert result.outcome is Outcome.DETACHED
    assert slept == [20.0]
    assert _asked(bare_cloud).count(server_id) == 3
    assert result.calls == len(bare_cloud.calls)


def test_form_server_waits_for_a_busy_compute_service_once(
    bare_cloud: Cloud, project: EmbeddedProject, slept: list[float]
) -> None:
    for _ in range(3):
        bare_cloud.add_volume(attachments=[GONE])
    bare_cloud.misbehave("compute", "GET", times=2, **BUSY)

    result = project.clear_server(GONE)

    assert result.summary == {"detached": 3}
    assert slept == [20.0]
    assert _asked(bare_cloud).count(GONE) == 3


def test_form_server_gives_a_busy_compute_service_up_once(
    bare_cloud: Cloud, project: EmbeddedProject, slept: list[float]
) -> None:
    """What is known of it by then is known for each attachment."""
    for _ in range(3):
        bare_cloud.add_volume(attachments=[GONE])
    bare_cloud.misbehave("compute", "GET", times=None, **BUSY)

    result = project.clear_server(GONE)

    assert {one.error and one.error.code.value for one in result.results} == {"throttled"}
    assert len(slept) == 3
    assert _asked(bare_cloud).count(GONE) == 1 + 4


def test_a_kept_connection_that_went_stale_is_no_reason_to_ask_later(
    bare_cloud: Cloud, project: EmbeddedProject, slept: list[float]
) -> None:
    volume_id, attachment_id, server_id = project.add_orphan()
    bare_cloud.misbehave("compute", "GET", times=1, drop="before")

    result = _do(project, Target(volume_id, attachment_id, server_id))

    assert result.outcome is Outcome.DETACHED
    assert len(slept) == 1
    assert [call.service for call in bare_cloud.calls].count("compute") == 2


def test_a_deletion_that_is_not_over_is_waited_for_after_the_record() -> None:
    """What `recorded` pauses for is a failure of the early look, and not of the one that is needed."""
    asked: list[bool] = []

    def find(_spellings: Sequence[str], own: CallContext) -> Server | Proven:
        asked.append(own.may_pause(0.5))
        raise Refused(ErrorCode.SERVER_UNKNOWN, "still removing its guest", retryable=True)

    with _begun(find, call_context(25.0)) as early:
        assert early.proven((GONE,)) is None
    with _begun(find, call_context(25.0)) as early:
        early.wait()
        early.end()

    assert asked == [False, False, True]


def test_a_look_without_a_thread_is_made_after_the_record(
    bare_cloud: Cloud, project: EmbeddedProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    volume_id, attachment_id, server_id = project.add_orphan()

    def none_left(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(ThreadPoolExecutor, "submit", none_left)
    result = _do(project, Target(volume_id, attachment_id, server_id))

    assert result.outcome is Outcome.DETACHED
    assert [call.service for call in bare_cloud.calls] == ["volume", "compute", "volume", "volume"]


def test_a_bug_in_a_look_that_nobody_needs_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    def find(_spellings: Sequence[str], _own: CallContext) -> Server | Proven:
        raise ZeroDivisionError

    with _begun(find, call_context(25.0)) as early:
        assert early.proven(("another",)) is None
    assert [record.msg for record in caplog.records] == ["internal_error"]

    with _begun(find, call_context(25.0)) as early, pytest.raises(ZeroDivisionError):
        early.proven((GONE,))
    assert len(caplog.records) == 1, "whoever meets it logs it"


def test_whoever_waits_for_a_look_meets_its_bug(caplog: pytest.LogCaptureFixture) -> None:
    def find(_spellings: Sequence[str], _own: CallContext) -> Server | Proven:
        raise ZeroDivisionError

    with _begun(find, call_context(25.0)) as early:
        for met in (early.wait, early.end):
            with pytest.raises(ZeroDivisionError):
                met()
    assert caplog.records == [], "whoever meets it logs it"


class _NotBegun(Future[Any]):
    """What no thread has begun, nor will."""

    def result(self, timeout: float | None = None) -> Any:
        raise AssertionError(timeout)


@pytest.mark.parametrize("waits", [True, False])
def test_a_look_that_no_thread_was_free_for_is_not_waited_for(
    caplog: pytest.LogCaptureFixture, *, waits: bool
) -> None:
    early = Early(GONE, call_context(25.0), lambda *_: _NotBegun())

    if waits:
        early.wait()
    early.end()

    assert early.proven((GONE,)) is None
    assert caplog.records == []


def test_only_a_look_whose_patience_ran_out_is_begun_again_by_whoever_waits() -> None:
    begun: list[Sequence[str]] = []

    def begin(spellings: Sequence[str], _own: CallContext) -> Future[Server | Proven]:
        begun.append(spellings)
        failed: Future[Server | Proven] = Future()
        failed.set_running_or_notify_cancel()
        failed.set_exception(UpstreamUnavailable("planted"))
        return failed

    early = Early(GONE, call_context(25.0), begin)
    early.wait()
    early.end()

    assert begun == [(GONE,)]


def test_form_server_ends_a_look_that_nobody_needs(
    bare_cloud: Cloud,
    project: EmbeddedProject,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    begun = threading.Event()

    def find(*_: object) -> Server | Proven:
        begun.set()
        raise ZeroDivisionError

    bare_cloud.hook(lambda _call: begun.wait(_PATIENCE) and None)
    monkeypatch.setattr(Servers, "find", find)
    result = carry_out([GoneServer(server_id=GONE)], project.services())

    assert isinstance(result, ManyResult)
    assert (result.ok, result.results) == (True, ())
    assert [record.msg for record in caplog.records if record.msg == "internal_error"] == ["internal_error"]


def test_form_server_goes_on_without_a_thread(
    bare_cloud: Cloud, project: EmbeddedProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare_cloud.add_volume(attachments=[GONE])
    services = project.services()

    def none_left(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(services.transport.threads, "submit", none_left)
    result = carry_out([GoneServer(server_id=GONE)], services)

    assert isinstance(result, ManyResult)
    assert result.summary == {"detached": 1}


NAMED = [row for row in ROWS if row.target.get("server_id") is not None]


@pytest.mark.parametrize("row", NAMED, ids=lambda row: row.name)
def test_the_rule_is_the_same_when_the_server_s_answer_is_the_first(row: Row) -> None:
    """The rows of the rule whose target names its server, in the other order."""
    compute = THE_SERVER.partition("/servers/")[0]
    looks = [said for said in row.answers if said[1].startswith(compute)]
    asked = f"{compute}/servers/{row.target['server_id']}"
    first = next((said for said in looks if said[1] == asked), get(asked, 500))
    # Listed in another spelling it is asked for anew, in each
    rest = [said for said in row.answers if said is not first or len(looks) > 1]

    result, _sent, _clock = replace(row, answers=[first, *rest]).run(beside=BesideFirst)

    assert (result.outcome, result.error and result.error.code) == (row.outcome, row.code)
    assert (result.changed, result.volume_status.after) == (row.changed, row.status[1])


def test_there_are_such_rows() -> None:
    assert len(NAMED) >= 4
    assert any(row.outcome == "detached" for row in NAMED)


def test_an_already_free_record_says_so_whatever_the_compute_service_says() -> None:
    row = Row("", [get(f"{THE_SERVER}", 500), get(THE_VOLUME, 200, FREE)], "already_detached")
    result, _sent, _clock = replace(row, target={"server_id": SERVER}).run(beside=BesideFirst)

    assert (result.outcome, result.attachment_id) == (Outcome.ALREADY_DETACHED, ATTACHMENT)
