"""The embedded cloud as a program: ``python -m tests.embedded_cloud``.

Prints one line of JSON (its endpoints, its project, a user and a token) and serves until SIGTERM or SIGINT.
"""

from __future__ import annotations

import argparse
import json
import signal
import threading

from tests.embedded_cloud import Cloud
from tests.embedded_cloud.seed import DETACHER, DETACHER_DOMAIN, DETACHER_PASSWORD


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.embedded_cloud", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1 (default: a free one)")
    parser.add_argument("--latency", type=float, default=0.0, help="seconds added before every answer")
    parser.add_argument("--volumes", type=int, default=0, help="volumes to fill the project with")
    parser.add_argument("--servers", type=int, default=0, help="servers to fill the project with")
    parser.add_argument("--orphans", type=int, default=0, help="how many of the volumes are orphans")
    parser.add_argument("--projects", type=int, default=1, help="how many projects they are spread over")
    parser.add_argument("--page-cap", type=int, help="most items of a page")
    parser.add_argument("--flavour", choices=("openstack", "huawei"), default="openstack")
    options = parser.parse_args()

    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())

    cloud = Cloud(options.flavour, options.port)
    cloud.latency = options.latency
    cloud.page_cap = options.page_cap
    cloud.add_user(DETACHER, DETACHER_PASSWORD, DETACHER_DOMAIN)
    if options.volumes or options.servers:
        cloud.populate(options.volumes, options.servers, options.orphans, options.projects)
    else:
        cloud.seed()
    with cloud:
        line = {
            "url": cloud.url,
            "volume_endpoint": cloud.volume_endpoint,
            "compute_endpoint": cloud.compute_endpoint,
            "identity_endpoint": cloud.identity_endpoint,
            "csms_endpoint": cloud.csms_endpoint,
            "vault_addr": cloud.vault_addr,
            "sink_url": cloud.sink_url,
            "admin": f"{cloud.url}/admin",
            "project_id": cloud.project_id,
            "user": {"username": DETACHER, "password": DETACHER_PASSWORD, "domain": DETACHER_DOMAIN},
            "token": cloud.token(),
            "admin_token": cloud.token(role="admin"),
            "environment": cloud.environment(),
        }
        print(json.dumps(line), flush=True)
        ended.wait()


if __name__ == "__main__":
    main()
