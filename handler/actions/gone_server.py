"""Form *server*: every attachment that still names one server, once that is proven gone."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from handler.actions.batch import clear_all
from handler.actions.lists import LeftOut, go_on, servers_of
from handler.actions.project import Project
from handler.model.request import GoneServer, Target
from handler.model.result import ManyResult, many
from handler.settings.regions import vendor_host


def clear_server(project: Project, work: GoneServer) -> ManyResult:
    """Form *server*: clear every attachment that still names this server. Raises Failure."""
    servers_of(project)
    clearing = project.clearing(remember=True)
    unreadable = LeftOut(project)
    with clearing.looking(work.server_id, project.context.separate()) as early:
        targets = _naming(project, work, unreadable)
        if targets and early is not None:
            early.wait()
    failure = (
        unreadable.failure(f"whether they still name server {work.server_id}") if unreadable.ids else None
    )
    if not targets:
        return many([], project.context.invocation, complete=failure is None, failure=failure)
    if project.observer:
        project.observer.listed(None, len(targets))
    results = clear_all(clearing, targets, project.context, project.settings.concurrency, project.observer)
    return many(results, project.context.invocation, complete=failure is None, failure=failure)


def _naming(project: Project, work: GoneServer, unreadable: LeftOut) -> list[Target]:
    """All attachments that name this server. Raises Failure."""
    # Every filter is checked again on what comes back. Cinder doesn't know this one: it ignores it of a
    # member, and shows an administrator no volume at all then
    vendor = vendor_host(project.volumes.endpoint, project.settings.domain) is not None
    wanted = {"server_id": work.server_id} if vendor else {}
    listing = project.volumes.list(project.context.separate(), wanted)
    targets: list[Target] = []
    with ThreadPoolExecutor(1, "list") as ahead:
        for page in listing.pages(ahead, project.told("volumes"), unreadable):
            go_on(project)
            targets += [
                Target(
                    volume_id=volume.id,
                    attachment_id=attachment.id,
                    server_id=work.server_id,
                    dry_run=work.dry_run,
                )
                for volume in page
                for attachment in volume.attachments
                if attachment.server_id == work.server_id
            ]
    return targets
