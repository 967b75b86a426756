"""A sweep of a large project: how long it takes against what the cloud's answers alone take, and its memory.

``python -m tests.bench.sweeping`` does one sweep by its environment, and prints its seconds and its peak.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
import urllib.request
from dataclasses import dataclass

from tests.bench.processes import first_line, peak, program, run

LATENCY = 0.02
"""Seconds that each answer of the embedded cloud takes."""

CONCURRENCY = 8


@dataclass(frozen=True)
class Swept:
    """One sweep: its seconds, the calls that the cloud counted, and the peak in bytes."""

    seconds: float
    calls: int
    peak: int

    @property
    def ideal(self) -> float:
        """The seconds that the calls would take if nothing else took any."""
        return self.calls * LATENCY / CONCURRENCY


def measure(volumes: int, orphans: int, projects: int = 1) -> Swept:
    """Sweep a project of so many volumes and as many servers, in a process of its own.

    With several projects these are spread over them, and swept as one whole cloud.
    """
    words = ["--volumes", str(volumes), "--servers", str(volumes), "--orphans", str(orphans)]
    words += ["--projects", str(projects)]
    with program("-m", "tests.embedded_cloud", *words, "--latency", str(LATENCY)) as cloud:
        said = json.loads(first_line(cloud))
        settings = {
            **said["environment"],
            "DETACH_TOKEN_SECRET": "env:BENCH_TOKEN",
            "BENCH_TOKEN": said["token"] if projects == 1 else said["admin_token"],
            "DETACH_SCOPE": "project" if projects == 1 else "cloud",
            "DETACH_TIMEOUT": "300",
            "DETACH_CONCURRENCY": str(CONCURRENCY),
            "DETACH_SWEEP_DRY_RUN": "false",
            "DETACH_SWEEP_LIMIT": str(orphans),
        }
        done = json.loads(run(["-m", "tests.bench.sweeping"], settings))
        with urllib.request.urlopen(f"{said['admin']}/calls", timeout=60) as answer:
            calls = json.load(answer)
    if done["summary"] != {"detached": orphans}:
        raise RuntimeError(f"not swept: {done}")
    return Swept(done["seconds"], calls["total"], done["peak"])


def main() -> None:
    from handler.invocation import Invocation, Trigger  # noqa: PLC0415
    from handler.model.request import Sweep, SweepBounds  # noqa: PLC0415
    from handler.model.result import ManyResult  # noqa: PLC0415
    from handler.runtime import Runtime  # noqa: PLC0415

    runtime = Runtime(os.environ, network=False)
    started = time.perf_counter()
    # Our log goes to standard output, as deployed; here nobody reads it
    with open(os.devnull, "w", encoding="utf-8") as nobody, contextlib.redirect_stdout(nobody):  # noqa: PTH123
        result = runtime.carry_out([Sweep(sweep=SweepBounds())], Invocation(Trigger.TIMER, "bench"))
    seconds = time.perf_counter() - started
    if not isinstance(result, ManyResult) or result.error is not None:
        raise RuntimeError(f"not swept: {result.error}")
    print(json.dumps({"seconds": seconds, "peak": peak(), "summary": result.summary}))


if __name__ == "__main__":
    main()
