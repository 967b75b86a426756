"""The FunctionGraph zip: complete, the same each time, and at work in the runtime's own Python."""

from __future__ import annotations

import email
import hashlib
import json
import stat
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.embedded_cloud import Cloud, seed
from tests.infra.interpreters import interpreter
from tests.locks import read_lock

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "infra" / "functiongraph" / "package.py"
VERSIONS = ("3.10", "3.12")

# Runs in the clean interpreter: -I keeps this machine's settings out, -S its site-packages. What is left is
# the standard library, and the folder that the zip was unpacked into, as on FunctionGraph.
CALL = """
import json, sys
sys.path.insert(0, sys.argv[1])
import index

class Context:
    def getRequestID(self): return "11111111-2222-4333-8444-555555555555"
    def getRemainingTimeInMilliSeconds(self): return 20000
    def getUserData(self, key): return json.loads(sys.argv[2]).get(key)
    def getToken(self): return sys.argv[4]
    def getProjectID(self): return json.loads(sys.argv[2])["DETACH_PROJECT_ID"]

try:
    answer = {"returned": index.handler(json.loads(sys.argv[3]), Context())}
except Exception as error:
    answer = {"raised": str(error)}
origins = {name: getattr(module, "__file__", None) for name, module in sys.modules.items()}
print(json.dumps({**answer, "path": sys.path, "origins": origins}))
"""


def packed(version: str, folder: Path, umask: int = 0o022) -> tuple[Path, str]:
    """Pack for one Python; the zip and what was said about it."""
    command = [sys.executable, str(SCRIPT), "--python", version, "--folder", str(folder)]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=True, umask=umask)
    (output,) = folder.iterdir()
    return output, done.stdout


@pytest.fixture(scope="module", params=VERSIONS)
def package(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    output, said = packed(request.param, tmp_path_factory.mktemp("package"))
    assert output.name == f"evs-detach-functiongraph-py{request.param}.zip"
    assert f"{output.stat().st_size / 2**20:.1f} MiB" in said
    assert hashlib.sha256(output.read_bytes()).hexdigest() in said
    return request.param, output


def test_two_packings_give_the_same_bytes(package: tuple[str, Path], tmp_path: Path) -> None:
    version, first = package
    second, _ = packed(version, tmp_path / "elsewhere", umask=0o077)
    assert first.read_bytes() == second.read_bytes()


def test_entries_have_one_order_date_and_mode(package: tuple[str, Path]) -> None:
    with zipfile.ZipFile(package[1]) as archive:
        entries = archive.infolist()
    assert [entry.filename for entry in entries] == sorted(entry.filename for entry in entries)
    assert {entry.date_time for entry in entries} == {(1980, 1, 1, 0, 0, 0)}
    assert {entry.external_attr >> 16 for entry in entries} == {stat.S_IFREG | 0o644}


def test_holds_the_entry_our_code_and_its_dependencies_only(package: tuple[str, Path]) -> None:
    with zipfile.ZipFile(package[1]) as archive:
        names = archive.namelist()
    tops = {name.partition("/")[0] for name in names}
    assert {"index.py", "handler", "pydantic", "pydantic_core", "requests", "urllib3"} <= tops
    assert not tops & {"flask", "functions_framework", "gunicorn", "werkzeug", "uvicorn", "bin", "google"}
    ours = {name for name in names if name.startswith("handler/")}
    sources = {path.relative_to(ROOT).as_posix() for path in (ROOT / "handler").rglob("*.py")}
    assert sources <= ours
    assert not [name for name in names if name.endswith((".pyc", ".pth", "/RECORD", "/INSTALLER", ".lock"))]


def test_its_bill_lists_what_is_inside(package: tuple[str, Path]) -> None:
    with zipfile.ZipFile(package[1]) as archive:
        bill = json.loads(archive.read("sbom.cdx.json"))
        metadata = [
            email.message_from_bytes(archive.read(name))
            for name in archive.namelist()
            if name.endswith(".dist-info/METADATA")
        ]
    assert {(each["name"], each["version"]) for each in bill["components"]} == {
        (each["Name"], each["Version"]) for each in metadata
    }


def test_compiled_parts_are_for_that_python_and_an_old_linux(package: tuple[str, Path]) -> None:
    version, archive_path = package
    tag = f"cpython-{version.replace('.', '')}-x86_64-linux-gnu"
    with zipfile.ZipFile(archive_path) as archive:
        compiled = [name for name in archive.namelist() if ".so" in name]
        wheels = {
            line.removeprefix("Tag: ")
            for name in archive.namelist()
            if name.endswith(".dist-info/WHEEL")
            for line in archive.read(name).decode().splitlines()
            if line.startswith("Tag: ")
        }
    assert compiled
    assert all(tag in name or "__mypyc" in name for name in compiled)
    pythons = f"cp{version.replace('.', '')}"
    for wheel in wheels:
        assert wheel in {"py3-none-any", "py2-none-any"} or (
            wheel.startswith(pythons) and "manylinux" in wheel and "x86_64" in wheel
        ), wheel


def test_leaves_out_nothing_but_the_web_server_and_the_terminal() -> None:
    declared = {root.name for root in read_lock(ROOT / "requirements.txt", ROOT).roots}
    packed_roots = SCRIPT.read_text(encoding="utf-8").partition("DEPENDENCIES = (")[2].partition(")")[0]
    packed_names = {root.strip().strip('"') for root in packed_roots.split(",")}
    assert declared - packed_names == {"functions-framework", "flask", "werkzeug", "click", "gunicorn", "h11"}
    assert packed_names <= declared


def called(package: tuple[str, Path], tmp_path: Path, cloud: Cloud, event: Any) -> dict[str, Any]:
    """Call ``index.handler`` of the unpacked zip, settings from user data, the token from the context."""
    version, archive_path = package
    python = interpreter(version)
    with zipfile.ZipFile(archive_path) as archive:
        archive.extractall(tmp_path)
    settings = {**cloud.environment(), "DETACH_TOKEN_SECRET": "context:", "DETACH_INVOKE_AUTH": "platform"}
    arguments = [str(tmp_path), json.dumps(settings), json.dumps(event), cloud.token()]
    command = [str(python), "-I", "-S", "-B", "-c", CALL, *arguments]
    done = subprocess.run(
        command, capture_output=True, encoding="utf-8", check=False, env={}, cwd="/", timeout=60
    )
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    homes = (str(tmp_path), str(python.resolve().parents[1]))
    assert not [origin for origin in answer["origins"].values() if origin and not origin.startswith(homes)]
    everything = [*answer["path"], *filter(None, answer["origins"].values())]
    assert not [place for place in everything if "site-packages" in place or "dist-packages" in place]
    return answer


def timer(work: dict[str, str]) -> dict[str, str]:
    """Give the event of a schedule whose text is ``work``."""
    return {
        "version": "v1.0",
        "time": "2026-11-24T03:00:00+00:00",
        "trigger_type": "TIMER",
        "trigger_name": "evs-detach",
        "user_event": json.dumps(work),
    }


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    with Cloud() as cloud:
        cloud.seed()
        yield cloud


def test_clears_an_orphan_in_a_clean_interpreter(
    package: tuple[str, Path], tmp_path: Path, cloud: Cloud
) -> None:
    answer = called(package, tmp_path, cloud, timer({"volume_id": seed.ORPHAN_VOLUME}))
    assert answer["returned"]["outcome"] == "detached", answer
    assert answer["returned"]["trigger"] == "timer"
    assert answer["returned"]["request_id"] == "11111111-2222-4333-8444-555555555555"
    assert cloud.volume(seed.ORPHAN_VOLUME).status == "available"


def test_refuses_a_live_server_in_a_clean_interpreter(
    package: tuple[str, Path], tmp_path: Path, cloud: Cloud
) -> None:
    event = {
        "httpMethod": "POST",
        "path": "/detach",
        "headers": {"content-type": "application/json"},
        "requestContext": {"requestId": "a" * 32, "stage": "RELEASE"},
        "pathParameters": {},
        "queryStringParameters": {},
        "body": json.dumps({"volume_id": seed.LIVE_VOLUME}),
        "isBase64Encoded": False,
    }
    answer = called(package, tmp_path, cloud, event)
    assert answer["returned"]["statusCode"] == 409, answer["returned"]
    assert json.loads(answer["returned"]["body"])["error"]["code"] == "server_exists"
    assert cloud.posts() == []


def test_what_can_be_tried_again_is_raised(package: tuple[str, Path], tmp_path: Path, cloud: Cloud) -> None:
    cloud.compute_down = True
    answer = called(package, tmp_path, cloud, timer({"volume_id": seed.ORPHAN_VOLUME}))
    assert json.loads(answer["raised"])["error"]["code"] == "upstream_unavailable", answer
    assert cloud.posts() == []
