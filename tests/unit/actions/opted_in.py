"""A project whose deployment has switched on what is off by default; waiting takes no time."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

from handler.actions.dispatch import carry_out
from handler.actions.project import Project
from handler.cloud.endpoints import Together
from handler.cloud.transport import Transport
from handler.errors import ErrorCode
from handler.model.request import Batch, Sweep, SweepBounds, Target, read_form
from handler.model.result import ManyResult, TargetResult
from handler.settings import read_settings
from tests.embedded_cloud import Cloud
from tests.unit.contexts import call_context
from tests.unit.embedded_project import FixedToken

ON = {"DETACH_LIVE": "on", "DETACH_RECOVER": "on", "DETACH_SWEEP_DRY_RUN": "false"}
CODES = {
    ErrorCode.ROOT_VOLUME,
    ErrorCode.SERVER_LOCKED,
    ErrorCode.SERVER_BUSY,
    ErrorCode.GUEST_REFUSED,
    ErrorCode.LIVE_EXPIRED,
    ErrorCode.VOLUME_HELD,
    ErrorCode.NOT_RECOVERED,
}
"""Codes that nothing ends with unless it is switched on."""

CHANGES = ("POST", "DELETE", "PUT")


class OptedIn:
    """Works at one project under the cloud's own clock, which sleeping moves on."""

    def __init__(self, cloud: Cloud, **settings: str) -> None:
        self.cloud = cloud
        self.role = "member"
        self.left = 25.0
        self.roles: tuple[str, ...] | None = ("member", "reader")
        self.together: Together | None = Together.CATALOG
        self.seconds = time.time()
        cloud.now = self.now
        self.settings = {**ON, **settings}
        self.transport = Transport(connect_timeout=3, read_timeout=1, sleep=self.sleep)

    def now(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds

    def close(self) -> None:
        self.transport.close()

    def services(self) -> Project:
        token = FixedToken(self.cloud.token(role=self.role), self.cloud)
        token.roles = self.roles
        token.endpoints = replace(token.endpoints, together=self.together)
        environment = {
            **self.cloud.environment(),
            "DETACH_TOKEN_SECRET": "env:NOT_ASKED",
            "DETACH_READ_TIMEOUT": "1",
            **self.settings,
        }
        read = read_settings(environment, network=False)
        context = call_context(self.left, self.now)
        return Project(read, self.transport, token, context, sleep=self.sleep)

    def one(self, volume_id: str, **about: Any) -> TargetResult:
        """Form *one*."""
        target = read_form(Target, {"volume_id": volume_id, **about})
        result = carry_out([target], self.services())
        assert isinstance(result, TargetResult)
        return result

    def batch(self, *targets: dict[str, Any]) -> ManyResult:
        """Form *batch*."""
        result = carry_out([read_form(Batch, {"targets": list(targets)})], self.services())
        assert isinstance(result, ManyResult)
        return result

    def sweep(self, **bounds: Any) -> ManyResult:
        """Form *sweep*."""
        result = carry_out([Sweep(sweep=read_form(SweepBounds, bounds))], self.services())
        assert isinstance(result, ManyResult)
        return result

    def sent(self) -> list[str]:
        """The calls that change something, in short: what was asked for."""
        found = []
        for call in self.cloud.calls:
            if call.method in CHANGES:
                body = call.body if isinstance(call.body, dict) else {}
                found.append(next(iter(body), f"{call.method} {call.path.split('/')[-2]}"))
        return found

    def state(self, volume_id: str) -> str:
        """The record, the number of its entries, and whether a server has the disk."""
        volume = self.cloud.world.volumes.get(volume_id)
        if volume is None:
            return "absent"
        self.cloud.world.settle()
        held = any(volume_id in server.disks for server in self.cloud.servers)
        return f"{volume.status} {len(volume.attachments)}, {'held' if held else 'gone'}"


def refused(code: str, changed: bool = False) -> tuple[str, str, bool]:
    """What `told` tells of a refusal."""
    return "refused", code, changed


def told(result: TargetResult) -> tuple[str, str | None, bool | None]:
    """Outcome, code and `changed`."""
    return result.outcome.value, result.error.code.value if result.error else None, result.changed
