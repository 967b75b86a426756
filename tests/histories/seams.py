"""The function's clocks, locks, pools and connections, replaced by those of a history for as long as it runs.

Whatever name a module of the function knows them by, defaults of parameters included: no list of places has
to be kept. A module that begins to use another one fails `test_nothing_real_is_left`.
"""

from __future__ import annotations

import concurrent.futures
import importlib
import pkgutil
import random
import threading
import time
import types
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, partial
from typing import Any

import handler
from handler.cloud.connection import BoundedAdapter
from tests.histories.pools import Pool, wait
from tests.histories.scheduler import Lock, Scheduler

_NOT_PLAYED = (
    *("handler.terminal", "handler.serving", "handler.main", "handler.__main__", "handler.routes"),
    "handler.otel.",
)
"""Entry points, whose calls are played; and what is imported only where a collector is named."""

_DEEPER = frozenset({"handler.cloud.connection", "handler.cloud.dial", "handler.cloud.answer_reading"})
"""What is below the seam: sockets."""

Connections = Callable[..., Any]
"""Makes what stands for BoundedAdapter, given its arguments."""


class _Stand:
    """Stands for a module: some of its names are others'."""

    def __init__(self, module: types.ModuleType, **names: Any) -> None:
        self._module = module
        vars(self).update(names)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, name)


@cache
def played() -> tuple[types.ModuleType, ...]:
    """The modules of the function that histories run, all of them imported."""
    names = [found.name for found in pkgutil.walk_packages(handler.__path__, "handler.") if _is_played(found)]
    return tuple(importlib.import_module(name) for name in names)


def _is_played(found: pkgutil.ModuleInfo) -> bool:
    return not found.name.startswith(_NOT_PLAYED) and found.name not in _DEEPER


def _stands(scheduler: Scheduler, connections: Connections) -> dict[int, Any]:
    """By the identity of what is real, what stands for it."""
    futures = concurrent.futures
    lock, again = partial(Lock, scheduler), partial(Lock, scheduler, again=True)
    return {
        id(time.time): scheduler.time,
        id(time.monotonic): scheduler.monotonic,
        id(time.sleep): scheduler.sleep,
        id(time): _Stand(time, time=scheduler.time, monotonic=scheduler.monotonic, sleep=scheduler.sleep),
        id(threading): _Stand(threading, Lock=lock, RLock=again),
        id(threading.Lock): lock,
        id(threading.RLock): again,
        id(futures.ThreadPoolExecutor): partial(Pool, scheduler),
        id(futures.wait): partial(wait, scheduler),
        id(BoundedAdapter): connections,
    }


@cache
def places() -> tuple[tuple[Any, str], ...]:
    """Where anything real stands: an object and the name of its attribute."""
    real = _stands(Scheduler(random.Random(0)), lambda: None).keys()
    return tuple(_found(real))


def _found(real: Any) -> Iterator[tuple[Any, str]]:
    for module in played():
        for name, value in [*vars(module).items()]:
            if id(value) in real:
                yield module, name
        for function in _functions(module):
            if any(id(value) in real for value in function.__defaults__ or ()):
                yield function, "__defaults__"
            if any(id(value) in real for value in (function.__kwdefaults__ or {}).values()):
                yield function, "__kwdefaults__"
            for cell in function.__closure__ or ():  # a dataclass keeps its factories there
                if id(cell.cell_contents) in real:
                    yield cell, "cell_contents"


def _functions(module: types.ModuleType) -> Iterator[types.FunctionType]:
    for value in [*vars(module).values()]:
        if getattr(value, "__module__", None) != module.__name__:
            continue
        members = [*vars(value).values()] if isinstance(value, type) else [value]
        for member in members:
            inner = getattr(member, "__func__", member)
            if isinstance(inner, types.FunctionType):
                yield inner


@contextmanager
def replaced(scheduler: Scheduler, connections: Connections, seed: int) -> Iterator[None]:
    """Play under this scheduler, over these connections; ids and jitter follow the seed."""
    stands = _stands(scheduler, connections)
    before = [(holder, name, getattr(holder, name)) for holder, name in places()]
    kept, make_id = random.getstate(), uuid.uuid4
    ids = random.Random(f"ids {seed}")
    try:
        random.seed(seed)
        uuid.uuid4 = lambda: uuid.UUID(int=ids.getrandbits(128), version=4)
        for holder, name, value in before:
            setattr(holder, name, _standing(value, stands))
        yield
    finally:
        for holder, name, value in before:
            setattr(holder, name, value)
        uuid.uuid4 = make_id
        random.setstate(kept)


def _standing(value: Any, stands: dict[int, Any]) -> Any:
    if isinstance(value, tuple):
        return tuple(stands.get(id(each), each) for each in value)
    if isinstance(value, dict):
        return {name: stands.get(id(each), each) for name, each in value.items()}
    return stands[id(value)]
