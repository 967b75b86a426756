"""What a sweep with `recover` looks for beside orphans: records that are stuck, one list a state.

A list is only where they are found. Each is then judged as a stuck record by form one is, but for records
without any entry: these are shown, and never freed by a sweep. What is not stuck any more is left alone.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from handler.actions.batch import clear_one, timed
from handler.actions.lists import LeftOut, go_on
from handler.actions.project import Project
from handler.actions.recover import STATES
from handler.actions.sweep_candidates import Census
from handler.cloud.volumes import Volume
from handler.errors import ErrorCode, Refused
from handler.model.request import Target
from handler.model.result import Cleared, Outcome, TargetResult, untouched
from handler.model.values import epoch


class Candidate(NamedTuple):
    """A record that looks stuck, by the list, with the ids of its entry where that shows just one."""

    volume_id: str
    status: str
    entries: int
    attachment_id: str | None = None
    server_id: str | None = None


class Found(NamedTuple):
    """What the lists showed: `ripe` are old enough and wanted, the oldest first; `listed` are all."""

    ripe: list[Candidate]
    listed: int
    too_young: int
    filtered: int
    unreadable: int


def find_stuck(project: Project, census: Census, newest: float) -> Found:
    """Read the lists. `newest` is when a record may have changed last (epoch seconds). Raises Failure."""
    found = list(census.bare)
    unreadable = LeftOut(project)
    with ThreadPoolExecutor(1, "list") as ahead:
        for state in STATES:
            listing = project.volumes.list(project.context.separate(), {"status": state})
            for page in listing.pages(ahead, project.told("volumes"), unreadable):
                go_on(project)
                # The status is looked at again: a cloud may ignore the filter
                found += [volume for volume in page if volume.status == state]
    wanted = [volume for volume in found if census.wants(volume, _servers(volume))]
    dated = [(epoch(volume.updated_at), _candidate(volume)) for volume in wanted]
    ripe = [(since, found) for since, found in dated if since is not None and since <= newest]
    ripe.sort(key=lambda one: (one[0], one[1].volume_id))
    return Found(
        ripe=[candidate for _, candidate in ripe],
        listed=len(found),
        too_young=len(wanted) - len(ripe),
        filtered=len(found) - len(wanted),
        unreadable=len(unreadable.ids),
    )


def _candidate(volume: Volume) -> Candidate:
    found = Candidate(volume.id, volume.status, len(volume.attachments))
    if found.entries != 1:
        return found
    (entry,) = volume.attachments
    return found._replace(attachment_id=entry.id, server_id=entry.server_id)


def _servers(volume: Volume) -> list[str]:
    return [entry.server_id for entry in volume.attachments if entry.server_id is not None]


def recoverer(project: Project, *, dry_run: bool) -> Callable[[Candidate], TargetResult]:
    """What judges one candidate: the ids go along as guards, as those of an attachment do.

    Where that is switched off each is only shown.
    """
    clearing = project.clearing(listed_stuck=True) if project.settings.recover.on else None

    def recover(candidate: Candidate) -> TargetResult:
        context = project.context.separate()
        target = Target(
            candidate.volume_id, candidate.attachment_id, candidate.server_id, dry_run=dry_run, recover=True
        )
        if clearing is None:
            return timed(target, context, lambda: _shown(candidate, target))
        return clear_one(clearing, target, context)

    return recover


def _shown(candidate: Candidate, target: Target) -> Cleared:
    """What the list said of it: the plain rule's own list has none of these, so it is not for that rule."""
    refused = Refused(
        ErrorCode.VOLUME_STATE,
        f"The volume is {candidate.status!r} by the list, and was not looked into. (DETACH_RECOVER is off "
        "here: the event's recover changes nothing.)",
    )
    shown = untouched(target, Outcome.REFUSED, refused)
    shown.findings.saw(candidate.status, candidate.entries)
    return shown
