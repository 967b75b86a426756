"""What an operator enters before anybody uses the cloud: its service user, its endpoints, its types."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.integration.openstack.configuration import REGION, SERVICE_USER, VOLUME_TYPE

if TYPE_CHECKING:
    from tests.integration.openstack.api import Session
    from tests.integration.openstack.configuration import Site

SHARED_TYPE = "shared"
FLAVOUR = "rig"
IMAGE = "00000000-0000-4000-8000-000000000001"  # the only one that inside/standins.py has


def fill_catalogue(site: Site, admin: Session) -> None:
    """Make the service user, and list the services."""
    roles = {role["name"]: role["id"] for role in admin.get("/roles")["roles"]}
    project = admin.post("/projects", {"project": {"name": SERVICE_USER}})["project"]["id"]
    user = admin.post("/users", {"user": {"name": SERVICE_USER, "password": site.password}})["user"]["id"]
    for role in ("admin", "service"):
        admin.put(f"/projects/{project}/users/{user}/roles/{roles[role]}")
    for kind, name, url in (
        ("placement", "placement", site.url("placement")),
        ("volumev3", "cinderv3", f"{site.volume}/%(project_id)s"),
        ("compute", "nova", site.compute),
    ):
        service = admin.post("/services", {"service": {"type": kind, "name": name}})["service"]["id"]
        for interface in ("public", "internal"):
            endpoint = {"interface": interface, "url": url, "service_id": service, "region_id": REGION}
            admin.post("/endpoints", {"endpoint": endpoint})


def make_types(volume: Session, compute: Session) -> None:
    """Make two types of volumes, one of which may be attached several times, and a flavour; lift quotas."""
    for name, specs in ((VOLUME_TYPE, {}), (SHARED_TYPE, {"multiattach": "<is> True"})):
        document: dict[str, Any] = {"name": name, "extra_specs": specs}
        volume.post("/types", {"volume_type": document})
    limits = {"volumes": -1, "gigabytes": -1}
    volume.put("/os-quota-class-sets/default", {"quota_class_set": limits})
    compute.post("/flavors", {"flavor": {"id": FLAVOUR, "name": FLAVOUR, "vcpus": 1, "ram": 64, "disk": 1}})
