"""``python -m tests.integration.openstack up|down|status``: the real cloud by hand."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tests.integration.openstack import rig
from tests.integration.openstack.processes import Processes
from tests.integration.openstack.trouble import RigError


def main() -> int:
    """Do what is asked; exit 1 when it fails, and for ``status`` when nothing is up."""
    parser = argparse.ArgumentParser(prog="python -m tests.integration.openstack", description=__doc__)
    parser.add_argument("what", choices=("up", "down", "status"))
    what = parser.parse_args().what
    try:
        if what == "down":
            rig.down()
            return 0
        cloud = rig.up() if what == "up" else rig.status()
    except RigError as error:
        print(error, file=sys.stderr)
        return 1
    if cloud is None:
        print("nothing is up")
        return 1
    for name in ("identity", "volume", "compute"):
        print(f"{name:9} {getattr(cloud, name)}")
    print(f"{'admin':9} user and project admin, password in {cloud.folder}/openstack.json")
    for name, pid in Processes(Path(cloud.folder)).names().items():
        print(f"{pid:9} {name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
