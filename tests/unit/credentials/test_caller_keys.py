"""The keys of our callers: who passes, and how often the store is asked for those who don't."""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Callable
from typing import Any

import pytest

from handler.credentials import CallerKeys
from handler.errors import DeadlineExceeded, Forbidden, Misconfigured, SecretUnavailable, Unauthenticated
from handler.invocation import NO_PLATFORM, Invocation, Platform, Trigger
from handler.secret import Secret
from handler.settings.secret_reference import SecretReference, Store
from tests.embedded_cloud import Cloud
from tests.unit.contexts import call_context
from tests.unit.credentials.deployment import Clock, Deployment
from tests.unit.credentials.threads import crowd

Deploy = Callable[[dict[str, str]], Deployment]
Log = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def environment(cloud: Cloud) -> dict[str, str]:
    return {
        **cloud.environment(),
        "DETACH_TOKEN_SECRET": "context:",
        "DETACH_INVOKE_SECRET": "env:KEYS",
        "KEYS": "first-key-of-callers",
    }


@pytest.fixture
def keys(environment: dict[str, str], deploy: Deploy) -> CallerKeys:
    return deploy(environment).keys()


def invocation(
    platform: Platform = NO_PLATFORM, *, seconds_left: float | None = None, claimed: bool = False
) -> Invocation:
    return Invocation(
        Trigger.APIG, "request-of-the-tests", seconds_left=seconds_left, platform=platform, claimed=claimed
    )


def passes(keys: CallerKeys, key: str, platform: Platform = NO_PLATFORM) -> bool:
    try:
        keys.check(f"Bearer {key}", invocation(platform))
    except Forbidden:
        return False
    return True


def reads(log: Log) -> int:
    return sum(line["event"] == "secret_read" for line in log())


@pytest.mark.parametrize(
    "header",
    ["Bearer first-key-of-callers", "bearer first-key-of-callers", "  BEARER   first-key-of-callers "],
)
def test_the_key_passes(keys: CallerKeys, header: str) -> None:
    keys.check(header, invocation())


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        " ",
        "Bearer",
        "Bearer ",
        "first-key-of-callers",
        "Basic first-key-of-callers",
        "Bearerfirst-key-of-callers",
    ],
)
def test_whoever_shows_no_key_is_unknown_and_no_store_is_asked(
    keys: CallerKeys, log: Log, header: str | None
) -> None:
    with pytest.raises(Unauthenticated):
        keys.check(header, invocation())
    assert reads(log) == 0


@pytest.mark.parametrize(
    "key",
    [
        "first-key-of-caller",
        "first-key-of-callers2",
        "FIRST-KEY-OF-CALLERS",
        "first-key-of-callers first-key-of-callers",
        "é",
        "\udcff",
        "\x00",
        "a" * 100_000,
    ],
)
def test_a_wrong_key_is_refused(keys: CallerKeys, key: str) -> None:
    assert not passes(keys, key)
    assert passes(keys, "first-key-of-callers")


@pytest.mark.parametrize(
    "text",
    [
        "old-key-of-callers\nnew-key-of-callers",
        "\r\n old-key-of-callers \r\n\r\nnew-key-of-callers\n",
        '["old-key-of-callers", " new-key-of-callers\\n"]',
        '{"keys": ["old-key-of-callers", "new-key-of-callers"]}',
    ],
)
def test_two_keys_pass_at_once(environment: dict[str, str], keys: CallerKeys, text: str) -> None:
    environment["KEYS"] = text
    assert passes(keys, "old-key-of-callers")
    assert passes(keys, "new-key-of-callers")
    assert not passes(keys, "first-key-of-callers")
    assert not passes(keys, text)


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "[1]",
        '["h1dden key"]',
        '["h1dden", ""]',
        '{"keys": "h1dden"}',
        '{"keys": []}',
        '{"keys": ["h1dden"], "more": 1}',
        '{"h1dden": ["a"]}',
        "{h1dden",
        "h1dden é",
        "two words h1dden",
    ],
)
def test_a_text_that_holds_no_keys_lets_nobody_pass(
    environment: dict[str, str], keys: CallerKeys, text: str
) -> None:
    environment["KEYS"] = text
    for _ in range(2):
        with pytest.raises(Misconfigured, match="DETACH_INVOKE_SECRET names must be keys") as caught:
            keys.check("Bearer h1dden", invocation())
        assert "h1dden" not in caught.value.message
        assert caught.value.__context__ is None
    environment["KEYS"] = "first-key-of-callers"
    assert passes(keys, "first-key-of-callers")


@pytest.mark.parametrize(
    "text",
    [
        "h1dden-key-of-15",
        "first-key-of-callers\nh1dden",
        '["h1dden-of-15-ch", "first-key-of-callers"]',
        '{"keys": ["a"]}',
    ],
)
def test_a_key_that_is_too_short_stops_all_and_says_what_to_do(
    environment: dict[str, str], keys: CallerKeys, text: str
) -> None:
    environment["KEYS"] = text[:15] if text.startswith("h1dden") else text
    with pytest.raises(Misconfigured, match=r"less than 16 letters.*openssl rand -hex 32") as caught:
        keys.check("Bearer first-key-of-callers", invocation())
    assert "h1dden" not in caught.value.message
    with pytest.raises(Misconfigured, match="less than 16 letters"):
        keys.require_good(call_context())


def test_a_key_of_sixteen_letters_is_long_enough(environment: dict[str, str], keys: CallerKeys) -> None:
    environment["KEYS"] = "k" * 16
    keys.require_good(call_context())
    assert passes(keys, "k" * 16)


def test_keys_that_were_encoded_twice_are_said_by_name(environment: dict[str, str], keys: CallerKeys) -> None:
    environment["KEYS"] = base64.b64encode(b'{"keys": ["h1dden-key-of-callers"]}').decode()
    with pytest.raises(Misconfigured, match="DETACH_INVOKE_SECRET names is base64 of JSON"):
        passes(keys, environment["KEYS"])


def test_every_key_is_compared_whichever_fits(
    environment: dict[str, str], keys: CallerKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, *others = (letter * 16 for letter in "abc")
    environment["KEYS"] = "\n".join((first, *others))
    compared: list[bool] = []

    def compare(one: bytes, other: bytes) -> bool:
        compared.append(one == other)
        return one == other

    monkeypatch.setattr(hmac, "compare_digest", compare)
    assert passes(keys, first)
    assert compared == [True, False, False]


def test_keys_are_not_kept_as_themselves(keys: CallerKeys) -> None:
    assert passes(keys, "first-key-of-callers")
    assert "first-key-of-callers" not in repr(vars(keys))


# Rotation.


def test_a_new_key_passes_at_once_and_the_old_one_with_its_time(
    environment: dict[str, str], keys: CallerKeys, clock: Clock
) -> None:
    assert passes(keys, "first-key-of-callers")
    environment["KEYS"] = "second-key-of-callers"
    assert passes(keys, "second-key-of-callers")
    assert not passes(keys, "first-key-of-callers")
    environment["KEYS"] = "third-key-of-callers"
    clock.passes(300)
    assert passes(keys, "third-key-of-callers")
    assert not passes(keys, "second-key-of-callers")


def test_a_removed_key_passes_no_longer_than_the_secrets_time(
    environment: dict[str, str], keys: CallerKeys, clock: Clock
) -> None:
    assert passes(keys, "first-key-of-callers")
    environment["KEYS"] = "second-key-of-callers"
    clock.passes(299)
    assert passes(keys, "first-key-of-callers")
    clock.passes(1)
    assert not passes(keys, "first-key-of-callers")


def test_whoever_guesses_has_the_store_asked_once_in_three_seconds(
    keys: CallerKeys, clock: Clock, log: Log
) -> None:
    assert passes(keys, "first-key-of-callers")
    for _ in range(100):
        assert not passes(keys, "guess")
    assert reads(log) == 2
    clock.passes(2.9)
    assert not passes(keys, "guess")
    assert reads(log) == 2
    clock.passes(0.1)
    assert not passes(keys, "guess")
    assert reads(log) == 3


def test_a_clock_that_is_set_back_keeps_no_new_key_out(
    environment: dict[str, str], keys: CallerKeys, clock: Clock
) -> None:
    assert not passes(keys, "guess")
    clock.passes(-3600)
    assert passes(keys, "first-key-of-callers")
    environment["KEYS"] = "second-key-of-callers"
    assert passes(keys, "second-key-of-callers")


def test_a_crowd_of_guessers_does_not_either(keys: CallerKeys, log: Log) -> None:
    assert passes(keys, "first-key-of-callers")
    assert crowd(30, lambda _: passes(keys, "guess") and pytest.fail("passed")) == []
    assert crowd(30, lambda _: passes(keys, "first-key-of-callers") or pytest.fail("refused")) == []
    assert reads(log) == 2


def test_a_store_that_is_down_refuses_nobody_for_a_wrong_key_and_lets_nobody_in(
    environment: dict[str, str], keys: CallerKeys, clock: Clock
) -> None:
    assert passes(keys, "first-key-of-callers")
    del environment["KEYS"]
    with pytest.raises(SecretUnavailable, match="DETACH_INVOKE_SECRET names an environment variable"):
        passes(keys, "perhaps-new")
    assert passes(keys, "first-key-of-callers")
    clock.passes(300)
    with pytest.raises(SecretUnavailable):
        passes(keys, "first-key-of-callers")


def test_a_text_without_keys_ends_the_old_ones(environment: dict[str, str], keys: CallerKeys) -> None:
    assert passes(keys, "first-key-of-callers")
    environment["KEYS"] = "[]"
    with pytest.raises(Misconfigured):
        passes(keys, "guess")
    with pytest.raises(Misconfigured):
        passes(keys, "first-key-of-callers")


def test_no_caller_waits_for_the_store_beyond_its_deadline(keys: CallerKeys) -> None:
    with keys._flight.take(call_context().deadline), pytest.raises(DeadlineExceeded):
        keys.check("Bearer first-key-of-callers", invocation(seconds_left=0.05))


# Other stores.


def test_without_a_reference_there_are_no_keys(environment: dict[str, str], deploy: Deploy) -> None:
    del environment["DETACH_INVOKE_SECRET"]
    with pytest.raises(Misconfigured, match="DETACH_INVOKE_SECRET is missing"):
        deploy(environment).keys()


def test_keys_can_be_kept_in_vault(cloud: Cloud, environment: dict[str, str], deploy: Deploy) -> None:
    cloud.put_vault_secret("secret", "callers", {"keys": ["one-key-of-callers", "two-key-of-callers"]})
    environment |= {"DETACH_INVOKE_SECRET": "vault:secret/callers", "VAULT_TOKEN": "root"}
    cloud.add_vault_token("root", expires_in=1e9)
    keys = deploy(environment).keys()
    assert passes(keys, "two-key-of-callers")


def test_a_crowd_of_callers_asks_a_store_that_is_down_together(
    cloud: Cloud, environment: dict[str, str], deploy: Deploy
) -> None:
    environment |= {"DETACH_INVOKE_SECRET": "vault:secret/callers", "VAULT_TOKEN": "root"}
    keys = deploy(environment).keys()
    cloud.misbehave("vault", times=None, status=500, delay=0.3)
    raised = crowd(30, lambda _: passes(keys, "first-key-of-callers"))
    assert [type(error) for error in raised] == [SecretUnavailable] * 30
    assert len(cloud.calls) <= 3
    # So does a crowd with a key that may be new
    cloud.misbehaviour.clear()
    cloud.add_vault_token("root", expires_in=1e9)
    cloud.put_vault_secret("secret", "callers", {"keys": "first-key-of-callers"})
    assert passes(keys, "first-key-of-callers")
    cloud.clear_calls()
    cloud.misbehave("vault", times=None, status=500, delay=0.3)
    raised = crowd(30, lambda _: passes(keys, "another"))
    assert [type(error) for error in raised] == [SecretUnavailable] * 30
    assert len({id(error) for error in raised}) == 30
    assert len(cloud.calls) == 1


def test_the_platforms_token_is_no_callers_key(environment: dict[str, str], deploy: Deploy) -> None:
    deployment = deploy(environment)
    reference = SecretReference(Store.CONTEXT, "")
    deployment.settings = deployment.settings._replace(invoke_secret=reference)
    with pytest.raises(Misconfigured, match="DETACH_INVOKE_SECRET can't be context:"):
        deployment.keys()


def test_keys_in_csms_are_read_with_the_platforms_token(
    cloud: Cloud, environment: dict[str, str], deploy: Deploy
) -> None:
    cloud.put_csms_secret("callers", json.dumps({"keys": ["one-key-of-callers", "two-key-of-callers"]}))
    keys = deploy(environment | {"DETACH_INVOKE_SECRET": "csms:callers"}).keys()
    with pytest.raises(SecretUnavailable, match="DETACH_INVOKE_SECRET needs the platform's token"):
        passes(keys, "two-key-of-callers")
    assert passes(keys, "two-key-of-callers", Platform(Secret(cloud.token(user="agency"))))
    assert passes(keys, "one-key-of-callers")


def test_no_caller_chooses_the_project_whose_keys_are_read_or_keeps_a_new_one_out(
    cloud: Cloud, environment: dict[str, str], deploy: Deploy
) -> None:
    """Platform headers can be forged by whoever reaches the port: a token and project of somebody else."""
    cloud.put_csms_secret("callers", "our-key-of-callers")
    cloud.put_csms_secret("callers", "their-key-of-callers", project_id=cloud.other_project_id)
    keys = deploy(environment | {"DETACH_INVOKE_SECRET": "csms:callers"}).keys()
    own = Platform(Secret(cloud.token(user="agency")), cloud.project_id)
    keys.check("Bearer our-key-of-callers", invocation(own, claimed=True))
    cloud.put_csms_secret("callers", "our-key-of-callers\nnew-key-of-callers")
    cloud.clear_calls()
    for forged in (
        Platform(Secret(cloud.token(cloud.other_project_id)), cloud.other_project_id),
        Platform(Secret("made-up"), cloud.project_id),
    ):
        with pytest.raises(SecretUnavailable):
            keys.check("Bearer their-key-of-callers", invocation(forged, claimed=True))
    assert all(cloud.other_project_id not in call.path for call in cloud.calls)
    keys.check("Bearer new-key-of-callers", invocation(own, claimed=True))


def test_of_an_event_functions_own_token_what_csms_answered_is_kept_for_all(
    cloud: Cloud, environment: dict[str, str], deploy: Deploy
) -> None:
    cloud.put_csms_secret("callers", "our-key-of-callers")
    keys = deploy(environment | {"DETACH_INVOKE_SECRET": "csms:callers"}).keys()
    own = Platform(Secret(cloud.token(user="agency")), cloud.project_id)
    assert passes(keys, "our-key-of-callers", own)
    cloud.misbehave("csms", times=None, status=500)
    cloud.clear_calls()
    for _ in range(3):
        with pytest.raises(SecretUnavailable):
            passes(keys, "new-key-of-callers", own)
    assert len(cloud.calls) == 1


@pytest.fixture
def rotated(cloud: Cloud, environment: dict[str, str], deploy: Deploy) -> CallerKeys:
    """Keys in Vault, which has a new one since they were read."""
    cloud.add_vault_token("root", expires_in=1e9)
    cloud.put_vault_secret("secret", "callers", {"keys": "old-key-of-callers"})
    environment |= {"DETACH_INVOKE_SECRET": "vault:secret/callers", "VAULT_TOKEN": "root"}
    keys = deploy(environment).keys()
    assert passes(keys, "old-key-of-callers")
    cloud.put_vault_secret("secret", "callers", {"keys": "old-key-of-callers\nnew-key-of-callers"})
    return keys


def test_the_time_that_an_unknown_caller_claims_does_not_end_the_look(rotated: CallerKeys) -> None:
    with pytest.raises(Forbidden):
        rotated.check("Bearer guess", invocation(seconds_left=0, claimed=True))
    assert passes(rotated, "new-key-of-callers")


def test_no_other_hears_that_ones_own_time_was_up(rotated: CallerKeys) -> None:
    for _ in range(2):
        with pytest.raises(DeadlineExceeded):
            rotated.check("Bearer guess", invocation(seconds_left=0))
    assert passes(rotated, "new-key-of-callers")


def test_what_the_store_itself_answered_is_kept_for_all(cloud: Cloud, rotated: CallerKeys) -> None:
    cloud.misbehave("vault", times=None, status=500)
    cloud.clear_calls()
    for claimed in (True, True, False):
        with pytest.raises(SecretUnavailable):
            rotated.check("Bearer new-key-of-callers", invocation(claimed=claimed))
    assert len(cloud.calls) == 1
