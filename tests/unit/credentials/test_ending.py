"""A secret that is about to end is said, in time and once."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

import pytest

from handler.credentials.ending import NOTICE, Ending
from handler.invocation import Platform
from handler.secret import Secret
from handler.telemetry import Log, configure
from tests.embedded_cloud import Cloud
from tests.unit.credentials.deployment import Clock, Deployment, password

DAY = 86400.0
Printed = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _log() -> None:
    configure("INFO")


def said(capsys: Printed) -> list[tuple[str, str, int]]:
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return [
        (line["level"], line["kind"], line["days_left"]) for line in lines if line["event"] == "secret_ends"
    ]


@pytest.mark.parametrize(
    ("days", "level"),
    [(400, "INFO"), (NOTICE + 1, "INFO"), (NOTICE - 0.5, "WARNING"), (0, "WARNING"), (-3, "WARNING")],
)
def test_near_its_end_it_is_a_warning(days: float, level: str, capsys: Printed) -> None:
    clock = Clock()

    Ending("DETACH_TOKEN_SECRET", clock).saw("version", clock.now + days * DAY, Log({"request_id": "r-1"}))

    (line,) = [json.loads(text) for text in capsys.readouterr().out.splitlines()]
    assert (line["level"], line["event"], line["setting"]) == (level, "secret_ends", "DETACH_TOKEN_SECRET")
    moment = datetime.fromtimestamp(clock.now + days * DAY, timezone.utc)
    assert (line["ends_at"], line["days_left"]) == (f"{moment:%Y-%m-%dT%H:%M:%SZ}", int(days))


def test_each_end_is_said_once_and_once_more_when_it_is_near(capsys: Printed) -> None:
    clock = Clock()
    ending, first = Ending("S", clock), clock.now + 30 * DAY

    for _ in range(40):
        ending.saw("version", first, Log())
        clock.passes(DAY)
    ending.saw("version", first + 365 * DAY, Log())
    ending.saw("version", None, Log())

    assert [(level, days) for level, _, days in said(capsys)] == [
        ("INFO", 30),
        ("WARNING", NOTICE - 1),
        ("INFO", 355),
    ]


Deploy = Callable[[dict[str, str]], Deployment]


def test_a_password_s_end_is_in_its_token(
    cloud: Cloud, capsys: Printed, deploy: Deploy, clock: Clock
) -> None:
    cloud.add_user("robot", "pw", ends_at=clock() + 5.5 * DAY)

    deploy({**cloud.environment(), "DETACH_TOKEN_SECRET": "env:S", "S": password("pw")}).invoke(2)

    assert said(capsys) == [("WARNING", "password", 5)]


def test_one_without_an_end_is_not_spoken_of(cloud: Cloud, capsys: Printed, deploy: Deploy) -> None:
    cloud.add_user("robot", "pw")
    credential, secret = cloud.identity.add_application_credential()

    deploy({**cloud.environment(), "DETACH_TOKEN_SECRET": "env:S", "S": password("pw")}).invoke()
    deploy(
        {
            **cloud.environment(),
            "DETACH_TOKEN_SECRET": "env:S",
            "S": application_credential(credential, secret),
        }
    ).invoke()

    assert said(capsys) == []


def application_credential(id_: str, secret: str) -> str:
    return json.dumps({"application_credential_id": id_, "application_credential_secret": secret})


def looks(cloud: Cloud) -> int:
    return sum("/application_credentials/" in call.path for call in cloud.calls)


def test_an_application_credential_s_end_is_asked_for_once(
    cloud: Cloud, capsys: Printed, deploy: Deploy, clock: Clock
) -> None:
    ends_at = clock() + 90.5 * DAY
    credential, secret = cloud.identity.add_application_credential(ends_at=ends_at)
    deployment = deploy(
        {
            **cloud.environment(),
            "DETACH_TOKEN_SECRET": "env:S",
            "S": application_credential(credential, secret),
        }
    )

    deployment.invoke(2)
    cloud.expire_all_tokens()
    deployment.invoke(2)

    assert cloud.identity.tokens_issued == 2
    assert looks(cloud) == 1
    assert said(capsys) == [("INFO", "application_credential", 90)]


@pytest.mark.parametrize("status", [403, 404, 500])
def test_where_it_is_not_told_the_work_goes_on(
    cloud: Cloud, capsys: Printed, status: int, deploy: Deploy, clock: Clock
) -> None:
    credential, secret = cloud.identity.add_application_credential(ends_at=clock() + DAY)
    cloud.misbehave("identity", "GET", "/application_credentials/", times=None, status=status)

    deploy(
        {
            **cloud.environment(),
            "DETACH_TOKEN_SECRET": "env:S",
            "S": application_credential(credential, secret),
        }
    ).invoke()

    assert said(capsys) == []
    assert looks(cloud) == 1


@pytest.mark.parametrize("body", [{}, [], {"application_credential": {"id": "another", "expires_at": "x"}}])
def test_an_answer_about_something_else_says_nothing(
    cloud: Cloud, capsys: Printed, body: Any, deploy: Deploy, clock: Clock
) -> None:
    credential, secret = cloud.identity.add_application_credential(ends_at=clock() + DAY)
    cloud.misbehave("identity", "GET", "/application_credentials/", times=None, status=200, body=body)

    deploy(
        {
            **cloud.environment(),
            "DETACH_TOKEN_SECRET": "env:S",
            "S": application_credential(credential, secret),
        }
    ).invoke()

    assert said(capsys) == []


@pytest.mark.parametrize("unit", [1, 1000])
def test_a_version_in_csms_ends_in_seconds_or_milliseconds(
    cloud: Cloud, capsys: Printed, unit: int, deploy: Deploy, clock: Clock
) -> None:
    ends_at = int(clock() + 3.5 * DAY)
    cloud.csms.put("detacher", cloud.token(), expire_time=ends_at * unit)

    deploy({**cloud.environment(), "DETACH_TOKEN_SECRET": "csms:detacher"}).invoke(
        platform=Platform(Secret(cloud.token()))
    )

    assert said(capsys) == [("WARNING", "version", 3)]


@pytest.mark.parametrize("odd", [0, -1, True, "soon", 1.5, 10**30, None])
def test_an_end_that_is_none_is_not_spoken_of(
    cloud: Cloud, capsys: Printed, odd: Any, deploy: Deploy
) -> None:
    cloud.csms.put("detacher", cloud.token(), expire_time=odd)

    deploy({**cloud.environment(), "DETACH_TOKEN_SECRET": "csms:detacher"}).invoke(
        platform=Platform(Secret(cloud.token()))
    )

    assert said(capsys) == []
    assert logging.getLogger("evs_detach").handlers
