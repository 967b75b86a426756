"""The whole of it: 200 callers at once, of all kinds and of each kind alone, a minute each time."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from tests.abuse import callers
from tests.embedded_cloud import Cloud
from tests.unit.serving.conftest import serving

CALLERS = 200
WITHIN = 5.0  # seconds


def main() -> int:
    """Abuse a server; 0 when `/healthz` was answered in time each time."""
    parser = argparse.ArgumentParser(prog="python -m tests.abuse", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="how long each round takes")
    options = parser.parse_args()
    rounds = [callers.HOLDERS, *((holder,) for holder in callers.HOLDERS)]
    failed = False
    with Cloud() as cloud, tempfile.TemporaryDirectory(prefix="evs-detach-") as folder:
        cloud.seed()
        with serving(cloud, Path(folder)) as served:
            for holders in rounds:
                callers.HOLDERS = tuple(holders)
                seen = asyncio.run(
                    callers.abuse(served.port, callers=CALLERS, seconds=options.seconds, within=WITHIN)
                )
                kinds = "all kinds" if len(holders) > 1 else (holders[0].__doc__ or "").strip(".\n").lower()
                print(
                    f"{CALLERS} callers withhold {kinds}: {seen.connections} connections, "
                    f"{len(seen.took)} probes answered, the slowest in {seen.longest:.2f} s, "
                    f"{seen.unanswered} not within {WITHIN:g} s",
                    flush=True,
                )
                failed = failed or bool(seen.unanswered) or not seen.took
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
