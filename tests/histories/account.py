"""What each invocation was asked, told and sent, judged by what was true at the cloud meanwhile."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from handler.errors import ErrorCode
from handler.model.request import Batch, GoneServer, Sweep, Target, Work
from handler.model.result import ManyResult, Outcome, Result, TargetResult
from tests.embedded_cloud import Call, Cloud
from tests.histories.truth import Change, Fact, Look, Record, is_change, look_at, record_of

KNOWN = frozenset({"os-detach", "os-unreserve", "os-roll_detaching", "DELETE"})
"""The calls that may change something."""


@dataclass(frozen=True)
class Terms:
    """What a deployment allows; `apart`: its two services are not of one region; `limit`: of a sweep."""

    check: str
    live: bool
    recover: bool
    apart: bool
    limit: int

    def frees(self, look: Look, volume_id: str, *, recover: bool = False) -> bool:
        """Whether what was true then proves that the server has let the volume go.

        What a 404 can't say is believed where the deployment believes it (README): that a server is another
        project's, or was deleted while its host was down.
        """
        if self.check == "recorded":
            return not look.exists and look.ended
        if self.check == "not-held" and not recover and look.at_rest and volume_id not in look.disks:
            return True
        return not look.shown


@dataclass(eq=False)
class Visit:
    """One invocation. `ripe` are the attachments that it has to clear: they can be, by all that is true."""

    work: Work
    process: object
    ripe: dict[tuple[str, str], Record] = field(default_factory=dict)
    told: list[Fact] = field(default_factory=list)
    left: dict[int, int] = field(default_factory=dict)
    changes: list[Change] = field(default_factory=list)
    logged: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    mistaken: bool = False
    result: Result | None = None

    @property
    def dry(self) -> bool:
        work = self.work
        if isinstance(work, Sweep):
            return work.sweep.dry_run
        return isinstance(work, (Target, Batch, GoneServer)) and work.dry_run

    def wants(self, volume_id: str, what: str) -> bool:
        """Whether a target of it is this volume and says so (`live`, `recover`)."""
        if isinstance(self.work, Sweep):
            return what == "recover" and self.work.sweep.recover
        return any(one.volume_id == volume_id and getattr(one, what) for one in targets_of(self.work))


def targets_of(work: Work) -> list[Target]:
    if isinstance(work, Batch):
        return list(work.targets)
    return [work] if isinstance(work, Target) else []


class Account:
    """Keeps it for one history. `wrong` is what must never be."""

    def __init__(self, cloud: Cloud, terms: Terms) -> None:
        self.cloud = cloud
        self.terms = terms
        self.wrong: list[str] = []
        self.visits: list[Visit] = []
        self.cleared = 0
        self._misled: set[int] = set()

    # A visit begins and ends.

    def begin(self, work: Work, process: object) -> Visit:
        visit = Visit(work, process)
        self.cloud.world.settle()
        if not visit.dry and not self.terms.apart:
            visit.ripe = dict(self._ripe(work))
        self.visits.append(visit)
        return visit

    def _ripe(self, work: Work) -> Iterable[tuple[tuple[str, str], Record]]:
        for volume in self.cloud.world.volumes.values():
            record = record_of(volume)
            if record is None or record.status != "in-use" or record.project_id != self.cloud.project_id:
                continue
            for attachment_id, server_id in record.listed.items():
                if server_id and self._asked_for(work, volume.id, record, attachment_id, server_id):
                    look = look_at(self.cloud, server_id)
                    if not look.exists and self.terms.frees(look, volume.id):
                        yield (volume.id, attachment_id), record

    @staticmethod
    def _asked_for(work: Work, volume_id: str, record: Record, attachment_id: str, server_id: str) -> bool:
        if isinstance(work, GoneServer):
            return work.server_id == server_id
        return any(
            one.volume_id == volume_id
            and not one.dry_run
            and (one.attachment_id or attachment_id) == attachment_id
            and (one.attachment_id is not None or len(record.listed) == 1)
            and (one.server_id or server_id) == server_id
            for one in targets_of(work)
        )

    def end(self, visit: Visit, result: Result, *, settled: bool) -> None:
        """The invocation has answered; `settled`: it is not delivered again, and nobody is told to look."""
        visit.result = result
        parts = parts_of(result)
        for part in parts:
            self._judge_result(visit, part)
        self._judge_changed(parts, visit.changes)
        errors = [one.code for one in (result.error, *_errors(parts)) if one is not None]
        if ErrorCode.INTERNAL in errors:
            self.wrong.append("a bug: an exception that nobody foresaw")
        # A token that is refused anew after its renewal is for a person to look at
        mistaken = visit.mistaken or id(visit.process) in self._misled
        if settled and not mistaken and ErrorCode.TOKEN_REJECTED not in errors:
            for (volume_id, attachment_id), before in visit.ripe.items():
                if record_of(self.cloud.world.volumes.get(volume_id)) == before:
                    left = f"{attachment_id} of {volume_id}"
                    self.wrong.append(f"settled, and {left} is left undone: {_said(result)}")

    # The way of a call.

    def left(self, about: Visit | None, call: Call) -> None:
        if about is None or not is_change(call):
            return
        about.left[id(call)] = len(about.told)
        before = [fields for event, fields in about.logged if event == "changing"]
        if not before or len(before) < len(about.left):
            self.wrong.append(f"{call.method} {call.path} left without its line in the log")

    def told(self, about: Visit | None, asked: Call, fact: Fact, *, mistaken: bool) -> None:
        if about is not None:
            about.told.append(fact)
            about.mistaken = about.mistaken or mistaken
            if mistaken and asked.service == "identity":
                self._misled.add(id(about.process))  # what it knows of its token is kept, for all that follow

    def acted(self, about: Visit | None, fact: Fact) -> None:
        change = fact.change
        if about is None or change is None:
            if is_change(fact.call):
                self.wrong.append(f"{fact.call.method} {fact.call.path}: not a call that is ever sent")
            return
        about.changes.append(change)
        self.cleared += change.effect
        self._judge_change(about, change, about.told[: about.left.get(id(fact.call), 0)])
        if about.result is not None:
            self._judge_changed(parts_of(about.result), [change])

    # Judgement.

    def _judge_change(self, visit: Visit, change: Change, told: list[Fact]) -> None:
        name, volume_id = change.name, change.volume_id
        reads = [fact.volume[1] for fact in told if fact.volume and fact.volume[0] == volume_id]
        last = reads[-1] if reads else None
        allowed = visit.wants(volume_id, "recover") and self.terms.recover
        reasons = []
        if name not in KNOWN:
            reasons.append("never sent")
        if visit.dry or not self._is_asked_for(visit, change, last):
            reasons.append("a dry run, or not asked for")
        if self.terms.apart:
            reasons.append("the services are not of one region")
        if last is None or last.project_id != self.cloud.project_id:
            reasons.append("not read, or another project's")
        elif name == "os-detach" and change.attachment_id is not None:
            reasons += self._unproved(change, last, told, recover=allowed)
        elif name == "DELETE":
            reasons += self._unfit(visit, change, last, told)
        elif name == "os-roll_detaching":
            asked = allowed and visit.wants(volume_id, "live") and self.terms.live
            reasons += [] if asked and last.status == "detaching" else ["not asked for"]
        else:
            reasons += self._not_free(change, last, reads, told) if allowed else ["not asked for"]
        self.wrong += [f"{name} of {volume_id}: {reason}" for reason in reasons]

    def _is_asked_for(self, visit: Visit, change: Change, last: Record | None) -> bool:
        """Whether the work means this attachment of this volume, at this server."""
        work = visit.work
        server_id = change.server_id
        if last is not None and change.attachment_id is not None:
            server_id = last.holders.get(change.attachment_id)
        if isinstance(work, GoneServer):
            return work.server_id == server_id
        if isinstance(work, Sweep):
            most = self.terms.limit
            limit = most if work.sweep.limit is None else min(most, work.sweep.limit)
            return len({one.volume_id for one in visit.changes if one.effect}) <= limit
        return any(
            one.volume_id == change.volume_id
            and not one.dry_run
            and (one.attachment_id or change.attachment_id) == (change.attachment_id or one.attachment_id)
            and (one.server_id or server_id) == server_id
            for one in targets_of(work)
        )

    def _unproved(self, change: Change, last: Record, told: list[Fact], *, recover: bool) -> list[str]:
        server_id = last.holders.get(change.attachment_id or "")
        if server_id is None:
            return ["the entry was not listed"]
        if last.status != "in-use" and not recover:
            return [f"the record was {last.status}"]
        look = _last_look(told, server_id)
        recovers = recover and last.status != "in-use"
        if look is None or not self.terms.frees(look, change.volume_id, recover=recovers):
            return [f"its server {server_id} was not proved gone: {look}"]
        return []

    def _unfit(self, visit: Visit, change: Change, last: Record, told: list[Fact]) -> list[str]:
        if not (self.terms.live and visit.wants(change.volume_id, "live")):
            return ["not asked for"]
        sent = [one for one in visit.changes if (one.name, one.volume_id) == ("DELETE", change.volume_id)]
        if len(sent) > 1 and not isinstance(visit.work, Batch):
            return ["sent twice"]
        named = {one.attachment_id for one in targets_of(visit.work) if one.volume_id == change.volume_id}
        listed = [entry for entry, server_id in last.listed.items() if server_id == change.server_id]
        look = _last_look(told, change.server_id)
        fits = (
            look is not None
            and last.status == "in-use"
            and len(listed) == 1
            and listed[0] in named
            and look.status in {"ACTIVE", "SHUTOFF"}
            and look.task is None
            and not (look.locked and _tells_lock(told, change.server_id))
            and look.disks.get(change.volume_id) == listed[0]
        )
        return [] if fits else [f"not what was looked at: {last}, {look}"]

    def _not_free(
        self, change: Change, last: Record, reads: list[Record | None], told: list[Fact]
    ) -> list[str]:
        scans = [fact.holders for fact in told if fact.holders is not None]
        found = []
        if not scans or scans[-1].get(change.volume_id):
            found.append("a server had it when all were looked through, or none was")
        if len(reads) < 2 or reads[-2] != last:
            found.append("the record was not read again, or had changed")
        if last.entries:
            found.append("it has an entry")
        return found

    def _judge_result(self, visit: Visit, part: TargetResult) -> None:
        volume_id, named = part.volume_id, part.attachment_id
        first = min(visit.left.values(), default=0)
        seen = [fact.volume[1] for fact in visit.told if fact.volume and fact.volume[0] == volume_id]
        after = [fact.volume[1] for fact in visit.told[first:] if fact.volume and fact.volume[0] == volume_id]
        absent = [one for one in after if one is not None and named not in one.holders]
        if part.outcome in {Outcome.DETACHED, Outcome.RECOVERED}:
            free = absent if named else [one for one in absent if one.status == "available"]
            if not free:
                self.wrong.append(f"{part.outcome.value}, but never seen so: {_said(part)}")
            if part.changed is not True:
                self.wrong.append(f"{part.outcome.value} with changed {part.changed}")
        elif part.outcome is Outcome.ALREADY_DETACHED:
            if not any(one is not None and named not in one.holders for one in seen):
                self.wrong.append(f"already_detached, but never seen so: {_said(part)}")
        elif part.outcome is Outcome.VOLUME_ABSENT:
            if None not in seen:
                self.wrong.append(f"volume_absent, but never seen so: {_said(part)}")
        elif part.outcome is Outcome.WOULD_DETACH and not part.dry_run:
            self.wrong.append("would_detach of what was no dry run")

    def _judge_changed(self, parts: Sequence[TargetResult], changes: Iterable[Change]) -> None:
        """Of several results about one attachment one has to own up."""
        for change in changes:
            about = [
                part
                for part in parts
                if part.volume_id == change.volume_id and change.attachment_id in {None, part.attachment_id}
            ]
            if change.effect and about and all(part.changed is False for part in about):
                if change.name == "DELETE" and self._is_rolled_back(change):
                    continue
                self.wrong.append(f"changed is false, but our {change.name} did it: {_said(about[0])}")

    def _is_rolled_back(self, change: Change) -> bool:
        """Whether a detach that was begun has left the record as it was."""
        now = record_of(self.cloud.world.volumes.get(change.volume_id))
        before = change.before
        return (
            now is not None and before is not None and now[2:] == before[2:] and now.status == before.status
        )


def parts_of(result: Result) -> Sequence[TargetResult]:
    return result.results if isinstance(result, ManyResult) else (result,)


def _last_look(told: Iterable[Fact], server_id: str | None) -> Look | None:
    """The server as it was by the last look at it, with the disks that it had when these were asked for."""
    look: Look | None = None
    for fact in told:
        if fact.server is not None and fact.server[0] == server_id:
            seen = fact.server[1]
            look = seen if look is None or not fact.of_disks else look._replace(disks=seen.disks)
    return look


def _tells_lock(told: Iterable[Fact], server_id: str | None) -> bool:
    """Whether the last look at the server said of it whether it is locked.

    An answer to an earlier question doesn't, and DETACH_LIVE=on leaves a lock to the service then, which
    holds it against everybody without the role admin.
    """
    looks = [fact for fact in told if fact.server and fact.server[0] == server_id and not fact.of_disks]
    return bool(looks) and b'"locked"' in looks[-1].answer.body


def _said(result: Result) -> str:
    parts = [f"{one.outcome.value} {one.error.code.value if one.error else ''}" for one in parts_of(result)]
    whole = [result.error.code.value] if isinstance(result, ManyResult) and result.error else []
    return f"{', '.join([*whole, *parts])} ({result.request_id})"


def _errors(parts: Iterable[TargetResult]) -> list[Any]:
    return [part.error for part in parts]
