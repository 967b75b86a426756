"""Many threads that begin together."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


def crowd(size: int, work: Callable[[int], object]) -> list[BaseException]:
    """Run the work in so many threads at once, each with its number; give what was raised."""
    start = threading.Barrier(size)
    raised: list[BaseException] = []

    def run(number: int) -> None:
        start.wait(timeout=30)
        try:
            work(number)
        except BaseException as error:  # noqa: BLE001 (handed to the test)
            raised.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert not any(thread.is_alive() for thread in threads)
    return raised


def until(holds: Callable[[], bool], seconds: float = 20) -> None:
    """Wait for something that other threads bring about."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.002)
