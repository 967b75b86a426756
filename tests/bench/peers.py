"""Who is compared with whom."""

from __future__ import annotations

import sys
from importlib.util import find_spec

OURS, REQUESTS, CINDERCLIENT, SDK = "handler", "requests", "cinderclient", "openstacksdk"
HUAWEICLOUD = "huaweicloudsdk"

MODULES = {CINDERCLIENT: "cinderclient", SDK: "openstack", HUAWEICLOUD: "huaweicloudsdkevs"}
"""Those that the function itself doesn't need, by what has to be installed."""


def installed(name: str) -> bool:
    """Whether somebody can be measured here. Says so on standard error where not."""
    found = name not in MODULES or find_spec(MODULES[name]) is not None
    if not found:
        print(f"{name} is not installed: left out", file=sys.stderr)
    return found
