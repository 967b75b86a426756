"""The most memory of one cold event, and of a sweep: of all processes, deployed as the templates do.

``python -m tests.bench.memory EVENT…`` has FunctionGraph's entry point carry out events, and prints its peak.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.bench.deployment import CALLERS_KEY, settings
from tests.bench.processes import first_line, peak, program, run
from tests.bench.serving import SIZE, await_served
from tests.bench.stub import stuck

ORPHANS = 8

SWEEP: dict[str, object] = {"sweep": {}}


def cold_event() -> dict[str, str]:
    """One target, with all its ids."""
    ids = stuck()
    return {"volume_id": ids.volume_id, "attachment_id": ids.attachment_id, "server_id": ids.server_id}


def served(volumes: int) -> dict[str, int]:
    """The peaks of the processes together, in bytes, as the image serves them: after an event, after a sweep.

    What they share is counted in each of them.
    """
    with _cloud(volumes) as url, socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
        free.close()
        words = ["serve", "--host", "127.0.0.1", "--port", str(port)]
        with program("-m", "handler", *words, settings={**_deployed(url), **SIZE}, quiet=True) as process:
            await_served(process, port)
            found = {}
            for name, event in (("event", cold_event()), ("sweep", SWEEP)):
                _ask(port, event)
                found[name] = sum(peak(pid) for pid in _family(process.pid))
    return found


def called(volumes: int) -> dict[str, int]:
    """The same of FunctionGraph's entry point, a process for each, without what the platform's own takes.

    The package has no bytecode: what is imported is compiled there, and so it is here.
    """
    compiled = {"PYTHONPYCACHEPREFIX": os.devnull, "PYTHONDONTWRITEBYTECODE": "1"}
    with _cloud(volumes) as url:
        deployed = {**_deployed(url), **compiled}
        return {
            name: int(run(["-m", "tests.bench.memory", json.dumps(event)], deployed).splitlines()[-1])
            for name, event in (("event", cold_event()), ("sweep", SWEEP))
        }


@contextmanager
def _cloud(volumes: int) -> Iterator[str]:
    words = ["--volumes", str(volumes), "--orphans", str(ORPHANS)]
    with program("-m", "tests.bench.large_cloud", *words) as cloud:
        yield f"http://127.0.0.1:{first_line(cloud)}"


def _deployed(url: str) -> dict[str, str]:
    return {**settings(url), "DETACH_TIMEOUT": "120", "DETACH_SWEEP_DRY_RUN": "false"}


def _ask(port: int, event: object) -> None:
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {CALLERS_KEY}"}
    body = json.dumps(event).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{port}/", body, headers)
    with urllib.request.urlopen(request, timeout=120) as answer:
        json.load(answer)


def _family(pid: int) -> list[int]:
    """A process and all that came of it."""
    found = [pid]
    for thread in Path(f"/proc/{pid}/task").iterdir():
        for child in (thread / "children").read_text(encoding="ascii").split():
            found += _family(int(child))
    return found


def main(events: list[str]) -> None:
    from handler.main import functiongraph  # noqa: PLC0415 (measured with the rest)

    class Context:
        """FunctionGraph's, of which none of these events needs anything."""

    for event in events:
        result = functiongraph(json.loads(event), Context())
        if not result["ok"]:
            raise RuntimeError(f"not carried out: {result}")
    print(peak())


if __name__ == "__main__":
    main(sys.argv[1:])
