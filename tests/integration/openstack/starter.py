"""The order in which the services ask to be started, and what each is told before."""

from __future__ import annotations

import grp
import hashlib
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from tests.integration.openstack.api import Identity, answers
from tests.integration.openstack.catalogue import fill_catalogue, make_types
from tests.integration.openstack.configuration import HYPERVISOR, REGION
from tests.integration.openstack.foundation import account, clean_environment, wait_for
from tests.integration.openstack.install import REQUIREMENTS

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.openstack.api import Session
    from tests.integration.openstack.configuration import Site
    from tests.integration.openstack.processes import Processes

_INSIDE = Path(__file__).with_name("inside")
_DATABASES = ("keystone", "placement", "cinder", "nova", "nova_api", "nova_cell0")
_TABLES = (
    ("nova", "api_db", "sync"),
    ("keystone", "db_sync"),
    ("cinder", "db", "sync"),
    ("placement", "db", "sync"),
)


class Starter:
    """Starts the services of a site, each when what it needs is there."""

    def __init__(self, site: Site, processes: Processes) -> None:
        self._site, self._processes = site, processes
        self._environment = {
            **clean_environment(site.folder),
            "PYTHONPATH": str(_INSIDE),
            "PYTHONDONTWRITEBYTECODE": "1",
            "OS_BOOTSTRAP_PASSWORD": site.password,
            "OS_BOOTSTRAP_PUBLIC_URL": site.identity,
            "OS_BOOTSTRAP_INTERNAL_URL": site.identity,
            "OS_BOOTSTRAP_REGION_ID": REGION,
        }

    def bring_up(self, cache: Path) -> None:
        site, processes = self._site, self._processes
        site.broker.start()
        self._fill_database(cache)
        owner = ("--keystone-user", account(), "--keystone-group", grp.getgrgid(os.getgid()).gr_name)
        self._manage("keystone", "fernet_setup", *owner)
        self._manage("keystone", "credential_setup", *owner)
        self._manage("keystone", "bootstrap")
        for name in ("keystone", "fleeting"):
            self._serve(name, "keystone.wsgi.api", {"OS_KEYSTONE_CONFIG_FILES": str(site.file(name))})
        wait_for("Keystone", lambda: answers(site.identity), processes)
        # Before Nova starts: its scheduler turns Placement off for good when it doesn't find it at first use.
        admin = Identity(site.identity).log_in("admin", site.password, project="admin")
        fill_catalogue(site, admin)
        self._start_services()
        self._await_services(admin)

    def _start_services(self) -> None:
        site, software = self._site, self._site.software
        self._processes.start(
            *("standins", software.python, _INSIDE / "standins.py", str(site.ports["standins"])),
            env=self._environment,
        )
        placement = site.folder / "placement"
        placement.mkdir()
        (placement / "placement.conf").symlink_to(site.file("placement"))
        self._serve("placement", "placement.wsgi.api", {"OS_PLACEMENT_CONFIG_DIR": str(placement)})
        wait_for("Placement", lambda: answers(site.url("placement")), self._processes)
        site.broker.ready()
        for name in ("nova-conductor", "nova-scheduler", "cinder-scheduler", "cinder-volume"):
            self._work(name)
        self._serve("cinder", "cinder.wsgi.api", {}, "--config-file", str(site.file("cinder")))
        self._serve(
            "nova",
            "nova.wsgi.osapi_compute",
            {
                "OS_NOVA_CONFIG_DIR": str(software.environment / "etc/nova"),
                "OS_NOVA_CONFIG_FILES": f"api-paste.ini;{site.file('nova')}",
            },
        )

    def _await_services(self, admin: Session) -> None:
        site, processes = self._site, self._processes
        volume, compute = admin.at(f"{site.volume}/{admin.project_id}"), admin.at(site.compute)
        wait_for("Nova's API", lambda: answers(site.url("nova")), processes)
        conductor = "/os-services?binary=nova-conductor"
        wait_for("nova-conductor", lambda: _is_up(compute.get(conductor)["services"]), processes)
        # It would wait ten seconds for a conductor that is not there yet.
        self._processes.start(
            *("nova-compute", site.software.python, _INSIDE / "compute.py"),
            *("--config-file", str(site.file("nova"))),
            env={**self._environment, "RIG_HYPERVISOR": str(site.folder / HYPERVISOR)},
        )
        wait_for("Cinder's API", lambda: answers(site.url("cinder")), processes)
        make_types(volume, compute)
        wait_for("cinder-scheduler", lambda: _is_up(volume.get("/os-services")["services"]), processes)
        wait_for("cinder-volume", lambda: bool(volume.get("/scheduler-stats/get_pools")["pools"]), processes)
        room = admin.at(site.url("placement"))
        candidates = "/allocation_candidates?resources=VCPU:1"
        version = {"OpenStack-API-Version": "placement 1.10"}
        wait_for(
            "nova-compute", lambda: bool(room.get(candidates, version)["allocation_requests"]), processes
        )
        self._manage("nova", "cell_v2", "discover_hosts")

    def _fill_database(self, cache: Path) -> None:
        """Have each service make its tables; the outcome is kept, since it is the same every time."""
        database = self._site.database
        key = hashlib.sha256(REQUIREMENTS.read_bytes() + Path(__file__).read_bytes()).hexdigest()[:16]
        template = cache / "databases" / key
        if not template.exists():
            shutil.rmtree(template.parent, ignore_errors=True)
            template.parent.mkdir()
            database.create()
            database.start()
            for name in _DATABASES:
                database.sql(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
            for finish in [self._begin(*words) for words in _TABLES]:
                finish()
            self._map_cells()
            database.save(template)
        else:
            database.load(template)
        database.start()

    def _map_cells(self) -> None:
        """Tell Nova of its cells, by what its configuration will say then: ports differ in each run."""
        connection = "{scheme}://{username}@{hostname}/%s?{query}"
        self._manage("nova", "cell_v2", "map_cell0", "--database_connection", connection % "nova_cell0")
        self._manage(
            *("nova", "cell_v2", "create_cell", "--name", "cell1"),
            *("--database_connection", connection % "nova"),
            *("--transport-url", "{scheme}://{username}:{password}@{hostname}:{port}/"),
        )
        self._manage("nova", "db", "sync")

    def _manage(self, service: str, *words: str) -> None:
        """Run a service's own ``…-manage`` to its end."""
        self._begin(service, *words)()

    def _begin(self, service: str, *words: str) -> Callable[[], None]:
        """Start a service's own ``…-manage``; give what waits for its end."""
        name = f"{service}-manage-{words[0]}"
        child = self._processes.start(
            *(name, self._site.software.command(f"{service}-manage")),
            *("--config-file", str(self._site.file(service)), *words),
            env=self._environment,
        )
        return lambda: self._processes.finish(name, child)

    def _work(self, name: str) -> None:
        """Start a service that takes its work from the broker."""
        configuration = self._site.file(name.partition("-")[0])
        self._processes.start(
            *(name, self._site.software.command(name), "--config-file", configuration),
            env=self._environment,
        )

    def _serve(self, name: str, module: str, environment: dict[str, str], *arguments: str) -> None:
        self._processes.start(
            *(name, self._site.software.python, _INSIDE / "serve.py", module),
            *(str(self._site.ports[name]), *arguments),
            env={**self._environment, **environment},
        )


def _is_up(services: list[dict[str, str]]) -> bool:
    return bool(services) and all(service["state"] == "up" for service in services)
