"""The embedded cloud: its services behind one loopback address, and what tests steer and see."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.embedded_cloud import discovery
from tests.embedded_cloud.admin import Admin
from tests.embedded_cloud.behaviour import Behaviour, Flavour
from tests.embedded_cloud.compute import Compute
from tests.embedded_cloud.csms import Csms
from tests.embedded_cloud.identity import Identity
from tests.embedded_cloud.listener import Listener
from tests.embedded_cloud.messages import Answer, Call, Manner
from tests.embedded_cloud.misbehaviour import Misbehaviour
from tests.embedded_cloud.records import Server, Volume
from tests.embedded_cloud.refusal import no_route
from tests.embedded_cloud.seed import OTHER_PROJECT, PROJECT, plant
from tests.embedded_cloud.vault import Vault
from tests.embedded_cloud.volumes import Volumes
from tests.embedded_cloud.world import World

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from typing_extensions import Self


class Cloud(Behaviour):
    """A small cloud on 127.0.0.1: volumes, servers, tokens, secrets and an event sink.

    ``with Cloud() as cloud:`` or start and stop; it may be started again and then keeps its port. The
    switches are Behaviour's; the methods that make things are those of World, Identity, Csms and Vault.
    """

    def __init__(self, flavour: Flavour = "openstack", port: int = 0) -> None:
        super().__init__(flavour)
        self.project_id = PROJECT
        self.other_project_id = OTHER_PROJECT
        self.world = World(self, PROJECT)
        self.add_server = self.world.add_server
        self.delete_server = self.world.delete_server
        self.attach = self.world.attach
        self.host = self.world.host
        self.cells_down = self.world.cells_down
        self.jobs = self.world.jobs
        self.add_volume = self.world.add_volume
        self.delete_volume = self.world.delete_volume
        self.volume = self.world.volume
        self.server = self.world.server

        self.identity = Identity(self, PROJECT, OTHER_PROJECT)
        self.token = self.identity.issue
        self.revoke = self.identity.revoke
        self.expire_all_tokens = self.identity.expire_all_tokens
        self.add_user = self.identity.add_user
        self.add_application_credential = self.identity.add_application_credential

        self.csms = Csms(self, self.identity)
        self.put_csms_secret = self.csms.put

        self.vault = Vault(self)
        self.put_vault_secret = self.vault.put
        self.delete_vault_secret = self.vault.delete
        self.add_vault_token = self.vault.add_token
        self.vault_tokens = self.vault.tokens
        self.vault_roles = self.vault.roles
        self.vault_denied = self.vault.denied

        self.misbehaviour = Misbehaviour()
        self.misbehave = self.misbehaviour.add
        self.calls: list[Call] = []
        self.sunk: list[tuple[dict[str, str], Any]] = []
        self.hooks: list[Callable[[Call], object]] = []
        self._refill: Callable[[], object] = self.world.clear
        self._listener = Listener(self._handle, port)
        self._services: dict[str, Callable[[Call], Answer]] = {
            "volume": Volumes(self.world, self.identity).answer,
            "compute": Compute(self.world, self.identity).answer,
            "identity": self.identity.answer,
            "csms": self.csms.answer,
            "vault": self.vault.answer,
            "sink": self._sink,
        }
        self._admin = Admin(self)

    # Life.

    def start(self) -> Self:
        self._listener.start()
        self.identity.base_url = self.url
        return self

    def answer(self, call: Call) -> Answer:
        """Answer a call that came by no wire. The port must be said when the cloud is made."""
        self.identity.base_url = self.url
        return self._handle(call)

    def stop(self) -> None:
        self._listener.stop()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # Addresses.

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listener.port}"

    @property
    def volume_endpoint(self) -> str:
        return f"{self.url}/volume/v2"

    @property
    def compute_endpoint(self) -> str:
        return f"{self.url}/compute/v2.1"

    @property
    def identity_endpoint(self) -> str:
        return f"{self.url}/identity/v3"

    @property
    def csms_endpoint(self) -> str:
        return f"{self.url}/kms"

    @property
    def vault_addr(self) -> str:
        return f"{self.url}/vault"

    @property
    def sink_url(self) -> str:
        return f"{self.url}/sink"

    def environment(self) -> dict[str, str]:
        """Give the settings that point the function at this cloud; where its secret is, is left to say."""
        return {
            "DETACH_PROJECT_ID": self.project_id,
            "DETACH_VOLUME_ENDPOINT": self.volume_endpoint,
            "DETACH_COMPUTE_ENDPOINT": self.compute_endpoint,
            "DETACH_IDENTITY_ENDPOINT": self.identity_endpoint,
            "DETACH_CSMS_ENDPOINT": self.csms_endpoint,
            "VAULT_ADDR": self.vault_addr,
        }

    # State.

    @property
    def volumes(self) -> list[Volume]:
        with self.world.lock:
            self.world.settle()
            return list(self.world.volumes.values())

    @property
    def servers(self) -> list[Server]:
        """The servers that exist, soft-deleted ones included."""
        with self.world.lock:
            return list(self.world.servers.values())

    @property
    def tokens_issued(self) -> int:
        """How many tokens were issued."""
        return self.identity.tokens_issued

    @property
    def vault_sealed(self) -> bool:
        return self.vault.sealed

    @vault_sealed.setter
    def vault_sealed(self, sealed: bool) -> None:
        self.vault.sealed = sealed

    def seed(self) -> dict[str, str]:
        """Replace the world by the demo world; give its names and ids (``seed.NAMES``)."""
        self._refill = self.seed
        self.world.clear()
        return plant(self)

    def populate(self, volumes: int, servers: int, orphans: int, projects: int = 1) -> None:
        """Replace the world by a large one, the same for the same numbers, as World.populate makes it."""
        self._refill = lambda: self.populate(volumes, servers, orphans, projects)
        self.world.clear()
        self.world.populate(volumes, servers, orphans, projects)

    def reset(self) -> None:
        """Bring back the world that was planted last (or none); forget calls, rules and hooks.

        Users, tokens and secrets stay, and so do the switches.
        """
        self.misbehaviour.clear()
        self.hooks.clear()
        self.sunk.clear()
        self._refill()
        self.clear_calls()

    # Observation.

    def hook(self, hook: Callable[[Call], object]) -> None:
        """Have ``hook`` called with each call before it is handled."""
        self.hooks.append(hook)

    def posts(self, volume_id: str | None = None) -> list[Call]:
        """Give the os-detach calls, of one volume or all."""
        return [
            call
            for call in self.calls
            if call.service == "volume"
            and call.method == "POST"
            and isinstance(call.body, dict)
            and "os-detach" in call.body
            and (volume_id is None or f"/{volume_id}/" in call.path)
        ]

    def changes(self) -> list[Call]:
        """Give the calls to the volume and compute services that ask for a change, refused or not."""
        asking = [call for call in self.calls if call.service in {"volume", "compute"}]
        return [call for call in asking if call.method not in {"GET", "HEAD", "OPTIONS"}]

    def clear_calls(self) -> None:
        self.calls.clear()

    # Handling.

    def _handle(self, call: Call) -> Answer:
        if call.service == "admin":
            return self._admin.answer(call)
        self.calls.append(call)
        for hook in list(self.hooks):
            hook(call)
        if self.latency:
            self._listener.stopping.wait(self.latency)
        rule = self.misbehaviour.take(call)
        if call.service == "compute" and self.compute_down:
            return Answer(0, manner=Manner(drop=True))
        if rule is None:
            answer = self._act(call)
        else:
            answer = rule.bend(self._act(call) if rule.act or not rule.forced else Answer(0))
            if rule.delay:
                self._listener.stopping.wait(rule.delay)
        if not (answer.manner and answer.manner.drop):
            call.status, call.answer = answer.status, answer
        return answer

    def _act(self, call: Call) -> Answer:
        service = self._services.get(call.service)
        if service is None:
            return no_route(call)
        versions = discovery.document(call, self.url) if self.flavour == "openstack" else None
        if versions is not None:
            return versions
        with self.world.lock:
            self.world.settle()
            return service(call)

    def _sink(self, call: Call) -> Answer:
        self.sunk.append((call.headers, call.body if call.body is not None else call.raw))
        return Answer(202 if call.method == "POST" else 405)
