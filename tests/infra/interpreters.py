"""Other Pythons of this machine: the ones that the zip and the image are made for."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.pythons import find_python


def interpreter(version: str) -> Path:
    """Give the executable of Python ``version`` ("3.12"), or skip the test and say what is missing."""
    found = find_python(version)
    if found is None:
        pytest.skip(f"no Python {version} on this machine")
    return found
