"""The function as it is deployed for the benches: against the stub, with a token of a real one's length."""

from __future__ import annotations

from tests.bench.stub import PROJECT

TOKEN = "gAAAAABbench" + "x" * 170
CALLERS_KEY = "bench-callers-key"


def settings(url: str) -> dict[str, str]:
    """Its environment. `url` is the stub's."""
    return {
        "DETACH_PROJECT_ID": PROJECT,
        "DETACH_VOLUME_ENDPOINT": f"{url}/volume/v3",
        "DETACH_COMPUTE_ENDPOINT": f"{url}/compute/v2.1",
        "DETACH_TRUST_ENDPOINTS": "true",  # a bare token has no catalog, and the stub no list of servers
        "DETACH_TOKEN_SECRET": "env:BENCH_TOKEN",
        "DETACH_INVOKE_SECRET": "env:BENCH_CALLERS_KEY",
        "BENCH_TOKEN": TOKEN,
        "BENCH_CALLERS_KEY": CALLERS_KEY,
    }
