"""What a run started is ended, however it hides."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.integration.openstack.processes import Processes
from tests.integration.openstack.trouble import RigError

if TYPE_CHECKING:
    from collections.abc import Callable

_ENVIRONMENT = {"PATH": "/usr/bin:/bin"}
_DAEMON = """
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        open(sys.argv[1], "w").write(str(os.getpid()))
        time.sleep(600)
    os._exit(0)
time.sleep(600)
"""


def _until(ready: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not ready():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.fixture
def processes(tmp_path: Path) -> Processes:
    return Processes(tmp_path)


def test_a_process_that_left_its_session_is_ended_too(processes: Processes, tmp_path: Path) -> None:
    told = tmp_path / "pid"
    leader = processes.start("daemon", sys.executable, "-c", _DAEMON, told, env=_ENVIRONMENT)
    _until(lambda: told.exists() and told.read_text(encoding="utf-8") != "")
    hidden = int(told.read_text(encoding="utf-8"))
    assert os.getsid(hidden) != leader.pid

    processes.kill()

    assert leader.returncode == -signal.SIGKILL
    assert not _runs(hidden)
    assert processes.names() == {}


def test_another_program_ends_them_by_the_record(processes: Processes, tmp_path: Path) -> None:
    sleeper = processes.start("sleeper", "sleep", "600", env=_ENVIRONMENT)
    Processes(tmp_path).kill()
    assert sleeper.wait(20) == -signal.SIGKILL


def test_a_process_that_was_given_a_recorded_id_is_left_alone(processes: Processes, tmp_path: Path) -> None:
    sleeper = processes.start("sleeper", "sleep", "600", env=_ENVIRONMENT)
    record = tmp_path / "processes.json"
    record.write_text(
        record.read_text(encoding="utf-8").replace('"started": "', '"started": "1'), encoding="utf-8"
    )

    stranger = Processes(tmp_path / "another-run")
    stranger.folder.mkdir()
    (stranger.folder / "processes.json").write_text(record.read_text(encoding="utf-8"), encoding="utf-8")
    stranger.kill()

    assert _runs(sleeper.pid)
    processes.kill()
    assert not _runs(sleeper.pid)


def test_one_that_ended_by_itself_is_named(processes: Processes) -> None:
    child = processes.start("brief", "true", env=_ENVIRONMENT)
    child.wait()
    assert processes.ended() == ["brief"]


def test_one_that_failed_is_told_of_with_its_last_words(processes: Processes) -> None:
    with pytest.raises(RigError, match="no-such-file"):
        processes.run("failing", "cat", "no-such-file", env=_ENVIRONMENT)


def test_one_that_is_asked_to_stop_may_end_in_its_own_way(processes: Processes, tmp_path: Path) -> None:
    script = f"trap 'echo done > {tmp_path}/word; exit' TERM; echo ready > {tmp_path}/ready; sleep 600 & wait"
    processes.start("polite", "sh", "-c", script, env=_ENVIRONMENT)
    _until((tmp_path / "ready").exists)
    processes.stop("polite")
    assert (tmp_path / "word").read_text(encoding="utf-8") == "done\n"
    assert processes.names() == {}
