"""What can be told of the services without changing anything: what they answer, and which proof they allow.

Facts: the microversion that a service went by stands in its answer's headers (recorded from a real Nova and
Cinder); one that it doesn't have is a 406, and a service that has none leaves the headers out.
"""

from __future__ import annotations

from collections.abc import Iterator

from handler.actions.checked import Check, Fact, State, failed, sentence
from handler.actions.opt_in_checks import Known, check_opted_in
from handler.actions.project import Project
from handler.actions.scan import CELLS_VERSION
from handler.actions.whole_cloud import WholeCloud
from handler.cloud.endpoints import Together
from handler.cloud.faults import failure
from handler.cloud.messages import Answer
from handler.cloud.paging import LARGEST_PAGE
from handler.cloud.servers import ENTRY_VERSION, NOVA_VERSION, RECORD_VERSION, Servers
from handler.cloud.service import Service
from handler.cloud.volumes import ENTRIES_VERSION
from handler.errors import Failure
from handler.invocation import CallContext
from handler.model.bounded_json import loads_leniently
from handler.model.values import canonical
from handler.settings import ServerCheck

_TOGETHER = {
    Together.ONE_SOURCE: "they come from one source: DETACH_REGION, or one region of the token's catalog",
    Together.VENDOR: "they are the vendor's hosts of one region",
    Together.CATALOG: "the token's catalog lists both in one region",
    Together.WITNESS: "the compute service shows a server that an in-use volume names",
}

_COMPUTE_VERSIONS = {
    ENTRY_VERSION: "the entry's id in a server's own list of volumes",
    CELLS_VERSION: "servers in cells that are down are shown as such",
    NOVA_VERSION: "known by it: OpenStack's own Nova, which refuses to detach a server's root",
    RECORD_VERSION: "the events of an action, for those who are no administrators",
}
_VOLUME_VERSIONS = {ENTRIES_VERSION: "attachments are listed one by one"}


def check_services(project: Project, context: CallContext) -> Iterator[Check]:
    """One read at each service, whether they belong together, and which proof is possible."""
    volumes, servers = project.volumes, project.servers
    if project.whole_cloud is not None:
        seen = _sight(project.whole_cloud)
        yield seen
        if seen.state is State.BAD:
            return  # nothing is sent then
    read, volume_id = _read(volumes, "volumes/detail", context)
    reads = [read]
    yield read
    if servers is None:
        yield Check(
            "compute service", State.NOTE, "Not asked: DETACH_SERVER_CHECK=off, so nothing is proven."
        )
        return
    read, server_id = _read(servers, "servers", context)
    reads.append(read)
    yield read
    if any(read.state is State.BAD for read in reads):
        return  # the rest would only say the same again
    yield _belonging(project, context)
    yield _versions(volumes, "volumes/detail", _VOLUME_VERSIONS, context)
    versions = _versions(servers, "servers", _COMPUTE_VERSIONS, context)
    yield versions
    record = _record(project, servers, server_id, context)
    yield record
    yield _witness(project, context)
    known = Known(volume_id, server_id, versions.facts.get("lacks"), record.facts.get("readable") is True)
    yield from check_opted_in(project, servers, known, context)


def _sight(cloud: WholeCloud) -> Check:
    """What the token sees of other projects, by which a whole cloud is judged."""
    name = "all projects"
    try:
        seen = cloud.sight()
    except Failure as fault:
        return failed(name, fault)
    message = (
        f"The token lists other projects' servers and volumes and is shown them by id (server "
        f"{seen.server_id}, volume {seen.volume_id}). "
    )
    message += (
        "The list of servers minds uuid=: one call for each that is looked for."
        if seen.by_id
        else "The list of servers does not mind uuid=: all of it is read for single targets."
    )
    facts: dict[str, Fact] = {"server": seen.server_id, "volume": seen.volume_id, "by_id": seen.by_id}
    return Check(name, State.OK, message, facts)


def _read(service: Service, path: str, context: CallContext) -> tuple[Check, str | None]:
    """Whether a list can be read, and the id of its first record."""
    name = f"{service.name} service"
    try:
        answer = _one(service, path, context)
        if answer.status != 200:
            raise failure(answer, service.name)
    except Failure as fault:
        return failed(name, fault), None
    kind = path.partition("/")[0]
    message = f"Answers, and lets this token list {kind}."
    return Check(name, State.OK, message, {"request_id": answer.request_id}), _first_id(answer, kind)


def _one(service: Service, path: str, context: CallContext, version: str | None = None) -> Answer:
    """The first record of a list, by a microversion where one is said."""
    headers = service.at(version) if version else {}
    query: dict[str, str | int] = {"limit": 1, **service.listed}
    return service.ask("GET", path, context, query=query, headers=headers, largest=LARGEST_PAGE)


def _belonging(project: Project, context: CallContext) -> Check:
    name = "endpoints together"
    if project.settings.trust_endpoints:
        return Check(name, State.NOTE, "Taken on trust (DETACH_TRUST_ENDPOINTS=true).", {"together": None})
    try:
        project.belonging.require(context)
        together = project.endpoints.together
    except Failure as fault:
        return failed(name, fault)
    assert together is not None  # noqa: S101 (what was required)
    return Check(name, State.OK, f"Known: {_TOGETHER[together]}.", {"together": together.value})


def _versions(service: Service, path: str, wanted: dict[str, str], context: CallContext) -> Check:
    """Which of the microversions a service has. It has all below one that it has."""
    name = f"{service.name} microversions"
    has: list[str] = []
    try:
        for version in wanted:
            answer = _one(service, path, context, version)
            if service.lacks(version, answer):
                continue
            if answer.status != 200:
                raise failure(answer, service.name)
            has = [each for each in wanted if _number(each) <= _number(version)]
            break
    except Failure as fault:
        return Check(name, State.NOTE, f"Not known: {fault.message}", {"has": None}, fault.upstream)
    lacks = [version for version in wanted if version not in has]
    said = [f"has {', '.join(sorted(has, key=_number))}"] if has else []
    said += [f"{version} is missing ({wanted[version]})" for version in lacks]
    facts: dict[str, Fact] = {"has": has, "lacks": lacks}
    return Check(name, State.NOTE if lacks else State.OK, sentence(said), facts)


def _number(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def _record(project: Project, servers: Servers, server_id: str | None, context: CallContext) -> Check:
    """Whether the record of a server's actions can be read, which DETACH_SERVER_CHECK=recorded needs."""
    name = "os-instance-actions"
    needed = project.settings.server_check is ServerCheck.RECORDED
    worse = State.BAD if needed else State.NOTE
    if server_id is None:
        return Check(name, State.NOTE, "Not known: there is no server to ask about.", {"readable": None})
    try:
        answer = servers.on_record(f"servers/{server_id}/os-instance-actions", context)
        if answer.status != 200:
            raise failure(answer, servers.name)
    except Failure as fault:
        message = f"Can't be read, so DETACH_SERVER_CHECK=recorded proves nothing here: {fault.message}"
        return Check(name, worse, message, {"readable": False, "code": fault.code.value}, fault.upstream)
    return Check(name, State.OK, "Can be read: DETACH_SERVER_CHECK=recorded is possible.", {"readable": True})


def _first_id(answer: Answer, kind: str) -> str | None:
    try:
        return canonical(loads_leniently(answer.body)[kind][0]["id"])
    except (ValueError, KeyError, TypeError, IndexError, AttributeError):
        return None


def _witness(project: Project, context: CallContext) -> Check:
    name, settings = "proof", project.settings
    says = f"DETACH_SERVER_CHECK={settings.server_check.value}"
    try:
        witness = project.belonging.witness(context)
    except Failure as fault:
        return failed(name, fault)
    if witness is None:
        message = (
            f"{says}. No witness: no server is found that an in-use volume names and that is shown. A 404 "
            "that names no server's id proves nothing then."
        )
        return Check(
            name, State.NOTE, message, {"server_check": settings.server_check.value, "witness": None}
        )
    message = f"{says}. A witness is there: server {witness}, which an in-use volume names."
    return Check(name, State.OK, message, {"server_check": settings.server_check.value, "witness": witness})
