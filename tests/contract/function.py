"""The function as it is deployed: functions-framework in a process of its own, spoken to over HTTP."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import requests

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_ROOT = Path(__file__).parents[2]
_PATIENCE = 60.0
_RUNNING = 6


@dataclass(frozen=True)
class Answer:
    """What the function answered. ``document`` is None when the body is empty."""

    status: int
    headers: Mapping[str, str]
    document: Any

    @property
    def results(self) -> list[dict[str, Any]]:
        """The results of the targets, one or several."""
        found: list[dict[str, Any]] = self.document.get("results", [self.document])
        return found


class Function:
    """One running deployment."""

    def __init__(self, settings: Mapping[str, str], folder: Path) -> None:
        self._key = secrets.token_hex(16)
        key = folder / "invoke-key"
        key.touch(mode=0o600)
        key.write_text(self._key, encoding="utf-8")
        self._log = folder / "function.log"
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self._url = f"http://127.0.0.1:{port}"
        environment = {
            **{name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ},
            "PYTHONDONTWRITEBYTECODE": "1",
            "DETACH_INVOKE_AUTH": "bearer",
            "DETACH_INVOKE_SECRET": f"file:{key}",
            **settings,
        }
        command = [sys.executable, "-m", "functions_framework", "--target", "detach"]
        command += ["--source", "handler/main.py", "--host", "127.0.0.1", "--port", str(port)]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                *(command,),
                cwd=_ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            self._await()
        except BaseException:
            self.close()
            raise

    def post(self, work: Any, headers: Mapping[str, str] | None = None) -> Answer:
        """Send one event, with the key that callers need."""
        bearer = {"Authorization": f"Bearer {self._key}", "Content-Type": "application/json"}
        answer = requests.post(
            self._url, data=json.dumps(work), headers={**bearer, **(headers or {})}, timeout=_PATIENCE
        )
        return Answer(answer.status_code, answer.headers, answer.json() if answer.content else None)

    def last_words(self) -> str:
        """Give the end of the function's log, for a case that went otherwise than expected."""
        return self._log.read_text(errors="replace", encoding="utf-8")[-3000:]

    def close(self) -> None:
        """End the process and its workers at once: it keeps nothing that could be lost."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def _await(self) -> None:
        deadline = time.monotonic() + _PATIENCE
        while True:
            with contextlib.suppress(requests.ConnectionError):
                ready = requests.get(f"{self._url}/readyz", timeout=_PATIENCE)
                assert ready.status_code == 200, ready.text
                return
            ended = self._process.poll() is not None
            if ended or time.monotonic() > deadline:
                raise AssertionError(f"the function does not come up\n{self.last_words()}")
            time.sleep(0.05)


class Functions:
    """Deployments by their settings; a few are kept running, the longest unused one makes room."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running: OrderedDict[frozenset[tuple[str, str]], Function] = OrderedDict()
        self._made = 0

    def secret(self, content: Any) -> str:
        """Write a secret to a file; give its reference."""
        self._made += 1
        path = self._folder / f"secret-{self._made}"
        path.touch(mode=0o600)
        path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
        return f"file:{path}"

    def get(self, settings: Mapping[str, str]) -> Function:
        """Give the deployment of these settings, a warm one if there is one."""
        key = frozenset(settings.items())
        if key not in self._running:
            if len(self._running) >= _RUNNING:
                self._running.popitem(last=False)[1].close()
            self._made += 1
            folder = self._folder / f"function-{self._made}"
            folder.mkdir()
            self._running[key] = Function(settings, folder)
        self._running.move_to_end(key)
        return self._running[key]

    def kill(self, settings: Mapping[str, str]) -> None:
        """End the deployment of these settings in the middle of whatever it does."""
        self._running.pop(frozenset(settings.items())).close()

    def close(self) -> None:
        for function in self._running.values():
            function.close()
        self._running.clear()


@contextlib.contextmanager
def deployments(folder: Path) -> Iterator[Functions]:
    """Give deployments that end with the block."""
    functions = Functions(folder)
    try:
        yield functions
    finally:
        functions.close()
