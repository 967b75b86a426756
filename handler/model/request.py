"""What comes in: the request's four forms.

They are pydantic models, since input is hostile until parsed. The published JSON Schema is generated from
them (`handler.model.schema`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, NamedTuple

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from handler.errors import Detail, InvalidRequest
from handler.model.values import canonical, zoned_moment

if TYPE_CHECKING:
    from typing_extensions import Self


def _id(value: object) -> str:
    if not isinstance(value, str):
        raise PydanticCustomError("uuid", "not a UUID")
    try:
        return canonical(value)
    except ValueError:
        raise PydanticCustomError("uuid", "not a UUID") from None


Id = Annotated[str, BeforeValidator(_id), WithJsonSchema({"type": "string", "format": "uuid"})]
"""A UUID as callers write it, kept in canonical form."""


def _moment(value: object) -> str:
    if not isinstance(value, str) or zoned_moment(value) is None:
        raise PydanticCustomError("moment", "no moment")
    return value


Moment = Annotated[str, BeforeValidator(_moment), WithJsonSchema({"type": "string", "format": "date-time"})]
"""A moment as RFC 3339 writes it, with its zone."""


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
    live: bool = Field(
        default=False,
        description="The guest has let go of the disk: where the server lives, have it detached there. Only "
        "where DETACH_LIVE allows it; needs attachment_id and server_id.",
    )
    not_after: Moment | None = Field(
        default=None, description="Beside `live`: from then on nothing is detached from a server that lives."
    )
    recover: bool = Field(
        default=False,
        description="Free a record that is stuck in a state other than in-use, where nobody holds the disk. "
        "Only where DETACH_RECOVER allows it.",
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.attachment_id == self.volume_id:
            raise PydanticCustomError("attachment_is_volume", "attachment_id is the volume's id")
        if self.live and (self.attachment_id is None or self.server_id is None):
            raise PydanticCustomError("live_ids", "live needs attachment_id and server_id")
        if self.not_after is not None and not self.live:
            raise PydanticCustomError("without_live", "not_after stands beside live only")
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
    recover: bool = Field(
        default=False, description="Look for stuck records, too, and free those that nobody holds."
    )
    project_ids: list[Id] | None = Field(
        default=None, description="Only volumes of these projects. Only where DETACH_SCOPE=cloud."
    )
    exclude_project_ids: list[Id] | None = Field(
        default=None, description="No volume of these projects. Only where DETACH_SCOPE=cloud."
    )


class Sweep(_Form):
    """Form *sweep*: find every attachment of the project whose server is gone, then clear up to `limit`."""

    sweep: SweepBounds


class Ignored(NamedTuple):
    """An event that does not concern us, such as the trace of another operation."""

    reason: str


Work = Target | Batch | GoneServer | Sweep | Ignored
"""One thing to do. An invocation carries one, or several that came together."""


def require_scope(works: Sequence[Work], *, all_projects: bool) -> None:
    """Raise InvalidRequest for a sweep that names projects where one alone is looked at."""
    details = tuple(
        Detail(f"/sweep/{name}", "scope")
        for work in works
        if isinstance(work, Sweep) and not all_projects
        for name in ("project_ids", "exclude_project_ids")
        if getattr(work.sweep, name) is not None
    )
    if details:
        message = f"The request is not valid at {details[0].pointer}: {RULES['scope']}."
        raise InvalidRequest(message, details=details)


RULES: Mapping[str, str] = {
    "json": "it must be JSON as RFC 8259 has it: no NaN, no Infinity, nothing after the value",
    "utf8": "text must be UTF-8 without a byte order mark, and hold no half of a surrogate pair",
    "base64": "it must be base64, since it is flagged so",
    "too_deep": "it is nested deeper than any request is",
    "duplicate_key": "a key stands there twice",
    "required": "it must be there",
    "form": "it must be one of the four forms: volume_id, targets, server_id or sweep",
    "one_form": "it must be one form only, not two at once",
    "unknown_key": "a key stands there that is not known",
    "type": "it has another JSON type, such as text where true or false is meant",
    "uuid": "it must be a UUID",
    "attachment_is_volume": "attachment_id is the volume's id: send attachments[].attachment_id, not its id",
    "live_ids": "live needs both attachment_id and server_id: what was attached anew must not be met",
    "without_live": "not_after stands beside live: true only",
    "scope": "project_ids and exclude_project_ids are for deployments with DETACH_SCOPE=cloud",
    "moment": "it must be a moment as RFC 3339 writes it, with its zone",
    "range": "the number is out of range",
    "too_few": "at least one is needed",
    "too_many": "more than DETACH_MAX_TARGETS",
    "envelope": "the event around the request is not as its kind has it",
}
"""The names that `error.details[].rule` takes, and what each asks for."""
