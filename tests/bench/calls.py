"""The four calls of one target, in process: ``python -m tests.bench.calls URL ROUNDS TARGETS``.

Each contender clears the same number of volumes per round, one after the other, over a kept connection. Ours
does what an invocation does once it is read: all checks, the log lines, the result. `requests` reads nothing
of what comes back. Prints the seconds per target of each round as JSON.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections.abc import Callable
from importlib import import_module

import requests

from handler.invocation import Invocation, Trigger
from handler.model.request import Target
from handler.model.result import Outcome, TargetResult
from handler.runtime import Runtime
from tests.bench.deployment import TOKEN, settings
from tests.bench.stub import PROJECT, Stuck, stuck

Clear = Callable[[Stuck], None]

OURS, REQUESTS, CINDERCLIENT, SDK = "handler", "requests", "cinderclient", "openstacksdk"


def ours(url: str) -> Clear:
    runtime = Runtime(settings(url))

    def clear(ids: Stuck) -> None:
        target = Target(volume_id=ids.volume_id, attachment_id=ids.attachment_id)
        result = runtime.carry_out([target], Invocation(Trigger.HTTP, "bench"))
        if not isinstance(result, TargetResult) or result.outcome is not Outcome.DETACHED:
            raise RuntimeError(f"not cleared: {result}")

    return clear


def plain(url: str) -> Clear:
    session = requests.Session()
    session.headers["X-Auth-Token"] = TOKEN

    def clear(ids: Stuck) -> None:
        volume = f"{url}/volume/v3/{PROJECT}/volumes/{ids.volume_id}"
        session.get(volume, timeout=(3, 10))
        session.get(f"{url}/compute/v2.1/{PROJECT}/servers/{ids.server_id}", timeout=(3, 10))
        body = {"os-detach": {"attachment_id": ids.attachment_id}}
        session.post(f"{volume}/action", json=body, timeout=(3, 10))
        session.get(volume, timeout=(3, 10))

    return clear


def cinderclient(url: str) -> Clear:
    client = import_module("cinderclient.client")
    keystone = import_module("keystoneauth1.session")
    endpoint = import_module("keystoneauth1.token_endpoint")
    not_found = import_module("keystoneauth1.exceptions").NotFound

    kept = keystone.Session(auth=endpoint.Token(f"{url}/volume/v3/{PROJECT}", TOKEN))
    volumes = client.Client("3", session=kept).volumes

    def clear(ids: Stuck) -> None:
        volumes.get(ids.volume_id)
        with contextlib.suppress(not_found):
            kept.get(f"{url}/compute/v2.1/{PROJECT}/servers/{ids.server_id}")
        volumes.detach(ids.volume_id, ids.attachment_id)
        volumes.get(ids.volume_id)

    return clear


def openstacksdk(url: str) -> Clear:
    keystone = import_module("keystoneauth1.session")
    endpoint = import_module("keystoneauth1.token_endpoint")
    volume_proxy = import_module("openstack.block_storage.v3._proxy").Proxy
    server_proxy = import_module("openstack.compute.v2._proxy").Proxy
    not_found = import_module("openstack.exceptions").NotFoundException

    kept = keystone.Session(auth=endpoint.Token(url, TOKEN))
    # Its services by hand, since the stub knows nothing of what versions it has
    cloud = import_module("openstack.connection").Connection(session=kept)
    volumes = volume_proxy(kept, service_type="block-storage", endpoint_override=f"{url}/volume/v3/{PROJECT}")
    servers = server_proxy(kept, service_type="compute", endpoint_override=f"{url}/compute/v2.1/{PROJECT}")
    volumes._connection = servers._connection = cloud

    def clear(ids: Stuck) -> None:
        volume = volumes.get_volume(ids.volume_id)
        with contextlib.suppress(not_found):
            servers.get_server(ids.server_id)
        volumes.detach_volume(volume, ids.attachment_id)
        volumes.get_volume(ids.volume_id)

    return clear


CONTENDERS = {OURS: ours, REQUESTS: plain, CINDERCLIENT: cinderclient, SDK: openstacksdk}


def measure(url: str, rounds: int, targets: int) -> dict[str, list[float]]:
    """Seconds per target, round by round. The first round only warms up."""
    clears = {name: make(url) for name, make in CONTENDERS.items()}
    seconds: dict[str, list[float]] = {name: [] for name in clears}
    for _ in range(rounds + 1):
        for name, clear in clears.items():
            ids = [stuck() for _ in range(targets)]
            started = time.perf_counter()
            for one in ids:
                clear(one)
            seconds[name].append((time.perf_counter() - started) / targets)
    return {name: each[1:] for name, each in seconds.items()}


def main() -> None:
    url, rounds, targets = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    # Our log goes to standard output, as deployed; here nobody reads it
    with open(os.devnull, "w", encoding="utf-8") as nobody, contextlib.redirect_stdout(nobody):  # noqa: PTH123
        measured = measure(url, rounds, targets)
    print(json.dumps(measured))


if __name__ == "__main__":
    main()
