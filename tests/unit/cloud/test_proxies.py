"""Which calls go through a proxy: never this machine's own, and none that NO_PROXY names, in any spelling."""

from __future__ import annotations

import pytest

from handler.cloud.proxies import passwords_of, proxies_for

PROXY = "http://proxy.example:3128"


@pytest.fixture(autouse=True)
def proxied(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("no_proxy", "NO_PROXY", "all_proxy", "ALL_PROXY", "REQUEST_METHOD"):
        monkeypatch.delenv(name, raising=False)
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, PROXY)


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost/v3",
        "http://LOCALHOST.:8776/v3",
        "http://127.0.0.1:8776/v3",
        "http://127.8.8.8/v3",
        "https://[::1]:8776/v3",
        "https://[0:0:0:0:0:0:0:1]/v3",
        "https://[::ffff:127.0.0.1]/v3",
    ],
)
def test_loopback_is_never_proxied(url: str) -> None:
    assert proxies_for(url) == {}


@pytest.mark.parametrize(
    "url", ["https://cinder.example/v3", "http://10.0.0.1:8776/v3", "https://[fd00::1]/v3"]
)
def test_all_else_is(url: str) -> None:
    found = proxies_for(url)
    assert (found["http"], found["https"]) == (PROXY, PROXY)


@pytest.mark.parametrize(
    ("exempt", "url"),
    [
        ("cinder.example", "https://Cinder.EXAMPLE.:443/v3"),
        ("CINDER.example.", "https://cinder.example/v3"),
        ("example", "https://cinder.example/v3"),
        (".example", "https://cinder.example/v3"),
        ("*.example", "https://cinder.example/v3"),
        ("a.b, .example", "https://cinder.example/v3"),
        ("a.b .example", "https://cinder.example/v3"),
        ("bücher.example", "https://www.xn--bcher-kva.example/v3"),
        ("*", "https://cinder.example/v3"),
        ("a.b, *", "https://cinder.example/v3"),
        ("cinder.example:8776", "https://cinder.example:8776/v3"),
        ("10.0.0.0/8", "https://10.1.2.3:8776/v3"),
        ("10.1.2.3", "https://[::ffff:10.1.2.3]/v3"),
        ("8776", "https://8776./v3"),
        ("fd00::1", "https://[fd00::1]/v3"),
        ("fd00::1", "https://[FD00:0::0001]:8776/v3"),
        ("[fd00::1]", "https://[FD00:0::0001]:8776/v3"),
        ("[fd00::1]:8776", "https://[fd00::1]:8776/v3"),
        ("fd00::/8", "https://[fd12::1]/v3"),
        ("fd00::1/8", "https://[fd12::1]/v3"),
        ("[fd00::]/8", "https://[fd12::1]/v3"),
    ],
)
def test_no_proxy_holds_in_every_spelling(monkeypatch: pytest.MonkeyPatch, exempt: str, url: str) -> None:
    monkeypatch.setenv("no_proxy", exempt)
    assert proxies_for(url) == {}


@pytest.mark.parametrize(
    ("exempt", "url"),
    [
        ("nova.example", "https://cinder.example/v3"),
        ("inder.example.org", "https://cinder.example/v3"),
        ("cinder.example:8776", "https://cinder.example:8777/v3"),
        ("fd00::/8", "https://[fe00::1]/v3"),
        ("fd00::1", "https://[fd00::2]/v3"),
        ("cinder.example:", "https://cinder.example/v3"),
        ("cinder.example:None", "https://cinder.example/v3"),
        ("cinder.example:8776", "https://cinder.example/v3"),
        ("10.0.0.0/8", "https://[fd00::1]/v3"),
        ("10.0.0.0/8", "https://cinder.example/v3"),
        ("1", "https://[::ffff:a00:1]/v3"),
        ("10.0.0.0/8", "https://11.1.2.3/v3"),
        ("fd00::/8", "https://10.0.0.1/v3"),
        ("10.0.0.0/99", "https://10.0.0.1/v3"),
        ("not a/range", "https://10.0.0.1/v3"),
        ("-", "https://cinder.example/v3"),
    ],
)
def test_what_no_proxy_does_not_name_is_proxied(
    monkeypatch: pytest.MonkeyPatch, exempt: str, url: str
) -> None:
    monkeypatch.setenv("no_proxy", exempt)
    assert proxies_for(url)["https"] == PROXY


@pytest.mark.parametrize(
    ("proxies", "passwords"),
    [
        ({}, ()),
        ({"http": PROXY, "https": "http://me@proxy.example"}, ()),
        ({"http": "http://me:p%40ss@proxy.example:3128", "no": "me:no@x"}, ("p@ss",)),
        ({"http": "http://me:one@proxy.example", "https": "http://:two@proxy.example"}, ("one", "two")),
        ({"no": "http://me:none@proxy.example"}, ()),
    ],
)
def test_the_passwords_of_proxies_are_known(proxies: dict[str, str], passwords: tuple[str, ...]) -> None:
    assert passwords_of(proxies) == passwords
