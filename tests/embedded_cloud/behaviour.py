"""The switches that say what kind of cloud this is."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any, Literal

from tests.embedded_cloud.policies import Policies

Flavour = Literal["openstack", "huawei"]
When = datetime | timedelta | float | str


class Behaviour:
    """Switches of a cloud; each may be turned while it runs.

    latency         seconds added before every answer
    page_cap        most items a list gives, however many are asked for (None: 1,000)
    ignore_filters  query names that a list ignores (Cinder ignores ``server_id``)
    settle_delay    seconds, on ``now``, until an accepted detach shows
    asks_compute    os-detach asks the compute service first and refuses while the server holds the volume
                    (Cinder since the fix of CVE-2023-2088; Huawei Cloud documents no such check)
    deleted_shown   seconds for which a deleted server is still shown by its id, as DELETED (Nova: an instant)
    compute_down    the compute service closes every connection; a volume service that must ask it answers 500
    ecs_wraps       Huawei Cloud's server API refuses with Nova's answer inside of its own Ecs.1000
    job_kept        seconds, on ``now``, that the server API knows a job after its end
    versions_ignored  services ("compute", "volume") that don't see the microversion that is asked for, and
                    name none (Nova's own /v2; a proxy that passes on no header it doesn't know)
    versions_untold  services whose answers don't name the microversion that they are at
    policies        who may see other projects' things
    now             the clock, in seconds since the epoch: tokens, locks, ages
    volume_region, compute_region  region ids in the token's catalogue
    catalogue       what a token shows of the catalogue, given the true rows (None: no catalogue at all)
    """

    def __init__(self, flavour: Flavour) -> None:
        self.flavour: Flavour = flavour
        self.latency = 0.0
        self.page_cap: int | None = None
        self.ignore_filters: set[str] = {"server_id"} if flavour == "openstack" else set()
        self.settle_delay = 0.0
        self.asks_compute = flavour == "openstack"
        self.deleted_shown = 0.0
        self.compute_down = False
        self.ecs_wraps = False
        self.job_kept = 3600.0
        self.versions_ignored: set[str] = set()
        self.versions_untold: set[str] = set()
        self.policies = Policies()
        self.now: Callable[[], float] = time.time
        self.catalogue: Callable[[list[dict[str, Any]]], object] = lambda rows: rows
        self.volume_region = self.compute_region = "RegionOne" if flavour == "openstack" else "cn-north-4"

    def tells_version(self, service: str) -> bool:
        """Say whether a service's answers name the microversion that they are at."""
        return service not in self.versions_ignored | self.versions_untold

    @property
    def page_max(self) -> int:
        return self.page_cap or 1000

    def stamp(self, when: When | None = None) -> str:
        """Write a moment as the volume service does: UTC, microseconds, no zone.

        A timedelta is an age, a float seconds since the epoch, a text is taken as it is, None is now.
        """
        if isinstance(when, str):
            return when
        if when is None:
            when = self.now()
        if isinstance(when, timedelta):
            when = self.now() - when.total_seconds()
        if isinstance(when, (int, float)):
            when = datetime.fromtimestamp(when, timezone.utc)
        return when.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%f")
