"""How many answers of the cloud, one after the other, a caller waits for. Each of them comes 200 ms late.

``python -m tests.bench.chain WHO CASE…`` does these cases in one process, at the cloud that its environment
names, and prints the seconds of each as JSON; `cloud` in place of WHO is that cloud. What is imported before
a first event is not counted: a host does that before it hands one over.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from itertools import product
from typing import Any

from tests.bench.peers import CINDERCLIENT, OURS, REQUESTS, SDK, installed
from tests.bench.processes import first_line, program, run, undisturbed
from tests.embedded_cloud import seed

LATENCY = 0.2
"""Seconds that each answer of the embedded cloud takes."""

_ONE = {"volume_id": seed.ORPHAN_VOLUME, "attachment_id": seed.ORPHAN_ATTACHMENT}
_WITH_ID = {**_ONE, "server_id": seed.GONE_SERVER}
_DRY = {"dry_run": True}


@dataclass(frozen=True)
class Case:
    """One row: what is asked for, in a fresh process or a warm one, and the most answers one may wait for.

    `physical` is how many of them hang on each other, whoever asks.
    """

    name: str
    what: str
    physical: int
    at_most: float
    event: Mapping[str, Any] = field(default_factory=dict)
    fresh: bool = False


CASES = (
    Case("one", "one target, warm", 4, 4.05, _ONE),
    Case("one with id", "one target, warm, its server's id given", 3, 3.05, _WITH_ID),
    Case("server", "form server, two disks", 4, 4.1, {"server_id": seed.TWO_DISK_GONE_SERVER}),
    Case("first", "first event of a fresh process", 5, 5.1, _ONE, fresh=True),
    Case("first with id", "first event, its server's id given", 4, 4.1, _WITH_ID, fresh=True),
    Case("dry", "dry run", 2, 2.05, {**_ONE, **_DRY}),
    Case("dry with id", "dry run, its server's id given", 1, 1.05, {**_WITH_ID, **_DRY}),
)
_OF_PEERS = frozenset({"one", "first"})
"""The cases that peers are asked for, too: they never ask side by side."""

Ask = Callable[[Mapping[str, Any]], None]


def measure(tries: int) -> dict[str, dict[str, list[float]]]:
    """Seconds by whom and case, `tries` of each, whoever asks in turns."""
    found: dict[str, dict[str, list[float]]] = {}
    with program("-m", "tests.bench.chain", "cloud", "--latency", str(LATENCY)) as cloud:
        said = json.loads(first_line(cloud))
        settings = {
            **said["environment"],
            "DETACH_TOKEN_SECRET": "env:BENCH_USER",
            "BENCH_USER": json.dumps({**said["user"], "project_id": said["project_id"]}),
            "BENCH_ADMIN": said["admin"],
        }
        for _, who in product(range(tries), [who for who in ASKS if installed(who)]):
            cases = [case for case in CASES if who == OURS or case.name in _OF_PEERS]
            alone = [[case.name] for case in cases if case.fresh]
            for names in ([case.name for case in cases if not case.fresh], *alone):
                took = json.loads(run(["-m", "tests.bench.chain", who, *names], settings))
                for name, seconds in took.items():
                    found.setdefault(who, {}).setdefault(name, []).append(seconds)
    return found


def ours() -> Ask:
    functiongraph = import_module("handler.main").functiongraph

    def ask(event: Mapping[str, Any]) -> None:
        with open(os.devnull, "w", encoding="utf-8") as nobody, contextlib.redirect_stdout(nobody):  # noqa: PTH123
            result = functiongraph({**event}, None)
        if not result["ok"]:
            raise RuntimeError(f"not cleared: {result}")

    return ask


def plain() -> Ask:
    """By hand: a token, then the four calls, and nothing is checked."""
    session = import_module("requests").Session()
    project = os.environ["DETACH_PROJECT_ID"]

    def ask(event: Mapping[str, Any]) -> None:
        if "X-Auth-Token" not in session.headers:
            body = {"auth": {"identity": _password(), "scope": {"project": {"id": project}}}}
            answer = session.post(f"{os.environ['DETACH_IDENTITY_ENDPOINT']}/auth/tokens", json=body)
            session.headers["X-Auth-Token"] = answer.headers["X-Subject-Token"]
        volume = f"{os.environ['DETACH_VOLUME_ENDPOINT']}/{project}/volumes/{event['volume_id']}"
        session.get(volume).raise_for_status()
        session.get(f"{os.environ['DETACH_COMPUTE_ENDPOINT']}/{project}/servers/{seed.GONE_SERVER}")
        action = {"os-detach": {"attachment_id": event["attachment_id"]}}
        session.post(f"{volume}/action", json=action).raise_for_status()
        if session.get(volume).json()["volume"]["attachments"]:
            raise RuntimeError("not cleared")

    return ask


def _password() -> dict[str, Any]:
    user = json.loads(os.environ["BENCH_USER"])
    known = {"name": user["username"], "password": user["password"], "domain": {"name": user["domain"]}}
    return {"methods": ["password"], "password": {"user": known}}


def openstacksdk() -> Ask:
    connection = import_module("openstack.connection").Connection
    for service in ("block_storage.v3._proxy", "compute.v2._proxy"):
        import_module(f"openstack.{service}")
    not_found = import_module("openstack.exceptions").NotFoundException
    user = json.loads(os.environ["BENCH_USER"])
    cloud = connection(
        auth={
            "auth_url": os.environ["DETACH_IDENTITY_ENDPOINT"],
            "username": user["username"],
            "password": user["password"],
            "user_domain_name": user["domain"],
            "project_id": os.environ["DETACH_PROJECT_ID"],
        },
    )

    def ask(event: Mapping[str, Any]) -> None:
        volume = cloud.block_storage.get_volume(event["volume_id"])
        with contextlib.suppress(not_found):
            cloud.compute.get_server(seed.GONE_SERVER)
        cloud.block_storage.detach_volume(volume, event["attachment_id"])
        if cloud.block_storage.get_volume(event["volume_id"]).attachments:
            raise RuntimeError("not cleared")

    return ask


def cinderclient() -> Ask:
    client = import_module("cinderclient.client")
    keystone = import_module("keystoneauth1.session")
    password = import_module("keystoneauth1.identity").V3Password
    not_found = import_module("keystoneauth1.exceptions").NotFound
    user = json.loads(os.environ["BENCH_USER"])
    auth = password(
        os.environ["DETACH_IDENTITY_ENDPOINT"],
        username=user["username"],
        password=user["password"],
        user_domain_name=user["domain"],
        project_id=os.environ["DETACH_PROJECT_ID"],
    )
    session = keystone.Session(auth)
    volumes = client.Client("3", session=session).volumes

    def ask(event: Mapping[str, Any]) -> None:
        volumes.get(event["volume_id"])
        with contextlib.suppress(not_found):
            session.get(f"/servers/{seed.GONE_SERVER}", endpoint_filter={"service_type": "compute"})
        volumes.detach(event["volume_id"], event["attachment_id"])
        if volumes.get(event["volume_id"]).attachments:
            raise RuntimeError("not cleared")

    return ask


ASKS: Mapping[str, Callable[[], Ask]] = {
    OURS: ours,
    REQUESTS: plain,
    CINDERCLIENT: cinderclient,
    SDK: openstacksdk,
}


def _reset() -> None:
    with urllib.request.urlopen(f"{os.environ['BENCH_ADMIN']}/reset", data=b"", timeout=60):
        pass


def main(who: str, names: Sequence[str]) -> None:
    ask = ASKS[who]()
    cases = [case for case in CASES if case.name in names]
    if not any(case.fresh for case in cases):
        ask(_ONE)
        _reset()
    seconds = {}
    for case in cases:
        started = time.perf_counter()
        ask(case.event)
        seconds[case.name] = time.perf_counter() - started
        _reset()
    print(json.dumps(seconds))


if __name__ == "__main__":
    undisturbed()
    if sys.argv[1] == "cloud":
        del sys.argv[1]
        import_module("tests.embedded_cloud.__main__").main()
    else:
        main(sys.argv[1], sys.argv[2:])
