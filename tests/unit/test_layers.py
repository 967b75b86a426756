"""The floors of docs/architecture.md: arrows go one way, nothing runs in a circle, no room is too large."""

from __future__ import annotations

import shutil
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).resolve().parents[2]
HANDLER = ROOT / "handler"
LONGEST = 320  # lines of a module
FLAT = 12  # modules that lie beside each other in handler/ itself


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    """Judge the imports of folder/handler by the rules of folder/pyproject.toml."""
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    return subprocess.run(command, cwd=folder, capture_output=True, encoding="utf-8", check=False)


def test_imports_go_down_the_floors_only() -> None:
    judged = lint_imports(ROOT)
    assert judged.returncode == 0, judged.stdout + judged.stderr
    assert "4 kept, 0 broken" in judged.stdout


@pytest.mark.parametrize(
    ("module", "wrong"),
    [
        ("cloud/service.py", "from handler.credentials import caller_keys"),
        ("cloud/service.py", "def later() -> None:\n    from handler.credentials import caller_keys"),
        ("cloud/service.py", "if TYPE_CHECKING:\n    from handler.credentials import caller_keys"),
        ("model/values.py", "from handler.cloud import faults"),
        ("triggers/parse.py", "from handler import runtime"),
        ("triggers/parse.py", "from handler.cloud import faults"),
        ("actions/proof.py", "from handler.triggers import reply"),
        ("errors.py", "from handler import settings"),
        ("attic.py", "import json"),
    ],
)
def test_an_import_up_the_floors_is_found(module: str, wrong: str, tmp_path: Path) -> None:
    shutil.copytree(HANDLER, tmp_path / "handler", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    with (tmp_path / "handler" / module).open("a", encoding="utf-8") as file:
        file.write(f"\n{wrong}\n")
    judged = lint_imports(tmp_path)
    assert judged.returncode == 1, judged.stdout + judged.stderr
    assert f"handler.{module.removesuffix('.py').replace('/', '.')}" in judged.stdout


def circle(imports: dict[str, set[str]]) -> list[str]:
    """The modules of a circle of imports, from the first to itself; empty where there is none."""
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        found: list[str] = error.args[1]
        return found
    return []


def test_no_import_leads_back_to_where_it_came_from() -> None:
    graph = grimp.build_graph("handler", cache_dir=None)
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    assert sum(map(len, imports.values())) > len(imports)
    assert circle(imports) == []


def test_a_circle_is_found() -> None:
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": set()}) in (["b", "c", "b"], ["c", "b", "c"])


def test_no_module_is_longer_than_it_may_be() -> None:
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in HANDLER.rglob("*.py")}
    assert len(lengths) > FLAT
    assert {str(path.relative_to(ROOT)): lines for path, lines in lengths.items() if lines > LONGEST} == {}


def test_few_modules_lie_flat() -> None:
    flat = sorted(path.name for path in HANDLER.glob("*.py"))
    assert "main.py" in flat
    assert len(flat) <= FLAT, flat
