"""What proves that something is not there: a service's own word, about the very id that was asked for.

Every answer must say of itself what it is about; one that can't is not believed. So this is a list of what
is believed, and whatever is not on it proves nothing: a 404 about a flavor, a host or a cell, one in another
language, one with a second id, one in a stranger's envelope, one of a gateway or a router, one that is old.

Recorded from a real Nova and Cinder:

    404 {"itemNotFound": {"code": 404, "message": "Instance 4ccff8d2-… could not be found."}}
    404 {"itemNotFound": {"code": 404, "message": "Volume a865b938-… could not be found."}}

Huawei Cloud's ECS passes Nova's answer on inside a 400, as JSON in the message of Ecs.1000. Its own Ecs.0114
and Ecs.0614, EVS's EVS.5404, and the sentence of older services ("Instance could not be found") name no id,
so they may be the answer to another question: see `Absence.UNNAMED`.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from enum import Enum
from functools import cache
from typing import Any, NamedTuple

from handler.cloud.messages import Answer
from handler.model.bounded_json import loads

_ID = re.compile(r"[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}", re.IGNORECASE)
_AROUND = ".,:;!'\"()[]"
_IT = "\t"  # stands for the id that was asked for: no word holds a blank
_SENTENCES = (
    r"(?:the )?{subject}{which} (?:(?:could|can) not be|cannot be|was not|is not) found",
    r"(?:the )?{subject}{which} (?:(?:does|do|did) not exist|not exists)",
    r"no (?:such )?{subject}{which}(?: (?:was|is|could be|can be) found| exists)?",
)
_WHICH = rf"(?: with)?(?: the)?(?: id| uuid)? {_IT}"


class Absence(Enum):
    """How far a service's word goes that something is not there."""

    NAMED = "named"
    """It names what was asked for: that counts at once."""

    UNNAMED = "unnamed"
    """It names nothing: counts only when it is said again on a connection made for that question."""


class Speech(NamedTuple):
    """How one service says that one kind of thing is not there.

    `subjects` are its words for the thing, `unnamed` the sentence (without its full stop) and `codes` the
    vendor's codes that name no id.
    """

    subjects: frozenset[str]
    unnamed: str
    codes: frozenset[str]


def read_absence(answer: Answer, speech: Speech, *, of: str) -> Absence | None:
    """What the answer proves of the absence of `of`, a UUID in the very spelling that was asked for.

    None: nothing. The services repeat the spelling, so that one is wanted: an id without hyphens is unknown
    to Nova though its server lives, and that answer must not pass for the one about the canonical id.
    """
    body = _object(answer.body)
    if body is None or answer.kept:
        return None
    if answer.status == 404 and "itemNotFound" in body:
        return _item_not_found(body, speech, of)
    if answer.status not in {400, 404}:
        return None
    error = _only(body, "error")
    if error is None or not isinstance(error.get("code"), str):
        return None
    code, message = error["code"], error.get("message", "")
    if code in speech.codes:
        return Absence.UNNAMED if isinstance(message, str) and _names_no_other(message, of) else None
    if answer.status == 400 and code == "Ecs.1000" and isinstance(message, str):
        inner = _object(message)
        return _item_not_found(inner, speech, of) if inner is not None else None
    return None


def _item_not_found(body: Mapping[str, Any], speech: Speech, of: str) -> Absence | None:
    said = _only(body, "itemNotFound")
    if said is None or not _is_404(said.get("code", 404)):
        return None
    message = said.get("message")
    if not isinstance(message, str):
        return None
    if message.removesuffix(".") == speech.unnamed:
        return Absence.UNNAMED
    return Absence.NAMED if _says_so(message, speech, of) else None


def _object(text: bytes | str) -> dict[str, Any] | None:
    try:
        body = loads(text)
    except ValueError:
        return None
    return body if isinstance(body, dict) else None


def _only(body: Mapping[str, Any], key: str) -> dict[str, Any] | None:
    """The object under the body's one key, which holds a code and a message and nothing else."""
    said = body.get(key)
    if len(body) != 1 or not isinstance(said, dict) or not said.keys() <= {"code", "message"}:
        return None
    return said


def _is_404(code: object) -> bool:
    return code == "404" or (isinstance(code, int) and code == 404)


def _names_no_other(message: str, of: str) -> bool:
    return all(uuid.UUID(found) == uuid.UUID(of) for found in _ID.findall(message))


def _says_so(message: str, speech: Speech, of: str) -> bool:
    """Whether the whole message is a sentence that says that this one thing is not there."""
    words = filter(None, (word.strip(_AROUND) for word in message.split()))
    said = " ".join(_IT if word == of else word.lower() for word in words)
    return any(sentence.fullmatch(said) for sentence in _sentences(speech.subjects))


@cache
def _sentences(subjects: frozenset[str]) -> tuple[re.Pattern[str], ...]:
    subject = f"(?:{'|'.join(sorted(subjects))})"
    return tuple(re.compile(sentence.format(subject=subject, which=_WHICH)) for sentence in _SENTENCES)
