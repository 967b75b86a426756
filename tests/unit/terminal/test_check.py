"""`evs-detach check`: what it says of each cloud, and that it changes nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import pytest

from handler.terminal.cli import main
from handler.terminal.exit_code import ExitCode
from tests.embedded_cloud import Cloud, seed

Printed = pytest.CaptureFixture[str]

ALL = [
    "settings",
    "secret",
    "token",
    "endpoints",
    "volume service",
    "compute service",
    "endpoints together",
    "volume microversions",
    "compute microversions",
    "os-instance-actions",
    "proof",
]


class Deployment:
    """Checks a deployment at a cloud; settings are added or, by None, taken away."""

    def __init__(self, cloud: Cloud, monkeypatch: pytest.MonkeyPatch, capsys: Printed) -> None:
        self.cloud = cloud
        self._monkeypatch = monkeypatch
        self._capsys = capsys
        self.set(**cloud.environment(), DETACH_TOKEN_SECRET="env:TOKEN_OF_THE_TESTS")
        self.set(TOKEN_OF_THE_TESTS=cloud.token())

    def set(self, **settings: str | None) -> None:
        for name, value in settings.items():
            if value is None:
                self._monkeypatch.delenv(name, raising=False)
            else:
                self._monkeypatch.setenv(name, value)

    def check(self) -> tuple[int, dict[str, dict[str, Any]]]:
        """The exit code, and what was found by its name."""
        code = main(["check", "--json"])
        result = json.loads(self._capsys.readouterr().out)
        assert result["ok"] == (code == 0)
        assert {call.method for call in self.cloud.calls if call.service != "identity"} <= {"GET"}
        assert set(result) == {"ok", "request_id", "checks"}
        return code, {line["name"]: line for line in result["checks"]}


@pytest.fixture
def deployment(cloud: Cloud, monkeypatch: pytest.MonkeyPatch, capsys: Printed) -> Deployment:
    return Deployment(cloud, monkeypatch, capsys)


def states(found: dict[str, dict[str, Any]], state: str) -> list[str]:
    return [name for name, line in found.items() if line["state"] == state]


def test_a_good_deployment_is_usable(deployment: Deployment) -> None:
    code, found = deployment.check()

    assert code == ExitCode.DONE
    assert list(found) == ALL
    assert states(found, "ok") == ALL
    assert found["token"]["facts"]["project_id"] == seed.PROJECT
    assert found["token"]["facts"]["roles"] == ["member"]
    assert found["token"]["facts"]["user"] == "tester"
    assert found["token"]["facts"]["expires_at"].endswith("Z")
    assert found["endpoints"]["facts"]["volume"] == deployment.cloud.volume_endpoint
    assert found["endpoints together"]["facts"] == {"together": "catalog"}
    assert found["volume microversions"]["facts"] == {"has": ["3.27"], "lacks": []}
    assert found["compute microversions"]["facts"]["lacks"] == []
    witness = found["proof"]["facts"]["witness"]
    assert witness in deployment.cloud.world.servers


def test_line_by_line_for_a_person(
    deployment: Deployment, capsys: Printed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["check", "--output", "table"]) == 0

    lines = click.unstyle(capsys.readouterr().out).splitlines()
    assert [line[6:28].strip() for line in lines if line.startswith("ok ")] == ALL
    assert lines[-1] == "Usable."
    assert max(map(len, lines)) <= 80
    assert deployment.cloud.token() not in "".join(lines)


def test_quiet_says_only_what_is_to_be_known(deployment: Deployment, capsys: Printed) -> None:
    assert main(["check", "--output", "table", "--quiet"]) == 0
    assert capsys.readouterr().out == ""
    assert deployment.cloud.calls


@pytest.mark.parametrize(
    "words", [["--csv"], ["--report", "r.md"], ["--metrics-file", "m.prom"], ["--exit-code"], ["more"]]
)
def test_what_it_does_not_write_is_wrong_usage(words: list[str], capsys: Printed) -> None:
    assert main(["check", *words]) == ExitCode.USAGE
    assert "Usage: evs-detach check" in capsys.readouterr().err


def test_wrong_settings_end_it(deployment: Deployment) -> None:
    deployment.set(DETACH_TIMEOUT="soon", DETACH_SWEEP_LIMIT="plenty")
    code, found = deployment.check()
    assert code == ExitCode.FAILED
    assert list(found) == ["settings"]
    assert "DETACH_TIMEOUT" in found["settings"]["message"]
    assert "DETACH_SWEEP_LIMIT" in found["settings"]["message"]
    assert "plenty" not in str(found)


def test_a_secret_that_is_not_there_ends_it(deployment: Deployment) -> None:
    deployment.set(DETACH_TOKEN_SECRET="file:/no/such/file")
    code, found = deployment.check()
    assert code == ExitCode.FAILED
    assert list(found) == ["settings", "secret"]
    assert found["secret"]["facts"] == {"code": "secret_unavailable", "store": "file"}


def test_a_token_that_can_not_be_bought_ends_it(deployment: Deployment, tmp_path: Path) -> None:
    secret = {"username": "tester", "password": "wrong-password-of-the-tests", "domain": "Default"}
    path = tmp_path / "secret"
    path.write_text(json.dumps(secret), "utf-8")
    deployment.set(DETACH_TOKEN_SECRET=f"file:{path}")
    code, found = deployment.check()
    assert code == ExitCode.FAILED
    assert list(found) == ["settings", "secret", "token"]
    assert found["secret"]["message"] == f"file:{path} holds a user's password."
    assert found["token"]["facts"] == {"code": "token_rejected"}
    assert "wrong-password-of-the-tests" not in str(found)


def test_an_application_credential_is_noted(deployment: Deployment) -> None:
    credential, secret = deployment.cloud.add_application_credential()
    content = {"application_credential_id": credential, "application_credential_secret": secret}
    deployment.set(TOKEN_OF_THE_TESTS=json.dumps(content))
    code, found = deployment.check()
    assert code == ExitCode.DONE
    assert states(found, "note") == ["secret"]
    assert "use a password there" in found["secret"]["message"]
    assert secret not in str(found)


@pytest.mark.parametrize(
    ("role", "said"), [("reader", "give it the role member"), ("admin", "more than is needed")]
)
def test_roles_that_do_not_fit_are_noted(deployment: Deployment, role: str, said: str) -> None:
    deployment.cloud.add_user("somebody", "a-password-of-the-tests", role=role, projects=[seed.PROJECT])
    content = {"username": "somebody", "password": "a-password-of-the-tests", "domain": "Default"}
    deployment.set(TOKEN_OF_THE_TESTS=json.dumps(content))
    code, found = deployment.check()
    assert code == ExitCode.DONE
    assert found["token"]["state"] == "note"
    assert said in found["token"]["message"]
    assert found["token"]["facts"]["user"] == "somebody"


@pytest.mark.parametrize("service", ["volume", "compute"])
def test_what_the_token_may_not_do_is_said(deployment: Deployment, service: str) -> None:
    body = {"forbidden": {"code": 403, "message": "Policy doesn't allow it to be performed."}}
    deployment.cloud.misbehave(service, times=None, status=403, body=body)
    code, found = deployment.check()
    assert code == ExitCode.FAILED
    assert list(found) == ALL[:6]
    assert states(found, "bad") == [f"{service} service"]
    assert found[f"{service} service"]["facts"]["code"] == "permission_denied"
    assert found[f"{service} service"]["upstream"]["status"] == 403


def test_endpoints_that_are_not_known_to_belong_together_are_bad(
    deployment: Deployment, bare_cloud: Cloud
) -> None:
    bare_cloud.identity.tokens.update(deployment.cloud.identity.tokens)
    deployment.set(DETACH_COMPUTE_ENDPOINT=bare_cloud.compute_endpoint)
    code, found = deployment.check()
    assert code == ExitCode.FAILED
    assert found["endpoints together"]["state"] == "bad"
    assert found["endpoints together"]["facts"] == {"code": "configuration"}
    assert found["proof"]["state"] == "note"
    assert found["os-instance-actions"]["facts"] == {"readable": None}


def test_endpoints_taken_on_trust_are_noted(deployment: Deployment) -> None:
    deployment.set(DETACH_TRUST_ENDPOINTS="true")
    code, found = deployment.check()
    assert code == ExitCode.DONE
    assert found["endpoints together"]["state"] == "note"


@pytest.mark.parametrize(
    ("highest", "has", "lacks"),
    [
        ("2.103", ["2.89", "2.69", "2.61", "2.51"], []),
        ("2.88", ["2.69", "2.61", "2.51"], ["2.89"]),
        ("2.61", ["2.61", "2.51"], ["2.89", "2.69"]),
        ("2.60", ["2.51"], ["2.89", "2.69", "2.61"]),
        ("2.1", [], ["2.89", "2.69", "2.61", "2.51"]),
    ],
)
def test_the_versions_of_a_service_are_found_out(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch, highest: str, has: list[str], lacks: list[str]
) -> None:
    major, minor = map(int, highest.split("."))
    monkeypatch.setattr("tests.embedded_cloud.compute.MAX_VERSION", (major, minor))
    code, found = deployment.check()
    assert code == ExitCode.DONE
    assert found["compute microversions"]["facts"] == {"has": has, "lacks": lacks}
    assert found["compute microversions"]["state"] == ("note" if lacks else "ok")


def test_a_service_that_knows_no_versions_has_none(deployment: Deployment) -> None:
    deployment.set(DETACH_SERVER_CHECK="recorded", DETACH_RECOVER="on")
    deployment.cloud.versions_untold = {"compute", "volume"}
    code, found = deployment.check()
    assert code == ExitCode.FAILED
    assert found["compute microversions"]["facts"] == {"has": [], "lacks": ["2.89", "2.69", "2.61", "2.51"]}
    assert found["volume microversions"]["facts"] == {"has": [], "lacks": ["3.27"]}
    assert found["os-instance-actions"]["state"] == "bad"
    assert found["os-instance-actions"]["facts"] == {"readable": False, "code": "configuration"}
    assert found["recover"]["state"] == "bad"


@pytest.mark.parametrize(("setting", "state", "code"), [("gone", "note", 0), ("recorded", "bad", 1)])
def test_a_record_that_can_not_be_read_is_bad_where_it_is_needed(
    deployment: Deployment, setting: str, state: str, code: int
) -> None:
    deployment.set(DETACH_SERVER_CHECK=setting)
    body = {"forbidden": {"code": 403, "message": "no"}}
    deployment.cloud.misbehave(
        "compute", path_contains="os-instance-actions", times=None, status=403, body=body
    )
    ended, found = deployment.check()
    assert ended == code
    assert found["os-instance-actions"]["state"] == state
    assert found["os-instance-actions"]["facts"] == {"readable": False, "code": "permission_denied"}


def test_without_a_compute_service_nothing_is_proven(deployment: Deployment) -> None:
    deployment.set(DETACH_SERVER_CHECK="off", DETACH_COMPUTE_ENDPOINT=None)
    code, found = deployment.check()
    assert code == ExitCode.DONE
    assert found["compute service"]["state"] == "note"
    assert list(found) == ALL[:6]


def test_a_bug_is_one_of_its_lines(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    def break_down(*_: object) -> None:
        raise ZeroDivisionError("a-secret-of-the-tests")

    monkeypatch.setattr("handler.terminal.check.check_services", break_down)
    code, found = deployment.check()
    assert code == ExitCode.FAILED
    assert found["check"]["facts"] == {"code": "internal"}
    assert "a-secret-of-the-tests" not in str(found)


def test_a_vendors_cloud_is_told_of_too(
    huawei: Cloud, monkeypatch: pytest.MonkeyPatch, capsys: Printed
) -> None:
    _, found = Deployment(huawei, monkeypatch, capsys).check()
    assert states(found, "bad") == []
    assert found["volume microversions"]["facts"] == {"has": [], "lacks": ["3.27"]}


# What is switched on.


def test_nothing_is_said_of_what_is_off(deployment: Deployment) -> None:
    deployment.set(DETACH_LIVE="off", DETACH_RECOVER="off")
    _, found = deployment.check()
    assert list(found) == ALL
    assert not [call for call in deployment.cloud.calls if call.path.endswith("/attachments")]


def test_what_is_switched_on_has_a_line(deployment: Deployment, capsys: Printed) -> None:
    deployment.set(DETACH_LIVE="on", DETACH_RECOVER="on")
    code, found = deployment.check()
    assert (code, list(found)) == (ExitCode.DONE, [*ALL, "live", "recover"])
    assert states(found, "ok") == list(found)
    assert found["live"]["facts"] == {"mode": "on", "api": "nova", "lock": None}
    assert found["recover"]["facts"] == {"mode": "on", "after": 3600, "entries": True, "cells": True}
    assert main(["check", "--output", "table"]) == 0
    lines = click.unstyle(capsys.readouterr().out).splitlines()
    assert [line.split()[1] for line in lines if line.startswith("ok ")][-2:] == ["live", "recover"]


@pytest.mark.parametrize(
    ("mode", "role", "state", "said"),
    [
        ("on", "member", "ok", "the token does not walk over a server's lock"),
        ("on", "admin", "bad", "set DETACH_LIVE=admin"),
        ("admin", "admin", "note", "each server's lock is looked at first"),
        ("admin", "member", "note", "each server's lock is looked at first"),
    ],
)
def test_live_needs_a_token_that_does_not_walk_over_locks(
    deployment: Deployment, mode: str, role: str, state: str, said: str
) -> None:
    deployment.set(DETACH_LIVE=mode, TOKEN_OF_THE_TESTS=deployment.cloud.token(role=role))
    code, found = deployment.check()
    assert code == (ExitCode.FAILED if state == "bad" else ExitCode.DONE)
    assert found["live"]["state"] == state
    assert said in found["live"]["message"]
    assert found["live"]["facts"].get("code") == ("configuration" if state == "bad" else None)


@pytest.mark.parametrize(
    ("highest", "mode", "state", "said"),
    [
        ("2.88", "on", "note", "(2.89)"),
        ("2.60", "admin", "note", "(2.89)"),
        ("2.8", "admin", "bad", "doesn't tell whether a server is locked"),
    ],
)
def test_live_says_what_an_old_compute_service_can_not_tell(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch, highest: str, mode: str, state: str, said: str
) -> None:
    major, minor = map(int, highest.split("."))
    monkeypatch.setattr("tests.embedded_cloud.compute.MAX_VERSION", (major, minor))
    deployment.set(DETACH_LIVE=mode)
    _, found = deployment.check()
    assert (found["live"]["state"], said in found["live"]["message"]) == (state, True)


@pytest.mark.parametrize(
    ("highest", "api", "known"),
    [((2, 61), None, True), ((2, 60), None, False), ((2, 60), "nova", False), ((2, 60), "ecs", True)],
)
def test_live_says_where_a_root_is_not_known_to_be_refused(
    deployment: Deployment,
    monkeypatch: pytest.MonkeyPatch,
    highest: tuple[int, int],
    api: str | None,
    known: bool,
) -> None:
    monkeypatch.setattr("tests.embedded_cloud.compute.MAX_VERSION", highest)
    deployment.set(DETACH_LIVE="on", **({} if api is None else {"DETACH_LIVE_API": api}))
    _, found = deployment.check()
    assert ("that it refuses a root is not known (2.61)" in found["live"]["message"]) is not known


def test_live_says_that_no_versions_are_known(deployment: Deployment) -> None:
    deployment.cloud.misbehave("compute", path_contains="/servers", after=1, times=None, status=500)
    deployment.set(DETACH_LIVE="on", DETACH_TRUST_ENDPOINTS="true", DETACH_READ_TIMEOUT="1")
    _, found = deployment.check()
    assert found["compute microversions"]["facts"] == {"has": None}
    assert "(2.61)" in found["live"]["message"]
    assert "(2.89)" in found["live"]["message"]


def test_live_says_that_no_reason_can_be_read(deployment: Deployment) -> None:
    body = {"forbidden": {"code": 403, "message": "no"}}
    deployment.cloud.misbehave(
        "compute", path_contains="os-instance-actions", times=None, status=403, body=body
    )
    deployment.set(DETACH_LIVE="on")
    _, found = deployment.check()
    assert found["live"]["state"] == "note"
    assert "why a detach failed can't be told" in found["live"]["message"]


def test_live_of_a_lock_without_a_server_is_not_known(deployment: Deployment) -> None:
    deployment.cloud.world.clear()
    deployment.set(DETACH_LIVE="admin", DETACH_RECOVER="on", DETACH_TRUST_ENDPOINTS="true")
    code, found = deployment.check()
    assert code == ExitCode.DONE
    assert found["live"]["facts"]["lock"] is None
    assert "there is no server" in found["live"]["message"]
    assert found["recover"]["facts"] == {"mode": "on", "after": 3600, "entries": None, "cells": True}
    assert "there is no volume" in found["recover"]["message"]


@pytest.mark.parametrize("fault", ["none", "forbidden"])
def test_recover_needs_the_attachments_api(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    deployment.set(DETACH_RECOVER="on")
    if fault == "none":
        monkeypatch.setattr("tests.embedded_cloud.volumes.MAX_VERSION", (3, 26))
    else:
        body = {"forbidden": {"code": 403, "message": "no"}}
        deployment.cloud.misbehave("volume", path_contains="/attachments", times=None, status=403, body=body)
    code, found = deployment.check()
    assert code == ExitCode.FAILED
    assert found["recover"]["state"] == "bad"
    assert found["recover"]["facts"].get("code") == (None if fault == "none" else "permission_denied")


@pytest.mark.parametrize(
    ("mode", "highest", "down", "cells", "said"),
    [
        ("on", (2, 68), False, False, "sets DETACH_RECOVER=unlisted"),
        ("on", (2, 104), True, False, "(a cell) is down"),
        ("unlisted", (2, 68), False, None, "on the operator's word"),
    ],
)
def test_recover_says_whether_a_cell_that_is_down_would_be_seen(
    deployment: Deployment,
    monkeypatch: pytest.MonkeyPatch,
    mode: str,
    highest: tuple[int, int],
    down: bool,
    cells: bool | None,
    said: str,
) -> None:
    deployment.set(DETACH_RECOVER=mode, DETACH_RECOVER_AFTER="900")
    monkeypatch.setattr("tests.embedded_cloud.compute.MAX_VERSION", highest)
    if down:
        deployment.cloud.host(deployment.cloud.server(seed.STOPPED_SERVER).host).cell = "cell2"
        deployment.cloud.cells_down.add("cell2")
    code, found = deployment.check()
    assert code == ExitCode.DONE
    assert (found["recover"]["state"], said in found["recover"]["message"]) == ("note", True)
    assert found["recover"]["facts"] == {"mode": mode, "after": 900, "entries": True, "cells": cells}


def test_a_compute_service_that_fails_then_is_bad(deployment: Deployment) -> None:
    deployment.set(DETACH_RECOVER="on")
    body = {"forbidden": {"code": 403, "message": "no"}}
    deployment.cloud.misbehave("compute", path_contains="servers/detail", times=None, status=403, body=body)
    code, found = deployment.check()
    assert code == ExitCode.FAILED
    assert found["recover"]["facts"]["code"] == "permission_denied"


def test_a_vendors_cloud_is_asked_by_its_own_api(
    huawei: Cloud, monkeypatch: pytest.MonkeyPatch, capsys: Printed
) -> None:
    vendor = Deployment(huawei, monkeypatch, capsys)
    vendor.set(DETACH_LIVE="on", DETACH_LIVE_API="ecs", DETACH_RECOVER="unlisted")
    code, found = vendor.check()
    assert found["live"]["facts"]["api"] == "ecs"
    assert "only what ECS itself shows to be a data disk" in found["live"]["message"]
    # Huawei Cloud documents no attachments API
    assert (code, found["recover"]["state"]) == (ExitCode.FAILED, "bad")
