"""The terminal: `python -m handler FILE…` as a process of its own."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import click
import pytest

from handler.terminal.exit_code import ExitCode
from tests.embedded_cloud import Cloud, seed
from tests.unit.deployment import EVENTS, ROOT

COMMAND = [sys.executable, "-m", "handler"]


def environment(cloud: Cloud, **more: str) -> dict[str, str]:
    return {
        **cloud.environment(),
        "DETACH_TOKEN_SECRET": "env:CLOUD_TOKEN",
        "CLOUD_TOKEN": cloud.token(),
        "PYTHONDONTWRITEBYTECODE": "1",
        **more,
    }


def call(
    cloud: Cloud, *arguments: str, stdin: bytes = b"", **more: str
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [*COMMAND, *arguments],
        cwd=ROOT,
        env=environment(cloud, **more),
        input=stdin,
        capture_output=True,
        check=False,
        timeout=60,
    )


def test_piped_results_are_one_line_of_json_for_each_file(cloud: Cloud) -> None:
    names = ("http-one", "cts-server", "timer-batch", "http-invalid")
    done = call(cloud, *(f"events/{name}.json" for name in names), "--verbose")
    results = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == ExitCode.USAGE  # by the last of them
    assert [result.get("outcome") for result in results] == ["detached", None, None, "failed"]
    assert {result["trigger"] for result in results} == {"terminal"}
    assert results[1]["summary"] == {"detached": 2}
    assert cloud.volume(seed.ORPHAN_VOLUME).status == "available"
    # The log is beside it: JSON too, and of the same invocations
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert {line["event"] for line in lines} >= {"target", "invocation"}
    assert {line["request_id"] for line in lines} == {result["request_id"] for result in results}
    assert cloud.token().encode() not in done.stdout + done.stderr


def test_all_ok_is_zero_and_standard_input_is_a_file_too(cloud: Cloud) -> None:
    form = json.dumps({"volume_id": seed.AVAILABLE_VOLUME}).encode()
    done = call(cloud, "-", stdin=form)
    assert (done.returncode, done.stderr) == (0, b"")
    assert json.loads(done.stdout)["outcome"] == "already_detached"
    empty = call(cloud, "-")
    assert empty.returncode == ExitCode.USAGE
    assert json.loads(empty.stdout)["error"]["details"] == [{"pointer": "", "rule": "required"}]


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--no-such-option", "x"),
        ("events/http-one.json", "events/no-such-file.json"),
        ("events",),
        ("run",),
    ],
)
def test_bad_usage_is_two_and_nothing_is_done(cloud: Cloud, arguments: tuple[str, ...]) -> None:
    done = call(cloud, *arguments)
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.startswith(b"Usage: python -m handler")
    assert b"Traceback" not in done.stderr
    assert cloud.calls == []


def test_wrong_settings_are_named(cloud: Cloud) -> None:
    done = call(cloud, "events/http-one.json", DETACH_PROJECT_ID="wrong")
    assert done.returncode == 1
    assert "DETACH_PROJECT_ID" in json.loads(done.stdout)["error"]["message"]
    assert cloud.calls == []


def test_nobody_needs_a_callers_key_here(cloud: Cloud) -> None:
    gateway = json.loads((EVENTS / "apig-one.json").read_text(encoding="utf-8"))
    assert "authorization" not in gateway["headers"]
    assert call(cloud, "events/apig-one.json").returncode == 0


def test_a_person_sees_a_table(cloud: Cloud) -> None:
    master, slave = pty.openpty()
    try:
        with subprocess.Popen(
            [*COMMAND, "events/http-one.json", "events/http-live-server.json"],
            cwd=ROOT,
            env=environment(cloud, COLUMNS="80"),
            stdout=slave,
        ) as process:
            code = process.wait(60)
        os.close(slave)
        shown = b""
        # Linux reports the end of a terminal that nobody writes to any more as an error
        while part := _read(master):
            shown += part
    finally:
        os.close(master)
    assert code == ExitCode.REFUSED
    lines = click.unstyle(shown.decode()).replace("\r\n", "\n").splitlines()
    assert lines[0] == "events/http-one.json"
    assert lines[1].split() == ["VOLUME", "NAME", "SIZE", "VERDICT"]
    assert lines[2].split() == [seed.ORPHAN_VOLUME, "volume-543fdc50", "100", "GB", "detached"]
    assert f"  server_exists: {seed.LIVE_VOLUME}" in lines
    assert max(map(len, lines[1:5])) <= 80


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 4096)
    except OSError:
        return b""


def test_a_file_is_read_as_bytes(cloud: Cloud, tmp_path: Path) -> None:
    file = tmp_path / "event.json"
    file.write_bytes(b"\xff\xfe")
    assert json.loads(call(cloud, str(file)).stdout)["error"]["details"] == [{"pointer": "", "rule": "utf8"}]
