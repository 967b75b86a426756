"""Serve the function under a mixed load: `python -m tests.soak --minutes 60`. Ends with 1 where it is wrong.

Two servers at one cloud: one for all of the time, whose memory, threads and descriptors are looked at, and
one that is ended by SIGTERM and started anew each minute. Secrets are replaced all of the time.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections import Counter
from pathlib import Path

from tests.embedded_cloud import Cloud
from tests.soak import mutated
from tests.soak.judge import Seen, later_half, slope, wrong
from tests.soak.run import Soak

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "build" / "soak.jsonl"


def main() -> int:
    """Soak; see the module."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=2.0)
    parser.add_argument(
        "--mutated", action="store_true", help="have each fault of the function found instead"
    )
    asked = parser.parse_args()
    if asked.mutated:
        return max([not found(name, said, asked.minutes) for name, said in mutated.faults()])
    soak, seen = soaked(asked.minutes)
    _keep(seen)
    print(told(soak, seen))
    faults = wrong(seen)
    print("\n".join(faults) or "nothing is wrong")
    return bool(faults)


def soaked(minutes: float, fault: str | None = None) -> tuple[Soak, Seen]:
    """Make one soak; what was seen."""
    with Cloud() as cloud, tempfile.TemporaryDirectory(prefix="evs-detach-") as folder:
        soak = Soak(cloud, Path(folder), fault)
        return soak, soak.run(minutes)


def found(fault: str, said: str, minutes: float) -> bool:
    """Whether a soak of the function with a fault finds it, and says so."""
    _, seen = soaked(minutes, fault)
    about = [one for one in wrong(seen) if said in one]
    print(f"{fault}: {f'found: {about[0][:120]}' if about else 'NOT FOUND'}", flush=True)
    return bool(about)


def _keep(seen: Seen) -> None:
    SAMPLES.parent.mkdir(exist_ok=True)
    lines = [json.dumps({"seconds": round(at, 1), "mib": round(memory, 2)}) for at, memory in seen.samples]
    SAMPLES.write_text("\n".join([*lines, ""]), encoding="utf-8")


def told(soak: Soak, seen: Seen) -> str:
    """The figures."""
    events = "\n".join(f"{seen.sent[kind]:7} {kind}" for kind in seen.kinds)
    lives = ", ".join(f"{life.memory:.1f}" for life in seen.lives[:-1])
    in_flight = sum(life.in_flight for life in seen.lives)
    longest = max(life.took_to_end for life in seen.lives)
    before, after = seen.idle_before, seen.idle_after
    memory = [one.memory for one in seen.samples]
    return f"""{events}
{seen.sent.total():7} events in all, {seen.settled.total()} settled as they should be
{soak.checks:7} checks by the command
        answers: {_counted(soak.load.answers)}
{seen.asked:7} calls to the cloud, {seen.faults} answers bent: {_counted(soak.faults.served)}
{seen.secrets:7} secrets
{len(seen.lives):7} lives ended by SIGTERM, {in_flight} requests held in flight then, the longest end {longest:.1f} s
{len(seen.unanswered):7} deliveries without an answer, to servers that were ending
{seen.changes.total():7} changes reached the cloud; {seen.lines.changing.total()} lines before, {seen.lines.changed.total()} after
        log: {_counted(seen.lines.events)}
memory of one life: {memory[0]:.1f} MiB, half-way {memory[len(memory) // 2]:.1f}, at the end {memory[-1]:.1f}
        {slope(seen.samples):+.3f} MiB a minute over all, {slope(later_half(seen.samples)):+.3f} over the later half
        idle before {before.memory:.1f}, after {after.memory:.1f}; the other lives at their end: {lives}
idle: threads {before.threads}, after {after.threads}; descriptors {before.descriptors}, after {after.descriptors}
        connections to the cloud {before.kept}, after {after.kept}"""  # noqa: E501


def _counted(counter: Counter[str]) -> str:
    return ", ".join(f"{number} {name}" for name, number in sorted(counter.items()))


if __name__ == "__main__":
    sys.exit(main())
