"""A secret shows itself to nobody who doesn't ask by name."""

from __future__ import annotations

import copy
import json
import logging
import pickle

import pytest

from handler.secret import Secret

PLANTED = "hunter2-planted"


def test_only_reveal_gives_a_secret_out() -> None:
    secret = Secret(PLANTED)

    shown = [
        repr(secret),
        str(secret),
        f"{secret}",
        f"{secret!r}",
        format(secret),
        repr([secret]),
    ]

    assert secret.reveal() == PLANTED
    assert not any(PLANTED in text for text in shown)
    assert not hasattr(secret, "__dict__")


def test_a_secret_is_neither_pickled_nor_copied_nor_put_into_json() -> None:
    for attempt in (pickle.dumps, copy.copy, copy.deepcopy, json.dumps):
        with pytest.raises(TypeError) as raised:
            attempt(Secret(PLANTED))
        assert PLANTED not in str(raised.value)


def test_a_secret_in_a_log_s_arguments_is_not_shown(caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("anybody").warning("token %s", Secret(PLANTED))

    assert PLANTED not in caplog.text


def test_secrets_compare_by_value_and_only_with_secrets() -> None:
    assert Secret(PLANTED) == Secret(PLANTED)
    assert Secret(PLANTED) != Secret("other")
    assert Secret("ü") == Secret("ü")
    assert Secret(PLANTED) != PLANTED
    assert len({Secret(PLANTED), Secret(PLANTED), Secret("other")}) == 2


def test_an_empty_secret_is_false() -> None:
    assert not Secret("")
    assert Secret(PLANTED)
