"""Step 4 of the rule: the proof that the attachment's server is gone.

What counts as proof is the deployment's choice (`DETACH_SERVER_CHECK`). A look-up that failed proves nothing.
"""

from __future__ import annotations

from handler.cloud.servers import Server, Servers
from handler.cloud.volumes import Volume
from handler.errors import ErrorCode, Failure, Refused
from handler.invocation import CallContext
from handler.settings import ServerCheck

# Powered off, so that no guest writes: what Nova's own list doesn't hold then is held by nobody. A running
# one may still have the disk at its hypervisor, whatever the list says.
_AT_REST = frozenset({"SHUTOFF", "SHELVED_OFFLOADED"})


class Proof:
    """Judges servers, for one invocation.

    With `remember` each server is asked for once, for where one is judged for many attachments (form
    *server*): a server that is gone doesn't come back. One that is there and judged by its state is asked for
    again: it may have been started since.
    """

    def __init__(self, servers: Servers, check: ServerCheck, *, remember: bool = False) -> None:
        self._servers = servers
        self._check = check
        self._known: dict[str, Server | Failure | None] | None = {} if remember else None

    def find(self, server_id: str | None, context: CallContext) -> Server | None:
        """The server, or None when it is proven gone. Raises Failure when nothing is proven."""
        if server_id is None:
            raise Refused(
                ErrorCode.SERVER_UNKNOWN,
                "The attachment names no server, so none can be proven gone. If a host (not a server) held "
                "the volume, a cloud administrator has to clear it.",
            )
        if self._known is None:
            return self._ask(server_id, context)
        known = self._known.get(server_id)
        may_have_started = isinstance(known, Server) and self._check is ServerCheck.NOT_HELD
        if server_id not in self._known or may_have_started:
            try:
                known = self._ask(server_id, context)
            except Failure as failed:
                known = failed
            self._known[server_id] = known
        if isinstance(known, Failure):
            raise known
        return known

    def _ask(self, server_id: str, context: CallContext) -> Server | None:
        server = self._servers.get(server_id, context)
        must_be_recorded = server is None and self._check is ServerCheck.RECORDED
        if must_be_recorded and not self._servers.deletion_recorded(server_id, context):
            raise Refused(
                ErrorCode.SERVER_UNKNOWN,
                "The server is not shown to this token, and its deletion is not on the compute service's "
                "record (which DETACH_SERVER_CHECK=recorded asks for): it may be another project's, or its "
                "record is purged.",
            )
        return server

    def require_let_go(self, server: Server, volume: Volume, context: CallContext) -> None:
        """Raise Refused `server_exists`, unless the deployment takes *not held* for proof and it is not."""
        if self._check is ServerCheck.NOT_HELD and server.idle and server.status in _AT_REST:
            if self._servers.holds(server.id, volume.id, context):
                raise _exists(server, volume, "its own list still holds this volume")
            return
        raise _exists(server, volume, "it may still have the disk")


def _exists(server: Server, volume: Volume, why: str) -> Refused:
    state = server.status or "state unknown"
    if server.task_state:
        state += f", {server.task_state}"
    if server.task_state == "deleting":
        return Refused(
            ErrorCode.SERVER_EXISTS,
            f"The server still exists ({state}): until its deletion is done {why}. Ask again in a minute.",
            retryable=True,
        )
    if server.status == "SOFT_DELETED":
        help_ = "Restore the server, or delete it for good (forceDelete); then ask again."
    else:
        help_ = (
            f"Detach the volume at the server instead: ECS DELETE /cloudservers/{server.id}/detachvolume/"
            f"{volume.id}, or Nova DELETE /servers/{server.id}/os-volume_attachments/{volume.id}."
        )
    return Refused(
        ErrorCode.SERVER_EXISTS, f"The server exists ({state}), and {why}: nothing was cleared. {help_}"
    )
