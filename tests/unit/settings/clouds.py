"""clouds.yaml files for tests, and the variables that lead to them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

USER = {
    "auth_url": "https://keystone.example:5000",
    "username": "robot",
    "password": "hidden-in-the-file",
    "user_domain_name": "Default",
    "project_name": "demo",
    "project_domain_name": "Default",
}


def variables(**more: str) -> dict[str, str]:
    """`USER` as an openrc exports it, and what differs from it (empty: not set)."""
    return {f"OS_{name.upper()}": value for name, value in {**USER, **more}.items()}


def written(folder: Path, clouds: dict[str, Any], name: str = "clouds.yaml") -> str:
    """Write a file of clouds; give its path."""
    path = folder / name
    path.write_text(yaml.safe_dump({"clouds": clouds}), encoding="utf-8")
    return str(path)


def at_file(path: str, name: str = "", **more: str) -> dict[str, str]:
    """The settings that name a file, and in it perhaps a cloud."""
    return {"DETACH_TOKEN_SECRET": f"openstack:{name}", "OS_CLIENT_CONFIG_FILE": path, **more}
