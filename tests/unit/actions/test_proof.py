"""A server is judged once for all of its disks, where what was found can't have changed since."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import responses
from responses.registries import OrderedRegistry

from handler.actions.proof import Proof, Witness
from handler.cloud.servers import Server
from handler.cloud.volumes import read_volume
from handler.errors import ErrorCode, Failure, Refused
from handler.invocation import Invocation, Trigger
from handler.model.request import GoneServer
from handler.model.result import ManyResult
from handler.settings import ServerCheck
from tests.embedded_cloud import Cloud, seed
from tests.unit.actions.answers import (
    IN_USE,
    NOVA_GONE,
    SERVER,
    THE_SERVER,
    Clock,
    Said,
    Signer,
    get,
    server,
    services_of,
    stub,
)
from tests.unit.conftest import Deploy


def _judge(check: str, answers: Sequence[Said], times: int = 2) -> list[ErrorCode | None]:
    """What is found each time."""
    found: list[ErrorCode | None] = []
    with responses.RequestsMock(registry=OrderedRegistry, assert_all_requests_are_fired=True) as cloud:
        for number, said in enumerate(answers):
            stub(cloud, said, number)
        services = services_of(Clock(), Signer(), check)
        assert services.servers is not None
        proof = Proof(services.servers, ServerCheck(check), remember=True)
        for _ in range(times):
            try:
                seen = proof.find((SERVER,), services.context.separate())
                if isinstance(seen, Server):
                    proof.require_let_go(seen, read_volume(IN_USE["volume"]), services.context.separate())
                found.append(None)
            except Failure as failure:
                found.append(failure.code)
    return found


@pytest.mark.parametrize("check", ["gone", "not-held"])
def test_a_server_that_is_gone_is_asked_for_once(check: str) -> None:
    assert _judge(check, [get(THE_SERVER, 404, NOVA_GONE)], times=3) == [None, None, None]


def test_a_look_up_that_failed_is_not_repeated_for_every_disk() -> None:
    assert _judge("gone", [get(THE_SERVER, 403)], times=3) == [ErrorCode.PERMISSION_DENIED] * 3


def test_a_server_that_exists_is_asked_for_once() -> None:
    assert _judge("gone", [get(THE_SERVER, 200, server("ACTIVE"))]) == [ErrorCode.SERVER_EXISTS] * 2


def test_a_server_that_was_off_is_asked_for_again_since_it_may_have_been_started() -> None:
    held: dict[str, list[str]] = {"volumeAttachments": []}
    found = _judge(
        "not-held",
        [
            get(THE_SERVER, 200, server("SHUTOFF")),
            get(f"{THE_SERVER}/os-volume_attachments", 200, held),
            get(THE_SERVER, 200, server("ACTIVE")),
        ],
    )

    assert found == [None, ErrorCode.SERVER_EXISTS]


def test_the_form_server_asks_for_its_server_once(cloud: Cloud, deploy: Deploy) -> None:
    result = deploy(cloud).carry_out(
        [GoneServer(server_id=seed.TWO_DISK_GONE_SERVER)], Invocation(Trigger.CTS, "r-1")
    )

    assert isinstance(result, ManyResult)
    assert result.summary == {"detached": 2}
    assert sum(call.service == "compute" for call in cloud.calls) == 1


def test_asking_ahead_leaves_a_failure_to_each_attachment_s_own_judgement(
    cloud: Cloud, deploy: Deploy
) -> None:
    cloud.misbehave("compute", "GET", status=403, times=None)

    result = deploy(cloud).carry_out(
        [GoneServer(server_id=seed.TWO_DISK_GONE_SERVER)], Invocation(Trigger.CTS, "r-1")
    )

    assert isinstance(result, ManyResult)
    assert [part.error and part.error.code for part in result.results] == [ErrorCode.PERMISSION_DENIED] * 2


def test_an_attachment_of_no_server_is_refused_without_asking() -> None:
    services = services_of(Clock(), Signer())
    assert services.servers is not None

    with pytest.raises(Refused, match="names no server"):
        Proof(services.servers, ServerCheck.GONE).find((), services.context)
    assert services.context.calls == 0


@pytest.mark.parametrize("witness", [None, lambda _: None], ids=["no witness", "a witness of nobody"])
def test_words_that_name_nobody_prove_nothing_without_a_witness(witness: Witness | None) -> None:
    services = services_of(Clock(), Signer())
    assert services.servers is not None
    nameless = {"itemNotFound": {"message": "Instance could not be found."}}

    with responses.RequestsMock(registry=OrderedRegistry, assert_all_requests_are_fired=True) as cloud:
        for number in range(2):
            stub(cloud, get(THE_SERVER, 404, nameless), number)
        with pytest.raises(Refused, match="names none") as raised:
            Proof(services.servers, ServerCheck.GONE, witness=witness).find((SERVER,), services.context)

    assert raised.value.code is ErrorCode.SERVER_UNKNOWN
