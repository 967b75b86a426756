"""Plain HTTP as hosts serve it: functions-framework's own server, a process, real sockets."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import requests

from tests.embedded_cloud import Cloud, seed
from tests.unit.deployment import AUTHORIZED, KEY, MAIN, RESULT_KEYS

FORM = {"volume_id": seed.ORPHAN_VOLUME, "attachment_id": seed.ORPHAN_ATTACHMENT}
LIMIT = 262_144


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def served(environment: Mapping[str, str], folder: Path) -> Iterator[tuple[str, int]]:
    """The function's URL and process id, started in a folder from which nothing leads to our package."""
    port = free_port()
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "functions_framework", f"--source={MAIN}", "--target=detach"],
            cwd=folder,
            env={
                "PATH": os.environ["PATH"],
                "PORT": str(port),
                "HOST": "127.0.0.1",
                "THREADS": "8",
                "PYTHONDONTWRITEBYTECODE": "1",
                **environment,
            },
            stdout=log,
            stderr=log,
        )
        url = f"http://127.0.0.1:{port}"
        try:
            for _ in range(600):
                if process.poll() is not None:
                    pytest.fail((folder / "log").read_text(encoding="utf-8"))
                try:
                    requests.get(f"{url}/healthz", timeout=5).close()
                    break
                except requests.ConnectionError:
                    time.sleep(0.05)
            yield url, process.pid
        finally:
            process.terminate()
            process.wait(30)


@pytest.fixture(scope="module")
def function(seeded: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, int]]:
    environment = {
        **seeded.environment(),
        "DETACH_TOKEN_SECRET": "env:CLOUD_TOKEN",
        "CLOUD_TOKEN": seeded.token(),
        "DETACH_INVOKE_SECRET": "env:CALLERS_KEY",
        "CALLERS_KEY": KEY,
    }
    with served(environment, tmp_path_factory.mktemp("elsewhere")) as running:
        yield running


@pytest.fixture
def url(function: tuple[str, int], seeded: Cloud) -> str:
    seeded.reset()
    return function[0]


def connect(url: str) -> socket.socket:
    host, port = url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=20)


def head(lines: list[str], key: str | None = KEY) -> bytes:
    authorization = [f"Authorization: Bearer {key}"] if key else []
    whole = [*lines, "Host: x", "Content-Type: application/json", *authorization]
    return "\r\n".join([*whole, "", ""]).encode()


def answer_of(connection: socket.socket) -> tuple[int, dict[str, object]]:
    with closing(http.client.HTTPResponse(connection)) as response:
        response.begin()
        return response.status, json.loads(response.read())


def test_is_served_from_a_folder_that_does_not_know_it(url: str, seeded: Cloud) -> None:
    answer = requests.post(url, json=FORM, headers=AUTHORIZED, timeout=20)
    assert answer.status_code == 200
    assert set(answer.json()) == RESULT_KEYS
    assert answer.json()["outcome"] == "detached"
    assert len(seeded.posts(seed.ORPHAN_VOLUME)) == 1


def test_a_connection_is_kept_over_answers_of_all_kinds(url: str) -> None:
    host = url.removeprefix("http://")
    with closing(http.client.HTTPConnection(host, timeout=20)) as connection:
        local = None
        for method, path, body, status in (
            ("POST", "/", json.dumps(FORM), 200),
            ("GET", "/healthz", None, 200),
            ("HEAD", "/readyz", None, 200),
            ("POST", "/", "not JSON", 400),
            ("POST", "/init", "x" * 1000, 200),
            ("GET", "/", None, 405),
            ("POST", "/", json.dumps(FORM), 200),
        ):
            headers = {**AUTHORIZED, "Content-Type": "application/json"}
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            response.read()
            assert response.status == status
            if connection.sock and local is None:
                local = connection.sock.getsockname()
        assert connection.sock
        assert connection.sock.getsockname() == local


def chunk(content: bytes) -> bytes:
    return f"{len(content):x}\r\n".encode() + content + b"\r\n"


def test_chunked_bodies_are_taken_up_to_the_limit(url: str) -> None:
    form = json.dumps(FORM).encode()
    for size, status in ((len(form), 200), (LIMIT, 200), (LIMIT + 1, 413)):
        with closing(connect(url)) as connection:
            connection.sendall(head(["POST / HTTP/1.1", "Transfer-Encoding: chunked"]))
            body = form + b" " * (size - len(form))
            for start in range(0, size, 60_000):
                connection.sendall(chunk(body[start : start + 60_000]))
            connection.sendall(b"0\r\n\r\n")
            assert answer_of(connection)[0] == status


@pytest.mark.parametrize(
    ("key", "status", "code"),
    [(KEY, 413, "invalid_request"), (None, 401, "unauthenticated"), ("wrong", 403, "forbidden")],
)
@pytest.mark.parametrize("path", ["/", "/invoke"])
def test_a_body_without_end_is_answered_before_it_ends(
    url: str, path: str, key: str | None, status: int, code: str
) -> None:
    with closing(connect(url)) as connection:
        connection.sendall(head([f"POST {path} HTTP/1.1", "Content-Length: 1000000000000"], key))
        connection.sendall(b"[" * 1000)
        found, result = answer_of(connection)
    error = result["error"]
    assert isinstance(error, dict)
    assert (found, error["code"]) == (status, code)


def memory_of(process: int) -> int:
    """The most kilobytes that the server and its workers have held."""
    children = Path(f"/proc/{process}/task/{process}/children").read_text(encoding="utf-8").split()
    most = 0
    for number in (process, *children):
        for line in Path(f"/proc/{number}/status").read_text(encoding="utf-8").splitlines():
            if line.startswith("VmHWM:"):
                most = max(most, int(line.split()[1]))
    return most


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's /proc")
def test_a_flood_is_not_kept_in_memory(url: str, function: tuple[str, int]) -> None:
    before = memory_of(function[1])
    for path, key in (("/", KEY), ("/", "wrong"), ("/init", None), ("/healthz", None)):
        with closing(connect(url)) as connection:
            connection.sendall(head([f"POST {path} HTTP/1.1", "Transfer-Encoding: chunked"], key))
            piece = chunk(b"x" * 1_000_000)
            try:
                for _ in range(60):
                    connection.sendall(piece)
            except (BrokenPipeError, ConnectionResetError, TimeoutError):
                pass  # the server has hung up, as it should
    assert requests.get(f"{url}/healthz", timeout=20).status_code == 200
    assert memory_of(function[1]) - before < 20_000


def test_a_caller_who_breaks_off_leaves_the_function_working(url: str, seeded: Cloud) -> None:
    for _ in range(3):
        with closing(connect(url)) as connection:
            connection.sendall(head(["POST / HTTP/1.1", "Content-Length: 1000"]) + b'{"volume_id":')
    assert requests.post(url, json=FORM, headers=AUTHORIZED, timeout=20).json()["outcome"] == "detached"
    assert len(seeded.posts()) == 1


def test_wrong_settings_do_not_keep_it_from_starting(tmp_path: Path) -> None:
    with served({"DETACH_REGION": "no region!"}, tmp_path) as (url, _):
        assert requests.get(f"{url}/healthz", timeout=20).status_code == 200
        ready = requests.get(f"{url}/readyz", timeout=20)
        assert (ready.status_code, ready.json()["ready"]) == (503, False)
        assert "DETACH_REGION" in ready.json()["error"]["message"]
        answer = requests.post(url, json=FORM, timeout=20)
        assert (answer.status_code, answer.json()["error"]["code"]) == (500, "configuration")
        assert "no region!" not in answer.text + ready.text + (tmp_path / "log").read_text(encoding="utf-8")
