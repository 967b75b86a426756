"""What is read of a call and of an answer's headers."""

from __future__ import annotations

import pytest

from handler.cloud.messages import Call, request_id_of, seconds_of

USUAL = "4ccff8d2-0f6e-4c0b-9d0e-1b2c3d4e5f60"


@pytest.mark.parametrize(
    "name", ["x-openstack-request-id", "x-compute-request-id", "x-request-id", "x-iam-trace-id"]
)
def test_a_call_s_id_is_in_any_of_four_headers(name: str) -> None:
    assert request_id_of({name: "req-1"}, ()) == "req-1"


@pytest.mark.parametrize(
    ("headers", "secrets", "id_"),
    [
        ({"x-request-id": "b", "x-openstack-request-id": "a"}, (), "a"),
        ({"x-request-id": "b", "x-openstack-request-id": ""}, (), "b"),
        ({"x-request-id": "b", "x-openstack-request-id": "<a>"}, (), "b"),
        ({"x-request-id": "b", "x-openstack-request-id": "of-planted"}, ("planted",), "b"),
        ({"x-openstack-request-id": f"req-{USUAL}"}, ("planted",), f"req-{USUAL}"),
        ({"x-openstack-request-id": f"req-{USUAL}"}, (USUAL,), None),
        ({"x-openstack-request-id": "a" * 128}, (), "a" * 128),
        ({"x-openstack-request-id": "a" * 129}, (), None),
        ({}, (), None),
    ],
)
def test_an_id_that_can_not_be_shown_is_none(
    headers: dict[str, str], secrets: tuple[str, ...], id_: str | None
) -> None:
    assert request_id_of(headers, secrets) == id_


@pytest.mark.parametrize(
    ("hint", "seconds"),
    [
        ("7", 7.0),
        ("0", 0.0),
        ("Fri, 01 Jan 1999 00:00:00 GMT", 0.0),
        ("soon", None),
        ("-5", None),
        ("", None),
        (None, None),
    ],
)
def test_a_hint_says_how_long_to_wait_or_nothing(hint: str | None, seconds: float | None) -> None:
    assert seconds_of(hint) == seconds


@pytest.mark.parametrize("hint", ["9" * 20, "Fri, 01 Jan 2999 00:00:00 GMT"])
def test_nobody_waits_longer_than_a_day(hint: str) -> None:
    seconds = seconds_of(hint)

    assert seconds is not None
    assert 3600 <= seconds <= 86400


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("https://volume.example:8776/v3/volumes?limit=1", "/v3/volumes"),
        ("https://volume.example", "/"),
        ("https://volume.example/v3/a://b/c", "/v3/a://b/c"),
    ],
)
def test_a_call_s_path_is_without_host_and_query(url: str, path: str) -> None:
    assert Call("volume", "GET", url).path == path
