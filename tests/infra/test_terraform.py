"""The Terraform module, judged by the real terraform.

The provider is not installed with the tests. ``TERRAFORM_WRAPPER`` is a command that answers for it and that
terraform's own is appended to; without it, only what needs no provider is checked. No cloud is asked.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from handler.settings import NAMES, Settings, read_settings

ROOT = Path(__file__).resolve().parents[2]
MODULE = ROOT / "infra" / "huaweicloud"
EVENT_DATA = json.loads(
    Path(__file__).with_name("schemas").joinpath("fgs_trigger_event_data.json").read_text(encoding="utf-8")
)
CALLS = json.loads((MODULE / "calls.json").read_text(encoding="utf-8"))["calls"]
REQUIRED = {"region": "ap-southeast-3", "package_file": "../../tests/empty.zip"}
EXAMPLES: dict[str, dict[str, Any]] = {
    "scheduled-dry-run": REQUIRED,
    "server-deletions": {**REQUIRED, "email": "ops@example.com", "user_name": "ops"},
    "private-api": {
        **REQUIRED,
        "gateway": {"instance_id": "i", "group_id": "g", "environment_id": "e"},
        "email": "ops@example.com",
        "user_name": "ops",
    },
}
PLANTED = "planted-5f2c.internal.example"
EVERYTHING = {
    "region": "ap-southeast-3",
    "package_file": "./tests/empty.zip",
    "csms_secret": {"name": "detach"},
    "private_settings": {"DETACH_VOLUME_ENDPOINT": f"https://{PLANTED}/v3"},
    "schedule": {"rate": "6h"},
    "on_server_deleted": "smn",
    "api": {"instance_id": "i", "group_id": "g", "environment_id": "e"},
}


def terraform(
    folder: Path, *arguments: str, wrapper: tuple[str, ...] = ()
) -> subprocess.CompletedProcess[str]:
    if shutil.which("terraform") is None:
        pytest.skip("no terraform on this machine")
    command = [*wrapper, "terraform", f"-chdir={folder}", *arguments]
    environment = {
        **os.environ,
        "TF_CLI_CONFIG_FILE": os.devnull,
        "TF_IN_AUTOMATION": "1",
        "CHECKPOINT_DISABLE": "1",
    }
    return subprocess.run(
        command,
        env=environment,
        capture_output=True,
        encoding="utf-8",
        check=False,
        stdin=subprocess.DEVNULL,
        timeout=100,
    )


@pytest.fixture(scope="module")
def wrapper() -> tuple[str, ...]:
    if "TERRAFORM_WRAPPER" not in os.environ:
        pytest.skip("TERRAFORM_WRAPPER is not set: nothing here answers for the provider")
    return tuple(shlex.split(os.environ["TERRAFORM_WRAPPER"]))


class Workspace:
    """A copy of the module, so that terraform's own files stay out of the project."""

    def __init__(self, folder: Path, wrapper: tuple[str, ...]) -> None:
        self.folder = folder / "huaweicloud"
        self.wrapper = wrapper
        ignored = shutil.ignore_patterns(".terraform*", "terraform.tfstate*")
        shutil.copytree(MODULE, self.folder, ignore=ignored)

    def run(self, *arguments: str, below: str = "") -> str:
        done = terraform(self.folder / below, *arguments, wrapper=self.wrapper)
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
        return done.stdout

    def apply(self, variables: dict[str, Any]) -> str:
        (self.folder / "given.auto.tfvars.json").write_text(json.dumps(variables), encoding="utf-8")
        return self.run("apply", "-no-color", "-auto-approve", "-input=false")

    def plan(self, variables: dict[str, Any]) -> str:
        (self.folder / "given.auto.tfvars.json").write_text(json.dumps(variables), encoding="utf-8")
        return self.run("plan", "-no-color", "-input=false", "-out=planned")

    def state(self) -> dict[str, Any]:
        values: dict[str, Any] = json.loads(self.run("show", "-json"))["values"]
        return values

    def resources(self, kind: str) -> list[dict[str, Any]]:
        found = self.state()["root_module"]["resources"]
        return [resource["values"] for resource in found if resource["type"] == f"huaweicloud_{kind}"]


@pytest.fixture
def workspace(tmp_path: Path, wrapper: tuple[str, ...]) -> Workspace:
    made = Workspace(tmp_path, wrapper)
    made.run("init", "-backend=false")
    return made


def test_is_formatted() -> None:
    done = terraform(MODULE, "fmt", "-check", "-recursive", "-diff")
    assert done.returncode == 0, done.stdout


def test_module_is_valid(workspace: Workspace) -> None:
    assert "configuration is valid" in workspace.run("validate", "-no-color")


def test_a_misspelt_argument_is_not(workspace: Workspace) -> None:
    source = (workspace.folder / "main.tf").read_text(encoding="utf-8")
    (workspace.folder / "main.tf").write_text(
        source.replace("memory_size  ", "memory_sizee ", 1), encoding="utf-8"
    )
    done = terraform(workspace.folder, "validate", "-no-color", wrapper=workspace.wrapper)
    assert done.returncode == 1
    assert "memory_sizee" in done.stderr


def test_its_own_tests_pass(workspace: Workspace) -> None:
    files = (workspace.folder / "tests").glob("*.tftest.hcl")
    runs = sum(len(re.findall(r"^run ", file.read_text(encoding="utf-8"), re.MULTILINE)) for file in files)
    assert f"Success! {runs} passed, 0 failed." in workspace.run("test", "-no-color")


def applied(workspace: Workspace, example: str) -> list[dict[str, Any]]:
    """Give the resources of an example that was validated and applied as its variables ask."""
    below = f"examples/{example}"
    workspace.run("init", "-backend=false", below=below)
    assert "configuration is valid" in workspace.run("validate", "-no-color", below=below)
    given = json.dumps(EXAMPLES[example])
    (workspace.folder / below / "given.auto.tfvars.json").write_text(given, encoding="utf-8")
    workspace.run("apply", "-no-color", "-auto-approve", "-input=false", below=below)
    state = json.loads(workspace.run("show", "-json", below=below))["values"]
    (module,) = state["root_module"]["child_modules"]
    resources: list[dict[str, Any]] = module["resources"]
    return resources


def policy_of(resources: list[dict[str, Any]]) -> str:
    return str([r["values"]["policy"] for r in resources if r["type"].endswith("identity_role")])


def triggers_of(resources: list[dict[str, Any]]) -> set[str]:
    return {r["values"]["type"] for r in resources if r["type"] == "huaweicloud_fgs_function_trigger"}


def made(resources: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [resource["values"] for resource in resources if resource["type"] == f"huaweicloud_{kind}"]


def test_every_example_is_tried() -> None:
    assert {path.name for path in (MODULE / "examples").iterdir()} == set(EXAMPLES)


def test_the_dry_run_s_example_can_clear_nothing(workspace: Workspace) -> None:
    resources = applied(workspace, "scheduled-dry-run")
    assert triggers_of(resources) == {"TIMER"}
    (function,) = made(resources, "fgs_function")
    assert json.loads(function["user_data"])["DETACH_SWEEP_DRY_RUN"] == "true"
    assert "evs:volumes:list" in policy_of(resources)
    assert "evs:volumes:detach" not in policy_of(resources)


def test_the_deletions_example_clears_and_wakes_somebody(workspace: Workspace) -> None:
    resources = applied(workspace, "server-deletions")
    assert triggers_of(resources) == {"SMN", "TIMER"}
    assert "evs:volumes:detach" in policy_of(resources)
    (function,) = made(resources, "fgs_function")
    assert json.loads(function["user_data"])["DETACH_SWEEP_DRY_RUN"] == "true"
    assert len(made(resources, "lts_keywords_alarm_rule")) == 5
    assert [each["endpoint"] for each in made(resources, "smn_subscription")] == ["ops@example.com"] * 2


def test_the_api_s_example_is_private_and_asks_for_keys(workspace: Workspace) -> None:
    resources = applied(workspace, "private-api")
    (api,) = made(resources, "apig_api")
    assert (api["type"], api["security_authentication"], api["request_protocol"]) == (
        "Private",
        "IAM",
        "HTTPS",
    )
    (function,) = made(resources, "fgs_function")
    settings = json.loads(function["user_data"])
    assert (settings["DETACH_INVOKE_AUTH"], settings["DETACH_INVOKE_SECRET"]) == (
        "bearer",
        "csms:evs-detach-callers",
    )
    (keys,) = made(resources, "csms_secret")
    assert (keys["name"], keys["secret_text"]) == ("evs-detach-callers", "{}")
    assert triggers_of(resources) == set()


def test_what_is_private_or_secret_is_hidden_in_plans(workspace: Workspace) -> None:
    shown = workspace.plan(EVERYTHING)
    assert PLANTED not in shown
    assert re.search(r"encrypted_user_data += \(sensitive value\)", shown)
    assert re.search(r"secret_text += \(sensitive value\)", shown)
    outputs = json.loads(workspace.run("show", "-json", "planned"))["planned_values"]["outputs"]
    assert PLANTED not in json.dumps(outputs)


def test_nothing_secret_is_in_outputs_or_state(workspace: Workspace) -> None:
    said = workspace.apply(EVERYTHING)
    assert PLANTED not in said
    outputs = workspace.state()["outputs"]
    assert PLANTED not in json.dumps(outputs)
    assert {output["sensitive"] for output in outputs.values()} == {False}
    # both secrets are made empty; their values are stored by other means
    secrets = workspace.resources("csms_secret")
    assert [(secret["secret_text"], secret["secret_binary"]) for secret in secrets] == [("{}", None)] * 2


def test_a_value_stored_later_is_left_alone(workspace: Workspace) -> None:
    workspace.apply(EVERYTHING)
    kept = workspace.folder / "terraform.tfstate"
    kept.write_text(
        kept.read_text(encoding="utf-8").replace(
            '"secret_text": "{}"', '"secret_text": "hash-of-another-value"'
        ),
        encoding="utf-8",
    )
    assert "No changes." in workspace.plan(EVERYTHING)


def test_no_file_holds_what_looks_like_a_secret() -> None:
    for path in sorted(MODULE.rglob("*")):
        if (
            path.is_file()
            and path.suffix in {".tf", ".hcl", ".json", ".md"}
            and ".terraform" not in path.parts
        ):
            text = path.read_text(encoding="utf-8")
            assert not re.search(r"(?i)(password|secret_key|access_key)\s*=\s*\"", text), path


@pytest.mark.parametrize(
    "more",
    [{}, {"schedule": {"cron": "0 0 3 * * ?"}, "on_server_deleted": "cts"}],
    ids=["rate and smn", "cron and cts"],
)
def test_triggers_speak_the_service_s_own_form(workspace: Workspace, more: dict[str, Any]) -> None:
    workspace.apply({**EVERYTHING, **more})
    seen = set()
    for trigger in workspace.resources("fgs_function_trigger"):
        data = json.loads(trigger["event_data"])
        if trigger["type"] == "SMN":
            (topic,) = [t for t in workspace.resources("smn_topic") if t["name"].endswith("-server-deleted")]
            assert data["topic_urn"] == topic["topic_urn"]
            # what answers for the provider invents addresses of another form
            data["topic_urn"] = "urn:smn:invented"
        schema = {**EVENT_DATA, "$ref": f"#/$defs/{trigger['type']}"}
        jsonschema.Draft202012Validator(schema).validate(data)
        seen.add(trigger["type"])
    assert seen == {"TIMER", "CTS" if more else "SMN"}


def test_every_setting_of_the_function_is_sorted_by_who_may_give_it() -> None:
    known = json.loads((MODULE / "settings.json").read_text(encoding="utf-8"))
    listed = [name for kind in ("variables", "settings", "private", "refused") for name in known[kind]]
    assert sorted(listed) == sorted(NAMES)
    given = (MODULE / "main.tf").read_text(encoding="utf-8").partition("\nresource ")[0]
    assert set(re.findall(r"\b(?:DETACH|OS|VAULT)_[A-Z_]+\b", given)) == set(known["variables"])


@pytest.mark.parametrize("kind", ["settings", "private_settings"])
def test_every_setting_that_may_be_given_is_taken(workspace: Workspace, kind: str) -> None:
    known = json.loads((MODULE / "settings.json").read_text(encoding="utf-8"))
    names = known["private"] + (known["settings"] if kind == "settings" else [])
    required = {k: EVERYTHING[k] for k in ("region", "package_file")}
    workspace.apply({**required, kind: dict.fromkeys(names, "debug")})  # the one value that is judged here
    assert set(names) <= set(settings_of(workspace))


def settings_of(workspace: Workspace) -> dict[str, str]:
    (function,) = workspace.resources("fgs_function")
    private = json.loads(function["encrypted_user_data"] or "{}")
    given: dict[str, str] = {**json.loads(function["user_data"]), **private}
    return given


@pytest.mark.parametrize("variables", [EVERYTHING, {k: EVERYTHING[k] for k in ("region", "package_file")}])
def test_the_function_accepts_its_settings(workspace: Workspace, variables: dict[str, Any]) -> None:
    workspace.apply(variables)
    given = settings_of(workspace)
    assert set(given) <= set(NAMES)
    settings: Settings = read_settings(given, network=False)  # the zip: nobody reaches it but the platform
    assert settings.sweep.dry_run
    assert settings.invoke_auth.value == ("bearer" if "api" in variables else "platform")
    # the service's own limit for all of them
    assert sum(len(name) + len(value) for name, value in given.items()) < 4096


def needed(server_check: str, store: str) -> set[str]:
    return {
        action
        for call in CALLS
        if call["server_check"] is None or server_check in call["server_check"]
        if call["secret_store"] in {None, store}
        for action in (*call["actions"], *call["dependencies"])
    }


@pytest.mark.parametrize("server_check", ["gone", "recorded", "not-held", "off"])
@pytest.mark.parametrize("store", ["context", "csms"])
def test_the_policy_allows_what_the_calls_need(workspace: Workspace, server_check: str, store: str) -> None:
    secret = {"csms_secret": {"name": "detach", "kms_key_id": "key"}} if store == "csms" else {}
    given = {k: EVERYTHING[k] for k in ("region", "package_file")}
    workspace.plan({**given, **secret, "server_check": server_check})
    planned = json.loads(workspace.run("show", "-json", "planned"))["planned_values"]
    policy = planned["outputs"]["policy"]["value"]
    allowed = [action for statement in policy["Statement"] for action in statement["Action"]]
    assert sorted(allowed) == sorted(needed(server_check, store))
    assert {statement["Effect"] for statement in policy["Statement"]} == {"Allow"}
