"""`context:`: the platform's own token, which is never kept beyond its invocation."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from handler.errors import Misconfigured, SecretUnavailable, TokenRejected, UpstreamUnavailable
from handler.invocation import Platform
from handler.secret import Secret
from tests.embedded_cloud import Cloud
from tests.unit.contexts import call_context
from tests.unit.credentials.deployment import Deployment
from tests.unit.credentials.threads import crowd, until

Deploy = Callable[[dict[str, str]], Deployment]


def environment_of(cloud: Cloud, **more: str) -> dict[str, str]:
    """Without a configured project."""
    environment = {**cloud.environment(), "DETACH_TOKEN_SECRET": "context:", **more}
    del environment["DETACH_PROJECT_ID"]
    return environment


def lookups(cloud: Cloud) -> int:
    return sum(call.service == "identity" for call in cloud.calls)


def test_each_invocation_uses_the_token_that_it_brought(cloud: Cloud, deploy: Deploy) -> None:
    deployment = deploy(environment_of(cloud))
    one, two = cloud.token(), cloud.token()
    for token in (one, two, one):
        deployment.invoke(platform=Platform(Secret(token), cloud.project_id))
    assert [c.headers["x-auth-token"] for c in cloud.calls if c.service == "volume"] == [one, two, one]
    assert lookups(cloud) == 2


def test_no_secret_is_read_for_it(cloud: Cloud, deploy: Deploy) -> None:
    assert deploy(environment_of(cloud)).credentials.content(call_context()) is None
    assert cloud.calls == []


def test_no_token_is_kept(cloud: Cloud, deploy: Deploy) -> None:
    deployment = deploy(environment_of(cloud))
    deployment.invoke(platform=Platform(Secret(cloud.token()), cloud.project_id))
    with pytest.raises(SecretUnavailable, match="needs the platform's token") as caught:
        deployment.invoke(platform=Platform(None, cloud.project_id))
    assert caught.value.retryable is False


@pytest.mark.parametrize("token", ["", "null", " null "])
def test_an_absent_token_is_written_in_several_ways(cloud: Cloud, deploy: Deploy, token: str) -> None:
    with pytest.raises(SecretUnavailable, match="set an agency"):
        deploy(environment_of(cloud)).invoke(platform=Platform(Secret(token), cloud.project_id))
    assert cloud.calls == []


def test_a_token_that_cannot_stand_in_a_header_is_not_sent(cloud: Cloud, deploy: Deploy) -> None:
    with pytest.raises(Misconfigured, match="The platform's token is not a token") as caught:
        deploy(environment_of(cloud)).invoke(platform=Platform(Secret("h1dden\nX: y")))
    assert "h1dden" not in caught.value.message


def test_a_refused_token_is_an_answer(cloud: Cloud, deploy: Deploy) -> None:
    deployment = deploy(environment_of(cloud))
    platform = Platform(Secret(cloud.token()), cloud.project_id)
    deployment.invoke(platform=platform)
    cloud.expire_all_tokens()
    cloud.clear_calls()
    with pytest.raises(TokenRejected):
        deployment.invoke(platform=platform)
    assert [call.status for call in cloud.calls] == [401]


@pytest.mark.parametrize("spelling", ["null", " null ", "", None])
def test_the_project_is_the_runtimes_where_the_invocation_names_none(
    cloud: Cloud, deploy: Deploy, spelling: str | None
) -> None:
    cloud.misbehave("identity", status=403)
    deployment = deploy(environment_of(cloud, RUNTIME_PROJECT_ID=cloud.project_id))
    deployment.invoke(platform=Platform(Secret(cloud.token()), spelling))
    assert cloud.calls[-1].status == 200


def test_the_project_is_the_tokens_where_nothing_else_names_one(cloud: Cloud, deploy: Deploy) -> None:
    deploy(environment_of(cloud)).invoke(platform=Platform(Secret(cloud.token())))
    assert cloud.calls[-1].status == 200


def test_a_token_of_another_project_than_the_functions_is_refused(cloud: Cloud, deploy: Deploy) -> None:
    deployment = deploy(environment_of(cloud))
    for _ in range(2):
        with pytest.raises(Misconfigured, match="is not the configured one"):
            deployment.invoke(
                platform=Platform(Secret(cloud.token(cloud.other_project_id)), cloud.project_id)
            )
    assert [call.service for call in cloud.calls] == ["identity", "identity"]


def test_the_functions_project_must_be_the_configured_one(cloud: Cloud, deploy: Deploy) -> None:
    deployment = deploy({**environment_of(cloud), "DETACH_PROJECT_ID": cloud.project_id})
    with pytest.raises(Misconfigured, match="another project than the function's own"):
        deployment.invoke(platform=Platform(Secret(cloud.token()), cloud.other_project_id))
    assert cloud.calls == []
    deployment.invoke(platform=Platform(Secret(cloud.token()), cloud.project_id.upper()))


def test_a_project_id_that_is_none_goes_into_no_path(cloud: Cloud, deploy: Deploy) -> None:
    with pytest.raises(Misconfigured, match="The platform's project id is not valid"):
        deploy(environment_of(cloud)).invoke(platform=Platform(Secret(cloud.token()), "../../x"))
    assert cloud.calls == []


def test_an_unverified_token_is_said_once(
    cloud: Cloud, deploy: Deploy, log: Callable[[], list[dict[str, Any]]]
) -> None:
    cloud.misbehave("identity", status=404)
    deployment = deploy(environment_of(cloud))
    platform = Platform(Secret(cloud.token()), cloud.project_id)
    deployment.invoke(platform=platform)
    deployment.invoke(platform=platform)
    assert [line["status"] for line in log() if line["event"] == "token_unverified"] == [404]


def test_only_the_last_tokens_are_remembered_and_none_as_itself(cloud: Cloud, deploy: Deploy) -> None:
    deployment = deploy(environment_of(cloud))
    tokens = [cloud.token() for _ in range(17)]
    for token in [*tokens, tokens[-1], tokens[0]]:
        _ = deployment.auth(Platform(Secret(token))).project_id
    assert lookups(cloud) == 18
    remembered = vars(deployment.credentials._tokens)["_known"]
    assert len(remembered) == 16
    assert not any(known.value for known in remembered.values())
    assert not any(token in repr(remembered) for token in tokens)


def test_what_is_wrong_with_one_token_is_not_said_of_another(cloud: Cloud, deploy: Deploy) -> None:
    deployment = deploy(environment_of(cloud))
    cloud.misbehave("identity", delay=0.5)
    wrong = Platform(Secret(cloud.token(cloud.other_project_id)), cloud.project_id)
    right = Platform(Secret(cloud.token()), cloud.project_id)
    said: list[BaseException] = []

    def refused() -> None:
        try:
            deployment.invoke(platform=wrong)
        except Misconfigured as error:
            said.append(error)

    first = threading.Thread(target=refused)
    first.start()
    until(lambda: lookups(cloud) == 1)
    deployment.invoke(platform=right)
    first.join(timeout=20)
    assert len(said) == 1


def test_a_crowd_with_one_token_looks_it_up_once(cloud: Cloud, deploy: Deploy) -> None:
    deployment = deploy(environment_of(cloud))
    platform = Platform(Secret(cloud.token()), cloud.project_id)
    assert crowd(20, lambda _: deployment.invoke(platform=platform)) == []
    assert lookups(cloud) == 1


def test_a_crowd_whose_token_can_not_be_looked_up_asks_together(cloud: Cloud, deploy: Deploy) -> None:
    cloud.misbehave("identity", times=None, status=500, delay=0.3)
    deployment = deploy(environment_of(cloud))
    platform = Platform(Secret(cloud.token()), cloud.project_id)
    raised = crowd(20, lambda _: deployment.invoke(platform=platform))
    assert [type(error) for error in raised] == [UpstreamUnavailable] * 20
    assert lookups(cloud) <= 3
