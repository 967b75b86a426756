from __future__ import annotations

import pytest
from flask.testing import FlaskClient

from tests.unit.deployment import app


@pytest.fixture
def client() -> FlaskClient:
    return app().test_client()
