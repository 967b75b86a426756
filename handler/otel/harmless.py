"""What measures never stands in the way of what is measured."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from handler.telemetry import Event, Log

_P = ParamSpec("_P")
_T = TypeVar("_T")
_said: set[str] = set()


def harmless(instead: _T) -> Callable[[Callable[_P, _T]], Callable[_P, _T]]:
    """Have what is raised logged, once for each kind, and this returned instead."""

    def decorate(function: Callable[_P, _T]) -> Callable[_P, _T]:
        @wraps(function)
        def guarded(*args: _P.args, **kwargs: _P.kwargs) -> _T:
            try:
                return function(*args, **kwargs)
            except Exception as fault:  # noqa: BLE001 (nothing that is measured is worth an answer)
                where = f"{type(fault).__name__} in {function.__qualname__}"
                if where not in _said:
                    _said.add(where)
                    Log().warning(Event.EXPORT_FAILED, signal="all", error=where)
                return instead

        return guarded

    return decorate
