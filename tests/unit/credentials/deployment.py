"""A warm process of the function, as far as its credentials go, against whatever cloud its settings name."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from handler.cloud.faults import failure
from handler.cloud.messages import Call
from handler.cloud.transport import Transport
from handler.credentials import CallerKeys, Credentials, TokenAuth
from handler.invocation import NO_PLATFORM, Platform
from handler.settings import read_settings
from tests.unit.contexts import call_context


class Clock:
    """A wall clock that stands still until it is told how much time has passed. Seconds since the epoch."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now

    def passes(self, seconds: float) -> None:
        self.now += seconds


def password(word: str, **more: str) -> str:
    """The secret of the user "robot"."""
    return json.dumps({"username": "robot", "password": word, "domain": "Default", **more})


class Deployment:
    """`environment` may be changed while it lives, as FunctionGraph's and a test's can be."""

    def __init__(
        self,
        environment: dict[str, str],
        clock: Callable[[], float],
        sleep: Callable[[float], None] = lambda _: None,
    ) -> None:
        self.environment = environment
        self.settings = read_settings(environment, network=False)
        self.transport = Transport(connect_timeout=3, read_timeout=5, sleep=sleep)
        self.credentials = Credentials(self.settings, self.transport, environment, clock=clock)
        self.clock = clock

    def keys(self) -> CallerKeys:
        return CallerKeys(self.settings, self.transport, self.environment, clock=self.clock)

    def auth(self, platform: Platform = NO_PLATFORM, seconds: float = 20) -> TokenAuth:
        return self.credentials.authenticator(call_context(seconds, platform=platform))

    def invoke(self, calls: int = 1, platform: Platform = NO_PLATFORM, seconds: float = 20) -> None:
        """One invocation: so many reads of the volume service, each of which must succeed."""
        auth = self.auth(platform, seconds)
        for _ in range(calls):
            self.read(auth, seconds)

    def read(self, auth: TokenAuth, seconds: float = 20) -> None:
        url = f"{self.settings.volume_endpoint}/{auth.project_id}/volumes/detail"
        answer = self.transport.send(Call("volume", "GET", url), call_context(seconds), auth)
        if answer.status != 200:
            raise failure(answer, "volume")


def described(
    project_id: str, expires_at: str = "2027-01-16T08:00:00.000000Z", **more: Any
) -> dict[str, Any]:
    """The body in which an identity service describes a token. `expires_at` is a day after `Clock` begins."""
    return {"token": {"project": {"id": project_id, "name": "demo"}, "expires_at": expires_at, **more}}
