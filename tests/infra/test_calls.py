"""The list of calls that the policy is built from, against the calls that the function really makes.

With ``RECORDED_CALLS`` naming the file that ``record_calls`` wrote, these are the calls of the whole suite.
Without it, each kind of work is done here once, with each server check and each store.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import pytest

from handler.invocation import Invocation, Trigger
from handler.runtime import Runtime
from handler.triggers.parse import read_work
from tests.embedded_cloud import Cloud, seed
from tests.embedded_cloud import stuck as stuck_records
from tests.embedded_cloud.detach_job import Course
from tests.infra.record_calls import VARIABLE, of_the_function, path_of

if TYPE_CHECKING:
    from collections.abc import Iterable

ROOT = Path(__file__).resolve().parents[2]
CALLS: list[dict[str, Any]] = json.loads((ROOT / "infra/huaweicloud/calls.json").read_text(encoding="utf-8"))[
    "calls"
]
# a broker inside the cluster: nothing that a policy of the cloud could allow
WITHOUT_POLICY = {"sink"}

Recorded: TypeAlias = tuple[str, str, str]

# FunctionGraph's own runtime, as the platform's token comes with the context only. A pod's token lies where
# only a cluster can put it: here the store is told of another place.
NATIVE = """
import json, sys
from handler.credentials.stores import vault
from handler.main import functiongraph

vault.SERVICE_ACCOUNT = sys.argv[2]

class Context:
    def getRequestID(self): return "11111111-2222-4333-8444-555555555555"
    def getRemainingTimeInMilliSeconds(self): return 20000
    def getUserData(self, key): return None
    def getToken(self): return sys.argv[1]
    def getProjectID(self): return ""

print(json.dumps(functiongraph(json.load(sys.stdin), Context())))
"""


def name_of(service: str, method: str, path: str) -> str | None:
    """Give the name of the listed call that this one is; None when it is not listed."""
    fitting = [
        call
        for call in CALLS
        if (call["service"], call["method"]) == (service, method)
        and re.search(pattern(call["path"] + (f"#{call['body']}" if "body" in call else "")), path)
    ]
    # volumes/detail is also a volume whose id is "detail": the more that is fixed, the better it fits
    fitting.sort(key=lambda call: call["path"].count("{"))
    return fitting[0]["name"] if fitting else None


def pattern(template: str) -> str:
    """Give the regular expression of a path's end; only Vault's mounts and paths may hold slashes."""
    parts = re.split(r"(\{\w+\})", template)
    fields = {"{path}": ".+", "{mount}": ".+"}
    return "/" + "".join(fields.get(p, "[^/]+") if p.startswith("{") else re.escape(p) for p in parts) + "$"


@pytest.mark.parametrize(
    ("service", "method", "path", "name"),
    [
        ("volume", "GET", "/volume/v2/p/volumes/v", "show volume"),
        ("volume", "GET", "/volume/v3/p/volumes/detail", "list volumes"),
        ("volume", "POST", "/volume/v2/p/volumes/v/action#os-detach", "clear attachment record (os-detach)"),
        ("volume", "POST", "/volume/v2/p/volumes/v/action#os-reset_status", None),
        ("volume", "DELETE", "/volume/v2/p/volumes/v", None),
        ("volume", "GET", "/volume/v2/p/volumes/v/metadata", None),
        ("compute", "GET", "/compute/v2.1/p/servers", "list servers"),
        ("compute", "GET", "/compute/v2.1/p/servers/detail/x", None),
        ("compute", "POST", "/compute/v2.1/p/servers", None),
        ("csms", "GET", "/kms/v1/p/secrets/s/versions/latest", "read secret"),
        ("vault", "GET", "/vault/v1/kv/data/a/b/c", "read secret from Vault or OpenBao"),
        ("vault", "GET", "/vault/v1/kv/on/nested/data/a/b", "read secret from Vault or OpenBao"),
        ("vault", "POST", "/vault/v1/auth/kubernetes-dev/eu/login", "log in to Vault or OpenBao"),
        ("vault", "POST", "/vault/v1/kv/data/a/b/c", None),
    ],
)
def test_tells_calls_apart(service: str, method: str, path: str, name: str | None) -> None:
    assert name_of(service, method, path) == name


def test_every_action_has_its_source() -> None:
    assert len({call["name"] for call in CALLS}) == len(CALLS)
    for call in CALLS:
        assert call["source"], call["name"]
        for action in [*call["actions"], *call["dependencies"]]:
            assert re.fullmatch(r"[a-z]+:[A-Za-z]+:[A-Za-z]+", action), action


def test_only_one_listed_call_changes_anything_unless_more_is_switched_on() -> None:
    changing = [call["name"] for call in CALLS if call["changes"] and call["server_check"] != []]
    assert changing == ["clear attachment record (os-detach)"]
    verbs = {action.rpartition(":")[2] for call in CALLS for action in call["actions"] if not call["changes"]}
    assert verbs <= {"get", "list"}


def test_listed_and_made_calls_are_the_same(recorded: set[Recorded]) -> None:
    judged = {call: name_of(*call) for call in recorded if call[0] not in WITHOUT_POLICY}
    unlisted = sorted(call for call, name in judged.items() if name is None)
    assert unlisted == [], "made, but not in calls.json: the policy lacks what they need"
    unmade = sorted({call["name"] for call in CALLS} - set(judged.values()))
    assert unmade == [], "in calls.json, but never made: the policy allows too much"


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> set[Recorded]:
    if os.environ.get(VARIABLE):
        lines = Path(os.environ[VARIABLE]).read_text(encoding="utf-8").splitlines()
        return {(call["service"], call["method"], call["path"]) for call in map(json.loads, lines)}
    return set(made(tmp_path_factory.mktemp("calls")))


def made(folder: Path) -> Iterable[Recorded]:
    """Do each kind of work once; give what the cloud was asked."""
    password = json.dumps(
        {"username": seed.DETACHER, "password": seed.DETACHER_PASSWORD, "domain": seed.DETACHER_DOMAIN}
    )
    one: dict[str, Any] = {"volume_id": seed.ORPHAN_VOLUME}
    server: dict[str, Any] = {"server_id": seed.SECOND_GONE_SERVER}
    sweep: dict[str, Any] = {"sweep": {"dry_run": True, "volume_ids": [seed.THIRD_ORPHAN_VOLUME]}}
    stuck: dict[str, Any] = {"volume_id": seed.FORGOTTEN_VOLUME}
    with Cloud() as cloud:
        cloud.seed()
        cloud.put_csms_secret("detach", password)
        cloud.put_vault_secret("kv", "evs/detach", {"secret": password})
        cloud.add_vault_token("vault-token")
        cloud.vault_roles["detach"] = "pod-token"
        pod = folder / "pod-token"
        pod.write_text("pod-token", encoding="utf-8")
        bare = {"DETACH_TOKEN_SECRET": "env:SECRET", "SECRET": cloud.token()}
        issued = {"DETACH_TOKEN_SECRET": "env:SECRET", "SECRET": password}
        credential = dict(
            zip(
                ("application_credential_id", "application_credential_secret"),
                cloud.identity.add_application_credential(),
                strict=True,
            )
        )
        delegated = {"DETACH_TOKEN_SECRET": "env:SECRET", "SECRET": json.dumps(credential)}
        vault = {"DETACH_TOKEN_SECRET": "vault:kv/evs/detach#secret", "VAULT_TOKEN": "vault-token"}
        for work, settings in [
            (one, bare),
            (server, issued),
            (sweep, issued),
            (stuck, {**issued, "DETACH_SERVER_CHECK": "not-held"}),
            ({"volume_id": seed.THIRD_ORPHAN_VOLUME}, {**issued, "DETACH_SERVER_CHECK": "recorded"}),
            (one, vault),
            (one, delegated),
        ]:
            terminal(cloud, work, settings)
        cloud.put_csms_secret("asleep", password, state="DISABLED")
        native(cloud, pod, {"DETACH_TOKEN_SECRET": "csms:detach"})
        native(cloud, pod, {"DETACH_TOKEN_SECRET": "csms:asleep"}, exit_code=1)
        native(cloud, pod, {"DETACH_TOKEN_SECRET": "vault:kv/evs/detach#secret", "VAULT_ROLE": "detach"})
        yield from ((c.service, c.method, path_of(c)) for c in cloud.calls if of_the_function(c))
    for flavour in ("openstack", "huawei"):
        yield from switched_on(flavour)


def switched_on(flavour: Literal["openstack", "huawei"]) -> Iterable[Recorded]:
    """Do what is off by default once: a live disk, a mark that a failed detach left, a stuck record."""
    api = "ecs" if flavour == "huawei" else "nova"
    with Cloud(flavour) as cloud:
        server = cloud.add_server()
        volumes = [cloud.add_volume(attachments=[server]) for _ in range(2)]
        settings = {"DETACH_TOKEN_SECRET": "env:SECRET", "SECRET": cloud.token(), "DETACH_LIVE_API": api}
        settings |= {"DETACH_LIVE": "on", "DETACH_RECOVER": "on", "DETACH_TRUST_ENDPOINTS": "true"}
        cloud.jobs.courses[volumes[1].id] = Course(ends="cinder")
        for volume in (*volumes, volumes[1]):
            ids = {"attachment_id": volume.attachments[0].attachment_id, "server_id": server.id}
            run_anyhow(cloud, {"volume_id": volume.id, "live": True, "recover": True, **ids}, settings)
            long_ago = cloud.stamp(timedelta(hours=2))
            volume.updated_at = long_ago
            for action in server.actions:
                action.start_time = long_ago
        for row in ("N1", "N6"):
            stuck = stuck_records.plant(cloud.world, row).volume
            run_anyhow(cloud, {"volume_id": stuck.id, "recover": True}, settings)
        yield from ((c.service, c.method, path_of(c)) for c in cloud.calls if of_the_function(c))


def run_anyhow(cloud: Cloud, work: dict[str, Any], settings: dict[str, str]) -> None:
    """Do it in this process: what comes of it is for other tests."""
    runtime = Runtime({**cloud.environment(), "DETACH_INVOKE_AUTH": "platform", **settings})
    runtime.carry_out([read_work(work, max_targets=1)], Invocation(Trigger.HTTP, "calls"))
    runtime.transport.close()


def terminal(cloud: Cloud, work: dict[str, Any], settings: dict[str, str]) -> None:
    command = [sys.executable, "-m", "handler", "-"]
    run(command, cloud, work, settings)


def native(cloud: Cloud, pod: Path, settings: dict[str, str], exit_code: int = 0) -> None:
    work = json.dumps({"volume_id": seed.ORPHAN_VOLUME})
    event = {"trigger_type": "TIMER", "trigger_name": "t", "user_event": work}
    run([sys.executable, "-c", NATIVE, cloud.token(), str(pod)], cloud, event, settings, exit_code)


def run(
    command: list[str], cloud: Cloud, event: dict[str, Any], settings: dict[str, str], exit_code: int = 0
) -> None:
    environment = {**os.environ, **cloud.environment(), "DETACH_INVOKE_AUTH": "platform", **settings}
    done = subprocess.run(
        command,
        input=json.dumps(event),
        env=environment,
        cwd=ROOT,
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=60,
    )
    assert done.returncode == exit_code, f"{event} {done.stdout} {done.stderr}"
