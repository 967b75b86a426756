"""Which answers about a server are believed, at a cloud whose own net is off."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from handler.errors import ErrorCode
from handler.invocation import Invocation, Trigger
from handler.model.request import Batch
from handler.model.result import ManyResult, Outcome
from tests.embedded_cloud import Call, Cloud, seed
from tests.unit.actions.at_the_cloud import LIVE, ORPHAN, SECOND_ORPHAN, is_held, one, said
from tests.unit.conftest import Deploy

pytestmark = pytest.mark.usefixtures("no_net_of_cinder_s")


@pytest.mark.parametrize("statuses", [(103,), (102,), (100, 102, 103)], ids=str)
def test_interim_answers_before_every_answer_are_not_noticed(
    statuses: tuple[int, ...], cloud: Cloud, deploy: Deploy
) -> None:
    """Taken for the answer, a 103 leaves the 404 about one server to the question about the next."""
    cloud.misbehave(interim=statuses, times=None)

    result = deploy(cloud, DETACH_CONCURRENCY="1").carry_out(
        [Batch(targets=[ORPHAN, LIVE, SECOND_ORPHAN])], Invocation(Trigger.HTTP, "r-1")
    )

    assert isinstance(result, ManyResult)
    assert [said(part) for part in result.results] == [
        ("detached", None, True),
        ("refused", "server_exists", False),
        ("detached", None, True),
    ]
    assert is_held(cloud, LIVE)
    assert len(cloud.posts()) == 2


@pytest.mark.parametrize("service", ["volume", "compute"])
def test_an_answer_behind_an_answer_is_nobody_s(service: str, cloud: Cloud, deploy: Deploy) -> None:
    gone = json.dumps({"itemNotFound": {"code": 404, "message": "Instance could not be found."}})
    stray = f"HTTP/1.1 404 Not Found\r\nContent-Length: {len(gone)}\r\n\r\n{gone}"
    cloud.misbehave(service, "GET", stray=stray, times=None)

    result = deploy(cloud, DETACH_CONCURRENCY="1").carry_out(
        [Batch(targets=[ORPHAN, LIVE])], Invocation(Trigger.HTTP, "r-1")
    )

    assert isinstance(result, ManyResult)
    assert [part.outcome.value for part in result.results] == ["detached", "refused"]
    assert is_held(cloud, LIVE)


@pytest.mark.parametrize(
    "message",
    [
        None,
        "",
        "Flavor m1.large could not be found.",
        "Compute host compute-7 could not be found.",
        "Cell 5f3c could not be found.",
        f"Instanz {seed.LIVE_SERVER} konnte nicht gefunden werden.",
        f"Instance {seed.GONE_SERVER} could not be found.",
        f"Instance {seed.LIVE_SERVER} could not be found.{' ' * 400}{seed.GONE_SERVER}",
        "Instance could not be found.",
    ],
)
def test_a_404_in_foreign_words_proves_nothing(message: str | None, cloud: Cloud, deploy: Deploy) -> None:
    body = {"itemNotFound": {"code": 404, "message": message}}
    cloud.misbehave("compute", "GET", status=404, body=body, times=None)

    assert said(one(deploy(cloud), LIVE)) == ("refused", "server_unknown", False)
    assert cloud.posts() == []


@pytest.mark.parametrize(
    "body",
    [
        {"error": {"code": "Ecs.0114", "message": "The ECS does not exist."}},
        {"itemNotFound": {"code": 404, "message": "Instance could not be found."}},
    ],
    ids=["the vendor's code", "an older service's sentence"],
)
def test_words_that_name_nobody_are_asked_for_again_on_a_connection_of_their_own(
    body: Any, cloud: Cloud, deploy: Deploy
) -> None:
    cloud.misbehave("compute", "GET", status=404, body=body)

    assert said(one(deploy(cloud), LIVE)) == ("refused", "server_exists", False)
    assert [call.status for call in cloud.calls if call.service == "compute"] == [404, 200]


@pytest.mark.parametrize("elsewhere", [True, False])
def test_words_that_name_nobody_need_a_witness(elsewhere: bool, cloud: Cloud, deploy: Deploy) -> None:
    """Another region's compute service says of every server of ours that there is none."""
    where = f"/servers/{'' if elsewhere else seed.GONE_SERVER}"
    said_of_it = {"error": {"code": "Ecs.0614", "message": "No."}}
    cloud.misbehave("compute", path_contains=where, status=404, body=said_of_it, times=None)
    if elsewhere:
        cloud.misbehave("compute", status=200, body={"servers": []}, times=None)

    result = one(deploy(cloud), ORPHAN)

    if not elsewhere:
        assert said(result) == ("detached", None, True)
        return
    assert said(result) == ("refused", "server_unknown", False)
    assert result.error is not None
    assert "names none" in result.error.message
    assert is_held(cloud, ORPHAN)


def test_a_volume_that_is_said_to_be_gone_without_its_id_is_asked_for_again(
    cloud: Cloud, deploy: Deploy
) -> None:
    cloud.misbehave("volume", "GET", status=404, body={"error": {"code": "EVS.5404", "message": "No."}})

    assert said(one(deploy(cloud), ORPHAN)) == ("detached", None, True)


def test_a_secret_that_is_swapped_in_the_middle_does_not_clear_a_live_disk(
    cloud: Cloud, deploy: Deploy, tmp_path: Path
) -> None:
    """The volume of one project, its server looked for in another (where it looks gone), and back again."""
    secret = tmp_path / "token"
    ours, theirs = cloud.token(), cloud.token(cloud.other_project_id)
    secret.write_text(ours, encoding="utf-8")
    asked: list[tuple[str, str]] = []

    def swap(call: Call) -> None:
        if call.service in {"volume", "compute"}:
            asked.append((call.service, call.headers["x-auth-token"]))
            secret.write_text(
                theirs if call.service == "volume" and call.method == "GET" else ours, encoding="utf-8"
            )

    cloud.hook(swap)
    runtime = deploy(cloud, DETACH_TOKEN_SECRET=f"file:{secret}", DETACH_SECRET_TTL="0", DETACH_PROJECT_ID="")

    result = one(runtime, LIVE)

    assert asked[:2] == [("volume", ours), ("compute", theirs)], "the swap has to be seen"
    assert result.outcome is Outcome.FAILED
    assert result.error is not None
    assert result.error.code is ErrorCode.CONFIGURATION
    assert cloud.posts() == []
    assert is_held(cloud, LIVE)
