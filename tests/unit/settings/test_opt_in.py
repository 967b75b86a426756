"""What is off by default: how it is switched on, and what it can't be switched on with."""

from __future__ import annotations

import pytest

from handler.errors import Misconfigured
from handler.settings import Settings, read_settings
from handler.settings.opt_in import LiveApi, LiveMode, RecoverMode

PRIVATE = {
    "DETACH_VOLUME_ENDPOINT": "https://cinder.example/v3",
    "DETACH_COMPUTE_ENDPOINT": "https://nova.example/v2.1",
    "DETACH_TOKEN_SECRET": "env:TOKEN",
}


def read(**more: str) -> Settings:
    return read_settings({**PRIVATE, **more}, network=False)


def test_both_are_off() -> None:
    settings = read()

    assert (settings.live.on, settings.live.mode, settings.live.api) == (False, LiveMode.OFF, None)
    assert (settings.recover.on, settings.recover.mode, settings.recover.after) == (
        False,
        RecoverMode.OFF,
        3600,
    )


@pytest.mark.parametrize("word", ["on", "admin"])
def test_live_is_switched_on(word: str) -> None:
    live = read(DETACH_LIVE=word, DETACH_LIVE_API="ecs").live

    assert (live.on, live.mode, live.api) == (True, LiveMode(word), LiveApi.ECS)


@pytest.mark.parametrize("word", ["on", "unlisted"])
def test_recover_is_switched_on(word: str) -> None:
    recover = read(DETACH_RECOVER=word, DETACH_RECOVER_AFTER="900").recover

    assert (recover.on, recover.mode, recover.after) == (True, RecoverMode(word), 900)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DETACH_LIVE", "true"),
        ("DETACH_LIVE", "ON"),
        ("DETACH_LIVE_API", "cinder"),
        ("DETACH_RECOVER", "yes"),
        ("DETACH_RECOVER_AFTER", "899"),
        ("DETACH_RECOVER_AFTER", "0"),
        ("DETACH_RECOVER_AFTER", "1h"),
    ],
)
def test_another_word_is_a_fault(name: str, value: str) -> None:
    with pytest.raises(Misconfigured, match=f"{name} must be"):
        read(**{name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DETACH_LIVE", "on"),
        ("DETACH_LIVE", "admin"),
        ("DETACH_RECOVER", "on"),
        ("DETACH_RECOVER", "unlisted"),
    ],
)
def test_neither_goes_without_a_compute_service(name: str, value: str) -> None:
    with pytest.raises(Misconfigured, match=f"{name} can't be switched on"):
        read(DETACH_SERVER_CHECK="off", **{name: value})


@pytest.mark.parametrize("near", ["DETACH_LIFE", "DETACH_RECOVERS"])
def test_a_misspelt_switch_is_named(near: str) -> None:
    with pytest.raises(Misconfigured, match=f"{near} is not a setting"):
        read(**{near: "on"})
