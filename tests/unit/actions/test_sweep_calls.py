"""What a sweep costs, counted at the cloud."""

from __future__ import annotations

import pytest

from handler.model.result import Outcome
from tests.embedded_cloud import Cloud
from tests.unit.embedded_project import EmbeddedProject


def _pages(total: int) -> int:
    """One per page, at least one; a page that is exactly full says `next`: an empty one follows."""
    return total // 1000 + 1


def _most_pages(total: int) -> int:
    """Of a long list that is waited for, a page in 64 more since they overlap, and up to four in vain."""
    return _pages(total) if total < 8000 else _pages(total) + total // 64_000 + 1 + 4


@pytest.mark.parametrize("dry_run", [False, True])
@pytest.mark.parametrize(
    ("volumes", "servers"),
    [
        (0, 0),
        (0, 1001),
        (1, 999),
        (999, 1000),
        (1000, 1),
        (1001, 1001),
        (1, 25_000),
        (25_000, 999),
    ],
)
def test_a_sweep_asks_once_per_page_and_no_more_than_four_times_per_orphan(
    bare_cloud: Cloud, project: EmbeddedProject, volumes: int, servers: int, dry_run: bool
) -> None:
    orphans = min(volumes // 2, 7)
    bare_cloud.populate(volumes, servers, orphans)

    result = project.sweep(dry_run=dry_run)

    assert result.ok
    assert result.complete
    assert result.scanned is not None
    assert (result.scanned.servers, result.scanned.candidates) == (servers, orphans)
    done = Outcome.WOULD_DETACH if dry_run else Outcome.DETACHED
    assert result.summary == ({done.value: orphans} if orphans else {})
    calls = project.calls()
    assert _pages(volumes) <= calls.pop("volume pages") <= _most_pages(volumes)
    assert calls == {
        "server pages": _pages(servers),
        "looks": orphans * (2 if dry_run else 3),
        "detaches": 0 if dry_run else orphans,
    }


def test_volumes_that_name_no_server_cost_nothing_more(bare_cloud: Cloud, project: EmbeddedProject) -> None:
    bare_cloud.populate(1000, 0, 0)
    for _ in range(25):
        bare_cloud.add_volume(status="in-use")

    result = project.sweep()

    assert result.ok
    assert project.calls() == {"volume pages": 1, "server pages": 1, "looks": 0, "detaches": 0}


@pytest.mark.parametrize("cap", [1, 7, 250])
def test_capped_pages_are_read_to_the_end(bare_cloud: Cloud, project: EmbeddedProject, cap: int) -> None:
    bare_cloud.populate(28, 21, 3)
    bare_cloud.page_cap = cap

    result = project.sweep()

    assert result.scanned is not None
    assert (result.scanned.volumes, result.scanned.servers) == (28, 21)
    assert result.summary == {"detached": 3}
    calls = project.calls()
    assert (calls["volume pages"], calls["server pages"]) == (28 // cap + 1, 21 // cap + 1)


def test_form_server_asks_once_for_the_server_and_three_times_per_attachment(
    bare_cloud: Cloud, project: EmbeddedProject
) -> None:
    gone = bare_cloud.add_server()
    for _ in range(5):
        bare_cloud.add_volume(attachments=[gone])
    project.add_held(3)
    bare_cloud.delete_server(gone.id)

    result = project.clear_server(gone.id)

    assert result.summary == {"detached": 5}
    assert project.calls() == {"volume pages": 1, "server pages": 0, "looks": 1 + 5 * 2, "detaches": 5}
    assert sum(part.calls for part in result.results) == 15
