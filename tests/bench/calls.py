"""The four calls of one target, in process: ``python -m tests.bench.calls URL ROUNDS TARGETS [WHO…]``.

Each contender clears the same number of volumes per round, one after the other, over a kept connection. Ours
does what an invocation does once it is read: all checks, the log lines, the result. `requests` reads nothing
of what comes back. Prints what a target took in each round as JSON.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from importlib import import_module

import requests

from handler.invocation import Invocation, Trigger
from handler.model.request import Target
from handler.model.result import Outcome, TargetResult
from handler.runtime import Runtime
from tests.bench.deployment import TOKEN, settings
from tests.bench.peers import CINDERCLIENT, HUAWEICLOUD, OURS, REQUESTS, SDK, installed
from tests.bench.stub import PROJECT, Stuck, stuck

Clear = Callable[[Stuck], None]


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


def huaweicloudsdk(url: str) -> Clear:
    """With a key's signature to each request. It has no call for os-detach: that goes by its client."""
    credentials = import_module("huaweicloudsdkcore.auth.credentials").BasicCredentials
    refused = import_module("huaweicloudsdkcore.exceptions.exceptions").ClientRequestException
    evs, ecs = import_module("huaweicloudsdkevs.v2"), import_module("huaweicloudsdkecs.v2")
    key = credentials("bench-key", "bench-secret", PROJECT)
    volumes, servers = (
        client.new_builder().with_credentials(key).with_endpoint(url).build()
        for client in (evs.EvsClient, ecs.EcsClient)
    )

    def clear(ids: Stuck) -> None:
        volumes.show_volume(evs.ShowVolumeRequest(volume_id=ids.volume_id))
        with contextlib.suppress(refused):
            servers.nova_show_server(ecs.NovaShowServerRequest(server_id=ids.server_id))
        volumes.do_http_request(
            method="POST",
            resource_path="/v2/{project_id}/volumes/{volume_id}/action",
            path_params={"volume_id": ids.volume_id},
            header_params={"Content-Type": "application/json"},
            body={"os-detach": {"attachment_id": ids.attachment_id}},
            response_type="ShowVolumeResponse",
        )
        volumes.show_volume(evs.ShowVolumeRequest(volume_id=ids.volume_id))

    return clear


CONTENDERS = {
    OURS: ours,
    REQUESTS: plain,
    CINDERCLIENT: cinderclient,
    SDK: openstacksdk,
    HUAWEICLOUD: huaweicloudsdk,
}


@dataclass
class Taken:
    """Seconds per target, round by round: by the clock, and of processor time."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)


def measure(url: str, rounds: int, targets: int, names: Sequence[str]) -> dict[str, Taken]:
    """What each contender takes, in turns. The round before the first one only warms up."""
    clears = {name: CONTENDERS[name](url) for name in names}
    found = {name: Taken() for name in clears}
    for turn in range(rounds + 1):
        for name, clear in clears.items():
            ids = [stuck() for _ in range(targets)]
            started, busy = time.perf_counter(), time.process_time()
            for one in ids:
                clear(one)
            if turn:
                found[name].wall.append((time.perf_counter() - started) / targets)
                found[name].cpu.append((time.process_time() - busy) / targets)
    return found


def main() -> None:
    url, rounds, targets, *names = sys.argv[1:]
    # Our log goes to standard output, as deployed; here nobody reads it
    with open(os.devnull, "w", encoding="utf-8") as nobody, contextlib.redirect_stdout(nobody):  # noqa: PTH123
        measured = measure(url, int(rounds), int(targets), names or [*filter(installed, CONTENDERS)])
    print(json.dumps({name: asdict(taken) for name, taken in measured.items()}))


if __name__ == "__main__":
    main()
