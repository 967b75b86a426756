"""What each refusal of a live disk's detach means: Nova's words as recorded, ECS's codes as documented."""

from __future__ import annotations

import json
from typing import Any

import pytest

from handler.cloud.detach_refusals import Refusal, read_refusal
from handler.cloud.messages import Answer
from tests.embedded_cloud import ecs

S, V = "4ccff8d2-b7f6-4252-942f-a9bc86113bd4", "a865b938-d39c-47e6-828f-744f5b818230"
NOT_IN_USE = (
    "Invalid volume: Invalid input received: Invalid volume: Unable to detach volume. Volume status must be "
    "'in-use' and attach_status must be 'attached' to detach. (HTTP 400) (Request-ID: req-1)"
)
NOVA: list[tuple[int, str, str, Refusal]] = [
    (404, "itemNotFound", f"Instance {S} is not attached to volume {V}", Refusal.NOT_ATTACHED),
    (404, "itemNotFound", f"Instance {S} could not be found.", Refusal.SERVER_GONE),
    (404, "itemNotFound", f"Instance {S} has no such device.", Refusal.OTHER),
    (404, "itemNotFound", f"Volume {V} could not be found.", Refusal.OTHER),
    (404, "itemNotFound", "The resource could not be found.", Refusal.OTHER),
    (400, "badRequest", NOT_IN_USE, Refusal.NOT_IN_USE),
    (400, "badRequest", "Cannot detach a root device volume", Refusal.ROOT),
    (400, "badRequest", "Malformed request URL: URL's project_id 'x' doesn't match", Refusal.OTHER),
    (409, "conflictingRequest", f"Instance {S} is locked", Refusal.LOCKED),
    (400, "badRequest", f"Instance {S} is locked", Refusal.OTHER),
    (
        409,
        "conflictingRequest",
        f"Cannot 'detach_volume' instance {S} while it is in task_state powering-off",
        Refusal.PASSING,
    ),
    (
        409,
        "conflictingRequest",
        f"Cannot 'detach_volume' instance {S} while it is in vm_state building",
        Refusal.PASSING,
    ),
    (
        409,
        "conflictingRequest",
        f"Cannot 'detach_volume' instance {S} while it is in vm_state suspended",
        Refusal.STATE,
    ),
    (409, "conflictingRequest", "Service is unavailable at this time.", Refusal.HOST_DOWN),
    (409, "conflictingRequest", "Something that is not known.", Refusal.OTHER),
    (403, "forbidden", "Policy doesn't allow it to be performed.", Refusal.OTHER),
    (500, "computeFault", "Unexpected API Error.", Refusal.UNKNOWN),
]


def answered(status: int, body: Any, headers: dict[str, str] | None = None) -> Answer:
    return Answer(status, headers or {}, json.dumps(body).encode(), None)


@pytest.mark.parametrize("row", NOVA, ids=lambda row: row[2][:40])
@pytest.mark.parametrize("wrapped", [False, True])
def test_novas_words_have_one_meaning_bare_and_wrapped(
    row: tuple[int, str, str, Refusal], *, wrapped: bool
) -> None:
    status, kind, message, meant = row
    body: Any = {kind: {"code": status, "message": message}}
    if wrapped:
        status, body = 400, {"error": {"code": "Ecs.1000", "message": json.dumps(body)}}

    assert read_refusal(answered(status, body)) is meant


@pytest.mark.parametrize("code", ecs.FAULTS)
def test_every_documented_code_of_ecs_has_a_meaning(code: str) -> None:
    rule = ecs.fault(code)

    meant = read_refusal(answered(rule["status"], rule["body"]))

    assert (meant is Refusal.OTHER) is (code == "Ecs.0110")


@pytest.mark.parametrize(
    ("status", "headers"),
    [(408, {}), (413, {"Retry-After": "3"}), (425, {}), (429, {}), (502, {}), (599, {})],
)
def test_what_may_have_been_passed_on_is_not_known(status: int, headers: dict[str, str]) -> None:
    assert read_refusal(answered(status, {}, headers)) is Refusal.UNKNOWN


@pytest.mark.parametrize(
    ("code", "meant"),
    [(409, Refusal.LOCKED), (40, Refusal.UNKNOWN), ("4x9", Refusal.UNKNOWN), (4090, Refusal.UNKNOWN)],
)
def test_what_is_wrapped_counts_by_its_own_status(code: int | str, meant: Refusal) -> None:
    inside = json.dumps({"conflictingRequest": {"code": code, "message": f"Instance {S} is locked"}})
    assert read_refusal(answered(429, {"error": {"code": "Ecs.1000", "message": inside}})) is meant


@pytest.mark.parametrize("body", ["", "Ecs.1000", {}, {"error": {"code": "Ecs.1000", "message": "{}"}}])
def test_a_wrapped_answer_that_cannot_be_read_is_not_known(body: Any) -> None:
    meant = read_refusal(answered(400, body))

    assert meant is (Refusal.UNKNOWN if isinstance(body, dict) and body else Refusal.OTHER)
