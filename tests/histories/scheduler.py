"""Who runs next, and what time it is: a seed decides both, so that a history can be had again.

Every task has a thread, but only one of them runs, the one that holds the baton. It passes it on where the
function would wait: at a call, in a sleep, for a lock, for a future.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from random import Random

Condition = Callable[[], bool]

_BEGINNING = 1_800_000_000.0  # seconds since the epoch
_BOOTED = 1_000.0  # what the monotonic clock says then
_TICK = 0.02  # seconds at most that a step takes
_MOST_STEPS = 200_000


class Killed(BaseException):
    """The process of this task is no more."""


class Endless(Exception):
    """Nobody can go on, or somebody goes on for ever."""


class Task:
    """A thread. `owner` is its process, `about` what it works at; both are handed down."""

    def __init__(self, work: Callable[[], None], owner: object, about: object) -> None:
        self.work = work
        self.owner = owner
        self.about = about
        self.wakes_at = 0.0
        self.condition: Condition | None = None
        self.killed = False
        self.baton = threading.Lock()
        self.baton.acquire()


class Scheduler:
    """Runs the tasks of one history."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.now = _BEGINNING
        self.steps = 0
        self._tasks: list[Task] = []
        self._current: Task | None = None
        self._failure: BaseException | None = None
        self._over = threading.Lock()

    # The clocks, as the function sees them.

    def time(self) -> float:
        return self.now

    def monotonic(self) -> float:
        return self.now - _BEGINNING + _BOOTED

    def sleep(self, seconds: float) -> None:
        self.pause(self.now + max(0.0, seconds))

    # The tasks.

    @property
    def current(self) -> Task:
        if self._current is None:
            raise Endless("no task runs")
        return self._current

    def spawn(self, work: Callable[[], None], owner: object = None, about: object = None) -> Task:
        """Begin a task, of the process and about what the one that runs is, unless said otherwise."""
        running = self._current
        if running is not None:
            owner = running.owner if owner is None else owner
            about = running.about if about is None else about
        task = Task(work, owner, about)
        task.killed = running is not None and running.killed and owner is running.owner
        self._tasks.append(task)
        _launch(self, task)
        return task

    def run(self) -> None:
        """Run until every task has ended. Raises what one of them died of."""
        self._over.acquire()
        self._pass_on()
        self._over.acquire()
        self._over.release()
        if self._failure is not None:
            raise self._failure

    def kill(self, owner: object) -> None:
        """End a process at whatever its threads have come to."""
        for task in self._tasks:
            task.killed = task.killed or task.owner is owner

    def pause(self, until: float = 0.0) -> None:
        """Let others run, until a moment has come or at least for this choice."""
        task = self.current
        task.wakes_at = until
        self._yield(task)

    def wait(self, condition: Condition, seconds: float | None = None) -> bool:
        """Wait until it holds, or for so many seconds; whether it holds."""
        until = float("inf") if seconds is None else self.now + seconds
        task = self.current
        while not condition():
            if self.now >= until:
                return False
            task.condition, task.wakes_at = condition, until
            try:
                self._yield(task)
            finally:
                task.condition = None
        return True

    def _yield(self, task: Task) -> None:
        if task.killed:
            raise Killed
        chosen = self._choose()
        if chosen is not task:
            self._current = chosen
            chosen.baton.release()
            task.baton.acquire()
        if task.killed:
            raise Killed

    def _choose(self) -> Task:
        self.steps += 1
        self.now += self.random.random() * _TICK
        if self.steps > _MOST_STEPS:
            self._give_up(Endless(f"{self.steps} steps"))
        ready = self._ready()
        if not ready:
            self.now = max(self.now, min(task.wakes_at for task in self._tasks))
            if self.now == float("inf"):
                self._give_up(Endless("everybody waits for somebody"))
            ready = self._ready()
        return ready[0] if len(ready) == 1 else ready[int(self.random.random() * len(ready))]

    def _ready(self) -> list[Task]:
        now = self.now
        return [
            task
            for task in self._tasks
            if task.wakes_at <= now or task.killed or (task.condition is not None and task.condition())
        ]

    def _give_up(self, failure: BaseException) -> None:
        self._failure = self._failure or failure
        self.now = min(self.now, _BEGINNING + 1e9)
        for task in self._tasks:
            task.killed = True

    def _pass_on(self) -> None:
        """Hand the baton on for good."""
        if self._tasks:
            self._current = chosen = self._choose()
            chosen.baton.release()
        else:
            self._current = None
            self._over.release()

    def perform(self, task: Task, ended: Callable[[], None]) -> None:
        """Be a task's thread from its first turn to its end. `ended` is told before others go on."""
        task.baton.acquire()
        try:
            if not task.killed:
                task.work()
        except Killed:
            pass
        except BaseException as failure:  # noqa: BLE001 (it comes out of run)
            self._give_up(failure)
        self._tasks.remove(task)
        ended()
        self._pass_on()


class Lock:
    """threading.Lock under a scheduler, or RLock, which its holder may take `again`."""

    def __init__(self, scheduler: Scheduler, *, again: bool = False) -> None:
        self._scheduler = scheduler
        self._again = again
        self._holder: Task | None = None
        self._times = 0

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        task = self._scheduler.current
        if not (self._again and self._holder is task):
            if self._holder is not None and not blocking:
                return False
            if not self._scheduler.wait(lambda: self._holder is None, None if timeout < 0 else timeout):
                return False
        self._holder = task
        self._times += 1
        return True

    def release(self) -> None:
        self._times -= 1
        if not self._times:
            self._holder = None

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()


class _Worker(threading.Thread):
    """A thread that is used again: to start one takes longer than most tasks."""

    idle: list[_Worker] = []  # noqa: RUF012 (shared by all schedulers of this process)

    def __init__(self) -> None:
        super().__init__(name="task", daemon=True)
        self.job: tuple[Scheduler, Task] | None = None
        self.called = threading.Lock()
        self.called.acquire()
        self.start()

    def run(self) -> None:
        while True:
            self.called.acquire()
            if self.job is None:
                return
            scheduler, task = self.job
            self.job = None
            scheduler.perform(task, self._rest)
            del scheduler, task

    def _rest(self) -> None:
        _Worker.idle.append(self)


os.register_at_fork(after_in_child=_Worker.idle.clear)  # a fork takes only its own thread along


def _launch(scheduler: Scheduler, task: Task) -> None:
    worker = _Worker.idle.pop() if _Worker.idle else _Worker()
    worker.job = scheduler, task
    worker.called.release()
