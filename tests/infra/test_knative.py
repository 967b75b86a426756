"""The Knative manifests as kustomize renders them: valid, and tied together by the right names."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import jsonschema
import kubernetes_validate  # type: ignore[import-untyped]
import pytest

from handler.settings import read_settings
from tests.infra.manifests import (
    FUNCTIONS,
    KNATIVE,
    Manifest,
    container,
    in_namespace,
    of_kind,
    pod,
    rendered,
    services,
    settings,
)

SCHEMAS = Path(__file__).with_name("schemas")
KUBERNETES = {"Namespace", "ConfigMap", "ServiceAccount", "NetworkPolicy"}


def test_every_manifest_is_valid_by_its_own_project_s_schema() -> None:
    judged = set()
    for manifest in rendered():
        kind = manifest["kind"]
        if kind in KUBERNETES:
            kubernetes_validate.validate(manifest, "1.37", strict=True)
        else:
            group, version = manifest["apiVersion"].split("/")
            name = f"knative-{kind.lower()}-{group.split('.')[0]}-{version}.json"
            schema = json.loads((SCHEMAS / name).read_text(encoding="utf-8"))
            jsonschema.Draft202012Validator(schema).validate(manifest)
        judged.add(kind)
    assert judged == {*KUBERNETES, "Service", "Broker", "Trigger", "PingSource"}


@pytest.mark.parametrize(
    "path", ["spec/template/spec/containers/0/imagee", "spec/tempalte", "metadata/label"]
)
def test_a_misspelt_field_is_caught(path: str) -> None:
    broken = json.loads(json.dumps(services()["evs-detach-events"]))
    *above, last = path.split("/")
    place = broken
    for step in above:
        place = place[int(step) if step.isdigit() else step]
    place[last] = "x"
    schema = json.loads((SCHEMAS / "knative-service-serving-v1.json").read_text(encoding="utf-8"))
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(schema).validate(broken)


def test_a_misspelt_field_of_kubernetes_is_caught() -> None:
    broken = json.loads(json.dumps(of_kind("NetworkPolicy")["evs-detach-events"]))
    broken["spec"]["egres"] = broken["spec"].pop("egress")
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(broken, "1.37", strict=True)


def test_all_is_in_one_namespace_that_takes_hardened_pods_only() -> None:
    (namespace,) = of_kind("Namespace").values()
    assert namespace["metadata"]["labels"] == {"pod-security.kubernetes.io/enforce": "restricted"}
    names = {m["metadata"]["namespace"] for m in rendered() if m["kind"] != "Namespace"}
    assert names == {namespace["metadata"]["name"]}


def test_nothing_secret_is_in_a_manifest() -> None:
    assert of_kind("Secret") == {}
    text = json.dumps(rendered())
    assert not re.search(r"(?i)password|bearer [a-z0-9]|BEGIN [A-Z ]*KEY", text)
    for service in FUNCTIONS:
        values = {**settings(service), **{e["name"]: e["value"] for e in container(service)["env"]}}
        for name, value in values.items():
            if name.endswith("_SECRET"):
                assert value.startswith("file:/var/run/secrets/evs-detach/"), name


def test_events_need_no_key_and_other_callers_do() -> None:
    assert settings("evs-detach-events")["DETACH_INVOKE_AUTH"] == "platform"
    assert "DETACH_INVOKE_SECRET" not in settings("evs-detach-events")
    assert settings("evs-detach-callers")["DETACH_INVOKE_AUTH"] == "bearer"
    assert settings("evs-detach-callers")["DETACH_INVOKE_SECRET"].startswith("file:")


@pytest.mark.parametrize("service", FUNCTIONS)
def test_the_function_accepts_its_settings(service: str) -> None:
    assert read_settings(settings(service)).sweep.dry_run


def test_callers_keys_are_with_the_service_that_checks_them_only() -> None:
    holding = {
        service
        for service in FUNCTIONS
        for volume in pod(service)["volumes"]
        if volume.get("secret", {}).get("secretName") == "evs-detach-caller-keys"
    }
    assert holding == {"evs-detach-callers"}


def test_both_are_the_same_but_for_that() -> None:
    events = json.dumps(services()["evs-detach-events"]["spec"])
    callers = json.loads(json.dumps(services()["evs-detach-callers"]["spec"]))
    spec = callers["template"]["spec"]
    spec["volumes"].pop()
    spec["containers"][0]["volumeMounts"].pop()
    named = re.sub(r"-(events|callers)(-\w{10})?\b|\b(events|callers)\b", "-X", events)
    assert json.loads(named) == json.loads(
        re.sub(r"-(events|callers)(-\w{10})?\b|\b(events|callers)\b", "-X", json.dumps(callers))
    )


def test_every_name_leads_to_something() -> None:
    kinds = {("Broker", name) for name in of_kind("Broker")} | {("Service", name) for name in services()}
    for trigger in of_kind("Trigger").values():
        assert ("Broker", trigger["spec"]["broker"]) in kinds
        assert ("Service", trigger["spec"]["subscriber"]["ref"]["name"]) in kinds
    for source in of_kind("PingSource").values():
        assert (source["spec"]["sink"]["ref"]["kind"], source["spec"]["sink"]["ref"]["name"]) in kinds
    for broker in of_kind("Broker").values():
        assert ("Service", broker["spec"]["delivery"]["deadLetterSink"]["ref"]["name"]) in kinds
    for service in services().values():
        account = service["spec"]["template"]["spec"]["serviceAccountName"]
        assert account in of_kind("ServiceAccount")


def routes() -> dict[str, str]:
    """Give the subscriber of each type of event."""
    return {
        trigger["spec"]["filter"]["attributes"]["type"]: trigger["spec"]["subscriber"]["ref"]["name"]
        for trigger in of_kind("Trigger").values()
    }


def test_requests_and_the_schedule_go_to_the_service_for_events_and_results_to_the_log() -> None:
    assert routes() == {
        "io.github.evs-detach.request": "evs-detach-events",
        "dev.knative.sources.ping": "evs-detach-events",
        "io.github.evs-detach.result": "event-log-events",
    }


def test_a_result_does_not_come_back_to_the_function() -> None:
    assert routes()["io.github.evs-detach.result"] not in FUNCTIONS


def test_delivery_is_tried_again_and_what_is_left_is_kept() -> None:
    (broker,) = of_kind("Broker").values()
    delivery = broker["spec"]["delivery"]
    assert delivery["retry"] >= 3
    assert delivery["backoffPolicy"] == "exponential"
    assert delivery["backoffDelay"] == "PT5S"
    assert delivery["deadLetterSink"]["ref"]["name"] == "event-log-events"


def test_the_schedule_asks_for_a_sweep() -> None:
    (source,) = of_kind("PingSource").values()
    assert json.loads(source["spec"]["data"]) == {"sweep": {}}
    assert source["spec"]["contentType"] == "application/json"
    assert source["spec"]["sink"]["ref"]["kind"] == "Broker"


def with_component(name: str, overlay: str, folder: Path) -> dict[tuple[str, str], Manifest]:
    """What is rendered with a component, added as its first lines say."""
    copy = folder / "knative"
    shutil.copytree(KNATIVE, copy)
    file = copy / "overlays" / overlay / "kustomization.yaml"
    text = file.read_text(encoding="utf-8")
    file.write_text(f"{text}components: [../../components/{name}]\n", encoding="utf-8")
    return {(m["kind"], m["metadata"]["name"]): m for m in rendered(copy / "overlays" / overlay)}


@pytest.mark.parametrize("overlay", ["events", "callers"])
@pytest.mark.parametrize("name", ["openstack", "vault", "ca-bundle"])
def test_a_component_gives_settings_and_a_service_that_are_valid(
    name: str, overlay: str, tmp_path: Path
) -> None:
    found = with_component(name, overlay, tmp_path)
    service = found["Service", f"evs-detach-{overlay}"]
    schema = json.loads((SCHEMAS / "knative-service-serving-v1.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(schema).validate(service)
    for (kind, _), manifest in found.items():
        if kind in KUBERNETES:
            kubernetes_validate.validate(manifest, "1.37", strict=True)
    (config,) = (m["data"] for (kind, _), m in found.items() if kind == "ConfigMap")
    spec = service["spec"]["template"]["spec"]
    mounts = {mount["name"]: mount for mount in spec["containers"][0]["volumeMounts"]}
    assert set(mounts) == {volume["name"] for volume in spec["volumes"]}
    ca = config.pop("DETACH_CA_BUNDLE", None)  # there only inside of the pod
    assert (ca is not None) == (name == "ca-bundle")
    assert ca is None or ca.startswith(mounts["ca"]["mountPath"])
    read = read_settings(config)
    assert read.sweep.dry_run
    assert ("token" in mounts) == (name != "vault")
    assert spec["automountServiceAccountToken"] is (name == "vault")
    if name == "openstack":
        assert read.region is None
        ports = found["NetworkPolicy", f"evs-detach-{overlay}"]["spec"]["egress"][1]["ports"]
        assert [port["port"] for port in ports] == [443, 5000, 8774, 8776]


def test_fan_out_opens_the_way_to_the_broker_and_no_other(tmp_path: Path) -> None:
    found = with_component("fan-out", "events", tmp_path)
    (broker,) = (name for kind, name in found if kind == "Broker")
    (config,) = (m for (kind, _), m in found.items() if kind == "ConfigMap")
    assert read_settings(config["data"]).fanout_sink == config["data"]["DETACH_FANOUT_SINK"]
    assert config["data"]["DETACH_FANOUT_SINK"].endswith(f"/{config['metadata']['namespace']}/{broker}")
    egress = found["NetworkPolicy", "evs-detach-events"]["spec"]["egress"]
    assert len(egress) == 3
    assert egress[2]["to"][0].keys() == {"namespaceSelector", "podSelector"}
    assert egress[2]["to"][0]["namespaceSelector"] == in_namespace("knative-eventing")["namespaceSelector"]
    sent = found["Trigger", "requests-events"]["spec"]["filter"]["attributes"]["type"]
    assert sent == "io.github.evs-detach.request"
