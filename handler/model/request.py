"""What comes in: the request's four forms.

They are read by pydantic's own core, since input is hostile until parsed. Its models, which would have to be
built from classes at each cold start, cost as much as the whole rest of it; what they would be built into is
written here by hand. The published JSON Schema is generated from the same (`handler.model.schema`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from pydantic_core import CoreSchema, PydanticCustomError, SchemaValidator
from pydantic_core import core_schema as core

from handler.errors import Detail, InvalidRequest
from handler.model.values import canonical, zoned_moment


class Target(NamedTuple):
    """Form *one*: clear this attachment of this volume."""

    volume_id: str
    attachment_id: str | None = None
    server_id: str | None = None
    dry_run: bool = False
    live: bool = False
    not_after: str | None = None
    recover: bool = False


class Batch(NamedTuple):
    """Form *batch*: each target on its own; one failure stops nothing."""

    targets: list[Target]
    dry_run: bool = False


class GoneServer(NamedTuple):
    """Form *server*: clear every attachment that still names this server."""

    server_id: str
    dry_run: bool = False


class SweepBounds(NamedTuple):
    """What narrows a sweep. An event can only be more careful than the DETACH_SWEEP_* settings."""

    dry_run: bool = False
    limit: int | None = None
    min_age_seconds: int | None = None
    server_ids: list[str] | None = None
    volume_ids: list[str] | None = None
    metadata: dict[str, str] | None = None
    recover: bool = False
    project_ids: list[str] | None = None
    exclude_project_ids: list[str] | None = None


class Sweep(NamedTuple):
    """Form *sweep*: find every attachment of the project whose server is gone, then clear up to `limit`."""

    sweep: SweepBounds


class Ignored(NamedTuple):
    """An event that does not concern us, such as the trace of another operation."""

    reason: str


Form = Target | Batch | GoneServer | Sweep
Work = Form | Ignored
"""One thing to do. An invocation carries one, or several that came together."""


def _id(value: object) -> str:
    if not isinstance(value, str):
        raise PydanticCustomError("uuid", "not a UUID")
    try:
        return canonical(value)
    except ValueError:
        raise PydanticCustomError("uuid", "not a UUID") from None


def _moment(value: object) -> str:
    if not isinstance(value, str) or zoned_moment(value) is None:
        raise PydanticCustomError("moment", "no moment")
    return value


class _Field(NamedTuple):
    """One key of a form: what it takes, and what it is for. Its default is the class's."""

    takes: CoreSchema
    about: str | None


# What a JSON Schema says of a text beside that it is one, see handler.model.schema
_ID = core.no_info_before_validator_function(_id, core.str_schema(), metadata={"format": "uuid"})
"""A UUID as callers write it, kept in canonical form."""
_MOMENT = core.no_info_before_validator_function(_moment, core.str_schema(), metadata={"format": "date-time"})
"""A moment as RFC 3339 writes it, with its zone."""
_TEXT = core.str_schema(strict=True)
_FLAG = core.bool_schema(strict=True)
_IDS = core.list_schema(_ID, strict=True)


def _whole(most: int) -> CoreSchema:
    return core.int_schema(strict=True, ge=0, le=most)


_FIELDS: Mapping[type[Any], Mapping[str, _Field]] = {
    Target: {
        "volume_id": _Field(_ID, "The volume whose record is stuck."),
        "attachment_id": _Field(
            _ID,
            "`attachments[].attachment_id` (not `attachments[].id`, which is the volume's). "
            "May be left out when the volume has exactly one attachment.",
        ),
        "server_id": _Field(_ID, "A guard: refuse if the attachment belongs to another server."),
        "dry_run": _Field(_FLAG, "Look and judge, send nothing."),
        "live": _Field(
            _FLAG,
            "The guest has let go of the disk: where the server lives, have it detached there. Only "
            "where DETACH_LIVE allows it; needs attachment_id and server_id.",
        ),
        "not_after": _Field(
            _MOMENT, "Beside `live`: from then on nothing is detached from a server that lives."
        ),
        "recover": _Field(
            _FLAG,
            "Free a record that is stuck in a state other than in-use, where nobody holds the disk. "
            "Only where DETACH_RECOVER allows it.",
        ),
    },
    Batch: {
        "targets": _Field(
            core.list_schema(core.definition_reference_schema("Target"), min_length=1, strict=True),
            "At most DETACH_MAX_TARGETS, 100 by default.",
        ),
        "dry_run": _Field(_FLAG, "True makes every target a dry run."),
    },
    GoneServer: {
        "server_id": _Field(_ID, "The server that is gone."),
        "dry_run": _Field(_FLAG, "Look and judge, send nothing."),
    },
    SweepBounds: {
        "dry_run": _Field(_FLAG, "True: a dry run. False: as DETACH_SWEEP_DRY_RUN says."),
        "limit": _Field(_whole(1_000_000), "Clearings at most."),
        "min_age_seconds": _Field(_whole(10**9), "Leave attachments alone that are younger than this."),
        "server_ids": _Field(_IDS, "Only attachments that name one of these."),
        "volume_ids": _Field(_IDS, "Only attachments of these volumes."),
        "metadata": _Field(
            core.dict_schema(_TEXT, _TEXT, strict=True), "Only volumes whose metadata has all of these pairs."
        ),
        "recover": _Field(_FLAG, "Look for stuck records, too, and free those that nobody holds."),
        "project_ids": _Field(_IDS, "Only volumes of these projects. Only where DETACH_SCOPE=cloud."),
        "exclude_project_ids": _Field(_IDS, "No volume of these projects. Only where DETACH_SCOPE=cloud."),
    },
    Sweep: {"sweep": _Field(core.definition_reference_schema("SweepBounds"), None)},
}

KEYS = frozenset(name for fields in _FIELDS.values() for name in fields)
"""Every key that any form has."""


def _schema_of(form: type[Any]) -> CoreSchema:
    defaults: Mapping[str, Any] = form._field_defaults
    keys = {}
    for name, (takes, about) in _FIELDS[form].items():
        value = takes
        if name in defaults:
            value = core.nullable_schema(takes) if defaults[name] is None else takes
            value = core.with_default_schema(value, default=defaults[name])
        keys[name] = core.typed_dict_field(
            value, required=name not in defaults, metadata={"description": about} if about else None
        )
    made = _fitting if form is Target else lambda found: form(**found)
    named = {"title": form.__name__, "description": form.__doc__}
    read = core.typed_dict_schema(keys, strict=True, extra_behavior="forbid", metadata=named)
    return core.no_info_after_validator_function(made, read, ref=form.__name__)


def _fitting(found: dict[str, Any]) -> Target:
    """The target, where its keys go together."""
    target = Target(**found)
    if target.attachment_id == target.volume_id:
        raise PydanticCustomError("attachment_is_volume", "attachment_id is the volume's id")
    if target.live and (target.attachment_id is None or target.server_id is None):
        raise PydanticCustomError("live_ids", "live needs attachment_id and server_id")
    if target.not_after is not None and not target.live:
        raise PydanticCustomError("without_live", "not_after stands beside live only")
    return target


_INSIDE: Mapping[type[Any], tuple[type[Any], ...]] = {Batch: (Target,), Sweep: (SweepBounds,)}


def schema_of(*forms: type[Any]) -> CoreSchema:
    """What pydantic's core reads any of these forms by."""
    parts = dict.fromkeys((*forms, *(part for form in forms for part in _INSIDE.get(form, ()))))
    references = [core.definition_reference_schema(form.__name__) for form in forms]
    return core.definitions_schema(core.union_schema([*references]), [*map(_schema_of, parts)])


_T = TypeVar("_T", bound=Form | SweepBounds)
_validators: dict[type[Any], SchemaValidator] = {}  # each made when its form comes first


def read_form(form: type[_T], tree: object) -> _T:
    """What a parsed tree says, read as this form. Raises pydantic_core.ValidationError."""
    validator = _validators.get(form)
    if validator is None:
        config = core.CoreConfig(hide_input_in_errors=True)
        validator = _validators[form] = SchemaValidator(schema_of(form), config)
    read: _T = validator.validate_python(tree)
    return read


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
    "misplaced": "it is the request's, and stands outside of it, where it would not hold",
}
"""The names that `error.details[].rule` takes, and what each asks for."""
