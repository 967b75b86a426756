"""Nothing is cleared where the two services are not known to be of one cloud and region."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import responses

from handler.cloud.endpoints import Together
from handler.errors import ErrorCode
from handler.invocation import Invocation, Trigger
from handler.model.request import Batch, Sweep, SweepBounds, Target
from handler.model.result import ManyResult, Outcome, TargetResult
from handler.runtime import Runtime
from tests.embedded_cloud import Cloud
from tests.unit.actions.answers import OTHER_SERVER, Clock, Signer, services_of
from tests.unit.conftest import Deploy
from tests.unit.contexts import call_context
from tests.unit.embedded_project import EmbeddedProject

HTTP = Invocation(Trigger.HTTP, "r-1")
Shape = dict[str, str]


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    """A cloud that clears whatever it is asked to: what is held back is held back by us."""
    with Cloud() as cloud:
        cloud.asks_compute = False
        yield cloud


@pytest.fixture
def elsewhere(cloud: Cloud) -> Iterator[Cloud]:
    """Another region, which takes the same tokens and knows none of the servers."""
    with Cloud() as elsewhere:
        elsewhere.identity.tokens = cloud.identity.tokens
        yield elsewhere


def live(cloud: Cloud) -> Target:
    """A disk that a living server holds."""
    volume = cloud.add_volume(attachments=[cloud.add_server()])
    return Target(volume_id=volume.id, attachment_id=volume.attachments[0].attachment_id)


def stuck(cloud: Cloud) -> Target:
    """A disk whose server is gone."""
    server = cloud.add_server()
    volume = cloud.add_volume(attachments=[server])
    cloud.delete_server(server.id)
    return Target(volume_id=volume.id, attachment_id=volume.attachments[0].attachment_id)


def one(runtime: Runtime, target: Target, *, dry_run: bool = False) -> TargetResult:
    result = runtime.carry_out([target._replace(dry_run=dry_run)], HTTP)
    assert isinstance(result, TargetResult)
    return result


def unlisted(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [row for row in rows if row["type"] == "identity"]


def refused(result: TargetResult) -> str:
    assert result.error is not None
    assert (result.outcome, result.error.code) == (Outcome.FAILED, ErrorCode.CONFIGURATION)
    assert (result.changed, result.error.retryable) == (False, False)
    return result.error.message


def seen(cloud: Cloud, kind: str) -> int:
    return sum(call.path.endswith(kind) for call in cloud.calls)


# Another region's compute service: the case from the field, in every spelling.


def spelled(cloud: Cloud, elsewhere: Cloud, spelling: str) -> None:
    """The catalog, which has each region's services, with their hosts spelled so."""

    def shown(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        there = json.loads(json.dumps(rows).replace(cloud.url, elsewhere.url))
        for row in there:
            for endpoint in row["endpoints"]:
                endpoint["region"] = endpoint["region_id"] = "RegionTwo"
        text = json.dumps([*rows, *(row for row in there if row["type"] == "compute")])
        shown: list[dict[str, Any]] = json.loads(text.replace("127.0.0.1", spelling))
        return shown

    cloud.catalogue = shown


@pytest.mark.parametrize("dry_run", [True, False])
@pytest.mark.parametrize(
    ("listed", "set_"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("localhost.", "localhost"),
        ("localhost", "localhost"),
        ("LOCALHOST", "localhost"),
        ("localhost", "LocalHost"),
        ("[::ffff:127.0.0.1]", "127.0.0.1"),
        ("localhost", "127.0.0.1"),
        ("127.0.0.1", "localhost"),
        ("cloud.example", "127.0.0.1"),
    ],
)
def test_a_live_server_of_one_region_is_not_gone_in_another(
    cloud: Cloud, elsewhere: Cloud, deploy: Deploy, listed: str, set_: str, *, dry_run: bool
) -> None:
    spelled(cloud, elsewhere, listed)
    target = live(cloud)
    runtime = deploy(
        cloud,
        DETACH_VOLUME_ENDPOINT=cloud.volume_endpoint.replace("127.0.0.1", set_),
        DETACH_COMPUTE_ENDPOINT=elsewhere.compute_endpoint.replace("127.0.0.1", set_),
    )

    message = refused(one(runtime, target, dry_run=dry_run))

    for host in (cloud.url, elsewhere.url):
        assert host.rpartition(":")[2] in message
    assert "DETACH_TRUST_ENDPOINTS=true" in message
    assert cloud.posts() == []


@pytest.mark.parametrize("catalogue", [unlisted, lambda _: None, lambda _: [], lambda _: "none"])
def test_nor_where_the_catalog_says_nothing(
    cloud: Cloud, elsewhere: Cloud, deploy: Deploy, catalogue: Any
) -> None:
    cloud.catalogue = catalogue
    runtime = deploy(cloud, DETACH_COMPUTE_ENDPOINT=elsewhere.compute_endpoint)

    message = refused(one(runtime, live(cloud)))

    for host in (cloud.url, elsewhere.url):
        assert host.rpartition(":")[2] in message
    assert "they are not the vendor's hosts of one region" in message
    assert "the compute service's first page of servers has none that an in-use volume names" in message
    assert cloud.posts() == []


def test_a_sweep_clears_nothing_there(cloud: Cloud, elsewhere: Cloud, deploy: Deploy) -> None:
    cloud.catalogue = unlisted
    for _ in range(3):
        live(cloud)
    elsewhere.add_server()
    runtime = deploy(
        cloud,
        DETACH_COMPUTE_ENDPOINT=elsewhere.compute_endpoint,
        DETACH_SWEEP_DRY_RUN="false",
        DETACH_SWEEP_MAX_FRACTION="1",
    )

    result = runtime.carry_out([Sweep(sweep=SweepBounds(min_age_seconds=0))], HTTP)

    assert isinstance(result, ManyResult)
    assert [refused(part) for part in result.results]
    assert cloud.posts() == []


@pytest.mark.parametrize("endpoints", [{}, {"DETACH_VOLUME_ENDPOINT": "", "DETACH_COMPUTE_ENDPOINT": ""}])
def test_nor_where_both_regions_servers_have_the_one_volume_service_s_disks(
    cloud: Cloud, elsewhere: Cloud, deploy: Deploy, endpoints: Shape
) -> None:
    def shown(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        both = json.loads(json.dumps([row for row in rows if row["type"] != "identity"]))
        for row in both:
            for endpoint in row["endpoints"]:
                endpoint["region"] = endpoint["region_id"] = "RegionTwo"
                if row["type"] == "compute":
                    endpoint["url"] = endpoint["url"].replace(cloud.url, elsewhere.url)
        return [*rows, *both]

    cloud.catalogue = shown
    stuck(cloud)
    there = elsewhere.add_server()
    volume = cloud.add_volume(attachments=[there.id])
    target = Target(volume_id=volume.id, attachment_id=volume.attachments[0].attachment_id)

    message = refused(one(deploy(cloud, OS_REGION_NAME="RegionOne", **endpoints), target))

    assert "another compute service" in message
    assert cloud.posts() == []


# What is known without asking costs nothing.


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"DETACH_VOLUME_ENDPOINT": "", "DETACH_COMPUTE_ENDPOINT": ""},
        {"DETACH_COMPUTE_ENDPOINT": ""},
    ],
)
def test_where_the_catalog_knows_no_further_call_is_made(
    cloud: Cloud, deploy: Deploy, settings: Shape
) -> None:
    result = one(deploy(cloud, **settings), stuck(cloud))

    assert (result.outcome, result.calls) == (Outcome.DETACHED, 4)
    assert [call.method for call in cloud.calls if call.service in {"volume", "compute"}] == [
        "GET",
        "GET",
        "POST",
        "GET",
    ]


@pytest.mark.parametrize("scheme", ["https", "http"])
def test_a_catalog_of_other_spellings_is_known(cloud: Cloud, deploy: Deploy, scheme: str) -> None:
    cloud.catalogue = lambda rows: json.loads(
        json.dumps(rows).replace("http://127.0.0.1", f"{scheme}://LOCALHOST.")
    )
    settings = {
        name: getattr(cloud, attribute).replace("127.0.0.1", "localhost")
        for name, attribute in (
            ("DETACH_VOLUME_ENDPOINT", "volume_endpoint"),
            ("DETACH_COMPUTE_ENDPOINT", "compute_endpoint"),
        )
    }

    assert one(deploy(cloud, **settings), stuck(cloud)).outcome is Outcome.DETACHED
    assert (seen(cloud, "/volumes/detail"), seen(cloud, "/servers")) == (0, 0)


def test_a_target_that_is_refused_sooner_has_no_witness_looked_for(cloud: Cloud, deploy: Deploy) -> None:
    cloud.catalogue = unlisted
    assert one(deploy(cloud), live(cloud)).outcome is Outcome.REFUSED
    assert (seen(cloud, "/volumes/detail"), seen(cloud, "/servers")) == (0, 0)


# The witness.


@pytest.mark.parametrize("dry_run", [True, False])
def test_a_server_that_both_services_know_is_witness_enough(
    cloud: Cloud, deploy: Deploy, capsys: pytest.CaptureFixture[str], *, dry_run: bool
) -> None:
    cloud.catalogue = unlisted
    target = stuck(cloud)
    live(cloud)

    result = one(deploy(cloud), target, dry_run=dry_run)

    assert result.outcome is (Outcome.WOULD_DETACH if dry_run else Outcome.DETACHED)
    assert result.calls == (2 if dry_run else 4)  # those for the witness are nobody's own
    assert "endpoints_witnessed" in capsys.readouterr().out


def test_how_it_is_known_is_remembered_with_the_token(cloud: Cloud) -> None:
    project = EmbeddedProject(cloud)
    services = project.services()
    endpoints = services._auth.endpoints
    server = cloud.volume(live(cloud).volume_id or "").attachments[0].server_id
    endpoints.together = None
    assert endpoints.witness is None
    services.belonging.require(call_context())
    project.close()
    assert vars(endpoints) | {"tried": (), "looking": None} == {
        "volume": cloud.volume_endpoint,
        "compute": cloud.compute_endpoint,
        "together": Together.WITNESS,
        "tried": (),
        "witness": server,
        "sight": None,
        "looking": None,
    }


def test_it_is_looked_for_once_as_long_as_the_token_is_kept(cloud: Cloud, deploy: Deploy) -> None:
    cloud.catalogue = unlisted
    live(cloud)
    runtime = deploy(cloud)
    batch = Batch(targets=[stuck(cloud) for _ in range(6)])

    several = runtime.carry_out([batch], HTTP)
    again = one(runtime, stuck(cloud))

    assert isinstance(several, ManyResult)
    assert several.summary == {"detached": 6}
    assert again.outcome is Outcome.DETACHED
    assert (seen(cloud, "/volumes/detail"), seen(cloud, "/servers")) == (1, 1)


def test_none_is_looked_for_once_in_an_invocation_and_again_in_the_next(cloud: Cloud, deploy: Deploy) -> None:
    cloud.catalogue = unlisted
    runtime = deploy(cloud)
    targets = [stuck(cloud) for _ in range(4)]

    several = runtime.carry_out([Batch(targets=targets)], HTTP)
    assert isinstance(several, ManyResult)
    assert all(refused(part) for part in several.results)
    assert (seen(cloud, "/volumes/detail"), seen(cloud, "/servers")) == (1, 1)
    assert cloud.posts() == []

    live(cloud)
    assert one(runtime, targets[0]).outcome is Outcome.DETACHED


def test_who_waited_takes_the_witness_that_was_found_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    signer = Signer()
    services = services_of(Clock(), signer)

    class Lock:
        """Held by another thread, which finds one."""

        def acquire(self, *, timeout: float) -> bool:
            assert timeout > 0
            signer.endpoints.witness = OTHER_SERVER
            return True

        def release(self) -> None:
            pass

    monkeypatch.setattr(services.belonging, "_lock", Lock())
    with responses.RequestsMock():  # which nobody may ask anything
        assert services.belonging.witness(services.context) == OTHER_SERVER


def test_a_listed_server_must_be_shown_by_its_id(cloud: Cloud, deploy: Deploy) -> None:
    cloud.catalogue = unlisted
    target = stuck(cloud)
    server = cloud.volume(live(cloud).volume_id or "").attachments[0].server_id
    body = {"itemNotFound": {"code": 404, "message": f"Instance {server} could not be found."}}
    cloud.misbehave("compute", path_contains=f"/servers/{server}", status=404, body=body)

    refused(one(deploy(cloud), target))
    assert cloud.posts() == []


@pytest.mark.parametrize(
    "page",
    [
        {"volumes": [{"status": "available", "attachments": [{"server_id": "SERVER"}]}]},
        {"volumes": [{"status": "in-use", "attachments": {"server_id": "SERVER"}}]},
        {"volumes": [{"status": "in-use", "attachments": [None, {"server_id": 5}, {"server_id": "x"}]}, 5]},
        {"volumes": [{"status": "in-use", "attachments": None}, {"status": "in-use"}]},
        {"volumes": []},
    ],
)
def test_a_volume_that_does_not_name_it_in_use_is_no_witness(
    cloud: Cloud, deploy: Deploy, page: dict[str, Any]
) -> None:
    cloud.catalogue = unlisted
    target = stuck(cloud)
    server = cloud.volume(live(cloud).volume_id or "").attachments[0].server_id
    body = json.loads(json.dumps(page).replace("SERVER", str(server)))
    cloud.misbehave("volume", path_contains="/volumes/detail", status=200, body=body)

    refused(one(deploy(cloud), target))
    assert cloud.posts() == []


@pytest.mark.parametrize(
    ("rule", "code", "says"),
    [
        ({"status": 403, "body": {}}, ErrorCode.CONFIGURATION, "(permission_denied)"),
        ({"status": 404, "body": {}}, ErrorCode.CONFIGURATION, "(upstream_rejected)"),
        ({"status": 401, "body": {}}, ErrorCode.TOKEN_REJECTED, "refuses the token"),
        ({"status": 500, "body": {}}, ErrorCode.UPSTREAM_UNAVAILABLE, "answered 500"),
        ({"status": 200, "body": {"servers": 5}}, ErrorCode.UPSTREAM_UNAVAILABLE, "can't be read"),
        ({"status": 200, "body": "<html>"}, ErrorCode.UPSTREAM_UNAVAILABLE, "can't be read"),
    ],
)
def test_lists_that_can_not_be_had_clear_nothing(
    cloud: Cloud, deploy: Deploy, rule: dict[str, Any], code: ErrorCode, says: str
) -> None:
    cloud.catalogue = unlisted
    target = stuck(cloud)
    live(cloud)
    cloud.misbehave("compute", path_contains="/servers", after=1, times=None, **rule)

    result = one(deploy(cloud), target)

    assert result.error is not None
    assert result.error.code is code
    assert says in result.error.message
    assert (result.changed, cloud.posts()) == (False, [])


# Without a look at servers, and on trust.


def test_without_a_look_at_servers_the_volume_endpoint_alone_is_compared(
    cloud: Cloud, deploy: Deploy
) -> None:
    cloud.catalogue = lambda rows: [row for row in rows if row["type"] != "compute"]
    off = {"DETACH_SERVER_CHECK": "off", "DETACH_COMPUTE_ENDPOINT": ""}
    assert one(deploy(cloud, **off), stuck(cloud)).outcome is Outcome.DETACHED
    cloud.clear_calls()

    cloud.catalogue = unlisted
    message = refused(one(deploy(cloud, **off), stuck(cloud)))
    assert "DETACH_VOLUME_ENDPOINT" in message
    assert "DETACH_COMPUTE_ENDPOINT" not in message
    assert cloud.posts() == []


@pytest.mark.parametrize("off", [{}, {"DETACH_SERVER_CHECK": "off"}])
def test_an_operator_who_knows_better_is_trusted_and_every_run_says_so(
    cloud: Cloud, elsewhere: Cloud, deploy: Deploy, capsys: pytest.CaptureFixture[str], off: Shape
) -> None:
    spelled(cloud, elsewhere, "cloud.example")
    runtime = deploy(cloud, DETACH_TRUST_ENDPOINTS="true", **off)

    for _ in range(2):
        assert one(runtime, stuck(cloud)).outcome is Outcome.DETACHED

    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    told = [line["level"] for line in lines if line["event"] == "endpoints_trusted"]
    assert told == ["WARNING", "WARNING"]
    assert (seen(cloud, "/volumes/detail"), seen(cloud, "/servers")) == (0, 0)


def test_nobody_is_trusted_unasked(cloud: Cloud, deploy: Deploy, capsys: pytest.CaptureFixture[str]) -> None:
    assert one(deploy(cloud), stuck(cloud)).outcome is Outcome.DETACHED
    assert "endpoints_trusted" not in capsys.readouterr().out
