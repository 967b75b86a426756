from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--attempts", type=int, default=300, help="how many of each kind, spread over the table")
