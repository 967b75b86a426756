"""What there is when a history begins: a deployment, its secret, its cloud, and what events ask of it."""

from __future__ import annotations

import json
from random import Random
from typing import Any

from handler.model.request import Batch, GoneServer, Sweep, SweepBounds, Target, Work
from tests.embedded_cloud import Cloud, Volume, stuck
from tests.embedded_cloud.compute import Compute
from tests.embedded_cloud.world import World
from tests.histories.account import Terms
from tests.histories.others import MARKS
from tests.histories.scheduler import Scheduler

_PORT = 80  # nobody listens: no call leaves this process


class Scene:
    """Made by the seed. `kept` are a server and its disk that nobody touches: a list is never empty.

    `live`: it is a live server's disk that every event asks for.
    """

    def __init__(self, random: Random, scheduler: Scheduler, *, live: bool = False) -> None:
        self.random = random
        self.live = live
        self.cloud = cloud = Cloud("huawei" if random.random() < 0.12 else "openstack", port=_PORT)
        cloud.now = scheduler.time
        huawei = cloud.flavour == "huawei"
        self.terms = Terms(
            check=random.choice(["gone", "gone", "recorded", "not-held"]),
            live=random.random() < 0.5 or live,
            recover=random.random() < 0.5,
            apart=not huawei and random.random() < 0.04,
            limit=random.choice([20, 20, 2]),
        )
        cloud.asks_compute = random.random() < 0.2
        cloud.settle_delay = random.choice([0.0, 0.0, 0.0, 1.0, 4.0])
        cloud.deleted_shown = random.choice([0.0, 0.0, 20.0])
        cloud.page_cap = None if huawei else random.choice([None, None, 2, 3])
        if self.terms.apart:
            self._set_apart()
        self._passwords = 0
        self.environment = self._settings()
        self.swap_secret()
        self._plant()
        self.works = [self._work() for _ in range(random.randint(1, 5))]

    def _set_apart(self) -> None:
        """Have another cloud's compute service, and no catalog that could tell."""
        elsewhere = World(self.cloud, self.cloud.project_id)
        elsewhere.add_server()
        self.cloud._services["compute"] = Compute(elsewhere, self.cloud.identity).answer
        self.cloud.catalogue = lambda _rows: None

    def _settings(self) -> dict[str, str]:
        random, terms = self.random, self.terms
        return {
            **self.cloud.environment(),
            "DETACH_ALLOW_HTTP": "true",
            "DETACH_INVOKE_AUTH": "platform",
            "DETACH_TOKEN_SECRET": "env:THE_SECRET",
            "DETACH_SECRET_TTL": random.choice(["300", "300", "5"]),
            "DETACH_SERVER_CHECK": terms.check,
            "DETACH_LIVE": "on" if terms.live else "off",
            "DETACH_RECOVER": "on" if terms.recover else "off",
            "DETACH_CONCURRENCY": str(random.choice([1, 2, 4])),
            "DETACH_TIMEOUT": random.choice(["25", "25", "8"]),
            "DETACH_SWEEP_DRY_RUN": "false",
            "DETACH_SWEEP_LIMIT": str(terms.limit),
            "DETACH_SWEEP_MAX_FRACTION": "1",
        }

    def expire_tokens(self) -> None:
        """End every token's life; where the secret is one, put another in its place."""
        self.cloud.expire_all_tokens()
        if not self._passwords:
            self.swap_secret()

    def swap_secret(self) -> None:
        """Have another password at the identity service, or another token, and put it where we read it."""
        if self._passwords or self.random.random() < 0.7:
            self._passwords += 1
            text = f"a-password-that-is-number-{self._passwords}"
            self.cloud.add_user("detacher", text)
            secret = {"username": "detacher", "domain": "Default", "password": text}
            self.environment["THE_SECRET"] = json.dumps(secret)
        else:
            for token in [*self.cloud.identity.tokens.values()]:
                token.expires_at = self.cloud.now() - 1
            self.environment["THE_SECRET"] = self.cloud.token()

    def _plant(self) -> None:
        """Servers and disks, some of them orphans or stuck."""
        random, cloud = self.random, self.cloud
        kept = cloud.add_server()
        kept_volume = cloud.add_volume(attachments=[kept])
        self.kept = frozenset({kept.id, kept_volume.id})
        self.kept_server = kept.id
        servers = [cloud.add_server(host=f"compute-{n % 3}") for n in range(random.randint(1, 4))]
        for _ in range(random.randint(1, 5)):
            holder = random.choice([*servers, None]) if random.random() < 0.8 else None
            volume = cloud.add_volume(attachments=[holder] if holder else [])
            if holder and random.random() < 0.1:
                volume.status = random.choice(MARKS)
        for _ in range(random.choice([0, 0, 1])):
            stuck.plant(cloud.world, random.choice([*stuck.ROWS]))
        for server in servers:
            if random.random() < 0.2:
                server.status = random.choice(["SHUTOFF", "PAUSED", "SUSPENDED", "SOFT_DELETED", "ERROR"])
            if random.random() < 0.1:
                server.locked_by = "owner"
            if random.random() < 0.45:
                cloud.delete_server(server.id, reaped=random.random() < 0.8, purge=random.random() < 0.1)

    def _work(self) -> Work:
        """Something that an event could ask for now, or could have asked for before."""
        random = self.random
        dry = random.random() < 0.1
        form = random.choice(["one", "one", "one", "batch", "server", "sweep"])
        volumes = [one for one in self.cloud.world.volumes.values() if one.id not in self.kept]
        if volumes and (form == "one" or self.live):
            return self._target(random.choice(self._orphans() or volumes), dry=dry)
        if form == "batch" and volumes:
            chosen = [random.choice(self._orphans() or volumes) for _ in range(random.randint(1, 3))]
            return Batch(targets=[self._target(one, dry=False) for one in chosen], dry_run=dry)
        if form == "server":
            known = [*self.cloud.world.servers, *self.cloud.world.deleted]
            named = [one for one in known if one not in self.kept]
            if named:
                return GoneServer(server_id=random.choice(named), dry_run=dry)
        bounds: dict[str, Any] = {"dry_run": dry, "recover": random.random() < 0.5}
        if random.random() < 0.3:
            bounds["limit"] = random.randint(0, 2)
        if random.random() < 0.5:
            bounds["min_age_seconds"] = 900
        return Sweep(sweep=SweepBounds(**bounds))

    def _orphans(self) -> list[Volume]:
        """Half of the time the volumes that a server had which is gone."""
        volumes = self.cloud.world.volumes.values() if self.random.random() < 0.5 else ()
        gone = self.cloud.world.deleted
        return [one for one in volumes if any(entry.server_id in gone for entry in one.attachments)]

    def _target(self, volume: Volume, *, dry: bool) -> Target:
        random = self.random
        about: dict[str, Any] = {"volume_id": volume.id, "dry_run": dry, "recover": random.random() < 0.3}
        if volume.attachments and random.random() < 0.7:
            entry = random.choice(volume.attachments)
            about["attachment_id"] = entry.attachment_id
            if entry.server_id and random.random() < 0.7:
                mistaken = random.random() < 0.1
                about["server_id"] = self.kept_server if mistaken else entry.server_id
                about["live"] = random.random() < 0.6 or self.live
        return Target(**about)
