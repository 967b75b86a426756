"""Single values: moments in time are read alike on each Python."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime, timezone
from email.utils import format_datetime, formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handler.cloud.messages import seconds_of
from handler.model.values import epoch, http_date, is_project, same_project, timestamp, zoned_moment

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


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("Fri, 01 Jan 2027 00:00:00 GMT", NEW_YEAR),
        ("Fri, 01 Jan 2027 23:59:59 GMT", NEW_YEAR + 86399),
        ("Thu, 31 Dec 2026 00:00:00 GMT", NEW_YEAR - 86400),
        # Another zone, or none: as they stand in mail (RFC 5322), and in what is taken for it
        ("Fri, 01 Jan 2027 00:00:00 -0000", None),
        ("Fri, 01 Jan 2027 00:00:00 +0000", None),
        ("Fri, 01 Jan 2027 00:00:00 UTC", None),
        ("Fri, 01 Jan 2027 00:00:00 CST", None),
        ("Fri, 01 Jan 2027 00:00:00 gmt", None),
        ("Fri, 01 Jan 2027 00:00:00", None),
        # HTTP's two old forms
        ("Friday, 01-Jan-27 00:00:00 GMT", None),
        ("Fri Jan  1 00:00:00 2027", None),
        # No moment, or two
        ("Wed, 30 Feb 2027 00:00:00 GMT", None),
        ("Fri, 01 Jan 2027 24:00:00 GMT", None),
        ("Fri, 01 Jan 2027 00:60:00 GMT", None),
        ("Fri, 01 Jan 2027 00:00:60 GMT", None),
        ("Fri, 1 Jan 2027 00:00:00 GMT", None),
        ("Fri, 01 Jan 27 00:00:00 GMT", None),
        ("Fri, 01 Xyz 2027 00:00:00 GMT", None),
        ("Xyz, 01 Jan 2027 00:00:00 GMT", None),
        (" Fri, 01 Jan 2027 00:00:00 GMT", None),
        ("Fri, 01 Jan 2027 00:00:00 GMT, Fri, 01 Jan 2027 00:00:00 GMT", None),
        ("at noon", None),
        ("", None),
    ],
)
def test_a_header_s_date_is_in_gmt_or_none(text: str, seconds: float | None) -> None:
    assert http_date(text) == seconds


@pytest.mark.parametrize("month", range(1, 13))
def test_each_month_of_a_header_s_date_is_known(month: int) -> None:
    moment = datetime(2027, month, 9, 8, 7, 6, tzinfo=timezone.utc)

    assert http_date(format_datetime(moment, usegmt=True)) == moment.timestamp()


@pytest.fixture(params=["America/Los_Angeles", "Asia/Shanghai"])
def far_from_gmt(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have this machine go by another time than the cloud's."""
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("far_from_gmt")
def test_no_moment_is_read_as_this_machine_s_local_time() -> None:
    assert time.localtime(0).tm_hour != 0, "or this shows nothing"
    assert epoch("2027-01-01T00:00:00.000000") == epoch("2027-01-01 00:00:00") == NEW_YEAR
    assert epoch("2027-01-01T00:00:00Z") == zoned_moment("2027-01-01T00:00:00Z") == NEW_YEAR
    assert http_date("Fri, 01 Jan 2027 00:00:00 GMT") == NEW_YEAR
    assert timestamp(NEW_YEAR) == "2027-01-01T00:00:00Z"
    for zone in (" GMT", " -0000", ""):
        hint = seconds_of(formatdate(time.time() + 600, usegmt=True).removesuffix(" GMT") + zone)
        assert hint == pytest.approx(600, abs=60)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("team-a", "team-a", True),
        ("team-a", "team-b", False),
        ("0" * 31 + "a", "0" * 31 + "A", True),
        ("0" * 31 + "a", "00000000-0000-0000-0000-00000000000a", True),
        ("0" * 31 + "a", "0" * 31 + "b", False),
        ("0" * 32, "team-a", False),
    ],
)
def test_a_project_is_the_same_in_each_spelling_of_its_id(one: str, other: str, same: bool) -> None:
    assert same_project(one, other) is same


@pytest.mark.parametrize(
    ("value", "can"),
    [
        ("a" * 64, True),
        ("a" * 65, False),
        ("team-a_1", True),
        ("tëam", False),
        ("a/b", False),
        ("-", False),
        ("", False),
    ],
)
def test_a_project_stands_in_a_path_as_it_is(value: str, can: bool) -> None:
    assert is_project(value) is can
