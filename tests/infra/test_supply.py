"""What image and zips are made of: listed with hashes and licences, allowed, and asked about."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast

import pytest
from packaging.markers import Environment, default_environment

from handler import __version__
from infra.functiongraph.package import PYTHONS, ROOT
from infra.supply import sbom
from infra.supply.audit import NotAudited, audit, pins
from tests.locks import read_lock

TOOLS = ROOT / "build" / "supply-venv" / "bin"
FUNCTIONGRAPH = {f"infra/functiongraph/sbom-py{python}.cdx.json": python for python in PYTHONS}
IMAGE = "infra/container/sbom.cdx.json"
BILLS = {name: json.loads((ROOT / name).read_text(encoding="utf-8")) for name in (IMAGE, *FUNCTIONGRAPH)}


@pytest.fixture
def tools() -> Path:
    if not (TOOLS / "pip-audit").exists():
        pytest.skip("the environment of make sbom and make audit is not made")
    return TOOLS


def locked(name: str, python: str) -> dict[tuple[str, str | None], set[str]]:
    """Give the hashes of what a lock has for a Python on Linux, by name and version."""
    versions = {"python_version": python, "python_full_version": f"{python}.99"}
    environment = cast("Environment", {**default_environment(), **versions})
    entries = read_lock(ROOT / name, ROOT).entries
    return {(entry.name, entry.version): set(entry.hashes) for entry in entries if entry.holds(environment)}


def listed(bill: dict[str, Any]) -> dict[tuple[str, str | None], set[str]]:
    """Give the hashes that a bill has, by name and version."""
    found: dict[tuple[str, str | None], set[str]] = {}
    for component in bill["components"]:
        (files,) = component["externalReferences"]
        found[sbom.key(component)] = {each["content"] for each in files["hashes"]}
    return found


def test_the_image_s_bill_is_its_lock() -> None:
    assert listed(BILLS[IMAGE]) == locked("infra/container/requirements.txt", sbom.IMAGE_PYTHON)


@pytest.mark.parametrize(("name", "python"), FUNCTIONGRAPH.items())
def test_a_zip_s_bill_is_a_part_of_its_lock(name: str, python: str) -> None:
    bill = listed(BILLS[name])
    assert len(bill) > 10
    assert bill.items() <= locked("requirements.txt", python).items()


@pytest.mark.parametrize("bill", BILLS.values(), ids=BILLS)
def test_a_bill_is_of_this_version_and_whole(bill: dict[str, Any]) -> None:
    ours = bill["metadata"]["component"]
    assert (ours["name"], ours["version"]) == ("evs-detach", __version__), "make sbom writes it anew"
    needs = {each["ref"]: each.get("dependsOn", []) for each in bill["dependencies"]}
    reached, waiting = set(), ["evs-detach"]
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting += needs[name]
    assert reached - {"evs-detach"} == {each["bom-ref"] for each in bill["components"]}


def test_every_licence_is_allowed_and_no_other_is() -> None:
    components = [component for bill in BILLS.values() for component in bill["components"]]
    for component in components:
        sbom.check_licences(component)
    assert {licence for each in components for licence in sbom.licences(each)} == sbom.ALLOWED


@pytest.mark.parametrize(
    "licences",
    [
        [],
        [{"license": {"id": "GPL-3.0-only"}}],
        [{"license": {"id": "MIT"}}, {"license": {"name": "Other"}}],
        [{"expression": "MIT AND GPL-2.0-only"}],
    ],
)
def test_a_licence_that_is_not_allowed_ends_it(licences: list[Any]) -> None:
    with pytest.raises(sbom.NotAllowed, match=r"tree 1\.0: its licence is not allowed"):
        sbom.check_licences({"name": "tree", "version": "1.0", "licenses": licences})


@pytest.mark.parametrize(
    ("said", "known", "expected"),
    [
        ("License: Own words", None, [{"license": {"acknowledgement": "declared", "name": "Own words"}}]),
        ("License: Whole text\n        of it", None, None),
        ("License: Own words", [{"license": {"id": "MIT"}}], [{"license": {"id": "MIT"}}]),
        ("Summary: of a tree", None, None),
    ],
)
def test_a_licence_that_is_named_in_own_words_is_listed(
    tmp_path: Path, said: str, known: list[Any] | None, expected: list[Any] | None
) -> None:
    (tmp_path / "tree-1.0.dist-info").mkdir()
    metadata = f"Metadata-Version: 2.1\nName: tree\nVersion: 1.0\n{said}\n"
    (tmp_path / "tree-1.0.dist-info" / "METADATA").write_text(metadata, encoding="utf-8")
    component = {"name": "tree", "version": "1.0", "licenses": known}
    sbom.add_named([component], tmp_path)
    assert component["licenses"] == expected


def test_what_is_not_in_the_lock_ends_it() -> None:
    component = {
        "name": "Tree",
        "version": "1.0",
        "licenses": [{"license": {"id": "MIT"}}],
        "purl": "pkg:pypi/tree",
    }
    with pytest.raises(KeyError, match="tree"):
        sbom.joined({"components": [component], "dependencies": []}, {"components": []})


@pytest.mark.timeout(600)  # eight programs, each slow to start
def test_the_bills_are_as_make_sbom_writes_them(tools: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "infra.supply.sbom", "--tools", str(tools), "--folder", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    for name in BILLS:
        assert (tmp_path / name).read_text(encoding="utf-8") == (ROOT / name).read_text(encoding="utf-8"), (
            name
        )


def test_every_pin_is_asked_about_whatever_its_marker() -> None:
    for name in ("requirements.txt", "infra/container/requirements.txt"):
        entries = read_lock(ROOT / name, ROOT).entries
        assert pins((ROOT / name).read_text(encoding="utf-8")) == {
            (each.name, each.version) for each in entries
        }


@contextmanager
def database(flaws: dict[str, str]) -> Iterator[str]:
    """Serve OSV's query for the packages that have a flaw; its URL."""

    class Query(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            flaw = flaws.get(asked["package"]["name"])
            affected = {
                "package": {"name": asked["package"]["name"], "ecosystem": "PyPI"},
                "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "9.9"}]}],
            }
            told = {"vulns": [{"id": flaw, "modified": "2026-01-01T00:00:00Z", "affected": [affected]}]}
            body = json.dumps(told if flaw else {}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Query) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/v1/query"
        finally:
            server.shutdown()
            serving.join()


def audited(tools: Path, lock: Path, url: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "infra.supply.audit", "--tools", str(tools), str(lock)]
    command += ["--", "--vulnerability-service=osv", f"--osv-url={url}", f"--cache-dir={lock.parent}/cache"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8", check=False)


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    """Three packages, one of them in two versions."""
    written = tmp_path / "lock.txt"
    text = (
        'idna==3.7 ; python_version < "3.11"\nidna==3.9 \\\n    --hash=sha256:00\nh11==0.14\nurllib3==2.2\n'
    )
    written.write_text(text, encoding="utf-8")
    return written


def test_all_that_is_pinned_is_audited(tools: Path, lock: Path) -> None:
    with database({}) as url:
        done = audited(tools, lock, url)
    assert (done.returncode, done.stdout) == (0, "audit: 4 packages audited, 0 vulnerabilities known\n"), done


def test_a_vulnerability_fails_the_audit(tools: Path, lock: Path) -> None:
    with database({"h11": "PYSEC-2026-1"}) as url:
        done = audited(tools, lock, url)
    assert done.returncode == 1
    assert "audit: h11 0.14: PYSEC-2026-1, fixed in 9.9" in done.stdout


def test_a_database_that_is_not_there_fails_the_audit(tools: Path, lock: Path) -> None:
    with database({}) as url:
        pass
    done = audited(tools, lock, url)
    assert done.returncode == 1
    assert done.stdout.startswith("audit: FAILED"), done


def pretending(folder: Path, told: Any) -> Path:
    """A pip-audit that tells this, and that all is well."""
    program = folder / "pip-audit"
    program.write_text(f"#!{sys.executable}\nprint({json.dumps(told)!r})\n", encoding="utf-8")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return folder


def test_a_package_that_was_left_out_fails_the_audit(tmp_path: Path) -> None:
    # what pip-audit 2.10 tells, and ends with 0, where it doesn't find a package or the index isn't there
    skipped = {"name": "h11", "skip_reason": "Dependency not found and could not be audited: h11 (0.14)"}
    fine = {"name": "idna", "version": "3.9", "vulns": []}
    tools = pretending(tmp_path, {"dependencies": [skipped, fine], "fixes": []})
    assert audit(tools, {("idna", "3.9")}, []) == []
    with pytest.raises(NotAudited, match=r"not audited: h11 0\.14$"):
        audit(tools, {("h11", "0.14"), ("idna", "3.9")}, [])
    with pytest.raises(NotAudited, match="pin nothing"):
        audit(tools, set(), [])
