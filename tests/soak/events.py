"""Events of every kind, each about records of its own, and what must have become of them in the end."""

from __future__ import annotations

import base64
import json
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random
from typing import Any, Literal

from tests.embedded_cloud import Cloud, stuck

Envelope = Literal["http", "cloudevent", "invoke", "gateway"]
_STUCK_ROWS = ("N2", "N5", "N7", "N9")
"""States, each with an entry of a server that is gone, that `recover` frees."""

_CLOUDEVENT = {"specversion": "1.0", "source": "/soak", "type": "io.github.evs-detach.request"}
_TIMER = {"version": "v1.0", "trigger_type": "TIMER", "trigger_name": "soak", "time": "2026-11-24T03:00:00Z"}


@dataclass
class Event:
    """One event. ``frees`` and ``keeps`` are volumes: whose attachment must be gone, and still be there.

    ``envelope`` says by what rules its answer is read. ``runs_again``: a schedule or a person goes on with
    what was left over, whether or not the delivery was settled. ``invalid``: it is to be refused unread.
    """

    kind: str
    content: Any
    envelope: Envelope = "http"
    headers: dict[str, str] = field(default_factory=dict)
    frees: tuple[str, ...] = ()
    keeps: tuple[str, ...] = ()
    runs_again: bool = False
    invalid: bool = False

    @property
    def path(self) -> str:
        return "/invoke" if self.envelope in {"invoke", "gateway"} else "/"

    @property
    def body(self) -> bytes:
        return b"" if self.content is None else json.dumps(self.content).encode()

    @property
    def reads_only(self) -> bool:
        """Whether it is only a GET, of the path that it is about."""
        return isinstance(self.content, str)


Parts = tuple[Any, tuple[str, ...], tuple[str, ...]]


class Events:
    """Makes events and the records that they are about."""

    def __init__(self, cloud: Cloud, random: Random) -> None:
        self._cloud = cloud
        self._random = random
        self._lock = threading.Lock()
        self._turn = 0
        self._background()

    def _background(self) -> None:
        """Some disks that are in use all of the time, so that a sweep has something to compare."""
        for _ in range(4):
            server = self._cloud.add_server()
            for _ in range(10):
                self._cloud.add_volume(attachments=[server])

    @property
    def kinds(self) -> tuple[str, ...]:
        return tuple(_KINDS)

    def next(self) -> Event:
        """The next event; all kinds take turns."""
        with self._lock:
            kind = self.kinds[self._turn % len(_KINDS)]
            self._turn += 1
        return _KINDS[kind](self, kind)

    def made(self, kind: str) -> Event:
        return _KINDS[kind](self, kind)

    def wide(self, targets: int) -> tuple[Event, tuple[str, ...]]:
        """A batch of so many orphans, and their servers' ids."""
        parts = [self.orphan() for _ in range(targets)]
        work = {"targets": [part[0] for part in parts]}
        frees = tuple(part[1][0] for part in parts)
        servers = tuple(part[0]["server_id"] for part in parts)
        return Event("http, batch", work, "http", _json(), frees), servers

    def clear_away(self, event: Event) -> None:
        """Take an event's records out of the cloud, so that it stays as large as it is."""
        with self._cloud.world.lock:
            for volume_id in (*event.frees, *event.keeps):
                for entry in self._cloud.volume(volume_id).attachments:
                    if entry.server_id in self._cloud.world.servers:
                        self._cloud.delete_server(entry.server_id, purge=True)
                self._cloud.delete_volume(volume_id)
            for server in [one for one in self._cloud.servers if one.name in event.frees]:
                self._cloud.delete_server(server.id, purge=True)
            jobs = self._cloud.jobs.jobs
            for job in [one for one in jobs.values() if one.volume_id in event.frees]:
                del jobs[job.id]

    # What they are about.

    def orphan(self, server_id: str | None = None) -> Parts:
        """Form one, about a record whose server is gone."""
        server_id = server_id or str(uuid.uuid4())
        volume = self._cloud.add_volume(attachments=[server_id])
        ids = {"volume_id": volume.id, "attachment_id": volume.attachments[0].attachment_id}
        return {**ids, "server_id": server_id}, (volume.id,), ()

    def held(self) -> Parts:
        """Form one, about a disk that a server has."""
        volume = self._cloud.add_volume(attachments=[self._cloud.add_server()])
        return {"volume_id": volume.id}, (), (volume.id,)

    def live(self) -> Parts:
        """Form one, about a live server's disk."""
        server = self._cloud.add_server()
        volume = self._cloud.add_volume(attachments=[server])
        server.name = volume.id  # it is cleared away with the volume
        ids = {"volume_id": volume.id, "attachment_id": volume.attachments[0].attachment_id}
        return {**ids, "server_id": server.id, "live": True}, (volume.id,), ()

    def marked(self) -> Parts:
        """Form one, about a record that is stuck."""
        row = self._random.choice(_STUCK_ROWS)
        planted = stuck.plant(self._cloud.world, row)
        ids = {"volume_id": planted.volume.id, "attachment_id": planted.attachment_id}
        return {**ids, "recover": True}, (planted.volume.id,), ()

    def dry(self) -> Parts:
        """Form one, about an orphan that must be left as it is; too young for the sweeps beside it."""
        volume = self._cloud.add_volume(attachments=[str(uuid.uuid4())], attached_at=timedelta())
        return {"volume_id": volume.id, "dry_run": True}, (), (volume.id,)

    def server(self) -> Parts:
        """Form server, about two disks of a server that is gone."""
        gone = str(uuid.uuid4())
        frees = tuple(self.orphan(gone)[1][0] for _ in range(2))
        return {"server_id": gone}, frees, ()

    def batch(self) -> Parts:
        """Form batch: four orphans, and a disk that a server has."""
        parts = [self.orphan() for _ in range(4)] + [self.held()]
        frees, keeps = ([one for part in parts for one in part[place]] for place in (1, 2))
        return {"targets": [part[0] for part in parts]}, tuple(frees), tuple(keeps)

    def sweep(self) -> Parts:
        """Form sweep, over all there is."""
        return {"sweep": {}}, self.orphan()[1], ()

    def sweep_with_recover(self) -> Parts:
        """Form sweep, also over records that are stuck."""
        return {"sweep": {"recover": True}}, (*self.orphan()[1], *self.marked()[1]), ()

    def deletion(self) -> Parts:
        """A trace of CTS: a server was deleted."""
        work, frees, keeps = self.server()
        return _trace("deleteServer", work["server_id"]), frees, keeps


def _trace(name: str, server_id: str) -> dict[str, Any]:
    return {
        "time": 1795489929000,
        "service_type": "ECS",
        "resource_type": "ecs",
        "resource_id": server_id,
        "trace_name": name,
        "trace_rating": "normal",
        "trace_type": "ConsoleAction",
        "trace_id": str(uuid.uuid4()),
    }


def _cloudevent(data: Any) -> dict[str, Any]:
    return {**_CLOUDEVENT, "id": str(uuid.uuid4()), "datacontenttype": "application/json", "data": data}


def _http(about: Callable[[Events], Parts], *, runs_again: bool = False) -> Callable[[Events, str], Event]:
    def make(events: Events, kind: str) -> Event:
        content, frees, keeps = about(events)
        return Event(kind, content, "http", _json(), frees, keeps, runs_again)

    return make


def _read(path: str) -> Callable[[Events, str], Event]:
    return lambda _, kind: Event(kind, path)


def _json(kind: str = "application/json") -> dict[str, str]:
    return {"Content-Type": kind}


def _binary(about: Callable[[Events], Parts], *, runs_again: bool = False) -> Callable[[Events, str], Event]:
    def make(events: Events, kind: str) -> Event:
        content, frees, keeps = about(events)
        attributes = {f"ce-{name}": value for name, value in {**_CLOUDEVENT, "id": str(uuid.uuid4())}.items()}
        return Event(kind, content, "cloudevent", {**_json(), **attributes}, frees, keeps, runs_again)

    return make


def _structured(about: Callable[[Events], Parts]) -> Callable[[Events, str], Event]:
    def make(events: Events, kind: str) -> Event:
        content, frees, keeps = about(events)
        headers = _json("application/cloudevents+json")
        return Event(kind, _cloudevent(content), "cloudevent", headers, frees, keeps)

    return make


def _batched(events: Events, kind: str) -> Event:
    parts = [events.orphan(), events.dry()]
    content = [_cloudevent(part[0]) for part in parts]
    headers = _json("application/cloudevents-batch+json")
    return Event(kind, content, "cloudevent", headers, parts[0][1], parts[1][2])


def _ping(events: Events, kind: str) -> Event:
    attributes = {**_CLOUDEVENT, "type": "dev.knative.sources.ping", "id": str(uuid.uuid4())}
    headers = {f"ce-{name}": value for name, value in attributes.items()}
    return Event(kind, None, "cloudevent", headers, events.orphan()[1], runs_again=True)


def _invoked(
    about: Callable[[Events], Parts], wrap: Callable[[Any], Any], *, runs_again: bool = False
) -> Callable[[Events, str], Event]:
    def make(events: Events, kind: str) -> Event:
        content, frees, keeps = about(events)
        return Event(kind, wrap(content), "invoke", _json(), frees, keeps, runs_again)

    return make


def _timer(content: Any) -> Any:
    return {**_TIMER, "user_event": json.dumps(content)}


def _smn(*contents: Any) -> Any:
    messages = [{"event_source": "smn", "smn": {"message": json.dumps(content)}} for content in contents]
    return {"record": messages, "functionname": "evs-detach", "requestId": str(uuid.uuid4())}


def _two_messages(events: Events, kind: str) -> Event:
    parts = [events.orphan(), events.held()]
    return Event(kind, _smn(*(part[0] for part in parts)), "invoke", _json(), parts[0][1], parts[1][2])


def _gateway(events: Events, kind: str) -> Event:
    content, frees, keeps = events.orphan()
    wrapped = {
        "requestContext": {"requestId": uuid.uuid4().hex, "stage": "RELEASE"},
        "httpMethod": "POST",
        "path": "/detach",
        "headers": {"content-type": "application/json"},
        "body": base64.b64encode(json.dumps(content).encode()).decode(),
        "isBase64Encoded": True,
    }
    return Event(kind, wrapped, "gateway", _json(), frees, keeps)


def _stranger(_: Events, kind: str) -> Event:
    return Event(kind, {"trigger_type": "DDS", "records": [{"db": "x"}]}, "invoke", _json(), invalid=True)


def _invalid(_: Events, kind: str) -> Event:
    return Event(kind, {"volume_id": "none"}, "http", _json(), invalid=True)


def _stopped(events: Events, kind: str) -> Event:
    _, _, keeps = events.held()
    return Event(kind, _trace("stopServer", str(uuid.uuid4())), "invoke", _json(), (), keeps)


_KINDS: dict[str, Callable[[Events, str], Event]] = {
    "http, one": _http(Events.orphan),
    "http, batch": _http(Events.batch),
    "http, server": _http(Events.server),
    "http, sweep": _http(Events.sweep, runs_again=True),
    "http, dry run": _http(Events.dry),
    "http, a disk that a server has": _http(Events.held),
    "http, live": _http(Events.live),
    "http, recover": _http(Events.marked, runs_again=True),
    "http, sweep with recover": _http(Events.sweep_with_recover, runs_again=True),
    "http, invalid": _invalid,
    "GET /healthz": _read("/healthz"),
    "GET /readyz": _read("/readyz"),
    "GET /openapi.json": _read("/openapi.json"),
    "cloudevent, binary": _binary(Events.orphan),
    "cloudevent, structured": _structured(Events.orphan),
    "cloudevent, batched": _batched,
    "cloudevent, server": _structured(Events.server),
    "cloudevent, sweep": _binary(Events.sweep, runs_again=True),
    "cloudevent, ping": _ping,
    "cloudevent, live": _structured(Events.live),
    "cloudevent, a trace": _binary(Events.deletion),
    "timer, sweep": _invoked(Events.sweep, _timer, runs_again=True),
    "timer, one": _invoked(Events.orphan, _timer),
    "smn": _invoked(Events.orphan, _smn),
    "smn, two records": _two_messages,
    "apig": _gateway,
    "cts": _invoked(Events.deletion, lambda trace: {"cts": trace}),
    "cts, a server stopped": _stopped,
    "eventgrid": _invoked(Events.orphan, _cloudevent),
    "eventgrid, several": _invoked(Events.batch, lambda work: {"events": [_cloudevent(work)]}),
    "a trigger that is none of ours": _stranger,
}
