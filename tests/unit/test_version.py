"""The version is written once, and everything says the same."""

from __future__ import annotations

import re

from handler import __version__
from handler.model.openapi import document
from tests.unit.pages import ROOT


def test_it_is_a_version_of_its_own() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+", __version__)


def test_the_description_of_the_interface_says_it() -> None:
    assert document()["info"]["version"] == __version__


def test_the_package_takes_it_from_the_code() -> None:
    declared = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert 'dynamic = ["version"]' in declared
    assert 'version = { attr = "handler.__version__" }' in declared
    assert not re.search(r'^version = "', declared, re.MULTILINE)


def test_what_is_deployed_names_it() -> None:
    tags = (ROOT / "infra/knative/base/kustomization.yaml").read_text(encoding="utf-8")
    assert re.findall(r"newTag: (\S+)", tags) == [__version__]
