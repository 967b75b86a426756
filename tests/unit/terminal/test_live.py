"""`evs-detach detach --live`: who is asked what, what a script has to say, and how a detach is followed."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from handler import runtime
from handler.terminal.cli import main
from handler.terminal.exit_code import ExitCode
from handler.terminal.live import somebody_is_there
from tests.embedded_cloud import Call, Cloud, seed
from tests.embedded_cloud.detach_job import Course
from tests.unit.deployment import ROOT
from tests.unit.terminal.terminals import COMMAND, terminal

Printed = pytest.CaptureFixture[str]

pytestmark = pytest.mark.usefixtures("interruptible")

IDS = ["--attachment", seed.LIVE_ATTACHMENT, "--server", seed.LIVE_SERVER]
LIVE = ["detach", seed.LIVE_VOLUME, *IDS, "--live"]
FOLLOW = (
    f"To follow it: evs-detach detach {seed.LIVE_VOLUME} --attachment {seed.LIVE_ATTACHMENT} "
    f"--server {seed.LIVE_SERVER} --live --wait 5m"
)
DELETE = ["DELETE os-volume_attachments"]
QUESTION = "Has the guest let go of it"


@pytest.fixture(autouse=True)
def settings(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    told = {
        **cloud.environment(),
        "DETACH_TOKEN_SECRET": "env:TOKEN_OF_THE_TESTS",
        "TOKEN_OF_THE_TESTS": cloud.token(),
    }
    for name, value in told.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A detach is followed for half a second."""
    monkeypatch.setenv("DETACH_TIMEOUT", "1.5")
    monkeypatch.setenv("DETACH_READ_TIMEOUT", "1")


def evs(printed: Printed, *words: str) -> tuple[int, dict[str, Any], str]:
    """The command as a script runs it, in a process that knows nothing yet: code, result, standard error."""
    runtime.reset()
    code = main([*words, "--json"])
    said = printed.readouterr()
    return code, json.loads(said.out) if said.out else {}, said.err


def sent(cloud: Cloud) -> list[str]:
    """The calls that change something at a disk or a server."""
    found = []
    for call in cloud.calls:
        if call.service in {"volume", "compute"} and call.method != "GET":
            body = call.body if isinstance(call.body, dict) else {}
            found.append(next(iter(body), f"{call.method} {call.path.split('/')[-2]}"))
    return found


def told(result: dict[str, Any]) -> tuple[str, str | None, bool | None]:
    return result["outcome"], result["error"] and result["error"]["code"], result["changed"]


# Setting and option.


def test_the_option_stands_for_the_setting_where_that_is_not_set(cloud: Cloud, capsys: Printed) -> None:
    code, result, err = evs(capsys, *LIVE, "--yes")

    assert (code, told(result)) == (0, ("detached", None, True))
    assert (result["via"], result["job"]["state"], sent(cloud)) == ("compute", "done", DELETE)
    events = [json.loads(line)["event"] for line in err.splitlines()]
    assert events == ["changing", "changed"]


@pytest.mark.parametrize("value", ["on", "admin"])
def test_a_setting_that_allows_it_holds(
    cloud: Cloud, capsys: Printed, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("DETACH_LIVE", value)
    assert evs(capsys, *LIVE, "--yes")[0] == 0
    assert sent(cloud) == DELETE


def test_a_setting_that_forbids_it_holds(
    cloud: Cloud, capsys: Printed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DETACH_LIVE", "off")
    for words in (LIVE, ["detach", seed.LIVE_VOLUME, "--live"]):
        code, result, err = evs(capsys, *words, "--yes", "--not-after", "2001-01-01T00:00:00Z")
        assert (code, told(result)) == (ExitCode.REFUSED, ("refused", "server_exists", False))
        assert err.startswith("DETACH_LIVE is set, so --live is held back and a server that lives keeps")
    assert sent(cloud) == []
    # What needs no live server is done, and the command still says that something was held back
    code, result, _ = evs(capsys, "detach", seed.ORPHAN_VOLUME, "--live", "--yes")
    assert (code, told(result)) == (ExitCode.REFUSED, ("detached", None, True))


def test_without_the_option_the_setting_alone_detaches_nothing(
    cloud: Cloud, capsys: Printed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DETACH_LIVE", "on")
    code, result, _ = evs(capsys, "detach", seed.LIVE_VOLUME, *IDS)
    assert (code, told(result)) == (ExitCode.REFUSED, ("refused", "server_exists", False))
    assert sent(cloud) == []


def test_an_administrator_has_to_say_so_by_the_setting(
    cloud: Cloud, capsys: Printed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKEN_OF_THE_TESTS", cloud.token(role="admin"))
    code, result, _ = evs(capsys, *LIVE, "--yes")
    assert (code, told(result)) == (ExitCode.FAILED, ("failed", "configuration", False))
    assert "DETACH_LIVE=admin" in result["error"]["message"]
    assert sent(cloud) == []
    monkeypatch.setenv("DETACH_LIVE", "admin")
    assert evs(capsys, *LIVE, "--yes")[0] == 0


def test_settings_that_do_not_go_together_are_said(
    cloud: Cloud, capsys: Printed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DETACH_SERVER_CHECK", "off")
    for words in (LIVE, ["detach", seed.LIVE_VOLUME, "--live"]):
        code, result, _ = evs(capsys, *words, "--yes")
        assert (code, told(result)) == (ExitCode.FAILED, ("failed", "configuration", False))
    assert not cloud.calls


# What has to be said.


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([*LIVE], "say --yes"),
        (["detach", seed.LIVE_VOLUME, "--live", "--wait", "5m"], "say --yes"),
        (["detach", seed.LIVE_VOLUME, "--yes"], "--yes goes with --live only"),
        (["detach", seed.LIVE_VOLUME, "--wait", "5m"], "--wait goes with --live only"),
        (["detach", seed.LIVE_VOLUME, "--not-after", "2030-01-01T00:00:00Z"], "--not-after goes with --live"),
        ([*LIVE, "--yes", "--not-after", "2030-01-01T00:00:00"], "no moment with its zone"),
        ([*LIVE, "--yes", "--not-after", "tomorrow"], "no moment with its zone"),
        ([*LIVE, "--yes", "--wait", "soon"], "not a length of time"),
        (["detach", seed.LIVE_VOLUME, "--attachment", seed.LIVE_VOLUME, "--live", "--yes"], "UUID|volume"),
        (["server", seed.LIVE_SERVER, "--live"], "No such option"),
        (["sweep", "--live"], "No such option"),
    ],
)
def test_wrong_usage_asks_no_cloud(cloud: Cloud, words: list[str], said: str, capsys: Printed) -> None:
    assert main(words) == ExitCode.USAGE
    printed = capsys.readouterr()
    assert printed.out == ""
    assert re.search(said, printed.err)
    assert sent(cloud) == []
    if "UUID" not in said:
        assert not cloud.calls


def test_a_dry_run_needs_no_yes(cloud: Cloud, capsys: Printed) -> None:
    for words in (LIVE, ["detach", seed.LIVE_VOLUME, "--live"]):
        code, result, _ = evs(capsys, *words, "--dry-run", "--exit-code")
        assert (code, told(result)) == (ExitCode.FOUND, ("would_detach", None, False))
        assert (result["via"], result["dry_run"]) == ("compute", True)
    assert sent(cloud) == []


def test_later_than_not_after_nothing_is_sent(cloud: Cloud, capsys: Printed) -> None:
    code, result, _ = evs(capsys, *LIVE, "--yes", "--not-after", "2026-01-01T00:00:00+02:00")
    assert (code, told(result)) == (ExitCode.REFUSED, ("refused", "live_expired", False))
    assert sent(cloud) == []
    assert evs(capsys, *LIVE, "--yes", "--not-after", "2999-01-01T00:00:00Z")[0] == 0


def test_what_a_script_does_not_name_is_found_and_shown(cloud: Cloud, capsys: Printed) -> None:
    cloud.server(seed.LIVE_SERVER).name = "db\x1b[2J-01"
    code, result, err = evs(capsys, "detach", seed.LIVE_VOLUME, "--live", "--yes")

    assert (code, told(result), sent(cloud)) == (0, ("detached", None, True), DELETE)
    disk, server, attached, note = err.splitlines()[:4]
    assert re.fullmatch(rf"  Disk      {seed.LIVE_VOLUME}  \S+, 40 GB, in-use", disk)
    assert server == f"  Server    {seed.LIVE_SERVER}  db?[2J-01, ACTIVE"
    assert re.fullmatch(rf"  Attached  /dev/vdb, since \S+Z, attachment {seed.LIVE_ATTACHMENT}", attached)
    assert "--attachment and --server" in note


def test_quiet_shows_nothing_of_it(cloud: Cloud, capsys: Printed) -> None:
    _, _, err = evs(capsys, "detach", seed.LIVE_VOLUME, "--live", "--yes", "--quiet")
    assert [json.loads(line)["event"] for line in err.splitlines()] == ["changing", "changed"]
    assert sent(cloud) == DELETE


@pytest.mark.parametrize(
    ("words", "outcome"),
    [
        ([seed.ABSENT_VOLUME], ("volume_absent", None, False)),
        ([seed.AVAILABLE_VOLUME], ("already_detached", None, False)),
        ([seed.MULTI_VOLUME], ("refused", "attachment_required", False)),
        ([seed.LIVE_VOLUME, "--server", seed.STOPPED_SERVER], ("refused", "server_mismatch", False)),
        ([seed.LIVE_VOLUME, "--attachment", seed.MULTI_LIVE_ATTACHMENT], ("already_detached", None, False)),
        ([seed.HOST_VOLUME], ("refused", "server_unknown", False)),
        ([seed.FOREIGN_VOLUME], ("refused", "volume_foreign", False)),
        ([seed.LOCKED_VOLUME], ("refused", "server_locked", False)),
        ([seed.SHELVED_VOLUME], ("refused", "server_busy", False)),
        ([seed.ROOT_VOLUME], ("refused", "root_volume", False)),
    ],
)
def test_what_is_refused_is_said_and_left_alone(
    cloud: Cloud, words: list[str], outcome: tuple[str, str | None, bool | None], capsys: Printed
) -> None:
    before = {volume.id: (volume.status, len(volume.attachments)) for volume in cloud.volumes}
    _, result, _ = evs(capsys, "detach", *words, "--live", "--yes")
    assert told(result) == outcome
    assert before == {volume.id: (volume.status, len(volume.attachments)) for volume in cloud.volumes}


def test_of_a_server_that_does_not_list_the_disk_no_call_to_it_is_advised(
    cloud: Cloud, capsys: Printed
) -> None:
    for dry in ([], ["--dry-run"]):
        code, result, _ = evs(capsys, "detach", seed.FORGOTTEN_VOLUME, "--live", "--yes", *dry)
        assert (code, told(result)) == (ExitCode.REFUSED, ("refused", "server_exists", False))
        assert "its own list doesn't hold the volume" in result["error"]["message"]
        assert "not-held" in result["error"]["message"]
    assert sent(cloud) == []


def test_a_person_is_told_which_option_may_help(cloud: Cloud, capsys: Printed) -> None:
    runtime.reset()
    assert main(["detach", seed.LIVE_VOLUME, "--output", "table"]) == ExitCode.REFUSED
    said = capsys.readouterr().out
    assert (
        f"  Where the guest has let go of it: evs-detach detach {seed.LIVE_VOLUME} {' '.join(IDS)} --live"
        in said
    )
    assert main(["detach", seed.STUCK_DETACHING_VOLUME, "--output", "table"]) == ExitCode.REFUSED
    assert f"evs-detach detach {seed.STUCK_DETACHING_VOLUME} --recover" in capsys.readouterr().out
    assert main(["detach", seed.LIVE_VOLUME, "--output", "table", "--quiet"]) == ExitCode.REFUSED
    assert "--live" not in capsys.readouterr().out
    assert sent(cloud) == []


def test_of_several_attachments_the_one_that_is_named_by_its_server(cloud: Cloud, capsys: Printed) -> None:
    words = ["detach", seed.MULTI_VOLUME, "--server", seed.LIVE_SERVER, "--live", "--yes", "--dry-run"]
    _, result, _ = evs(capsys, *words)
    assert (told(result)[0], result["attachment_id"]) == ("would_detach", seed.MULTI_LIVE_ATTACHMENT)
    assert sent(cloud) == []


def test_what_can_not_be_looked_up_is_a_result_too(cloud: Cloud, capsys: Printed) -> None:
    body = {"forbidden": {"code": 403, "message": "no"}}
    cloud.misbehave("volume", times=None, status=403, body=body)
    for dry in ([], ["--dry-run"]):
        code, result, _ = evs(capsys, "detach", seed.LIVE_VOLUME, "--live", "--yes", *dry)
        assert (code, told(result)) == (ExitCode.FAILED, ("failed", "permission_denied", False))
        assert result["dry_run"] is bool(dry)


# Late, repeated, lost.


@pytest.mark.parametrize("where", [seed.LIVE_SERVER, seed.STOPPED_SERVER])
def test_repeated_after_the_disk_was_attached_anew_it_detaches_nothing(
    cloud: Cloud, where: str, capsys: Printed
) -> None:
    assert evs(capsys, *LIVE, "--yes")[0] == 0
    cloud.attach(cloud.volume(seed.LIVE_VOLUME), cloud.server(where))
    cloud.clear_calls()

    code, result, _ = evs(capsys, *LIVE, "--yes")

    assert (code, told(result), sent(cloud)) == (0, ("already_detached", None, False), [])
    assert cloud.volume(seed.LIVE_VOLUME).status == "in-use"


def test_a_command_that_died_after_its_call_is_followed_by_the_next(cloud: Cloud, capsys: Printed) -> None:
    cloud.jobs.course = Course(guest=1)
    process = subprocess.Popen(
        [*COMMAND, *LIVE, "--yes"], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    cloud.hook(lambda call: process.kill() if call.method == "DELETE" else None)
    _, err = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    # It left word of what it was about to do
    assert next(json.loads(line)["event"] for line in err.splitlines()) == "changing"
    cloud.hooks.clear()

    code, result, _ = evs(capsys, *LIVE, "--yes")

    assert (code, told(result)) == (0, ("detached", None, True))
    assert sent(cloud) == DELETE


@pytest.mark.usefixtures("hurried")
def test_asked_again_it_is_only_followed(cloud: Cloud, capsys: Printed) -> None:
    cloud.jobs.course = Course(guest=600)
    for _ in range(2):
        code, result, err = evs(capsys, *LIVE, "--yes")
        assert (code, told(result)) == (ExitCode.FAILED, ("unconfirmed", "not_confirmed", None))
        assert err.splitlines()[-1] == FOLLOW
    assert sent(cloud) == DELETE
    assert FOLLOW not in evs(capsys, *LIVE, "--yes", "--quiet")[2]


@pytest.mark.usefixtures("hurried")
def test_wait_follows_it_for_longer(cloud: Cloud, capsys: Printed) -> None:
    cloud.jobs.course = Course(queued=1, guest=1)
    code, result, _ = evs(capsys, *LIVE, "--yes", "--wait", "20s")
    assert (code, told(result), sent(cloud)) == (0, ("detached", None, True), DELETE)


@pytest.mark.parametrize(
    ("timeout", "words", "whole"),
    [
        ("", ["--wait", "5m"], "325"),
        ("40", ["--wait", "5m"], "340"),
        ("40", ["--timeout", "10s", "--wait", "1h"], "3610"),
        ("259000", ["--wait", "2d"], "259200"),
        ("soon", ["--wait", "5m"], "soon"),
        ("-3", ["--wait", "5m"], "-3"),
    ],
)
def test_the_wait_comes_on_top_of_the_time_out(
    monkeypatch: pytest.MonkeyPatch, timeout: str, words: list[str], whole: str
) -> None:
    from handler.terminal.session import Session  # noqa: PLC0415

    seen: list[str] = []
    environment = Session.environment

    def spy(session: Session) -> Any:
        told = environment(session)
        seen.append(told["DETACH_TIMEOUT"])
        return told

    monkeypatch.setattr(Session, "environment", spy)
    monkeypatch.setenv("DETACH_TIMEOUT", timeout)
    runtime.reset()
    main([*LIVE, "--dry-run", *words])
    assert set(seen) == {whole}


@pytest.mark.parametrize(
    ("course", "outcome", "code"),
    [
        (Course(ends="guest"), ("refused", "guest_refused", False), ExitCode.REFUSED),
        (Course(ends="cinder"), ("failed", "not_recovered", None), ExitCode.FAILED),
    ],
)
def test_how_else_it_can_end(
    cloud: Cloud,
    course: Course,
    outcome: tuple[str, str, bool | None],
    code: ExitCode,
    capsys: Printed,
) -> None:
    cloud.jobs.course = course
    ended, result, _ = evs(capsys, *LIVE, "--yes")
    assert (ended, told(result), sent(cloud)) == (code, outcome, DELETE)


def test_interrupted_before_the_call_nothing_is_sent(cloud: Cloud, capfd: Printed) -> None:
    cloud.hook(lambda call: signal.raise_signal(signal.SIGINT) if _is_list_of_disks(call) else None)
    code = main([*LIVE, "--yes", "--json"])
    result = json.loads(capfd.readouterr().out)
    assert (code, told(result)) == (ExitCode.INTERRUPTED, ("failed", "deadline_exceeded", False))
    assert "none was sent to the server" in result["error"]["message"]
    assert sent(cloud) == []


def _is_list_of_disks(call: Call) -> bool:
    return call.method == "GET" and call.path.endswith("/os-volume_attachments")


# A person.


def asked(*words: str, answer: bytes, columns: int = 120) -> tuple[int, str]:
    """The command at a terminal, where a question is answered; the exit code, and all that was said."""
    with terminal("detach", *words, columns=columns) as shown:
        shown.until(lambda said: "[y/N]" in said)
        shown.press(answer)
        # Pressed in the instant in which Python begins to read, Ctrl-C is not seen before the next key
        while answer == b"\x03" and "Nothing was sent" not in shown.until(_nothing_was_sent, 2):
            shown.press(answer)
        said = shown.rest()
        return shown.process.wait(30), said


def _nothing_was_sent(said: str) -> bool:
    return "Nothing was sent" in said


@pytest.mark.parametrize("answer", [b"n\n", b"\n", b"\x03", b"\x04"])
def test_a_person_is_shown_it_and_asked_and_says_no(cloud: Cloud, answer: bytes) -> None:
    cloud.server(seed.LIVE_SERVER).name = "db-01"

    code, said = asked(seed.LIVE_VOLUME, "--live", answer=answer)

    assert code == ExitCode.INTERRUPTED
    assert f"  Disk      {seed.LIVE_VOLUME}  " in said
    assert f"  Server    {seed.LIVE_SERVER}  db-01, ACTIVE" in said
    assert f"attachment {seed.LIVE_ATTACHMENT}" in said
    assert said.index("Disk") < said.index(QUESTION)
    assert said.rstrip().endswith("Nothing was sent.")
    assert "Traceback" not in said
    assert sent(cloud) == []


def test_a_hosts_sigterm_at_the_question_is_no(cloud: Cloud) -> None:
    with terminal("detach", seed.LIVE_VOLUME, "--live") as shown:
        shown.until(lambda said: "[y/N]" in said)
        shown.process.send_signal(signal.SIGTERM)
        # In the instant in which Python begins to read it is not seen, as Ctrl-C isn't
        while "Nothing was sent" not in shown.until(_nothing_was_sent, 2):
            shown.process.send_signal(signal.SIGTERM)
        assert shown.rest().rstrip().endswith("Nothing was sent.")
        assert shown.process.wait(30) == ExitCode.INTERRUPTED
    assert sent(cloud) == []


@pytest.mark.parametrize("words", [["--live"], [*IDS, "--live"]])
def test_a_person_says_yes(cloud: Cloud, words: list[str]) -> None:
    cloud.jobs.course = Course(guest=1)

    code, said = asked(seed.LIVE_VOLUME, *words, answer=b"y\n")

    assert code == 0
    assert "job running, disk detaching, 0 s" in said
    assert "detached" in said.rsplit("VERDICT", 1)[1]
    assert sent(cloud) == DELETE


def test_what_is_attached_anew_while_somebody_thinks_is_left_alone(cloud: Cloud) -> None:
    with terminal("detach", seed.LIVE_VOLUME, "--live") as shown:
        shown.until(lambda said: "[y/N]" in said)
        volume = cloud.volume(seed.LIVE_VOLUME)
        volume.attachments.clear()
        cloud.attach(volume, cloud.server(seed.LIVE_SERVER))
        shown.press(b"y\n")
        said = shown.rest()
        assert shown.process.wait(30) == 0
    assert "already_detached" in said
    assert sent(cloud) == []


@pytest.mark.parametrize(
    ("volume", "code", "said"),
    [
        (seed.LOCKED_VOLUME, ExitCode.REFUSED, "server_locked"),
        (seed.SHELVED_VOLUME, ExitCode.REFUSED, "server_busy"),
        (seed.DELETING_VOLUME, ExitCode.FAILED, "server_busy"),
        (seed.AVAILABLE_VOLUME, ExitCode.DONE, "already_detached"),
        (seed.ORPHAN_VOLUME, ExitCode.DONE, "detached"),
    ],
)
def test_nobody_is_asked_about_what_needs_no_word(
    cloud: Cloud, volume: str, code: ExitCode, said: str
) -> None:
    with terminal("detach", volume, "--live", columns=140) as shown:
        words = shown.rest()
        assert shown.process.wait(30) == code
    assert said in words
    assert "[y/N]" not in words
    assert sent(cloud) == (["os-detach"] if volume == seed.ORPHAN_VOLUME else [])


def test_what_was_refused_without_a_question_was_no_dry_run(cloud: Cloud, tmp_path: Any) -> None:
    path = tmp_path / "r.json"
    with terminal("detach", seed.LOCKED_VOLUME, "--live", "--report", str(path)) as shown:
        shown.rest()
    result = json.loads(path.read_text("utf-8"))
    assert (result["dry_run"], result["error"]["code"]) == (False, "server_locked")
    assert sent(cloud) == []


def test_ctrl_c_while_it_is_followed_says_what_goes_on_and_how_to_follow_it(cloud: Cloud) -> None:
    cloud.jobs.course = Course(guest=600)
    with terminal(*LIVE, "--yes", "--wait", "10m", columns=200) as shown:
        shown.until(lambda said: "job running, disk detaching" in said)
        shown.press(b"\x03")
        said = shown.rest()
        assert shown.process.wait(30) == ExitCode.INTERRUPTED
    assert "a detach that has begun goes on at the cloud" in said
    assert re.search(r"The detach from the live server was begun \(job req-[0-9a-f-]+\)", said)
    assert FOLLOW in said
    assert "Traceback" not in said
    assert sent(cloud) == DELETE


def _under_way(cloud: Cloud, course: Course, printed: Printed) -> None:
    cloud.jobs.course = course
    evs(printed, *LIVE, "--yes")
    cloud.jobs.course = Course()
    cloud.clear_calls()


@pytest.mark.usefixtures("hurried")
def test_a_detach_under_way_is_followed_after_a_question(
    cloud: Cloud, capsys: Printed, monkeypatch: pytest.MonkeyPatch
) -> None:
    _under_way(cloud, Course(guest=4), capsys)
    monkeypatch.delenv("DETACH_TIMEOUT")
    code, said = asked(seed.LIVE_VOLUME, "--live", answer=b"y\n")
    assert (code, sent(cloud)) == (0, [])
    assert "A detach of it is under way. Follow it" in said


def test_a_mark_that_a_failed_detach_left_is_taken_back_by_a_persons_word(
    cloud: Cloud, capsys: Printed
) -> None:
    _under_way(cloud, Course(ends="cinder"), capsys)
    volume, past = cloud.volume(seed.LIVE_VOLUME), cloud.stamp(cloud.now() - 7200)
    volume.updated_at = past
    for action in cloud.server(seed.LIVE_SERVER).actions:
        action.start_time = past

    code, said = asked(seed.LIVE_VOLUME, "--live", "--recover", answer=b"n\n")
    assert (code, sent(cloud)) == (ExitCode.INTERRUPTED, [])
    assert "take its mark back (os-roll_detaching)" in said
    code, said = asked(seed.LIVE_VOLUME, "--live", "--recover", answer=b"y\n")
    assert (code, sent(cloud)) == (0, ["os-roll_detaching", *DELETE])


@pytest.mark.parametrize(
    ("stdin", "stderr", "there"), [(True, True, True), (False, True, False), (True, False, False)]
)
def test_a_question_needs_somebody_who_sees_it_and_can_answer(
    monkeypatch: pytest.MonkeyPatch, stdin: bool, stderr: bool, there: bool
) -> None:
    def says(answer: bool) -> Callable[[], bool]:
        return lambda: answer

    monkeypatch.setattr(sys.stdin, "isatty", says(stdin), raising=False)
    monkeypatch.setattr(sys.stderr, "isatty", says(stderr))
    assert somebody_is_there() is there
