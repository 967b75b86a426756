"""The comparison of the two lists, whose pages come in any order."""

from __future__ import annotations

import uuid
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from handler.actions import sweep_candidates
from handler.actions.sweep_candidates import Census, Orphans
from handler.cloud.volumes import Attachment, Volume
from handler.model.disk import Disk
from handler.model.request import SweepBounds
from handler.model.values import epoch


def some_id(number: int) -> str:
    return str(uuid.UUID(int=number))


@pytest.fixture(autouse=True)
def _little_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep_candidates, "_ROOM", 3 * sweep_candidates._PACKED.size)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    servers=st.lists(st.sets(st.integers(0, 40), max_size=8), max_size=8),
    volumes=st.lists(
        st.lists(st.lists(st.integers(0, 60), max_size=3), min_size=1, max_size=8), min_size=1, max_size=8
    ),
    order=st.randoms(use_true_random=False),
)
def test_orphans_are_what_is_attached_less_what_is_listed(
    servers: list[set[int]], volumes: list[list[list[int]]], order: Random
) -> None:
    census = Census(SweepBounds())
    expected: set[tuple[str, str]] = set()
    listed = set().union(*servers)
    pages: list[tuple[str, Any]] = [("servers", [some_id(number) for number in page]) for page in servers]
    made = 0
    for page in volumes:
        records = []
        for holders in page:
            made += 1
            entries = tuple(
                Attachment(some_id(made * 100 + n), None, some_id(holder), "2026-01-01T00:00:00", "/dev/vdb")
                for n, holder in enumerate(holders)
            )
            expected |= {
                (some_id(made * 100 + n), some_id(holder))
                for n, holder in enumerate(holders)
                if holder not in listed
            }
            records.append(Volume(some_id(made), "in-use", None, entries, size=1, name=f"disk-ü-{made}"))
        pages.append(("volumes", records))
    order.shuffle(pages)
    for kind, page in pages:
        (census.add_servers if kind == "servers" else census.add_volumes)(page)

    found = census.orphans()

    assert len(found) == len(expected)
    assert {(orphan.attachment_id, orphan.server_id) for orphan in found} == expected
    assert all(orphan.name == f"disk-ü-{uuid.UUID(orphan.volume_id).int}" for orphan in found)
    assert census.attachments == sum(len(holders) for page in volumes for holders in page)
    assert census.servers == len(listed)


def test_a_project_is_told_by_its_name_where_that_is_no_uuid() -> None:
    def wanted(project_id: str | None, **bounds: Any) -> bool:
        volume = Volume(some_id(1), "in-use", project_id, ())
        return Census(SweepBounds(**bounds)).wants(volume, ())

    assert wanted("team-a", project_ids=["team-a"])
    assert not wanted("team-b", project_ids=["team-a"])
    assert not wanted("team-a", exclude_project_ids=["team-a"])
    assert wanted("team-b", exclude_project_ids=["team-a"])
    assert not wanted(None, exclude_project_ids=["team-a"])


def test_a_project_of_which_nothing_is_listed_has_nothing() -> None:
    assert Census(SweepBounds()).of_project("team-a") == 0


def test_what_is_held_by_listed_servers_takes_no_room() -> None:
    census = Census(SweepBounds())
    for number in range(200):
        attachment = Attachment(some_id(1000 + number), None, some_id(number), None, None)
        census.add_volumes([Volume(some_id(number), "in-use", None, (attachment,), name="n" * 9999)])
        census.add_servers([some_id(number)])

    assert len(census._packed) <= 4 * sweep_candidates._PACKED.size
    assert len(census._names) <= 4 * 255
    assert len(census.orphans()) == 0
    assert census.attachments == 200


@pytest.mark.parametrize(
    ("size", "shown"), [(None, None), (-1, None), (0, 0), (1, 1), (2**31 - 1, 2**31 - 1), (2**31, None)]
)
def test_an_orphan_s_disk_is_as_the_list_says(size: int | None, shown: int | None) -> None:
    census = Census(SweepBounds())
    entry = Attachment(some_id(2), None, some_id(3), "when?", "/dev/vdb")
    census.add_volumes([Volume(some_id(1), "in-use", None, (entry,), size=size, name="data-1")])

    (orphan,) = census.orphans()

    assert orphan.since is None
    assert orphan.disk == Disk("data-1", shown, "/dev/vdb", None)


def test_orphans_come_by_age_then_by_volume_and_are_kept_packed() -> None:
    census = Census(SweepBounds(metadata={"sweep": "yes"}))
    made = {
        5: ("2026-01-02T00:00:00.000001", "a", "yes"),
        4: (None, "a", "yes"),
        3: ("1960-01-01T00:00:00", None, "no"),
        2: ("2026-01-02T00:00:00.000001", "b", "yes"),
        1: ("2026-01-02T00:00:00+00:00", "a", "yes"),
    }
    for number, (moment, project, sweep) in made.items():
        attachment = Attachment(some_id(number + 10), None, some_id(99), moment, None)
        volume = Volume(some_id(number), "in-use", project, (attachment,), metadata={"sweep": sweep})
        census.add_volumes([volume])

    orphans = census.orphans()
    second = epoch("2026-01-02T00:00:00")
    assert second is not None

    def numbers(some: Orphans) -> list[int]:
        return [uuid.UUID(orphan.volume_id).int for orphan in some]

    assert numbers(orphans) == [3, 1, 2, 5, 4]
    assert numbers(orphans[1:3]) == [1, 2]
    assert orphans[-1].since is None
    assert numbers(orphans.wanted()) == [1, 2, 5, 4]
    assert numbers(orphans.since(second)) == [3, 1]
    assert numbers(orphans.since(float("inf"))) == [3, 1, 2, 5]
    assert numbers(orphans.of_projects({"a"})) == [1, 5, 4]
    assert numbers(orphans.of_projects({"a", None}, others=True)) == [2]
    assert orphans.by_project() == {"a": 3, "b": 1, None: 1}
