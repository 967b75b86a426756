"""What surrounds the services: life and death, what was called, the sink, the program."""

from __future__ import annotations

import http.client
import json
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
    assert cloud.changes() == [post]
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
        status, _ = _call(
            f"{line['identity_endpoint']}/auth/tokens",
            "POST",
            {"auth": {"identity": identity, "scope": scope}},
        )
        assert status == 201
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


def test_another_process_can_stage_a_detach_that_goes_wrong() -> None:
    program, line = _run()
    admin, token = line["admin"], {"X-Auth-Token": line["token"]}
    server = f"{line['compute_endpoint']}/servers/{seed.LIVE_SERVER}"
    disk = f"{server}/os-volume_attachments/{seed.LIVE_VOLUME}"

    def record() -> str:
        status: str = _call(f"{admin}/volumes/{seed.LIVE_VOLUME}")[1]["status"]
        return status

    try:
        assert _call(f"{admin}/servers/{seed.LIVE_SERVER}", "PATCH", {"locked_by": "admin"})[0] == 204
        assert requests.delete(disk, headers=token, timeout=10).status_code == 409
        assert _call(f"{admin}/servers/{seed.LIVE_SERVER}", "PATCH", {"locked_by": None})[0] == 204
        assert _call(f"{admin}/servers/{seed.LIVE_SERVER}", "PATCH", {"colour": "red"})[0] == 404
        assert _call(f"{admin}/cells-down/cell1", "PUT")[0] == 204
        assert requests.get(server, headers=token, timeout=10).status_code == 500
        assert _call(f"{admin}/cells-down/cell1", "DELETE")[0] == 204
        assert _call(f"{admin}/course/{seed.LIVE_VOLUME}", "PUT", {"ends": "guest"})[0] == 204
        assert requests.delete(disk, headers=token, timeout=10).status_code == 202
        assert record() == "in-use"
        assert _call(f"{admin}/course/{seed.LIVE_VOLUME}", "PUT", {})[0] == 204
        assert _call(f"{admin}/hosts/compute-1", "PATCH", {"state": "silent"})[0] == 204
        assert requests.delete(disk, headers=token, timeout=10).status_code == 202
        assert record() == "detaching"
        assert _call(f"{admin}/course", "PUT", {"guest": 1, "unheard_of": 1})[0] == 400
        assert _call(f"{admin}/hosts/compute-1", "PATCH", {"state": "up"})[0] == 204
        assert record() == "available"
        status, planted = _call(f"{admin}/stuck/N5", "POST")
        assert (status, _call(f"{admin}/volumes/{planted['volume_id']}")[1]["status"]) == (201, "detaching")
        assert _call(f"{admin}/stuck/N99", "POST")[0] == 404
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
