"""Starts containers with runc as a cluster does: the user of the image, a read-only root, no rights."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_SCRATCH = 16 * 2**20  # bytes of /tmp, as in the manifests
_HIDDEN = ("/proc/kcore", "/proc/keys", "/proc/timer_list")
_READ_ONLY = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")


@dataclass(frozen=True)
class Container:
    """A container that was started."""

    name: str
    state: Path
    process: subprocess.Popen[str]

    def runc(self, *words: str) -> str:
        done = subprocess.run(
            ["runc", f"--root={self.state}", *words], capture_output=True, encoding="utf-8", check=True
        )
        return done.stdout

    def terminate(self) -> None:
        """Tell its first process to end, as a cluster does."""
        self.runc("kill", self.name, "TERM")

    @property
    def status(self) -> dict[str, str]:
        """What the kernel says of its first process, by the names in /proc/PID/status."""
        pid = json.loads(self.runc("state", self.name))["pid"]
        text = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
        return {name: value.strip() for name, _, value in (line.partition(":") for line in text.splitlines())}

    def ended(self) -> tuple[int, str, str]:
        """Wait for its end: its exit code and what it printed to both."""
        out, err = self.process.communicate(timeout=60)
        return self.process.returncode, out, err


def bundle(
    root: Path,
    image: Mapping[str, Any],
    words: Sequence[str] | None,
    settings: Mapping[str, str],
    files: Mapping[Path, str],
) -> dict[str, Any]:
    """Give OCI's configuration: the words stand for the entry point, the files are laid in, read-only."""
    user, _, group = image["User"].partition(":")
    mounts = [
        {"destination": "/proc", "type": "proc", "source": "proc"},
        {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "size=65536k"]},
        {
            "destination": "/tmp",
            "type": "tmpfs",
            "source": "tmpfs",
            "options": ["nosuid", "nodev", "noexec", f"size={_SCRATCH}", "mode=1777"],
        },
    ]
    mounts += [
        {"destination": path, "type": "bind", "source": str(file), "options": ["bind", "ro"]}
        for file, path in files.items()
    ]
    sets = ("bounding", "effective", "inheritable", "permitted", "ambient")
    nothing: dict[str, list[str]] = {kind: [] for kind in sets}
    return {
        "ociVersion": "1.0.2",
        "root": {"path": str(root), "readonly": True},
        "mounts": mounts,
        "process": {
            "user": {"uid": int(user), "gid": int(group)},
            "args": list(words or image["Entrypoint"]),
            "env": [*image["Env"], *(f"{name}={value}" for name, value in settings.items())],
            "cwd": "/",
            "capabilities": nothing,
            "noNewPrivileges": True,
        },
        # The machine's own network: the cloud that it is to reach is on this machine's loopback.
        "linux": {
            "namespaces": [{"type": kind} for kind in ("pid", "ipc", "uts", "mount")],
            "maskedPaths": list(_HIDDEN),
            "readonlyPaths": list(_READ_ONLY),
        },
    }


@contextmanager
def started(configuration: Mapping[str, Any]) -> Iterator[Container]:
    """Start a container; it is gone afterwards, whatever became of it."""
    folder = Path(tempfile.mkdtemp(prefix="container-"))
    name = folder.name
    (folder / "config.json").write_text(json.dumps(configuration), encoding="utf-8")
    state = folder / "state"
    command = ["runc", f"--root={state}", "run", f"--bundle={folder}", name]
    try:
        with subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
        ) as process:
            try:
                yield Container(name, state, process)
            finally:
                subprocess.run(
                    ["runc", f"--root={state}", "delete", "--force", name], capture_output=True, check=False
                )
    finally:
        shutil.rmtree(folder)
