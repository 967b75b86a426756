"""Hosts and endpoints in one form: what is one host, what are two, what is none."""

from __future__ import annotations

import pytest

from handler.model.addresses import (
    Address,
    address_of,
    canonical_host,
    endpoint_url,
    is_loopback,
    split_version,
)


@pytest.mark.parametrize(
    ("spelling", "host"),
    [
        ("cinder.example", "cinder.example"),
        ("Cinder.EXAMPLE", "cinder.example"),
        ("cinder.example.", "cinder.example"),
        ("LOCALHOST.", "localhost"),
        ("my_service", "my_service"),
        ("www.bücher.example", "www.xn--bcher-kva.example"),
        ("WWW.BÜCHER.example.", "www.xn--bcher-kva.example"),
        ("www.xn--bcher-kva.example", "www.xn--bcher-kva.example"),
        ("cinder\u3002example", "cinder.example"),
        ("\uff43\uff49\uff4eder.example", "cinder.example"),
        ("127.0.0.1", "127.0.0.1"),
        ("::1", "::1"),
        ("[::1]", "::1"),
        ("[0:0:0:0:0:0:0:1]", "::1"),
        ("FD00::000A", "fd00::a"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
    ],
)
def test_one_host_has_one_form(spelling: str, host: str) -> None:
    assert canonical_host(spelling) == host
    assert canonical_host(host) == host


def test_a_host_may_have_253_letters() -> None:
    longest = ".".join(["x" * 63] * 3 + ["y" * 61])
    assert canonical_host(longest) == canonical_host(longest + ".") == longest
    with pytest.raises(ValueError, match="no host"):
        canonical_host(longest + "y")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("localhost", "127.0.0.1"),
        ("localhost", "localhost.localdomain"),
        ("cinder.example", "cinder.example.org"),
        ("cinder.example", "a.cinder.example"),
        ("127.0.0.1", "127.0.0.2"),
        ("bücher.example", "bucher.example"),
    ],
)
def test_two_hosts_stay_two(one: str, other: str) -> None:
    assert canonical_host(one) != canonical_host(other)


@pytest.mark.parametrize(
    "spelling",
    ["", ".", "a..b", "a..", "-a", "a b", "a/b", "a:80", "a%2eb", "*", "x" * 64, "a." * 127 + "b", "\udcff"],
)
def test_what_is_no_host_is_refused(spelling: str) -> None:
    with pytest.raises(ValueError):
        canonical_host(spelling)


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("https://Cinder.example.:443/v3/", Address("cinder.example", None, "/v3")),
        ("http://cinder.example:80", Address("cinder.example", None, "")),
        ("https://cinder.example:80/", Address("cinder.example", 80, "")),
        ("http://[::1]:8776/v3", Address("::1", 8776, "/v3")),
    ],
)
def test_where_a_url_leads(url: str, address: Address) -> None:
    assert address_of(url) == address


@pytest.mark.parametrize(
    "url", ["ftp://a/", "//a/", "a", "https://", "https://a:99999/", "https://[::1/", ""]
)
def test_what_leads_nowhere_is_refused(url: str) -> None:
    with pytest.raises(ValueError):
        address_of(url)


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("localhost", True),
        ("LocalHost.", True),
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("[::1]", True),
        ("0:0:0:0:0:0:0:1", True),
        ("::ffff:127.0.0.1", True),
        ("localhost.example", False),
        ("127.0.0.1.example", False),
        ("10.0.0.1", False),
        ("not a host", False),
    ],
)
def test_which_host_is_this_machine(host: str, *, loopback: bool) -> None:
    assert is_loopback(host) is loopback


def test_plain_http_is_judged_by_the_canonical_host() -> None:
    def allows(host: str) -> bool:
        return host == "cinder.example"

    assert endpoint_url("http://Cinder.Example./v3/", http_for=allows) == "http://Cinder.Example./v3"
    for refused in (
        "http://nova.example/v3",
        "http://cinder.example@evil.example/",
        "https://a/?b",
        "https://a/ b",
    ):
        with pytest.raises(ValueError):
            endpoint_url(refused, http_for=allows)


@pytest.mark.parametrize(
    ("path", "parts"),
    [
        ("/volume/v3", ("/volume", "v3")),
        ("/v2.1/", ("", "v2.1")),
        ("/volume", ("/volume", None)),
        ("", ("", None)),
        ("/vault", ("/vault", None)),
        ("/v3/p", ("/v3/p", None)),
    ],
)
def test_a_path_ends_with_a_version_or_not(path: str, parts: tuple[str, str | None]) -> None:
    assert split_version(path) == parts
