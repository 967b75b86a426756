"""The tree of failures."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Iterator

import pytest

from handler import errors
from handler.errors import Detail, ErrorCode, Failure, InvalidRequest, NoAnswer, Refused, Upstream

UPSTREAM = Upstream(409, "409", "Conflict", "req-1")


def _classes(of: type[Failure] = Failure) -> Iterator[type[Failure]]:
    for kind in of.__subclasses__():
        yield kind
        yield from _classes(kind)


WHOLE = pytest.mark.parametrize(
    "failure",
    [
        Refused(ErrorCode.VOLUME_STATE, "m", retryable=True, upstream=UPSTREAM),
        NoAnswer("m", broken=True),
        InvalidRequest("m", details=(Detail("/volume_id", "uuid"),), status=413),
        errors.Throttled("m", upstream=UPSTREAM, retry_after=2.5),
        errors.SecretUnavailable("m", retryable=True),
    ],
    ids=lambda failure: type(failure).__name__,
)


@WHOLE
@pytest.mark.parametrize("again", [copy.copy, lambda failure: pickle.loads(pickle.dumps(failure))])  # noqa: S301
def test_a_failure_survives_a_copy_and_a_pickle_whole(failure: Failure, again: object) -> None:
    assert callable(again)

    twin = again(failure)

    assert type(twin) is type(failure)
    assert vars(twin) == vars(failure)
    assert (str(twin), twin.args) == (str(failure), failure.args)
    assert (twin.code, twin.retryable) == (failure.code, failure.retryable)


def test_every_code_has_a_failure_that_carries_it() -> None:
    own = {kind.code for kind in _classes()}
    of_refusals = {
        "volume_foreign",
        "volume_state",
        "attachment_required",
        "attachment_unknown",
        "server_mismatch",
        "server_exists",
        "server_unknown",
        "use_compute_api",
        "sweep_refused",
        "root_volume",
        "server_locked",
        "server_busy",
        "guest_refused",
        "live_expired",
        "volume_held",
    }

    assert {code.value for code in ErrorCode} == {code.value for code in own} | of_refusals


def test_the_tree_is_drawn_as_it_is() -> None:
    drawn = errors.__doc__ or ""

    assert [kind.__name__ for kind in _classes() if f"── {kind.__name__} " not in drawn] == []


def test_a_failure_is_retryable_as_its_kind_unless_it_says_otherwise() -> None:
    assert [kind.__name__ for kind in _classes() if kind.retryable] == [
        "NotConfirmed",
        "Throttled",
        "UpstreamUnavailable",
        "NoAnswer",
        "ListingFailed",
        "DeadlineExceeded",
    ]
    assert errors.Throttled("m", retryable=False).retryable is False
    assert errors.Throttled("m").retryable is True


@WHOLE
def test_what_happened_before_is_said_first_and_nothing_else_changes(failure: Failure) -> None:
    later = failure.after("It began.")

    assert (later.message, str(later)) == ("It began. m", "It began. m")
    assert type(later) is type(failure)
    assert {**later.__dict__, "message": "m"} == failure.__dict__
    assert failure.message == "m", "another thread may have the same failure"
