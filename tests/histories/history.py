"""One history: a deployment, its cloud, and all that happens to both, from a seed alone."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass, field
from random import Random

from handler.invocation import Invocation, Trigger
from handler.model.request import Sweep, SweepBounds, Work
from handler.model.result import Handled
from handler.runtime import Runtime
from handler.triggers.reply import settle
from tests.histories.account import Account, Visit
from tests.histories.others import Others
from tests.histories.scene import Scene
from tests.histories.scheduler import Killed, Scheduler
from tests.histories.seams import replaced
from tests.histories.truth import look_at, record_of
from tests.histories.wire import Wire

_MOST_DELIVERIES = 12
_ROUNDS = 6  # sweeps, once nothing goes wrong any more

_LOGGER = logging.getLogger("evs_detach")


class Process:
    """One of our instances. What it keeps warm is lost when it is killed."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.environment = environment
        self.runtime: Runtime | None = None

    def warm(self, log: logging.Handler) -> Runtime:
        if self.runtime is None:
            self.runtime = Runtime(self.environment)
            _LOGGER.handlers[:] = [log]
            _LOGGER.setLevel(logging.WARNING)
        return self.runtime


@dataclass(eq=False)
class Event:
    """Something to be done, delivered until it is settled."""

    work: Work
    deliveries: int = 0
    settled: bool = False


@dataclass
class Story:
    """What became of a history: what was wrong (nothing), and how much of it there was."""

    seed: int
    wrong: list[str] = field(default_factory=list)
    visits: int = 0
    calls: int = 0
    kills: int = 0
    cleared: int = 0
    steps: int = 0
    digest: str = ""


class _Log(logging.Handler):
    """Keeps each invocation's lines about changes. What a killed process would have written is not kept."""

    def __init__(self, scheduler: Scheduler) -> None:
        super().__init__()
        self._scheduler = scheduler

    def emit(self, record: logging.LogRecord) -> None:
        task = self._scheduler.current
        if isinstance(task.about, Visit) and not task.killed:
            task.about.logged.append((str(record.msg), record.__dict__["fields"]))

    def createLock(self) -> None:  # noqa: N802 (logging's name)
        """One task runs at a time."""
        self.lock = None


class History:
    """Plays what comes of a scene."""

    def __init__(self, seed: int, *, live: bool = False) -> None:
        self.story = Story(seed)
        self.live = live
        self.random = Random(seed)
        self.scheduler = Scheduler(self.random)
        self.log = _Log(self.scheduler)
        self.quiet = False

    def play(self) -> Story:
        """Play it to its end."""
        handlers, level, propagate = _LOGGER.handlers[:], _LOGGER.level, _LOGGER.propagate
        self.wire = Wire(self.scheduler, self.random)
        try:
            with replaced(self.scheduler, self.wire.connections, self.story.seed):
                self._set_up()
                self.scheduler.spawn(self._go, owner="the deliveries")
                self.scheduler.run()
        finally:
            _LOGGER.handlers[:], _LOGGER.propagate = handlers, propagate
            _LOGGER.setLevel(level)
        story, trace = self.story, self.wire.trace
        story.wrong = list(dict.fromkeys(self.account.wrong))
        story.visits, story.cleared = len(self.account.visits), self.account.cleared
        story.calls, story.steps = len(trace), self.scheduler.steps
        story.digest = hashlib.sha256("\n".join([*trace, *story.wrong]).encode()).hexdigest()[:16]
        return story

    def _set_up(self) -> None:
        self.scene = scene = Scene(self.random, self.scheduler, live=self.live)
        self.cloud, self.terms = scene.cloud, scene.terms
        self.account = Account(scene.cloud, scene.terms)
        self.wire.lead_to(scene.cloud, self.account)
        self.wire.rate = self.random.choice([0.0, 0.03, 0.1, 0.2])
        self.others = Others(scene.cloud, self.random, scene.kept)
        self.events = [Event(work) for work in scene.works]
        self.processes = [Process(scene.environment) for _ in range(self.random.randint(1, 3))]

    def _go(self) -> None:
        self.scheduler.spawn(self._disturb, owner="the others")
        while True:
            open_ = [event for event in self.events if not event.settled]
            tired = all(event.deliveries >= _MOST_DELIVERIES for event in open_)
            if not open_ or tired:
                break
            event = self.random.choice(open_)
            if self.random.random() < 0.15:  # at least once may be twice
                event = self.random.choice(self.events)
            delivery = self._deliver(event, self.random.choice(self.processes))
            if self.random.random() < 0.5:
                self.scheduler.wait(delivery.ended, 60)
            else:
                self.scheduler.sleep(self.random.random() * 2)
        self.scheduler.wait(lambda: self.quiet, 3600)
        self._finish()

    def _deliver(self, event: Event, process: Process) -> Delivery:
        event.deliveries += 1
        visit = self.account.begin(event.work, process)
        delivery = Delivery(event, process)
        self.scheduler.spawn(lambda: self._carry_out(visit, delivery), owner=process, about=visit)
        return delivery

    def _carry_out(self, visit: Visit, delivery: Delivery) -> None:
        try:
            runtime = delivery.process.warm(self.log)
            invocation = Invocation(Trigger.CLOUDEVENT, f"visit-{len(self.account.visits)}")
            result = runtime.carry_out([visit.work], invocation)
        except Killed:
            delivery.over = True
            raise
        except Exception as bug:  # noqa: BLE001 (the last net catches it, too)
            self.account.wrong.append(f"a bug: {bug!r}")
            delivery.over = delivery.event.settled = True
            return
        answered = settle(Handled(result, [visit.work])).cloudevent
        self.wire.trace.append(f"{visit.work} -> {answered} {result.error}")
        self.account.end(visit, result, settled=answered != 503)
        delivery.event.settled = delivery.event.settled or answered != 503
        delivery.over = True

    def _disturb(self) -> None:
        """Let the others do what they do, processes die, tokens expire, secrets be replaced, time pass."""
        for _ in range(self.random.randint(0, 25)):
            self.scheduler.pause(self.scheduler.now + self.random.choice([0.0, 0.0, 0.02, 0.1, 1.0]))
            dice = self.random.random()
            if dice < 0.08:
                self._kill()
            elif dice < 0.12:
                self.scene.expire_tokens()
            elif dice < 0.17:
                self.scene.swap_secret()
            elif dice < 0.2:
                self.scheduler.sleep(self.random.choice([30.0, 400.0, 4000.0]))
            else:
                self.others.act()
        self.quiet = True

    def _kill(self) -> None:
        process = self.random.choice(self.processes)
        self.processes.remove(process)
        self.processes.append(Process(self.scene.environment))
        self.scheduler.kill(process)
        self.story.kills += 1

    # Once nothing goes wrong any more.

    def _finish(self) -> None:
        """Deliver what is not settled, then sweep: no orphan may be left."""
        self.scheduler.sleep(120)
        self.wire.rate = 0.0
        self.cloud.page_cap = self.cloud.page_cap and 3
        for host in self.cloud.world.hosts.values():
            host.state = "up"
        self.scheduler.sleep(2 * 86400)
        self.scene.swap_secret()
        self.cloud.world.settle()
        fresh = Process(self.scene.environment)
        for event in self.events:
            for _ in range(_MOST_DELIVERIES):
                if event.settled:
                    break
                delivery = self._deliver(event, fresh)
                self.scheduler.wait(delivery.ended)
                self.scheduler.sleep(3600)
        bounds = SweepBounds(recover=self.terms.recover)
        for _ in range(_ROUNDS):
            before = self.account.cleared
            delivery = self._deliver(Event(Sweep(sweep=bounds)), fresh)
            self.scheduler.wait(delivery.ended)
            self.scheduler.sleep(3600)
            if self.account.cleared == before:
                break
        self._judge_what_is_left()

    def _judge_what_is_left(self) -> None:
        cloud = self.cloud
        cloud.world.settle()
        if self.terms.apart:
            return
        for volume in cloud.world.volumes.values():
            record = record_of(volume)
            if record is None or record.status != "in-use" or record.project_id != cloud.project_id:
                continue
            for entry in volume.attachments:
                look = look_at(cloud, entry.server_id or "")
                gone = not look.exists and self.terms.frees(look, volume.id)
                if entry.status == "attached" and entry.server_id and gone:
                    self.account.wrong.append(f"an orphan is left: {entry.attachment_id} of {volume.id}")


class Delivery:
    """One delivery of an event to a process."""

    def __init__(self, event: Event, process: Process) -> None:
        self.event = event
        self.process = process
        self.over = False

    def ended(self) -> bool:
        return self.over


def play(seed: int, *, live: bool = False) -> Story:
    """Play the history of a seed; `live`: of events that ask for live servers' disks alone."""
    return History(seed, live=live).play()
