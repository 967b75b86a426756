"""One JSON line per thing that happened."""

from __future__ import annotations

import io
import json
import logging
import re
import sys
from typing import Any

import pytest

from handler import __version__
from handler.errors import (
    ErrorCode,
    Failure,
    Misconfigured,
    NotRecovered,
    Refused,
    SecretUnavailable,
    Throttled,
    TokenRejected,
)
from handler.secret import Secret
from handler.telemetry import Event, Log, configure


def _logged(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_a_line_has_its_time_level_and_event_and_the_bound_fields(capsys: pytest.CaptureFixture[str]) -> None:
    configure("INFO")

    Log({"request_id": "r-1"}).bind(trigger="http").warning(Event.TARGET, outcome="refused", calls=2)

    (line,) = _logged(capsys.readouterr().out)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line.pop("time"))
    assert line == {
        "level": "WARNING",
        "event": "target",
        "service_name": "evs-detach",
        "service_version": __version__,
        "request_id": "r-1",
        "trigger": "http",
        "outcome": "refused",
        "calls": 2,
    }


def test_a_host_s_own_format_finds_all_that_a_record_has() -> None:
    written = io.StringIO()
    names = [*vars(logging.makeLogRecord({})), "message", "asctime"]
    configure("INFO", written, logging.Formatter(" ".join(f"%({name})s" for name in names)))

    Log().info(Event.TARGET, outcome="detached")

    assert "target" in written.getvalue().split()
    assert "INFO" in written.getvalue().split()


@pytest.mark.parametrize(
    ("level", "expected"),
    [
        ("DEBUG", ["DEBUG", "INFO", "WARNING", "ERROR"]),
        ("INFO", ["INFO", "WARNING", "ERROR"]),
        ("WARNING", ["WARNING", "ERROR"]),
        ("ERROR", ["ERROR"]),
        ("CRITICAL", []),
    ],
)
def test_only_what_the_level_asks_for_is_written(
    level: str, expected: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    configure(level)

    log = Log()
    log.debug(Event.CALL)
    log.info(Event.RETRY)
    log.warning(Event.TARGET)
    log.error(Event.SETTINGS_WRONG)

    assert [line["level"] for line in _logged(capsys.readouterr().out)] == expected


@pytest.mark.parametrize("level", ["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"])
def test_what_must_be_on_record_is_written_whatever_the_level(
    level: str, capsys: pytest.CaptureFixture[str]
) -> None:
    configure(level)

    Log({"request_id": "r-1"}).always(Event.CHANGING, call="os-detach")

    (line,) = _logged(capsys.readouterr().out)
    assert (line["level"], line["event"]) == ("INFO", "changing")
    assert (line["request_id"], line["call"]) == ("r-1", "os-detach")


@pytest.mark.parametrize(
    ("failure", "level"),
    [
        (None, "WARNING"),
        (Misconfigured("Set it."), "ERROR"),
        (TokenRejected("No."), "ERROR"),
        (SecretUnavailable("It is not there."), "ERROR"),
        (SecretUnavailable("It is down.", retryable=True), "WARNING"),
        (Throttled("Later."), "WARNING"),
        (Refused(ErrorCode.SERVER_EXISTS, "It lives."), "WARNING"),
        (NotRecovered("Look at it."), "ERROR"),
    ],
    ids=str,
)
def test_how_something_ended_is_an_error_where_somebody_has_to_mend_something(
    failure: Failure | None, level: str, capsys: pytest.CaptureFixture[str]
) -> None:
    configure("INFO")

    Log().ended(failure, ok=True)(Event.RUN)
    Log().ended(failure, ok=False)(Event.RUN)

    assert [line["level"] for line in _logged(capsys.readouterr().out)] == ["INFO", level]


def test_a_line_that_can_t_be_written_is_told_on_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    stream = io.StringIO()
    configure("INFO", stream)
    stream.close()

    Log().info(Event.TARGET, outcome="detached")

    said = capsys.readouterr().err
    assert "Logging error" in said
    assert "ValueError" in said


def test_a_line_is_written_once_whatever_the_host_put_on_the_root_logger(
    capsys: pytest.CaptureFixture[str],
) -> None:
    root = logging.getLogger()
    host = logging.StreamHandler(sys.stdout)
    root.addHandler(host)
    try:
        configure("INFO")
        configure("INFO")
        Log().info(Event.TARGET)
    finally:
        root.removeHandler(host)

    assert len(_logged(capsys.readouterr().out)) == 1


def test_lines_go_to_whatever_standard_output_is_at_that_moment() -> None:
    configure("INFO")
    stream, original = io.StringIO(), sys.stdout
    sys.stdout = stream
    try:
        Log().info(Event.TARGET)
    finally:
        sys.stdout = original

    assert len(_logged(stream.getvalue())) == 1


def test_nobody_takes_standard_output_from_the_log() -> None:
    configure("INFO")
    (handler,) = logging.getLogger("evs_detach").handlers
    assert isinstance(handler, logging.StreamHandler)

    with pytest.raises(AttributeError):
        handler.setStream(io.StringIO())
    assert handler.stream is sys.stdout


def test_a_terminal_has_them_on_a_stream_of_its_choice(capsys: pytest.CaptureFixture[str]) -> None:
    stream = io.StringIO()
    configure("INFO", stream)

    Log().info(Event.TARGET)

    assert len(_logged(stream.getvalue())) == 1
    assert capsys.readouterr().out == ""


def test_a_line_is_one_line_whatever_is_in_it(capsys: pytest.CaptureFixture[str]) -> None:
    configure("INFO")

    Log().info(Event.TARGET, message='a\nb\u2028c"\x00', secret=Secret("planted"), odd={1, 2}.__class__)

    out = capsys.readouterr().out
    assert (out.count("\n"), len(out.splitlines())) == (1, 1)
    assert "planted" not in out


def test_a_bug_is_logged_with_its_frames_and_without_its_text(capsys: pytest.CaptureFixture[str]) -> None:
    configure("INFO")
    planted = "planted-token"

    def choke() -> None:
        raise ValueError(f"can't parse {planted}")

    try:
        choke()
    except ValueError as bug:
        Log().bug(bug)

    out = capsys.readouterr().out
    (line,) = _logged(out)
    assert (line["event"], line["level"], line["error"]) == ("internal_error", "ERROR", "ValueError")
    assert line["traceback"][-1].endswith("choke")
    assert planted not in out


def test_event_names_are_fixed() -> None:
    assert {event.value for event in Event} >= {
        "invocation",
        "target",
        "call",
        "changing",
        "changed",
        "retry",
        "token_bought",
        "token_refused",
        "secret_read",
        "caller_refused",
        "settings_wrong",
        "listed_by_marker",
        "sweep_listed",
        "sweep_refused",
        "run",
        "internal_error",
    }
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)*", event.value) for event in Event)
