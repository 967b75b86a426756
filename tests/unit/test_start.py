"""What a cold start pays for: the modules that a first event imports, and how deep in one another.

Each module costs a cold start by being there, whatever the machine. So a new one is put on the list here only
where a first event of form *one* needs it; else it is imported where it is used.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib.metadata import packages_distributions

import pytest

from tests.embedded_cloud import Cloud, seed
from tests.unit.deployment import MAIN
from tests.unit.pages import ROOT

FOLDERS = {
    "handler": {"errors", "invocation", "routes", "runtime", "secret", "telemetry", "tracing"},
    "handler.actions": {
        "batch",
        "belonging",
        "clear",
        "dispatch",
        "early",
        "guards",
        "observer",
        "os_detach",
        "project",
        "proof",
    },
    "handler.cloud": {
        "absence",
        "answer_reading",
        "catalog",
        "connection",
        "dial",
        "endpoints",
        "entries",
        "faults",
        "messages",
        "no_answer",
        "paging",
        "proxies",
        "redaction",
        "servers",
        "service",
        "transport",
        "volumes",
    },
    "handler.credentials": {
        "caller_keys",
        "ending",
        "identity",
        "identity_answers",
        "identity_requests",
        "platform_token",
        "secret_content",
        "single_flight",
        "token",
        "token_auth",
    },
    "handler.credentials.stores": {"base", "context", "env", "file"},
    "handler.model": {"addresses", "bounded_json", "disk", "request", "result", "sent", "values"},
    "handler.settings": {
        "cloud_loader",
        "environment",
        "openstack",
        "opt_in",
        "regions",
        "scope",
        "secret_reference",
        "trust",
        "vault",
    },
    "handler.triggers": {"functiongraph", "http", "parse", "platform", "reply"},
}
NEEDED = {*FOLDERS, *(f"{folder}.{name}" for folder, names in FOLDERS.items() for name in names)}
FRAMEWORK = frozenset({"flask", "werkzeug", "click", "typing_extensions"})
"""What it imports when it makes its app, and what its client for tests does."""
LIBRARIES = frozenset({"requests", "urllib3", "charset_normalizer", "idna", "certifi", "pydantic_core"})
DEEPEST = 9
"""Imports within one another; with some 13, handler/main.py says what becomes of it."""

FIRST_EVENT = """
import json, sys
import functions_framework
before = set(sys.modules)
app = functions_framework.create_app("detach", sys.argv[1], "http")
client = app.test_client()  # brings werkzeug's own, which no deployment has
answer = client.post("/", json={"volume_id": sys.argv[2]}, headers={"Authorization": "Bearer " + sys.argv[3]})
print(json.dumps([answer.json, sorted(set(sys.modules) - before)]))
"""


@pytest.fixture
def imported(cloud: Cloud) -> list[str]:
    """What a fresh process has imported beside the framework once its first event is answered."""
    key = "the-key-of-the-callers"
    settings = {
        **cloud.environment(),
        "DETACH_TOKEN_SECRET": "env:CLOUD_TOKEN",
        "CLOUD_TOKEN": cloud.token(),
        "DETACH_INVOKE_SECRET": "env:CALLERS_KEY",
        "CALLERS_KEY": key,
        "DETACH_LOG_LEVEL": "ERROR",
    }
    done = subprocess.run(
        [sys.executable, "-c", FIRST_EVENT, str(MAIN), seed.ORPHAN_VOLUME, key],
        cwd=ROOT,
        env=settings,
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    result, modules = json.loads(done.stdout.splitlines()[-1])
    assert result["outcome"] == "detached"
    found: list[str] = modules
    return found


def test_a_first_event_imports_what_it_needs_and_nothing_more(imported: list[str]) -> None:
    ours = {name for name in imported if name.split(".")[0] == "handler"}
    assert ours == NEEDED


def test_a_first_event_imports_no_more_of_the_libraries(imported: list[str]) -> None:
    theirs = {name.split(".")[0] for name in imported} & packages_distributions().keys()
    assert theirs - FRAMEWORK - {"handler"} <= LIBRARIES


def test_no_import_lies_deep_within_others() -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", "import functions_framework, handler.main"],
        cwd=ROOT,
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    lines = re.findall(r"^import time: +\d+ \| +\d+ \|( +)(\S+)$", done.stderr, re.MULTILINE)
    names = [name for _, name in lines]
    ours = lines[names.index("functions_framework") + 1 :]
    assert "handler.main" in names
    assert max((len(blanks) - 1) // 2 for blanks, _ in ours) <= DEEPEST
