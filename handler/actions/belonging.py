"""Whether the two services are of one cloud and region: nothing is cleared where that is not known.

A proof is asked for at the compute endpoint, and what it allows is done at the volume endpoint. Where the two
don't belong together, every live server looks gone.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

from handler.cloud.endpoints import COMPUTE_SETTING, VOLUME_SETTING, Together, host_of
from handler.cloud.faults import failure
from handler.cloud.messages import Answer
from handler.cloud.paging import LARGEST_PAGE, PAGE
from handler.cloud.servers import Server, Servers
from handler.cloud.service import ProjectAuthenticator, Service, unreadable
from handler.cloud.volumes import Volumes
from handler.errors import DeadlineExceeded, Failure, Misconfigured, SecretUnavailable, TokenRejected
from handler.invocation import CallContext
from handler.model.bounded_json import loads_leniently
from handler.model.values import canonical
from handler.settings import Settings
from handler.telemetry import Event

_NO_ANSWER_ABOUT_IT = (TokenRejected, SecretUnavailable, Misconfigured)
_MOST_ASKED = 3  # servers: one that is listed may be deleted before it is asked for


class Belonging:
    """Knows it of one invocation's endpoints. What was found out is kept with them, as long as the token."""

    def __init__(
        self, settings: Settings, auth: ProjectAuthenticator, volumes: Volumes, servers: Servers | None
    ) -> None:
        self._trusted = settings.trust_endpoints
        self._auth = auth
        self._volumes = volumes
        self._servers = servers
        self._lock = threading.Lock()
        self._unseen: str | None = None

    def require(self, context: CallContext) -> None:
        """Raise Misconfigured where it is not known, another Failure where that could not be found out."""
        endpoints = self._auth.endpoints
        if self._trusted or endpoints.together is not None:
            return
        if self.witness(context) is not None:
            endpoints.together = Together.WITNESS
            return
        tried = "; ".join((*endpoints.tried, *([self._unseen] if self._unseen else [])))
        volume = f"{VOLUME_SETTING} (at {host_of(endpoints.volume)})"
        if endpoints.compute is None:
            what = f"It is not known whether {volume} is of the token's cloud and region"
        else:
            what = (
                f"It is not known whether {volume} and {COMPUTE_SETTING} "
                f"(at {host_of(endpoints.compute)}) "
                "are of one cloud and region, without which every live server would look gone"
            )
        raise Misconfigured(
            f"{what}, so nothing is cleared. Tried: {tried}. Check the endpoints; if you know that they are "
            "right, set DETACH_TRUST_ENDPOINTS=true."
        )

    def witness(self, context: CallContext) -> str | None:
        """The id of a server that an in-use volume of the project names and the compute service shows.

        One page of each list is looked at, once in an invocation; who was found is remembered with the token.
        None where there is nobody, or where the lists may not be read. Raises Failure where another attempt,
        or another token, may find one.
        """
        endpoints = self._auth.endpoints
        if self._servers is None or endpoints.witness is not None:
            return endpoints.witness
        if not self._lock.acquire(timeout=context.deadline.remaining()):
            raise DeadlineExceeded("Time was up while another thread was looking for a witness.")
        try:
            if self._unseen is None and endpoints.witness is None:
                # Not the target's own calls: the next targets make use of them
                endpoints.witness = self._look(self._servers, context.separate())
            return endpoints.witness
        finally:
            self._lock.release()

    def _look(self, servers: Servers, context: CallContext) -> str | None:
        try:
            volumes = _page(self._volumes, "volumes/detail", {"status": "in-use", "limit": PAGE}, context)
            named = set(_named(volumes))
            shown = [
                server_id
                for server_id in _ids(_page(servers, "servers", {"limit": PAGE}, context))
                if server_id in named
            ]
            for server_id in shown[:_MOST_ASKED]:
                if isinstance(servers.find(server_id, context), Server):
                    context.log.info(Event.ENDPOINTS_WITNESSED, server_id=server_id)
                    return server_id
        except Failure as fault:
            if fault.retryable or isinstance(fault, _NO_ANSWER_ABOUT_IT):
                raise
            self._unseen = f"no server could be looked for that both services know ({fault.code.value})"
            return None
        self._unseen = "the compute service's first page of servers has none that an in-use volume names"
        return None


def _page(service: Service, path: str, query: dict[str, str | int], context: CallContext) -> Answer:
    answer = service.ask("GET", path, context, query={**query, **service.listed}, largest=LARGEST_PAGE)
    if answer.status != 200:
        raise failure(answer, service.name)
    return answer


def _records(answer: Answer, key: str) -> list[Any]:
    try:
        records = loads_leniently(answer.body)[key]
    except (ValueError, KeyError, TypeError):
        records = None
    if not isinstance(records, list):
        raise unreadable(answer, key)
    return [record for record in records if isinstance(record, dict)]


def _named(answer: Answer) -> Iterator[str]:
    """The servers that in-use volumes name, in canonical form. What can't be read names nobody."""
    for volume in _records(answer, "volumes"):
        entries = volume.get("attachments")
        if volume.get("status") == "in-use" and isinstance(entries, list):
            for entry in entries:
                yield from _id(entry.get("server_id") if isinstance(entry, dict) else None)


def _ids(answer: Answer) -> Iterator[str]:
    for server in _records(answer, "servers"):
        yield from _id(server.get("id"))


def _id(value: object) -> Iterator[str]:
    try:
        if isinstance(value, str):
            yield canonical(value)
    except ValueError:
        return
