"""The command with OpenStack's own credentials, and nothing else set."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from handler.errors import Misconfigured
from handler.runtime import Runtime, reset
from handler.terminal.cli import main
from handler.terminal.exit_code import ExitCode
from handler.terminal.options import Common
from handler.terminal.session import Session
from handler.triggers import platform
from tests.embedded_cloud import Cloud, seed
from tests.unit.deployment import ROOT
from tests.unit.settings.clouds import variables, written

Printed = pytest.CaptureFixture[str]

NOTHING_SAID = Common(
    os_cloud=None,
    timeout=None,
    output=None,
    reports=(),
    metrics_file=None,
    exit_code=False,
    quiet=False,
    verbose=False,
    no_color=False,
)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home, and a current folder, of somebody who has nothing yet."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_DIRS", str(tmp_path))
    return tmp_path


@pytest.fixture
def openrc(home: Path, cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Cloud:
    """A cloud, and what an openrc for it exports."""
    assert home.exists()
    cloud.add_user("robot", "hidden-in-the-file")
    for name, value in variables(auth_url=cloud.identity_endpoint).items():
        monkeypatch.setenv(name, value)
    return cloud


def test_nothing_but_an_openrc_is_needed(openrc: Cloud, capsys: Printed) -> None:
    assert main(["check", "--json"]) == ExitCode.DONE
    said = capsys.readouterr()
    found = {line["name"]: line for line in json.loads(said.out)["checks"]}
    assert found["secret"]["message"] == "openstack: holds a user's password."
    assert found["endpoints"]["facts"]["identity"] == openrc.identity_endpoint
    assert "hidden" not in said.out + said.err
    assert main(["sweep", "--volume", seed.ORPHAN_VOLUME, "--exit-code"]) == ExitCode.FOUND
    assert main(["detach", seed.ORPHAN_VOLUME]) == ExitCode.DONE
    assert openrc.volume(seed.ORPHAN_VOLUME).status == "available"


def test_a_cloud_of_clouds_yaml_is_named_by_the_option(
    openrc: Cloud, home: Path, capsys: Printed, monkeypatch: pytest.MonkeyPatch
) -> None:
    auth = {"auth_url": openrc.identity_endpoint, "username": "robot", "project_name": "demo"}
    domains = {"user_domain_name": "Default", "project_domain_name": "Default"}
    path = written(home, {"one": {"auth": {**auth, **domains}}, "two": {}})
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", path)
    for name in ("one", "three"):  # what the file lacks, the openrc has: the password
        code = main(["--os-cloud", name, "check", "--json"])
        assert code == (ExitCode.DONE if name == "one" else ExitCode.FAILED)
        reset()
    assert "clouds.yaml has no cloud 'three' (it has 'one', 'two')" in capsys.readouterr().out


def test_nothing_but_a_clouds_yaml_in_its_usual_place_is_needed(cloud: Cloud, tmp_path: Path) -> None:
    cloud.add_user("robot", "hidden-in-the-file")
    folder = tmp_path / ".config" / "openstack"
    folder.mkdir(parents=True)
    auth = {name[3:].lower(): value for name, value in variables(auth_url=cloud.identity_endpoint).items()}
    password = auth.pop("password")
    written(folder, {"only": {"auth": auth}})
    written(folder, {"only": {"auth": {"password": password}}}, "secure.yaml")
    done = subprocess.run(
        [sys.executable, "-m", "handler", "check"],
        cwd=ROOT,
        env={"HOME": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1", "COLUMNS": "200"},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert json.loads(done.stdout)["ok"], done.stdout + done.stderr
    assert (done.returncode, done.stderr) == (ExitCode.DONE, "")


def test_an_application_credential_is_noted_beforehand(
    openrc: Cloud, monkeypatch: pytest.MonkeyPatch, capsys: Printed
) -> None:
    credential_id, secret = openrc.add_application_credential(user="robot")
    monkeypatch.delenv("OS_PROJECT_NAME")
    monkeypatch.setenv("OS_AUTH_TYPE", "v3applicationcredential")
    monkeypatch.setenv("OS_APPLICATION_CREDENTIAL_ID", credential_id)
    monkeypatch.setenv("OS_APPLICATION_CREDENTIAL_SECRET", secret)
    assert main(["check", "--json"]) == ExitCode.DONE
    said = capsys.readouterr().out
    found = {line["name"]: line for line in json.loads(said)["checks"]}
    assert found["secret"]["state"] == "note"
    assert "use a password there" in found["secret"]["message"]
    assert secret not in said


def test_a_delegated_token_is_noted_beforehand(
    openrc: Cloud, monkeypatch: pytest.MonkeyPatch, capsys: Printed
) -> None:
    credential_id, _ = openrc.add_application_credential(user="robot")
    token = openrc.identity.tokens[openrc.token()]
    token.credential = credential_id, "robot's"
    monkeypatch.delenv("OS_PROJECT_NAME")
    monkeypatch.setenv("OS_AUTH_TYPE", "v3token")
    monkeypatch.setenv("OS_TOKEN", token.text)
    assert main(["check", "--json"]) == ExitCode.DONE
    found = {line["name"]: line for line in json.loads(capsys.readouterr().out)["checks"]}
    assert (found["token"]["state"], "It is delegated" in found["token"]["message"]) == ("note", True)


@pytest.mark.usefixtures("openrc")
def test_our_own_setting_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Session(NOTHING_SAID).environment()["DETACH_TOKEN_SECRET"] == "openstack:"
    monkeypatch.setenv("DETACH_TOKEN_SECRET", "env:TOKEN")
    assert Session(NOTHING_SAID).environment()["DETACH_TOKEN_SECRET"] == "env:TOKEN"


@pytest.mark.usefixtures("home")
def test_with_nothing_at_all_the_setting_is_missing(capsys: Printed) -> None:
    assert main(["check", "--json"]) == ExitCode.FAILED
    assert "DETACH_TOKEN_SECRET is missing" in capsys.readouterr().out


@pytest.mark.usefixtures("openrc")
def test_a_served_function_reads_an_openrc_only_where_it_is_told_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DETACH_INVOKE_AUTH", "platform")
    with pytest.raises(Misconfigured, match="DETACH_TOKEN_SECRET is missing"):
        Runtime(platform.environment())
    monkeypatch.setenv("DETACH_TOKEN_SECRET", "openstack:")
    assert Runtime(platform.environment()).settings.identity_endpoint
