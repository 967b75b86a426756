"""concurrent.futures under a scheduler: as much of it as the function uses."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.histories.scheduler import Killed, Scheduler

if TYPE_CHECKING:
    from typing_extensions import Self


class Future:
    """concurrent.futures.Future."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._begun = False
        self._done = False
        self._cancelled = False
        self._result: Any = None
        self._error: BaseException | None = None

    def done(self) -> bool:
        return self._done

    def cancel(self) -> bool:
        self._cancelled = not self._begun
        return self._cancelled

    def result(self, timeout: float | None = None) -> Any:
        if not self._scheduler.wait(self.done, timeout):
            raise TimeoutError
        if self._error is not None:
            raise self._error
        return self._result

    def exception(self) -> BaseException | None:
        self._scheduler.wait(self.done)
        return self._error

    def perform(self, work: Callable[[], Any]) -> None:
        if not self._cancelled:
            self._begun = True
            try:
                self._result = work()
            except Killed:
                raise
            except BaseException as error:  # noqa: BLE001 (it is the result)
                self._error = error
        self._done = True


class Waited(NamedTuple):
    done: set[Future]
    not_done: set[Future]


class Pool:
    """concurrent.futures.ThreadPoolExecutor: at most so many at once, first come first served."""

    def __init__(self, scheduler: Scheduler, max_workers: int, _name: str = "") -> None:
        self._scheduler = scheduler
        self._most = max_workers
        self._queue: deque[tuple[Future, Callable[[], Any], object]] = deque()
        self._workers = 0

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Future:
        future = Future(self._scheduler)
        self._queue.append((future, lambda: function(*arguments), self._scheduler.current.about))
        if self._workers < self._most:
            self._workers += 1
            self._scheduler.spawn(self._work)
        return future

    def map(self, function: Callable[..., Any], *arguments: Iterable[Any]) -> Iterator[Any]:
        futures = [self.submit(function, *each) for each in zip(*arguments, strict=False)]
        return (future.result() for future in futures)

    def _work(self) -> None:
        try:
            while self._queue:
                # A thread that is kept works at whatever comes, for whoever asked for it
                future, work, self._scheduler.current.about = self._queue.popleft()
                future.perform(work)
        finally:
            self._workers -= 1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._scheduler.wait(lambda: not self._workers)


def wait(scheduler: Scheduler, futures: Iterable[Future], *, return_when: str) -> Waited:
    """concurrent.futures.wait, until the first is done."""
    if return_when != "FIRST_COMPLETED":
        raise NotImplementedError(return_when)
    asked = list(futures)
    scheduler.wait(lambda: any(future.done() for future in asked))
    done = {future for future in asked if future.done()}
    return Waited(done, set(asked) - done)
