"""The systemd units: valid by systemd's own judge, and little exposed by its own score."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.infra.manifests import ROOT

UNITS = ROOT / "infra" / "systemd"
SERVICE = "evs-detach-sweep.service"
TIMER = "evs-detach-sweep.timer"
SYSTEM = Path("/usr/lib/systemd/system")

pytestmark = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze here")


def verified(folder: Path, service: str) -> str:
    """What systemd has to say of the units on a machine where the command is installed. It ends 0 anyhow."""
    shutil.copytree(SYSTEM, folder / "usr/lib/systemd/system", symlinks=True)
    command = folder / "opt/evs-detach/bin/evs-detach"
    command.parent.mkdir(parents=True)
    command.write_text("#!/bin/sh\n", encoding="utf-8")
    command.chmod(0o755)
    units = folder / "etc/systemd/system"
    units.mkdir(parents=True)
    (units / SERVICE).write_text(service, encoding="utf-8")
    shutil.copy(UNITS / TIMER, units)
    done = subprocess.run(
        ["systemd-analyze", "verify", f"--root={folder}", str(units / SERVICE), str(units / TIMER)],
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    return "".join(f"{line}\n" for line in (done.stdout + done.stderr).splitlines() if "evs-detach" in line)


def test_the_units_are_valid(tmp_path: Path) -> None:
    assert verified(tmp_path, (UNITS / SERVICE).read_text(encoding="utf-8")) == ""


def test_a_misspelt_key_is_told(tmp_path: Path) -> None:
    text = (UNITS / SERVICE).read_text(encoding="utf-8")
    assert "NoNewPrivilege" in verified(tmp_path, text.replace("NoNewPrivileges=", "NoNewPrivilege="))


def test_the_service_is_little_exposed() -> None:
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--json=short", "--threshold=20", UNITS / SERVICE],
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert json.loads(done.stdout)


def lines(name: str) -> list[str]:
    return (UNITS / name).read_text(encoding="utf-8").splitlines()


def test_it_is_a_dry_run_until_one_line_is_changed() -> None:
    (now,) = [line for line in lines(SERVICE) if line.startswith("ExecStart=")]
    (then,) = [line for line in lines(SERVICE) if line.startswith("# ExecStart=")]
    assert "--apply" not in now
    assert then == f"# {now} --apply"


def test_what_a_dry_run_found_is_no_failure_and_a_refusal_is_one() -> None:
    assert "SuccessExitStatus=4" in lines(SERVICE)


def test_the_timer_starts_it_once_a_night() -> None:
    assert "OnCalendar=*-*-* 03:00:00 UTC" in lines(TIMER)
    done = subprocess.run(
        ["systemd-analyze", "calendar", "*-*-* 03:00:00 UTC"],
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    assert "03:00:00 UTC" in done.stdout
