"""A live server's disk, detached through the compute service: a look before, one call, followed to its end.

Only where `DETACH_LIVE` allows it and the event says `live`, by which the caller says that the guest has let
go of the disk. Facts: recorded from a real Nova; ECS by its documentation.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from handler.actions.follow import Follow
from handler.actions.guards import wrong_state
from handler.cloud.absence import Absence
from handler.cloud.detach_refusals import Refusal, read_refusal
from handler.cloud.detaching import DetachApi, DetachCall, EcsDetach, NovaDetach
from handler.cloud.faults import failure, refuses_token, upstream
from handler.cloud.messages import Answer
from handler.cloud.servers import NOVA_VERSION, SERVICE, Server, Servers
from handler.cloud.volumes import Attachment, Volume, Volumes
from handler.errors import (
    DeadlineExceeded,
    ErrorCode,
    Failure,
    Misconfigured,
    Refused,
    TokenRejected,
    UpstreamUnavailable,
)
from handler.invocation import CallContext, Clock
from handler.model.request import Target
from handler.model.result import Findings, Outcome
from handler.model.sent import Via
from handler.model.values import zoned_moment
from handler.settings.opt_in import LiveApi, LiveMode

_DETACHABLE = frozenset({"ACTIVE", "SHUTOFF"})
_PASSING = frozenset(
    {"BUILD", "REBOOT", "HARD_REBOOT", "MIGRATING", "RESIZE", "REVERT_RESIZE", "PASSWORD", "REBUILD"}
)
_FIRST = {
    "PAUSED": "unpause it",
    "SUSPENDED": "resume it",
    "RESCUE": "unrescue it",
    "SHELVED": "unshelve it",
    "SHELVED_OFFLOADED": "unshelve it",
    "VERIFY_RESIZE": "confirm or revert the resize",
    "SOFT_DELETED": "restore it, or delete it for good",
    "ERROR": "a cloud administrator has to look at it",
}
"""What has to happen first, by the server's status."""

_NOT_PROVED = (
    "The disk is not proved a data disk: no detach was sent, since a server whose root is detached can't "
    "start any more. Either OpenStack's own Nova answers, which refuses a root itself, and says that it goes "
    f"by microversion {NOVA_VERSION} or later (header OpenStack-API-Version; Nova's /v2 and some gateways "
    "leave it out); or the server's own block_device (ECS) gives the disk a whole number other than 0 as "
    "bootIndex, and not the first device."
)

PROOF = "live"


class Live:
    """Detaches disks of live servers, for one invocation. Raises Failure for whatever stops it.

    `require_belonging`: see `handler.actions.clear.Clearing`. `told` is handed each look at a detach that is
    under way.
    """

    def __init__(
        self,
        volumes: Volumes,
        servers: Servers,
        mode: LiveMode,
        api: DetachApi,
        *,
        require_belonging: Callable[[CallContext], None],
        now: Clock = time.time,
        sleep: Callable[[float], None] = time.sleep,
        told: Callable[[Findings], None] | None = None,
    ) -> None:
        self._volumes = volumes
        self._servers = servers
        self._mode = mode
        self._api = api
        self.require_belonging = require_belonging
        self._now = now
        self._follow = Follow(volumes, servers, api, sleep, told)

    @property
    def api(self) -> DetachApi:
        """The way in which a disk is detached here."""
        return self._api

    @property
    def via(self) -> Via:
        """The word for it in a result."""
        return Via.ECS if self._api.name is LiveApi.ECS else Via.COMPUTE

    def detach(
        self, target: Target, volume: Volume, attachment: Attachment, context: CallContext, found: Findings
    ) -> Outcome | None:
        """Steps 4a to 7a for a disk whose server was found alive; a `detaching` record is only followed.

        None where the server doesn't list the disk: then the rule for servers that let go decides.
        """
        if volume.status == "detaching":
            if target.dry_run:
                raise wrong_state(
                    volume, "a detach is under way, which a dry run doesn't follow", self._now()
                )
            found.changed = None  # an earlier call of ours may be what is under way
            return self._follow.to_end(attachment, volume, None, context, found)
        if not self.look(target, volume, attachment, context, found):
            return None
        self.require_belonging(context)
        found.via = self.via
        if target.dry_run:  # 5
            return Outcome.WOULD_DETACH
        return self._begin(target, volume, attachment, context, found)

    def look(
        self, target: Target, volume: Volume, attachment: Attachment, context: CallContext, found: Findings
    ) -> bool:
        """Step 4a: raise Refused where the disk may not be taken; False where the server doesn't list it."""
        self.require_role()
        self._require_in_time(target)
        server_id = attachment.server_id or ""
        if len([entry for entry in volume.attachments if entry.server_id == server_id]) != 1:
            raise Refused(
                ErrorCode.ATTACHMENT_UNKNOWN,
                "The record has this server more than once: which of them is real can't be told, and the "
                "compute service detaches by volume. A cloud administrator has to look at the record.",
            )
        server = self._servers.find(server_id, context, with_lock=True)
        if isinstance(server, Absence):
            raise _vanished()
        found.server = replace(found.server, status=server.status)
        if server.status == "DELETED":  # since it was looked at before
            return False
        self._require_state(server)
        disk = self._servers.disk(server_id, volume.id, context)
        if disk is None:
            return False
        if disk.attachment_id is not None and disk.attachment_id != attachment.id:
            raise Refused(
                ErrorCode.SERVER_EXISTS,
                "The server lists the disk under another attachment: the record's entry is stale. Read the "
                "volume's record again, and name the attachment that the server has.",
            )
        if not self._api.is_data_disk(server_id, volume.id, disk, context):
            raise Refused(ErrorCode.ROOT_VOLUME, _NOT_PROVED)
        return True

    def require_role(self) -> None:
        """Raise Misconfigured where the token walks over a server's lock, or may."""
        roles = self._servers.roles
        if self._mode is LiveMode.ADMIN:
            return
        if roles is None or any(role.casefold() == "admin" for role in roles):
            known = "the token's roles are not known" if roles is None else "the token has the role admin"
            raise Misconfigured(
                f"DETACH_LIVE=on, but {known}: an administrator's token walks over a server's lock. Give the "
                "function a user without that role, or set DETACH_LIVE=admin, which looks at the lock itself."
            )

    def _require_in_time(self, target: Target) -> None:
        until = zoned_moment(target.not_after) if target.not_after is not None else None
        if until is not None and self._now() > until:
            raise Refused(
                ErrorCode.LIVE_EXPIRED,
                "The event's not_after is over: the disk may be in use again, so no detach was sent. If it "
                "is still to be detached, send a new event.",
            )

    def _require_state(self, server: Server) -> None:
        if server.locked or (self._mode is LiveMode.ADMIN and server.locked is None):
            told = "is locked" if server.locked else "doesn't tell whether it is locked (DETACH_LIVE=admin)"
            raise Refused(
                ErrorCode.SERVER_LOCKED,
                f"The server {told}: no detach was sent. Whoever locked it decides; unlock it first.",
            )
        if server.task_state is not None:
            raise _busy(f"The server is busy ({server.task_state}). Ask again in a minute.", passes=True)
        if server.status in _PASSING:
            raise _busy(f"The server is in {server.status}. Ask again in a minute.", passes=True)
        if server.status not in _DETACHABLE or not server.idle:
            first = _FIRST.get(server.status or "", "it must be ACTIVE or SHUTOFF, with no task under way")
            raise _busy(f"The server is {server.status or 'in no known state'}: first {first}.")

    def _begin(
        self, target: Target, volume: Volume, attachment: Attachment, context: CallContext, found: Findings
    ) -> Outcome:
        """Steps 6a and 7a. The record is read last, and must be what was judged."""
        again = self._volumes.get(volume.id, context)
        if again is None:
            return Outcome.VOLUME_ABSENT
        found.saw(again.status, len(again.attachments))
        if again._replace(read_at=volume.read_at) != volume:
            raise Refused(
                ErrorCode.VOLUME_STATE,
                "The volume's record changed while the server was looked at: no detach was sent. Ask again.",
                retryable=True,
            )
        self._require_in_time(target)
        if context.stopped:
            raise DeadlineExceeded("Interrupted before the detach was begun: none was sent to the server.")
        before, found.changed = found.changed, None
        call = DetachCall(attachment.server_id or "", volume.id, attachment.id or "", PROOF)
        try:
            answer = self._api.send(call, context)
        except Failure as failed:
            if not isinstance(failed, UpstreamUnavailable) or failed.unsent:
                found.changed = before
                raise
            return self._follow.to_end(attachment, again, None, context, found, failed)
        refusal = None if 200 <= answer.status < 300 else read_refusal(answer)
        if refusal not in {None, Refusal.UNKNOWN} or refuses_token(answer):
            found.changed = before
            return self._refused(refusal or Refusal.OTHER, answer, again, attachment, context, found)
        job_id = self._api.job_of(answer)
        fault = None if refusal is None else _unclear(answer)
        return self._follow.to_end(attachment, again, job_id, context, found, fault)

    def _refused(
        self,
        refusal: Refusal,
        answer: Answer,
        volume: Volume,
        attachment: Attachment,
        context: CallContext,
        found: Findings,
    ) -> Outcome:
        """The call was looked at and not carried out: what that means, by the record as it is now."""
        said = upstream(answer)
        if refuses_token(answer):
            raise TokenRejected(
                "The compute service refuses the token with which the server was looked at: nothing was "
                "detached. Ask again: that begins with a new one.",
                retryable=True,
                upstream=said,
            )
        code = _CODES.get(refusal)
        if code is not None:
            passes = refusal is Refusal.PASSING
            raise Refused(code, f"{_SAID[refusal]} Nothing was detached.", retryable=passes, upstream=said)
        if refusal is Refusal.SERVER_GONE:
            raise _vanished()
        if refusal not in {Refusal.NOT_ATTACHED, Refusal.NOT_IN_USE}:
            raise failure(answer, SERVICE)
        now = self._volumes.get(volume.id, context)
        if now is None:
            return Outcome.VOLUME_ABSENT
        found.saw(now.status, len(now.attachments))
        listed = any(entry.id in {attachment.id, None} for entry in now.attachments)
        if not listed and now.status in {"available", "in-use"}:
            return Outcome.ALREADY_DETACHED  # somebody else was faster
        if now.status == "detaching" and listed:
            return self._follow.to_end(attachment, now, None, context, found)
        if now.status != "in-use":
            raise wrong_state(now, "the compute service refuses to detach it so", self._now())
        raise Refused(
            ErrorCode.SERVER_EXISTS,
            "The server exists and says that it doesn't have the disk, but the record still names it: "
            "nothing was detached. Ask again: then the rule for a record that was left behind decides.",
            retryable=True,
            upstream=said,
        )


_CODES = {
    Refusal.ROOT: ErrorCode.ROOT_VOLUME,
    Refusal.LOCKED: ErrorCode.SERVER_LOCKED,
    Refusal.PASSING: ErrorCode.SERVER_BUSY,
    Refusal.STATE: ErrorCode.SERVER_BUSY,
    Refusal.HOST_DOWN: ErrorCode.SERVER_BUSY,
}
_SAID = {
    Refusal.ROOT: "The compute service says that this is the server's root disk.",
    Refusal.LOCKED: "The compute service says that the server is locked: whoever locked it decides.",
    Refusal.PASSING: "The compute service says that something else is under way. Ask again in a minute.",
    Refusal.STATE: "The compute service says that the server's state doesn't allow it now.",
    Refusal.HOST_DOWN: (
        "The compute service says that the server's host does not answer. Its guest may well run and hold "
        "the disk: ask again once the host is back."
    ),
}


def _busy(message: str, *, passes: bool = False) -> Refused:
    return Refused(ErrorCode.SERVER_BUSY, f"{message} No detach was sent.", retryable=passes)


def _unclear(answer: Answer) -> Failure:
    """Why it is not known whether the call was acted on. ECS says 400 of what timed out behind it, too."""
    fault = failure(answer, SERVICE)
    return fault if fault.retryable else UpstreamUnavailable(fault.message, upstream=fault.upstream)


def _vanished() -> Refused:
    return Refused(
        ErrorCode.SERVER_UNKNOWN,
        "The server was there, and now the compute service says that there is none: nothing was detached. "
        "Ask again: then the rule for a server that is gone decides.",
        retryable=True,
    )


def detach_api(servers: Servers, chosen: LiveApi | None, *, vendor: bool) -> DetachApi:
    """The way in which a disk is detached: the one that is set, else ECS on the vendor's hosts."""
    if chosen is LiveApi.ECS or (chosen is None and vendor):
        return EcsDetach(servers)
    return NovaDetach(servers, vendor=vendor)
