"""Which certification authorities are trusted: who says so first, and what is wrong with what is said."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from handler.settings.environment import EnvironmentReader
from handler.settings.trust import Trust, read_trust, system_store

NAMES = ("DETACH_CA_BUNDLE", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    """A file for each of the settings."""
    for name in NAMES:
        (tmp_path / name).write_text("planted", encoding="utf-8")
    return {name: str(tmp_path / name) for name in NAMES}


@pytest.mark.parametrize("first", range(len(NAMES)))
def test_the_first_that_is_set_is_trusted(files: dict[str, str], first: int) -> None:
    environment = {name: files[name] for name in NAMES[first:]}
    reader = EnvironmentReader(environment)
    assert read_trust(reader) == Trust(file=files[NAMES[first]])
    assert reader.faults == []


@pytest.mark.parametrize("name", NAMES[2:])
def test_a_bundle_may_be_a_folder(tmp_path: Path, name: str) -> None:
    assert read_trust(EnvironmentReader({name: str(tmp_path)})) == Trust(folder=str(tmp_path))


def test_openssl_s_file_and_folders_are_trusted_together(tmp_path: Path, files: dict[str, str]) -> None:
    folders = f"{tmp_path}:{tmp_path.parent}"
    both = {"SSL_CERT_FILE": files["SSL_CERT_FILE"], "SSL_CERT_DIR": folders}
    assert read_trust(EnvironmentReader(both)) == Trust(files["SSL_CERT_FILE"], folders)
    assert read_trust(EnvironmentReader({"SSL_CERT_DIR": str(tmp_path)})) == Trust(folder=str(tmp_path))


@pytest.mark.parametrize("name", [*NAMES, "SSL_CERT_DIR"])
def test_what_can_not_be_read_is_a_fault_by_name(name: str) -> None:
    reader = EnvironmentReader({name: "/no/such/planted"})
    read_trust(reader)
    (fault,) = reader.faults
    assert fault.startswith(f"{name} must be")
    assert "planted" not in fault


def test_what_comes_later_is_not_looked_at(files: dict[str, str]) -> None:
    reader = EnvironmentReader({"DETACH_CA_BUNDLE": files["DETACH_CA_BUNDLE"], "CURL_CA_BUNDLE": "/no/such"})
    read_trust(reader)
    assert reader.faults == []


def paths(file: Path, folder: Path) -> ssl.DefaultVerifyPaths:
    return ssl.DefaultVerifyPaths("", "", "SSL_CERT_FILE", str(file), "SSL_CERT_DIR", str(folder))


@pytest.mark.parametrize(
    ("filled", "hashed", "trust"),
    [
        (True, True, ("file", "folder")),
        (True, False, ("file", None)),
        (False, True, (None, "folder")),
        (False, False, (None, None)),
    ],
)
def test_the_system_s_store_is_what_openssl_finds_there(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    trust: tuple[str | None, str | None],
    *,
    filled: bool,
    hashed: bool,
) -> None:
    file, folder = tmp_path / "file", tmp_path / "folder"
    folder.mkdir()
    file.write_text("certificates" if filled else "", encoding="utf-8")
    (folder / ("0a1b2c3d.0" if hashed else "README")).write_text("", encoding="utf-8")
    monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: paths(file, folder))
    assert system_store() == Trust(*(str(tmp_path / name) if name else None for name in trust))
    assert read_trust(EnvironmentReader({})) == system_store()


def test_where_there_is_no_store_certifi_s_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere = paths(tmp_path / "none", tmp_path / "neither")
    monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: nowhere)
    assert system_store() == Trust()
