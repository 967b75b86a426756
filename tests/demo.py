"""What `make run` shows: the function, served as in production, and its command, at the embedded cloud.

Starts both on loopback, sends the sample events by their real triggers, runs the command, shows what comes
back, and ends what it started. Ends with 0 when every sample got the outcome that events/README.md promises,
and every command the exit code that is written here.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import shlex
import socket
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from tests.embedded_cloud import Cloud
from tests.embedded_cloud.seed import (
    DETACHER,
    DETACHER_DOMAIN,
    DETACHER_PASSWORD,
    LIVE_ATTACHMENT,
    LIVE_SERVER,
    LIVE_VOLUME,
    STUCK_DETACHING_VOLUME,
)

ROOT = Path(__file__).resolve().parents[1]
EVENTS = ROOT / "events"
START_WITHIN = 60.0  # seconds
VAULT_PATH = "evs-detach"


@dataclass(frozen=True)
class Step:
    """One sample: what it shows, its file, the path it is posted to, and what must come back."""

    title: str
    file: str
    status: int
    outcomes: tuple[str, ...]
    path: str = "/"
    content_type: str = "application/json"
    again: bool = False  # in the world as the step before left it


_EVENT = "application/cloudevents+json"

STEPS = (
    Step("A stuck disk is cleared", "http-one.json", 200, ("detached",)),
    Step("Asked again, there is nothing left to do", "http-one.json", 200, ("already_detached",), again=True),
    Step("A server that lives keeps its disk", "http-live-server.json", 409, ("refused",)),
    Step("A dry run looks and judges, and sends nothing", "http-dry-run.json", 200, ("would_detach",)),
    Step("A bad request is told where it is bad", "http-invalid.json", 400, ("failed",)),
    Step(
        "Several at once, each on its own",
        "http-batch.json",
        207,
        ("would_detach", "already_detached", "refused"),
    ),
    Step("All disks of a server that is gone", "http-server.json", 200, ("detached",)),
    Step("A sweep over the project, dry", "http-sweep.json", 200, ("would_detach",)),
    Step("A CloudEvent gets a CloudEvent back", "cloudevent-one.json", 200, ("detached",), "/", _EVENT),
    Step("FunctionGraph: a timer", "timer-one.json", 200, ("detached",), "/invoke"),
    Step("FunctionGraph: a message of SMN", "smn-one.json", 200, ("detached",), "/invoke"),
    Step("FunctionGraph: an API gateway", "apig-one.json", 200, ("detached",), "/invoke"),
    Step("FunctionGraph: CTS tells of a deleted server", "cts-server.json", 200, ("detached",), "/invoke"),
    Step("FunctionGraph: CTS tells of something else", "cts-other.json", 200, ("ignored",), "/invoke"),
    Step("FunctionGraph: EventGrid", "eventgrid-one.json", 200, ("detached",), "/invoke"),
)
SHOWN_WHOLE = 5  # the rest is shown in short

COMMANDS = (
    ("check", 0),
    ("sweep --volume 543fdc50-6daa-48e5-808c-c4189495d318", 0),
    ("sweep --apply --limit 3 --report build/demo.html --report build/demo.md", 3),
    ("detach 543fdc50-6daa-48e5-808c-c4189495d318", 0),
    ("detach a865b938-d39c-47e6-828f-744f5b818230", 3),
    ("server c4e06c4b-995f-4118-be27-050e9c62deb8 --dry-run --exit-code", 4),
    (f"detach {LIVE_VOLUME} --attachment {LIVE_ATTACHMENT} --server {LIVE_SERVER} --live --yes --wait 1m", 0),
    (f"detach {STUCK_DETACHING_VOLUME} --recover", 0),
)
"""What is typed after evs-detach, and what it ends with."""


@dataclass
class Function:
    """The function as it is served, the key of its callers, and the settings that it was given."""

    url: str
    key: str
    settings: Mapping[str, str]
    process: subprocess.Popen[bytes]
    log: Path

    def send(self, body: bytes, path: str = "/", content_type: str = "application/json") -> requests.Response:
        """Post an event as a caller would."""
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": content_type}
        return requests.post(f"{self.url}{path}", data=body, headers=headers, timeout=60)


@contextmanager
def serving(cloud: Cloud, settings: Mapping[str, str], port: int = 0) -> Iterator[Function]:
    """Serve the function against a cloud, on loopback, until the block ends."""
    with tempfile.TemporaryDirectory(prefix="evs-detach-") as folder:
        key, keys, log = secrets.token_urlsafe(24), Path(folder) / "callers", Path(folder) / "log"
        keys.write_text(key, encoding="utf-8")
        port = port or _free_port()
        given = {**cloud.environment(), "DETACH_INVOKE_SECRET": f"file:{keys}", **settings}
        environment = {**_machine(), **given}
        command = [sys.executable, "-m", "handler", "serve", "--host", "127.0.0.1", "--port", str(port)]
        with log.open("wb") as output:
            process = subprocess.Popen(command, env=environment, cwd=ROOT, stdout=output, stderr=output)
        try:
            function = Function(f"http://127.0.0.1:{port}", key, given, process, log)
            _await(function)
            yield function
        finally:
            process.terminate()
            process.wait(timeout=30)


def _machine() -> dict[str, str]:
    """This machine's environment, without settings of the function's."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("DETACH_", "VAULT_"))}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _await(function: Function) -> None:
    until = time.monotonic() + START_WITHIN
    while time.monotonic() < until and function.process.poll() is None:
        try:
            if requests.get(f"{function.url}/readyz", timeout=5).ok:
                return
        except requests.ConnectionError:
            time.sleep(0.1)
    raise SystemExit(f"the function did not start:\n{function.log.read_text(encoding='utf-8')}")


def _vault_settings(cloud: Cloud) -> dict[str, str]:
    """Keep what the token is issued for in the embedded cloud's Vault: a store other than a file."""
    secret = {"username": DETACHER, "password": DETACHER_PASSWORD, "domain": DETACHER_DOMAIN}
    cloud.put_vault_secret("secret", VAULT_PATH, secret)
    token = secrets.token_urlsafe(16)
    cloud.add_vault_token(token)
    return {"DETACH_TOKEN_SECRET": f"vault:secret/{VAULT_PATH}", "VAULT_TOKEN": token}


def _result(answer: requests.Response) -> dict[str, Any]:
    body: dict[str, Any] = answer.json()
    if "statusCode" in body:  # what an API gateway is answered
        body = json.loads(body["body"])
    return body


def _show(number: int, step: Step, answer: requests.Response, result: dict[str, Any]) -> None:
    print(f"\n{number:2}. {step.title}")
    print(f"    POST {step.path}  events/{step.file}")
    event = answer.headers.get("Ce-Type")
    print(f"    HTTP {answer.status_code}" + (f", a CloudEvent of type {event}" if event else ""))
    if number <= SHOWN_WHOLE:
        print(textwrap.indent(json.dumps(result, indent=2, ensure_ascii=False), "    "))
        return
    for part in result.get("results", [result]):
        error = part["error"]
        said = f"  {error['code']}" if error else ""
        print(f"    {part['outcome']:16} {part['volume_id'] or '-':36}{said}")


def _run(cloud: Cloud, function: Function) -> int:
    wrong = 0
    for number, step in enumerate(STEPS, 1):
        if not step.again:
            cloud.reset()
        answer = function.send((EVENTS / step.file).read_bytes(), step.path, step.content_type)
        result = _result(answer)
        _show(number, step, answer, result)
        outcomes = set(result["summary"] if "results" in result else [result["outcome"]])
        if (answer.status_code, outcomes) != (step.status, set(step.outcomes)):
            print(f"    WRONG: expected HTTP {step.status} and {', '.join(step.outcomes)}")
            wrong += 1
    print(f"\n{len(STEPS) - wrong} of {len(STEPS)} samples gave what events/README.md promises.")
    return 1 if wrong else 0


def command_environment(cloud: Cloud, settings: Mapping[str, str]) -> dict[str, str]:
    """The settings with which the command works at a cloud."""
    return {**cloud.environment(), **settings}


def _run_commands(cloud: Cloud, settings: Mapping[str, str]) -> int:
    """Run the command as a person would; how many ended otherwise than they should."""
    cloud.reset()
    wrong = 0
    (ROOT / "build").mkdir(exist_ok=True)
    environment = {**_machine(), **command_environment(cloud, settings), "COLUMNS": "120"}
    for words, code in COMMANDS:
        print(f"\n    $ evs-detach {words}")
        command = [sys.executable, "-m", "handler", *words.split(), "--output", "table"]
        ran = subprocess.run(
            command, env=environment, cwd=ROOT, capture_output=True, encoding="utf-8", check=False
        )
        said = [line for line in ran.stderr.splitlines() if not line.startswith("{")]
        print(textwrap.indent("\n".join([*said, *ran.stdout.splitlines()]), "    "))
        if ran.returncode != code:
            print(f"    WRONG: ended with {ran.returncode}, not {code}")
            wrong += 1
    print(f"\n{len(COMMANDS) - wrong} of {len(COMMANDS)} commands ended as they should.")
    return wrong


def _serve(function: Function) -> int:
    print(f"The function listens on {function.url} until you press Ctrl-C. In another terminal:\n")
    print(f"  export PATH={shlex.quote(str(Path(sys.executable).parent))}:$PATH")
    print(f"  export URL={function.url} KEY={function.key}")
    for name, value in sorted(function.settings.items()):
        print(f"  export {name}={shlex.quote(value)}")
    print(
        '  curl -X POST "$URL/" -H "Authorization: Bearer $KEY" -H "Content-Type: application/json" '
        "-d @events/http-one.json"
    )
    print("  python -m handler events/http-one.json")
    print("  python -m handler sweep\n")
    try:
        return function.process.wait()
    except KeyboardInterrupt:
        return 0


def main() -> int:
    """Run the demo, or serve it; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.demo", description=__doc__)
    parser.add_argument("--serve", action="store_true", help="keep it running for curl")
    parser.add_argument("--port", type=int, default=0, help="the function's port (default: a free one)")
    options = parser.parse_args()
    with Cloud() as cloud:
        cloud.seed()
        settings = _vault_settings(cloud)
        with serving(cloud, settings, options.port) as function:
            if options.serve:
                return _serve(function)
            failed = _run(cloud, function)
        return 1 if _run_commands(cloud, settings) or failed else 0


if __name__ == "__main__":
    sys.exit(main())
