"""A live server's disk: the last look before the call, and what its answers mean."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from handler.cloud.detaching import NovaDetach
from handler.errors import UpstreamUnavailable
from handler.model.result import TargetResult
from tests.embedded_cloud import Answer, Attachment, Call, Cloud
from tests.unit.actions.opted_in import OptedIn, refused, told

DELETE = "DELETE os-volume_attachments"
FREE, HELD = "available 0, gone", "in-use 1, held"
DETACHED = ("detached", None, True)


class Held:
    """A disk at a running server, and what happens while it is asked for."""

    def __init__(self, project: OptedIn) -> None:
        self.project, self.cloud = project, project.cloud
        self.server = self.cloud.add_server()
        self.volume = self.cloud.add_volume(attachments=[self.server])
        self.entry = self.volume.attachments[0]

    def detach(self, **about: Any) -> TargetResult:
        ids = {"attachment_id": self.entry.attachment_id, "server_id": self.server.id}
        return self.project.one(self.volume.id, live=True, **ids, **about)

    def on_the_call(self, change: Callable[[], object], times: int = 1) -> None:
        """Have something change as the call arrives, before it is looked at."""
        self._when(lambda call: call.method == "DELETE", change, times)

    def before_the_record(self, change: Callable[[], object]) -> None:
        """Have something change once the server's own list was looked at: the record is read next."""
        self._when(lambda call: call.path.endswith("/os-volume_attachments"), change, 1)

    def after_the_call(self, change: Callable[[], object]) -> None:
        """Have something change before the record is read again."""
        sent: list[Call] = []

        def at(call: Call) -> bool:
            if call.method == "DELETE":
                sent.append(call)
            return bool(sent) and call.method == "GET"

        self._when(at, change, 1)

    def _when(self, at: Callable[[Call], bool], change: Callable[[], object], times: int) -> None:
        done: list[Call] = []

        def once(call: Call) -> None:
            if len(done) < times and at(call):
                done.append(call)
                change()

        self.cloud.hook(once)

    def let_go(self) -> None:
        """Have somebody else's detach be done."""
        self.cloud.jobs.start(self.server, self.volume)
        self.volume.status = "detaching"
        self.cloud.world.settle()

    def mark(self) -> None:
        """Have somebody else's detach begin."""
        self.volume.status, self.volume.updated_at = "detaching", self.cloud.stamp()
        self.cloud.jobs.start(self.server, self.volume, f"req-{uuid.uuid4()}").course.guest = 3


@pytest.fixture
def held(bare_cloud: Cloud) -> Iterator[Held]:
    project = OptedIn(bare_cloud)
    yield Held(project)
    project.close()


# The server, as it is looked at before.


@pytest.mark.parametrize(
    "status",
    ["BUILD", "REBOOT", "HARD_REBOOT", "MIGRATING", "RESIZE", "REVERT_RESIZE", "PASSWORD", "REBUILD"],
)
def test_a_state_that_passes_is_waited_for(held: Held, status: str) -> None:
    held.server.status = status

    result = held.detach()

    assert told(result) == refused("server_busy")
    assert result.error is not None
    assert result.error.retryable
    assert held.project.sent() == []


@pytest.mark.parametrize(
    ("status", "first"),
    [
        ("PAUSED", "unpause it"),
        ("SUSPENDED", "resume it"),
        ("RESCUE", "unrescue it"),
        ("SHELVED", "unshelve it"),
        ("SHELVED_OFFLOADED", "unshelve it"),
        ("VERIFY_RESIZE", "confirm or revert"),
        ("SOFT_DELETED", "restore it"),
        ("ERROR", "administrator"),
        ("UNKNOWN", "ACTIVE or SHUTOFF"),
        ("MADE_UP", "ACTIVE or SHUTOFF"),
    ],
)
def test_a_state_that_does_not_pass_says_what_comes_first(held: Held, status: str, first: str) -> None:
    held.server.status = status

    result = held.detach()

    assert told(result) == refused("server_busy")
    assert result.error is not None
    assert first in result.error.message
    assert not result.error.retryable
    assert held.project.sent() == []


@pytest.mark.parametrize("task", ["powering-off", "spawning", "made-up"])
def test_a_task_is_waited_for(held: Held, task: str) -> None:
    held.server.task_state = task

    result = held.detach()

    assert told(result) == refused("server_busy")
    assert result.error is not None
    assert result.error.retryable
    assert held.project.sent() == []


def test_a_members_token_leaves_the_lock_to_the_service(held: Held) -> None:
    """Where the service doesn't tell of it (below 2.9)."""
    held.cloud.misbehave(method="GET", path_contains=f"/servers/{held.server.id}", after=1, status=406)

    assert told(held.detach()) == DETACHED


def test_a_server_that_does_not_tell_its_task_is_not_idle(
    held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = held.cloud._services["compute"]

    def answer(call: Call) -> Answer:
        given = plain(call)
        if call.method == "GET" and call.path.endswith(f"/servers/{held.server.id}"):
            document = json.loads(given.body)
            del document["server"]["OS-EXT-STS:task_state"]
            given.body = json.dumps(document).encode()
        return given

    monkeypatch.setitem(held.cloud._services, "compute", answer)

    assert told(held.detach()) == refused("server_busy")
    assert held.project.sent() == []


def test_a_server_that_is_shown_as_deleted_is_not_asked_what_it_holds(held: Held) -> None:
    held.server.status = "DELETED"

    result = held.detach()

    assert told(result) == refused("server_exists")
    assert result.error is not None
    assert "its own list" not in result.error.message
    asked = {call.path.rpartition("/")[2] for call in held.cloud.calls if call.service == "compute"}
    assert asked == {held.server.id}


LOOKED_AT_AGAIN: dict[str, tuple[Callable[[Held], object], str, str | None]] = {
    "gone": (lambda held: held.cloud.delete_server(held.server.id), "server_unknown", "ACTIVE"),
    "paused": (lambda held: setattr(held.server, "status", "PAUSED"), "server_busy", "PAUSED"),
    "deleted": (lambda held: setattr(held.server, "status", "DELETED"), "server_exists", "DELETED"),
}


@pytest.mark.parametrize("what", LOOKED_AT_AGAIN)
def test_a_server_that_changes_between_two_looks_is_judged_by_the_second(held: Held, what: str) -> None:
    change, code, status = LOOKED_AT_AGAIN[what]
    looks: list[Call] = []

    def second(call: Call) -> None:
        if call.method == "GET" and call.path.endswith(f"/servers/{held.server.id}"):
            looks.append(call)
            if len(looks) == 2:
                change(held)

    held.cloud.hook(second)

    result = held.detach()

    assert told(result) == refused(code)
    assert result.server.status == status
    assert held.project.sent() == []


def test_an_order_that_is_over_by_the_time_of_the_call_is_not_sent(
    held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    until = iter([held.project.seconds + 60, held.project.seconds - 60])
    monkeypatch.setattr("handler.actions.live.zoned_moment", lambda _: next(until))

    assert told(held.detach(not_after="2026-12-01T09:30:00Z")) == refused("live_expired")
    assert held.project.sent() == []


def test_an_answer_that_is_no_consent_is_none(held: Held) -> None:
    held.cloud.misbehave(method="DELETE", status=300, body=b"")

    assert told(held.detach()) == ("failed", "upstream_rejected", False)


def test_a_refused_token_is_told_even_by_a_code_that_says_nothing_else(held: Held) -> None:
    body = {"error": {"code": "Ecs.1001", "message": "Authentication failed."}}
    held.cloud.misbehave(method="DELETE", status=401, body=json.dumps(body).encode(), times=None)

    assert told(held.detach()) == ("failed", "token_rejected", False)


def test_a_call_is_logged_with_the_attachment_that_it_clears(
    held: Held, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO", "evs_detach"):
        assert told(held.detach()) == DETACHED

    logged = [vars(record) for record in caplog.records if record.getMessage() == "changing"]
    assert [held.entry.attachment_id in str(record) for record in logged] == [True]


def test_a_dry_run_is_not_in_time_either(held: Held) -> None:
    assert told(held.detach(dry_run=True, not_after="2026-01-01T00:00:00Z")) == refused("live_expired")


@pytest.mark.parametrize(
    ("roles", "word"), [(None, "the token's roles are not known"), (("admin",), "the token has the role")]
)
def test_whose_token_it_may_not_be_is_said(held: Held, roles: tuple[str, ...] | None, word: str) -> None:
    held.project.roles = roles

    result = held.detach()

    assert result.error is not None
    assert word in result.error.message


def test_endpoints_that_may_be_of_two_clouds_detach_nothing(held: Held) -> None:
    held.project.together = None
    held.cloud.misbehave(method="GET", path_contains="/volumes/detail", status=403, body=b"", times=None)

    assert told(held.detach()) == ("failed", "configuration", False)
    assert held.project.sent() == []


# The record, as it is read last.


CHANGES: dict[str, Callable[[Held], object]] = {
    "its status": lambda held: setattr(held.volume, "status", "extending"),
    "another entry": lambda held: held.volume.attachments.append(
        Attachment(str(uuid.uuid4()), str(uuid.uuid4()), "/dev/vdc", None)
    ),
    "its entry is anew": lambda held: setattr(held.entry, "attachment_id", str(uuid.uuid4())),
    "its moment": lambda held: setattr(held.volume, "updated_at", held.cloud.stamp()),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_record_that_changes_last_of_all_stops_it(held: Held, what: str) -> None:
    held.before_the_record(lambda: CHANGES[what](held))

    result = held.detach()

    assert told(result)[0:3:2] == ("refused", False)
    assert held.project.sent() == []


def test_the_record_is_told_as_it_was_last(held: Held) -> None:
    held.before_the_record(lambda: setattr(held.volume, "status", "extending"))

    result = held.detach()

    assert (result.volume_status.before, result.volume_status.after) == ("in-use", "extending")
    assert result.error is not None
    assert result.error.retryable


def test_a_volume_that_is_gone_by_then_is_absent(held: Held) -> None:
    held.before_the_record(lambda: held.cloud.delete_volume(held.volume.id, held=True))

    assert told(held.detach())[0] == "volume_absent"
    assert held.project.sent() == []


# Somebody else was faster.


def test_what_somebody_else_has_detached_by_then_is_settled(held: Held) -> None:
    held.on_the_call(held.let_go)

    result = held.detach()

    assert told(result) == ("already_detached", None, False)
    assert result.volume_status.after == "available"
    assert (held.project.sent(), held.project.state(held.volume.id)) == ([DELETE], FREE)


def test_what_somebody_else_has_begun_by_then_is_followed(held: Held) -> None:
    held.on_the_call(held.mark)

    assert held.detach().outcome == "detached"
    assert (held.project.sent(), held.project.state(held.volume.id)) == ([DELETE], FREE)


def test_a_state_that_somebody_else_has_made_by_then_is_named(held: Held) -> None:
    held.on_the_call(lambda: setattr(held.volume, "status", "maintenance"))

    result = held.detach()

    assert told(result) == refused("volume_state")
    assert result.error is not None
    assert "maintenance" in result.error.message


def test_a_mark_whose_entry_is_gone_is_not_followed(held: Held) -> None:
    def mark() -> None:
        held.volume.status = "detaching"
        held.volume.attachments.clear()

    held.on_the_call(mark)

    assert told(held.detach()) == refused("volume_state")


def test_a_server_that_has_let_go_by_then_leaves_a_record_behind(held: Held) -> None:
    held.on_the_call(lambda: held.server.disks.pop(held.volume.id))

    result = held.detach()

    assert told(result) == refused("server_exists")
    assert result.error is not None
    assert result.error.retryable
    assert result.error.upstream is not None


@pytest.mark.parametrize("listed", ["under way", "let go"])
def test_a_volume_that_is_gone_after_a_refusal_is_absent(held: Held, listed: str) -> None:
    held.on_the_call(held.mark if listed == "under way" else lambda: held.server.disks.pop(held.volume.id))
    held.after_the_call(lambda: held.cloud.delete_volume(held.volume.id))

    assert told(held.detach())[0] == "volume_absent"


def test_a_server_that_is_gone_by_then_is_the_plain_rules_next(held: Held) -> None:
    held.on_the_call(lambda: held.cloud.delete_server(held.server.id))

    result = held.detach()

    assert told(result) == refused("server_unknown")
    assert result.error is not None
    assert result.error.retryable


@pytest.mark.parametrize(
    ("change", "code", "again"),
    [
        (lambda server: setattr(server, "locked_by", "owner"), "server_locked", False),
        (lambda server: setattr(server, "task_state", "rebooting"), "server_busy", True),
        (lambda server: setattr(server, "status", "SUSPENDED"), "server_busy", False),
    ],
)
def test_what_the_service_itself_refuses_is_named(
    held: Held, change: Callable[[Any], object], code: str, *, again: bool
) -> None:
    held.on_the_call(lambda: change(held.server))

    result = held.detach()

    assert told(result) == refused(code)
    assert result.error is not None
    assert result.error.retryable is again
    assert result.error.upstream is not None
    assert (held.project.sent(), held.project.state(held.volume.id)) == ([DELETE], HELD)


# What is not known of the call.


def test_a_token_that_is_refused_has_it_asked_again(held: Held) -> None:
    held.cloud.misbehave(method="DELETE", status=401, body=b"")

    result = held.detach()

    assert told(result) == ("failed", "token_rejected", False)
    assert result.error is not None
    assert result.error.retryable
    assert "the token with which the server was looked at" in result.error.message


@pytest.mark.parametrize(("unsent", "changed"), [(True, False), (False, None)])
def test_a_call_that_was_not_sent_has_changed_nothing(
    held: Held, monkeypatch: pytest.MonkeyPatch, *, unsent: bool, changed: bool | None
) -> None:
    def send(*_: object) -> None:
        fault = UpstreamUnavailable("no answer")
        fault.unsent = unsent
        raise fault

    monkeypatch.setattr(NovaDetach, "send", send)

    began = held.project.seconds

    assert told(held.detach()) == ("failed", "upstream_unavailable", changed)
    assert (held.project.seconds == began) is unsent  # what was not sent is not followed


def test_an_accepted_call_that_does_nothing_is_no_fault_of_its_answer(held: Held) -> None:
    held.cloud.misbehave(method="DELETE", status=202, body=b"", headers={"X-Openstack-Request-Id": "req-1"})

    assert told(held.detach()) == ("unconfirmed", "not_confirmed", None)


def test_a_job_that_can_not_be_followed_is_named(held: Held) -> None:
    held.on_the_call(
        lambda: held.cloud.misbehave(service="volume", method="GET", status=403, body=b"", times=None)
    )

    result = held.detach()

    assert told(result) == ("unconfirmed", "not_confirmed", None)
    assert result.job is not None
    assert result.job.id.startswith("req-")


def test_an_answer_that_names_no_job_is_followed_without(held: Held) -> None:
    held.cloud.misbehave(method="DELETE", status=202, body=b"", act=True)

    result = held.detach()

    assert (told(result), result.job) == (DETACHED, None)
