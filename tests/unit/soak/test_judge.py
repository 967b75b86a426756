"""The soak's judge: a run in which all is well passes, and each thing that can go wrong is found."""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from random import Random

import pytest
import requests

from tests.embedded_cloud import Cloud
from tests.embedded_cloud.messages import read_call
from tests.soak import mutated
from tests.soak.faults import FAULTS, Faults
from tests.soak.judge import GROWTH, Life, Lines, Sample, Seen, growth, slope, wrong
from tests.soak.load import Unanswered
from tests.soak.processes import Held, alive, family, held

SECRET = "soak-secret-"
PORT = 65_535


def _line(event: str, **more: str) -> str:
    return json.dumps({"event": event, "call": "os-detach", "volume_id": "v", **more})


def _lines(*texts: str) -> Lines:
    lines = Lines()
    lines.read(texts, SECRET)
    return lines


GOOD = Seen(
    sent=Counter(one=100),
    settled=Counter(one=100),
    kinds=["one"],
    lost=[],
    unanswered=[
        Unanswered("http://second", 69.5, 71.0, False, "reset"),
        Unanswered("http://second", None, 71.0, False, "refused"),
    ],
    lives=[
        Life("http://second", 10.0, 70.0, 1.0, 0, (), 70.0, 2),
        Life("http://steady", 0.0, 90.0, 1.0, 0, (), 80.0, 2),
    ],
    samples=[Sample(float(second), 80.0 + (second % 7) / 10) for second in range(120)],
    idle_before=Held(80.0, 11, 17, 9),
    idle_after=Held(81.0, 11, 17, 12),
    changes=Counter({"os-detach v": 1}),
    lines=_lines(_line("changing"), _line("changed")),
    faults=10,
    asked=100,
    secrets=3,
)


def test_a_run_in_which_all_is_well_passes() -> None:
    assert wrong(GOOD) == []


def _leak(seen: Seen) -> None:
    seen.samples = [Sample(at, memory + at * 0.06) for at, memory in seen.samples]


def _lives_grow(seen: Seen) -> None:
    seen.lives += [Life("http://x", 60.0 * turn, 0.0, 1, 0, (), 70.0 + turn, 2) for turn in range(10)]


def _changed(seen: Seen, *texts: str) -> None:
    seen.lines = _lines(*texts)


def _port_again(seen: Seen) -> None:
    seen.lives.insert(0, Life("http://second", 1.0, 5.0, 1.0, 0, (), 70.0, 2))
    seen.unanswered = [Unanswered("http://second", 3.0, 4.0, False, "reset")]


def _idle(seen: Seen) -> None:
    seen.changes.clear()
    _changed(seen)


SPOILT: dict[str, tuple[str, Callable[[Seen], object]]] = {
    "an event is lost": ("lost: one", lambda seen: seen.lost.append("one")),
    "an event is not settled": ("not settled", lambda seen: seen.settled.subtract(["one"])),
    "a kind was not sent": ("never sent", lambda seen: setattr(seen, "kinds", ["one", "two"])),
    "no faults were served": ("not a tenth", lambda seen: setattr(seen, "faults", 0)),
    "memory grows": ("memory grows", _leak),
    "each life is larger": ("each life", _lives_grow),
    "a thread is left": ("threads", lambda seen: setattr(seen, "idle_after", Held(81, 12, 17, 9))),
    "a descriptor is left": ("descriptors", lambda seen: setattr(seen, "idle_after", Held(81, 11, 18, 9))),
    "connections pile up": ("connections", lambda seen: setattr(seen, "idle_after", Held(81, 11, 17, 65))),
    "a process is left": ("left processes", lambda seen: setattr(seen.lives[0], "left", (4711,))),
    "a server ends badly": ("ended with 1", lambda seen: setattr(seen.lives[0], "exit_code", 1)),
    "nothing was in flight": ("nothing to do", lambda seen: setattr(seen.lives[0], "in_flight", 0)),
    "a request in flight is dropped": (
        "was not ending",
        lambda seen: setattr(seen, "unanswered", [Unanswered("http://second", 64.0, 71.0, False, "reset")]),
    ),
    "a request in hand is dropped": (
        "was at work",
        lambda seen: setattr(seen, "unanswered", [Unanswered("http://second", 69.9, 71.0, True, "reset")]),
    ),
    "a request is dropped by whoever had the port before": ("was not ending", _port_again),
    "a server that is up takes no request": (
        "was not ending",
        lambda seen: setattr(seen, "unanswered", [Unanswered("http://second", None, 50.0, False, "refused")]),
    ),
    "a request is dropped in between": (
        "was not ending",
        lambda seen: setattr(seen, "unanswered", [Unanswered("http://steady", 20.0, 21.0, False, "reset")]),
    ),
    "no line says what came of it": (
        "1 lines before, 0 lines after",
        lambda seen: _changed(seen, _line("changing")),
    ),
    "no line says what is to come": (
        "0 lines before, 1 lines after",
        lambda seen: _changed(seen, _line("changed")),
    ),
    "a line comes too late": (
        "none before them",
        lambda seen: _changed(seen, _line("changed"), _line("changing")),
    ),
    "a call has no lines": ("2 calls", lambda seen: seen.changes.update(["os-detach v"])),
    "the log has a bug": ("in the log", lambda seen: seen.lines.read([_line("internal_error")], SECRET)),
    "the server logs a fault of its own": (
        "in the log",
        lambda seen: seen.lines.read(["[2026] [7] [ERROR] a request could not be answered"], SECRET),
    ),
    "the log has a secret": ("hold a secret", lambda seen: seen.lines.read([f"{SECRET}1"], SECRET)),
    "nothing was cleared": ("nothing was cleared", _idle),
}


@pytest.mark.parametrize("name", SPOILT)
def test_what_goes_wrong_is_found(name: str) -> None:
    said, spoil = SPOILT[name]
    seen = copy.deepcopy(GOOD)
    spoil(seen)

    assert any(said in one for one in wrong(seen)), wrong(seen)


def test_ten_kilobytes_a_request_are_found_in_two_minutes() -> None:
    """Six requests a second, the noise that a server has, and the two minutes of CI."""
    noise = Random(1)
    flat = [Sample(float(second), 80 + noise.gauss(0, 0.3)) for second in range(120)]
    leaking = [Sample(at, memory + at * 6 * mutated.LEAK / 2**20) for at, memory in flat]

    assert abs(growth(flat)) < GROWTH / 2
    assert growth(leaking) > GROWTH
    assert slope(leaking) == pytest.approx(60 * 6 * mutated.LEAK / 2**20, abs=0.5)


_HOLDER = """
import os, threading
{hold}
print("ready", flush=True)
input()
"""


on_linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="it reads Linux' /proc")


@on_linux
@pytest.mark.parametrize(
    ("hold", "threads", "descriptors"),
    [
        ("", 0, 0),
        ("threading.Thread(target=threading.Event().wait, daemon=True).start()", 1, 0),
        ("kept = os.open(os.devnull, os.O_RDONLY)", 0, 1),
    ],
)
def test_threads_and_descriptors_are_counted(hold: str, threads: int, descriptors: int) -> None:
    counts = []
    for lines in ("", hold):
        command = [sys.executable, "-c", _HOLDER.format(hold=lines)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()
            counts.append(held(process.pid, PORT))
            assert process.pid in family(os.getpid())
            process.communicate(b"\n")
            assert not alive(process.pid)

    bare, holding = counts
    assert bare.memory > 1
    assert holding.threads - bare.threads == threads
    assert holding.descriptors - bare.descriptors == descriptors


@on_linux
def test_connections_to_the_cloud_are_told_from_other_descriptors() -> None:
    before = held(os.getpid(), PORT)
    with Cloud() as cloud:
        port = int(cloud.url.rpartition(":")[2])
        with closing(requests.Session()) as session:
            session.get(f"{cloud.url}/volume/", timeout=10)
            during = held(os.getpid(), port)

    assert during.kept == 1
    assert during.threads > before.threads


def test_a_tenth_of_the_answers_is_bent_in_every_way() -> None:
    faults = Faults(Random(1))
    call = read_call("GET", "/volume/v2/p/volumes/v", {}, b"", 0.0)

    bent = sum(faults.take(call) is not None for _ in range(2000))

    assert 150 < bent < 250
    assert faults.served.keys() == FAULTS.keys()
