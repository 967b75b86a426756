"""Single values: moments in time are read alike on each Python."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handler.model.values import epoch

NEW_YEAR = 1798761600.0
"""2027 in UTC began then."""


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2027-01-01T00:00:00.000000", NEW_YEAR),  # Cinder, Nova and EVS
        ("2027-01-01T00:00:00.000000Z", NEW_YEAR),  # Keystone and IAM
        ("2027-01-01T00:00:00Z", NEW_YEAR),
        ("2027-01-01T00:00:00", NEW_YEAR),
        ("2027-01-01 00:00:00", NEW_YEAR),
        ("2027-01-01t08:00:00z", NEW_YEAR + 8 * 3600),
        ("2027-01-01T08:00:00+08:00", NEW_YEAR),
        ("2027-01-01T08:00:00+0800", NEW_YEAR),
        ("2026-12-31T20:30:00.5-03:30", NEW_YEAR + 0.5),
        ("2027-01-01T00:00:00,25Z", NEW_YEAR + 0.25),
        ("2027-01-01T00:00:00.1234567899Z", NEW_YEAR + 0.123456),
        ("1970-01-01T00:00:00Z", 0.0),
    ],
)
def test_what_services_write_is_read(text: str, seconds: float) -> None:
    assert epoch(text) == seconds


@pytest.mark.parametrize(
    "text",
    [
        None,
        1798761600,
        "",
        "yesterday",
        "2027-01-01",
        "2027-01-01T00:00",
        "20270101T000000Z",
        "2027-W01-1T00:00:00Z",
        "2027-02-29T00:00:00Z",
        "2027-13-01T00:00:00Z",
        "2027-01-01T24:00:00Z",
        "2027-01-01T23:59:60Z",
        "2027-01-01T00:00:00.Z",
        "2027-01-01T00:00:00+24:00",
        "2027-01-01T00:00:00+00:60",
        "2027-01-01T00:00:00ZZ",
        "2027-01-01T00:00:00Z\n",
        " 2027-01-01T00:00:00Z",
        "0000-01-01T00:00:00Z",
        "\uff12\uff10\uff12\uff17-01-01T00:00:00Z",
    ],
)
def test_all_else_is_none(text: object) -> None:
    assert epoch(text) is None


@given(st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1), timezones=st.timezones()))  # noqa: DTZ001 (naive bounds)
def test_each_moment_that_python_writes_is_read_back(moment: datetime) -> None:
    offset = moment.utcoffset()
    if offset is not None and offset.total_seconds() % 60 == 0:
        assert epoch(moment.isoformat()) == moment.timestamp()
    written = moment.astimezone(timezone.utc).isoformat(" ", "microseconds").replace("+00:00", "")
    assert epoch(written) == moment.timestamp()
