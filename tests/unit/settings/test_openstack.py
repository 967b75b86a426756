"""What OpenStack's own variables and files say of a cloud, read by the real loader."""

from __future__ import annotations

import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest

from handler.errors import Misconfigured
from handler.settings import CatalogChoice, Settings, read_settings
from handler.settings.cloud_loader import openstack_is_there, usual_folders
from handler.settings.openstack import OpenStackCloud, load_cloud
from handler.settings.trust import Trust
from tests.unit.settings.clouds import USER, at_file, variables, written

OPENSTACK = {"DETACH_TOKEN_SECRET": "openstack:"}


@pytest.fixture(autouse=True)
def nowhere(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No file lies where OpenStack's clients look for one, whoever runs the tests."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of versions for Python 3.10
        from openstack.config import loader  # noqa: PLC0415 (reads where it is when it is imported)

    folder = tmp_path_factory.mktemp("nowhere")
    for name in ("CONFIG_FILES", "SECURE_FILES", "VENDOR_FILES"):
        monkeypatch.setattr(loader, name, [str(folder / name)])


def read(environment: dict[str, str]) -> Settings:
    return read_settings(environment, network=False)


def fault(environment: dict[str, str]) -> str:
    with pytest.raises(Misconfigured) as caught:
        read(environment)
    assert "hidden" not in repr(caught.value) + str(caught.value.__context__)
    return caught.value.message


def test_nothing_is_read_without_the_reference() -> None:
    settings = read({**variables(), "DETACH_REGION": "r", "DETACH_TOKEN_SECRET": "env:TOKEN"})
    assert settings.openstack == OpenStackCloud()
    assert settings.identity_endpoint == "https://iam.r.myhuaweicloud.com/v3"


def test_variables_alone_are_a_cloud_and_its_catalog_has_the_endpoints() -> None:
    settings = read({**OPENSTACK, **variables(), "OS_REGION_NAME": "one", "OS_INTERFACE": "internalURL"})
    assert settings.identity_endpoint == "https://keystone.example:5000/v3"
    assert settings.catalog == CatalogChoice("one", "internal")
    assert (settings.volume_endpoint, settings.compute_endpoint) == (None, None)
    assert settings.endpoints_set == frozenset()


@pytest.mark.parametrize(
    ("url", "endpoint"),
    [
        ("https://k.example", "https://k.example/v3"),
        ("https://k.example/", "https://k.example/v3"),
        ("https://k.example/identity", "https://k.example/identity/v3"),
        ("https://k.example:5000/v3", "https://k.example:5000/v3"),
        ("https://k.example/v3/", "https://k.example/v3"),
        ("http://127.0.0.1:5000/v3", "http://127.0.0.1:5000/v3"),
    ],
)
def test_the_address_of_the_identity_service_goes_up_to_its_version(url: str, endpoint: str) -> None:
    assert read({**OPENSTACK, **variables(auth_url=url)}).identity_endpoint == endpoint


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://k.example:5000/v3", "auth_url (OS_AUTH_URL) must be an https URL"),
        ("https://user:hidden@k.example/v3", "auth_url (OS_AUTH_URL) must be an https URL"),
        ("ftp://k.example", "auth_url (OS_AUTH_URL) must be an https URL"),
        ("https://k.example/v2.0", "must be that of the Identity API v3"),
        ("", "parameters which were not given: auth_url"),
    ],
)
def test_an_address_that_cannot_be_asked_is_said(url: str, why: str) -> None:
    message = fault({**OPENSTACK, **variables(auth_url=url)})
    assert why in message
    assert "is missing" not in message


def test_http_is_spoken_where_it_is_allowed() -> None:
    environment = {**OPENSTACK, **variables(auth_url="http://k.example"), "DETACH_ALLOW_HTTP": "K.example"}
    assert read(environment).identity_endpoint == "http://k.example/v3"


def test_our_own_settings_win(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").touch()
    ours = {
        "DETACH_IDENTITY_ENDPOINT": "https://ours.example/v3",
        "DETACH_COMPUTE_ENDPOINT": "https://ours.example/v2.1",
        "DETACH_CA_BUNDLE": str(tmp_path / "ca.pem"),
    }
    theirs = {"OS_COMPUTE_ENDPOINT_OVERRIDE": "https://theirs.example/v2.1", "OS_CACERT": str(tmp_path)}
    settings = read({**OPENSTACK, **variables(), **theirs, **ours})
    assert settings.identity_endpoint == "https://ours.example/v3"
    assert settings.compute_endpoint == "https://ours.example/v2.1"
    assert settings.trust == Trust(file=str(tmp_path / "ca.pem"))


# clouds.yaml


def test_a_cloud_of_the_file_is_named_by_the_reference_or_by_os_cloud(tmp_path: Path) -> None:
    other = {"auth": {**USER, "auth_url": "https://other.example/v3"}, "region_name": "two"}
    path = written(tmp_path, {"one": {"auth": USER}, "two": other})
    for environment in (
        at_file(path, "two"),
        at_file(path, OS_CLOUD="two"),
        at_file(path, "two", OS_CLOUD="one"),
    ):
        settings = read(environment)
        assert settings.identity_endpoint == "https://other.example/v3"
        assert settings.catalog == CatalogChoice("two", "public")


def test_an_only_cloud_need_not_be_named_and_one_of_several_must(tmp_path: Path) -> None:
    assert read(at_file(written(tmp_path, {"one": {"auth": USER}}))).identity_endpoint
    path = written(tmp_path, {"one": {"auth": USER}, "two": {"auth": USER}})
    assert "has several clouds: name one by OS_CLOUD (it has 'one', 'two')" in fault(at_file(path))


def test_a_cloud_that_is_not_there_is_said_with_those_that_are(tmp_path: Path) -> None:
    path = written(tmp_path, {"one": {"auth": USER}})
    assert f"{path} has no cloud 'three' (it has 'one')" in fault(at_file(path, "three"))


def test_a_variable_wins_over_the_file_as_with_openstackclient(tmp_path: Path) -> None:
    path = written(tmp_path, {"one": {"auth": USER, "interface": "internal"}})
    environment = at_file(path, "one", OS_AUTH_URL="https://other.example", OS_INTERFACE="admin")
    settings = read({**environment, "OS_PASSWORD": "from-a-variable", "OS_PROJECT_NAME": "other"})
    assert settings.identity_endpoint == "https://other.example/v3"
    assert settings.catalog.interface == "admin"
    loaded = load_cloud({**environment, "OS_PROJECT_NAME": "other"}, "one", http_for=lambda _: False)
    assert (loaded.auth["username"], loaded.auth["project_name"]) == ("robot", "other")


def test_the_secure_file_holds_what_the_other_one_lacks(tmp_path: Path) -> None:
    without = {name: value for name, value in USER.items() if name != "password"}
    path = written(tmp_path, {"one": {"auth": without}})
    secure = written(tmp_path, {"one": {"auth": {"password": "secured"}}}, "secure.yaml")
    environment = at_file(path, "one", OS_CLIENT_SECURE_FILE=secure)
    assert load_cloud(environment, "one", http_for=lambda _: False).auth["password"] == "secured"


def test_the_usual_places_are_looked_at_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from openstack.config import loader  # noqa: PLC0415 (see above)

    first = written(tmp_path, {"one": {"auth": USER}}, "first.yaml")
    second = written(tmp_path, {"two": {"auth": USER}}, "second.yaml")
    monkeypatch.setattr(loader, "CONFIG_FILES", [str(tmp_path / "none.yaml"), first, second])
    assert read(OPENSTACK).identity_endpoint
    assert f"{first} has no cloud 'two'" in fault({"DETACH_TOKEN_SECRET": "openstack:two"})


def test_nothing_to_be_found_is_said() -> None:
    assert "There is no clouds.yaml where OpenStack's clients look" in fault(OPENSTACK)


@pytest.mark.parametrize("name", ["OS_CLIENT_CONFIG_FILE", "OS_CLIENT_SECURE_FILE", "OS_CACERT"])
def test_a_file_that_is_named_must_be_there(name: str, tmp_path: Path) -> None:
    path = written(tmp_path, {"one": {"auth": USER}})
    environment = {**at_file(path), name: str(tmp_path / "elsewhere")}
    assert f"{name}" in fault(environment)
    assert "must be a file" in fault(environment)


@pytest.mark.parametrize(
    "text",
    [
        "clouds: [\n  password: hidden",
        "clouds:\n  one:\n\tpassword: hidden\n",
        'clouds: {"one": {"auth": {"password": "hidden"',
    ],
)
def test_a_file_that_is_no_yaml_is_said_and_not_passed_over(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    from openstack.config import loader  # noqa: PLC0415 (see above)

    broken = tmp_path / "clouds.yaml"
    broken.write_text(text, encoding="utf-8")
    sound = written(tmp_path, {"one": {"auth": USER}}, "sound.yaml")
    monkeypatch.setattr(loader, "CONFIG_FILES", [sound])
    assert f"{broken} can't be read: it is no YAML" in fault(at_file(str(broken)))
    assert capfd.readouterr() == ("", "")


def test_a_broken_file_shows_nothing_in_a_process_of_its_own(tmp_path: Path) -> None:
    broken = tmp_path / "clouds.yaml"
    broken.write_text("clouds:\n  one:\n\tpassword: hidden\n", encoding="utf-8")
    program = (
        f"from handler.settings import read_settings; read_settings({at_file(str(broken))!r}, network=False)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 1
    assert "is no YAML" in done.stderr
    assert "hidden" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    "clouds",
    [
        {"one": None},
        {"one": "hidden"},
        {"one": {"auth": "hidden"}},
        {"one": {"auth": ["hidden"]}},
        {"one": {"auth": USER, "regions": [{"hidden": "name"}]}},
        {"one": {"auth": USER, "auth_type": ["password"]}},
        {"one": {"auth": {**USER, "auth_url": "https://{hidden}.example"}}},
        {"one": {"auth": USER, "networks": [{"hidden": True}]}},
        "hidden",
        ["hidden"],
        None,
        {},
    ],
)
def test_whatever_a_file_says_no_value_comes_out(clouds: Any, tmp_path: Path) -> None:
    assert fault(at_file(written(tmp_path, clouds), "one"))


# Which region, which interface


def test_of_several_regions_one_must_be_named(tmp_path: Path) -> None:
    regions = [{"name": "a", "values": {"auth": {"auth_url": "https://a.example"}}}, "b"]
    environment = at_file(written(tmp_path, {"one": {"auth": USER, "regions": regions}}))
    assert "has several regions ('a', 'b'): name one by OS_REGION_NAME" in fault(environment)
    named = read({**environment, "OS_REGION_NAME": "a"})
    assert (named.catalog.region, named.identity_endpoint) == ("a", "https://a.example/v3")
    assert "does not have the region of OS_REGION_NAME: it has 'a', 'b'" in fault(
        {**environment, "OS_REGION_NAME": "c"}
    )


def test_a_region_of_the_catalog_may_be_named_where_the_file_names_none(tmp_path: Path) -> None:
    path = written(tmp_path, {"one": {"auth": USER}})
    assert read(at_file(path)).catalog.region is None
    assert read(at_file(path, OS_REGION_NAME="c")).catalog.region == "c"


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"interface": "secret"}, "interface (OS_INTERFACE) must be public, internal or admin"),
        ({"compute_interface": "internal"}, "interface (OS_INTERFACE) must be one"),
        ({"interface": ["internal", "public"]}, "interface (OS_INTERFACE) must be one"),
        ({"region_name": "a", "volume_region_name": "b"}, "region_name (OS_REGION_NAME) must be one"),
    ],
)
def test_both_services_are_of_one_region_and_interface(more: Any, why: str, tmp_path: Path) -> None:
    assert why in fault(at_file(written(tmp_path, {"one": {"auth": USER, **more}})))


@pytest.mark.parametrize(
    ("key", "value", "volume"),
    [
        ("block_storage_endpoint_override", "https://c.example/v3", "https://c.example/v3"),
        ("block_storage_endpoint_override", "https://c.example/v3/%(project_id)s", "https://c.example/v3"),
        ("volumev3_endpoint_override", "https://c.example/v3/$(tenant_id)s/", "https://c.example/v3"),
        ("volume_endpoint_override", f"https://c.example/v3/{'a' * 32}", f"https://c.example/v3/{'a' * 32}"),
    ],
)
def test_overrides_are_endpoints_that_are_set(key: str, value: str, volume: str, tmp_path: Path) -> None:
    both = {key: value, "compute_endpoint_override": "https://n.example/v2.1"}
    settings = read(at_file(written(tmp_path, {"one": {"auth": USER, **both}})))
    assert settings.volume_endpoint == volume
    assert settings.compute_endpoint == "https://n.example/v2.1"
    assert settings.endpoints_set == {"DETACH_VOLUME_ENDPOINT", "DETACH_COMPUTE_ENDPOINT"}


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("https://n.example", "compute_endpoint_override must go up to the version"),
        ("http://n.example/v2.1", "compute_endpoint_override must be an https URL"),
    ],
)
def test_an_override_is_judged_as_any_endpoint(value: str, why: str, tmp_path: Path) -> None:
    cloud = {"auth": USER, "compute_endpoint_override": value}
    assert why in fault(at_file(written(tmp_path, {"one": cloud})))


# Whom to trust


def test_a_ca_of_the_cloud_is_trusted(tmp_path: Path) -> None:
    bundle = tmp_path / "ca.pem"
    bundle.touch()
    path = written(tmp_path, {"one": {"auth": USER, "cacert": str(bundle)}})
    assert read(at_file(path)).trust == Trust(file=str(bundle))
    assert read({**OPENSTACK, **variables(), "OS_CACERT": str(tmp_path)}).trust == Trust(folder=str(tmp_path))


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"verify": False}, "Certificates are always verified"),
        ({"insecure": True}, "Certificates are always verified"),
        ({"insecure": "true", "cacert": "/ca.pem"}, "Certificates are always verified"),
        ({"cert": "/client.pem"}, "A client's certificate (cert, key) is not supported"),
        ({"profile": "https://vendor.example"}, "A profile that is a URL is not fetched"),
        ({"cloud": "https://vendor.example"}, "A profile that is a URL is not fetched"),
    ],
)
def test_what_is_not_supported_is_said_by_name(more: Any, why: str, tmp_path: Path) -> None:
    assert why in fault(at_file(written(tmp_path, {"one": {"auth": USER, **more}})))


# Where the command finds it by itself


@pytest.mark.parametrize("name", ["OS_CLOUD", "OS_AUTH_URL", "OS_CLIENT_CONFIG_FILE"])
def test_an_environment_of_openstack_is_known_by_its_variables(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    home = {"HOME": str(tmp_path), "XDG_CONFIG_DIRS": str(tmp_path)}
    assert not openstack_is_there({**home, name: " ", "OS_REGION_NAME": "one"})
    assert openstack_is_there({**home, name: "something"})


def test_it_is_known_by_a_file_in_a_usual_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / ".config" / "openstack"
    folder.mkdir(parents=True)
    written(folder, {"one": {"auth": USER}})
    assert openstack_is_there({"HOME": str(tmp_path)})


def test_the_usual_places_are_the_loaders(tmp_path: Path) -> None:
    environment = {
        "HOME": str(tmp_path),
        "XDG_CONFIG_HOME": str(tmp_path / "own"),
        "XDG_CONFIG_DIRS": str(tmp_path / "all"),
    }
    program = "from openstack.config import loader; print(*loader.CONFIG_SEARCH_PATH, sep='\\n')"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    ours = [str((tmp_path / folder).absolute()) for folder in usual_folders(environment)]
    assert ours == done.stdout.split()


def test_without_a_home_it_is_said_what_the_loader_needs() -> None:
    program = f"""
import platformdirs
from handler.settings import read_settings
def no_home(*_, **__): raise RuntimeError("hidden")
platformdirs.PlatformDirs = no_home
read_settings({ {**OPENSTACK, **variables()}!r}, network=False)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, encoding="utf-8", check=False)
    assert "set HOME to any that is there." in done.stderr
    assert "hidden" not in done.stderr.partition("Misconfigured: ")[2]


def test_without_the_extra_it_is_said_what_to_install() -> None:
    program = f"""
import sys
sys.modules["openstack"] = None
from handler.settings import read_settings
read_settings({ {**OPENSTACK, **variables()}!r}, network=False)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, encoding="utf-8", check=False)
    assert "read by what an extra brings: pip install 'evs-detach[openstack]'." in done.stderr
