"""Form *server*: every attachment that still names a server that is gone."""

from __future__ import annotations

import uuid

import pytest

from handler.actions import gone_server
from handler.model.result import Outcome
from handler.settings.regions import VendorHost
from tests.embedded_cloud import Call, Cloud
from tests.unit.embedded_project import EmbeddedProject


def test_every_attachment_of_the_server_is_cleared_and_no_other(
    bare_cloud: Cloud, project: EmbeddedProject
) -> None:
    gone = str(uuid.uuid4())
    living = bare_cloud.add_server()
    alone = bare_cloud.add_volume(attachments=[gone])
    shared = bare_cloud.add_volume(attachments=[gone, living])
    other, *_ = project.add_orphan()

    result = project.clear_server(gone)

    assert result.ok
    assert result.complete
    assert result.summary == {"detached": 2}
    assert bare_cloud.volume(alone.id).status == "available"
    assert [left.server_id for left in bare_cloud.volume(shared.id).attachments] == [living.id]
    assert bare_cloud.volume(other).attachments


def test_nothing_that_names_it_is_fine(project: EmbeddedProject) -> None:
    project.add_held(2)

    result = project.clear_server(str(uuid.uuid4()))

    assert result.ok
    assert result.complete
    assert result.results == ()
    assert project.calls() == {"volume pages": 1, "server pages": 0, "looks": 1, "detaches": 0}


def test_whoever_asks_to_stop_ends_the_list(bare_cloud: Cloud, project: EmbeddedProject) -> None:
    gone = str(uuid.uuid4())
    bare_cloud.add_volume(attachments=[gone])
    services = project.services()
    services.context.invocation = services.context.invocation._replace(stopped=lambda: bool(bare_cloud.calls))

    result = project.clear_server(gone, services)

    assert result.error is not None
    assert result.error.message.startswith("Interrupted while the lists were read")
    assert not bare_cloud.posts()


def test_a_server_that_exists_keeps_all(bare_cloud: Cloud, project: EmbeddedProject) -> None:
    living = bare_cloud.add_server(status="SHUTOFF")
    for _ in range(3):
        bare_cloud.add_volume(attachments=[living])

    result = project.clear_server(living.id)

    assert not result.ok
    assert result.summary == {"refused": 3}
    assert {part.error.code.value for part in result.results if part.error} == {"server_exists"}
    assert not bare_cloud.posts()
    looks = [call for call in bare_cloud.calls if call.path.endswith(f"/servers/{living.id}")]
    assert len(looks) == 1


def test_a_look_that_failed_is_every_attachments_failure(bare_cloud: Cloud, project: EmbeddedProject) -> None:
    gone = str(uuid.uuid4())
    for _ in range(3):
        bare_cloud.add_volume(attachments=[gone])
    bare_cloud.misbehave("compute", "GET", times=None, status=500)

    result = project.clear_server(gone)

    assert {part.error.code.value for part in result.results if part.error} == {"upstream_unavailable"}
    assert not bare_cloud.posts()
    assert len([call for call in bare_cloud.calls if call.service == "compute"]) == 1


def test_volumes_in_every_state_are_looked_at(bare_cloud: Cloud, project: EmbeddedProject) -> None:
    gone = str(uuid.uuid4())
    stuck = bare_cloud.add_volume(status="error_detaching", attachments=[gone])
    fine = bare_cloud.add_volume(attachments=[gone])

    result = project.clear_server(gone)

    assert {part.volume_id: part.outcome for part in result.results} == {
        stuck.id: Outcome.REFUSED,
        fine.id: Outcome.DETACHED,
    }
    assert not any("status" in call.query for call in bare_cloud.calls)


@pytest.mark.parametrize("ignores", [True, False])
def test_the_vendors_filter_is_checked_again(
    bare_cloud: Cloud, project: EmbeddedProject, monkeypatch: pytest.MonkeyPatch, ignores: bool
) -> None:
    monkeypatch.setattr(gone_server, "vendor_host", lambda *_endpoint: VendorHost("evs", "region", "domain"))
    if not ignores:
        bare_cloud.ignore_filters.clear()
    gone = str(uuid.uuid4())
    project.add_held(5)
    wanted = bare_cloud.add_volume(attachments=[gone])

    result = project.clear_server(gone)

    assert [part.volume_id for part in result.results] == [wanted.id]
    listed = [call for call in bare_cloud.calls if call.tail.endswith("/volumes/detail")]
    assert [call.query["server_id"] for call in listed] == [gone], "the server may be asked for before"


def test_an_administrator_is_shown_all_that_names_it(bare_cloud: Cloud, project: EmbeddedProject) -> None:
    project.token = bare_cloud.token(role="admin")
    gone = str(uuid.uuid4())
    wanted = bare_cloud.add_volume(attachments=[gone])

    result = project.clear_server(gone)

    assert [(part.volume_id, part.outcome) for part in result.results] == [(wanted.id, Outcome.DETACHED)]


def test_a_dry_run_clears_nothing(bare_cloud: Cloud, project: EmbeddedProject) -> None:
    gone = str(uuid.uuid4())
    bare_cloud.add_volume(attachments=[gone])

    result = project.clear_server(gone, dry_run=True)

    assert result.summary == {"would_detach": 1}
    assert not bare_cloud.posts()


def test_an_attachment_that_moves_on_the_way_is_kept(bare_cloud: Cloud, project: EmbeddedProject) -> None:
    gone = str(uuid.uuid4())
    volume = bare_cloud.add_volume(attachments=[gone])
    new = bare_cloud.add_server()

    def hook(call: Call) -> None:
        if call.path.endswith(f"/volumes/{volume.id}"):
            volume.attachments[0].server_id = new.id

    bare_cloud.hook(hook)

    result = project.clear_server(gone)

    assert [part.error.code.value for part in result.results if part.error] == ["server_mismatch"]
    assert not bare_cloud.posts()


def test_an_attachment_without_an_id_is_refused_and_not_left_out(
    bare_cloud: Cloud, project: EmbeddedProject
) -> None:
    gone = str(uuid.uuid4())
    volume = bare_cloud.add_volume(attachments=[gone])
    volume.attachments[0].attachment_id = "not a uuid"

    result = project.clear_server(gone)

    assert [part.error.code.value for part in result.results if part.error] == ["attachment_unknown"]
    assert not bare_cloud.posts()


def test_a_list_that_fails_clears_nothing(bare_cloud: Cloud, project: EmbeddedProject) -> None:
    gone = str(uuid.uuid4())
    for _ in range(6):
        bare_cloud.add_volume(attachments=[gone])
    bare_cloud.page_cap = 2
    bare_cloud.misbehave("volume", "GET", "/volumes/detail", times=None, after=2, status=500)

    result = project.clear_server(gone)

    assert result.error is not None
    assert result.error.code.value == "listing_failed"
    assert not result.ok
    assert not result.complete
    assert result.results == ()
    assert not bare_cloud.posts()


def test_what_is_not_begun_in_time_is_said(bare_cloud: Cloud, project: EmbeddedProject) -> None:
    gone = str(uuid.uuid4())
    for _ in range(6):
        bare_cloud.add_volume(attachments=[gone])
    bare_cloud.latency = 0.1
    services = project.services(seconds=1.0, DETACH_CONCURRENCY=1, DETACH_READ_TIMEOUT=0.3)

    result = project.clear_server(gone, services)

    assert not result.ok
    assert not result.complete
    assert len(result.results) == 6
    late = [part for part in result.results if part.error and part.error.code.value == "deadline_exceeded"]
    assert late
    assert all(part.changed is False for part in late)


def test_without_a_proof_it_is_refused(bare_cloud: Cloud, project: EmbeddedProject) -> None:
    result = project.clear_server(str(uuid.uuid4()), project.services(DETACH_SERVER_CHECK="off"))

    assert result.error is not None
    assert result.error.code.value == "configuration"
    assert not bare_cloud.calls
