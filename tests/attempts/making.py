"""Makes attempts in a project of a cloud, and looks at all of the project after each."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Generator, Iterator, Sequence
from itertools import groupby
from typing import Any, NamedTuple

from handler.cloud import messages, servers, volumes
from handler.invocation import Invocation, Trigger
from handler.model.result import to_json
from handler.runtime import Runtime
from handler.triggers.parse import read_work
from tests.attempts.table import CELL_DOWN, KINDS, Attempt
from tests.contract.case import Home, summarize
from tests.contract.embedded import EmbeddedLab
from tests.contract.function import Answer
from tests.contract.lab import Disk
from tests.contract.scenes import SCENES, Stage
from tests.integration.openstack.api import Session

_CHANGED = {volumes.SERVICE, servers.SERVICE}
_SETTINGS = {
    "DETACH_INVOKE_AUTH": "platform",
    "DETACH_SWEEP_DRY_RUN": "false",
    "DETACH_SWEEP_MAX_FRACTION": "1",
    "DETACH_SWEEP_MIN_AGE_SECONDS": "0",
    "DETACH_LOG_LEVEL": "CRITICAL",
}


@contextlib.contextmanager
def _cell_down(stage: Stage) -> Iterator[Disk]:
    assert isinstance(stage.lab, EmbeddedLab)
    with SCENES["N6, nobody has it"](stage) as disk, stage.lab.cell_down(stage.project_id):
        yield disk


_SCENES = {**SCENES, CELL_DOWN: _cell_down}


class Made(NamedTuple):
    """What came of an attempt: what the function said, what it sent, and what is otherwise since."""

    attempt: Attempt
    said: str
    sent: list[str]
    changed: list[str]

    @property
    def harmless(self) -> bool:
        """Nova itself knows a root, and a member can't: there the call may be sent, and is refused."""
        return not self.changed and (not self.sent or self.attempt.scene in {"root", "root, SHUTOFF"})


class Attempts:
    """A project with its stage, and the function once for each kind of attempt."""

    def __init__(self, home: Home) -> None:
        self._stage = Stage(home.lab, home.project_id)
        self._home = home
        self._runtimes: dict[str, Runtime] = {}
        self._sent: list[str] = []

    def make(self, rows: Sequence[Attempt]) -> Generator[Made, None, None]:
        """Make them one after the other; those about one scene in a row have it staged once."""
        for scene, group in groupby(rows, key=lambda row: row.scene):
            with _SCENES[scene](self._stage) as disk:
                before = self._look(disk)
                for attempt in group:
                    said = self._ask(attempt, disk)
                    after = self._look(disk)
                    changed = [
                        f"{name}: {before.get(name)} → {after.get(name)}"
                        for name in {*before, *after}
                        if before.get(name) != after.get(name)
                    ]
                    yield Made(attempt, said, list(self._sent), changed)
                    before = after

    def close(self) -> None:
        for runtime in self._runtimes.values():
            runtime.transport.close()

    def _ask(self, attempt: Attempt, disk: Disk) -> str:
        runtime = self._runtime(attempt.kind)
        self._sent.clear()
        work = read_work(attempt.work(disk), max_targets=10)
        result = runtime.carry_out([work], Invocation(Trigger.HTTP, "attempt"))
        document = json.loads(to_json(result))
        return summarize(Answer(200, {}, document), ordered=True)

    def _runtime(self, kind: str) -> Runtime:
        if kind not in self._runtimes:
            runtime = Runtime(self._home.settings({**_SETTINGS, **KINDS[kind].settings}))
            send = runtime.transport.send

            def noted(call: messages.Call, *about: Any) -> messages.Answer:
                if call.method != "GET" and call.service in _CHANGED:
                    self._sent.append(f"{call.method} {call.path}")
                return send(call, *about)

            runtime.transport.send = noted  # type: ignore[assignment, method-assign]
            self._runtimes[kind] = runtime
        return self._runtimes[kind]

    def _look(self, disk: Disk) -> dict[str, Any]:
        """All that matters of the project: each record with its entries, and who has which disk."""
        lab, project_id, token = self._home.lab, self._home.project_id, self._home.token
        places = lab.environment(project_id)
        volume_service = f"{places['DETACH_VOLUME_ENDPOINT'].rpartition('/')[0]}/v3/{project_id}"
        at_volumes = Session(volume_service, token, project_id, "")
        at_servers = at_volumes.at(f"{places['DETACH_COMPUTE_ENDPOINT']}/{project_id}")
        holders = {*disk.others, *(link.server_id for link in disk.links if link.server_id)}
        # No list of a member shows a server that is soft-deleted
        seen: dict[str, Any] = {f"at {one}": lab.holds(one, disk.volume_id) for one in holders}
        for volume in at_volumes.get("/volumes/detail")["volumes"]:
            shown = [entry["attachment_id"] for entry in volume["attachments"]]
            seen[f"volume {volume['id']}"] = (volume["status"], volume["updated_at"], shown)
        listed = at_volumes.get("/attachments", {"OpenStack-API-Version": "volume 3.27"})["attachments"]
        for entry in listed:
            seen[f"entry {entry['id']}"] = (entry["status"], entry["instance"])
        version = {"OpenStack-API-Version": "compute 2.3"}
        for server in at_servers.get("/servers/detail", version)["servers"]:
            disks = [one["id"] for one in server["os-extended-volumes:volumes_attached"]]
            seen[f"server {server['id']}"] = (server["status"], sorted(disks))
        return seen
