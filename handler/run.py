"""One invocation: work in, result out, within its deadline. What an invocation needs is built once and kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from handler.errors import Failure
from handler.model import Result, TargetResult, Trigger, Work
from handler.secret import Secret
from handler.settings import Settings


@dataclass(frozen=True)
class Invocation:
    """What a door knows of one invocation.

    `seconds_left` is what the platform leaves us (its margin taken off); `platform_token` and
    `platform_project` are FunctionGraph's own, for `context:` and `csms:`.
    """

    trigger: Trigger
    request_id: str
    seconds_left: float | None = None
    platform_token: Secret | None = None
    platform_project: str | None = None


class Runtime:
    """What stays warm between invocations: settings, connections, token, keys."""

    settings: Settings

    def carry_out(self, work: Sequence[Work], invocation: Invocation) -> Result:
        """Do the work; whatever happens comes out as a result."""
        raise NotImplementedError

    def admit(self, authorization: str | None, invocation: Invocation) -> None:
        """Check a caller's Authorization header. Raises Unauthenticated, Forbidden or SecretUnavailable."""
        raise NotImplementedError


def runtime(environment: Mapping[str, str] | None = None, *, network: bool = True) -> Runtime:
    """The warm runtime of this process, built at the first call. Raises Misconfigured."""
    raise NotImplementedError


def failed(failure: Failure, invocation: Invocation) -> TargetResult:
    """The result of an invocation that failed before, or outside of, any target."""
    raise NotImplementedError
