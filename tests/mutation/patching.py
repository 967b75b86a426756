"""A mutant put in the place of what was imported, in this process.

Tests and modules hold references to functions and classes, so these stay the objects that they are: a
function gets other code. A table is replaced wherever it is known by its name.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import import_module
from types import CodeType, FunctionType
from typing import Any

from tests.mutation.operators import Mutant

_PLAIN = (frozenset, tuple, dict, list, str, float, int)


def put_in_place(mutant: Mutant, source: str) -> None:
    """Let the imported module be the mutated one from here on. There is no way back: fork before."""
    module = import_module(mutant.module)  # some are imported only where they are switched on
    text = mutant.applied(source)
    compiled = compile(text, module.__file__ or "", "exec", dont_inherit=True)
    if mutant.operator == "element":
        _replace_tables(mutant.module, vars(module), _run(compiled, mutant.module))
        return
    *above, name = mutant.name.split(".")
    holder: Any = module
    for part in above:
        holder = getattr(holder, part)
    if mutant.operator == "decorator":
        changed: Any = _run(compiled, mutant.module)[above[0]]
        for part in above[1:]:
            changed = getattr(changed, part)
        setattr(holder, name, vars(changed)[name])
        return
    function = _function(vars(holder)[name])
    for part in mutant.name.split("."):
        compiled = _inside(compiled, part)
    if compiled.co_freevars == function.__code__.co_freevars:
        function.__code__ = compiled
    else:  # the change took its only super() away
        setattr(holder, name, _without_cells(function, compiled))


def _run(compiled: CodeType, name: str) -> dict[str, Any]:
    names: dict[str, Any] = {"__name__": name}
    exec(compiled, names)  # noqa: S102 (our own source)
    return names


def _replace_tables(name: str, old: dict[str, Any], new: dict[str, Any]) -> None:
    changed = {
        key: value
        for key, value in old.items()
        if not key.startswith("__") and isinstance(value, _PLAIN) and new[key] != value
    }
    if not changed:
        raise ValueError(f"nothing changed in {name}")
    for module in [*sys.modules.values()]:
        for key, value in changed.items():
            if getattr(module, "__dict__", {}).get(key) is value:
                setattr(module, key, new[key])


def _without_cells(function: FunctionType, code: CodeType) -> FunctionType:
    cells = dict(zip(function.__code__.co_freevars, function.__closure__ or (), strict=True))
    made = FunctionType(
        code,
        function.__globals__,
        function.__name__,
        function.__defaults__,
        tuple(cells[name] for name in code.co_freevars),
    )
    made.__kwdefaults__ = function.__kwdefaults__
    return made


def _function(found: Any) -> FunctionType:
    """The function inside whatever decorators made of it."""
    while not isinstance(found, FunctionType) or hasattr(found, "__wrapped__"):
        for inner in ("__wrapped__", "__func__", "fget", "func"):
            if hasattr(found, inner):
                found = getattr(found, inner)
                break
        else:
            raise TypeError(f"no function: {found!r}")
    return found


def _inside(code: CodeType, name: str) -> CodeType:
    parts: Iterator[CodeType] = (
        part for part in code.co_consts if isinstance(part, CodeType) and part.co_name == name
    )
    return next(parts)
