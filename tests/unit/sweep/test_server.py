"""Form *server*: every attachment that still names a server that is gone."""

from __future__ import annotations

import uuid

import pytest

from handler.model import Outcome
from tests.cloud import Call, Cloud
from tests.unit.sweep.project import Project


def test_every_attachment_of_the_server_is_cleared_and_no_other(cloud: Cloud, project: Project) -> None:
    gone = str(uuid.uuid4())
    living = cloud.add_server()
    alone = cloud.add_volume(attachments=[gone])
    shared = cloud.add_volume(attachments=[gone, living])
    other, *_ = project.add_orphan()

    result = project.clear_server(gone)

    assert result.ok
    assert result.complete
    assert result.summary == {"detached": 2}
    assert cloud.volume(alone.id).status == "available"
    assert [left.server_id for left in cloud.volume(shared.id).attachments] == [living.id]
    assert cloud.volume(other).attachments


def test_nothing_that_names_it_is_fine(project: Project) -> None:
    project.add_held(2)

    result = project.clear_server(str(uuid.uuid4()))

    assert result.ok
    assert result.complete
    assert result.results == ()
    assert project.calls() == {"volume pages": 1, "server pages": 0, "looks": 0, "detaches": 0}


def test_a_server_that_exists_keeps_all(cloud: Cloud, project: Project) -> None:
    living = cloud.add_server(status="SHUTOFF")
    for _ in range(3):
        cloud.add_volume(attachments=[living])

    result = project.clear_server(living.id)

    assert not result.ok
    assert result.summary == {"refused": 3}
    assert {part.error.code.value for part in result.results if part.error} == {"server_exists"}
    assert not cloud.posts()
    looks = [call for call in cloud.calls if call.path.endswith(f"/servers/{living.id}")]
    assert len(looks) == 1


def test_a_look_that_failed_is_every_attachments_failure(cloud: Cloud, project: Project) -> None:
    gone = str(uuid.uuid4())
    for _ in range(3):
        cloud.add_volume(attachments=[gone])
    cloud.misbehave("compute", "GET", times=None, status=500)

    result = project.clear_server(gone)

    assert {part.error.code.value for part in result.results if part.error} == {"upstream_unavailable"}
    assert not cloud.posts()
    assert len([call for call in cloud.calls if call.service == "compute"]) == 1


def test_volumes_in_every_state_are_looked_at(cloud: Cloud, project: Project) -> None:
    gone = str(uuid.uuid4())
    stuck = cloud.add_volume(status="error_detaching", attachments=[gone])
    fine = cloud.add_volume(attachments=[gone])

    result = project.clear_server(gone)

    assert {part.volume_id: part.outcome for part in result.results} == {
        stuck.id: Outcome.REFUSED,
        fine.id: Outcome.DETACHED,
    }
    assert not any("status" in call.query for call in cloud.calls)


@pytest.mark.parametrize("ignores", [True, False])
def test_the_filter_is_checked_again(cloud: Cloud, project: Project, ignores: bool) -> None:
    if not ignores:
        cloud.ignore_filters.clear()
    gone = str(uuid.uuid4())
    project.add_held(5)
    wanted = cloud.add_volume(attachments=[gone])

    result = project.clear_server(gone)

    assert [part.volume_id for part in result.results] == [wanted.id]
    assert cloud.calls[0].query["server_id"] == gone


def test_a_dry_run_clears_nothing(cloud: Cloud, project: Project) -> None:
    gone = str(uuid.uuid4())
    cloud.add_volume(attachments=[gone])

    result = project.clear_server(gone, dry_run=True)

    assert result.summary == {"would_detach": 1}
    assert not cloud.posts()


def test_an_attachment_that_moves_on_the_way_is_kept(cloud: Cloud, project: Project) -> None:
    gone = str(uuid.uuid4())
    volume = cloud.add_volume(attachments=[gone])
    new = cloud.add_server()

    def hook(call: Call) -> None:
        if call.path.endswith(f"/servers/{gone}"):
            volume.attachments[0].server_id = new.id

    cloud.hook(hook)

    result = project.clear_server(gone)

    assert [part.error.code.value for part in result.results if part.error] == ["server_mismatch"]
    assert not cloud.posts()


def test_an_attachment_without_an_id_is_refused_and_not_left_out(cloud: Cloud, project: Project) -> None:
    gone = str(uuid.uuid4())
    volume = cloud.add_volume(attachments=[gone])
    volume.attachments[0].attachment_id = "not a uuid"

    result = project.clear_server(gone)

    assert [part.error.code.value for part in result.results if part.error] == ["attachment_unknown"]
    assert not cloud.posts()


def test_a_list_that_fails_clears_nothing(cloud: Cloud, project: Project) -> None:
    gone = str(uuid.uuid4())
    for _ in range(6):
        cloud.add_volume(attachments=[gone])
    cloud.page_cap = 2
    cloud.misbehave("volume", "GET", "/volumes/detail", times=None, after=2, status=500)

    result = project.clear_server(gone)

    assert result.error is not None
    assert result.error.code.value == "listing_failed"
    assert not result.ok
    assert not result.complete
    assert result.results == ()
    assert not cloud.posts()


def test_what_is_not_begun_in_time_is_said(cloud: Cloud, project: Project) -> None:
    gone = str(uuid.uuid4())
    for _ in range(6):
        cloud.add_volume(attachments=[gone])
    cloud.latency = 0.1
    job = project.job(seconds=1.0, DETACH_CONCURRENCY=1, DETACH_READ_TIMEOUT=0.3)

    result = project.clear_server(gone, job)

    assert not result.ok
    assert not result.complete
    assert len(result.results) == 6
    late = [part for part in result.results if part.error and part.error.code.value == "deadline_exceeded"]
    assert late
    assert all(part.changed is False for part in late)


def test_without_a_proof_it_is_refused(cloud: Cloud, project: Project) -> None:
    result = project.clear_server(str(uuid.uuid4()), project.job(DETACH_SERVER_CHECK="off"))

    assert result.error is not None
    assert result.error.code.value == "configuration"
    assert not cloud.calls
