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
from pathlib import Path

from tests.bench import large_cloud
from tests.bench.deployment import settings
from tests.bench.processes import ROOT, first_line, peak, program, run, undisturbed

LATENCY = 0.02
"""Seconds that each answer of the cloud takes."""

SLOW = 0.1
"""Seconds of a page of volumes, which Cinder makes of far more than Nova a page of servers."""

CONCURRENCY = 8
IN_A_ROW = 3
"""Answers that one candidate waits for, one after the other: its proof, the one call, the look after."""

GROWTH = ROOT / "build" / "bench" / "sweep-growth.json"
"""Where the growth is written: a list of what `Swept.point` gives."""

_MIB = 1024 * 1024


@dataclass(frozen=True)
class Swept:
    """One sweep: its seconds, the calls that the cloud counted, and the peak in bytes.

    `chain` is how many of the calls have to wait for each other: the pages of the list of servers, which is
    read by marker.
    """

    volumes: int
    orphans: int
    seconds: float
    calls: int
    chain: int
    peak: int

    @property
    def ideal(self) -> float:
        """The seconds if nothing but the cloud took any: the list of volumes is read beside the other."""
        return (self.chain + IN_A_ROW * -(-self.orphans // CONCURRENCY)) * LATENCY

    @property
    def point(self) -> dict[str, float]:
        """What a plot of the growth shows of it."""
        return {
            "volumes": self.volumes,
            "seconds": round(self.seconds, 3),
            "ideal_seconds": round(self.ideal, 3),
            "peak_mib": round(self.peak / _MIB, 1),
        }


def measure(volumes: int, orphans: int, volumes_late: float = LATENCY) -> Swept:
    """Sweep a project of so many volumes and as many servers, in a process of its own.

    `volumes_late` are the seconds that each page of volumes takes.
    """
    words = ["--volumes", str(volumes), "--orphans", str(orphans), "--late", str(LATENCY)]
    words += ["--volumes-late", str(volumes_late)]
    with program("-m", "tests.bench.large_cloud", *words) as cloud:
        url = f"http://127.0.0.1:{first_line(cloud)}"
        done = _swept(settings(url), orphans)
        calls = _counted(f"{url}/{large_cloud.CALLS}")
    return _measured(volumes, orphans, done, sum(calls.values()), calls["servers"])


def measure_refused(volumes: int) -> int:
    """The peak in bytes where all of so many volumes look orphaned: the list of servers is not trusted."""
    with program(
        "-m", "tests.bench.large_cloud", "--volumes", str(volumes), "--orphans", str(volumes)
    ) as cloud:
        done = _sweep(settings(f"http://127.0.0.1:{first_line(cloud)}"), volumes)
    if done["refused"] != 1:
        raise RuntimeError(f"not refused: {done}")
    return round(done["peak"])


def measure_projects(volumes: int, orphans: int, projects: int) -> Swept:
    """The same at the embedded cloud, which knows of projects: several are swept as one whole cloud."""
    words = ["--volumes", str(volumes), "--servers", str(volumes), "--orphans", str(orphans)]
    words += ["--projects", str(projects)]
    with program("-m", "tests.embedded_cloud", *words, "--latency", str(LATENCY)) as cloud:
        said = json.loads(first_line(cloud))
        deployed = {
            **said["environment"],
            "DETACH_TOKEN_SECRET": "env:BENCH_TOKEN",
            "BENCH_TOKEN": said["token"] if projects == 1 else said["admin_token"],
            "DETACH_SCOPE": "project" if projects == 1 else "cloud",
        }
        done = _swept(deployed, orphans)
        calls = _counted(f"{said['admin']}/calls")["total"]
    return _measured(volumes, orphans, done, calls, volumes // large_cloud.PAGE + 1)


def _measured(volumes: int, orphans: int, done: dict[str, float], calls: int, chain: int) -> Swept:
    return Swept(volumes, orphans, done["seconds"], calls, chain, round(done["peak"]))


def write_growth(points: list[Swept]) -> Path:
    """Write what a plot shows."""
    GROWTH.parent.mkdir(parents=True, exist_ok=True)
    GROWTH.write_text(json.dumps([one.point for one in points], indent=1) + "\n", encoding="utf-8")
    return GROWTH


def _swept(deployed: dict[str, str], orphans: int) -> dict[str, float]:
    done = _sweep(deployed, orphans)
    if done["refused"] or done["cleared"] != orphans:
        raise RuntimeError(f"not swept: {done}")
    return done


def _sweep(deployed: dict[str, str], limit: int) -> dict[str, float]:
    bounds = {
        "DETACH_TIMEOUT": "600",
        "DETACH_CONCURRENCY": str(CONCURRENCY),
        "DETACH_SWEEP_DRY_RUN": "false",
        "DETACH_SWEEP_LIMIT": str(limit),
    }
    done: dict[str, float] = json.loads(run(["-m", "tests.bench.sweeping"], {**deployed, **bounds}))
    return done


def _counted(url: str) -> dict[str, int]:
    with urllib.request.urlopen(url, timeout=60) as answer:
        counted: dict[str, int] = json.load(answer)
    return counted


def main() -> None:
    from handler.errors import ErrorCode  # noqa: PLC0415
    from handler.invocation import Invocation, Trigger  # noqa: PLC0415
    from handler.model.request import Sweep, SweepBounds  # noqa: PLC0415
    from handler.model.result import ManyResult  # noqa: PLC0415
    from handler.runtime import Runtime  # noqa: PLC0415

    undisturbed()
    runtime = Runtime(os.environ, network=False)
    started = time.perf_counter()
    # Our log goes to standard output, as deployed; here nobody reads it
    with open(os.devnull, "w", encoding="utf-8") as nobody, contextlib.redirect_stdout(nobody):  # noqa: PTH123
        result = runtime.carry_out([Sweep(sweep=SweepBounds())], Invocation(Trigger.TIMER, "bench"))
    seconds = time.perf_counter() - started
    if not isinstance(result, ManyResult) or (
        result.error is not None and result.error.code is not ErrorCode.SWEEP_REFUSED
    ):
        raise RuntimeError(f"not swept: {result.error}")
    cleared, refused = result.summary.get("detached", 0), int(result.error is not None)
    print(json.dumps({"seconds": seconds, "peak": peak(), "cleared": cleared, "refused": refused}))


if __name__ == "__main__":
    main()
