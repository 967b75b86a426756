"""The image's recipe: linted, and carried out step by step without an engine."""

from __future__ import annotations

import json
import py_compile
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from importlib.metadata import distributions
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests

from tests.embedded_cloud import Cloud, seed
from tests.infra.interpreters import interpreter
from tests.infra.recipe import IMAGE_PATH, Root, build, stages

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = ROOT / "infra" / "container" / "Dockerfile"
STAGES = stages(DOCKERFILE)
FINAL = STAGES[-1]


def test_passes_hadolint() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    done = subprocess.run(
        [str(hadolint), str(DOCKERFILE)], capture_output=True, encoding="utf-8", check=False
    )
    assert done.returncode == 0, done.stdout


def test_base_image_has_a_version_and_is_the_same_for_both_stages() -> None:
    assert {stage.base for stage in STAGES} == {"python:3.12-slim-bookworm"}


def test_installs_by_hash_from_wheels_only() -> None:
    (install,) = [line for line in STAGES[0].all("RUN") if "pip install" in line]
    words = install.split()
    assert {"--require-hashes", "--only-binary=:all:", "--no-deps", "--no-compile", "--no-cache-dir"} <= set(
        words
    )


def test_final_stage_runs_nothing_that_builds() -> None:
    assert all("install" not in line.replace("uninstall", "") for line in FINAL.all("RUN"))
    assert [line.split()[0] for line in FINAL.all("COPY")] == ["--from=build"]


def test_runs_as_nobody_in_exec_form() -> None:
    assert FINAL.all("USER") == ["65532:65532"]
    (entry,) = FINAL.all("ENTRYPOINT")
    assert json.loads(entry) == ["python", "-m", "handler", "serve"]
    assert FINAL.all("CMD") == []


def test_one_worker_with_threads_to_spare_for_the_probes() -> None:
    assert FINAL.environment["WORKERS"] == "1"
    assert int(FINAL.environment["THREADS"]) == 8 + 2


def test_ignores_all_but_what_it_copies() -> None:
    ignored = DOCKERFILE.with_name("Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    rules = [line for line in ignored if line and not line.startswith("#")]
    assert rules[0] == "*"
    copied = {line.split()[0] for line in STAGES[0].all("COPY")}
    assert {rule.removeprefix("!") for rule in rules if rule.startswith("!")} == copied


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What goes to a builder, as it is now: two builds are of one state, whatever is edited meanwhile."""
    folder = tmp_path_factory.mktemp("context")
    lock = folder / "infra" / "container"
    lock.mkdir(parents=True)
    for name in ("requirements.txt", "sbom.cdx.json"):
        shutil.copy(DOCKERFILE.with_name(name), lock)
    shutil.copytree(ROOT / "handler", folder / "handler")
    return folder


@pytest.fixture(scope="module")
def image(context: Path) -> Iterator[dict[str, Root]]:
    python = interpreter("3.12").resolve().parents[1]
    # not pytest's own folder: only its owner may enter that, and the image runs as somebody else
    folder = Path(tempfile.mkdtemp(prefix="image-"))
    folder.chmod(0o755)
    try:
        yield build(STAGES, context, python, folder)
    finally:
        shutil.rmtree(folder)


def test_holds_our_code_and_the_locked_packages(image: dict[str, Root], context: Path) -> None:
    app = image["final"].files / "app"
    ours = {path.relative_to(app) for path in (app / "handler").rglob("*.py")}
    assert ours == {path.relative_to(context) for path in (context / "handler").rglob("*.py")}
    assert {"functions_framework", "gunicorn", "pydantic", "requests", "openstack"} <= {
        path.name for path in app.iterdir()
    }
    assert not (app / "bin").exists()


def test_its_bill_lists_what_is_inside(image: dict[str, Root]) -> None:
    app = image["final"].files / "app"
    bill = json.loads((app / "sbom.cdx.json").read_text(encoding="utf-8"))
    inside = {(found.name, found.version) for found in distributions(path=[str(app)])}
    assert {(each["name"], each["version"]) for each in bill["components"]} == inside


def test_every_module_has_bytecode_that_no_clock_decides_on(image: dict[str, Root]) -> None:
    app = image["final"].files / "app"
    for source in app.rglob("*.py"):
        compiled = source.parent / "__pycache__" / f"{source.stem}.cpython-312.pyc"
        flags = int.from_bytes(compiled.read_bytes()[4:8], "little")
        # PEP 552: bit 0, named by hash instead of date; bit 1, checked against the source
        assert flags == 1, source
    assert py_compile.PycInvalidationMode.UNCHECKED_HASH.value == 3


def test_is_the_same_when_built_again(image: dict[str, Root], context: Path) -> None:
    folder = Path(tempfile.mkdtemp(prefix="image-"))
    try:
        again = build(STAGES[:1], context, interpreter("3.12").resolve().parents[1], folder)["build"]
        first = image["build"].files / "app"
        listed = {path.relative_to(first) for path in first.rglob("*")}
        second = again.files / "app"
        assert listed == {path.relative_to(second) for path in second.rglob("*")}
        for path in listed:
            if (first / path).is_file():
                assert (first / path).read_bytes() == (second / path).read_bytes(), path
    finally:
        shutil.rmtree(folder)


def test_everybody_may_read_and_nobody_may_write(image: dict[str, Root]) -> None:
    for path in (image["final"].files / "app").rglob("*"):
        mode = path.stat().st_mode
        assert mode & stat.S_IROTH, path
        assert not mode & (stat.S_IWGRP | stat.S_IWOTH), path


def test_has_no_tool_that_installs_or_builds(image: dict[str, Root]) -> None:
    final = image["final"]
    for module in ("pip", "ensurepip", "setuptools", "wheel"):
        script = f"python -c 'import {module}' 2>/dev/null && exit 1 || exit 0"
        final.run(script, {"PATH": IMAGE_PATH, "LD_LIBRARY_PATH": "/usr/local/lib"})


@contextmanager
def served(
    image: dict[str, Root], user: int, settings: dict[str, str], *arguments: str
) -> Iterator[tuple[str, int]]:
    """Start the entry point as a host would: the image's environment, root read-only, no capabilities."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    environment = {
        "PATH": IMAGE_PATH,
        "LD_LIBRARY_PATH": "/usr/local/lib",
        **FINAL.environment,
        "HOST": "127.0.0.1",
        "PORT": str(port),
        **settings,
    }
    words = [*json.loads(FINAL.all("ENTRYPOINT")[0]), *(word.format(port=port) for word in arguments)]
    command = image["final"].command(f"exec {' '.join(words)}", readonly=True, user=user)
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        try:
            url = f"http://127.0.0.1:{port}"
            wait_for(url, process)
            yield url, process.pid
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=30)


def wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    for _ in range(300):
        try:
            if requests.get(f"{url}/healthz", timeout=5).ok:
                return
        except requests.ConnectionError:
            time.sleep(0.1)
        if process.poll() is not None:
            break
    process.kill()
    output = process.communicate()[0].decode()
    raise AssertionError(f"the image did not start:\n{output}")


@pytest.mark.parametrize("user", [65532, 1003])
def test_clears_an_orphan_as_any_user_on_a_read_only_root(image: dict[str, Root], user: int) -> None:
    with Cloud() as cloud:
        cloud.seed()
        settings = {
            **cloud.environment(),
            "DETACH_TOKEN_SECRET": "env:TOKEN",
            "TOKEN": cloud.token(),
            "DETACH_INVOKE_AUTH": "platform",
        }
        with served(image, user, settings) as (url, pid):
            assert requests.get(f"{url}/readyz", timeout=10).status_code == 200
            answer = post(url, "/", {"volume_id": seed.ORPHAN_VOLUME})
            assert (answer["outcome"], answer["trigger"]) == ("detached", "http")
            assert cloud.volume(seed.ORPHAN_VOLUME).status == "available"
            assert len(Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="utf-8").split()) == 1


def test_logs_in_with_openstack_s_own_credentials(image: dict[str, Root]) -> None:
    with Cloud() as cloud:
        cloud.seed()
        cloud.add_user("robot", "a password")
        settings = {
            "DETACH_TOKEN_SECRET": "openstack:",
            "DETACH_INVOKE_AUTH": "platform",
            "OS_AUTH_URL": cloud.identity_endpoint,
            "OS_USERNAME": "robot",
            "OS_PASSWORD": "a password",
            "OS_USER_DOMAIN_NAME": "Default",
            "OS_PROJECT_ID": cloud.project_id,
        }
        with served(image, 65532, settings) as (url, _):
            answer = post(url, "/", {"volume_id": seed.ORPHAN_VOLUME})
            assert answer["outcome"] == "detached", answer


def test_takes_the_port_as_functiongraph_gives_it(image: dict[str, Root]) -> None:
    # the Terraform module starts the image with these arguments; PORT stays what the image says
    with served(image, 1003, {"PORT": "1"}, "--port", "{port}") as (url, _):
        assert requests.post(f"{url}/init", timeout=10).status_code == 200


def post(url: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
    answer: dict[str, Any] = requests.post(f"{url}{path}", json=body, timeout=30).json()
    return answer
