"""Other Pythons of this machine."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path


def find_python(version: str) -> Path | None:
    """Give the executable of Python ``version`` ("3.12"): this one, pyenv's or the path's; None for none."""
    for candidate in _candidates(version):
        if _is(candidate, version):
            return candidate
    return None


def _candidates(version: str) -> list[Path]:
    found = shutil.which(f"python{version}")
    pyenv = Path.home() / ".pyenv" / "versions"
    kept = sorted(pyenv.glob(f"{version}.*/bin/python{version}"))
    return [Path(sys.executable), *kept, *([Path(found)] if found else [])]


def _is(candidate: Path, version: str) -> bool:
    command = [str(candidate), "-I", "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
    answer = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    return answer.returncode == 0 and answer.stdout.strip() == version
