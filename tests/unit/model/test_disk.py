"""What a result says of the disk: whatever a cloud calls it can be written, and stays short."""

from __future__ import annotations

import json

import pytest

from handler.model.disk import Disk
from handler.model.values import timestamp


def test_what_is_known_is_said() -> None:
    assert Disk.seen("data", 40, "/dev/vdb", 1767323045.9) == Disk(
        "data", 40, "/dev/vdb", "2026-01-02T03:04:05Z"
    )


def test_what_is_not_known_is_null() -> None:
    assert Disk.seen("", None, "", None) == Disk(None, None, None, None)


@pytest.mark.parametrize("size", [-1, 2**31, 10**400])
def test_a_size_that_no_disk_has_is_not_known(size: int) -> None:
    assert Disk.seen("data", size).size_gb is None


def test_a_name_is_text_and_no_longer_than_a_name() -> None:
    disk = Disk.seen("\ud83d" + "n" * 5000, 1, "/dev/" + "v" * 5000)
    assert disk.name == "?" + "n" * 254
    assert disk.device is not None
    assert len(disk.device) == 255
    json.dumps(vars(disk), ensure_ascii=False).encode()


@pytest.mark.parametrize(
    ("seconds", "written"),
    [(-5.0, "1970-01-01T00:00:00Z"), (1e300, "9999-12-31T23:59:59Z"), (0.0, "1970-01-01T00:00:00Z")],
)
def test_a_moment_that_no_calendar_has_is_the_nearest(seconds: float, written: str) -> None:
    assert timestamp(seconds) == written
