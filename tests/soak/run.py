"""One soak: servers that come and go, secrets that are replaced, a load, and samples of what is held."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from random import Random
from typing import NamedTuple

from tests.embedded_cloud import Call, Cloud
from tests.soak import mutated
from tests.soak.events import Events
from tests.soak.faults import Faults, HeldBack
from tests.soak.judge import Life, Lines, Sample, Seen
from tests.soak.load import Load
from tests.soak.processes import Held, alive, family, held
from tests.unit.serving.conftest import Served, serving

ROTATES = 7.0
RESTARTS = 60.0
SAMPLES = 1.0
IDLE = 6.0
"""Seconds, each. The last: until a server has let go of what its callers held."""

_LATER = 0.5
"""Seconds after SIGTERM at which what was held back is let go."""

SECRET = "soak-secret-"
"""What every secret of a soak begins with."""

THREADS, CONCURRENCY = 4, 8
SETTINGS = {
    "DETACH_SWEEP_DRY_RUN": "false",
    "DETACH_SECRET_TTL": "5",
    "DETACH_TIMEOUT": "20",
    "DETACH_LIVE": "on",
    "DETACH_RECOVER": "on",
    "DETACH_CONCURRENCY": str(CONCURRENCY),
    "THREADS": str(THREADS),
}


class Server(NamedTuple):
    """A server that is up."""

    served: Served
    life: Life


class Every:
    """Says that something is due, no sooner than so many seconds after it was last."""

    def __init__(self, seconds: float, *, at_once: bool = False) -> None:
        self._seconds = seconds
        self._next = time.monotonic() + (0.0 if at_once else seconds)

    def due(self) -> bool:
        """Whether it is; the time until the next one begins now."""
        now = time.monotonic()
        if now < self._next:
            return False
        self._next = now + self._seconds
        return True


class Begun(NamedTuple):
    """A request that is being delivered, and what it waits for."""

    thread: threading.Thread
    held_back: HeldBack


def _let_go(begun: Iterable[Begun]) -> None:
    for one in begun:
        one.held_back.let_go.set()


class Soak:
    """One run. ``fault`` is one that the function is to have, see tests.soak.mutated."""

    def __init__(self, cloud: Cloud, folder: Path, fault: str | None = None) -> None:
        self.cloud = cloud
        self.fault = fault
        self.folder = folder
        self.faults = Faults(Random(1))
        cloud.misbehaviour = self.faults  # type: ignore[assignment]
        cloud.hook(self._called)
        self.changes: Counter[str] = Counter()
        self.keys: list[str] = []
        self.secrets = 0
        self.up: list[Server] = []
        self.lives: list[Life] = []
        self.logs: list[Path] = []
        self.samples: list[Sample] = []
        self.checks = 0
        self.events = Events(cloud, Random(2))
        self.load = Load(
            cloud,
            self.events,
            lambda: [server.served.url for server in self.up],
            lambda: self.keys[-2],  # the newest is given to callers when another one is put beside it
            Random(3),
        )
        self.rotate()
        self.rotate()

    def _called(self, call: Call) -> None:
        """Count what changes something; keep nothing else."""
        parts = call.path.split("/")
        if call.service == "volume" and call.method == "POST" and isinstance(call.body, dict):
            self.changes[f"{next(iter(call.body))} {parts[-2]}"] += 1
        elif call.service == "compute" and call.method == "DELETE":
            self.changes[f"compute-detach {parts[-1]}"] += 1
        self.cloud.clear_calls()
        self.cloud.sunk.clear()

    # Secrets.

    @property
    def settings(self) -> dict[str, str]:
        return {
            **SETTINGS,
            "DETACH_TOKEN_SECRET": f"file:{self.folder / 'token'}",
            "DETACH_INVOKE_SECRET": f"file:{self.folder / 'keys'}",
        }

    def rotate(self) -> None:
        """Have another user and another key, as docs/runbook.md says; those that went out of use go.

        A key is put beside the others seven seconds before callers have it, and stays for as long after that.
        """
        self.secrets += 1
        password = f"{SECRET}{self.secrets}-{uuid.uuid4().hex}"
        self.cloud.add_user(f"user-{self.secrets}", password)
        login = {"username": f"user-{self.secrets}", "domain": "Default", "password": password}
        self._replace("token", json.dumps(login))
        key = f"{SECRET}{uuid.uuid4().hex}"
        self._replace("keys", "\n".join([*self.keys[-3:], key]))
        self.keys.append(key)
        self.cloud.expire_all_tokens()
        with self.cloud.world.lock:
            identity = self.cloud.identity
            for name in [one for one in identity.users if one[1] == f"user-{self.secrets - 2}"]:
                del identity.users[name]
            for token in [one for one in identity.tokens.values() if one.user_name not in self._users()]:
                self.cloud.revoke(token.text)

    def _users(self) -> set[str]:
        return {f"user-{self.secrets}", f"user-{self.secrets - 1}"}

    def _replace(self, name: str, text: str) -> None:
        """Replace a file in one step, as a mounted secret is."""
        new = self.folder / f"{name}.new"
        new.write_text(text, encoding="utf-8")
        new.replace(self.folder / name)

    # Servers.

    def _serve(self, stack: ExitStack, **more: str) -> Server:
        place = self.folder / f"server-{len(self.logs)}"
        place.mkdir()
        module = "handler"
        if self.fault is not None:
            module, more = "tests.soak.mutated", {**more, mutated.SETTING: self.fault}
        served = stack.enter_context(serving(self.cloud, place, module, **{**self.settings, **more}))
        self.logs.append(served.log)
        life = Life(served.url, time.monotonic())
        return Server(served, life)

    def _held(self, server: Server) -> Held:
        return held(server.served.process.pid, int(self.cloud.url.rpartition(":")[2]))

    def _end(self, server: Server) -> None:
        """SIGTERM amid requests: what has begun is answered, and no process is left."""
        served, life = server
        self.up = [one for one in self.up if one is not server]
        begun = [self._begun(served.url) for _ in range(2)]
        life.memory = self._held(server).memory
        members = [*family(served.process.pid)]
        life.in_flight = sum(not one.held_back.let_go.is_set() for one in begun)
        later = threading.Timer(_LATER, _let_go, [begun])
        later.start()
        life.told_to_end = time.monotonic()
        life.exit_code = served.end()
        life.took_to_end = time.monotonic() - life.told_to_end
        for thread in (later, *(one.thread for one in begun)):
            thread.join()
        life.left = tuple(pid for pid in members if alive(pid))
        self.lives.append(life)

    def _begun(self, url: str) -> Begun:
        """Have a server at work on a request, which the cloud holds back."""
        event = self.events.made("http, one")
        held_back = self.faults.hold_back(event.frees[0])
        thread = threading.Thread(target=self.load.carry_through, args=(event, url))
        thread.start()
        if not held_back.asked.wait(30):
            self.load.lost.append(f"{url} did not begin a request")
        return Begun(thread, held_back)

    def _check(self) -> None:
        """The command's own look at whether all is set; again while the cloud is at fault."""
        environment = {**self.cloud.environment(), **self.settings, "PATH": os.environ.get("PATH", "")}
        command = [sys.executable, "-m", "handler", "check"]
        for _ in range(10):
            done = subprocess.run(command, env=environment, capture_output=True, check=False)
            self.load.answers[f"check {done.returncode}"] += 1
            if done.returncode == 0:
                self.checks += 1
                return
        self.load.lost.append(f"check: {done.stdout.decode()}")

    # The run.

    def run(self, minutes: float) -> Seen:
        """Soak for so long, and say what was seen."""
        with ExitStack() as stack:
            sink = self.cloud.sink_url
            steady = self._serve(stack, OTEL_EXPORTER_OTLP_ENDPOINT=sink)
            self.up = [steady]
            self._warm_up(steady)
            before = self._idle(steady)
            self._under_load(60 * minutes, steady, stack)
            self.faults.on = False
            after = self._idle(steady)
            self._end(steady)
        return self._seen(before, after)

    def _warm_up(self, steady: Server) -> None:
        """Have as many threads made as there can be at a time, and every kind of event seen.

        The function keeps the threads that look for servers: as many are held back as all of its requests
        can look for.
        """
        wide = [self.events.wide(CONCURRENCY) for _ in range(THREADS)]
        held_back = [self.faults.hold_back(server_id) for _, ids in wide for server_id in ids]
        senders = [
            threading.Thread(target=self.load.carry_through, args=(event, steady.served.url))
            for event, _ in wide
        ]
        for sender in senders:
            sender.start()
        for one in held_back:
            one.asked.wait(30)
        for one in held_back:
            one.let_go.set()
        for sender in senders:
            sender.join()
        for kind in self.events.kinds:
            self.load.carry_through(self.events.made(kind))

    def _idle(self, steady: Server) -> Held:
        time.sleep(IDLE)
        return self._held(steady)

    def _under_load(self, seconds: float, steady: Server, stack: ExitStack) -> None:
        began = time.monotonic()
        rotates, restarts, samples = Every(ROTATES), Every(RESTARTS, at_once=True), Every(SAMPLES)
        second: Server | None = None
        self.load.start()
        while time.monotonic() - began < seconds:
            if restarts.due():
                if second is not None:
                    self._end(second)
                second = self._serve(stack)
                self.up = [steady, second]
                self._check()
            if rotates.due():
                self.rotate()
            if samples.due():
                self.samples.append(Sample(time.monotonic() - began, self._held(steady).memory))
            time.sleep(0.1)
        if second is not None:
            self._end(second)
        self.load.stop()

    def _seen(self, before: Held, after: Held) -> Seen:
        lines = Lines()
        for log in self.logs:
            with log.open(encoding="utf-8") as text:
                lines.read(text, SECRET)
        load = self.load
        return Seen(
            sent=load.sent,
            settled=load.settled,
            kinds=self.events.kinds,
            lost=load.lost,
            unanswered=load.unanswered,
            lives=self.lives,
            samples=self.samples,
            idle_before=before,
            idle_after=after,
            changes=self.changes,
            lines=lines,
            faults=sum(self.faults.served.values()),
            asked=self.faults.asked,
            secrets=self.secrets,
        )
