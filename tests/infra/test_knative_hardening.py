"""Each hardening line of the Knative services, on the manifests as they would be applied."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.infra.manifests import FUNCTIONS, ROOT, container, in_namespace, of_kind, pod, services, settings
from tests.infra.recipe import stages

if TYPE_CHECKING:
    from tests.infra.manifests import Manifest


@pytest.mark.parametrize("service", [*FUNCTIONS, "event-log-events"])
class TestEveryService:
    def test_is_not_root_and_can_not_become_it(self, service: str) -> None:
        security = container(service)["securityContext"]
        assert security["runAsNonRoot"] is True
        assert security["runAsUser"] == 65532
        assert security["allowPrivilegeEscalation"] is False
        assert security["capabilities"] == {"drop": ["ALL"]}
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}

    def test_has_a_read_only_root(self, service: str) -> None:
        assert container(service)["securityContext"]["readOnlyRootFilesystem"] is True

    def test_has_no_service_account_token(self, service: str) -> None:
        assert pod(service)["automountServiceAccountToken"] is False
        account = of_kind("ServiceAccount")[pod(service)["serviceAccountName"]]
        assert account["automountServiceAccountToken"] is False

    def test_learns_nothing_of_other_services(self, service: str) -> None:
        assert pod(service)["enableServiceLinks"] is False

    def test_asks_for_what_it_needs_and_is_held_to_a_limit(self, service: str) -> None:
        resources = container(service)["resources"]
        assert set(resources["requests"]) == set(resources["limits"]) == {"cpu", "memory"}

    def test_is_seen_inside_the_cluster_only(self, service: str) -> None:
        labels = services()[service]["metadata"]["labels"]
        assert labels["networking.knative.dev/visibility"] == "cluster-local"

    def test_grows_to_a_bound(self, service: str) -> None:
        annotations = services()[service]["spec"]["template"]["metadata"]["annotations"]
        assert 1 <= int(annotations["autoscaling.knative.dev/max-scale"]) <= 10

    def test_runs_an_image_that_says_which(self, service: str) -> None:
        image = container(service)["image"]
        assert re.search(r"(:[\w.-]+|@sha256:[0-9a-f]{64})$", image)
        assert not image.endswith(":latest")

    def test_exactly_one_network_policy_covers_it(self, service: str) -> None:
        labels = services()[service]["spec"]["template"]["metadata"]["labels"].items()
        policies = of_kind("NetworkPolicy").values()
        covering = [p for p in policies if p["spec"]["podSelector"]["matchLabels"].items() <= labels]
        assert len(covering) == 1
        assert covering[0]["spec"]["policyTypes"] == ["Ingress", "Egress"]


@pytest.mark.parametrize("service", FUNCTIONS)
class TestTheFunction:
    def test_is_probed_for_life_and_readiness(self, service: str) -> None:
        assert container(service)["livenessProbe"]["httpGet"]["path"] == "/healthz"
        assert container(service)["readinessProbe"]["httpGet"]["path"] == "/readyz"

    def test_takes_as_many_requests_as_it_has_threads_to_spare(self, service: str) -> None:
        threads = {e["name"]: e["value"] for e in container(service)["env"]}["THREADS"]
        assert pod(service)["containerConcurrency"] == int(threads) - 2
        image = stages(ROOT / "infra" / "container" / "Dockerfile")[-1]
        assert threads == image.environment["THREADS"]

    def test_listens_where_the_image_does(self, service: str) -> None:
        image = stages(ROOT / "infra" / "container" / "Dockerfile")[-1]
        assert container(service)["ports"] == [{"containerPort": int(image.environment["PORT"])}]
        assert image.all("USER") == ["65532:65532"]

    def test_answers_before_the_platform_gives_up(self, service: str) -> None:
        assert float(settings(service)["DETACH_TIMEOUT"]) < pod(service)["timeoutSeconds"] <= 600

    def test_sweeps_are_dry_runs(self, service: str) -> None:
        assert settings(service)["DETACH_SWEEP_DRY_RUN"] == "true"

    def test_secrets_are_files_that_it_may_only_read(self, service: str) -> None:
        mounts = {mount["name"]: mount for mount in container(service)["volumeMounts"]}
        volumes = {volume["name"]: volume for volume in pod(service)["volumes"]}
        assert set(mounts) == set(volumes)
        given = {v for k, v in settings(service).items() if k.endswith("_SECRET")}
        files = {
            f"file:{mounts[name]['mountPath']}/{item['path']}"
            for name, volume in volumes.items()
            if "secret" in volume
            for item in volume["secret"]["items"]
        }
        assert files == given
        for name, volume in volumes.items():
            if "secret" in volume:
                assert mounts[name]["readOnly"] is True
                assert volume["secret"]["defaultMode"] == 0o444
                assert not volume["secret"].get("optional", False)
            else:
                assert volume["emptyDir"] == {"medium": "Memory", "sizeLimit": "16Mi"}
                assert mounts[name]["mountPath"] == "/tmp"
        assert container(service)["env"] == [{"name": "THREADS", "value": "10"}]

    def test_reaches_names_and_the_cloud_s_api_only(self, service: str) -> None:
        names, cloud = of_kind("NetworkPolicy")[service]["spec"]["egress"]
        assert names["to"] == [in_namespace("kube-system")]
        assert [(p["protocol"], p["port"]) for p in names["ports"]] == [("UDP", 53), ("TCP", 53)]
        assert [list(to) for to in cloud["to"]] == [["ipBlock"]]
        assert cloud["ports"] == [{"protocol": "TCP", "port": 443}]
        # a range for documentation: until the user names the cloud's, nothing leaves
        assert cloud["to"][0]["ipBlock"]["cidr"] == "198.51.100.0/24"


def in_knative(app: str) -> Manifest:
    return {**in_namespace("knative-serving"), "podSelector": {"matchLabels": {"app": app}}}


@pytest.mark.parametrize(
    ("policy", "more"),
    [
        ("evs-detach-callers", []),
        ("evs-detach-events", [in_namespace("knative-eventing")]),
        ("event-log-events", [in_namespace("knative-eventing")]),
    ],
)
def test_only_the_gateway_and_for_events_the_broker_come_in(policy: str, more: list[Manifest]) -> None:
    requests, metrics = of_kind("NetworkPolicy")[policy]["spec"]["ingress"]
    assert requests["from"] == [in_namespace("kourier-system"), in_knative("activator"), *more]
    assert [port["port"] for port in requests["ports"]] == [8012, 8112]
    assert metrics["from"] == [in_knative("autoscaler")]
    assert [port["port"] for port in metrics["ports"]] == [9090]


def test_the_event_log_calls_nobody() -> None:
    assert "egress" not in of_kind("NetworkPolicy")["event-log-events"]["spec"]
