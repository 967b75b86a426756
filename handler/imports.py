"""Imports that cost less: of a start, and of every later look for garbage."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def kept() -> Iterator[None]:
    """Import within this block what stays for the life of the process.

    Modules are made of very many objects, so imports keep the collector busy with what is no garbage: that is
    a tenth of a cold start. What is there at the end is left out of all later collections, too.
    """
    was_collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_collecting:
            gc.enable()
