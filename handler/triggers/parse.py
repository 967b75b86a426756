"""Turns what a caller sent into work, or says exactly which place breaks which rule.

Input is hostile until parsed: JSON is read strictly, and nothing of what was sent is ever echoed, neither a
value nor the name of a key that is not ours.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic_core import ValidationError

from handler.errors import Detail, InvalidRequest
from handler.model.bounded_json import TooDeep, loads
from handler.model.request import (
    KEYS,
    RULES,
    Batch,
    Form,
    GoneServer,
    Ignored,
    Sweep,
    Target,
    Work,
    read_form,
)

_MAX_DEPTH = 16
_MAX_DIGITS = 18
_MAX_DETAILS = 100
_FREE = ("sweep", "metadata")

_FORMS: Mapping[str, type[Form]] = {
    "targets": Batch,
    "sweep": Sweep,
    "volume_id": Target,
    "server_id": GoneServer,
}
_PYDANTIC = {
    "missing": "required",
    "extra_forbidden": "unknown_key",
    "uuid": "uuid",
    "attachment_is_volume": "attachment_is_volume",
    "live_ids": "live_ids",
    "without_live": "without_live",
    "moment": "moment",
    "too_short": "too_few",
    "greater_than_equal": "range",
    "less_than_equal": "range",
}


_OF_TWO_KEYS = {"attachment_is_volume": "attachment_id", "live_ids": "live", "without_live": "not_after"}
"""Rules about two keys of a target, and which of them is named."""


@dataclass(frozen=True)
class Flaw:
    """Stands in a parsed tree where the text broke a rule, until somebody asks for that place."""

    rule: str


def invalid(message: str, rule: str, pointer: str = "", *, status: int = 400) -> InvalidRequest:
    """The failure for one broken rule."""
    return InvalidRequest(message, details=(Detail(pointer, rule),), status=status)


def refuse_misplaced(around: object, belongs: str) -> None:
    """Raise InvalidRequest where a request's key stands around it: nobody minds it there, a dry run neither.

    `around` is whatever has names; `belongs` says where the key would hold.
    """
    misplaced = [name for name in around if name in KEYS] if isinstance(around, Mapping) else []
    if misplaced:
        raise InvalidRequest(
            f"{misplaced[0]} stands outside of the request, where it would not hold: {belongs}.",
            details=tuple(Detail(f"/{name}", "misplaced") for name in misplaced),
        )


def require_json(content_type: str, content_encoding: str | None = None) -> None:
    """Check a Content-Type, and a Content-Encoding where there is one. Raises InvalidRequest with 415."""
    kind, *parameters = (part.strip().lower() for part in content_type.split(";"))
    if kind != "application/json" and not (kind.startswith("application/") and kind.endswith("+json")):
        raise InvalidRequest("The request must be sent as application/json.", status=415)
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "charset" and value.strip().strip('"') not in {"utf-8", "utf8"}:
            raise InvalidRequest("The request must be sent in UTF-8.", status=415)
    if content_encoding and content_encoding.lower() != "identity":
        raise InvalidRequest("The request must be sent without Content-Encoding.", status=415)


def parse_json(content: bytes | str) -> object:
    """Read JSON strictly. Where only a part of it is wrong, a `Flaw` stands in its place.

    Raises InvalidRequest when it is no JSON at all.
    """
    try:
        text = content if isinstance(content, str) else content.decode()
    except UnicodeDecodeError:
        raise invalid("The request is not UTF-8.", "utf8") from None
    if text.startswith("\ufeff"):
        raise invalid("The request starts with a byte order mark.", "utf8")
    if not text or text.isspace():
        raise invalid("The request is empty.", "required")
    try:
        return loads(text, object_pairs_hook=_object, parse_int=_whole, parse_constant=lambda _: Flaw("json"))
    except TooDeep:
        raise invalid("The request is nested too deep.", "too_deep") from None
    except ValueError:
        raise invalid("The request is not JSON.", "json") from None


def decode_base64(content: object) -> bytes:
    """What base64 text stands for. Raises InvalidRequest when it is not valid."""
    failure = invalid("What is flagged as base64 is not valid.", "base64")
    if not isinstance(content, str):
        raise failure
    try:
        return base64.b64decode(content, validate=True)
    except ValueError:
        raise failure from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any] | Flaw:
    found = dict(pairs)
    return found if len(found) == len(pairs) else Flaw("duplicate_key")


def _whole(digits: str) -> int | Flaw:
    return int(digits) if len(digits) <= _MAX_DIGITS else Flaw("range")


def read_work(content: object, *, max_targets: int) -> Work:
    """Turn one work's content, JSON text or what was parsed of it, into work.

    It is one of the four forms, told apart by their keys, or a trace of the vendor's Cloud Trace Service,
    bare or under `cts`. Raises InvalidRequest with all that is wrong, as pointers from the work's root.
    """
    tree = parse_json(content) if isinstance(content, (bytes, str)) else content
    if isinstance(tree, dict) and is_trace(tree):
        if any(name in tree for name in _FORMS):
            raise invalid("The request is a trace and a form at once.", "one_form")
        for around in (tree, tree.get("cts")):
            refuse_misplaced(around, 'a trace takes none, so send {"server_id": …} with it instead')
        if "cts" in tree and len(tree) > 1:
            raise invalid("Other keys stand beside the trace under cts.", "unknown_key")
        return _read_trace(tree)
    flaws = _distinct(_flaws(tree, (), 0))
    if flaws:
        raise InvalidRequest(_message(flaws), details=flaws)
    if not isinstance(tree, dict):
        raise invalid("The request must be a JSON object.", "type")
    form = _form(tree)
    if form is Batch and isinstance(tree["targets"], list) and len(tree["targets"]) > max_targets:
        raise invalid(f"More than {max_targets} targets at once.", "too_many", "/targets")
    try:
        return read_form(form, tree)
    except ValidationError as error:
        details = _distinct(
            Detail(_pointer(place), rule)
            for place, rule in map(
                _broken, error.errors(include_url=False, include_context=False, include_input=False)
            )
        )
        raise InvalidRequest(_message(details), details=details) from None


def _form(tree: Mapping[str, object]) -> type[Form]:
    named = [name for name in _FORMS if name in tree]
    if not named:
        if "attachment_id" in tree:
            return Target
        raise invalid("The request is not of one of the four forms.", "form")
    if len(named) > 1 and named != ["volume_id", "server_id"]:
        raise invalid("The request is two forms at once.", "one_form")
    if named == ["server_id"]:
        return Target if "attachment_id" in tree else GoneServer
    return _FORMS[named[0]]


def is_trace(tree: Mapping[str, object]) -> bool:
    """Whether this is a trace of the Cloud Trace Service, which comes bare or under `cts`."""
    return "cts" in tree or ("trace_name" in tree and "service_type" in tree)


def _read_trace(tree: Mapping[str, object]) -> GoneServer | Ignored:
    """Form *server* for the end of a server, see docs/contract.md; any other trace is ignored."""
    trace = tree.get("cts", tree)
    if not isinstance(trace, dict) or not isinstance(trace.get("trace_name"), str):
        raise invalid("The event has no trace of the Cloud Trace Service in it.", "envelope")
    expected = {"service_type": "ECS", "trace_name": "deleteServer"}
    # The vendor's samples have the one, the other, or both
    succeeded = "normal" in (trace.get("trace_rating"), trace.get("trace_status"))
    if not succeeded or any(trace.get(key) != value for key, value in expected.items()):
        return Ignored("the trace is not of a server's successful deletion")
    try:
        return read_form(GoneServer, {"server_id": trace.get("resource_id")})
    except ValidationError:
        return Ignored("the trace names no server by its id")


def _flaws(part: object, place: tuple[str | int, ...], depth: int) -> Iterator[Detail]:
    """Whatever pydantic would not see: broken JSON, text that can't be sent on, numbers beyond measure."""
    rule = _flaw(part)
    if depth > _MAX_DEPTH:
        rule = "too_deep"
    if rule:
        yield Detail(_pointer(place), rule)
    elif isinstance(part, dict):
        for key, value in part.items():
            if not isinstance(key, str) or _flaw(key):
                yield Detail(_pointer(place), "utf8")
            yield from _flaws(value, (*place, key), depth + 1)
    elif isinstance(part, (list, tuple)):
        for index, value in enumerate(part):
            yield from _flaws(value, (*place, index), depth + 1)


def _flaw(part: object) -> str | None:
    if isinstance(part, str) and not part.isascii():
        try:
            part.encode()
        except UnicodeEncodeError:
            return "utf8"
    if isinstance(part, float) and not math.isfinite(part):
        return "range"
    return part.rule if isinstance(part, Flaw) else None


def _broken(error: Mapping[str, Any]) -> tuple[tuple[str | int, ...], str]:
    place, rule = error["loc"], _PYDANTIC.get(error["type"], "type")
    if rule == "unknown_key":
        place = place[:-1]
    if rule in _OF_TWO_KEYS:
        place = (*place, _OF_TWO_KEYS[rule])
    return place, rule


def _pointer(place: tuple[str | int, ...]) -> str:
    """The RFC 6901 pointer, as far down as the names are ours: below that, they are the caller's data."""
    pointer = ""
    for depth, part in enumerate(place):
        if place[:depth] == _FREE or (isinstance(part, str) and part not in KEYS):
            break
        pointer += f"/{part}"
    return pointer


def _distinct(details: Iterator[Detail]) -> tuple[Detail, ...]:
    found: dict[Detail, None] = {}
    for detail in details:
        found[detail] = None
        if len(found) == _MAX_DETAILS:
            break
    return tuple(found)


def _message(details: tuple[Detail, ...]) -> str:
    first = details[0]
    # Not every place that shows this shows the details, too
    more = f" Places that are wrong: {len(details)}." if len(details) > 1 else ""
    return f"The request is not valid at {first.pointer or 'its root'}: {RULES[first.rule]}.{more}"


def read_each(contents: Sequence[object], *, max_targets: int) -> list[Work]:
    """Turn the contents of several events that came together into their works, in order.

    All are valid or all are refused. Raises InvalidRequest for the first that is not valid: pointers are
    from its own root, the message counts it.
    """
    if len(contents) > max_targets:
        raise invalid(f"More than {max_targets} events at once.", "too_many")
    works = []
    for number, content in enumerate(contents, 1):
        try:
            works.append(read_work(content, max_targets=max_targets))
        except InvalidRequest as failure:
            if len(contents) == 1:
                raise
            message = f"Event {number} of {len(contents)}: {failure.message}"
            raise InvalidRequest(message, details=failure.details, status=failure.status) from None
    if sum(len(work.targets) if isinstance(work, Batch) else 1 for work in works) > max_targets:
        raise invalid(f"More than {max_targets} targets in all events together.", "too_many")
    return works
