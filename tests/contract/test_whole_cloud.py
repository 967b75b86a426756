"""DETACH_SCOPE=cloud: two projects, one deployment, and who may have it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.contract.case import Case, Home
from tests.contract.lab import LISTER, PARTIAL, SINGLE_VIEWER, VOLUME_LISTER
from tests.contract.test_one import FREE, HELD
from tests.contract.wire import Wire

if TYPE_CHECKING:
    from requests import Response

    from tests.contract.function import Functions
    from tests.contract.lab import Disk, Lab

# Other cases' orphans are in the same cloud, so a sweep is told whose it may look at
_BOLD = {
    "DETACH_SCOPE": "cloud",
    "DETACH_SWEEP_DRY_RUN": "false",
    "DETACH_SWEEP_MIN_AGE_SECONDS": "0",
    "DETACH_SWEEP_MAX_FRACTION": "1",
}


class Cloud(NamedTuple):
    """Two projects. `lent` is a disk of the first at a live server of the second."""

    ours: str
    foreign: str
    our_orphan: Disk
    foreign_orphan: Disk
    foreign_live: Disk
    lent: Disk


@pytest.fixture
def cloud(lab: Lab) -> Cloud:
    ours, foreign = lab.project(), lab.project()
    gone, live = lab.boot(foreign), lab.boot(foreign)
    our_orphan = lab.disk(ours, _vanished(lab, ours))
    foreign_orphan = lab.disk(foreign, gone)
    lab.vanish(gone)
    return Cloud(
        ours,
        foreign,
        our_orphan,
        foreign_orphan,
        lent=lab.recorded_disk(ours, live, connected=False),
        foreign_live=lab.disk(foreign, live),
    )


def _vanished(lab: Lab, project_id: str) -> str:
    server_id = lab.boot(project_id)
    lab.vanish(server_id)
    return server_id


def _case(lab: Lab, functions: Functions, steps: list[str], role: str, project_id: str | None = None) -> Case:
    case = Case(Home(lab, functions, role, project_id), steps)
    case.settings = dict(_BOLD)
    return case


@pytest.mark.parametrize("of", ["a project with orphans", "a project of its own"])
def test_an_administrators_token_clears_both_projects_orphans_and_nothing_else(
    lab: Lab, functions: Functions, steps: list[str], cloud: Cloud, of: str
) -> None:
    case = _case(lab, functions, steps, "admin", None if of.endswith("own") else cloud.ours)
    both = {"project_ids": [cloud.ours, cloud.foreign]}
    kept = [(cloud.foreign_live, HELD, HELD), (cloud.lent, HELD, HELD)]
    orphans = (cloud.our_orphan, cloud.foreign_orphan)

    case.ask(
        {"sweep": {"dry_run": True, "project_ids": [cloud.foreign]}},
        "200 would_detach",
        *kept,
        *((disk, HELD, HELD) for disk in orphans),
    )
    swept = case.ask(
        {"sweep": both}, "200 detached x2", *kept, *((disk, HELD, FREE) for disk in orphans)
    ).document

    assert {part["volume_id"]: part["project_id"] for part in swept["results"]} == {
        cloud.our_orphan.volume_id: cloud.ours,
        cloud.foreign_orphan.volume_id: cloud.foreign,
    }
    assert swept["projects"] == {cloud.ours: {"detached": 1}, cloud.foreign: {"detached": 1}}


def test_single_targets_of_either_project(
    lab: Lab, functions: Functions, steps: list[str], cloud: Cloud
) -> None:
    case = _case(lab, functions, steps, "admin")
    for disk in (cloud.lent, cloud.foreign_live):
        case.ask({"volume_id": disk.volume_id}, "409 refused server_exists", (disk, HELD, HELD))
    case.ask(
        {"server_id": cloud.lent.server_id},
        "409 refused server_exists x2",
        (cloud.lent, HELD, HELD),
        (cloud.foreign_live, HELD, HELD),
    )
    case.ask({"volume_id": cloud.our_orphan.volume_id}, "200 detached", (cloud.our_orphan, HELD, FREE))
    case.ask(
        {"server_id": cloud.foreign_orphan.server_id}, "200 detached", (cloud.foreign_orphan, HELD, FREE)
    )
    case.ask(
        {"targets": [{"volume_id": cloud.foreign_orphan.volume_id}, {"volume_id": cloud.lent.volume_id}]},
        "207 already_detached, refused server_exists",
        (cloud.foreign_orphan, FREE, FREE),
        (cloud.lent, HELD, HELD),
    )


def test_a_deletion_on_record_is_proof_for_every_project(
    lab: Lab, functions: Functions, steps: list[str], cloud: Cloud
) -> None:
    case = _case(lab, functions, steps, "admin")
    case.settings["DETACH_SERVER_CHECK"] = "recorded"
    disk = cloud.foreign_orphan
    case.ask({"volume_id": disk.volume_id}, "200 detached", (disk, HELD, FREE))


@pytest.mark.parametrize("role", ["member", "reader", *PARTIAL])
def test_who_sees_a_part_judges_nothing(
    lab: Lab, functions: Functions, steps: list[str], cloud: Cloud, role: str
) -> None:
    case = _case(lab, functions, steps, role, cloud.ours)
    all_kept = [(disk, HELD, HELD) for disk in cloud if not isinstance(disk, str)]
    refused = " (403)" if role == SINGLE_VIEWER else ""
    said = [
        case.ask(work, expected, *all_kept).document["error"]["message"]
        for work, expected in (
            ({"volume_id": cloud.our_orphan.volume_id}, f"500 failed configuration{refused}"),
            ({"volume_id": cloud.lent.volume_id, "dry_run": True}, f"500 failed configuration{refused}"),
            ({"server_id": cloud.foreign_orphan.server_id}, f"500 no results in all: configuration{refused}"),
            ({"sweep": {"project_ids": [cloud.ours]}}, f"500 no results in all: configuration{refused}"),
        )
    ]
    assert all("it can't be proved that the token sees all projects" in message for message in said)


@pytest.mark.parametrize("role", ["member", "reader", "admin", *PARTIAL])
def test_what_the_services_show_of_other_projects(
    lab: Lab, functions: Functions, steps: list[str], cloud: Cloud, role: str
) -> None:
    """What the proof rests on, with no function between: who is shown what, in lists and by id."""
    case = _case(lab, functions, steps, role, cloud.ours)
    wire = Wire(case, lab.token(cloud.ours, role), [])
    server, volume = cloud.foreign_live.server_id, cloud.foreign_live.volume_id

    def told(what: str, answer: Response, key: str = "", id_: str = "") -> str:
        seen = ""
        if key and answer.status_code == 200:
            ids = [row["id"] for row in answer.json()[key]]
            seen = " alone" if ids == [id_] else " among others" if id_ in ids else " not there"
        steps.append(f"{what}: {answer.status_code}{seen}")
        return f"{answer.status_code}{seen}"

    shown = [
        told("listed", wire.servers("?all_tenants=1"), "servers", server),
        told("by uuid", wire.servers(f"?all_tenants=1&uuid={server}"), "servers", server),
        told("a server", wire.servers(f"/{server}")),
        told("volumes listed", wire.volumes("/detail?all_tenants=1"), "volumes", volume),
        told("a volume", wire.volumes(f"/{volume}")),
        told("by server_id", wire.volumes(f"/detail?all_tenants=1&server_id={server}"), "volumes", volume),
        told("in its project's path", wire.servers(f"/{server}", cloud.foreign)),
        told("the volume so", wire.volumes(f"/{volume}", project=cloud.foreign)),
    ]
    assert shown == [*_SHOWN[role], "400", "400"]


_NOTHING = ["403", "403", "404", "200 not there", "404", "200 not there"]
_ALL, _ALONE, _NOT = "200 among others", "200 alone", "200 not there"
_SHOWN = {
    "member": _NOTHING,
    "reader": _NOTHING,
    "admin": [_ALL, _ALONE, "200", _ALL, "200", _NOT],
    LISTER: [_ALL, _ALL, "404", _ALL, "200", _NOT],
    SINGLE_VIEWER: ["403", "403", "200", _ALL, "200", _NOT],
    VOLUME_LISTER: [_ALL, _ALONE, "200", _ALL, "404", _NOT],
}
