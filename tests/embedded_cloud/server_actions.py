"""Nova's actions on a server, as far as a detach hangs on them. What they ask for is done at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.embedded_cloud import lifecycle
from tests.embedded_cloud.messages import Answer
from tests.embedded_cloud.records import Action, Event
from tests.embedded_cloud.refusal import Refusal

if TYPE_CHECKING:
    from tests.embedded_cloud.identity import Token
    from tests.embedded_cloud.messages import Call
    from tests.embedded_cloud.records import Server
    from tests.embedded_cloud.world import World


@dataclass(frozen=True, slots=True)
class _Change:
    """From which states an action leads where; ``method`` is the name that a refusal gives it."""

    method: str
    starts: frozenset[str]
    status: str


def _change(method: str, starts: str, status: str) -> _Change:
    return _Change(method, frozenset(starts.split()), status)


_CHANGES = {
    "os-start": _change("start", "stopped", "ACTIVE"),
    "os-stop": _change("stop", "active shelved error", "SHUTOFF"),
    "pause": _change("pause", "active", "PAUSED"),
    "unpause": _change("unpause", "paused", "ACTIVE"),
    "suspend": _change("suspend", "active", "SUSPENDED"),
    "resume": _change("resume", "suspended", "ACTIVE"),
    "rescue": _change("rescue", "active stopped error", "RESCUE"),
    "unrescue": _change("unrescue", "rescued active", "ACTIVE"),
    "shelve": _change("shelve", "active stopped paused suspended", "SHELVED_OFFLOADED"),
    "restore": _change("restore", "soft-delete", "ACTIVE"),
    "unshelve": _change("unshelve", "shelved shelved_offloaded", "ACTIVE"),
}


class ServerActions:
    def __init__(self, world: World) -> None:
        self.world = world
        self.behaviour = world.behaviour

    def act(self, server: Server, call: Call, token: Token, request: str) -> Answer:
        if token.role not in {"member", "admin"}:
            raise _forbidden("servers")
        if not isinstance(call.body, dict) or len(call.body) != 1:
            raise Refusal(400, "Malformed request body")
        [(name, arguments)] = call.body.items()
        if name == "lock":
            server.locked_by = server.locked_by or ("admin" if token.role == "admin" else "owner")
        elif name == "unlock":
            if server.locked_by == "admin" and token.role != "admin":
                raise _forbidden("os-lock-server:unlock:unlock_override")
            server.locked_by = None
        elif name == "os-resetState":
            if token.role != "admin":
                raise _forbidden("os-admin-actions:reset_state")
            server.status = {"active": "ACTIVE", "error": "ERROR"}[arguments["state"]]
            server.task_state = None
        elif name in _CHANGES:
            self._change(server, name, token, request)
        else:
            raise Refusal(400, f"There is no such action: {name}")
        return Answer(202, b"", [("Content-Type", "application/json")])

    def delete(self, server: Server, token: Token, request: str) -> Answer:
        """Delete a server with what it holds: the entries of its disks go, whatever the records say.

        Without a host that is known to be up the service does it by itself, at once; then no host says that
        it is done. While the host is silent, it waits.
        """
        self._check_lock(server, token)
        host = self.world.host(server.host).state
        placed = server.placed
        alone = host == "down" or not placed or server.status == "SHELVED_OFFLOADED"
        if server.task_state != "deleting" or alone:
            asked = lifecycle.action("delete", self.behaviour.stamp(), request_id=request)
            server.actions.insert(0, asked)
        server.task_state = "deleting"
        if alone:
            # Of a server that never had a host nothing is kept, its deletion included.
            lifecycle.erase(self.world, server, reaped=False, purge=not placed)
        else:
            self.world.jobs.delete_when_idle(server)
        return Answer(204)

    @staticmethod
    def _check_lock(server: Server, token: Token) -> None:
        if server.locked_by is not None and token.role != "admin":
            raise Refusal(409, f"Instance {server.id} is locked", (400, "Ecs.0605"))

    def _change(self, server: Server, name: str, token: Token, request: str) -> None:
        self._check_lock(server, token)
        change = _CHANGES[name]
        for attribute, state, allowed in (
            ("vm_state", server.vm_state, server.vm_state in change.starts),
            ("task_state", server.task_state, server.task_state is None),
        ):
            if not allowed:
                text = f"Cannot '{change.method}' instance {server.id} while it is in {attribute} {state}"
                raise Refusal(409, text, (400, "Ecs.0100"))
        done = True
        if name == "shelve":
            lifecycle.reserve_disks(self.world, server)
        elif name == "unshelve":
            done = lifecycle.connect_disks(self.world, server)
        moment = self.behaviour.stamp()
        if done:
            server.status, server.updated = change.status, moment
        event = Event(f"compute_{change.method}_instance", moment, moment, "Success" if done else "Error")
        message = None if done else "Error"
        server.actions.insert(0, Action(change.method, moment, request, message, moment, [event]))


def _forbidden(rule: str) -> Refusal:
    return Refusal(403, f"Policy doesn't allow os_compute_api:{rule} to be performed.", (403, "Ecs.0110"))
