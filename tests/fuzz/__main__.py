"""Serve the function against the embedded cloud and have schemathesis try it; its exit code.

The seed is fixed and the time bounded. The stateful phase is left out: the description has no link to follow,
since no answer is needed to ask again.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.embedded_cloud import Cloud
from tests.unit.deployment import KEY
from tests.unit.serving.conftest import serving

HERE = Path(__file__).resolve().parent
SEED = 20261128
SECONDS = 240
"""At most; what is generated usually takes far less."""


def main() -> int:
    """Try all that the description promises."""
    with Cloud() as cloud, tempfile.TemporaryDirectory(prefix="evs-detach-") as folder:
        cloud.seed()
        with serving(cloud, Path(folder), DETACH_WEBHOOK_ORIGINS="sender.example") as served:
            command = [str(Path(sys.executable).with_name("schemathesis"))]
            command += ["--config-file", str(HERE / "schemathesis.toml"), "run", f"{served.url}/openapi.json"]
            command += ["--seed", str(SEED), *sys.argv[1:]]
            done = subprocess.run(
                command,
                cwd=folder,
                env={
                    **os.environ,
                    "CALLERS_KEY": KEY,
                    "SCHEMATHESIS_HOOKS": "tests.fuzz.hooks",
                    "PYTHONPATH": str(HERE.parents[1]),
                },
                check=False,
                timeout=SECONDS,
            )
            return done.returncode


if __name__ == "__main__":
    sys.exit(main())
