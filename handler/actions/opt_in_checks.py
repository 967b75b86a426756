"""What `live` and `recover` need of the services and the token, told without changing anything.

Only where they are switched on. Each is asked for in the way in which it is asked for when it matters.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from handler.actions.checked import Check, Fact, State, failed, sentence
from handler.actions.project import Project
from handler.cloud.servers import ENTRY_VERSION, NOVA_VERSION, Server, Servers
from handler.errors import Failure, Refused
from handler.invocation import CallContext
from handler.settings.opt_in import LiveApi, LiveMode, RecoverMode


class Known(NamedTuple):
    """What was found before: a volume and a server to try things on, and what the compute service tells."""

    volume_id: str | None
    server_id: str | None
    lacks: Fact
    record_is_readable: bool


def check_opted_in(project: Project, servers: Servers, known: Known, context: CallContext) -> Iterator[Check]:
    """A line for each that is switched on."""
    if project.settings.live.on:
        yield _live(project, servers, known, context)
    if project.settings.recover.on:
        yield _recover(project, servers, known, context)


def _live(project: Project, servers: Servers, known: Known, context: CallContext) -> Check:
    name, mode = "live", project.settings.live.mode
    live = project.live(servers)
    nova = live.api.name is LiveApi.NOVA
    facts: dict[str, Fact] = {"mode": mode.value, "api": live.api.name.value}
    try:
        live.require_role()
        facts["lock"] = lock = _lock(servers, known, context) if mode is LiveMode.ADMIN else None
    except Failure as fault:
        return failed(name, fault, **facts)
    if lock is False:
        message = "DETACH_LIVE=admin, but the compute service doesn't tell whether a server is locked (2.9)."
        return Check(name, State.BAD, message, facts)
    said = [f"DETACH_LIVE={mode.value}: a live server's disk can be detached by {'Nova' if nova else 'ECS'}"]
    notes = []
    if mode is LiveMode.ADMIN:
        notes += ["the token walks over locks, so each server's lock is looked at first"]
        notes += ["whether it can be read is not known: there is no server"] if lock is None else []
    else:
        said += ["the token does not walk over a server's lock"]
    if not nova:
        said += ["only what ECS itself shows to be a data disk"]
    elif not known.record_is_readable:
        notes += ["why a detach failed can't be told: os-instance-actions can't be read"]
    if nova and _may_lack(NOVA_VERSION, known):
        notes += [f"that it refuses a root is not known ({NOVA_VERSION}), so block_device is asked"]
    if _may_lack(ENTRY_VERSION, known):
        notes += [f"by which entry a server has the disk can't be told ({ENTRY_VERSION})"]
    return Check(name, State.NOTE if notes else State.OK, sentence([*said, *notes]), facts)


def _may_lack(version: str, known: Known) -> bool:
    return not isinstance(known.lacks, list) or version in known.lacks


def _lock(servers: Servers, known: Known, context: CallContext) -> bool | None:
    """Whether a server's lock can be read; None where there is no server to try that on."""
    server = servers.find(known.server_id, context, with_lock=True) if known.server_id else None
    return server.locked is not None if isinstance(server, Server) else None


def _recover(project: Project, servers: Servers, known: Known, context: CallContext) -> Check:
    name, chosen = "recover", project.settings.recover
    facts: dict[str, Fact] = {"mode": chosen.mode.value, "after": chosen.after}
    try:
        facts["entries"] = _entries(project, known, context)
    except Failure as fault:
        return failed(name, fault, **facts)
    if facts["entries"] is False:
        message = (
            f"DETACH_RECOVER={chosen.mode.value}, but nothing can be recovered: the volume service doesn't "
            "list all entries of a volume (attachments API, 3.27), or its record names no project."
        )
        return Check(name, State.BAD, message, facts)
    said = [f"DETACH_RECOVER={chosen.mode.value}: records stuck for {chosen.after} s can be freed"]
    said += ["all entries of a volume are listed"] if facts["entries"] else []
    notes = [] if facts["entries"] else ["whether all entries are listed is not known: there is no volume"]
    if chosen.mode is RecoverMode.UNLISTED:
        notes += ["that no cell is down is taken on the operator's word"]
        facts["cells"] = None
        return Check(name, State.NOTE, sentence([*said, *notes]), facts)
    try:
        project.scan(servers).require_cells(context)
    except Refused as refused:
        facts["cells"] = False
        notes += [f"a record without any entry can't be freed now: {refused.message.rstrip('.')}"]
    except Failure as fault:
        return failed(name, fault, **facts)
    else:
        facts["cells"] = True
        said += ["the compute service shows that no cell is down (2.69)"]
    return Check(name, State.NOTE if notes else State.OK, sentence([*said, *notes]), facts)


def _entries(project: Project, known: Known, context: CallContext) -> bool | None:
    """Whether all entries of a volume are known here; None where there is no volume to try that on."""
    volume = project.volumes.get(known.volume_id, context) if known.volume_id else None
    if volume is None:
        return None
    entries = project.volumes.entries(volume.id, context)
    return entries is not None and volume.project_id is not None
