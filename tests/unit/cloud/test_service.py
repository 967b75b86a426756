"""What both services' calls have in common."""

from __future__ import annotations

import pytest

from handler.cloud.service import text_of


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("disk", "disk"),
        ("Größe", "Größe"),
        ("half \ud83d", "half ?"),
        ("", None),
        (None, None),
        (7, None),
        (["disk"], None),
    ],
)
def test_a_text_of_the_cloud_s_can_be_sent_on(value: object, text: str | None) -> None:
    assert text_of(value) == text
