"""What surrounds the services: life and death, what was called, the demo world, the sink, the program."""

from __future__ import annotations

import http.client
import json
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import pytest
import requests

from tests.embedded_cloud import Cloud, seed
from tests.unit.embedded_cloud.client import ask, servers, volumes


def _port(cloud: Cloud) -> int:
    return int(cloud.url.rpartition(":")[2])


def test_it_can_be_stopped_and_started_again_on_its_port(cloud: Cloud) -> None:
    volume = cloud.add_volume()
    url = cloud.url
    cloud.stop()
    with pytest.raises(requests.ConnectionError):
        ask(cloud, "GET", volumes(cloud), cloud.token())
    cloud.start()

    assert cloud.url == url
    assert ask(cloud, "GET", volumes(cloud, f"/{volume.id}"), cloud.token()).status_code == 200
    with pytest.raises(RuntimeError, match="already started"):
        cloud.start()


def test_stopping_ends_calls_under_way_and_every_thread() -> None:
    before = threading.active_count()
    with Cloud() as cloud, ThreadPoolExecutor() as pool:
        cloud.latency = 60
        waiting = pool.submit(ask, cloud, "GET", volumes(cloud), "token", timeout=30)
        while not cloud.calls:
            time.sleep(0.01)
        cloud.stop()
        waiting.exception(timeout=10)
    assert threading.active_count() == before


def test_a_connection_is_kept_for_many_calls_sent_at_once(cloud: Cloud) -> None:
    call = f"GET {volumes(cloud)} HTTP/1.1\r\nHost: x\r\nX-Auth-Token: {cloud.token()}\r\n"
    with socket.create_connection(("127.0.0.1", _port(cloud)), timeout=10) as connection:
        connection.sendall(f"{call}\r\n{call}Connection: close\r\n\r\n".encode())
        received = b""
        while more := connection.recv(65536):
            received += more

    assert received.count(b"HTTP/1.1 200 OK\r\n") == 2
    assert received.count(b"Connection: close\r\n") == 1


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ("nonsense\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nno colon\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nContent-Length: many\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 411),
        (f"POST / HTTP/1.1\r\nContent-Length: {10**9}\r\n\r\n", 413),
        ("GET / HTTP/1.1\r\nX: " + "x" * 200_000, 431),
    ],
)
def test_what_is_no_call_is_refused(cloud: Cloud, sent: str, status: int) -> None:
    with socket.create_connection(("127.0.0.1", _port(cloud)), timeout=10) as connection:
        connection.sendall(sent.encode())
        assert connection.recv(65536).startswith(f"HTTP/1.1 {status} ".encode())
    assert cloud.calls == []


def test_each_call_is_on_record(cloud: Cloud) -> None:
    volume, token = cloud.add_volume(attachments=[str(uuid.uuid4())]), cloud.token()
    body = {"os-detach": {"attachment_id": volume.attachments[0].attachment_id}}
    ask(cloud, "POST", volumes(cloud, f"/{volume.id}/action"), token, json=body)
    ask(cloud, "GET", servers(cloud), token, params={"limit": "5", "name": "a b"})

    post, get = cloud.calls

    assert (post.service, post.method, post.body, post.status) == ("volume", "POST", body, 202)
    assert post.headers["x-auth-token"] == token
    assert (get.service, get.query, get.body) == ("compute", {"limit": "5", "name": "a b"}, None)
    assert post.started_at <= get.started_at
    assert cloud.posts() == cloud.posts(volume.id) == [post]
    assert cloud.posts(str(uuid.uuid4())) == []
    cloud.clear_calls()
    assert cloud.calls == []


def test_the_sink_keeps_what_it_is_sent(cloud: Cloud) -> None:
    headers = {"Ce-Id": "1", "Content-Type": "application/json"}

    answer = ask(cloud, "POST", "/sink", headers=headers, data='{"volume_id": "x"}')

    assert (answer.status_code, answer.content) == (202, b"")
    [(received, body)] = cloud.sunk
    assert (received["ce-id"], body) == ("1", {"volume_id": "x"})


def test_an_unknown_address_is_nobodys(cloud: Cloud) -> None:
    assert ask(cloud, "GET", "/elsewhere").status_code == 404


@pytest.mark.parametrize(
    ("path", "key", "lowest"),
    [
        ("/volume/v3/", "versions", "3.0"),
        ("/compute/v2.1", "version", "2.1"),
        ("/identity/v3", "version", None),
    ],
)
def test_version_documents_need_no_token(cloud: Cloud, path: str, key: str, lowest: str | None) -> None:
    found = ask(cloud, "GET", path).json()[key]
    [version] = found if isinstance(found, list) else [found]

    assert version.get("min_version") == lowest
    [link] = version["links"]
    assert link["href"].rstrip("/") == (cloud.url + path).rstrip("/")


def test_the_demo_world_is_under_constant_and_different_ids(cloud: Cloud) -> None:
    names = cloud.seed()

    ids = {
        name: value for name, value in names.items() if name.endswith(("_volume", "_attachment", "_server"))
    }
    assert len(set(ids.values())) == len(ids) > 60
    for value in ids.values():
        assert str(uuid.UUID(value)) == value
        assert uuid.UUID(value).version == 4
    for name, volume_id in ids.items():
        if name.endswith("_volume"):
            assert (volume_id in cloud.world.volumes) is (name != "absent_volume"), name
    listed = {a.attachment_id for volume in cloud.volumes for a in volume.attachments}
    assert {v for n, v in ids.items() if n.endswith("_attachment")} - listed == {seed.ABSENT_ATTACHMENT}
    assert seed.DETACHER_PASSWORD not in names.values()
    assert {name for name in vars(seed) if re.fullmatch(r"[A-Z_]+_(VOLUME|SERVER|ATTACHMENT)", name)} == {
        name.upper() for name in ids
    }


def test_the_demo_world_is_in_the_states_that_its_names_say(cloud: Cloud) -> None:
    cloud.seed()
    expected = {
        seed.LIVE_SERVER: ("ACTIVE", None),
        seed.STOPPED_SERVER: ("SHUTOFF", None),
        seed.SHELVED_SERVER: ("SHELVED_OFFLOADED", None),
        seed.SOFT_DELETED_SERVER: ("SOFT_DELETED", None),
        seed.DELETING_SERVER: ("ACTIVE", "deleting"),
        seed.GONE_SERVER: ("DELETED", None),
        seed.TWO_DISK_GONE_SERVER: ("DELETED", None),
    }
    assert {i: (cloud.server(i).status, cloud.server(i).task_state) for i in expected} == expected
    assert seed.PURGED_SERVER not in {*cloud.world.servers, *cloud.world.deleted}
    states = {
        seed.ORPHAN_VOLUME: "in-use",
        seed.AVAILABLE_VOLUME: "available",
        seed.ATTACHING_VOLUME: "attaching",
        seed.DETACHING_VOLUME: "detaching",
        seed.STUCK_DETACHING_VOLUME: "detaching",
        seed.ERROR_DETACHING_VOLUME: "error_detaching",
        seed.MAINTENANCE_VOLUME: "maintenance",
        seed.RESERVED_VOLUME: "reserved",
    }
    assert {i: cloud.volume(i).status for i in states} == states
    hour_ago = cloud.stamp(cloud.now() - 3600)
    assert str(cloud.volume(seed.DETACHING_VOLUME).updated_at) > hour_ago
    assert str(cloud.volume(seed.STUCK_DETACHING_VOLUME).updated_at) < hour_ago
    multi = {a.server_id for a in cloud.volume(seed.MULTI_VOLUME).attachments}
    assert multi == {seed.LIVE_SERVER, seed.MULTI_GONE_SERVER}
    two = {
        v.id for v in cloud.volumes if any(a.server_id == seed.TWO_DISK_GONE_SERVER for a in v.attachments)
    }
    assert two == {seed.FIRST_DISK_VOLUME, seed.SECOND_DISK_VOLUME}
    assert seed.FORGOTTEN_VOLUME not in cloud.server(seed.FORGETFUL_SERVER).disks
    foreign = ask(cloud, "GET", volumes(cloud, f"/{seed.FOREIGN_VOLUME}"), cloud.token()).json()["volume"]
    assert foreign["os-vol-tenant-attr:tenant_id"] == seed.OTHER_PROJECT


def test_most_attachments_of_the_demo_world_are_sound(cloud: Cloud) -> None:
    """A sweep that finds half of them orphaned refuses to act, and the demonstration shall not."""
    cloud.seed()
    listed = {server.id for server in cloud.servers if server.status != "SOFT_DELETED"}
    attachments = [a for v in cloud.volumes if v.status == "in-use" for a in v.attachments]

    orphaned = [a for a in attachments if a.server_id not in listed]

    assert len(orphaned) / len(attachments) < 0.4


def test_a_reset_brings_the_demo_world_back(cloud: Cloud) -> None:
    cloud.seed()
    token = cloud.token()
    path = volumes(cloud, f"/{seed.ORPHAN_VOLUME}/action")
    body = {"os-detach": {"attachment_id": seed.ORPHAN_ATTACHMENT}}
    assert ask(cloud, "POST", path, token, json=body).status_code == 202
    cloud.misbehave(status=500, times=None)
    cloud.hook(lambda call: call)

    cloud.reset()

    assert (cloud.calls, cloud.hooks, cloud.misbehaviour.rules) == ([], [], [])
    assert ask(cloud, "POST", path, token, json=body).status_code == 202


def test_a_reset_of_a_world_that_was_never_planted_leaves_it_empty(cloud: Cloud) -> None:
    cloud.add_volume()
    cloud.reset()
    assert (cloud.volumes, cloud.servers) == ([], [])


def test_a_reset_fills_a_large_cloud_again(cloud: Cloud) -> None:
    cloud.populate(5, 3, 1)
    before = {volume.id for volume in cloud.volumes}
    cloud.delete_volume(next(iter(before)))

    cloud.reset()

    assert {volume.id for volume in cloud.volumes} == before
    assert len(cloud.servers) == 3


def test_two_things_never_share_an_id(cloud: Cloud) -> None:
    with pytest.raises(ValueError, match="a volume"):
        cloud.add_volume(cloud.add_volume().id)
    with pytest.raises(ValueError, match="a server"):
        cloud.add_server(cloud.add_server().id)


def test_it_stands_many_clients_at_once(cloud: Cloud) -> None:
    orphans = [cloud.add_volume(attachments=[str(uuid.uuid4())]) for _ in range(64)]
    token = cloud.token()
    attachments = [volume.attachments[0].attachment_id for volume in orphans]

    def clear(index: int) -> int:
        path = volumes(cloud, f"/{orphans[index % 64].id}/action")
        body = {"os-detach": {"attachment_id": attachments[index % 64]}}
        return ask(cloud, "POST", path, token, json=body).status_code

    with ThreadPoolExecutor(16) as pool:
        statuses = list(pool.map(clear, range(128)))

    assert (statuses.count(202), statuses.count(409)) == (64, 64)
    assert {volume.status for volume in orphans} == {"available"}


def _run(*options: str) -> tuple[subprocess.Popen[str], dict[str, Any]]:
    program = subprocess.Popen(
        [sys.executable, "-m", "tests.embedded_cloud", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )
    assert program.stdout is not None
    line: dict[str, Any] = json.loads(program.stdout.readline())
    return program, line


def _call(url: str, method: str = "GET", content: object = None) -> tuple[int, Any]:
    answer = requests.request(method, url, json=content, timeout=10)
    return answer.status_code, answer.json() if answer.content else None


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
def test_the_program_serves_until_it_is_told_to_end(ending: signal.Signals) -> None:
    program, line = _run()
    try:
        headers = {"X-Auth-Token": line["token"]}
        url = f"{line['volume_endpoint']}/{line['project_id']}/volumes/{seed.ORPHAN_VOLUME}"
        assert requests.get(url, headers=headers, timeout=10).status_code == 200
        user = line["user"]
        auth = {"name": user["username"], "password": user["password"], "domain": {"name": user["domain"]}}
        identity = {"methods": ["password"], "password": {"user": auth}}
        scope = {"project": {"id": line["project_id"]}}
        bought, _ = _call(
            f"{line['identity_endpoint']}/auth/tokens",
            "POST",
            {"auth": {"identity": identity, "scope": scope}},
        )
        assert bought == 201
        assert line["environment"]["DETACH_VOLUME_ENDPOINT"] == line["volume_endpoint"]
    finally:
        program.send_signal(ending)
        rest, errors = program.communicate(timeout=20)
    assert (program.returncode, rest, errors) == (0, "", "")


def test_another_process_can_look_and_steer() -> None:
    program, line = _run("--volumes", "12", "--servers", "4", "--orphans", "3", "--page-cap", "5")
    admin = line["admin"]
    try:
        headers = {"X-Auth-Token": line["token"]}
        listed = requests.get(
            f"{line['volume_endpoint']}/{line['project_id']}/volumes/detail", headers=headers, timeout=10
        ).json()["volumes"]
        assert len(listed) == 5
        status, shown = _call(f"{admin}/volumes/{listed[0]['id']}")
        assert (status, shown["status"]) == (200, "in-use")
        assert shown["attachments"][0]["server_id"] == listed[0]["attachments"][0]["server_id"]
        assert _call(f"{admin}/servers/{shown['attachments'][0]['server_id']}")[0] == 404
        status, rule = _call(f"{admin}/misbehave", "POST", {"service": "volume", "status": 503})
        assert (status, rule["status"], rule["hits"]) == (201, 503, 0)
        volume_url = f"{line['volume_endpoint']}/{line['project_id']}/volumes"
        assert requests.get(volume_url, headers=headers, timeout=10).status_code == 503
        counts = _call(f"{admin}/calls")[1]
        assert (counts["total"], counts["by_method"]) == (2, {"volume GET": 2})
        assert counts["by_status"] == {"200": 1, "503": 1}
        assert _call(f"{admin}/calls", "DELETE")[0] == 204
        assert _call(f"{admin}/calls")[1]["total"] == 0
        status, token = _call(f"{admin}/token", "POST", {"role": "reader"})
        assert (status, bool(token["token"])) == (201, True)
        assert _call(f"{admin}/latency", "POST", {"seconds": 0.01})[0] == 204
        assert _call(f"{admin}/misbehave", "POST", {"unheard_of": 1})[0] == 400
        assert _call(f"{admin}/unheard-of")[0] == 404
        assert _call(f"{admin}/reset", "POST")[0] == 204
        again = requests.get(f"{volume_url}/detail", headers=headers, timeout=10).json()["volumes"]
        assert [volume["id"] for volume in again] == [volume["id"] for volume in listed]
    finally:
        program.terminate()
        program.communicate(timeout=20)


def test_a_head_has_no_body(cloud: Cloud) -> None:
    with closing(http.client.HTTPConnection("127.0.0.1", _port(cloud), timeout=10)) as connection:
        connection.request("HEAD", volumes(cloud), headers={"X-Auth-Token": cloud.token()})
        answer = connection.getresponse()
        assert (answer.status, answer.read()) == (404, b"")
        connection.request("GET", volumes(cloud), headers={"X-Auth-Token": cloud.token()})
        assert connection.getresponse().read() == b'{"volumes": []}'
