"""The cloud on a bad day: each kind of misbehaviour, and the rules that bring it about."""

from __future__ import annotations

import http.client
import socket
import time
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from urllib.parse import quote

import pytest
import requests

from tests.embedded_cloud import Call, Cloud, Volume
from tests.unit.embedded_cloud.client import ask, servers, volumes


def _orphan(cloud: Cloud) -> Volume:
    return cloud.add_volume(attachments=[str(uuid.uuid4())])


def _detach(cloud: Cloud, volume: Volume, timeout: float = 10) -> requests.Response:
    body = {"os-detach": {"attachment_id": volume.attachments[0].attachment_id}}
    path = volumes(cloud, f"/{volume.id}/action")
    return ask(cloud, "POST", path, cloud.token(), json=body, timeout=timeout)


@contextmanager
def _connection(cloud: Cloud) -> Iterator[http.client.HTTPConnection]:
    port = int(cloud.url.rpartition(":")[2])
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
        yield connection


def test_a_rule_is_used_up_and_the_next_one_applies(cloud: Cloud) -> None:
    first = cloud.misbehave("volume", status=503, times=2)
    second = cloud.misbehave(status=429, headers={"Retry-After": "7"})

    answers = [ask(cloud, "GET", volumes(cloud), cloud.token()) for _ in range(4)]

    assert [answer.status_code for answer in answers] == [503, 503, 429, 200]
    assert answers[2].headers["Retry-After"] == "7"
    assert (first.hits, second.hits) == (2, 1)


def test_a_rule_picks_its_calls(cloud: Cloud) -> None:
    rule = cloud.misbehave("compute", "GET", "/detail", times=None, after=1, status=500)

    def status(path: str) -> int:
        return ask(cloud, "GET", path, cloud.token()).status_code

    assert status(servers(cloud)) == status(volumes(cloud, "/detail")) == 200
    assert [status(servers(cloud, "/detail")) for _ in range(3)] == [200, 500, 500]
    assert rule.hits == 2


@pytest.mark.parametrize(("act", "after"), [(False, 1), (True, 0)])
def test_a_failure_takes_effect_only_when_told_so(cloud: Cloud, act: bool, after: int) -> None:
    volume = _orphan(cloud)
    cloud.misbehave("volume", "POST", status=500, act=act)

    assert _detach(cloud, volume).status_code == 500
    assert len(volume.attachments) == after


@pytest.mark.parametrize(("drop", "after"), [("before", 1), ("after", 0)])
def test_a_connection_closes_without_an_answer(cloud: Cloud, drop: str, after: int) -> None:
    volume = _orphan(cloud)
    cloud.misbehave("volume", "POST", drop="before" if drop == "before" else "after")

    with pytest.raises(requests.ConnectionError):
        _detach(cloud, volume)

    assert len(volume.attachments) == after
    assert [call.status for call in cloud.posts(volume.id)] == [0]


def test_a_late_answer_has_taken_effect(cloud: Cloud) -> None:
    volume = _orphan(cloud)
    cloud.misbehave("volume", "POST", delay=5)

    with pytest.raises(requests.ReadTimeout):
        _detach(cloud, volume, timeout=0.2)

    assert volume.attachments == []


def test_an_answer_may_be_another_body(cloud: Cloud) -> None:
    volume = _orphan(cloud)
    path = volumes(cloud, f"/{volume.id}")
    cloud.misbehave(body={"volume": {}})
    cloud.misbehave(body="<html>gateway</html>", status=404)
    cloud.misbehave(body=b"\xff\xfe", headers={"Content-Type": "application/json"})

    first, second, third = (ask(cloud, "GET", path, cloud.token()) for _ in range(3))

    assert (first.status_code, first.json()) == (200, {"volume": {}})
    assert (second.status_code, second.headers["Content-Type"]) == (404, "text/html; charset=UTF-8")
    assert (third.content, third.headers["Content-Type"]) == (b"\xff\xfe", "application/json")


def test_a_redirect_leads_elsewhere(cloud: Cloud) -> None:
    cloud.misbehave(redirect_to="https://elsewhere.invalid/")
    cloud.misbehave(redirect_to="https://elsewhere.invalid/", status=307)

    answers = [ask(cloud, "GET", volumes(cloud), cloud.token()) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [302, 307]
    assert answers[0].headers["Location"] == "https://elsewhere.invalid/"


def test_a_body_drips_in(cloud: Cloud) -> None:
    cloud.misbehave(status=200, body="0123456789", drip=0.02)
    with _connection(cloud) as connection:
        connection.request("GET", volumes(cloud))
        started = time.monotonic()
        answer = connection.getresponse()
        assert answer.read() == b"0123456789"
        assert time.monotonic() - started >= 0.15


def test_a_head_drips_in_too(cloud: Cloud) -> None:
    cloud.misbehave(status=202, drip=0.002, drip_head=True)
    with _connection(cloud) as connection:
        connection.request("GET", volumes(cloud))
        started = time.monotonic()
        assert connection.getresponse().status == 202
        assert time.monotonic() - started >= 0.1


@pytest.mark.parametrize("drip", [None, 0.001])
def test_a_body_never_ends(cloud: Cloud, drip: float | None) -> None:
    cloud.misbehave(endless=True, drip=drip)
    with _connection(cloud) as connection:
        connection.request("GET", volumes(cloud))
        answer = connection.getresponse()
        wanted = 50 if drip else 5_000_000
        assert len(answer.read(wanted)) == wanted


def test_a_body_is_huge(cloud: Cloud) -> None:
    cloud.misbehave(huge=3_000_000)

    answer = ask(cloud, "GET", volumes(cloud), cloud.token())

    assert (len(answer.content), answer.json()) == (3_000_000, {"volumes": []})


def test_a_hook_comes_before_the_call_is_handled(cloud: Cloud) -> None:
    server_id = str(uuid.uuid4())

    def appear(call: Call) -> None:
        if call.service == "compute" and server_id not in cloud.world.servers:
            cloud.add_server(server_id)

    cloud.hook(appear)
    assert ask(cloud, "GET", servers(cloud, f"/{server_id}"), cloud.token()).status_code == 200
    cloud.hooks.clear()
    cloud.delete_server(server_id)
    assert ask(cloud, "GET", servers(cloud, f"/{server_id}"), cloud.token()).status_code == 404


def test_an_accepted_detach_shows_when_its_delay_is_over(cloud: Cloud) -> None:
    now = [1_800_000_000.0]
    cloud.now = lambda: now[0]
    cloud.settle_delay = 3
    volume = _orphan(cloud)
    path = volumes(cloud, f"/{volume.id}")

    def status() -> str:
        return str(ask(cloud, "GET", path, cloud.token()).json()["volume"]["status"])

    assert _detach(cloud, volume).status_code == 202
    assert status() == "in-use"
    now[0] += 2.9
    assert status() == "in-use"
    now[0] += 0.1
    assert status() == "available"


def test_every_answer_is_later_by_the_latency(cloud: Cloud) -> None:
    cloud.latency = 0.1
    started = time.monotonic()

    ask(cloud, "GET", volumes(cloud), cloud.token())

    assert time.monotonic() - started >= 0.1


def test_interim_answers_come_before_the_answer_and_a_stray_text_behind_it(cloud: Cloud) -> None:
    cloud.misbehave(interim=(103, 102), stray="HTTP/1.1 404 Not Found\r\n\r\n")
    port = int(cloud.url.rpartition(":")[2])
    path = volumes(cloud).encode()

    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        client.sendall(b"GET " + path + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        said = b""
        while part := client.recv(65536):
            said += part

    lines = [line for line in said.split(b"\r\n") if line.startswith(b"HTTP/1.1") or b"}HTTP" in line]
    assert [line[:12] for line in lines[:3]] == [b"HTTP/1.1 103", b"HTTP/1.1 102", b"HTTP/1.1 401"]
    assert said.endswith(b"HTTP/1.1 404 Not Found\r\n\r\n")


def test_two_calls_get_each_other_s_answer_and_both_take_effect(cloud: Cloud) -> None:
    first, second = _orphan(cloud), _orphan(cloud)
    paths = [volumes(cloud, f"/{volume.id}") for volume in (first, second)]
    token = cloud.token()
    for path in paths:
        ask(cloud, "GET", path, token)
    calls = list(cloud.calls)
    cloud.misbehaviour.exchange(calls, 0, 1)

    answers = [ask(cloud, "GET", path, token).json()["volume"]["id"] for path in paths]
    again = ask(cloud, "GET", paths[0], token).json()["volume"]["id"]

    assert answers == [second.id, first.id]
    assert again == first.id


def test_the_same_question_asked_twice_gets_its_answers_the_other_way_round(cloud: Cloud) -> None:
    volume, token = _orphan(cloud), cloud.token()
    path = volumes(cloud, f"/{volume.id}")

    def statuses() -> list[str]:
        said = [ask(cloud, "GET", path, token)]
        volume.status = "error"
        said.append(ask(cloud, "GET", path, token))
        volume.status = "in-use"
        return [str(answer.json()["volume"]["status"]) for answer in said]

    assert statuses() == ["in-use", "error"]
    cloud.misbehaviour.exchange(list(cloud.calls), 0, 1)
    assert statuses() == ["error", "in-use"]


def test_a_call_gets_what_another_one_was_answered(cloud: Cloud) -> None:
    server, token = cloud.add_server(), cloud.token()
    paths = [servers(cloud, f"/{id_}") for id_ in (server.id, str(uuid.uuid4()))]
    for path in paths:
        ask(cloud, "GET", path, token)
    cloud.misbehaviour.replay(list(cloud.calls), 0, 1)

    assert [ask(cloud, "GET", path, token).status_code for path in (*paths, paths[0])] == [404, 404, 200]


def test_a_deleted_server_is_shown_for_a_while(cloud: Cloud) -> None:
    now = [1_800_000_000.0]
    cloud.now = lambda: now[0]
    cloud.deleted_shown = 2
    server, token = cloud.add_server(), cloud.token()
    cloud.delete_server(server.id)
    path = servers(cloud, f"/{server.id}")

    shown = ask(cloud, "GET", path, token)
    now[0] += 2
    gone = ask(cloud, "GET", path, token)

    assert (shown.status_code, shown.json()["server"]["status"]) == (200, "DELETED")
    assert shown.json()["server"]["os-extended-volumes:volumes_attached"] == []
    assert gone.status_code == 404
    assert server.id not in [row["id"] for row in ask(cloud, "GET", servers(cloud), token).json()["servers"]]


@pytest.mark.parametrize(
    ("version", "shown"), [("2.21", None), ("2.50", None), ("2.51", True), ("2.84", True)]
)
@pytest.mark.parametrize("host_down", [True, False])
def test_the_record_of_a_deletion_says_whether_a_host_ended_the_guest(
    cloud: Cloud, host_down: bool, version: str, shown: bool | None
) -> None:
    server, token = cloud.add_server(), cloud.token()
    cloud.delete_server(server.id, reaped=not host_down)
    path = servers(cloud, f"/{server.id}/os-instance-actions")
    headers = {"X-OpenStack-Nova-API-Version": version}

    listed = ask(cloud, "GET", path, token, headers=headers).json()["instanceActions"][0]
    one = ask(cloud, "GET", f"{path}/{listed['request_id']}", token, headers=headers).json()["instanceAction"]

    assert "events" not in listed
    assert ("events" in one) is (shown is True)
    if shown:
        ended = [(event["event"], event["result"]) for event in one["events"]]
        assert ended == ([] if host_down else [("compute_terminate_instance", "Success")])
    assert ask(cloud, "GET", f"{path}/req-unknown", token, headers=headers).status_code == 404


@pytest.mark.parametrize("spelling", ["{SERVER}", "urn:uuid:SERVER", "SERVER_WITHOUT_HYPHENS"])
def test_a_server_may_be_known_by_another_spelling_alone(cloud: Cloud, spelling: str) -> None:
    canonical = str(uuid.uuid4())
    known = spelling.replace("SERVER_WITHOUT_HYPHENS", canonical.replace("-", "")).replace(
        "SERVER", canonical
    )
    cloud.add_server(known)
    token = cloud.token()

    assert (
        ask(cloud, "GET", servers(cloud, f"/{quote(known, safe='')}"), token).json()["server"]["id"] == known
    )
    assert ask(cloud, "GET", servers(cloud, f"/{canonical}"), token).status_code == 404
