"""A tenth of what the cloud answers is bent, and some answers are held back."""

from __future__ import annotations

import threading
from collections import Counter
from random import Random
from typing import Any

from tests.embedded_cloud import Call, Rule

PART = 0.1
"""Of the answers, so many have something wrong with them."""

_AT_MOST = 5.0
"""Seconds that an answer is held back: less than the function waits for one."""

FAULTS: dict[str, dict[str, Any]] = {
    "500": {"status": 500},
    "503": {"status": 503},
    "429": {"status": 429, "headers": {"Retry-After": "0"}},
    "503, and done all the same": {"status": 503, "act": True},
    "hung up before": {"drop": "before"},
    "hung up after": {"drop": "after"},
    "late": {"delay": 0.3},
    "slow": {"drip": 0.0005},
    "a proxy's page": {"status": 502, "body": "<html>a proxy</html>"},
    "a page for an answer": {"body": "<html>a proxy</html>"},
    "an interim answer": {"interim": (103,)},
    "more than one answer": {"stray": "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"},
}


_NOT_BY_COMPUTE = frozenset({"a page for an answer"})
"""From the compute service that is a refusal, `server_unknown`, which waits for a person."""


class HeldBack:
    """An answer that is given when it is let go: whether it was asked for, and whether it may be given."""

    def __init__(self) -> None:
        self.asked = threading.Event()
        self.let_go = threading.Event()


class Faults:
    """Stands in for the rules by which the cloud misbehaves."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._lock = threading.Lock()
        self._held_back: dict[str, HeldBack] = {}
        self.served: Counter[str] = Counter()
        self.asked = 0
        self.on = True

    def hold_back(self, id_: str) -> HeldBack:
        """Hold back the next answer about a volume or a server; no other about it is bent."""
        held_back = self._held_back[id_] = HeldBack()
        return held_back

    def take(self, call: Call) -> Rule | None:
        """See Misbehaviour."""
        for id_, held_back in list(self._held_back.items()):
            if id_ in call.path:
                if not held_back.asked.is_set():
                    held_back.asked.set()
                    held_back.let_go.wait(_AT_MOST)
                return None
        with self._lock:
            self.asked += 1
            if not self.on or self._random.random() >= PART:
                return None
            names = FAULTS.keys() - (_NOT_BY_COMPUTE if call.service == "compute" else ())
            name = self._random.choice(sorted(names))
            self.served[name] += 1
        return Rule(**FAULTS[name])

    def clear(self) -> None:
        """Nothing is kept."""
