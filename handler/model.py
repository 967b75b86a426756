"""What comes in and what goes out: the request's four forms, and the result.

The request is made of pydantic models, since input is hostile until parsed. The result is made of plain
frozen dataclasses, since it is ours. The published JSON Schemas are generated from both (`handler.schema`).
"""

from __future__ import annotations

import json
import re
import uuid
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from handler.errors import Detail, ErrorCode, Upstream

if TYPE_CHECKING:
    from typing_extensions import Self

_CANONICAL = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


def canonical(spelling: str) -> str:
    """A UUID in its canonical form, lower case with hyphens, from any spelling that `uuid.UUID` takes.

    Raises ValueError for anything else.
    """
    if _CANONICAL.fullmatch(spelling):  # as clouds write it: a long listing is full of them
        return spelling
    return str(uuid.UUID(spelling))


def _id(value: object) -> str:
    if not isinstance(value, str):
        raise PydanticCustomError("uuid", "not a UUID")
    try:
        return canonical(value)
    except ValueError:
        raise PydanticCustomError("uuid", "not a UUID") from None


Id = Annotated[str, BeforeValidator(_id), WithJsonSchema({"type": "string", "format": "uuid"})]
"""A UUID as callers write it, kept in canonical form."""


class _Form(BaseModel):
    # defer_build: a form is compiled when first used, so that a cold start pays only for its own.
    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, hide_input_in_errors=True, defer_build=True
    )


class Target(_Form):
    """Form *one*: clear this attachment of this volume."""

    # The usual one: compiled before a server forks its workers, which then share what that took.
    model_config = ConfigDict(defer_build=False)

    volume_id: Id = Field(description="The volume whose record is stuck.")
    attachment_id: Id | None = Field(
        default=None,
        description="`attachments[].attachment_id` (not `attachments[].id`, which is the volume's). "
        "May be left out when the volume has exactly one attachment.",
    )
    server_id: Id | None = Field(
        default=None, description="A guard: refuse if the attachment belongs to another server."
    )
    dry_run: bool = Field(default=False, description="Look and judge, send nothing.")

    @model_validator(mode="after")
    def _ids_differ(self) -> Self:
        if self.attachment_id == self.volume_id:
            raise PydanticCustomError("attachment_is_volume", "attachment_id is the volume's id")
        return self


class Batch(_Form):
    """Form *batch*: each target on its own; one failure stops nothing."""

    targets: list[Target] = Field(min_length=1, description="At most DETACH_MAX_TARGETS, 100 by default.")
    dry_run: bool = Field(default=False, description="True makes every target a dry run.")


class GoneServer(_Form):
    """Form *server*: clear every attachment that still names this server."""

    server_id: Id = Field(description="The server that is gone.")
    dry_run: bool = Field(default=False, description="Look and judge, send nothing.")


class SweepBounds(_Form):
    """What narrows a sweep. An event can only be more careful than the DETACH_SWEEP_* settings."""

    dry_run: bool = Field(default=False, description="True: a dry run. False: as DETACH_SWEEP_DRY_RUN says.")
    limit: int | None = Field(default=None, ge=0, le=1_000_000, description="Clearings at most.")
    min_age_seconds: int | None = Field(
        default=None, ge=0, le=10**9, description="Leave attachments alone that are younger than this."
    )
    server_ids: list[Id] | None = Field(default=None, description="Only attachments that name one of these.")
    volume_ids: list[Id] | None = Field(default=None, description="Only attachments of these volumes.")
    metadata: dict[str, str] | None = Field(
        default=None, description="Only volumes whose metadata has all of these pairs."
    )


class Sweep(_Form):
    """Form *sweep*: find every attachment of the project whose server is gone, then clear up to `limit`."""

    sweep: SweepBounds


class Ignored(NamedTuple):
    """An event that is none of our business, such as the trace of another operation."""

    reason: str


Work = Target | Batch | GoneServer | Sweep | Ignored
"""One thing to do. An invocation carries one, or several that came together."""


class Trigger(str, Enum):
    """By which door an event came."""

    HTTP = "http"
    CLOUDEVENT = "cloudevent"
    TIMER = "timer"
    APIG = "apig"
    SMN = "smn"
    CTS = "cts"
    EVENTGRID = "eventgrid"
    TERMINAL = "terminal"


class Outcome(str, Enum):
    """What became of one target."""

    DETACHED = "detached"
    ALREADY_DETACHED = "already_detached"
    VOLUME_ABSENT = "volume_absent"
    WOULD_DETACH = "would_detach"
    IGNORED = "ignored"
    DISPATCHED = "dispatched"
    REFUSED = "refused"
    UNCONFIRMED = "unconfirmed"
    FAILED = "failed"

    @property
    def ok(self) -> bool:
        """Whether the caller has nothing left to do."""
        return self not in _NOT_OK


_NOT_OK = frozenset({Outcome.REFUSED, Outcome.UNCONFIRMED, Outcome.FAILED})


@dataclass(frozen=True)
class ServerSeen:
    """What the compute service said of the attachment's server; null where it was not asked."""

    id: str | None = None
    exists: bool | None = None
    status: str | None = None
    checked: bool = False


@dataclass(frozen=True)
class VolumeStatus:
    """The volume's status as first and as last read."""

    before: str | None = None
    after: str | None = None


@dataclass(frozen=True)
class Error:
    """Why an answer is not ok, and what to do.

    `retry_after`, the cloud's hint in seconds, goes into a header and not into the body.
    """

    code: ErrorCode
    message: str
    retryable: bool
    details: tuple[Detail, ...] | None = None
    upstream: Upstream | None = None
    retry_after: Annotated[float | None, Field(exclude=True)] = None


@dataclass(frozen=True)
class TargetResult:
    """What happened to one attachment: the same object for every trigger and outcome.

    `changed`: true seen changed, false known unchanged, null not known. `calls` counts the requests sent to
    the volume and compute services for this target; `duration_ms` is in milliseconds.
    """

    ok: bool
    outcome: Outcome
    changed: bool | None
    dry_run: bool
    volume_id: str | None
    attachment_id: str | None
    remaining_attachments: int | None
    server: ServerSeen
    volume_status: VolumeStatus
    error: Error | None
    request_id: str
    trigger: Trigger
    upstream_request_ids: tuple[str, ...]
    calls: int
    duration_ms: int


@dataclass(frozen=True)
class Skipped:
    """Candidates that a sweep left alone, and why."""

    too_young: int = 0
    filtered: int = 0
    over_limit: int = 0


@dataclass(frozen=True)
class Scanned:
    """What a sweep looked through."""

    volumes: int = 0
    servers: int = 0
    candidates: int = 0
    skipped: Skipped = field(default_factory=Skipped)


@dataclass(frozen=True)
class ManyResult:
    """What happened to several. `complete`: nothing was left undone for lack of time or for `limit`."""

    ok: bool
    request_id: str
    trigger: Trigger
    complete: bool
    summary: dict[str, int]
    scanned: Scanned | None
    results: tuple[TargetResult, ...]
    error: Error | None


Result = TargetResult | ManyResult


def to_json(result: Result, *, indent: int | None = None) -> str:
    """The result as the JSON text that every door answers with."""
    return json.dumps(result, default=_plain, indent=indent)


def _plain(part: object) -> dict[str, Any]:
    fields = vars(part)
    return (
        {name: fields[name] for name in fields if name != "retry_after"}
        if isinstance(part, Error)
        else fields
    )
